"""JobOwner: the job that an attempt of a task is for: its arguments, and its outcome in the store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

from actorflow.core.log import logger
from actorflow.errors import PayloadError
from actorflow.queues.calls import text_of_call
from actorflow.queues.ledger import CRASHES, DAY, Claimed, Outcome, interrupted
from actorflow.store.classes import UnknownClass
from actorflow.store.error_json import LONGEST_TEXT, write_error
from actorflow.tasks.cause import Cause
from actorflow.tasks.execution import Attempt
from actorflow.tasks.retry import ONCE
from actorflow.tasks.running import NotBegun
from actorflow.tasks.task import TASKS
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.queues.node.local_queue import LocalQueue
    from actorflow.store.transaction import Transaction
    from actorflow.tasks.execution import Ending
    from actorflow.tasks.retry import Retry
    from actorflow.tasks.task import AnyTask


class JobOwner:
    """A claimed job, of which one attempt runs in this process.

    Attributes:
        key: the idempotency key of the job.
        keep: seconds that its result is kept.
        spent: seconds from the begin of the job's first try.
        is_late: the time of its retry is over: no try of it begins any more.
        outcome: the end of the attempt, as the store takes it.
        lack: the resource that this process lacked, so that its function was not called.
    """

    may_write = True
    takes_work = False
    spent = 0.0
    is_late = False
    _is_timed = False  # its retry has a limit of time
    _stored: dict[str, Any] | None = None  # its options
    _cause: Cause | None = None

    def __init__(self, job: Claimed, local: LocalQueue) -> None:
        self.job = job
        self.local = local
        self.key = f"job-{job.id}"
        self.attempt = job.attempt
        self.tries = job.attempt - job.crashes
        self.keep = DAY
        self.outcome: Outcome | None = None
        self.lack: BaseException | None = None

    def __str__(self) -> str:
        """Return how the log names it."""
        job = self.job
        return f"Job {job.id} of queue {self.local.name}, {text_of_call(job.task, job.args)},"

    def options(self, task: AnyTask) -> tuple[float | None, Retry]:
        """Return the timeout and the retry that were given to this job, or its task's; and take over the retention.

        Raises:
            PayloadError: they are damaged.
        """
        job, timeout, retry = self.job, task.timeout, task.retry
        if job.options is not None:
            try:
                self._stored = options = json.loads(job.options)
                timeout = options.get("timeout", timeout)
                timeout = None if timeout is None else float(timeout)
                self.keep = float(options.get("keep", DAY))
                if "cause" in options:
                    self._cause = Cause(*options["cause"])
                numbers = options.get("retry")
                if numbers is not None:
                    retry = retry.with_numbers(numbers, options.get("within"))
                if job.attempt > 1 and "first" in options:  # by hand, a job is queued again with all its tries
                    self.spent = max(0.0, self.local.store.now() - float(options["first"]))
                    self.is_late = retry.is_over(self.spent)
            except Exception as error:
                msg = f"the options of job {job.id} are damaged: {error!r}"
                raise PayloadError(msg) from error
        if job.at_most_once:
            return timeout, ONCE
        self._is_timed = retry.within is not None
        return timeout, retry

    # --- for the attempt ----------------------------------------------------------------------------------------------

    @property
    def cause(self) -> Cause:
        """The event that it came of; without one, the job itself."""
        return self._cause or Cause(self.key, None)

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments of the task.

        Raises:
            NotBegun: there is no memory for them, or no descriptor for the modules they import.
            PayloadError: they are damaged, or of a class that is not known here.
        """
        try:
            args, kwargs = self.local.waits.read(self.job.args)
            return [*args], {**kwargs}
        except UnknownClass as error:
            raise NotBegun from error
        except PayloadError as error:
            if isinstance(error.__cause__, MemoryError | OSError):
                raise NotBegun from error.__cause__
            raise
        except (MemoryError, OSError) as error:
            raise NotBegun from error
        except (TypeError, ValueError) as error:
            msg = f"the arguments of job {self.job.id} are damaged: {error}"
            raise PayloadError(msg) from error

    def report(self, done: Any, total: Any, /) -> None:
        """Note how far the job is."""
        self.local.jobs.note_progress(self.job, done, total)

    def settle_within(self, transaction: Transaction, ending: Ending, /) -> bool:
        """Write the outcome into the transaction of its task; False if another node has the job."""
        return self.local.jobs.settle_within(transaction, self._outcome_of(ending))

    def end(self, ending: Ending, /) -> None:
        """Note the outcome, which the claimer writes with those of other jobs."""
        outcome = self._outcome_of(ending)
        outcome.is_doubtful = ending.is_doubtful
        self.outcome = outcome

    # --- outcomes -----------------------------------------------------------------------------------------------------

    def _outcome_of(self, ending: Ending) -> Outcome:
        kind = ending.kind
        if kind == "completed":
            return self._outcome(kind, result=ending.result)
        if kind == "again":
            due = self.local.store.now() + ending.pause
            return self._outcome("queued", error=ending.error, due=due, options=self._with_first(ending))
        if kind == "died":
            return self._died(ending)
        if kind == "cut":
            return self.interrupted()
        if kind == "not begun":
            return self._not_begun(ending.cause)
        return self._outcome(kind, error=ending.error)

    def _died(self, ending: Ending) -> Outcome:
        job = self.job
        is_dead = job.at_most_once or job.crashes + 1 >= CRASHES
        text = text_of(ending.cause, LONGEST_TEXT, str)
        if is_dead:
            logger.error("%s is a dead letter: %s", self, text)
        else:
            logger.warning("%s lost its process and is queued again: %s", self, text)
        options = None if is_dead else self._with_first(ending)
        return self._outcome("dead" if is_dead else "queued", error=ending.error, crashes=1, options=options)

    def _with_first(self, ending: Ending) -> bytes | None:
        """Return the options with the begin of the first try, if its retry needs it and does not know it yet."""
        if not self._is_timed or self.spent:
            return None
        first = self.local.store.now() - ending.spent
        return json.dumps({**(self._stored or {}), "first": first}).encode()

    def too_late(self) -> Outcome:
        """Return the outcome of a job whose next try could not begin in time; its last error stays."""
        logger.error("%s failed for good: no try may begin %.3g s after the first", self, self.spent)
        return self._outcome("failed")

    def _not_begun(self, cause: BaseException | None) -> Outcome:
        if isinstance(cause, UnknownClass):
            self.local.upkeep.report_unknown_class(self, cause)
            return self._outcome("queued", given_back=True, lacks=cause.kind, error=write_error(cause))
        self.lack = cause
        return self.give_back()

    def give_back(self) -> Outcome:
        """Return the outcome of an attempt that has not begun."""
        return self._outcome("queued", given_back=True)

    def interrupted(self) -> Outcome:
        """Return the outcome of an attempt whose process ends."""
        job = self.job
        if job.at_most_once:
            logger.warning(
                "Job %s (%s) was cut by the end of its system, and may run only once: dead", job.id, job.task
            )
        else:
            logger.info("Job %s (%s) was cut by the end of its system: given back", job.id, job.task)
        return interrupted(job.id, job.epoch, job.key, job.task, once=bool(job.at_most_once))

    def _outcome(self, status: str, **more: Any) -> Outcome:
        job = self.job
        return Outcome(job.id, job.epoch, job.key, status, keep=self.keep, task=job.task, **more)


