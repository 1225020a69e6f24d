"""Promises: the start of a saga is the intent of its first steps; a clean stop leaves no doubt if one has begun."""

from __future__ import annotations

import pytest

import actorflow as af
from actorflow.core.drivers.world import World
from actorflow.testing import VirtualSystem
from actorflow.workflows.rows import ledger
from actorflow.workflows.rows.records import INTENT
from tests.sagas.world import OUTSIDE, seat


@pytest.fixture(autouse=True)
def _outside_is_empty():
    OUTSIDE.clear(seat=["raises"])


@af.saga
def waits_first(seconds: float) -> None:
    """Its step raises, whose compensation takes the result."""
    af.sleep(seconds) if seconds else af.wait(str)
    seat("ann")


@af.saga
async def waits_first_async(seconds: float) -> None:
    """The same, async."""
    await (af.timer(seconds) if seconds else af.signal(str))
    await seat.submit("ann")


BOTH = pytest.mark.parametrize("saga", [waits_first, waits_first_async], ids=["plain", "async"])


def lives(saga, seconds, *, is_clean):
    """Have a saga begin in one system, which ends, and go on in another one; return its status and its records."""
    with World(seed=1) as world, af.open_store() as store:
        first = VirtualSystem._within(world, "a", store=store)
        run = first.start(saga.options(id="run"), seconds)
        first.sleep(1)
        first.stop() if is_clean else first._kill()
        second = VirtualSystem._within(world, "b", store=store)
        try:
            run = second.get_run("run")
            if not seconds:
                run.signal("go")
            with pytest.raises((af.RunFailed, af.CompensationFailed)):
                run.result(timeout=1000)
            row = store.read(lambda tx: ledger.find(tx, "run"))
            return run.status, store.read(lambda tx: ledger.records(tx, row.id))
        finally:
            second.stop()
            first.stop()


@BOTH
@pytest.mark.parametrize("seconds", [0, 30], ids=["signal", "timer"])
def test_a_first_step_that_begins_behind_a_clean_stop_and_raises_has_not_acted(saga, seconds):
    status, _ = lives(saga, seconds, is_clean=True)
    assert status == "compensated"
    assert OUTSIDE.tries["seat"] == 1


@BOTH
def test_a_step_behind_a_wait_leaves_an_intent(saga):
    status, records = lives(saga, 30, is_clean=False)
    assert status == "compensated", "its wait has ended in the life that begins it"
    assert [one.identity[1] for one in records if one.kind == INTENT] == [seat.name]


def test_a_saga_of_n_steps_takes_n_commits_and_its_start():
    OUTSIDE.clear()
    with VirtualSystem("test", seed=1) as system:
        run = system.start(row_of_steps.options(id="run"))
        assert run.result() == 3
        row = system.store.read(lambda tx: ledger.find(tx, "run"))
        records = system.store.read(lambda tx: ledger.records(tx, row.id))
    kinds = ["intent" if one.kind == INTENT else "result" for one in records]
    assert kinds == ["result", "intent", "result", "intent", "result"], "an intent rides with the result before it"


@af.saga
def row_of_steps() -> int:
    """Three steps in a row."""
    return len([seat("a"), seat("b"), seat("c")])
