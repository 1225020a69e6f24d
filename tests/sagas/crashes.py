"""Crashes: a saga of six steps that is killed before or after an act, or before a commit; another system goes on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import actorflow as af
from actorflow.core.drivers.world import World
from actorflow.core.futures.future import patient
from actorflow.testing import VirtualSystem
from actorflow.workflows.rows import ledger
from actorflow.workflows.rows.records import DOUBTED, INTENT, PIVOT, RESULT, TURNED, UNDONE, RunRecord
from tests.sagas.world import OUTSIDE

NAMES = "abcdef"
LATE_NAMES = "abgdef"  # of the saga one of whose pair is late
SETTLED = {"completed", "compensated"}


class Life:
    """The life of one system: it stands still at the place of a number, before or after an act, or before a commit."""

    def __init__(self, act: int | None = None, commit: int | None = None) -> None:
        self.last_act, self.last_commit = act, commit
        self.acts = self.commits = 0
        self.is_dead = False

    def act(self) -> None:
        """Count a place before or after an act; wait for ever if this was the last."""
        self.acts += 1
        if self.is_dead or self.acts == self.last_act:
            self.is_dead = True
            patient(None).get()

    async def act_async(self) -> None:
        """Do the same on the loop."""
        self.acts += 1
        if self.is_dead or self.acts == self.last_act:
            self.is_dead = True
            await asyncio.get_running_loop().create_future()

    def commit(self) -> None:
        """Count a commit; refuse this one and all later ones if it was the last."""
        self.commits += 1
        if self.is_dead or self.commits == self.last_commit:
            self.is_dead = True
            raise af.StoreError("the process is dead")


LIVES: list[Life] = []  # the last one is that of the system which acts


class DyingWriter:
    """The writer of a store whose commits are counted."""

    def __init__(self, writer: Any) -> None:
        self.writer = writer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.writer, name)

    def begin(self, durability: Any) -> None:
        LIVES[-1].commit()
        self.writer.begin(durability)


@contextmanager
def counted(store: Any):
    """Have the commits of a store counted."""
    commits = store._shared._commits if hasattr(store, "_shared") else store._commits
    writer = commits._writer
    commits._writer = DyingWriter(writer)
    try:
        yield
    finally:
        commits._writer = writer


# --- the saga ---------------------------------------------------------------------------------------------------------


def acting(name: str) -> Callable[[], str]:
    def act() -> str:
        LIVES[-1].act()
        key = OUTSIDE.act(name)
        LIVES[-1].act()
        return key

    act.__qualname__ = act.__name__ = f"act_{name}"
    return act


def undoing_by_result(name: str) -> Callable[[str], None]:
    def undo(key: str) -> None:
        LIVES[-1].act()
        OUTSIDE.undo(name, key)
        LIVES[-1].act()

    undo.__qualname__ = undo.__name__ = f"undo_{name}"
    return undo


def undoing_by_step(name: str) -> Callable[[af.Step], None]:
    def undo(step: af.Step) -> None:
        assert step.maybe or step.result == step.key
        LIVES[-1].act()
        OUTSIDE.undo(name, step.key)
        LIVES[-1].act()

    undo.__qualname__ = undo.__name__ = f"undo_{name}"
    return undo


STEPS: dict[str, Any] = {}
for one in NAMES:
    STEPS[one] = af.task(name=f"crash.{one}", idempotent=one in "bd")(acting(one))
    undo = undoing_by_result(one) if one in "bd" else undoing_by_step(one)
    STEPS[one].compensate(name=f"crash.undo_{one}", retry=af.Retry(3, af.Backoff(0.01)))(undo)
a, b, c, d, e, f = STEPS.values()


@af.task(name="crash.g")
async def g() -> str:
    """Act a while later, beside the other one of its pair."""
    await asyncio.sleep(0.3)
    await LIVES[-1].act_async()
    key = OUTSIDE.act("g")
    await LIVES[-1].act_async()
    return key


g.compensate(name="crash.undo_g", retry=af.Retry(3, af.Backoff(0.01)))(undoing_by_step("g"))


@af.saga
def order(keeps: bool) -> list[str]:
    """A step, a pair, a savepoint of two, the pivot, a step."""
    keys = [a(), *af.gather(b.submit(), c.submit()).get()]
    try:
        with af.savepoint():
            keys += [d(), e()]
    except af.ActorflowError:
        if not keeps:
            raise
    af.pivot()
    return [*keys, f()]


@af.saga
async def order_async(keeps: bool) -> list[str]:
    """The same, async."""
    keys = [await a.submit(), *await af.gather(b.submit(), c.submit())]
    try:
        async with af.savepoint():
            keys += [await d.submit(), await e.submit()]
    except af.ActorflowError:
        if not keeps:
            raise
    af.pivot()
    return [*keys, await f.submit()]


@af.saga
def order_late(keeps: bool) -> list[str]:
    """The same; one of the pair goes on while the other one may have failed already."""
    keys = [a(), *af.gather(b.submit(), g.submit()).get()]
    try:
        with af.savepoint():
            keys += [d(), e()]
    except af.ActorflowError:
        if not keeps:
            raise
    af.pivot()
    return [*keys, f()]


# --- its lives --------------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """The end of a saga after some lives.

    Attributes:
        deaths: how many of the lives have come to their crash points.
        was_stuck: somebody had to help.
    """

    status: str = ""
    deaths: int = 0
    was_stuck: bool = False
    records: list[RunRecord] = field(default_factory=list)


def lived(
    saga: Any,
    lives: list[Life],
    seed: int,
    *,
    keeps: bool = False,
    url: str | None = None,
    prepare: Callable[[VirtualSystem], object] = lambda system: None,
    look: Callable[[VirtualSystem], object] = lambda system: None,
) -> Outcome:
    """Run a saga in systems that die one after the other; the last one does not.

    Args:
        prepare: is called with each of them.
        look: is called with the last one, in which the saga has ended.
    """
    found = Outcome()
    with World(seed=seed) as world, af.open_store(url) if url else af.open_store() as store, counted(store):
        for n, life in enumerate([*lives, Life()]):
            LIVES[:] = [life]
            system = VirtualSystem._within(world, f"s{n}", store=store)
            try:
                found.was_stuck |= live(system, saga, keeps, life, prepare)
                if life.is_dead:
                    found.deaths += 1
                    life.is_dead, life.last_act, life.last_commit = False, None, None  # others may commit
                    LIVES[:] = [Life()]
                    system._kill()
                    continue
                run = system.get_run("run")
                row = store.read(lambda tx: ledger.find(tx, "run"))
                found.status = run.status
                found.records = store.read(lambda tx, row=row: ledger.records(tx, row.id))
                LIVES[:] = [Life()]
                look(system)
                return found
            finally:
                system.stop()
    raise AssertionError("it has no end")


def live(system: VirtualSystem, saga: Any, keeps: bool, life: Life, prepare: Callable[[VirtualSystem], object]) -> bool:
    """Have a system go on with the saga until it ends, or the system stands still; say whether it was stuck."""
    was_stuck = False
    try:
        prepare(system)
        run = system.start(saga.options(id="run"), keeps)
        for _ in range(2000):
            if life.is_dead:
                return was_stuck
            status = run.status
            if status in SETTLED:
                return was_stuck
            if status == "stuck":
                was_stuck = True
                OUTSIDE.fates.clear()
                run.retry()
            system.sleep(0.05)
    except af.StoreError:
        assert life.is_dead
        return was_stuck
    raise AssertionError(f"run is {run.status}")


# --- the rules --------------------------------------------------------------------------------------------------------


def check(found: Outcome, *, keeps: bool, names: str = NAMES) -> None:
    """Compare the records and the effects of a saga with the rules."""
    records = found.records
    began = {one.identity for one in records if one.kind == INTENT}
    ended = [
        one for one in records if one.kind in {RESULT, DOUBTED} and one.identity[1] in {f"crash.{x}" for x in names}
    ]
    assert {one.identity for one in ended} <= began
    acted = [one.identity[1][-1] for one in ended if one.value is not None or one.kind == DOUBTED]
    undone = [one.identity[1][-1] for one in records if one.kind == UNDONE and one.identity[0] == "undo"]
    assert all(count == 1 for count in Counter(undone).values()), undone
    assert not set(undone) - {identity[1][-1] for identity in began}
    assert undone == [name for name in reversed(acted) if name in undone], (acted, undone)
    turned = [one.n for one in records if one.kind == TURNED]
    assert not undone or turned[0] < min(one.n for one in records if one.kind == UNDONE)
    left = set(OUTSIDE.done.values())
    if found.status == "completed":
        kept = set(names) - ({"d", "e"} if undone or "e" not in acted else set())
        assert left == kept, left
        assert set(undone) <= {"d", "e"}
        assert keeps or not undone
    else:
        assert found.status == "compensated"
        assert not any(one.kind == PIVOT for one in records)
        assert sorted(undone) == sorted(acted)
        assert left == set()