JobAttempt: TypeAlias = Attempt[JobOwner]


def attempt_of(job: Claimed, local: LocalQueue) -> JobAttempt:
    """Make an attempt of a claimed job.

    Raises:
        PayloadError: the job's options are damaged.
    """
    task, owner = TASKS[job.task], JobOwner(job, local)
    timeout, retry = owner.options(task)
    return Attempt(owner, task, local, timeout, retry)


def begin(attempt: JobAttempt) -> bool:
    """Note that a worker is to have the job; False if it was lost to another node, or the store is gone."""
    owner = attempt.owner
    local, job = owner.local, owner.job
    if not local.jobs.begin(job):
        return False
    local.latencies.wait.append(local.store.now() - (job.due or job.created))
    if local.announcer.listeners:
        local.announcer.tell("started", job.id, job.task)
    return True


def ended(attempt: JobAttempt) -> None:
    """Note that the attempt is over; the store hears of it in a moment."""
    local = attempt.owner.local
    local.latencies.processing.append(attempt.seconds)
    if attempt.task.cpu:
        attempt.look_at_files()
        local.task_files.clear(attempt.owner.key)


def dead_letter(job: Claimed, error: Exception) -> Outcome:
    """Return the outcome of a job that cannot become an attempt."""
    return Outcome(job.id, job.epoch, job.key, "dead", error=write_error(error), task=job.task)
