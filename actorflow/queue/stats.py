"""Stats: what a queue holds and has done. Layer 4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actorflow.queue import ledger

if TYPE_CHECKING:
    from actorflow.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class QueueStats:
    """A queue in figures, over all processes.

    Attributes:
        queued: jobs that could begin, or wait behind a limit or other jobs.
        due: jobs that wait for their time.
        running: jobs that have begun.
        completed, failed, cancelled, dead: how jobs ended, since the queue was made.
        retried: attempts that failed and were to be made again.
        workers: of this process.
    """

    queued: int
    due: int
    running: int
    completed: int
    failed: int
    cancelled: int
    retried: int
    dead: int
    workers: int


def stats_of(transaction: Transaction, queue: str, workers: int) -> QueueStats:
    """Return a queue's figures."""
    depth: dict[int, int] = dict(transaction.all("jobs.depth", {"queue": queue}))
    row = transaction.one("jobs.counts", {"name": queue}) or (0, 0, 0, 0, 0)
    completed, failed, cancelled, retried, dead = row
    return QueueStats(
        queued=sum(depth.get(stage, 0) for stage in (ledger.READY, ledger.HELD, ledger.BEHIND)),
        due=depth.get(ledger.DUE, 0),
        running=depth.get(ledger.RUNNING, 0),
        completed=completed,
        failed=failed,
        cancelled=cancelled,
        retried=retried,
        dead=dead,
        workers=workers,
    )
