"""Promises: so many runs of a key are under way at once, over all processes and whatever becomes of these."""

from __future__ import annotations

import itertools

import pytest

import actorflow as af
from actorflow.core.drivers.world import World
from actorflow.store.codec import encode
from actorflow.testing import LeakCheck, VirtualSystem
from actorflow.workflows.rows import ledger, limits
from actorflow.workflows.rows.records import PARKED
from actorflow.workflows.stored_runs import StoredRuns
from actorflow.workflows.workflow import WORKFLOWS, Workflow
from tests.workflows.bodies import Approved, boom, number
from tests.workflows.test_kills import sleeps_through

BEGUN: list[tuple[str, int]] = []
UNDER_WAY: dict[str, set[int]] = {}
MOST: dict[str, int] = {}


@af.task
def enter(key: str, n: int) -> None:
    """Count the runs of a key that are under way."""
    BEGUN.append((key, n))
    under_way = UNDER_WAY.setdefault(key, set())
    under_way.add(n)
    MOST[key] = max(MOST.get(key, 0), len(under_way))


@af.task
def leave(key: str, n: int) -> None:
    """Count down."""
    UNDER_WAY[key].discard(n)


@af.workflow(name="limits.two", limit=af.Limit(concurrency=2))
def two(key: str, n: int) -> int:
    """Be under way for a second, and wait in it."""
    enter(key, n)
    af.sleep(1)
    leave(key, n)
    return n


@af.workflow(name="limits.one", limit=af.Limit(concurrency=1))
async def one(key: str, n: int) -> int:
    """The same, async."""
    await enter.submit(key, n)
    await af.timer(0.3)
    await leave.submit(key, n)
    return n


@af.workflow(name="limits.waits", limit=af.Limit(concurrency=1))
def waits(n: int) -> int:
    """Wait for a signal."""
    af.wait(Approved)
    return number(n)[0]


@af.workflow(name="limits.fails", limit=af.Limit(concurrency=1))
def fails(n: int) -> None:
    """Fail."""
    boom(str(n))


@af.workflow(name="limits.turns", limit=af.Limit(concurrency=1))
def turns(n: int) -> int:
    """Begin anew twice."""
    enter("turns", n)
    af.sleep(1)
    leave("turns", n)
    if n % 10 < 2:
        af.continue_as_new(n + 1)
    return n


@af.workflow(name="limits.rated", limit=af.Limit(rate="6/m"))
def rated(n: int) -> float:
    """Return when it began."""
    return af.now().timestamp()


@af.workflow(name="limits.parent")
def parent() -> list[int]:
    """Have children, of which one goes at a time."""
    return [*af.gather(one.options(key="c").submit("c", n) for n in range(4)).get()]


@pytest.fixture
def system():
    clear()
    with LeakCheck(), VirtualSystem("test", seed=5) as running:
        yield running
        assert slots(running.store) == 0


def clear() -> None:
    BEGUN.clear()
    UNDER_WAY.clear()
    MOST.clear()


def slots(store) -> int:
    """Return how many slots are held, as the rows of all keys say."""
    keys = store.read(lambda tx: tx.all("jobs.keys_after", {"queue": "", "key": "", "limit": 1000}))
    rows = [store.read(lambda tx, at=at: tx.one("jobs.key", {"queue": at[0], "key": at[1]})) for at in keys]
    return sum(row[0] for row in rows)


def ordered(key: str) -> list[int]:
    return [n for name, n in BEGUN if name == key]


def test_so_many_runs_of_a_key_are_under_way_at_once_in_the_order_of_their_starts(system):
    runs = [system.start(two.options(key=key), key, n) for n in range(6) for key in ("a", "b")]
    began = system.scheduler.clock.monotonic()
    assert runs[11].status == "queued"
    assert [run.result(timeout=60) for run in runs] == [n for n in range(6) for _ in "ab"]
    assert system.scheduler.clock.monotonic() - began == pytest.approx(3, abs=0.9)
    assert MOST == {"a": 2, "b": 2}
    assert ordered("a") == ordered("b") == list(range(6))


def test_runs_without_a_key_share_one(system):
    runs = [system.start(one, "", n) for n in range(4)]
    assert [run.result(timeout=60) for run in runs] == list(range(4))
    assert MOST == {"": 1}


def test_the_smallest_priority_goes_first_among_those_that_wait(system):
    runs = [system.start(one.options(priority=-n), "p", n) for n in range(5)]
    for run in runs:
        run.result(timeout=60)
    assert ordered("p") in ([0, 4, 3, 2, 1], [4, 3, 2, 1, 0])


