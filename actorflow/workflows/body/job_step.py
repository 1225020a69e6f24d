"""JobStep: a step that is a job of a queue: any process with workers for the queue runs it, and its end is mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow.durable.rows.answers import AnswerAddress
from actorflow.errors import JobCancelled, StepFailed
from actorflow.store.error_json import read_error, write_error
from actorflow.workflows.body.steps import NOTHING, BodyStep, error_of, hash_of
from actorflow.workflows.rows.records import ASKED, GIVEN_UP, RESULT, RunRecord

if TYPE_CHECKING:
    from actorflow.durable.rows.answers import StepEnded
    from actorflow.tasks.task import AnyTask
    from actorflow.workflows.body.body import Body
    from actorflow.workflows.rows.records import Identity


class JobStep(BodyStep):
    """A job: it is enqueued once, with its record.

    Attributes:
        job: number of the job; None until it is committed.
        address: where the news of its end goes.
        is_cancelled: the job is to end, as nobody waits for it any more.
        is_ended: its end is in the journal.
        is_starting: the commit that enqueues it may not be there yet.
    """

    __slots__ = ("address", "given", "is_cancelled", "is_ended", "is_starting", "job", "task")

    def __init__(
        self, body: Body, identity: Identity, start: int, task: AnyTask, given: bytes, _constant: object = None
    ) -> None:
        super().__init__(body, identity, start, hash_of(given))
        self.task = task
        self.given = given
        self.address = AnswerAddress(body.run.address, [body.run.turn, *identity]).text
        sent = body.sends.sent(self)
        self.job: int | None = None if sent is None or sent.value is None else body.node.read(sent.value)
        self.is_cancelled = self.is_ended = self.is_starting = False

    @property
    def key(self) -> str:
        """The idempotency key that its task has seen."""
        return f"job-{self.job}"

    @property
    def holds_end(self) -> bool:
        """Whether the run does not end before it has ended: always, as of any task."""
        return True

    def __str__(self) -> str:
        """Return how errors name it."""
        return f"run {self.body.run.name}: step {self.identity[1]}"

    def launch(self) -> None:
        """Enqueue the job, if it was not; or cancel it. Its end may have come meanwhile."""
        body = self.body
        if body.is_over or self.is_ended or body.mail.take_end(self):
            return
        if self.is_starting:
            return  # once its commit is there, it is cancelled if it is to be
        if self.job is not None:
            if self.is_cancelled:
                body.node.cancel_job(self)
        elif self.is_cancelled:
            self.end_cancelled()
        else:
            self.is_starting = True
            record = self.record(ASKED, None, None)
            with body.lock:
                body.number(record)
            body.node.tell("step queued", body.run.name, self.identity)
            body.node.enqueue(self, record)

    def enqueued(self, job: int) -> None:
        """Note that the job is there."""
        self.job = job
        self.is_starting = False
        if self.is_cancelled and not self.body.is_over:
            self.body.node.cancel_job(self)

    def cancel(self) -> bool:
        """Have the job end with its cancelled run."""
        self.is_cancelled = True
        return True

    def refused(self, record: RunRecord, error: Exception) -> None:
        """Have the step end with the error for which the queue does not take the job."""
        self.is_starting = False
        with self.body.lock:
            self.body.uncommitted.pop(record.n, None)
        if self._ends():
            self.body.arrive(self.record(RESULT, None, write_error(error)))

    def end_cancelled(self) -> None:
        """Record that the step was cancelled, and leave the job alone, if there is one."""
        if self._ends():
            self.body.arrive(self.record(RESULT, None, write_error(JobCancelled("it was cancelled"))))

    def finish(self, ended: StepEnded, mail: int) -> None:
        """Record the end of the job."""
        if not self._ends():
            return
        attempt = max(1, ended.attempt)
        is_done = ended.status == "completed"
        kind = GIVEN_UP if ended.status == "dead" else RESULT
        value, error = ((ended.value or NOTHING), None) if is_done else (None, ended.error)
        record = self.record(kind, value, error, attempt=attempt, began=ended.began)
        self.body.arrive(record, mail)

    def _ends(self) -> bool:
        with self.body.lock:
            is_first = not self.is_ended and self.body.open.get(self.identity) is self
            self.is_ended = True
        return is_first

    def hear(self, record: RunRecord) -> None:
        """Set the future: the result, or the error of the task; of a job that was given up, StepFailed."""
        if record.value is not None:
            self.future._settle(self.body.node.read(record.value), None)
        elif record.kind == GIVEN_UP:
            text, _ = read_error(record.error)
            self.future._settle(None, StepFailed(self.identity[1], f"its job was given up: {text}"))
        else:
            self.future._settle(None, error_of(self.identity[1], record.error, self.task.raises))
