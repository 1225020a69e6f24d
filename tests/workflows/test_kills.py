"""Kills: a system that has runs dies after any of its steps, and another one goes on with them."""

from __future__ import annotations

import pytest

import actorflow as af
from actorflow.core.drivers.world import World
from actorflow.testing import LeakCheck, VirtualSystem
from tests.workflows.bodies import Approved, number_async

BEGUN: list[str] = []


@af.task
def noted(n: int) -> int:
    """Note that it was run, and return twice the number."""
    BEGUN.append(af.current().key)
    return 2 * n


@af.workflow
def order(n: int) -> list[object]:
    """Steps in a row, beside each other, a wait and a sleep."""
    first = noted(n)
    two = af.gather(noted.submit(first), number_async.submit(n)).get()
    who = af.wait(Approved)
    af.sleep(0.2)
    return [first, [*two], who.name, noted(n + 1)]


@af.workflow
async def order_async(n: int) -> list[object]:
    """The same, async."""
    first = await noted.submit(n)
    two = await af.gather(noted.submit(first), number_async.submit(n))
    who = await af.signal(Approved)
    await af.timer(0.2)
    return [first, [*two], who.name, await noted.submit(n + 1)]


@af.workflow
def part(n: int) -> int:
    """One step, as a child."""
    return noted(n)


@af.workflow
def order_of_children(n: int) -> list[object]:
    """The same, by children."""
    first = part(n)
    two = af.gather(part.submit(first), number_async.submit(n)).get()
    who = af.wait(Approved)
    af.sleep(0.2)
    return [first, [*two], who.name, part(n + 1)]


@af.workflow
def order_of_branches(n: int) -> list[object]:
    """The same, by branches."""
    first = noted(n)
    two = af.gather(af.branch(lambda: noted(first)), af.branch(lambda: number_async.submit(n).get())).get()
    who = af.branch(af.wait, Approved)
    af.branch(af.sleep, 3).get()
    return [first, [*two], who.get().name, noted(n + 1)]


def result_of(n: int) -> list[object]:
    return [2 * n, [4 * n, [n]], "ann", 2 * n + 2]


FLOWS = [order, order_async, order_of_children, order_of_branches]


def killed_after(steps: int, workflow: object) -> tuple[list[str], bool]:
    """Run one in a system that dies after so many steps; return what was begun, and whether it died in time."""
    BEGUN.clear()
    with World(seed=steps) as world, af.open_store() as store:
        a = VirtualSystem._within(world, "a", store=store)
        b = VirtualSystem._within(world, "b", store=store)
        try:
            run = b.start(workflow.options(id="run"), 5)
            run.signal(Approved("ann"), id="once")
            died = not sleeps_through(b, 20, steps)
            b._kill()
            with pytest.raises(af.ActorflowError):
                b.get_run("run").signal(Approved("late"))
            again = a.get_run("run")
            assert again.signal(Approved("ann"), id="once") is False
            recorded = {f"run/run/{step.branch}/{step.name}/{step.occurrence}" for step in again.steps}
            BEGUN[:] = [key for key in BEGUN if key not in recorded]
            assert again.result(timeout=200) == result_of(5)
            assert not recorded.intersection(BEGUN)  # no recorded step was run again
            return BEGUN, died
        finally:
            b.stop()
            a.stop()


def sleeps_through(system: VirtualSystem, seconds: float, steps: int) -> bool:
    """Let time pass, or so many steps; say which came first."""
    scheduler = system.scheduler.world
    limit, scheduler.step_limit = scheduler.step_limit, steps
    try:
        system.sleep(seconds)
    except af.StuckError:
        return False
    finally:
        scheduler.step_limit = limit
    return True


@pytest.mark.slow(quick=["0-plain", "1-async", "2-children", "3-branches"])
@pytest.mark.parametrize("workflow", FLOWS, ids=["plain", "async", "children", "branches"])
@pytest.mark.parametrize("part", range(5))
def test_a_run_goes_on_wherever_its_system_is_killed(workflow, part):
    with LeakCheck():
        died = [killed_after(steps, workflow)[1] for steps in range(part, 120, 5)]
    assert any(died)
