"""Promises: a run that is cancelled at any moment ends soon, whatever its steps do, and its clean-up code runs once."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

import actorflow as af
from actorflow.core.drivers.world import World
from actorflow.testing import VirtualSystem
from tests.workflows.bodies import Approved, number

CLEANED: list[str] = []
LOOKED: list[bool] = []


@af.task
def looks() -> str:
    """Look whether it is cancelled."""
    for _ in range(400):
        if af.current().cancelled:
            LOOKED.append(True)
            return "looked"
        af.timer(0.25).get()
    return "never"


@af.task
def deaf(seconds: float) -> str:
    """Take its time."""
    af.timer(seconds).get()
    return "over"


@af.task
async def deaf_async(seconds: float) -> str:
    """Take its time."""
    await asyncio.sleep(seconds)
    return "over"


@af.task(retry=af.Retry(5, af.Backoff(500)))
def pauses() -> None:
    """Wait long for its next attempt."""
    raise OSError("not yet")


@af.task
def cleans(run: str) -> None:
    """Note that it was run."""
    CLEANED.append(run)


@af.workflow(name="cancels.plain")
def plain() -> None:
    """Take steps of all kinds, one after the other and beside each other."""
    try:
        number(1)
        deaf(1.0)
        some = [number.submit(n) for n in range(3)]
        af.sleep(1.0)
        deaf.map([1.0] * 3, limit=1).get()
        deaf_async.submit(2.0).get()
        af.gather(some).get()
        af.wait(Approved)
    finally:
        cleans("plain")


@af.workflow(name="cancels.asynchronous")
async def asynchronous() -> None:
    """The same, async."""
    try:
        await number.submit(1)
        await deaf.submit(1.0)
        some = [number.submit(n) for n in range(3)]
        await af.timer(1.0)
        await deaf.map([1.0] * 3, limit=1)
        await deaf_async(2.0)
        await af.gather(some)
        await af.signal(Approved)
    finally:
        await cleans.submit("asynchronous")


@af.workflow(name="cancels.of")
def of(kind: str) -> None:
    """Take one step that lasts."""
    steps = {
        "looks": looks,
        "deaf": lambda: deaf(1000.0),
        "submitted": lambda: deaf.submit(1000.0).get(),
        "async": lambda: deaf_async.submit(1000.0).get(),
        "pauses": pauses,
        "pauses beside": lambda: pauses.submit().get(),
        "nobody waits": lambda: [deaf.submit(1000.0), deaf_async.submit(1000.0), number(1), af.sleep(1000)],
    }
    try:
        steps[kind]()
    finally:
        cleans(kind)


@pytest.mark.parametrize("workflow", [plain, asynchronous])
@pytest.mark.parametrize("after", [n / 4 + 0.01 for n in range(36)])
def test_a_run_can_be_cancelled_at_every_moment_and_cleans_up_once(workflow, after):
    CLEANED.clear()
    with VirtualSystem() as system:
        run = system.start(workflow)
        system.sleep(after)
        assert run.cancel()
        assert run.cancel() in {True, False}
        with pytest.raises(af.RunCancelled):
            run.result(timeout=30)
        assert run.status == "cancelled"
    assert len(CLEANED) == 1


@pytest.mark.parametrize("kind", ["looks", "deaf", "submitted", "async", "pauses", "pauses beside", "nobody waits"])
def test_a_cancel_ends_the_step_that_runs_by_force_if_it_does_not_look(kind):
    CLEANED.clear()
    LOOKED.clear()
    with VirtualSystem() as system:
        run = system.start(of, kind)
        system.sleep(5)
        assert run.cancel()
        with pytest.raises(af.RunCancelled):
            run.result(timeout=30)
        assert [kind] == CLEANED
        assert [True] * (kind == "looks") == LOOKED


@pytest.mark.parametrize("workflow", [plain, asynchronous])
@pytest.mark.parametrize("steps", range(5, 300, 7))
def test_a_cancel_right_after_any_step_of_the_system_is_heard_once(workflow, steps):
    CLEANED.clear()
    with VirtualSystem(seed=steps) as system:
        run = system.start(workflow)
        world = system.scheduler.world
        limit, world.step_limit = world.step_limit, steps
        try:
            system.sleep(20)
        except af.StuckError:
            pass
        finally:
            world.step_limit = limit
        run.cancel()
        with pytest.raises(af.RunCancelled):
            run.result(timeout=30)
    assert len(CLEANED) <= 1


@af.workflow
async def swallows(log: str) -> None:
    """Go on for ever, whatever is cancelled; steps that it runs first may take their time."""
    try:
        await af.timer(10_000)
    except asyncio.CancelledError:
        await slowly.submit(5.0)
    while True:
        try:
            await af.signal(Approved)
        except asyncio.CancelledError:
            continue


@af.task
async def slowly(seconds: float) -> float:
    """Take a while."""
    await asyncio.sleep(seconds)
    return seconds


@af.workflow
def swallows_plain(kind: str) -> None:
    """Catch the cancel, clean up in five seconds, and wait for ever; or have a branch do so."""

    def waits() -> None:
        while True:
            with contextlib.suppress(Exception):
                af.wait(Approved) if kind != "time" else af.sleep(1)

    try:
        af.branch(waits).get() if kind == "branch" else af.wait(Approved)
    except af.RunCancelled:
        deaf(5)
    waits()


@pytest.mark.parametrize(
    ("code", "kind", "seconds"),
    [
        (swallows, "x", 60),
        (swallows_plain, "signal", 20),
        (swallows_plain, "time", 80),
        (swallows_plain, "branch", 80),
    ],
    ids=["async", "signal", "time", "branch"],
)
def test_code_that_catches_its_cancel_and_waits_on_is_ended_and_reported(code, kind, seconds, caplog) -> None:
    with VirtualSystem(seed=5) as system:
        run = system.start(code.options(id="stays"), kind)
        system.sleep(1)
        run.cancel()
        system.sleep(4)
        assert run.status == "running"  # its clean-up step takes five seconds
        with pytest.raises(af.RunCancelled):
            run.result(timeout=seconds)
        assert run.status == "cancelled"
        steps = [step for step in run.steps if code is swallows or "deaf" in step.name]  # plain waits are steps, too
        assert [step.status for step in steps] == ["completed"]
        assert "Run stays: its code goes on after its cancel" in caplog.text


@pytest.mark.parametrize(("code", "kind"), [(swallows, "x"), (swallows_plain, "signal")], ids=["async", "plain"])
def test_code_that_catches_its_cancel_is_ended_also_after_its_process_was_killed(code, kind) -> None:
    with World(seed=1) as world, af.open_store() as store:
        a = VirtualSystem._within(world, "a", store=store)
        b = VirtualSystem._within(world, "b", store=store)
        try:
            run = b.start(code.options(id="run"), kind)
            b.sleep(1)
            run.cancel()
            b.sleep(5.5)
            b._kill()
            with pytest.raises(af.RunCancelled):
                a.get_run("run").result(timeout=200)
        finally:
            b.stop()
            a.stop()


@af.workflow
async def polls_on(log: str) -> None:
    """Look at the time for ever."""
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(1)


def test_async_code_that_catches_its_cancel_and_waits_for_time_has_a_minute() -> None:
    with VirtualSystem(seed=5) as system:
        run = system.start(polls_on, "x")
        system.sleep(1.5)
        run.cancel()
        system.sleep(50)
        assert run.status == "running"
        with pytest.raises(af.RunCancelled):
            run.result(timeout=60)
