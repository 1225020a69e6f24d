"""Upkeep: cares for a queue in one process: jobs of nodes that hang, expired jobs, old rows, reports."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.log import logger
from actorflow.core.outage import Outage
from actorflow.errors import StoreOutdated
from actorflow.queues import ledger
from actorflow.queues.aftermath import carry_on, finish
from actorflow.queues.node.job_store import LEASE_SECONDS
from actorflow.queues.node.pruner import Pruner
from actorflow.store.error_json import LONGEST_TEXT
from actorflow.tasks.task import TASKS
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.queues.node.job_owner import JobOwner
    from actorflow.queues.node.local_queue import LocalQueue
    from actorflow.store.classes import UnknownClass
    from actorflow.store.transaction import Transaction

BEAT_SECONDS: Final = 10.0  # between two renewals of the leases of this node's jobs
PRUNE_SECONDS: Final = 10.0  # between two looks for jobs that were kept long enough
FIRST_SECONDS: Final = 5.0  # until the first such look
UNKNOWN_SECONDS: Final = 60.0  # between two looks for jobs and schedules that no process takes care of
STOPPED_SECONDS: Final = 300.0  # without a process that declares it, after which a schedule has stopped


class Upkeep:
    """Takes over jobs of nodes that hang, cancels expired ones, has old rows removed, reports jobs without a worker.

    Attributes:
        pruner: the actor that removes old rows; None in a process without workers.
        outages: of the store, by the work that each hinders.
    """

    def __init__(self, local: LocalQueue) -> None:
        self.local = local
        self.pruner: ActorRef[Pruner] | None = None
        self.outages: dict[str, Outage] = {}
        self._is_outdated = False  # it was said that a newer program has changed the tables
        self._beaten_at = local.clock.monotonic()
        self._pruned_at = float("-inf")  # with the first look: a process that is often killed prunes all the same
        self._reported_at = local.clock.monotonic() - UNKNOWN_SECONDS + FIRST_SECONDS
        self._reported: set[str] = set()

    # --- now and then -------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Have old rows removed, and report jobs that no process here can run; called after each flush."""
        now = self.local.clock.monotonic()
        if now - self._pruned_at > PRUNE_SECONDS:
            self._pruned_at = now
            if self.pruner is not None:
                self.pruner.cast(Pruner.remove)
        if now - self._reported_at > UNKNOWN_SECONDS:
            self._reported_at = now
            try:
                self.report_unknown()
                self.report_stopped()
            except Exception as error:  # noqa: BLE001 - the store is gone for now
                text = "Queue %s: the store failed, jobs and schedules without a process are reported later: %s"
                self.report_failure("reports", error, text)
            else:
                self.report_success("reports")

    def look_around(self, *, is_busy: bool) -> bool:
        """Take over from nodes that hang or have died, and say that this one lives; called a few times a second.

        Args:
            is_busy: all workers have a job, so nobody takes jobs, and cancels expired ones.

        Returns:
            Whether a part of what follows from some job's end is left; `carry_on_once` does it.
        """
        local, has_written = self.local, self.local.store.is_alone
        if not has_written:
            local.store.members.look()
            self.take_overdue()
            has_written = local.clock.monotonic() - self._beaten_at > min(BEAT_SECONDS, LEASE_SECONDS / 3)
            if has_written:
                self.beat()
        if is_busy and self.pruner is not None:
            self.pruner.cast(Pruner.expire)
        left = local.store.read(lambda transaction: transaction.one("jobs.any_ended"))  # maybe by one who was killed
        self.look()
        if has_written and self.outages:  # other looks say nothing of the disk
            self.report_success("a look around")
        return left is not None

    def beat(self) -> None:
        """Renew the leases of this node's jobs."""
        local = self.local
        self._beaten_at = local.clock.monotonic()
        values = {"owner": local.node.id, "lease": local.store.members.lease_time() + LEASE_SECONDS}
        local.store.write(lambda transaction: transaction.run("jobs.beat", values), durability="process")

    # --- jobs that nobody works on ------------------------------------------------------------------------------------

    def disown(self, held: frozenset[int] = frozenset()) -> bool:
        """Queue again the jobs of the queue that this node has but does not run, and say whether there are some.

        Args:
            held: the jobs that it runs.
        """
        local, news = self.local, ledger.News()
        node, owner = local.node, local.node.id
        owned = local.store.read(lambda transaction: transaction.all("jobs.owned", {"owner": owner}))
        left = {row[0] for row in owned if row[1] == local.name} - held
        if left:
            begun = node.begun(owner)
            local.store.write(
                lambda transaction: ledger.disown(transaction, local.name, owner, local.store.now(), news, begun, held)
            )
            for id_ in left:
                node.end(id_)
            local.announcer.announce([], news)
        return bool(left)

    def take_overdue(self) -> None:
        """Take the jobs of nodes that were stopped, or are cut off, so that any node may claim them."""
        if not self.local.store.members.has_waited():
            return
        local, news, lease_now = self.local, ledger.News(), self.local.store.members.lease_time()
        name, owner = local.name, local.node.id
        values = {"queue": name, "owner": owner, "now": lease_now, "limit": 1}
        if local.store.read(lambda transaction: transaction.one("jobs.overdue", values)) is None:
            return
        begun = cache(local.node.begun)  # a file is read for each node
        moved = local.store.write(
            lambda transaction: ledger.take_overdue(transaction, name, owner, begun, lease_now, local.store.now(), news)
        )
        self.taken(moved, news)

    def taken(self, moved: list[tuple[int, str, str]], news: ledger.News) -> None:
        """Report the jobs that were taken from others."""
        for job, queue, status in moved:
            logger.warning("Job %s of queue %s was in a process that died or hangs; it is %s", job, queue, status)
        self.local.announcer.announce([], news)
        self.local.waits.ended([job for job, _, status in moved if status in ledger.FINAL])
        self.local.wake()

    def expire(self) -> bool:
        """Cancel jobs that were to begin by now, and say whether there may be more.

        Taking jobs does so too, but none are taken while all workers are busy.
        """
        local, now, news = self.local, self.local.store.now(), ledger.News()
        values = {"queue": local.name, "now": now, "limit": 1}
        if local.store.read(lambda transaction: transaction.one("jobs.expired", values)) is None:
            return False

        def work(transaction: Transaction) -> int:
            news.begin()
            return ledger.expire(transaction, local.name, now, news)

        expired = local.store.write(work, local.durability, local.order)
        local.announcer.announce([], news)
        return expired == ledger.BATCH

    # --- the effects of ends -----------------------------------------------------------------------------------------

    def carry_on(self) -> None:
        """Have the jobs told that others are over which a transaction has left for later: here, or the claimer does."""
        local, claimer = self.local, self.local.claimer
        if claimer is not None and claimer.is_alive():
            local.tell_claimer("carry_on")
        else:
            finish(local.store, local.payload_limit, self._carried_on)

    def carry_on_once(self) -> bool:
        """Do a part of that; return whether more is left."""
        return carry_on(self.local.store, self.local.payload_limit, self._carried_on)

    def _carried_on(self, news: ledger.News) -> None:
        self.local.announcer.announce([], dataclasses.replace(news, is_unfinished=False))  # who calls goes on

    # --- reports ------------------------------------------------------------------------------------------------------

    def report_failure(self, work: str, error: Exception, text: str, *values: object) -> None:
        """Log that the store has failed, and ever more rarely that it still fails; of tables of a newer program, once.

        Args:
            work: the work that it hinders: each kind has its own begin and end.
            error: of the store.
            text: of the line, which takes the queue's name, the values and the error.
            values: what else stands in it.
        """
        name = self.local.name
        if not isinstance(error, StoreOutdated):
            outage = self.outages.get(work)
            if outage is None:
                outage = self.outages.setdefault(work, Outage(self.local.clock))
            outage.note(logger.error, text, name, *values, text_of(error, LONGEST_TEXT, str))
        elif not self._is_outdated:
            self._is_outdated = True
            logger.error("Queue %s takes no more jobs in this process, restart it: %s", name, error)

    def report_success(self, work: str) -> None:
        """Log that the store works again, if it has failed at this work."""
        outage = self.outages.get(work)
        if outage is not None and outage.lasts:
            outage.over(logger.warning, "Queue %s: the store works again (%s)", self.local.name, work)

    def report_unknown(self) -> None:
        """Say which ready jobs wait for a process that knows their tasks."""
        for task, count in self.local.store.read(
            lambda transaction: ledger.unknown(transaction, self.local.name, self._is_unknown_here)
        ):
            if task not in self._reported:
                self._reported.add(task)
                jobs = "1 job waits" if count == 1 else f"{count} jobs wait"
                why = self.local.waits.known.why_not(task)
                text = "Queue %s: %s for task %r, which %s%s"
                logger.warning(text, self.local.name, jobs, task, why, same_function(task))

    def _is_unknown_here(self, task: str) -> bool:
        return task not in self.local.waits.known and task not in self._reported

    def report_unknown_class(self, owner: JobOwner, error: UnknownClass) -> None:
        """Say that a job is left for a process that knows a class of its arguments."""
        if error.kind not in self._reported:
            self._reported.add(error.kind)
            logger.warning("%s is left for a process that can read its arguments: %s", owner, error)

    def report_stopped(self) -> None:
        """Say which schedules have stopped, as no living process declares them; after a month forget them."""
        now = self.local.store.now()
        values = {"queue": self.local.name, "before": now - STOPPED_SECONDS}
        if self.local.store.read(lambda transaction: transaction.one("schedules.stale", values)) is None:
            return

        def work(transaction: Transaction) -> list[Any]:
            transaction.run("schedules.prune", {"queue": self.local.name, "before": now - ledger.DEAD_SECONDS})
            return transaction.all("schedules.stop", values)

        for (name,) in self.local.store.write(work):
            logger.warning(
                "Queue %s: no living process declares schedule %r any more; it has stopped", self.local.name, name
            )


def same_function(task: str) -> str:
    """Say that a task has another name here, as it has where its file is run as a script."""
    function = task.rpartition(".")[2]
    for known in TASKS:
        if "__main__" in (known + task) and known.rpartition(".")[2] == function:
            return f"; if it is {known!r}, run its file by `python -m`, or name it: @af.task(name=...)"
    return ""
