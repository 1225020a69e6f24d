"""Job: a handle on one job; it works in any process on the store. Layer 4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from actorflow.core.clock import SystemClock
from actorflow.core.future import Future
from actorflow.errors import AskTimeout, DefinitionError, JobCancelled, JobFailed
from actorflow.queue import ledger
from actorflow.queue.faults import read_error
from actorflow.store.codec import decode

if TYPE_CHECKING:
    from actorflow.queue.waits import Waits
    from actorflow.store.store import Store
    from actorflow.store.transaction import Transaction

R_co = TypeVar("R_co", covariant=True)

LOOK: float = 0.5  # seconds between two looks at the store, should no news of a commit come


@dataclass(frozen=True, slots=True)
class JobInfo:
    """A job as the store has it.

    Attributes:
        status: "queued", "running", "completed", "failed" (no try was left), "dead" or "cancelled".
        attempt: tries so far.
        crashes: processes that died on it.
        created: when it was enqueued; this and the other times are seconds since the epoch.
    """

    id: str
    queue: str
    task: str
    status: str
    priority: int
    attempt: int
    crashes: int
    progress: str | None
    created: float
    started: float | None
    ended: float | None
    due: float | None
    key: str | None
    tags: tuple[str, ...]

    @classmethod
    def of(cls, row: tuple[Any, ...]) -> JobInfo:
        """Make one of a row."""
        tags = tuple(row[13].split("\n")) if row[13] else ()
        return cls(str(row[0]), *row[1:13], tags)


class Job(Generic[R_co]):
    """One job of a queue.

    Attributes:
        id: by which `system.get_job(id)` finds it again.
    """

    __slots__ = ("_store", "_waits", "id")

    def __init__(self, store: Store, waits: Waits, id: str) -> None:
        self._store = store
        self._waits = waits
        self.id = id

    def __repr__(self) -> str:
        return f"<Job {self.id}>"

    def info(self) -> JobInfo:
        """Return what the store knows of it.

        Raises:
            DefinitionError: there is no such job; done ones go after some time.
        """
        row = self._store.read(lambda transaction: transaction.one("jobs.get", {"id": int(self.id)}))
        if row is None:
            msg = f"there is no job {self.id} in {self._store.url}: was it done long ago?"
            raise DefinitionError(msg)
        return JobInfo.of(row)

    @property
    def status(self) -> str:
        """What it is: "queued", "running", "completed", "failed", "dead" or "cancelled"."""
        return self.info().status

    def result(self, *, timeout: float | None = None) -> R_co:
        """Return what the task returned; wait for it at most `timeout` seconds. In a handler other actors run meanwhile.

        Raises:
            JobFailed: it failed for good.
            JobCancelled: it was cancelled, or it expired.
            AskTimeout: it is not over yet.
        """
        deadline = None if timeout is None else SystemClock.monotonic() + timeout
        over: Future[None] = self._waits.add(int(self.id))
        try:
            while True:
                found = self._store.read(self._outcome)
                if found is not None:
                    return self._value(*found)
                left = LOOK if deadline is None else min(LOOK, deadline - SystemClock.monotonic())
                if left <= 0:
                    msg = f"job {self.id} is not over after {timeout} s"
                    raise AskTimeout(msg)
                try:
                    over.get(timeout=left)
                except AskTimeout:
                    continue
        finally:
            self._waits.drop(int(self.id), over)

    def _outcome(self, transaction: Transaction) -> tuple[Any, ...] | None:
        row = transaction.one("jobs.outcome", {"id": int(self.id)})
        if row is None:
            msg = f"there is no job {self.id} in {self._store.url}: was it done long ago?"
            raise DefinitionError(msg)
        return row if row[0] in ledger.FINAL else None

    def _value(self, status: str, result: bytes | None, error: bytes | None) -> R_co:
        if status == "completed":
            return decode(result) if result is not None else None  # type: ignore[no-any-return, return-value]
        text, cause = read_error(error)
        if status == "cancelled":
            msg = f"job {self.id} was cancelled: {text.partition(': ')[2] or text}"
            raise JobCancelled(msg)
        raise JobFailed(self.id, status, text) from cause

    def cancel(self) -> bool:
        """Cancel it: at once if it has not begun, else as soon as its task looks at `af.current().cancelled`.

        Returns:
            False if it was over.
        """
        now = self._store.now()

        def work(transaction: Transaction) -> bool:
            if ledger.cancel_queued(transaction, int(self.id), "it was cancelled", now):
                return True
            return transaction.one("jobs.cancelling", {"id": int(self.id)}) is not None

        return self._store.write(work)
