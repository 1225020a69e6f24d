"""A signal's handler that raises at any bytecode of a call of a queue: other jobs and calls are as if it had not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import actorflow as af
from tests.interrupts import at_every_bytecode, ends

from . import tasks

BOUND = 30.0  # seconds, of what takes milliseconds


@pytest.fixture(params=["memory", pytest.param("sqlite", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path) -> str:
    """The URL of a store on which an interruption is seen; a server's driver has bytecodes of its own."""
    return "memory:" if request.param == "memory" else f"sqlite:///{tmp_path / 'jobs.db'}"


def enqueue(jobs: af.Queue) -> None:
    jobs.enqueue(tasks.double, 1)


def enqueue_with_options(jobs: af.Queue) -> None:
    jobs.enqueue(tasks.double.options(key="k", tags=["t"], unique="u", on_duplicate="replace"), 1)


def enqueue_many(jobs: af.Queue) -> None:
    jobs.enqueue_many(tasks.double, [(1,), (2,), (3,)])


def enqueue_inline(jobs: af.Queue) -> None:
    with jobs.inline():
        jobs.enqueue(tasks.double, 1)


def result(jobs: af.Queue) -> None:
    jobs.enqueue(tasks.double, 1).result(timeout=BOUND)


def cancel(jobs: af.Queue) -> None:
    jobs.enqueue(tasks.double.options(delay=60), 1).cancel()


@pytest.mark.parametrize("every", [29, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("action", [enqueue, enqueue_with_options, enqueue_many, enqueue_inline, result, cancel])
def test_an_interrupted_call_leaves_a_queue_that_works(place: str, action: Callable[[af.Queue], None], every: int):
    system = af.ActorSystem("shop", store=place, durability="process")
    jobs = system.queue("q", workers=1)

    def mended() -> None:
        assert jobs.enqueue(tasks.double, 4).result(timeout=BOUND) == 8
        with pytest.raises(af.DefinitionError, match="for tasks"):  # an inline task has ended
            af.current()

    assert at_every_bytecode(lambda: action(jobs), mended, every=every) > 10
    tasks.until(lambda: (jobs.stats().running, jobs.count("queued")) == (0, jobs.stats().due))
    ends(system.stop)
    assert system.error is None
