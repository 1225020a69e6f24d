"""Stats: the counts and latencies of a queue."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actorflow.queues.ledger import limits

if TYPE_CHECKING:
    from actorflow.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of the latest 1,000 times in seconds: half of them took at most `p50`, 95 in 100 `p95`, 99 `p99`."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class QueueLatency:
    """The parts of a job's time from `enqueue` to its end, as this process has seen them.

    Attributes:
        enqueue: the call of `enqueue`: encoding and commit.
        wait: from then, or from its due time, until a worker begins it.
        processing: the task itself.
    """

    enqueue: Latency | None
    wait: Latency | None
    processing: Latency | None


class Latencies:
    """The latest seconds of each part of a job's time."""

    def __init__(self) -> None:
        self.enqueue: deque[float] = deque(maxlen=1000)
        self.wait: deque[float] = deque(maxlen=1000)
        self.processing: deque[float] = deque(maxlen=1000)

    def summary(self) -> QueueLatency:
        """Return percentiles."""
        return QueueLatency(*(percentiles(list(part)) for part in (self.enqueue, self.wait, self.processing)))


def percentiles(values: list[float]) -> Latency | None:
    """Return three percentiles by nearest rank.

    >>> percentiles([float(n) for n in range(1, 101)])
    Latency(p50=50.0, p95=95.0, p99=99.0)
    """
    if not values:
        return None
    values.sort()
    return Latency(*(values[max(0, math.ceil(len(values) * part) - 1)] for part in (0.50, 0.95, 0.99)))


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
        latency: of jobs in this process.
        paused: no more jobs begin.
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
    latency: QueueLatency
    paused: bool


def stats_of(transaction: Transaction, queue: str, workers: int, latencies: Latencies) -> QueueStats:
    """Return a queue's figures."""
    depth = transaction.one("jobs.depth", {"queue": queue}) or (0, 0, 0, 0, 0, 0)  # by stage; LACKING is last
    row = transaction.one("jobs.counts", {"name": queue}) or (0, 0, 0, 0, 0, 0)
    completed, failed, cancelled, retried, dead, paused = row
    return QueueStats(
        queued=sum(depth[stage] for stage in (limits.READY, limits.HELD, limits.BEHIND, limits.LACKING)),
        due=depth[limits.DUE],
        running=depth[limits.RUNNING],
        completed=completed,
        failed=failed,
        cancelled=cancelled,
        retried=retried,
        dead=dead,
        workers=workers,
        latency=latencies.summary(),
        paused=bool(paused),
    )
