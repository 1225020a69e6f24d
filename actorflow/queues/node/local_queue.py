"""LocalQueue: one queue as one process has it, shared by its claimer, its workers and its users."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from actorflow.core.log import logger
from actorflow.core.messages.messages import Call
from actorflow.queues.node.announcer import Announcer, Waits
from actorflow.queues.node.job_store import JobStore
from actorflow.queues.node.upkeep import Upkeep
from actorflow.queues.stats import Latencies
from actorflow.tasks.site import TaskSite

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.core.running.scheduler import Scheduler
    from actorflow.process.pool.pool import ProcessPool
    from actorflow.queues.cron import Schedule
    from actorflow.store.node import StoreNode
    from actorflow.store.store import Store
    from actorflow.store.transaction import Durability


class LocalQueue(TaskSite):
    """The state that the claimer and the users of a queue share in one process.

    Attributes:
        order: the name by which work that locks the queue's limits is ordered in a shared commit: see `Store.write`.
        jobs: changes of its jobs in the store.
        announcer: tells who waits or listens here.
        upkeep: cares for rows that nobody here works on.
        offers: of the claimer: the next `enqueue` may claim in the same transaction.
        workers: their number in this process.
        inlined: jobs that run where they were enqueued.
        inline: blocks of `queue.inline()` that are open.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        waits: Waits,
        scheduler: Scheduler,
        pool: Callable[[], ProcessPool],
        durability: Durability | None,
        payload_limit: int,
    ) -> None:
        super().__init__(scheduler, store, pool, durability, payload_limit)
        self.name = name
        self.order = f"queue {name}"
        self.waits = waits
        self.latencies = Latencies()
        self.claimer: ActorRef[Any] | None = None
        self.offers: deque[object] = deque()
        self.closed = False
        self.workers = 0
        self.schedules: ActorRef[Any] | None = None
        self.declared: dict[str, Schedule] = {}
        self.inlined: set[int] = set()
        self.inline = 0
        self.jobs = JobStore(self)
        self.announcer = Announcer(self, waits)
        self.upkeep = Upkeep(self)
        waits.wakes[name] = self.wake
        waits.workers[name] = lambda: self.workers
        waits.cancels.append(self.look_for_cancelled)

    @cached_property
    def node(self) -> StoreNode:
        """This process among those on the store; kept here, as the store checks each time whether it is open."""
        return self.store.node

    def now(self) -> float:
        """Return the store's time, in seconds since the epoch."""
        return self.store.now()

    def wake(self) -> None:
        """There may be something to take."""
        self.tell_claimer("wake")

    def look_for_cancelled(self) -> None:
        """A job was cancelled while it ran."""
        self.tell_claimer("look_for_cancelled")

    def tell_claimer(self, method: str, *args: Any, **kwargs: Any) -> None:
        """Have the claimer call a method soon, also if a durable handler runs here: its sends wait for its commit."""
        claimer = self.claimer
        if claimer is not None and claimer.is_alive():
            self.scheduler.post(claimer, Call(method, args, kwargs), None)

    def close(self) -> None:
        """Give back the jobs that an abandoned claimer could not, when the system is over."""
        if self.closed:
            return
        self.closed = True
        self.task_files.close()
        if self.workers:
            try:
                self.upkeep.disown()
            except Exception as error:  # noqa: BLE001 - the store is gone; others take the jobs over as of a dead node
                logger.error("Queue %s: its jobs could not be given back: %s", self.name, error)