def test_a_run_holds_its_place_while_it_waits_unloaded_or_is_paused(system):
    first, second = (system.start(waits.options(id=f"r{n}"), n) for n in range(2))
    system.sleep(1)
    system.run_node.bodies["r0"].unload()
    system.sleep(10)
    assert (first.status, second.status) == ("running", "queued")
    first.pause()
    system.sleep(10)
    assert (first.status, second.status) == ("paused", "queued")
    second.signal(Approved("ann"))
    first.resume()
    first.signal(Approved("ann"))
    assert [first.result(timeout=60), second.result(timeout=60)] == [0, 1]


def test_one_that_is_paused_while_it_waits_for_its_place_lets_others_pass(system):
    runs = [system.start(waits.options(id=f"r{n}"), n) for n in range(3)]
    system.sleep(1)
    runs[1].pause()
    assert runs[1].status == "paused"
    for run in runs:
        run.signal(Approved("ann"))
    assert [runs[0].result(timeout=60), runs[2].result(timeout=60)] == [0, 2]
    blocker = system.start(waits.options(id="blocker"), 9)
    system.sleep(1)
    runs[1].resume()
    system.sleep(10)
    assert (blocker.status, runs[1].status) == ("running", "queued")
    blocker.signal(Approved("ann"))
    assert [blocker.result(timeout=60), runs[1].result(timeout=60)] == [9, 1]


def test_ends_of_all_kinds_give_the_place_back(system):
    first = system.start(waits.options(id="a"), 1)
    system.sleep(1)
    second, third = (system.start(waits.options(id=name), 2) for name in "bc")
    assert second.cancel() is True  # it has not begun
    with pytest.raises(af.RunCancelled):
        second.result(timeout=60)
    first.cancel()
    with pytest.raises(af.RunCancelled):
        first.result(timeout=60)
    third.signal(Approved("ann"))
    assert third.result(timeout=60) == 2
    for n in range(3):
        with pytest.raises(af.RunFailed):
            system.start(fails, n).result(timeout=60)


def test_a_deadline_ends_a_run_that_waits_for_its_place_and_another_is_not_let_in_for_it(system):
    first = system.start(waits, 1)
    system.sleep(1)
    late = system.start(waits.options(deadline=5), 2)
    third = system.start(waits, 3)
    with pytest.raises(af.RunCancelled, match="deadline"):
        late.result(timeout=60)
    system.sleep(10)
    assert (first.status, third.status) == ("running", "queued")
    for run in (first, third):
        run.signal(Approved("ann"))
    assert [first.result(timeout=60), third.result(timeout=60)] == [1, 3]


def test_a_run_that_begins_anew_keeps_its_place(system):
    runs = [system.start(turns, 10 * n) for n in range(3)]
    assert [run.result(timeout=60) for run in runs] == [2, 12, 22]
    assert MOST == {"turns": 1}
    assert ordered("turns") == [0, 1, 2, 10, 11, 12, 20, 21, 22]


def test_children_wait_for_their_places(system):
    assert system.start(parent).result(timeout=60) == list(range(4))
    assert MOST == {"c": 1}


def test_a_retried_run_and_a_copy_wait_for_their_places(system):
    run = system.start(fails, 1)
    with pytest.raises(af.RunFailed):
        run.result(timeout=60)
    blocker = ledger.NewRun("blocker", fails.name, encode([[2], {}]), slot="", limit=fails.limit)
    only = WORKFLOWS.pop(fails.name)  # nobody here takes a run for now
    try:
        system.store.write(lambda tx: ledger.add(tx, blocker, 1.0, None))
        run.retry()
        copy = run.fork(id="copy")
        states = [
            system.store.read(lambda tx, at=at: tx.one("runs.get", {"name": at}))[7]
            for at in ("blocker", run.id, "copy")
        ]
        assert sorted(states) == [-1, -1, 0]
        assert slots(system.store) == 1
    finally:
        WORKFLOWS[fails.name] = only
    system.run_node.look()
    for one_of in (system.get_run("blocker"), run, copy):
        with pytest.raises(af.RunFailed):
            one_of.result(timeout=60)


def test_a_rate_lets_so_many_begin_in_a_time(system):
    times = [run.result(timeout=600) for run in [system.start(rated, n) for n in range(4)]]
    gaps = [b - a for a, b in itertools.pairwise(sorted(times))]
    assert all(9.9 <= gap <= 11.5 for gap in gaps), gaps


