"""Job rows: the jobs of one queue in a record: when they came, began and ended.

Their queue is in the store, where nobody hears of each that comes. So its length is worked out at the end, from the
times of the jobs that have begun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.queues.node.local_queue import LocalQueue
from actorflow.sim.figures.tables import ActorFigures
from actorflow.sim.figures.time_series import TimeSeries, waiting

if TYPE_CHECKING:
    from actorflow.core.clock import VirtualClock
    from actorflow.tasks.execution import Attempt


class JobRow:
    """A job that begins.

    Attributes:
        arrival: virtual seconds at which it was to begin, at the earliest.
        path: of its queue.
        workers: of that, on this node.
    """

    __slots__ = ("arrival", "path", "workers")

    def __init__(self, arrival: float, path: str, workers: int) -> None:
        self.arrival = arrival
        self.path = path
        self.workers = workers

    @classmethod
    def of(cls, attempt: Attempt[Any], clock: VirtualClock) -> JobRow | None:
        """Return the row of an attempt; None: it is a step, and no job of a queue."""
        job, local = getattr(attempt.owner, "job", None), attempt.site
        if job is None or not isinstance(local, LocalQueue):
            return None
        arrival = max(job.created, job.due or 0.0) - (clock.time() - clock.now)
        path = f"/{local.scheduler.name}/queue-{local.name}"
        return cls(max(0.0, arrival), path, max(1, local.workers))


class QueueRow:
    """The jobs of one queue.

    Attributes:
        workers: of all nodes that have run some.
        busy: seconds, of all workers.
        waits: from when to when each job waited that has begun.
        ends: of the others.
    """

    __slots__ = ("busy", "ends", "waits", "workers")

    def __init__(self) -> None:
        self.workers: dict[object, int] = {}
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.busy = 0.0
        self.waits: list[tuple[float, float]] = []
        self.ends: list[float] = []

    def figures(self, path: str, begin: float, now: float) -> ActorFigures:
        """Return the figures of the queue, as of an actor with so many hands."""
        queue, throughput = waiting(self.waits, begin, now), TimeSeries(begin)
        for end in self.ends:
            throughput.count(end)
        seconds = (now - begin) * sum(self.workers.values())
        return ActorFigures(path, len(self.ends), self.busy, self.busy / seconds if seconds else 0.0, queue, throughput)
