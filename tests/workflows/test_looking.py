"""Looking: the events of runs, lists of runs, and how long they are kept."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.workflows.bodies import Approved, boom, number

TRIES: list[int] = []


@af.task(retry=af.Retry(2, af.Backoff(1)))
def flaky() -> str:
    """Fail the first time."""
    TRIES.append(1)
    if len(TRIES) == 1:
        raise ValueError("once")
    return "well"


@af.workflow
def watched() -> str:
    """A step that is tried again, one that fails, a sleep and a signal."""
    flaky()
    with contextlib.suppress(af.StepFailed):
        boom("no")
    af.sleep(1)
    return af.wait(Approved).name


@af.workflow
async def watched_async() -> str:
    """The same, async."""
    await flaky.submit()
    with contextlib.suppress(af.StepFailed):
        await boom.submit("no")
    await af.timer(1)
    return (await af.signal(Approved)).name


def short(event: af.RunEvent) -> tuple[str, str | None]:
    return event.kind, event.step and event.step.split(" ")[0].rpartition(".")[2]


STEPS = [
    ("step started", "flaky"),
    ("step retried", "flaky"),
    ("step started", "flaky"),
    ("step completed", "flaky"),
    ("step started", "boom"),
    ("step failed", "boom"),
]


@pytest.mark.parametrize("workflow", [watched, watched_async])
def test_a_listener_hears_of_all_that_a_run_does(workflow: Any) -> None:
    TRIES.clear()
    with VirtualSystem("test", seed=1) as system:
        heard: list[af.RunEvent] = []
        system.subscribe(af.RunEvent, heard.append)
        run = system.start(workflow.options(id="run"))
        run.signal(Approved("ann"))
        assert run.result() == "ann"
        system.sleep(1)
        assert [short(event) for event in heard if event.kind != "waiting"] == [
            ("started", None),
            *STEPS,
            ("step completed", "timer"),
            ("step completed", "signal"),
            ("completed", None),
        ]
        assert [event.detail for event in heard if event.kind == "waiting"][:1] == [
            "timer" if workflow is watched else "timer (0.3, 1)"
        ]
        assert {event.run for event in heard} == {"run"}
        seen = [short(event) for event in run.history]
        assert seen == [short(event) for event in heard if event.kind != "waiting"]
        timeline = run.timeline()
        assert len({step.name for step in timeline.steps}) == sum(step.task != "" for step in run.steps)
        assert timeline.critical_path[-1].ended == max(step.ended for step in timeline.steps)
        assert all(name in {step.name for step in timeline.steps} for step in timeline.steps for name in step.after)
        tried = [step for step in timeline.steps if step.tries]
        assert [(step.attempts, [type(one.error) for one in step.tries]) for step in tried] == [(2, [ValueError])]
        assert run.progress == (len(run.steps), len(run.steps))


def test_an_event_comes_after_its_commit() -> None:
    with VirtualSystem("test", seed=1) as system:
        seen: list[int] = []

        def look(event: af.RunEvent) -> None:
            if event.kind == "step completed":
                seen.append(len(run.steps))

        run = system.start(count.options(id="run"))
        run.subscribe(look)
        run.result()
        system.sleep(1)
        assert len(seen) == 3
        assert all(there > n for n, there in enumerate(seen))


def test_a_listener_that_raises_is_logged_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with VirtualSystem("test", seed=1) as system:

        def fails(_event: af.RunEvent) -> None:
            raise RuntimeError("of the listener")

        run = system.start(count.options(id="run"))
        run.subscribe(fails)
        assert run.result() == 3
        system.sleep(1)
    assert "of the listener" in caplog.text


@af.workflow
def count() -> int:
    """Three steps."""
    return sum(number(1)[0] for _ in range(3))


def test_a_run_is_listened_to_alone_and_until_the_subscription_is_cancelled() -> None:
    with VirtualSystem("test", seed=1) as system:
        heard: list[af.RunEvent] = []
        first = system.start(watched.options(id="first"))
        subscription = first.subscribe(heard.append)
        system.start(count.options(id="other")).result()
        system.sleep(5)
        assert heard
        assert {event.run for event in heard} == {"first"}
        subscription.cancel()
        count_before = len(heard)
        first.signal(Approved("ann"))
        first.result()
        system.sleep(1)
        assert len(heard) == count_before


def test_a_run_that_is_cancelled_says_so() -> None:
    with VirtualSystem("test", seed=1) as system:
        heard: list[af.RunEvent] = []
        run = system.start(watched.options(id="run"))
        run.subscribe(heard.append)
        system.sleep(5)
        run.cancel()
        with pytest.raises(af.RunCancelled):
            run.result()
        system.sleep(1)
        assert heard[-1].kind == "cancelled"
        assert run.history[-1].kind == "cancelled"


@af.workflow
def beside() -> list[int]:
    """Begin steps beside each other."""
    return [future.get()[0] for future in [number.submit(1), number.submit(2)]]


def test_code_that_somebody_listens_to_begins_steps_beside_each_other():
    with VirtualSystem("test", seed=1) as system:
        seen: list[str] = []
        system.subscribe(af.RunEvent, lambda event: seen.append(event.kind))
        assert system.start(beside).result() == [1, 2]
        system.sleep(1)
    assert seen.count("step started") == seen.count("step completed") == 2
