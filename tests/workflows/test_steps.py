"""Promises about single steps: what a task is given, what a step leaves behind, and how an await of one ends."""

from __future__ import annotations

import asyncio
import gc

import pytest

import actorflow as af
from actorflow.tasks.execution import Attempt
from actorflow.testing import VirtualSystem
from actorflow.workflows.body.steps import TaskStep, hash_of
from actorflow.workflows.node import runners
from tests.queues.tasks import until
from tests.workflows import tasks
from tests.workflows.bodies import number

STEPS = 50
LIMIT = 60


def left() -> int:
    """Return how many objects of steps there are."""
    return sum(issubclass(type(found), TaskStep | Attempt) for found in gc.get_objects())  # a __class__ may raise


@af.workflow
def many_steps() -> int:
    """Take steps, and count what they leave."""
    before = left()
    for n in range(STEPS):
        number(n)
    return left() - before


@af.workflow
async def many_steps_async() -> int:
    """The same, async."""
    before = left()
    for n in range(STEPS):
        await number.submit(n)
    return left() - before


@pytest.mark.parametrize("flow", [many_steps, many_steps_async], ids=["sync", "async"])
def test_a_step_that_is_over_leaves_nothing_to_the_garbage_collector(flow):
    gc.collect()
    gc.disable()
    try:
        with VirtualSystem(seed=1) as system:
            assert system.start(flow).result(timeout=LIMIT) < STEPS / 5
    finally:
        gc.enable()


@af.task
def grown(items: list[int], *more: int) -> list[int]:
    """Change what it was given."""
    items += more
    return items


@af.workflow
def changes() -> list[list[int]]:
    """Have a task change its arguments."""
    items = [1]
    return [grown(items, 2), items, grown(items, 3)]


def test_a_task_changes_a_copy_of_its_arguments():
    with VirtualSystem(seed=1) as system:
        assert system.start(changes).result(timeout=LIMIT) == [[1, 2], [1], [1, 3]]


@af.workflow
async def cancels_an_await() -> list[object]:
    """Cancel a task that awaits a step, with a message, and one that does not heed it at first."""
    heard: list[object] = []

    async def heeds() -> None:
        try:
            await af.timer(60)
        except asyncio.CancelledError as error:
            heard.append(list(error.args))
            raise

    async def goes_on() -> list[int]:
        try:
            await af.timer(60)
        except asyncio.CancelledError:
            heard.append("once")
        return await number.submit(7)

    tasks = [asyncio.ensure_future(heeds()), asyncio.ensure_future(goes_on())]
    await number.submit(1)
    tasks[0].cancel("too late")
    tasks[1].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    return [heard, type(done[0]).__name__, done[1]]


def test_a_cancelled_await_of_a_step_raises_what_asyncio_would():
    with VirtualSystem(seed=1) as system:
        found = system.start(cancels_an_await).result(timeout=LIMIT)
    assert found[0] == [["too late"], "once"]
    assert found[1] == "CancelledError"
    assert found[2] == [7]


@af.workflow
async def awaits_in_two() -> list[object]:
    """Await one step in several tasks, before and after it is over."""
    step = number.submit(3)

    async def wait() -> object:
        return await step

    return [await asyncio.gather(*(wait() for _ in range(3))), await step, await wait()]


def test_one_step_may_be_awaited_by_several_tasks():
    with VirtualSystem(seed=1) as system:
        assert system.start(awaits_in_two).result(timeout=LIMIT) == [[[3]] * 3, [3], [3]]


def test_short_arguments_stand_for_themselves_and_long_ones_have_a_digest():
    assert hash_of(b"[[3],{}]") == b"[[3],{}]"
    long = b"[[" + b"1," * 50 + b"1],{}]"
    assert len(hash_of(long)) == 16
    assert hash_of(long) != hash_of(long.replace(b"1", b"2"))


@af.workflow
async def many_that_wait(count: int) -> list[str]:
    """Have many steps run that wait for the gate."""
    return await af.gather([tasks.wait_for_gate.submit() for _ in range(count)])


def test_plain_steps_that_are_too_many_wait_for_a_runner(monkeypatch):
    monkeypatch.setattr(runners, "MOST", 2)
    with af.ActorSystem("steps", store="memory:") as system:
        run = system.start(many_that_wait, 5)
        for _ in range(2):
            assert tasks.begun.acquire(timeout=LIMIT)
        node = system.run_node
        assert node is not None
        until(lambda: len(node.places.waiting) == 3, LIMIT)
        assert not tasks.begun.acquire(blocking=False)  # of the others none was given to a runner
        tasks.gate.set()
        assert run.result(timeout=LIMIT) == ["open"] * 5


@af.workflow
async def goes_on_without(count: int) -> list[object]:
    """Give a step up that hangs, and take others."""
    try:
        await tasks.wait_for_gate.options(timeout=0.05).submit()
    except af.TaskTimeout:
        seen: list[object] = ["given up"]
    return seen + [await number.submit(n) for n in range(count)]


def test_a_plain_step_that_is_given_up_leaves_its_place_to_another_runner(monkeypatch):
    monkeypatch.setattr(runners, "MOST", 1)
    with af.ActorSystem("steps", store="memory:") as system:
        run = system.start(goes_on_without, 3)
        assert run.result(timeout=LIMIT) == ["given up", [0], [1], [2]]  # while the thread of the first one hangs
        node = system.run_node
        assert node is not None
        tasks.gate.set()
        until(lambda: not node.places.given_up, LIMIT)
        assert system.start(many_that_wait, 3).result(timeout=LIMIT) == ["open"] * 3
