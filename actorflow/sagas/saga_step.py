"""SagaStep: a task as a step of a saga: nobody cuts it, and its record says if it may have acted though it raised."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from actorflow.errors import (
    AskTimeout,
    HostDied,
    JobCancelled,
    MaybeDone,
    OutcomeUnknown,
    PayloadError,
    RunCancelled,
    TaskTimeout,
)
from actorflow.store.error_json import read_error
from actorflow.workflows.body.child_step import ChildStep
from actorflow.workflows.body.job_step import JobStep
from actorflow.workflows.body.steps import TaskStep
from actorflow.workflows.rows.records import DOUBTED, GIVEN_UP, RESULT, RunRecord

if TYPE_CHECKING:
    from actorflow.tasks.execution import Ending
    from actorflow.workflows.body.body import Body
    from actorflow.workflows.body.steps import BodyStep
    from actorflow.workflows.rows.records import Identity

# Errors after which a task may have acted. A PayloadError may be of its result, which came behind the act.
DOUBTFUL: Final = (TaskTimeout, HostDied, MaybeDone, OutcomeUnknown, PayloadError)
OF_A_JOB: Final = (*DOUBTFUL, JobCancelled)  # the turn cancels a job, also one that runs

OF_AN_ASK: Final = (*DOUBTFUL, AskTimeout, RunCancelled, asyncio.CancelledError)  # the wait for the answer was cut


class SagaStep(TaskStep):
    """A step of a saga: once it has begun, it goes on to its end, so that it is known what is to be undone.

    Attributes:
        was_cut: an attempt of it may have been, in an earlier life.
        is_doubtful: an attempt of it has ended in a way that leaves open whether it has acted.
    """

    is_doubtful = False

    def __init__(self, body: Body, identity: Identity, *more: Any) -> None:
        super().__init__(body, identity, *more)
        course: Any = body.saga
        self.was_cut = identity in course.old_intents

    def interrupt(self) -> None:
        """Have no further attempt, as the run is cancelled, unless that is not heard of for now."""
        course: Any = self.body.saga
        if not course.is_shielded:
            self.stop()

    def stop(self) -> None:
        """Have no further attempt; the one that is under way ends by itself."""
        if self.is_cancelled:
            return
        self.is_cancelled = True
        if self.pause is not None:
            self.body.skip_pause(self)

    def drop(self) -> bool:
        """Go on, though the code waits no more, if it has begun; else never begin."""
        if not self.is_launched:
            self.is_cancelled = True
        return False

    def cut_short(self) -> None:
        """Have the attempt end that is under way, as it takes too long: it may have acted."""
        attempt = self.attempt_now
        if attempt is not None and attempt.ending is None:
            self.body.node.cancel_step(attempt)

    def _end(self, ending: Ending) -> None:
        if ending.kind in {"died", "cancelled"} or (ending.kind == "again" and is_doubtful(ending.error)):
            self.is_doubtful = True
        attempt = self.attempt_now
        if attempt is not None and attempt in self.body.node.places.given_up:
            course: Any = self.body.saga
            course.abandoned[self.identity] = attempt
        super()._end(ending)

    def record(
        self, kind: int, value: bytes | None, error: bytes | None, attempt: int = 1, began: float | None = None
    ) -> RunRecord:
        """Return a record of this step: of a special kind, if it may have acted though it raised."""
        if kind == RESULT and value is None and (self.was_cut or self.is_doubtful or is_doubtful(error)):
            kind = DOUBTED
        return super().record(kind, value, error, attempt, began)


def may_have_acted(error: BaseException | None) -> bool:
    """Say whether an ask that has ended with this error may have acted: one whose handler has raised has not."""
    return isinstance(error, OF_AN_ASK)


def is_doubtful(error: bytes | None, kinds: tuple[type[Exception], ...] = DOUBTFUL) -> bool:
    """Say whether a stored error leaves open whether its task has acted."""
    return isinstance(read_error(error)[1], kinds)


def effect_of(step: BodyStep, record: RunRecord) -> tuple[Any, bool] | None:
    """Return the task, or the child, that has acted by the record of its end, and whether that is uncertain.

    None: it has not acted, or is undone by nobody.
    """
    is_done = record.value is not None
    if isinstance(step, SagaStep):
        return (step.task, not is_done) if is_done or record.kind == DOUBTED else None
    if isinstance(step, JobStep):
        is_maybe = record.kind == GIVEN_UP or (record.began is not None and is_doubtful(record.error, OF_A_JOB))
        return (step.task, is_maybe) if is_done or is_maybe else None
    if isinstance(step, ChildStep) and (is_done or not step.workflow.is_saga):
        return step.workflow, not is_done
    return None
