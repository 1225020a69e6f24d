"""Clocks that were ahead and are set right: waits of runs end after their seconds, and not later."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

import actorflow as af
from actorflow.core.drivers.world import World
from actorflow.testing import VirtualSystem
from actorflow.workflows.node.giving_back import next_wake
from tests.core.actors import until
from tests.workflows.bodies import Approved, number

AHEAD = 7200.0  # seconds


@af.workflow
def sleeps(seconds: float) -> int:
    """Sleep between two steps."""
    number(1)
    af.sleep(seconds)
    return number(2)[0]


@af.workflow
def waits(seconds: float) -> object:
    """Wait for a signal in vain."""
    number(1)
    return af.wait(Approved, timeout=seconds)


@af.workflow
async def waits_async(seconds: float) -> object:
    """The same, async."""
    await number.submit(1)
    try:
        async with asyncio.timeout(seconds):
            return await af.signal(Approved)
    except TimeoutError:
        return None


@af.workflow
def waits_for_ever(seconds: float) -> object:
    """Wait without a limit."""
    return af.wait(Approved)


def set_clock(system: VirtualSystem, by: float) -> None:
    """Set the clock forward or back."""
    system.scheduler.clock._epoch += by


FLOWS = [sleeps, waits, waits_async]
IDS = ["sleep", "wait", "async wait"]


@pytest.mark.parametrize("workflow", FLOWS, ids=IDS)
@pytest.mark.parametrize("seconds", [30, 1000])
def test_a_wait_under_way_ends_in_time_though_the_clock_is_set_back(workflow, seconds):
    with VirtualSystem("test", seed=1) as system:
        set_clock(system, AHEAD)
        run = system.start(workflow, seconds)
        system.sleep(5)
        set_clock(system, -AHEAD)
        run.result(timeout=10 * AHEAD)
        assert seconds <= system.now <= seconds + 1


@pytest.mark.parametrize("workflow", FLOWS, ids=IDS)
def test_a_wait_that_nobody_has_loaded_ends_in_time_though_the_clock_is_set_back(workflow):
    with World(seed=1) as world, af.open_store() as store:
        stays = VirtualSystem._within(world, "stays", store=store)
        leaves = VirtualSystem._within(world, "leaves", store=store)
        try:
            set_clock(stays, AHEAD)
            began = stays.now
            run = stays.get_run(leaves.start(workflow.options(id="run"), 1000).id)
            leaves.sleep(5)
            leaves.stop()  # gives it back: it waits in the store
            set_clock(stays, -AHEAD)
            run.result(timeout=10 * AHEAD)
            assert 1000 <= stays.now - began <= 1070  # the clock is looked at each minute
        finally:
            leaves.stop()
            stays.stop()


@pytest.mark.parametrize("workflow", FLOWS, ids=IDS)
def test_a_wait_ends_in_its_time_after_a_start_at_which_the_clock_is_right_again(workflow):
    with World(seed=1) as world, af.open_store() as store:
        before = VirtualSystem._within(world, "before", store=store)
        set_clock(before, AHEAD)
        before.start(workflow.options(id="run"), 1000)
        before.sleep(5)
        before.stop()
        set_clock(before, -AHEAD)
        after = VirtualSystem._within(world, "after", store=store)
        try:
            began = after.now
            after.get_run("run").result(timeout=10 * AHEAD)
            assert 990 <= after.now - began <= 1010
        finally:
            after.stop()


@pytest.mark.parametrize("workflow", FLOWS, ids=IDS)
def test_a_wait_lasts_though_its_system_ends_in_order(workflow):
    with World(seed=1) as world, af.open_store() as store:
        before = VirtualSystem._within(world, "before", store=store)
        began = before.now
        before.start(workflow.options(id="run"), 1000)
        before.sleep(5)
        before.stop()
        after = VirtualSystem._within(world, "after", store=store)
        try:
            after.get_run("run").result(timeout=10 * AHEAD)
            assert 1000 <= after.now - began <= 1010
        finally:
            after.stop()


def test_a_deadline_ends_a_run_in_time_though_the_clock_is_set_back():
    with VirtualSystem("test", seed=1) as system:
        set_clock(system, AHEAD)
        run = system.start(waits_for_ever.options(deadline=300), 0)
        system.sleep(5)
        set_clock(system, -AHEAD)
        with pytest.raises(af.RunCancelled, match="deadline"):
            run.result(timeout=10 * AHEAD)
        assert 300 <= system.now <= 301


def test_a_clock_that_is_set_forward_ends_waits_whose_time_has_come():
    with VirtualSystem("test", seed=1) as system:
        run = system.start(sleeps, 1000)
        system.sleep(5)
        set_clock(system, AHEAD)
        assert run.result(timeout=AHEAD) == 2
        assert system.now <= 70  # the clock is looked at each minute


def test_on_a_real_store_a_wait_ends_in_time_though_the_clock_is_set_back(url, begin, monkeypatch):
    system = begin()
    clock, ahead = system.scheduler.clock, [AHEAD]

    class Wrong:
        """A clock that can be set."""

        monotonic = staticmethod(clock.monotonic)

        @staticmethod
        def time() -> float:
            return clock.time() + ahead[0]

    monkeypatch.setattr(system.scheduler, "clock", Wrong)
    began = clock.monotonic()
    run = system.start(sleeps, 1.0)
    while not run.steps:
        system.runs().count()
    ahead[0] = 0.0
    assert run.result(timeout=60) == 2
    assert clock.monotonic() - began >= 1.0


def is_asleep(system: af.ActorSystem, name: str) -> bool:
    """Say whether the code of a run has come to its timer."""
    with contextlib.suppress(RuntimeError):  # a step comes or goes during the look
        return next_wake(system.run_node.bodies[name]) is not None
    return False


@pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)
def test_the_wakes_of_runs_that_wait_are_set_back_on_each_store(url, begin):
    before = begin()
    run = before.start(sleeps.options(id="run"), 3600)
    until(lambda: run.steps and is_asleep(before, "run"))  # its code may come to the sleep later than its step ends
    before.stop()
    after = begin("after")
    after.runs().count()
    store = after.store
    (wake,) = store.read(lambda tx: tx.one("runs.next_wake"))
    assert store.read(lambda tx: tx.one("runs.newest"))[0] < wake
    assert store.write(lambda tx: tx.run("runs.set_back", {"by": 600.0, "now": wake - 1000})) == 1
    assert store.read(lambda tx: tx.one("runs.next_wake"))[0] == pytest.approx(wake - 600)
