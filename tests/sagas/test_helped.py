"""Promises: a stuck saga goes on once it is helped, whatever else ran beside the step that failed."""

from __future__ import annotations

import asyncio

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.sagas.world import OUTSIDE, Boom, card, flight, seat

LOG: list[str] = []
BROKEN: list[BaseException] = []  # what fails raises the first


@pytest.fixture(autouse=True)
def _outside_is_empty():
    OUTSIDE.clear()
    LOG.clear()
    BROKEN.clear()


# --- behind the pivot -------------------------------------------------------------------------------------------------


@af.task
async def mended(seconds: float) -> str:
    await asyncio.sleep(seconds)
    LOG.append(f"tried {seconds}")
    if BROKEN:
        raise BROKEN[0]
    return "mended"


@af.task
async def late(seconds: float) -> str:
    await asyncio.sleep(seconds)
    LOG.append(f"acted {seconds}")
    return "late"


@af.saga
def beside(first: float) -> list[str]:
    """Some fail behind the pivot; others, which ran beside them, end later."""
    try:
        mended.submit(first).get()
    except af.StepFailed:
        LOG.append("caught")
    af.pivot()
    return [*af.gather(mended.submit(1), late.submit(3), mended.submit(4), late.submit(5)).get()]


@af.saga
async def beside_async(first: float) -> list[str]:
    """The same, async."""
    try:
        await mended.submit(first)
    except af.StepFailed:
        LOG.append("caught")
    af.pivot()
    return [*await af.gather(mended.submit(1), late.submit(3), mended.submit(4), late.submit(5))]


@pytest.mark.parametrize("saga", [beside, beside_async], ids=["plain", "async"])
def test_a_step_that_failed_behind_the_pivot_is_tried_again_though_others_have_ended_later(saga):
    BROKEN.append(Boom("behind"))
    with VirtualSystem("test", seed=1) as system:
        run = system.start(saga, 0.5)
        with pytest.raises(af.CompensationFailed, match="failed behind its pivot: .*Boom: behind"):
            run.result()
        system.sleep(10)
        BROKEN.clear()
        run.retry()
        assert run.result() == ["mended", "late", "mended", "late"]
    assert LOG.count("acted 3") == LOG.count("acted 5") == 1
    assert LOG.count("tried 1") == LOG.count("tried 4") == 2
    assert LOG.count("tried 0.5") == 1, "its error was caught, before the pivot"


@af.saga
def falls_back() -> str:
    """A step fails; another one takes its place, behind whose end a third one fails."""
    af.pivot()
    try:
        card(1)
    except af.StepFailed:
        seat("instead")
    return mended.submit(1).get()


def test_a_step_whose_error_the_code_has_answered_is_not_tried_again():
    OUTSIDE.clear(card=["raises"])
    BROKEN.append(Boom("third"))
    with VirtualSystem("test", seed=1) as system:
        run = system.start(falls_back)
        with pytest.raises(af.CompensationFailed):
            run.result()
        BROKEN.clear()
        run.retry()
        assert run.result() == "mended"
    assert OUTSIDE.tries == {"card": 1, "seat": 1}


# --- functions of af.undo ---------------------------------------------------------------------------------------------


def breaks() -> None:
    LOG.append("called")
    if BROKEN:
        raise BROKEN[0]


async def breaks_async() -> None:
    breaks()


@af.task
def refused(name: str) -> str:
    raise Boom(name)


@refused.compensate
def undo_refused(result: str) -> None:
    LOG.append("undone, though it has done nothing")


@af.saga
def by_function() -> None:
    flight("ann", "s")
    af.undo(breaks)
    refused("ann")


@af.saga
async def by_function_async() -> None:
    await flight.submit("ann", "s")
    af.undo(breaks_async)
    await refused.submit("ann")


