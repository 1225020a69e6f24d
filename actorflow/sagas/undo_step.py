"""Undo steps: compensations as steps of the run, which nothing interrupts, and the record before the first of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actorflow.sagas.saga_step import SagaStep
from actorflow.store.codec import encode
from actorflow.store.error_json import write_error
from actorflow.tasks.compensation import Step
from actorflow.workflows.body.child_step import ChildStep
from actorflow.workflows.body.queued import queued
from actorflow.workflows.body.steps import BodyStep, TaskStep
from actorflow.workflows.node.members import TurnMember
from actorflow.workflows.rows.records import RESULT, TURNED, UNDONE, RunRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.sagas.course import Course, Undoable
    from actorflow.workflows.rows.records import Identity

ABANDONED_SECONDS: Final = 60.0  # that an undo waits for a thread which goes on after its step's timeout
LOOK_SECONDS: Final = 0.02  # between two looks whether it has ended


class TurnStep(BodyStep):
    """The record that a saga, or a savepoint, turns: it is committed before anything is undone."""

    __slots__ = ("course", "error", "scope")

    def __init__(self, course: Course, identity: Identity, scope: Any, error: BaseException) -> None:
        super().__init__(course.body, identity, 0, None)
        self.course = course
        self.scope = scope
        self.error = error

    def launch(self) -> None:
        """Record the turn, and the status of the saga with it."""
        body = self.body
        record = self.record(TURNED, None, write_error(self.error))
        if self.scope is not None:
            body.arrive(record)
            return
        with body.lock:
            if body.takes_nothing:
                return
            body.number(record)
            body.journal = queued(body.journal, record)
        self.course.has_turned = True
        body.node.batch.add(TurnMember(body, record, None))
        body.wake()

    def hear(self, record: RunRecord) -> None:
        """Have those steps never begin that have not; before any is launched that a kill has left behind."""
        for step in list(self.body.open.values()):
            if isinstance(step, SagaStep) and not step.is_launched and is_in(self.course, step, self.scope):
                step.is_cancelled = True
        super().hear(record)


def is_in(course: Course, step: BodyStep, scope: Any) -> bool:
    """Say whether a step was begun in a savepoint; None: in the saga."""
    inner = course.scopes.get(step.identity)
    return scope is None or (inner is not None and inner.is_within(scope))


class ShieldedStep(TaskStep):
    """A step of undoing: neither a cancel nor the deadline nor its code ends it."""

    entry: Undoable
    course: Course
    until: float | None = None

    def interrupt(self) -> None:
        """Go on."""

    def cancel(self) -> bool:
        """Go on."""
        return False

    def drop(self) -> bool:
        """Go on."""
        return False

    def launch(self) -> None:
        """Begin, once the thread has ended that runs the step after its timeout; or after a while."""
        node, step = self.body.node, self.entry.step
        attempt = self.course.abandoned.get(step.identity)
        now = node.scheduler.clock.monotonic()
        if self.until is None:
            self.until = now + ABANDONED_SECONDS
        if attempt is not None and attempt in node.places.given_up and now < self.until and not self.body.is_over:
            node.scheduler.call_later(LOOK_SECONDS, self.launch)
        else:
            super().launch()

    def record(
        self, kind: int, value: bytes | None, error: bytes | None, attempt: int = 1, began: float | None = None
    ) -> RunRecord:
        """Return a record of this step."""
        return super().record(UNDONE if kind == RESULT else kind, value, error, attempt, began)


class AgainStep(ShieldedStep):
    """A step of an idempotent task that may have acted, once more under its key: then its result is known."""

    def __init__(self, course: Course, entry: Undoable, identity: Identity, start: int) -> None:
        done: TaskStep = entry.step
        super().__init__(course.body, identity, start, done.task, done.given)
        self.course, self.entry = course, entry
        self.value: bytes | None = None

    def hear(self, record: RunRecord) -> None:
        """Keep the result as it is stored."""
        self.value = record.value
        super().hear(record)

    @property
    def key(self) -> str:
        """The key of the step."""
        return self.entry.step.key  # type: ignore[no-any-return]


class UndoStep(ShieldedStep):
    """A compensation.

    Attributes:
        refusal: why it cannot run; None: it can.
    """

    def __init__(
        self, course: Course, entry: Undoable, identity: Identity, start: int, refusal: BaseException | None = None
    ) -> None:
        assert entry.compensation is not None
        super().__init__(course.body, identity, start, entry.compensation.task, encode([*entry.step.identity]))
        self.course, self.entry, self.refusal = course, entry, refusal

    def launch(self) -> None:
        """Have a runner begin an attempt, or record that there can be none."""
        if self.refusal is None:
            super().launch()
        elif not self.is_ended:
            self.is_ended = True
            self.body.arrive(self.record(RESULT, None, write_error(self.refusal)))

    def arguments(self) -> tuple[Sequence[Any], dict[str, Any]]:
        """Return the arguments of the compensation; stored values are read here."""
        entry, read = self.entry, self.body.node.read
        assert entry.compensation is not None
        value = None if entry.value is None else read(entry.value)
        done: Any = entry.step
        if isinstance(done, ChildStep):
            args, kwargs = done.workflow.arguments_in(read(done.given))
            known, key = done.workflow, done.name
        else:
            args, kwargs = read(done.given)
            known, key = done.task, done.key
        bound = known.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        results = {} if entry.compensation.step is None else self.results()
        step = Step(known.name, dict(bound.arguments), key, value, results, entry.is_maybe)
        return (), entry.compensation.arguments(step)

    def results(self) -> dict[str, Any]:
        """Return the results of the steps so far."""
        return {name: self.body.node.read(value) for name, value in self.course.results.items()}
