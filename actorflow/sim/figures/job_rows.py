"""Job rows: the jobs of one queue in a record: when they came, began and ended.

Their queue is in the store, where nobody hears of each that comes. So its length is worked out at the end, from the
times of the jobs that have begun, and of those that are still in it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from actorflow.queues.job import JobInfo
from actorflow.queues.node.local_queue import LocalQueue
from actorflow.queues.selection import Selection
from actorflow.sim.figures.tables import ActorFigures
from actorflow.sim.figures.time_series import TimeSeries, waiting

if TYPE_CHECKING:
    from actorflow.core.clock import VirtualClock
    from actorflow.queues.ledger.records import Claimed
    from actorflow.store.store import Store
    from actorflow.tasks.execution import Attempt


MOST_WAITING: Final = 10_000  # jobs of a queue, or events for a service, that still wait in the store and are counted


class JobRow:
    """A job that begins.

    Attributes:
        arrival: virtual seconds at which it was to begin, at the earliest.
        path: of its queue.
        local: the queue, on this node.
    """

    __slots__ = ("arrival", "local", "path")

    def __init__(self, arrival: float, path: str, local: LocalQueue) -> None:
        self.arrival = arrival
        self.path = path
        self.local = local

    @property
    def workers(self) -> int:
        """Number of the workers of the queue on this node."""
        return max(1, self.local.workers)

    @classmethod
    def of(cls, attempt: Attempt[Any], clock: VirtualClock) -> JobRow | None:
        """Return the row of an attempt; None: it is a step, and no job of a queue."""
        job, local = getattr(attempt.owner, "job", None), attempt.site
        if job is None or not isinstance(local, LocalQueue):
            return None
        path = f"/{local.scheduler.name}/queue-{local.name}"
        return cls(arrival_of(job, clock), path, local)


class QueueRow:
    """The jobs of one queue.

    Attributes:
        workers: of all nodes that have run some.
        busy: seconds, of all workers.
        waits: from when to when each job waited that has begun.
        ends: of the others.
    """

    __slots__ = ("_clock", "_local", "busy", "ends", "waits", "workers")

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._local: LocalQueue | None = None
        self.workers: dict[object, int] = {}
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.busy = 0.0
        self.waits: list[tuple[float, float]] = []
        self.ends: list[float] = []

    def begin(self, job: JobRow, node: object) -> None:
        """Note that a job begins now on a node."""
        self._local = job.local
        self.workers[node] = job.workers
        self.waits.append((job.arrival, self._clock.now))

    def _arrivals(self, store: Store | None) -> list[float]:
        """Return when the jobs came that are still in the queue, or were to begin at the earliest."""
        if self._local is None or store is None:
            return []
        rows = Selection(self._local.name, "queued").rows(store, MOST_WAITING)
        return [arrival_of(JobInfo.of(row), self._clock) for row in rows]

    def figures(self, path: str, begin: float, now: float, store: Store | None) -> ActorFigures:
        """Return the figures of the queue, as of an actor with so many hands.

        Args:
            path: of the queue.
            begin: virtual seconds; it counts from there.
            now: virtual seconds.
            store: of all nodes, any of which may be down; None: there is none.
        """
        waits = [*self.waits, *((arrival, math.inf) for arrival in self._arrivals(store))]
        queue, throughput = waiting(waits, begin, now), TimeSeries(begin)
        for end in self.ends:
            throughput.count(end)
        seconds = (now - begin) * sum(self.workers.values())
        return ActorFigures(path, len(self.ends), self.busy, self.busy / seconds if seconds else 0.0, queue, throughput)


def arrival_of(job: JobInfo | Claimed, clock: VirtualClock) -> float:
    """Return when a job came into its queue, or was to begin at the earliest: virtual seconds."""
    return max(0.0, max(job.created, job.due or 0.0) - (clock.time() - clock.now))
