"""Steps: what a body has begun and has not heard the end of; and those that are tasks."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from typing import TYPE_CHECKING, Any, ClassVar, Final

from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT
from actorflow.errors import JobCancelled, RunCancelled, StepFailed, StepTimeout, Stopping, TaskTimeout
from actorflow.store.codec import check_size, encode, encode_call
from actorflow.store.error_json import read_error, write_error
from actorflow.tasks.cause import Cause
from actorflow.tasks.current import CURRENT_TASK, find_current
from actorflow.tasks.execution import Attempt
from actorflow.tasks.options import NAMES, PLAIN, check_for_step
from actorflow.text import text_of
from actorflow.workflows.body.gathering import BodyFuture
from actorflow.workflows.rows.records import ATTEMPT, RESULT, RunRecord, step_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.core.futures.future import Future
    from actorflow.store.transaction import Transaction, Work
    from actorflow.tasks.execution import Ending
    from actorflow.tasks.task import AnyTask
    from actorflow.workflows.body.body import Body
    from actorflow.workflows.rows.records import Identity

CRASHES: Final = 3  # processes that a step may kill
LACK_SECONDS: Final = 1.0  # until a step is tried again that this process lacked a resource for


class StepFuture(BodyFuture):
    """The future of a step, set when the body hears of its end."""

    __slots__ = ("step",)

    step: BodyStep | None  # None once it is over: else each kept the other, until the garbage collector comes

    def _drop(self, error: BaseException) -> None:
        """End with the error of the code that awaited it, and have the step end."""
        if self._settle(None, error) and self.step is not None:
            self.step.abandon()


class BodyStep:
    """A step of a body that is not over.

    Attributes:
        identity: where it stands in the code.
        start: how many steps of its branch were started before it.
        hash: of its arguments.
        future: set when the body hears of the end.
        after: the record up to which all have to be committed before anything of the step may be seen outside.
    """

    __slots__ = ("after", "body", "future", "hash", "identity", "is_launched", "start")

    def __init__(self, body: Body, identity: Identity, start: int, hash: bytes | None) -> None:
        self.body = body
        self.identity = identity
        self.start = start
        self.hash = hash
        self.future: Future[Any] = StepFuture()
        self.future.step = self
        self.after = body.last
        self.is_launched = False

    is_work: ClassVar[bool] = False  # something is done for it here: the run is not unloaded before it has ended
    is_send: ClassVar[bool] = False  # its launch puts a message into a commit, in order
    is_starting = False  # it was launched, and the commit that begins it may not be there yet

    @property
    def holds_end(self) -> bool:
        """Whether the run does not end before it has ended."""
        return self.is_work

    @property
    def left(self) -> float | None:
        """The seconds until it ends by itself; None: it does not."""
        return None

    def cancel(self) -> bool:
        """Note that the run was cancelled while it was under way; return whether it has to be launched once more."""
        return False

    def drop(self) -> bool:
        """Note that the code waits for it no more; return whether it has to be launched once more."""
        return self.cancel()

    def abandon(self) -> None:
        """Have the step end: the code that awaited it was cancelled."""
        body = self.body
        with body.lock:
            if not body.is_over and body.open.get(self.identity) is self and self.drop() and self.is_launched:
                body.launch_again(self)
        body.launch()

    def launch(self) -> None:
        """Begin; called once, when it is known that the step has no record."""

    def hear(self, record: RunRecord) -> None:
        """Set the future as the record says."""
        self.future._settle(None if record.value is None else self.body.node.read(record.value), None)

    def record(
        self, kind: int, value: bytes | None, error: bytes | None, attempt: int = 1, began: float | None = None
    ) -> RunRecord:
        """Return a record of this step, without its place yet."""
        at = self.body.node.clock()
        return RunRecord(0, self.identity, self.start, kind, self.hash, value, error, attempt, began, at)


class TaskStep(BodyStep):
    """A task as a step: the owner of its attempts.

    Attributes:
        given: the arguments, as stored.
        constant: the same as values that nobody can change; None: there are others among them.
        key: the idempotency key: the same for all attempts, also in other processes.
        attempt: counts from 1, over all processes.
        tries: the attempts so far that count for the task's retry.
        pause: seconds until the next attempt, after one that has failed.
        attempt_now: the last one that has begun.
        in_runner: a runner has it, not the thread of the code.
        is_cancelled: the run was cancelled while it was under way: no further attempt is begun.
        is_ended: its end is in the journal.
    """

    # Most steps have one attempt that succeeds: what is otherwise for the others, only they set.
    __slots__ = ("__dict__", "attempt_now", "began", "constant", "first", "given", "in_runner", "is_ended", "task")

    is_work = True
    may_write = takes_work = True
    attempt = tries = 1
    crashes = 0
    spent = 0.0
    pause: float | None = None
    is_cancelled = False
    threads: tuple[threading.Thread, ...] = ()  # that its task has started
    _written: RunRecord | None = None  # of its end, in the transaction that its task has open

    def __init__(
        self,
        body: Body,
        identity: Identity,
        start: int,
        task: AnyTask,
        given: bytes,
        constant: tuple[Any, ...] | None = None,
    ) -> None:
        super().__init__(body, identity, start, hash_of(given))
        self.task = task
        self.constant = constant
        self.given = given
        self.began = 0.0
        self.first: float | None = None  # when the first attempt began
        self.attempt_now: Attempt[TaskStep] | None = None
        self.in_runner = self.is_ended = False
        if body.attempts and (failed := body.attempts.get(identity)):
            self.attempt = self.tries = len(failed) + 1
            self.first = failed[0].began

    @property
    def key(self) -> str:
        """The idempotency key."""
        return key_of(self)

    @property
    def cause(self) -> Cause:
        """The event that its run came of; without one, the run."""
        run = self.body.run
        return run.event or Cause(f"run/{run.name}", None)

    def __str__(self) -> str:
        """Return how the log names it."""
        return f"Run {self.body.run.name}: step {step_name(self.identity)}"

    def launch(self) -> None:
        """Have a runner begin an attempt."""
        if self.is_cancelled:
            self.end_cancelled()
        elif not (self.body.is_over or self.is_ended):
            self.body.begins(self)

    # --- its run is cancelled ----------------------------------------------------------------------------------------

    def cancel(self) -> bool:
        """Have the step end with its cancelled run: one that has not begun never does."""
        if self.is_launched:
            self.interrupt()
        else:
            self.is_cancelled = True
        return False

    def interrupt(self) -> None:
        """Have the attempt see that it is cancelled, or end the pause before the next one; any thread may ask."""
        if self.is_cancelled:
            return
        self.is_cancelled = True
        if self.attempt_now is not None and self.attempt_now.ending is None:
            self.body.node.cancel_step(self.attempt_now)
        elif self.pause is not None:
            self.body.skip_pause(self)

    def end_cancelled(self) -> None:
        """Record the end of a step that was cancelled between two attempts, or before the first."""
        with self.body.lock:
            if self.is_ended or self.body.is_over:
                return
            self.is_ended = True
        error = write_error(JobCancelled("it was cancelled"))
        self.body.arrive(self.record(RESULT, None, error, attempt=self.attempt, began=self.began or None))

    # --- its attempts ------------------------------------------------------------------------------------------------

    def begin(self) -> Attempt[TaskStep]:
        """Return the next attempt."""
        node, task = self.body.node, self.task
        self.began = now = node.clock()
        if node.is_heard:
            node.tell("step started", self.body.run.name, self.identity)
        if self.first is None:
            self.first = now
        else:
            self.pause = None
            self.spent = max(0.0, now - self.first)
        timeout, retry = task.timeout, task.retry
        if task.job_options is not PLAIN:
            timeout = task.job_options.timeout if task.job_options.timeout is not None else timeout
            retry = task.job_options.retry or retry
        attempt: Attempt[TaskStep] = Attempt(self, task, node.site, timeout, retry)
        self.attempt_now = attempt
        return attempt

    def arguments(self) -> tuple[Sequence[Any], dict[str, Any]]:
        """Return copies of the arguments: what the task makes of them, a replay would not see."""
        if self.constant is not None:
            return self.constant, {}
        return self.body.node.read(self.given)  # type: ignore[no-any-return]

    def report(self, done: Any, total: Any, /) -> None:
        """Note how far the task is; only queues show it."""

    def settle_within(self, transaction: Transaction, ending: Ending, /) -> bool:
        """Write the record of the end into the transaction of the task."""
        record = self.end_record(ending)
        if not self.body.write_within(transaction, record):
            return False
        self._written = record
        return True

    def end(self, ending: Ending, /) -> None:
        """Record the end; or have another attempt, after a pause."""
        try:
            self._end(ending)
        finally:
            if self.is_ended:
                self.attempt_now = None  # each would keep the other, until the garbage collector comes
                if self.threads:
                    self.leave_threads()
            self.body.ends(self)

    def _end(self, ending: Ending) -> None:
        kind = ending.kind
        if kind == "completed" and self._written is None:
            self.is_ended = True
            record = self.record(RESULT, ending.result or NOTHING, None, self.attempt, self.began)
            record.also = self.works
            self.body.arrive(record)
            return
        if self._written is not None and self._end_written(self._written, ending):
            return
        if kind == "cut":
            self.body.cut(self)
        elif kind == "again":
            self.body.note(self.record(ATTEMPT, None, ending.error, attempt=self.attempt, began=self.began))
            self.again(ending.pause)
        elif kind == "not begun":
            logger.warning("%s: its process lacks a resource, tried again: %s", self, ending.cause)
            self.again(LACK_SECONDS, counts=False)
        elif kind == "died" and self.crashes + 1 < CRASHES:
            self.crashes += 1
            logger.warning("%s lost its process and is run again: %s", self, ending.cause)
            self.again(0.0)
        else:
            self.is_ended = True
            self.body.arrive(self.end_record(ending))

    def _end_written(self, record: RunRecord, ending: Ending) -> bool:
        """Note the end of the transaction that the end was written into; False if the step is to end otherwise."""
        self._written = None
        is_there = self.attempt_now is not None and self.attempt_now.settled
        self.body.end_held(record, is_there=is_there)
        if not is_there and ending.is_doubtful:  # the store knows: the run is loaded anew
            self.body.again_at = self.body.node.now() + LACK_SECONDS
            self.body.unload()
            return True
        self.is_ended = is_there
        return is_there

    def note_thread(self, thread: threading.Thread) -> None:
        """Note a thread that the task has started."""
        self.threads = (*self.threads, thread)

    def leave_threads(self) -> None:
        """Warn of threads that go on behind the end of the step, once for each task."""
        left = [thread for thread in self.threads if thread.is_alive() and not thread.name.startswith("actorflow-")]
        self.threads = ()
        warned = self.body.node.left_behind
        if not left or self.task.name in warned:
            return
        warned.add(self.task.name)
        with contextlib.suppress(Exception):  # of a handler of logs: the step has ended
            logger.warning(
                "%s has ended, and thread %s that it started goes on: what that does is in no record, and is not done "
                "again after a crash. Have the task wait for it (join), or begin the work as a step of its own, by "
                "task.submit(...) in the body",
                self,
                text_of(left[0].name),
            )

    def end_record(self, ending: Ending) -> RunRecord:
        """Return the record of the end of the step."""
        value = (ending.result or NOTHING) if ending.kind == "completed" else None
        record = self.record(RESULT, value, ending.error, attempt=self.attempt, began=self.began)
        record.also = self.works if value is not None else ()
        return record

    @property
    def works(self) -> Sequence[Work]:
        """The work that is written with the result."""
        return () if self.attempt_now is None else self.attempt_now.works or ()

    def again(self, pause: float, *, counts: bool = True) -> None:
        """Have another attempt after a pause."""
        self.attempt += counts
        self.tries += counts
        self.pause = pause
        if not self.body.runs_inline(self):
            self.body.node.scheduler.call_later(0.0 if self.is_cancelled else pause, self.launch)

    # --- its end -----------------------------------------------------------------------------------------------------

    def hear(self, record: RunRecord) -> None:
        """Set the future: the value or the error is the stored one, also the first time."""
        if record.value is not None:
            self.future._settle(self.body.node.read(record.value), None)
            return
        error = error_of(self.identity[1], record.error, self.task.raises)
        self.future._settle(None, StepTimeout(*error.args) if type(error) is TaskTimeout else error)


NOTHING: Final = encode(None)
SHORT: Final = 32  # bytes that stand for themselves


def key_of(step: BodyStep) -> str:
    """Return the idempotency key of a step: the same for all of its attempts, also in other processes."""
    branch, name, occurrence = step.identity
    return f"run/{step.body.run.scope}/{branch}/{name}/{occurrence}"


def hash_of(given: bytes) -> bytes:
    """Return the form of arguments that the journal keeps, to compare them with those of a replay."""
    return given if len(given) <= SHORT else hashlib.blake2b(given, digest_size=16).digest()


FOR_JOBS: Final = tuple(name for name in NAMES if name != "conn")
FOR_STEPS: Final = ("retry", "timeout")  # the options of a task that hold for a step
CURE: Final = "a step of a workflow has retry and timeout, and with queue= it is a job, and has all but conn="

# Errors that mean something else in the code of a run than that a task has raised them: there they are a StepFailed.
OF_THE_CODE: Final = (StopIteration, StopAsyncIteration, RunCancelled, Stopping)


def error_of(step: str, stored: bytes | None, declared: tuple[type[BaseException], ...] = ()) -> Exception:
    """Return the error of a step as the code gets it: itself if its class is known, else StepFailed."""
    text, error = read_error(stored, declared)
    if not isinstance(error, Exception) or isinstance(error, OF_THE_CODE):
        return StepFailed(step, text)
    return error


def arguments_of(
    task: AnyTask, args: tuple[Any, ...], kwargs: dict[str, Any], limit: int
) -> tuple[bytes, tuple[Any, ...] | None]:
    """Return the arguments of a step, as they are compared, and as the task may have them; None: it gets copies.

    Raises:
        DefinitionError: the function does not take them, or the task has options that only a job has.
        PayloadError: one cannot be stored, or they are over the limit.
    """
    task.check(args, kwargs)
    if task.job_options is not PLAIN:
        known = FOR_STEPS if task.job_options.queue is None else FOR_JOBS
        check_for_step(task.name, task.job_options, known, CURE)
    what = f"the arguments of {task.name}"
    given, are_constant = encode_call(args, kwargs, what)
    if len(given) > limit:
        check_size(given, what, limit)
    return given, args if are_constant else None


def is_in_step_of(body: Body) -> bool:
    """Say whether a task of the run calls this, in this process: of a DAG, its worker is a child of the run's actor."""
    execution = CURRENT.get()
    ref = None if execution is None else execution.receiver
    while ref is not None:
        if ref is body.ref:
            return True
        ref = ref.parent
    task = None if CURRENT_TASK.get() is None else find_current()
    return task is not None and any(getattr(step, "key", None) == task.key for step in list(body.open.values()))
