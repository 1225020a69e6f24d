"""Deadlock: all workers of a process wait for jobs of their own queue, which no worker is left to run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from actorflow.core.log import logger
from actorflow.queues.ledger.limits import BEHIND, READY

if TYPE_CHECKING:
    from actorflow.queues.node.job_owner import JobAttempt
    from actorflow.queues.node.local_queue import LocalQueue
    from actorflow.store.transaction import Transaction

WITHOUT_WORKER: Final = (READY, BEHIND)  # stages of a job that a free worker could change


class DeadlockWatch:
    """Reports a deadlock once, at the second look in a row: another process may have been about to take these jobs."""

    def __init__(self, local: LocalQueue) -> None:
        self._local = local
        self._stuck: set[int] = set()
        self._reported: set[int] = set()

    def look(self, running: list[JobAttempt], taken_ahead: Iterable[JobAttempt]) -> None:
        """See whether each of the attempts, one for each worker, waits for a job without a worker."""
        awaited = [attempt.waits_for for attempt in running]
        stuck = {job for job in awaited if job is not None}
        in_store = stuck - {attempt.owner.job.id for attempt in taken_ahead}
        if None in awaited or not self._local.store.read(lambda transaction: self._all_wait(transaction, in_store)):
            stuck = set()
        if stuck == self._stuck != self._reported:
            self._reported = stuck
            self._report(len(running))
        self._stuck = stuck

    def _all_wait(self, transaction: Transaction, jobs: set[int]) -> bool:
        places = (transaction.one("jobs.place", {"id": job}) for job in jobs)
        return all(row is not None and row[0] == self._local.name and row[2] in WITHOUT_WORKER for row in places)

    def _report(self, workers: int) -> None:
        if self._stuck:
            logger.error(
                "Queue %s: %s for jobs of the same queue that have not begun (%s); "
                "unless another process runs these, they never begin: give the queue more workers, put such jobs on a "
                "queue of their own, or let the job that needs them wait with options(after=)",
                self._local.name,
                "its only worker here waits" if workers == 1 else f"all {workers} workers of this process wait",
                ", ".join(map(str, sorted(self._stuck))),
            )
