"""Attempt: one try of a job on its way through a worker, and its outcome."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from actorflow.core.log import logger
from actorflow.core.refs.cold_fields import must_stop
from actorflow.errors import DefinitionError, HostDied, JobCancelled, OutcomeUnknown, PayloadError, Stopping
from actorflow.queues.calls import text_of_call
from actorflow.queues.ledger import CRASHES, DAY, Claimed, Outcome, interrupted
from actorflow.queues.node.open_transactions import watch_held
from actorflow.store.classes import UnknownClass
from actorflow.store.codec import check_size, encode
from actorflow.store.error_json import LONGEST_TEXT, write_error
from actorflow.tasks.current import Current
from actorflow.tasks.task import TASKS, AnyTask
from actorflow.text import text_of

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from actorflow.core.refs.ref import ActorRef
    from actorflow.process.pool.future import PoolFuture
    from actorflow.queues.node.local_queue import LocalQueue
    from actorflow.store.open_transaction import OpenTransaction


class NotBegun(Exception):
    """Says that a task's function was not called, for lack of a resource that its process should have had.

    The cause is the error that was raised: no descriptor, no thread, no memory, no pool. The job is not at fault.
    """


class Attempt:
    """One attempt of a job.

    Attributes:
        cancelled: its end was asked for.
        abort: ends the running process or coroutine, where that is possible.
        in_pool: the call of a cpu task.
        held: the open transaction that the task writes into; its result goes into it too.
        settled: the outcome is in the store already.
        waits_for: the job whose end its task waits for, in this process.
        began: seconds on the system's clock.
        seconds: how long it ran.
        not_begun: the resource that this process lacked, so that its function was not called.

    Raises:
        PayloadError: the job's row is damaged.
    """

    def __init__(self, job: Claimed, local: LocalQueue) -> None:
        self.job = job
        self.local = local
        self.task: AnyTask = TASKS[job.task]
        job.check()
        self.timeout, self.keep, self.retry = self.task.timeout, DAY, self.task.retry
        if job.options is not None:
            self._read_options(job.options)
        self.cancelled = False
        self.abort: Callable[[], object] | None = None
        self.in_pool: PoolFuture[Any] | None = None
        self.held: OpenTransaction | None = None
        self.settled = False
        self.waits_for: int | None = None
        self.outcome: Outcome | None = None
        self.not_begun: BaseException | None = None
        self.began = 0.0
        self.seconds = 0.0

    def _read_options(self, stored: bytes) -> None:
        """Take over the timeout, the retention and the retry that were given to this job."""
        try:
            options = json.loads(stored)
            timeout = options.get("timeout", self.timeout)
            self.timeout = None if timeout is None else float(timeout)
            self.keep = float(options.get("keep", DAY))
            numbers = options.get("retry")
            if numbers is not None:
                self.retry = self.task.retry.with_numbers(numbers)
        except Exception as error:
            msg = f"the options of job {self.job.id} are damaged: {error!r}"
            raise PayloadError(msg) from error

    @property
    def key(self) -> str:
        """The idempotency key of the job."""
        return f"job-{self.job.id}"

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

    def current(self, *, may_write: bool) -> Current:
        """Return the task's view of this attempt."""
        return Current(
            self.key,
            self.job.attempt,
            lambda done, total: self.local.jobs.note_progress(self.job, done, total),
            lambda: self.cancelled,
            self.transaction if may_write else None,
            self.wait_for,
        )

    # --- to work, and back --------------------------------------------------------------------------------------------

    def begin(self) -> bool:
        """Note that a worker is to have the job; False if it was lost to another node, or the store is gone."""
        local, job = self.local, self.job
        if not local.jobs.begin(job):
            return False
        local.latencies.wait.append(local.store.now() - (job.due or job.created))
        local.announcer.tell("started", job.id, job.task)
        return True

    def ended(self) -> None:
        """Note that the attempt is over; the store hears of it in a moment."""
        self.local.latencies.processing.append(self.seconds)
        if self.task.cpu:
            self.look_at_task_files()
            self.local.task_files.clear(self.job.id)

    def look_at_task_files(self) -> None:
        """Pass on how far a cpu task is."""
        noted = self.local.task_files.progress(self.job.id)
        if noted is not None:
            self.local.jobs.note_progress(self.job, *noted)

    def has_begun(self) -> bool:
        """Say whether an attempt that a worker has had for a while runs: one of a cpu task may wait for a process."""
        return not self.task.cpu or (self.in_pool is not None and self.in_pool.running())

    def wait_for(self, job: int | None) -> None:
        """Note the job whose end the task waits for."""
        self.waits_for = job

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """Open the transaction that the result goes into."""
        if self.held is not None:
            msg = f"{self.job.task} opens a second transaction(): a task has one, which its return commits"
            raise DefinitionError(msg)
        self.held = self.local.store.hold(self.local.durability)
        watch_held(self.local, self, self.held)
        yield self.held.connection

    def commit(self, outcome: Outcome) -> Outcome:
        """Write a result into the transaction of the task, and commit both; if the job was lost, undo both."""
        held = self.held
        assert held is not None
        try:
            if self.local.jobs.settle_within(held.transaction, outcome):
                held.commit()
                self.settled = True  # before `held` goes: a look at both sees that it is not given up any more
                return outcome
        except BaseException:
            held.rollback()
            raise
        finally:
            self.held = None
        held.rollback()
        return outcome  # the claimer finds out that it is lost, and says so

    def undo(self) -> None:
        """Undo the writes of the task."""
        held, self.held = self.held, None
        if held is not None:
            held.rollback()

    def can_be_given_up(self) -> bool:
        """Say whether the attempt may be ended from outside: until it is through. The task's writes are undone then."""
        held = self.held
        return (held is None or held.abandon()) and not self.settled and self.outcome is None

    # --- outcomes ----------------------------------------------------------------------------------------------------

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

    def completed(self, value: Any) -> Outcome:
        """Return the outcome of an attempt that returned.

        Raises:
            PayloadError: the value cannot be stored.
        """
        what = f"the result of {self.job.task}"
        result = None if value is None else encode(value, what)
        check_size(result, what, self.local.payload_limit)
        return self._outcome("completed", result=result)

    def end_by(self, error: BaseException, now: float, rng: random.Random, worker: ActorRef[Any] | None = None) -> None:
        """Note the outcome of an attempt that raised; it does not raise itself, or the worker and the job were lost."""
        try:
            self.undo()
        except Exception as problem:  # noqa: BLE001 - the connection is gone, and its writes with it
            logger.error("%s failed, and its writes could not be undone", self, exc_info=problem)
        cause = error.__cause__ if isinstance(error, NotBegun) else None
        if self.cancelled or cause is None:
            self.outcome = self.failed(error, now, rng, worker)
            self.outcome.is_doubtful = isinstance(error, OutcomeUnknown)
        elif isinstance(cause, UnknownClass):
            self.local.upkeep.report_unknown_class(self, cause)
            self.outcome = self._outcome("queued", given_back=True, lacks=cause.kind, error=write_error(cause))
        else:
            self.not_begun = cause
            self.outcome = self.give_back()

    def failed(
        self, error: BaseException, now: float, rng: random.Random, worker: ActorRef[Any] | None = None
    ) -> Outcome:
        """Return the outcome of an attempt that raised: another try, or none. This never raises, whatever the error."""
        try:
            return self._failed(error, now, rng, worker)
        except BaseException as problem:
            if isinstance(problem, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise  # Ctrl-C, beside a job that runs inline
            # a rule, an error or a handler of logs, of the user's
            return self._outcome("failed", error=write_error(problem))

    def _failed(self, error: BaseException, now: float, rng: random.Random, worker: ActorRef[Any] | None) -> Outcome:
        job = self.job
        if worker is not None and self._is_cut(error, worker):
            return self.interrupted()  # not the job's fault, whatever it has made of it
        if self.cancelled:
            if not isinstance(error, JobCancelled):
                error = JobCancelled("it was cancelled while it ran")
            return self._outcome("cancelled", error=write_error(error))
        stored = write_error(error, has_traceback=not isinstance(error, HostDied))
        if isinstance(error, HostDied):  # it has killed its process, or was in one that somebody else killed
            is_dead = job.at_most_once or job.crashes + 1 >= CRASHES
            text = text_of(error, LONGEST_TEXT, str)
            if is_dead:
                logger.error("%s is a dead letter: %s", self, text)
            else:
                logger.warning("%s lost its process and is queued again: %s", self, text)
            return self._outcome("dead" if is_dead else "queued", error=stored, crashes=1)
        pause = self.pause_after(error, rng)
        if pause is not None:
            logger.warning("%s failed, tried again in %.3g s", self, pause, exc_info=error)
            return self._outcome("queued", error=stored, due=now + pause)
        logger.error("%s failed for good", self, exc_info=error)
        return self._outcome("failed", error=stored)

    def _is_cut(self, error: BaseException, worker: ActorRef[Any]) -> bool:
        """Say whether the end of the worker, or of the system, made it fail."""
        scheduler = self.local.scheduler
        is_cut = scheduler.drain is not None and scheduler.drain.over.done()
        return must_stop(worker) or is_cut or (isinstance(error, Stopping) and scheduler.draining)

    def _outcome(self, status: str, **more: Any) -> Outcome:
        job = self.job
        return Outcome(job.id, job.epoch, job.key, status, keep=self.keep, task=job.task, **more)

    def pause_after(self, error: BaseException, rng: random.Random) -> float | None:
        """Return the seconds until the next try; None if there is none."""
        job = self.job
        if job.at_most_once or isinstance(error, PayloadError):
            return None
        return self.retry.pause(job.attempt - job.crashes, error, rng)

    def __str__(self) -> str:
        """Return how the log names it."""
        job = self.job
        return f"Job {job.id} of queue {self.local.name}, {text_of_call(job.task, job.args)},"


def dead_letter(job: Claimed, error: Exception) -> Outcome:
    """Return the outcome of a job that cannot become an attempt."""
    return Outcome(job.id, job.epoch, job.key, "dead", error=write_error(error), task=job.task)
