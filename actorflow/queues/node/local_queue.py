"""LocalQueue: one queue as one process has it: the store, the tasks known here, the waits and the listeners."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.log import logger
from actorflow.core.outage import Outage
from actorflow.errors import StoreOutdated
from actorflow.queues import ledger
from actorflow.queues.aftermath import carry_on, finish, is_anything_left
from actorflow.queues.events import Listeners
from actorflow.queues.node.task_files import InProcess, TaskFiles
from actorflow.queues.node.upkeep import Upkeep
from actorflow.queues.packing import Packed, put_plain
from actorflow.queues.stats import Latencies
from actorflow.store.codec import check_size
from actorflow.store.error_json import LONGEST_TEXT
from actorflow.tasks.task import TASKS
from actorflow.text import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actorflow.core.clock import Clock
    from actorflow.core.refs.ref import ActorRef
    from actorflow.process.pool.pool import ProcessPool
    from actorflow.queues.cron import Schedule
    from actorflow.queues.node.announcer import Waits
    from actorflow.queues.node.attempt import Attempt
    from actorflow.store.node import StoreNode
    from actorflow.store.store import Store
    from actorflow.store.transaction import Durability, Transaction
    from actorflow.tasks.task import AnyTask

LEASE_SECONDS: Final = 30.0
SET_BACK_SECONDS: Final = 1.0  # by which a clock must have been set back to be noticed


class LocalQueue:
    """The state that the claimer and the users of a queue share in one process."""

    def __init__(
        self,
        name: str,
        store: Store,
        waits: Waits,
        pool: Callable[[], ProcessPool],
        durability: Durability | None,
        *,
        clock: Clock,
        is_virtual: bool,
        payload_limit: int,
        after: Callable[[float, Callable[[], object]], object],
        is_ending: Callable[[], bool],
        is_cut: Callable[[], bool],
    ) -> None:
        self.name = name
        self.order = order_of(name)
        self.store = store
        self.waits = waits
        self.pool = pool
        self.durability: Durability | None = durability
        self.clock = clock
        self.is_virtual = is_virtual
        self.payload_limit = payload_limit
        self.after = after  # calls a function in some seconds, in the holder of the baton
        self.is_ending = is_ending  # says whether the system drains
        self.is_cut = is_cut  # says whether its grace time is over
        self.task_files = TaskFiles()
        self.latencies = Latencies()
        self.claimer: ActorRef[Any] | None = None
        self.offers: deque[object] = deque()  # of the claimer: the next `enqueue` may claim in the same transaction
        self.closed = False
        self.outages: dict[str, Outage] = {}  # of the store, by the work that it hinders
        self.is_outdated = False  # it was said that a newer program has changed the tables
        self.workers = 0
        self.schedules: ActorRef[Any] | None = None
        self.declared: dict[str, Schedule] = {}
        self.inlined: set[int] = set()  # jobs that run where they were enqueued
        self.inline = 0  # blocks of `queue.inline()` that are open
        self.listeners = Listeners(name, store.now)
        self._known = ("", 0)
        self._latest = math.inf  # time of the latest look for work; before the first it is not known
        self._in_process: dict[str, InProcess] = {}
        self.upkeep = Upkeep(self)
        waits.wakes[name] = self.wake
        waits.workers[name] = lambda: self.workers
        waits.cancels.append(self.look_for_cancelled)

    @property
    def store_is_private(self) -> bool:
        """Say whether no other process can be on the store."""
        return self.is_virtual or self.store.url == "memory:"

    @property
    def tasks(self) -> str:
        """Names of the tasks that this process knows, as JSON."""
        names, count = self._known
        if count != len(TASKS):
            count = len(TASKS)
            names = json.dumps(sorted(TASKS))
            self._known = (names, count)
        return names

    @cached_property
    def node(self) -> StoreNode:
        """This process among those on the store; kept here, as the store checks each time whether it is open."""
        return self.store.node

    def now(self) -> float:
        """Return the store's time, in seconds since the epoch."""
        return self.store.now()

    def lease_now(self) -> float:
        """Return seconds on the clock of the leases: nobody sets it, unlike the one on the wall."""
        return self.clock.monotonic() if self.store.dialect == "sqlite" else self.store.now()

    def check_size(self, data: bytes | None, what: str) -> None:
        """Refuse data that is too big for a store.

        Raises:
            PayloadError: it is over the limit, which the text names.
        """
        check_size(data, what, self.payload_limit)

    def in_process(self, task: AnyTask) -> InProcess:
        """Return the function of a cpu task, as the processes of the pool call it."""
        function = self._in_process.get(task.name)
        if function is None or function.function is not task.function:
            function = self._in_process[task.name] = InProcess(task.function)
        return function

    def wake(self) -> None:
        """There may be something to take."""
        claimer = self.claimer
        if claimer is not None and claimer.is_alive():
            claimer.cast(claimer.actor_class.wake)

    def put_and_claim(self, packed: Packed, now: float) -> tuple[int, list[ledger.Claimed]]:
        """Add a job, and claim the next one in the same transaction: half the commits for a worker that waits."""
        store, name, news = self.store, self.name, None
        owner, until = self.node.id, self.lease_now() + LEASE_SECONDS

        def work(transaction: Transaction) -> tuple[int, list[ledger.Claimed]]:
            nonlocal news
            news = None
            if self.closed or self.is_ending():
                return put_plain(transaction, name, packed, now), []
            job = ledger.put_running(transaction, name, owner, packed.task, packed.payload, now, until)
            if job is not None:
                return job.id, [job]
            id_, news = put_plain(transaction, name, packed, now), ledger.News()
            return id_, ledger.claim(transaction, name, owner, self.tasks, 1, now, until, news)[0]

        found = store.write(work, self.durability, self.order)
        if news is not None:
            self.told([], news)
        return found

    def report_failure(self, work: str, error: Exception, text: str, *values: object) -> None:
        """Log that the store has failed, and ever more rarely that it still fails; of tables of a newer program, once.

        Args:
            work: the work that it hinders: each kind has its own begin and end.
            error: of the store.
            text: of the line, which takes the queue's name, the values and the error.
            values: what else stands in it.
        """
        if not isinstance(error, StoreOutdated):
            outage = self.outages.get(work)
            if outage is None:
                outage = self.outages.setdefault(work, Outage(self.clock))
            outage.note(logger.error, text, self.name, *values, text_of(error, LONGEST_TEXT, str))
        elif not self.is_outdated:
            self.is_outdated = True
            logger.error("Queue %s takes no more jobs in this process, restart it: %s", self.name, error)

    def report_success(self, work: str) -> None:
        """Log that the store works again, if it has failed at this work."""
        outage = self.outages.get(work)
        if outage is not None and outage.lasts:
            outage.over(logger.warning, "Queue %s: the store works again (%s)", self.name, work)

    def look_for_cancelled(self) -> None:
        """A job was cancelled while it ran."""
        claimer = self.claimer
        if claimer is not None and claimer.is_alive():
            claimer.cast(claimer.actor_class.look_for_cancelled)

    # --- for the claimer ---------------------------------------------------------------------------------------------

    def settle_and_claim(self, done: list[ledger.Outcome], wanted: int) -> tuple[list[ledger.Claimed], float | None]:
        """Write the outcomes of jobs and take the next ones; return also when to look again."""
        store, name, node = self.store, self.name, self.node
        owner, now, until = node.id, self.now(), self.lease_now() + LEASE_SECONDS
        tasks, news = self.tasks, ledger.News()
        is_set_back = now < self._latest - SET_BACK_SECONDS

        def work(transaction: Transaction) -> tuple[list[ledger.Claimed], float | None]:
            news.begin()
            if is_set_back:  # keys are not to wait for times of the old clock
                transaction.run("jobs.set_back", {"queue": name, "now": now})
            if done:
                ledger.settle(transaction, name, owner, done, now, news, self.payload_limit)
            if wanted < 1:
                return [], None
            return ledger.claim(transaction, name, owner, tasks, wanted, now, until, news)

        claimed = store.write(work, self.durability, self.order)
        self._latest = now
        if self.outages:
            self.report_success("jobs")
        self.settled(done, news)
        return claimed

    def settled(self, done: list[ledger.Outcome], news: ledger.News) -> None:
        """Forget notes of begun jobs that are written now, and tell the waits. It does not raise: the commit stands."""
        try:
            node = self.node
            for outcome in done:
                node.end(outcome.id)
            self.told(done, news)
        except Exception:  # noqa: BLE001 - as above
            logger.exception("Queue %s: after a commit, some waiters could not be told", self.name)

    def settle_within(self, transaction: Transaction, outcome: ledger.Outcome) -> bool:
        """Write a job's outcome into the transaction of its task; False if another node has the job."""
        news = ledger.News()
        ledger.settle(transaction, self.name, self.store.node.id, [outcome], self.now(), news, self.payload_limit)
        if news.lost:
            return False
        transaction.after_commit(lambda: self.store.node.end(outcome.id))
        transaction.after_commit(lambda: self.told([outcome], news))
        return True

    def told(self, done: Iterable[ledger.Outcome], news: ledger.News) -> None:
        """Tell the waits and the listeners, after a commit."""
        lost = set(news.lost).difference(outcome.id for outcome in done if outcome.is_doubtful)
        for job in lost:
            logger.warning("Job %s was taken over by another process; its late result is refused", job)
        if self.listeners:
            for outcome in done:
                if not (outcome.given_back or outcome.id in lost):
                    kind = "retried" if outcome.status == "queued" else outcome.status
                    self.listeners.tell(kind, outcome.id, outcome.task, outcome.due)
            for job, task, status in news.ended:
                self.listeners.tell(status, job, task)
        self.tell_waiters(done, news)
        if news.is_unfinished:
            self.carry_on()

    def tell_waiters(self, done: Iterable[ledger.Outcome], news: ledger.News) -> None:
        """Wake the waits in this process for jobs that a transaction has ended."""
        self.waits.ended([outcome.id for outcome in done if outcome.status in ledger.FINAL])
        self.waits.ended([job for job, _, _ in news.ended])
        self.waits.ready(news.queues)

    def carry_on(self) -> None:
        """Tell the jobs that others are over which a transaction has left for later: here, or the claimer does."""
        claimer = self.claimer
        if claimer is not None and claimer.is_alive():
            claimer.cast(claimer.actor_class.carry_on)
        else:
            finish(self.store, self.payload_limit, self._carried_on)

    def carry_on_once(self) -> bool:
        """Do a part of that; return whether more is left."""
        return carry_on(self.store, self.payload_limit, self._carried_on)

    def is_anything_left(self) -> bool:
        """Say whether somebody has left some of it: he may have been killed."""
        return self.store.read(is_anything_left)

    def _carried_on(self, news: ledger.News) -> None:
        if self.listeners:
            for job, task, status in news.ended:
                self.listeners.tell(status, job, task)
        self.tell_waiters([], news)

    def beat(self) -> None:
        """Say that this node lives."""
        values = {"owner": self.store.node.id, "lease": self.lease_now() + LEASE_SECONDS}
        self.store.write(lambda transaction: transaction.run("jobs.beat", values), durability="process")

    def to_cancel(self) -> list[int]:
        """Return the jobs of this node that somebody wants to end."""
        values = {"owner": self.store.node.id, "queue": self.name}
        rows = self.store.read(lambda transaction: transaction.all("jobs.to_cancel", values))
        return [row[0] for row in rows]

    def disown(self, held: frozenset[int] = frozenset()) -> None:
        """Queue again the jobs of the queue that this node has but does not run; `held` are those that it runs."""
        news, owner = ledger.News(), self.store.node.id
        owned = self.store.read(lambda transaction: transaction.all("jobs.owned", {"owner": owner}))
        left = {row[0] for row in owned if row[1] == self.name} - held
        if left:
            begun = self.store.node.begun(owner)
            self.store.write(
                lambda transaction: ledger.disown(transaction, self.name, owner, self.now(), news, begun, held)
            )
            for id_ in left:
                self.store.node.end(id_)
            self.told([], news)

    def close(self) -> None:
        """Give back the jobs that an abandoned claimer could not, when the system is over."""
        if self.closed:
            return
        self.closed = True
        self.task_files.close()
        if self.workers:
            try:
                self.disown()
            except Exception as error:  # noqa: BLE001 - the store is gone; others take the jobs over as of a dead node
                logger.error("Queue %s: its jobs could not be given back: %s", self.name, error)

    def attempt_begins(self, attempt: Attempt) -> bool:
        """A worker is to have a job; False if that cannot be noted: it was lost to another node, or the store is gone.

        Without notes that outlive the process, it is in the job's row if it matters: for a job that may run once only,
        and for one on which a process may have died.
        """
        job = attempt.job
        if (job.at_most_once or job.crashes) and not (self.node.keeps_notes or self.store_is_private):
            values = {"id": job.id, "owner": self.store.node.id, "epoch": job.epoch}
            try:
                if not self.store.write(lambda transaction: transaction.run("jobs.begun", values), self.durability):
                    return False
            except Exception as error:  # noqa: BLE001 - the store is gone for now
                text = "Queue %s: the store failed, job %s has not begun: %s"
                self.report_failure("begin of jobs", error, text, job.id)
                return False
            self.report_success("begin of jobs")
        self.node.begin(job.id)
        self.latencies.wait.append(self.now() - (job.due or job.created))
        if self.listeners:
            self.listeners.tell("started", job.id, job.task)
        return True

    def attempt_ended(self, attempt: Attempt) -> None:
        """An attempt is over; the store hears of it in a moment."""
        self.latencies.processing.append(attempt.seconds)
        if attempt.task.cpu:
            self.look_at_task_files(attempt)
            self.task_files.clear(attempt.job.id)

    def look_at_task_files(self, attempt: Attempt) -> None:
        """Pass on how far a cpu task is."""
        noted = self.task_files.progress(attempt.job.id)
        if noted is not None:
            self.report(attempt.job, *noted)

    def report(self, job: ledger.Claimed, done: Any, total: Any) -> None:
        """Note how far a job is."""
        progress = json.dumps([done, total])
        values = {"id": job.id, "progress": progress, "owner": self.store.node.id, "epoch": job.epoch}
        self.store.submit(lambda transaction: transaction.run("jobs.progress", values), durability="process")
        self.listeners.tell("progress", job.id, job.task, (done, total))


def order_of(queue: str) -> str:
    """Return the name by which work that locks a queue's limits is ordered in a shared commit: see `Store.write`."""
    return f"queue {queue}"