@pytest.mark.parametrize("saga", [by_function, by_function_async], ids=["plain", "async"])
@pytest.mark.parametrize("error", [Boom("no"), SystemExit(3), asyncio.CancelledError()], ids=repr)
def test_a_function_that_undoes_and_raises_anything_has_the_saga_stuck_until_it_is_retried(saga, error):
    BROKEN.append(error)
    with VirtualSystem("test", seed=1) as system:
        run = system.start(saga)
        with pytest.raises(af.CompensationFailed, match=r"a function of af\.undo failed: breaks"):
            run.result()
        assert OUTSIDE.order == ["flight"]
        BROKEN.clear()
        run.retry()
        with pytest.raises(af.RunFailed, match="Boom: ann"):
            run.result()
        assert run.status == "compensated"
    assert LOG == ["called", "called"]
    assert OUTSIDE.order == ["flight", "-flight"]


@pytest.mark.parametrize("saga", [by_function, by_function_async], ids=["plain", "async"])
@pytest.mark.parametrize("named", [False, True], ids=["all", "by name"])
def test_a_function_that_undoes_and_raises_may_be_skipped(saga, named):
    BROKEN.append(Boom("no"))
    name = "breaks" if saga is by_function else "breaks_async"
    with VirtualSystem("test", seed=1) as system:
        run = system.start(saga)
        with pytest.raises(af.CompensationFailed):
            run.result()
        with pytest.raises(af.DefinitionError, match=f"no failed compensation 'refund', but undo {name}"):
            run.skip("by hand", step="refund")
        run.skip("by hand", step=name if named else None)
        with pytest.raises(af.RunFailed, match="Boom: ann"):
            run.result()
        assert run.status == "compensated"
        skipped = [step for step in run.steps if step.status == "skipped"]
        assert [step.name for step in skipped] == [f"undo {name}"]
        assert "by hand" in str(skipped[0].error)
    assert LOG == ["called"]
    assert OUTSIDE.order == ["flight", "-flight"]


async def makes_steps_async() -> None:
    await asyncio.gather(seat.submit("undo"), late.submit(1))
    await breaks_async()


def makes_steps() -> None:
    seat("undo")
    late.submit(1).get()
    breaks()


@af.saga
def by_steps() -> None:
    flight("ann", "s")
    af.undo(makes_steps)
    af.undo(breaks)
    refused("ann")


@af.saga
async def by_steps_async() -> None:
    await flight.submit("ann", "s")
    af.undo(makes_steps_async)
    af.undo(breaks_async)
    await refused.submit("ann")


@pytest.mark.parametrize("saga", [by_steps, by_steps_async], ids=["plain", "async"])
def test_a_function_that_undoes_is_left_out_with_the_steps_that_it_has_made(saga):
    with VirtualSystem("test", seed=1) as system:
        BROKEN.append(Boom("no"))
        run = system.start(saga)
        for _ in range(2):  # one of them after the other
            with pytest.raises(af.CompensationFailed):
                run.result()
            run.skip("by hand")
        with pytest.raises(af.RunFailed, match="Boom: ann"):
            run.result()
        assert run.status == "compensated"
        assert [step.status for step in run.steps].count("skipped") == 2
    assert LOG == ["called", "acted 1", "called"]
    assert OUTSIDE.order == ["flight", "seat", "-flight"]


@pytest.mark.parametrize("saga", [by_steps, by_steps_async], ids=["plain", "async"])
def test_a_function_that_undoes_and_is_retried_does_not_run_its_steps_again(saga):
    with VirtualSystem("test", seed=1) as system:
        BROKEN.append(Boom("no"))
        run = system.start(saga)
        with pytest.raises(af.CompensationFailed):
            run.result()
        run.skip("by hand")
        with pytest.raises(af.CompensationFailed):
            run.result()
        BROKEN.clear()
        run.retry()
        with pytest.raises(af.RunFailed, match="Boom: ann"):
            run.result()
    assert LOG == ["called", "acted 1", "called", "called"]
    assert OUTSIDE.order == ["flight", "seat", "-flight"]
