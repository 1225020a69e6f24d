"""Promises: a system that ends gives its runs back soon, with nothing lost of the steps that were under way."""

from __future__ import annotations

import asyncio

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.workflows.bodies import Approved, number

BEGUN: list[int] = []
FAILED: list[str] = []


@af.task
def long(n: int) -> int:
    BEGUN.append(n)
    af.timer(3).get()
    return n


@af.task
async def long_async(n: int) -> int:
    BEGUN.append(n)
    await asyncio.sleep(3)
    return n


@af.workflow(name="stops.plain")
def plain() -> list[int]:
    try:
        some = [long.submit(1), long_async.submit(2)]
        third = long(3)
        number(4)
        return [*(future.get() for future in some), third]
    except Exception as error:
        FAILED.append(repr(error))
        raise


@af.workflow(name="stops.asynchronous")
async def asynchronous() -> list[int]:
    try:
        some = await af.gather(long.submit(1), long_async.submit(2), long.submit(3))
        await number.submit(4)
    except Exception as error:
        FAILED.append(repr(error))
        raise
    return [*some]


@pytest.mark.parametrize("workflow", [plain, asynchronous])
@pytest.mark.parametrize("seed", range(3))
def test_steps_that_are_under_way_when_the_system_ends_are_recorded_and_not_run_again(workflow, seed):
    BEGUN.clear()
    FAILED.clear()
    with af.open_store() as store:
        with VirtualSystem(store=store, seed=seed) as system:
            system.start(workflow.options(id="x"))
            system.sleep(1)
            assert sorted(BEGUN) == [1, 2, 3]
        with VirtualSystem(store=store, seed=seed) as system:
            assert system.get_run("x").result(timeout=60) == [1, 2, 3]
    assert sorted(BEGUN) == [1, 2, 3]
    assert FAILED == []


@pytest.mark.parametrize("workflow", [plain, asynchronous])
@pytest.mark.parametrize("after", [n / 4 for n in range(16)])
def test_a_stop_at_any_moment_reaches_no_failure_path_and_loses_nothing(workflow, after):
    FAILED.clear()
    with af.open_store() as store:
        with VirtualSystem(store=store, settings=af.Settings(grace=0.5)) as system:
            system.start(workflow.options(id="x"))
            system.sleep(after)
        with VirtualSystem(store=store) as system:
            assert system.get_run("x").result(timeout=60) == [1, 2, 3]
    assert FAILED == []


@af.workflow(name="stops.stubborn")
def stubborn() -> None:
    while True:
        try:
            af.wait(Approved)
        except BaseException:
            number(1)


def test_a_stop_in_real_time_is_prompt_whatever_the_runs_do():
    with af.ActorSystem("prompt", settings=af.Settings(grace=0.5)) as system:
        for n in range(20):
            system.start(plain.options(id=f"p{n}"))
            system.start(stubborn.options(id=f"s{n}"))
        began = system.scheduler.clock.monotonic()
    assert system.scheduler.clock.monotonic() - began < 20
