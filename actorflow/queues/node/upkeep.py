"""Upkeep: cares for a queue in one process: for jobs of nodes that hang, expired jobs, old rows, reports."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.log import logger
from actorflow.queues import ledger
from actorflow.queues.node.pruner import Pruner
from actorflow.tasks.task import TASKS

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.queues.node.attempt import Attempt
    from actorflow.queues.node.local_queue import LocalQueue
    from actorflow.store.classes import UnknownClass
    from actorflow.store.transaction import Transaction

PRUNE_SECONDS: Final = 10.0  # between two looks for jobs that were kept long enough
FIRST_SECONDS: Final = 5.0  # until the first such look
UNKNOWN_SECONDS: Final = 60.0  # between two looks for jobs and schedules that no process takes care of
STOPPED_SECONDS: Final = 300.0  # without a process that declares it, after which a schedule has stopped


class Upkeep:
    """Takes over jobs of nodes that hang, cancels expired ones, has old rows removed, reports jobs without a worker.

    Attributes:
        pruner: the actor that removes old rows; None in a process without workers.
    """

    def __init__(self, local: LocalQueue) -> None:
        self.local = local
        self.pruner: ActorRef[Pruner] | None = None
        self._pruned_at = float("-inf")  # with the first look: a process that is often killed prunes all the same
        self._reported_at = local.clock.monotonic() - UNKNOWN_SECONDS + FIRST_SECONDS
        self._reported: set[str] = set()

    def take_overdue(self) -> None:
        """Take the jobs of nodes that were stopped, or are cut off, so that any node may claim them."""
        owner, lease_now, news = self.local.store.node.id, self.local.lease_now(), ledger.News()
        values = {"queue": self.local.name, "owner": owner, "now": lease_now, "limit": 1}
        if self.local.store.read(lambda transaction: transaction.one("jobs.overdue", values)) is None:
            return
        begun = cache(self.local.store.node.begun)  # a file is read for each node
        moved = self.local.store.write(
            lambda transaction: ledger.take_overdue(
                transaction, self.local.name, owner, begun, lease_now, self.local.now(), news
            )
        )
        self.taken(moved, news)

    def expire(self) -> bool:
        """Cancel jobs that were to begin by now, and say whether there may be more.

        Taking jobs does so too, but none are taken while all workers are busy.
        """
        now, news = self.local.now(), ledger.News()
        values = {"queue": self.local.name, "now": now, "limit": 1}
        if self.local.store.read(lambda transaction: transaction.one("jobs.expired", values)) is None:
            return False

        def work(transaction: Transaction) -> int:
            news.begin()
            return ledger.expire(transaction, self.local.name, now, news)

        expired = self.local.store.write(work, self.local.durability, self.local.order)
        self.local.told([], news)
        return expired == ledger.BATCH

    def taken(self, moved: list[tuple[int, str, str]], news: ledger.News) -> None:
        """Report the jobs that were taken from others."""
        for job, queue, status in moved:
            logger.warning("Job %s of queue %s was in a process that died or hangs; it is %s", job, queue, status)
        self.local.told([], news)
        self.local.waits.ended([job for job, _, status in moved if status in ledger.FINAL])
        self.local.wake()

    def look(self) -> None:
        """Now and then, have old rows removed, and report jobs that no process here can run."""
        now = self.local.clock.monotonic()
        if now - self._pruned_at > PRUNE_SECONDS:
            self._pruned_at = now
            if self.pruner is not None:
                self.pruner.cast(Pruner.remove)
        if now - self._reported_at > UNKNOWN_SECONDS:
            self._reported_at = now
            self.report_unknown()
            self.report_stopped()

    def report_unknown(self) -> None:
        """Say which ready jobs wait for a process that knows their tasks."""
        for task, count in self.local.store.read(
            lambda transaction: ledger.unknown(transaction, self.local.name, self._is_unknown_here)
        ):
            if task not in self._reported:
                self._reported.add(task)
                text = "Queue %s: %s jobs wait for task %r, which is not known here: import its module, or start a "
                logger.warning(text + "process that does%s", self.local.name, count, task, same_function(task))

    def _is_unknown_here(self, task: str) -> bool:
        return task not in TASKS and task not in self._reported

    def report_unknown_class(self, attempt: Attempt, error: UnknownClass) -> None:
        """Say that a job is left for a process that knows a class of its arguments."""
        if error.kind not in self._reported:
            self._reported.add(error.kind)
            logger.warning("%s is left for a process that can read its arguments: %s", attempt, error)

    def report_stopped(self) -> None:
        """Say which schedules have stopped, as no living process declares them; after a month forget them."""
        now = self.local.now()
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
