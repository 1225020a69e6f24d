"""Line: one queue as one process has it: the store, the tasks known here, who waits, who listens. Layer 4."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from actorflow.core.clock import SystemClock
from actorflow.core.log import logger
from actorflow.queue import ledger
from actorflow.queue.waits import Waits
from actorflow.workflow.task import TASKS

if TYPE_CHECKING:
    from actorflow.core.ref import ActorRef
    from actorflow.process.pool.pool import ProcessPool
    from actorflow.queue.worker import Attempt
    from actorflow.store.store import Store
    from actorflow.store.transaction import Durability, Transaction


@dataclass(frozen=True, slots=True)
class JobEvent:
    """What listeners of a queue get.

    Attributes:
        kind: "queued", "started", "progress", "completed", "failed", "retried", "cancelled" or "dead".
        job: id of the job.
        task: name of its task.
        time: seconds since the epoch.
        detail: of "progress", (done, total); of "retried", when it is due.
    """

    kind: str
    job: str
    task: str
    time: float
    detail: Any = None


Listener: TypeAlias = Callable[[JobEvent], Any]


class Line:
    """What the claimer and the users of a queue share in one process."""

    def __init__(
        self,
        name: str,
        store: Store,
        waits: Waits,
        pool: Callable[[], ProcessPool],
        durability: Durability | None,
    ) -> None:
        self.name = name
        self.store = store
        self.waits = waits
        self.pool = pool
        self.durability: Durability | None = durability
        self.claimer: ActorRef[Any] | None = None
        self.closed = False
        self.workers = 0
        self._listeners: tuple[Listener, ...] = ()
        self._lock = threading.Lock()
        self._known = ("", 0)

    @property
    def store_is_private(self) -> bool:
        """Say whether no other process can be on the store."""
        return self.store.url == "memory:"

    @property
    def tasks(self) -> str:
        """Names of the tasks that this process knows, as JSON."""
        names, count = self._known
        if count != len(TASKS):
            count = len(TASKS)
            names = json.dumps(sorted(TASKS))
            self._known = (names, count)
        return names

    def wake(self) -> None:
        """There may be something to take."""
        claimer = self.claimer
        if claimer is not None and claimer.is_alive():
            claimer.cast(claimer.actor_class.wake)

    # --- for the claimer ---------------------------------------------------------------------------------------------

    def settle_and_claim(
        self, done: list[ledger.Outcome], wanted: int, lease: float
    ) -> tuple[list[ledger.Claimed], list[int], float | None]:
        """Write what became of jobs and take the next; also returns those that were lost, and when to look again."""
        store, name = self.store, self.name
        owner, now, until = store.node.id, store.now(), SystemClock.monotonic() + lease
        tasks = self.tasks

        def work(transaction: Transaction) -> tuple[list[ledger.Claimed], list[int], float | None]:
            lost = ledger.settle(transaction, name, owner, done, now) if done else []
            claimed = ledger.claim(transaction, name, owner, tasks, wanted, now, until) if wanted > 0 else []
            next_wake = ledger.next_wake(transaction, name) if len(claimed) < wanted else None
            return claimed, lost, next_wake

        claimed, lost, next_wake = store.write(work, durability=self.durability)
        self.waits.ended([outcome.id for outcome in done if outcome.status in ledger.FINAL])
        return claimed, lost, next_wake

    def beat(self, lease: float) -> None:
        """Say that this node lives."""
        until = SystemClock.monotonic() + lease
        values = {"owner": self.store.node.id, "lease": until}
        self.store.write(lambda transaction: transaction.run("jobs.beat", values), durability="process")

    def to_cancel(self) -> list[int]:
        """Return the jobs of this node that somebody wants to end."""
        rows = self.store.read(lambda transaction: transaction.all("jobs.to_cancel", {"owner": self.store.node.id}))
        return [row[0] for row in rows]

    def bury_dead_nodes(self) -> None:
        """Take the jobs of nodes that have died, so that any node may claim them."""
        store = self.store
        for id_ in store.node.dead():
            cause = f"its process (node {id_}) was killed or has crashed"
            moved = store.write(partial(ledger.take_over, owner=id_, now=store.now(), cause=cause))
            store.node.forget(id_)
            for job, queue, status in moved:
                logger.warning("Job %s of queue %s was in a process that died; it is %s", job, queue, status)
            self.wake()

    # --- listeners ---------------------------------------------------------------------------------------------------

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call a function with each event of this process; return what ends that."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def unlisten() -> None:
            with self._lock:
                self._listeners = tuple(one for one in self._listeners if one is not listener)

        return unlisten

    def tell(self, kind: str, job: int, task: str, detail: Any = None) -> None:
        """Tell the listeners; one that raises is logged, and stops nothing."""
        if not self._listeners:
            return
        event = JobEvent(kind, str(job), task, self.store.now(), detail)
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - a listener that raises changes nothing
                logger.exception("A listener of queue %s failed", self.name)

    def attempt_began(self, attempt: Attempt) -> None:
        """A worker has a job."""
        if self._listeners:
            self.tell("started", attempt.job.id, attempt.job.task)

    def attempt_ended(self, attempt: Attempt) -> None:
        """An attempt is over; the store hears of it in a moment."""
        outcome = attempt.outcome
        if self._listeners and outcome is not None:
            kind = "retried" if outcome.status == "queued" else outcome.status
            self.tell(kind, attempt.job.id, attempt.job.task, outcome.due)

    def report(self, job: int, done: Any, total: Any) -> None:
        """Note how far a job is."""
        progress = json.dumps([done, total])
        values = {"id": job, "progress": progress, "owner": self.store.node.id}
        self.store.submit(lambda transaction: transaction.run("jobs.progress", values), durability="process")
        self.tell("progress", job, "", (done, total))
