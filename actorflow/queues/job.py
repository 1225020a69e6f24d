"""Job: a handle on one job; it works in any process on the store."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from actorflow.core.futures.future import Future
from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT
from actorflow.errors import AskTimeout, DeadlockError, DefinitionError, JobCancelled, JobFailed
from actorflow.queues import ledger
from actorflow.queues.aftermath import finish
from actorflow.queues.reasons import DelayReason, reason_for
from actorflow.store.error_json import read_error, read_traceback
from actorflow.tasks.current import CURRENT_TASK, find_current
from actorflow.tasks.task import TASKS

if TYPE_CHECKING:
    from actorflow.core.messages.execution import Execution
    from actorflow.queues.node.announcer import Waits
    from actorflow.store.store import Store
    from actorflow.store.transaction import Transaction
    from actorflow.tasks.options import HasId

R_co = TypeVar("R_co", covariant=True)

VAIN_SECONDS: Final = 5.0  # of a wait until it is said that nobody here can end it


@dataclass(frozen=True, slots=True)
class JobInfo:
    """A job as the store has it.

    Attributes:
        status: "queued", "running", "completed", "failed" (no try was left), "dead" or "cancelled".
        attempt: tries so far.
        crashes: processes that died on it.
        progress: the last report of its task: (done, total).
        created: when it was enqueued; this and the other times are seconds since the epoch.
        due: before this time it does not begin; None without such a time, and once it has ended.
        cancelling: it runs, and is to end.
        error: the last one, or why it was cancelled.
        traceback: where the last error was raised.
    """

    id: str
    queue: str
    task: str
    status: str
    priority: int
    attempt: int
    crashes: int
    progress: tuple[float, float | None] | None
    created: float
    started: float | None
    ended: float | None
    due: float | None
    key: str | None
    tags: tuple[str, ...]
    cancelling: bool
    error: str | None
    traceback: str | None = None

    @classmethod
    def of(cls, row: tuple[Any, ...]) -> JobInfo:
        """Make one of a row."""
        *plain, progress, created, started, ended, due, key, tags, cancelling, error = row
        id_, queue, task, status, priority, attempt, crashes = plain
        return cls(
            id=str(id_),
            queue=queue,
            task=task,
            status=status,
            priority=priority,
            attempt=attempt,
            crashes=crashes,
            progress=None if progress is None else read_progress(progress),
            created=created,
            started=started,
            ended=ended,
            due=due if ended is None else None,
            key=key,
            tags=tuple(tags.split("\n")) if isinstance(tags, str) and tags else (),
            cancelling=cancelling in {1, 3},
            error=None if error is None else read_error(error)[0],
            traceback=read_traceback(error),
        )


def read_progress(stored: Any) -> tuple[float, float | None] | None:
    """Return the progress of a job; None if the stored one is damaged, so that one row hides no other."""
    try:
        done, total = json.loads(stored)
    except (ValueError, TypeError):
        return None
    return done, total


class Job(Generic[R_co]):
    """One job of a queue: `job.result()` waits for the result of its task, and so does `await job`.

    Attributes:
        id: the id by which `system.get_job(id)` finds it again.
    """

    __slots__ = ("_store", "_waits", "id")

    def __init__(self, store: Store, waits: Waits, id: str) -> None:
        self._store = store
        self._waits = waits
        self.id = id

    def __repr__(self) -> str:
        return f"<Job {self.id}>"

    def info(self) -> JobInfo:
        """Return the job as the store has it now.

        Raises:
            DefinitionError: there is no such job; done ones go after some time.
        """
        row = self._store.read(lambda transaction: transaction.one("jobs.get", {"id": int(self.id)}))
        if row is None:
            msg = f"there is no job {self.id} in {self._store.url}; it may have been removed after its time"
            raise DefinitionError(msg)
        return JobInfo.of(row)

    @property
    def status(self) -> str:
        """The job's status: "queued", "running", "completed", "failed", "dead" or "cancelled"."""
        return self.info().status

    def result(self, *, timeout: float | None = None) -> R_co:
        """Return the result of the task; wait for it at most `timeout` seconds. Meanwhile other actors run.

        Raises:
            JobFailed: it failed for good.
            JobCancelled: it was cancelled, or it expired.
            AskTimeout: it is not over yet.
            DeadlockError: this task has a transaction() open, in which no other job ends.
            ActorDeadError: the system has ended; the job is in the store, if that lasts.
            DefinitionError: this is an async task, or another handler on the loop: `await job`.
        """
        execution = CURRENT.get()
        if execution is not None and execution.on_loop:
            msg = (
                "job.result() would block the loop of all async tasks and loop=True handlers: `await job`, or with a "
                "limit `await asyncio.wait_for(job, seconds)`"
            )
            raise DefinitionError(msg)
        task = None if CURRENT_TASK.get() is None else find_current()  # most waits are outside of tasks
        if task is None or task._wait_for is None:
            return self._wait(timeout)
        with self._waited_for():
            return self._wait(timeout)

    def __await__(self) -> Generator[Any, Any, R_co]:
        """Return the result as `result` does, without blocking: in asyncio code, async tasks and `async def` handlers.

        `await asyncio.wait_for(job, seconds)` and `asyncio.gather(*jobs)` work as with any coroutine. A wait that is
        cancelled leaves the job alone.
        """
        return self._awaited().__await__()

    async def _awaited(self) -> R_co:
        with self._waited_for():
            found = await self._waits.awaited(int(self.id), lambda: self._store.read(self._outcome))
            return self._value(*found)

    @contextmanager
    def _waited_for(self) -> Iterator[None]:
        """Have the task that runs here, if one does, known as one that waits for this job."""
        task = find_current()
        note = None if task is None else task._wait_for
        if note is None:
            yield
            return
        note(int(self.id))
        try:
            yield
        finally:
            note(None)

    def _wait(self, timeout: float | None) -> R_co:
        waits = self._waits
        began = waits.clock.monotonic()
        deadline = None if timeout is None else began + timeout
        has_warned = False
        while True:
            over: Future[None] = waits.add(int(self.id))  # before the look: later news wake this wait
            try:
                found = self._store.read(self._outcome)
                if found is not None:
                    return self._value(*found)
                if self._store.is_held_here:
                    msg = (
                        f"job {self.id} cannot end while this task has a transaction() open, as nothing is written "
                        "meanwhile: wait for it before, or in another task"
                    )
                    raise DeadlockError(msg)
                left = None if deadline is None else deadline - waits.clock.monotonic()
                if left is not None and left <= 0:
                    msg = f"job {self.id} is not over after {timeout} s: {self._reason().text}"
                    raise AskTimeout(msg)
                silent = None if has_warned else began + VAIN_SECONDS - waits.clock.monotonic()
                if silent is not None and silent <= 0:
                    has_warned, silent = True, None
                    self._warn_if_vain()
                pause = min((time for time in (left, waits.looks, silent) if time is not None), default=None)
                with contextlib.suppress(TimedOut):
                    wait(over, pause)
            finally:
                waits.drop(int(self.id), over)

    def _reason(self) -> DelayReason:
        """Return the reason why the job is not over."""
        now, waits = self._store.now(), self._waits
        return self._store.read(
            lambda transaction: reason_for(transaction, int(self.id), now, waits.workers_of, waits.known)
        )

    def _warn_if_vain(self) -> None:
        """Log a wait for a job that no worker of this process can end."""
        reason = self._reason()
        if reason.is_vain:
            logger.warning("A wait for job %s may not end: %s", self.id, reason.text)

    def _outcome(self, transaction: Transaction) -> tuple[Any, ...] | None:
        row = transaction.one("jobs.outcome", {"id": int(self.id)})
        if row is None:
            msg = f"there is no job {self.id} in {self._store.url}; it may have been removed after its time"
            raise DefinitionError(msg)
        return row if row[0] in ledger.FINAL else None

    def _value(self, status: str, result: bytes | None, error: bytes | None, task: str) -> R_co:
        if status == "completed":
            return self._waits.read(result) if result is not None else None  # type: ignore[return-value]
        text, cause = read_error(error, TASKS[task].raises if task in TASKS else ())
        if status == "cancelled":
            msg = f"job {self.id} was cancelled: {text.partition(': ')[2] or text}"
            raise JobCancelled(msg)
        raise JobFailed(self.id, status, text) from cause

    def cancel(self) -> bool:
        """Cancel the job: at once if it has not begun, else as soon as its task looks at `af.current().cancelled`.

        Returns:
            False if the job was over.
        """
        now, news = self._store.now(), ledger.News()
        done = self._store.write(lambda transaction: ledger.cancel(transaction, int(self.id), now, news))
        self._waits.announce(news)
        if done is False:
            self._waits.cancelled()
        if news.is_unfinished:
            finish(self._store, self._waits.payload_limit, self._waits.announce)
        return done is not None


