"""Attempts: one attempt of a node's task that has a timeout, a process or a coroutine; the others are plain calls."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from actorflow.errors import DefinitionError
from actorflow.tasks.current import Current
from actorflow.tasks.execution import Attempt, Ending

if TYPE_CHECKING:
    import random

    from actorflow.core.refs.ref import ActorRef
    from actorflow.core.refs.timers import Timer
    from actorflow.store.transaction import Transaction, Work
    from actorflow.tasks.cause import Cause
    from actorflow.tasks.retry import Retry
    from actorflow.workflows.dag.runtime import DagRuntime


class StepOwner:
    """The step that an attempt is for.

    Attributes:
        key: of the run and the step: the same for each attempt, and no other step's.
        attempt: counts from 1.
        tries: as `attempt`.
        spent: seconds from the begin of the first try.
        may_write: False: a step in memory has no store.
        takes_work: its end is committed.
        ending: of the attempt.
        ended_by: the thread that ended it: its own, or the runner's.
    """

    may_write = False

    def __init__(self, runtime: DagRuntime, i: int) -> None:
        self.runtime = runtime
        self.i = i
        self.key = runtime.key_of(i)
        self.takes_work = runtime.journal is not None
        tries = runtime.progress.tries.get(i)
        self.attempt = self.tries = 1 if tries is None else len(tries) + 1
        self.spent = 0.0 if tries is None else runtime.progress.now() - tries[0].started
        self.ending: Ending | None = None
        self.ended_by = 0

    @property
    def cause(self) -> Cause:
        """The event that its run came of; without one, the run."""
        return self.runtime.cause

    def __str__(self) -> str:
        """Return how the log names it."""
        return f"Step {self.key}"

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments of the task."""
        return self.runtime.progress.arguments(self.i), {}

    def report(self, done: Any, total: Any, /) -> None:
        """Tell the listeners how far the task is."""
        self.runtime.report(self.i, done, total)

    def settle_within(self, transaction: Transaction, ending: Ending, /) -> bool:  # noqa: ARG002 - as Owner has it
        """Refuse: there is no transaction to be in."""
        raise DefinitionError(f"{self} is in memory")

    def end(self, ending: Ending, /) -> None:
        """Keep the end of the attempt, for the thread that ended it."""
        self.ended_by = threading.get_ident()
        self.ending = ending


class StepAttempt(Attempt[StepOwner]):
    """An attempt whose value and error stay in this process, as they are.

    Attributes:
        value: that the function returned.
        error: that it raised, or that ended it.
        worker: the actor that runs it.
        timer: of its timeout.
    """

    value: Any = None
    error: BaseException | None = None
    worker: ActorRef[Any] | None = None
    timer: Timer | None = None

    def also(self, work: Work) -> None:
        """Have work written in the commit of the result."""
        super().also(work)
        self.owner.runtime.also(self.owner.i, work)

    def complete(self, value: Any) -> None:
        """End the attempt with the value that the function returned."""
        self.value = value
        self.close(Ending("completed"))

    def _end_of(self, error: BaseException, rng: random.Random, worker: ActorRef[Any] | None) -> Ending:
        self.error = error
        return super()._end_of(error, rng, worker)

    def fail(self, error: BaseException, rng: random.Random, worker: ActorRef[Any] | None = None) -> None:
        """End the attempt with the error of the function."""
        self.error = error
        super().fail(error, rng, worker)


def current_of(runtime: DagRuntime, i: int) -> Current:
    """Return the view that a task without an attempt of its own has of itself, as `af.current()`."""
    owner = StepOwner(runtime, i)
    is_cancelled = partial(runtime.progress.is_cancelled, i)
    also = partial(runtime.also, i) if owner.takes_work else None
    return Current(owner.key, owner.attempt, owner.report, is_cancelled, cause=owner.cause, also=also)


def retry_of(task: Any) -> Retry:
    """Return the retry of a node's task."""
    given = task.job_options.retry
    return task.retry if given is None else task.retry.with_numbers(given.to_list(), given.within)  # type: ignore[no-any-return]
