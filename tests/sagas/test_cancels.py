"""Promises: a cancel of an async saga has it undone, whenever it comes, and though its code catches CancelledError."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.core.actors import until
from tests.sagas.crashes import Life, lived
from tests.sagas.world import OUTSIDE, Boom, card, flight, hotel, seat

LOG: list[str] = []


@pytest.fixture(autouse=True)
def _outside_is_empty():
    OUTSIDE.clear()
    LOG.clear()


# --- while a savepoint undoes -----------------------------------------------------------------------------------------


@af.task
def van() -> str:
    return OUTSIDE.act("van")


@van.compensate
async def send_back(key: str) -> None:
    await asyncio.sleep(5)
    OUTSIDE.undo("van", key)


@af.saga
async def waits_behind() -> None:
    """A part fails; behind it the code waits for what never comes."""
    await seat.submit("ann")
    try:
        async with af.savepoint():
            await van.submit()
            raise Boom("part")
    except Boom:
        LOG.append("caught")
    await af.signal(str)


@pytest.mark.parametrize("deadline", [None, 2], ids=["cancel", "deadline"])
def test_a_cancel_that_comes_while_a_savepoint_undoes_is_heard_of_behind_it(deadline):
    with VirtualSystem("test", seed=1) as system:
        run = system.start(waits_behind.options(deadline=deadline))
        system.sleep(3)
        assert LOG == []
        if deadline is None:
            run.cancel()
        with pytest.raises(af.RunCancelled):
            run.result(timeout=60)
        assert run.status == "compensated"
    assert LOG == ["caught"]
    assert OUTSIDE.order == ["seat", "van", "-van", "-seat"]


# --- code that catches it ---------------------------------------------------------------------------------------------


@af.saga
async def catches(times: int) -> None:
    await seat.submit("ann")
    for _ in range(times):
        try:
            await af.signal(str)
        except asyncio.CancelledError:
            LOG.append("caught")
    await af.signal(str)


@pytest.mark.parametrize("times", [1, 2])
def test_a_saga_whose_code_catches_its_cancel_is_undone(times):
    with VirtualSystem("test", seed=1) as system:
        run = system.start(catches, times)
        system.sleep(1)
        run.cancel()
        with pytest.raises(af.RunCancelled):
            run.result(timeout=600)
        assert run.status == "compensated"
    assert LOG.count("caught") == times
    assert OUTSIDE.order == ["seat", "-seat"]


@af.saga
async def leaves_a_task() -> None:
    """Its own code lets the cancel pass; a task of it does not."""

    async def stays() -> None:
        while True:
            try:
                await af.signal(str)
            except asyncio.CancelledError:
                LOG.append("caught")

    task = asyncio.create_task(stays())
    await seat.submit("ann")
    await af.signal(str)
    await task


def test_a_saga_is_compensated_though_a_task_of_its_code_goes_on_behind_the_cancel():
    with VirtualSystem("test", seed=1) as system:
        run = system.start(leaves_a_task)
        system.sleep(1)
        run.cancel()
        with pytest.raises(af.RunCancelled):
            run.result(timeout=600)
        assert run.status == "compensated"
    assert OUTSIDE.order == ["seat", "-seat"]


@af.task
async def clean_up() -> None:
    await asyncio.sleep(1)


@af.saga
async def undone_by_a_wait() -> None:
    async def wait_for_help() -> None:
        LOG.append("waits")
        LOG.append(await af.signal(str))

    await seat.submit("ann")
    af.undo(wait_for_help)
    try:
        await af.signal(str)
    finally:
        await clean_up()


def test_a_function_that_undoes_may_wait_for_long_behind_a_cancel():
    with VirtualSystem("test", seed=1) as system:
        run = system.start(undone_by_a_wait)
        system.sleep(1)
        run.cancel()
        system.sleep(1000)
        assert LOG == ["waits"]
        assert run.status == "compensating"
        run.signal("help")
        with pytest.raises(af.RunCancelled):
            run.result(timeout=600)
        assert run.status == "compensated"
    assert LOG == ["waits", "help"]
    assert OUTSIDE.order == ["seat", "-seat"]


# --- code that catches everything -------------------------------------------------------------------------------------


@af.saga
def catches_plain(kind: str, times: int) -> None:
    """Wait for what never comes, though it is cancelled."""
    seat("ann")
    for _ in range(times):
        try:
            af.wait(str) if kind == "signal" else af.sleep(10)
        except af.RunCancelled:
            LOG.append("caught")
    af.wait(str)


@af.saga
def catches_all(kind: str, times: int) -> str:
    seat("ann")
    caught = 0
    for _ in range(times):
        try:
            hotel("late") if caught > 1 and kind == "step" else af.wait(str)
        except BaseException as error:
            caught += 1
            LOG.append(type(error).__name__)
    return "completed all the same"


@af.saga
async def catches_all_async(kind: str, times: int) -> str:
    await seat.submit("ann")
    caught = 0
    for _ in range(times):
        try:
            await (hotel.submit("late") if caught > 1 and kind == "step" else af.signal(str))
        except BaseException as error:
            caught += 1
            LOG.append(type(error).__name__)
    return "completed all the same"


def outcome_of_a_cancel(saga, *args):
    """Start a saga, cancel it, and return its status, and the text of its end."""
    with VirtualSystem("test", seed=1) as system:
        run = system.start(saga, *args)
        system.sleep(1)
        run.cancel()
        with pytest.raises((af.RunCancelled, af.RunFailed, af.CompensationFailed)) as caught:
            run.result(timeout=6000)
        return run.status, str(caught.value)


@pytest.mark.parametrize("kind", ["signal", "sleep"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_plain_saga_whose_code_catches_its_cancel_is_undone(kind, times):
    status, _ = outcome_of_a_cancel(catches_plain, kind, times)
    assert status == "compensated"
    assert LOG == ["caught"], "it is told once, so that clean-up code may wait"
    assert OUTSIDE.order == ["seat", "-seat"]


@pytest.mark.parametrize("kind", ["signal", "step"])
@pytest.mark.parametrize("times", [2, 3, 4, 5, 6, 50])
@pytest.mark.parametrize("saga", [catches_all, catches_all_async], ids=["plain", "async"])
def test_a_saga_whose_code_catches_everything_is_left_where_it_waits_and_undone(saga, times, kind):
    status, text = outcome_of_a_cancel(saga, kind, times)
    assert status == "compensated"
    if times == 50:
        assert LOG[:4] == (["RunCancelled", *["Turned"] * 3] if saga is catches_all else ["CancelledError"] * 4)
        assert "test_cancels.py:" in text
        assert "was left there" in text
    assert OUTSIDE.order[0] == "seat"
    assert OUTSIDE.order[-1] == "-seat"
    assert not OUTSIDE.done


@pytest.mark.parametrize("saga", [catches_all, catches_all_async], ids=["plain", "async"])
def test_a_saga_that_is_left_where_it_waits_may_be_stuck_and_goes_on_once_it_is_helped(saga):
    OUTSIDE.clear(**{"undo seat": ["raises"]})
    with VirtualSystem("test", seed=1) as system:
        run = system.start(saga, "signal", 50)
        system.sleep(1)
        run.cancel()
        with pytest.raises(af.CompensationFailed, match="undo seat"):
            run.result(timeout=6000)
        OUTSIDE.fates.clear()
        run.retry()
        with pytest.raises(af.RunCancelled):
            run.result(timeout=6000)
        assert run.status == "compensated"
    assert OUTSIDE.order == ["seat", "-seat"]


# --- branches that catch it -------------------------------------------------------------------------------------------


@af.saga
def branch_catches() -> None:
    def stays() -> None:
        while True:
            try:
                af.wait(str)
            except af.RunCancelled:
                LOG.append("caught")

    seat("ann")
    branch = af.branch(stays)
    card.submit(1).get()
    branch.get()


@af.saga
async def branch_catches_async() -> None:
    async def stays() -> None:
        while True:
            try:
                await af.signal(str)
            except asyncio.CancelledError:
                LOG.append("caught")

    await seat.submit("ann")
    branch = asyncio.create_task(stays())
    await card.submit(1)
    await branch


@pytest.mark.parametrize("saga", [branch_catches, branch_catches_async], ids=["plain", "async"])
@pytest.mark.parametrize("fails", [True, False], ids=["a step fails", "a cancel"])
def test_a_branch_that_catches_its_cancel_delays_the_undoing_by_a_minute_at_most(saga, fails):
    OUTSIDE.clear(card=["raises" if fails else "ok"])
    with VirtualSystem("test", seed=1) as system:
        run = system.start(saga)
        system.sleep(1)
        run.cancel()
        system.sleep(100)
        with pytest.raises((af.RunCancelled, af.RunFailed)):
            run.result(timeout=1)
        assert run.status == "compensated"
    awaits = saga is branch_catches_async and not fails  # then the cancels of the function are those of the task
    assert ["caught"] * (4 if awaits else 1) == LOG
    assert OUTSIDE.order == (["seat", "-seat"] if fails else ["seat", "card", "-card", "-seat"])


@af.saga(deadline=1)
def late_and_deaf(keeps: bool) -> None:
    catches_all.function("step" if keeps else "signal", 50)


@af.saga(deadline=1)
async def late_and_deaf_async(keeps: bool) -> None:
    await catches_all_async.function("step" if keeps else "signal", 50)


@pytest.mark.slow(quick=["False-plain", "False-async"])
@pytest.mark.parametrize("saga", [late_and_deaf, late_and_deaf_async], ids=["plain", "async"])
@pytest.mark.parametrize("keeps", [False, True])
def test_a_saga_whose_code_catches_everything_is_undone_wherever_it_is_killed(saga, keeps, caplog):
    caplog.set_level(logging.CRITICAL, "actorflow")
    n = 0
    while True:
        n += 1
        OUTSIDE.clear()
        found = lived(saga, [Life(commit=n)], seed=n, keeps=keeps)
        assert (found.status, found.was_stuck) == ("compensated", False)
        assert not OUTSIDE.done
        if not found.deaths:
            break
    assert n > 5


# --- parts that run beside each other ---------------------------------------------------------------------------------


@af.saga
async def leg(fails: bool) -> None:
    await flight.submit("ann", "s")
    if fails:
        await card.submit(1)
    await hotel.submit("ann")


@af.saga
async def legs() -> None:
    await seat.submit("ann")
    found = await asyncio.gather(leg(True), leg(False), return_exceptions=True)
    LOG.append(" ".join(sorted(OUTSIDE.order)))
    assert [type(one) for one in found] == [af.StepFailed, type(None)]


def test_sagas_that_are_called_beside_each_other_are_parts_of_their_own():
    OUTSIDE.clear(card=["raises"])
    with VirtualSystem("test", seed=1) as system:
        run = system.start(legs)
        assert run.result() is None
    assert LOG == ["-flight flight flight hotel seat"]


# --- on threads -------------------------------------------------------------------------------------------------------

OPEN = threading.Event()


@af.saga
def never_lets_go() -> None:
    seat("ann")
    while not OPEN.is_set():
        with contextlib.suppress(BaseException):
            af.branch(af.wait, str).get()


@pytest.mark.slow
def test_a_saga_on_threads_is_undone_though_its_code_catches_everything(caplog):
    OPEN.clear()
    try:
        with af.ActorSystem("test") as system:
            run = system.start(never_lets_go)
            until(lambda: run.steps)  # else its first step would let the cancel pass
            run.cancel()
            with pytest.raises(af.RunCancelled, match="was left there"):
                run.result(timeout=100)
            assert run.status == "compensated"
            OPEN.set()
    finally:
        OPEN.set()
    assert OUTSIDE.order == ["seat", "-seat"]
    assert caplog.text.count("it is left there, and the saga is undone") == 1