class HeldJob(Job[R_co]):
    """A job that a durable handler has enqueued: there with the handler's commit, or not at all."""

    __slots__ = ("_execution", "is_there", "number")

    def __init__(self, store: Store, waits: Waits, execution: Execution) -> None:
        self._store = store
        self._waits = waits
        self._execution = execution  # the handler whose commit it is part of
        self.number = 0
        self.is_there = False

    def __repr__(self) -> str:
        return f"<Job {self.number}>" if self.is_there else "<Job, not committed>"

    @property
    def id(self) -> str:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """The id by which `system.get_job(id)` finds it again.

        Raises:
            DefinitionError: the handler is not committed.
        """
        if self.is_there:
            return str(self.number)
        msg = (
            "a job that a durable handler enqueues is part of its commit: until then it has no id, no status and no "
            "result, and to wait for it there would be for ever. Have its task tell this actor (give it "
            "self.actor_ref), or find the job later by options(tags=)"
        )
        raise DefinitionError(msg)

    def check_within(self, execution: object) -> None:
        """Refuse a job that is neither there nor part of the same commit.

        Raises:
            DefinitionError: the handler that has enqueued it is not committed, and is another one.
        """
        if self._execution is not execution:
            int(self.id)


def number_of(job: HasId) -> int:
    """Return the number of a job's row; of one that is being committed, the number that it has got just now."""
    return job.number if isinstance(job, HeldJob) else int(job.id)


def check_id(id: object) -> str:
    """Return the id of a job as text.

    Raises:
        DefinitionError: it is no whole number of 64 bits.
    """
    text = str(id)
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) < 1 << 63):
        msg = f"get_job({id!r}): the id of a job is a number, as in job.id"
        raise DefinitionError(msg)
    return text


class TimedOut(Exception):
    """The news that a pause is over."""


def wait(over: Future[None], seconds: float | None) -> None:
    """Wait for a future, and say by an error of its own if it did not come: DeadlockError is an AskTimeout too.

    Raises:
        TimedOut: it did not come.
    """
    try:
        over.get(timeout=seconds)
    except DeadlockError:
        raise
    except AskTimeout:
        raise TimedOut from None
