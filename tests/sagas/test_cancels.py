"""Promises: a cancel of an async saga has it undone, whenever it comes, and though its code catches CancelledError."""

from __future__ import annotations

import asyncio

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
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
