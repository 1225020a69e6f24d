"""Promises: a paused run ends what is under way, begins nothing, keeps its signals, and goes on when it is resumed."""

from __future__ import annotations

import pytest

import actorflow as af
from actorflow.core.drivers.world import World
from actorflow.store.codec import encode
from actorflow.testing import LeakCheck, VirtualSystem
from actorflow.workflows.rows import ledger
from actorflow.workflows.stored_runs import StoredRuns
from tests.workflows.bodies import Approved
from tests.workflows.test_kills import sleeps_through

RAN: list[object] = []


@af.task
def slow(n: int) -> int:
    """Take five seconds."""
    af.timer(5).get()
    RAN.append(n)
    return n


@af.task(retry=af.Retry(5, af.Backoff(1000)))
def failing(n: int) -> int:
    """Fail once."""
    RAN.append(("failing", n))
    if RAN.count(("failing", n)) < 2:
        raise ValueError(n)
    return n


@af.workflow(name="pauses.plain")
def plain() -> list[object]:
    """Slow steps, one of them beside; a timer, and a signal."""
    beside = slow.submit(1)
    try:
        some = [slow(2), beside.get()]
        af.sleep(10)
        name = af.wait(Approved).name
        return [*some, name, slow(3)]
    finally:
        slow(4)


@af.workflow(name="pauses.asynchronous")
async def asynchronous() -> list[object]:
    """The same, async."""
    beside = slow.submit(1)
    try:
        some = [await slow.submit(2), await beside]
        await af.timer(10)
        name = (await af.signal(Approved)).name
        return [*some, name, await slow.submit(3)]
    finally:
        await slow.submit(4)


@af.workflow(name="pauses.tries")
def tries() -> int:
    """A step whose first attempt fails."""
    return failing(1)


@af.workflow(name="pauses.parents")
def parents() -> list[object]:
    """Have a child."""
    return plain.options(id="child")()


FLOWS = [plain, asynchronous]
RESULT = [2, 1, "ann", 3]


@pytest.fixture
def system():
    RAN.clear()
    with LeakCheck(), VirtualSystem("test", seed=3) as running:
        yield running


@pytest.mark.parametrize("workflow", FLOWS)
def test_a_paused_run_ends_what_is_under_way_and_begins_nothing_more(system, workflow):
    run = system.start(workflow)
    heard: list[str] = []
    run.subscribe(lambda event: heard.append(event.kind))
    system.sleep(1)
    assert run.pause() is True
    system.sleep(100)
    assert run.status == "paused"
    assert sorted(RAN) == [1, 2]
    assert len(run.steps) == 2
    assert run.signal(Approved("ann")) is True
    system.sleep(100)
    assert run.status == "paused"
    assert sorted(RAN) == [1, 2]
    assert run.pause() is True
    assert run.resume() is True
    assert run.result(timeout=100) == RESULT
    assert sorted(RAN) == [1, 2, 3, 4]
    assert [kind for kind in heard if kind in ("paused", "resumed")] == ["paused", "resumed"]
    assert (run.pause(), run.resume()) == (False, False)


@pytest.mark.parametrize("workflow", FLOWS)
def test_the_end_of_a_timer_waits_for_the_end_of_the_pause(system, workflow):
    run = system.start(workflow.options(signal=Approved("ann")))
    system.sleep(7)  # in the sleep of ten seconds
    run.pause()
    system.sleep(1000)
    assert (run.status, len(run.steps)) == ("paused", 2)
    run.resume()
    began = system.scheduler.clock.monotonic()
    assert run.result(timeout=100) == RESULT
    assert system.scheduler.clock.monotonic() - began < 15  # the sleep was over


def test_a_pause_between_two_attempts_comes_at_once(system):
    run = system.start(tries)
    system.sleep(5)
    run.pause()
    system.sleep(5)
    assert run.status == "paused"
    system.sleep(5000)
    assert len(RAN) == 1
    run.resume()
    assert run.result(timeout=5000) == 1


@pytest.mark.parametrize("workflow", FLOWS)
def test_a_cancel_ends_a_pause_and_clean_up_code_runs(system, workflow):
    run = system.start(workflow)
    system.sleep(1)
    run.pause()
    system.sleep(20)
    assert run.status == "paused"
    run.cancel()
    with pytest.raises(af.RunCancelled):
        run.result(timeout=100)
    assert sorted(RAN) == [1, 2, 4]


def test_a_child_that_is_paused_ends_with_its_cancelled_parent(system):
    run = system.start(parents)
    system.sleep(1)
    child = system.get_run("child")
    child.pause()
    system.sleep(20)
    assert (child.status, run.status) == ("paused", "running")
    run.cancel()
    with pytest.raises(af.RunCancelled):
        run.result(timeout=100)
    with pytest.raises(af.RunCancelled):
        child.result(timeout=100)


def test_a_run_that_is_paused_before_it_begins_begins_when_it_is_resumed(system):
    new = ledger.NewRun("late", plain.name, encode([[], {}]))
    system.store.write(lambda tx: ledger.add(tx, new, system.scheduler.clock.time(), None))
    assert StoredRuns(system.store).pause("late") is True  # before anybody looks for runs
    run = system.get_run("late")
    run.signal(Approved("ann"))
    system.sleep(50)
    assert (run.status, RAN) == ("paused", [])
    run.resume()
    assert run.result(timeout=100) == RESULT


def test_a_pause_that_is_withdrawn_at_once_changes_nothing(system):
    run = system.start(plain.options(signal=Approved("ann")))
    system.sleep(1)
    run.pause()
    run.resume()
    assert run.result(timeout=100) == RESULT
    assert sorted(RAN) == [1, 2, 3, 4]


def test_a_paused_run_is_not_retried_and_an_unknown_one_is_not_paused(system):
    run = system.start(plain)
    system.sleep(20)
    run.pause()
    system.sleep(5)
    with pytest.raises(af.DefinitionError, match="is paused: resume it"):
        run.retry()
    for call in (system.get_run("nobody").pause, system.get_run("nobody").resume):
        with pytest.raises(af.DefinitionError, match="there is no run nobody"):
            call()
    run.cancel()


def killed_after(steps: int, workflow: object) -> bool:
    """Pause a run in a system that dies so many steps later; say whether it died in time."""
    RAN.clear()
    with World(seed=steps) as world, af.open_store() as store:
        a = VirtualSystem._within(world, "a", store=store)
        b = VirtualSystem._within(world, "b", store=store)
        try:
            b.start(workflow.options(id="run", signal=Approved("ann")))
            b.sleep(1)
            b.get_run("run").pause()
            died = not sleeps_through(b, 20, steps)
            b._kill()
            run = a.get_run("run")
            a.sleep(200)
            assert run.status == "paused"
            assert set(RAN) <= {1, 2}
            run.resume()
            assert run.result(timeout=200) == RESULT
            return died
        finally:
            b.stop()
            a.stop()


@pytest.mark.parametrize("workflow", FLOWS)
def test_a_pause_outlives_its_process_wherever_that_is_killed(workflow):
    with LeakCheck():
        died = [killed_after(steps, workflow) for steps in range(1, 60, 3)]
    assert any(died)