def test_another_limit_of_new_code_holds_from_its_first_look_on():
    clear()
    with LeakCheck(), af.open_store() as store:
        narrow = two.function

        def define(limit):
            WORKFLOWS.pop("limits.changed", None)
            return Workflow(narrow, name="limits.changed", limit=limit)

        flow = define(af.Limit(concurrency=1))
        with VirtualSystem(store=store) as system:
            runs = [system.start(flow.options(id=f"r{n}"), "x", n) for n in range(8)]
            runs[0].result(timeout=60)
            assert MOST == {"x": 1}
        MOST.clear()
        define(af.Limit(concurrency=3))
        with VirtualSystem(store=store) as system:
            for n in range(5):
                system.get_run(f"r{n}").result(timeout=60)
            assert MOST == {"x": 3}
        define(None)
        with VirtualSystem(store=store) as system:
            for n in range(8):
                system.get_run(f"r{n}").result(timeout=60)
            assert slots(store) == 0
        WORKFLOWS.pop("limits.changed", None)


def test_a_run_that_is_cancelled_from_outside_gives_its_place_back(system):
    new = [ledger.NewRun(f"r{n}", waits.name, encode([[n], {}]), slot="", limit=waits.limit) for n in range(2)]
    system.store.write(lambda tx: [ledger.add(tx, run, 1.0, None) for run in new])
    runs = StoredRuns(system.store)
    assert [runs.row(f"r{n}")[7] for n in range(2)] == [0, -1]
    assert runs.cancel("r0", limits_cancel()) is True
    assert [runs.row(f"r{n}")[7] for n in range(2)] == [4, 0]
    assert runs.cancel("r1", limits_cancel()) is True
    assert slots(system.store) == 0


def limits_cancel() -> bytes:
    from actorflow.durable.rows.payload import pack
    from actorflow.workflows.signals import CancelRun

    return pack(CancelRun(), 1000)


def test_a_parked_run_holds_its_place(system):
    new = ledger.NewRun("r", waits.name, encode([[1], {}]), slot="", limit=waits.limit)

    def put(transaction) -> None:
        ledger.add(transaction, new, 1.0, None)
        (run,) = ledger.claim(transaction, [waits.name], "dead", 1.0, 1)
        assert run.slot == ""
        ledger.let_go(transaction, run, "dead", PARKED, "parked", misfit=waits.hash)

    system.store.write(put)
    second = system.start(waits, 2)
    system.sleep(10)
    assert second.status == "queued"
    system.get_run("r").cancel()
    second.signal(Approved("ann"))
    assert second.result(timeout=60) == 2


def test_a_limit_that_is_none_is_refused():
    with pytest.raises(af.DefinitionError, match="limit"):
        af.workflow(name="limits.bad", limit=5)(two.function)  # type: ignore[call-overload]
    WORKFLOWS.pop("limits.bad", None)
    assert limits.place_of("x").startswith("(runs of ")


def killed_after(steps: int) -> bool:
    """Have runs wait for their places in a system that dies after so many steps; say whether it died in time."""
    clear()
    with World(seed=steps) as world, af.open_store() as store:
        a = VirtualSystem._within(world, "a", store=store)
        b = VirtualSystem._within(world, "b", store=store)
        try:
            for n in range(5):
                b.start(one.options(id=f"r{n}"), "k", n)
            died = not sleeps_through(b, 20, steps)
            b._kill()
            assert [a.get_run(f"r{n}").result(timeout=200) for n in range(5)] == list(range(5))
            begun = list(dict.fromkeys(ordered("k")))
            assert begun == list(range(5))
            assert MOST == {"k": 1}
            assert slots(store) == 0
            return died
        finally:
            b.stop()
            a.stop()


def test_places_are_given_back_once_wherever_a_system_is_killed():
    with LeakCheck():
        died = [killed_after(steps) for steps in range(1, 200, 9)]
    assert any(died)


def test_limits_hold_over_two_processes(url, begin):
    clear()
    systems = [begin("one"), begin("two")]
    if url == "memory:":
        systems = systems[:1]
    runs = [system.start(one.options(id=f"{k}-{n}"), "k", n) for k, system in enumerate(systems) for n in range(2)]
    for run in runs:
        run.result(timeout=120)
    assert MOST == {"k": 1}
    assert slots(systems[0].store) == 0
