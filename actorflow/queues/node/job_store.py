"""JobStore: the jobs of one queue in the store, as this process changes them while it works.

Each function is one piece of work in one transaction, and then one call of the announcer.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from actorflow.queues import ledger
from actorflow.queues.packing import Packed, put_plain

if TYPE_CHECKING:
    from actorflow.queues.node.local_queue import LocalQueue
    from actorflow.store.transaction import Transaction

LEASE_SECONDS: Final = 30.0
SET_BACK_SECONDS: Final = 1.0  # by which a clock must have been set back to be noticed


class JobStore:
    """The jobs of a queue, for its workers here: added and claimed, ended and claimed, noted as begun, cancelled."""

    def __init__(self, local: LocalQueue) -> None:
        self.local = local
        self._latest = math.inf  # time of the latest look for work; before the first it is not known

    @property
    def tasks(self) -> str:
        """Names of the tasks that this system runs, as JSON."""
        return self.local.waits.known.names

    def put_and_claim(self, packed: Packed, now: float) -> tuple[int, list[ledger.Claimed]]:
        """Add a job, and claim the next one in the same transaction: half the commits for a worker that waits."""
        local, store, news = self.local, self.local.store, None
        name, owner, until = local.name, local.node.id, store.members.lease_time() + LEASE_SECONDS
        only = local.waits.known.only

        def work(transaction: Transaction) -> tuple[int, list[ledger.Claimed]]:
            nonlocal news
            news = None
            if local.closed or local.scheduler.draining:
                return put_plain(transaction, name, packed, now), []
            job = None
            if only is None or packed.task in only:
                args, header = packed.payload, packed.header
                job = ledger.put_running(transaction, name, owner, packed.task, args, header, now, until)
            if job is not None:
                return job.id, [job]
            id_, news = put_plain(transaction, name, packed, now), ledger.News()
            return id_, ledger.claim(transaction, name, owner, self.tasks, 1, now, until, news)[0]

        found = store.write(work, local.durability, local.order)
        if news is not None:
            local.announcer.announce([], news)
        return found

    def settle_and_claim(self, done: list[ledger.Outcome], wanted: int) -> tuple[list[ledger.Claimed], float | None]:
        """Write the outcomes of jobs and take the next ones; return also when to look again."""
        local, store, news = self.local, self.local.store, ledger.News()
        name, owner, tasks = local.name, local.node.id, self.tasks
        now, until = store.now(), store.members.lease_time() + LEASE_SECONDS
        is_set_back = now < self._latest - SET_BACK_SECONDS

        def work(transaction: Transaction) -> tuple[list[ledger.Claimed], float | None]:
            nonlocal news
            news = ledger.News()  # anew, should the server have undone it
            if is_set_back:  # keys are not to wait for times of the old clock
                transaction.run("jobs.set_back", {"queue": name, "now": now})
            if done:
                ledger.settle(transaction, name, owner, done, now, news, local.payload_limit)
            if wanted < 1:
                return [], None
            return ledger.claim(transaction, name, owner, tasks, wanted, now, until, news)

        claimed = store.write(work, local.durability, local.order)
        self._latest = now
        if local.upkeep.outages:
            local.upkeep.report_success("jobs")
        local.announcer.announce(done, news)
        return claimed

    def settle(self, outcome: ledger.Outcome) -> None:
        """Write one outcome in a transaction of its own."""
        local, news = self.local, ledger.News()
        name, owner, now = local.name, local.node.id, local.store.now()

        def work(transaction: Transaction) -> None:
            news.begin()
            ledger.settle(transaction, name, owner, [outcome], now, news, local.payload_limit)

        local.store.write(work, local.durability, local.order)
        local.announcer.announce([outcome], news)

    def end_alone(self, outcome: ledger.Outcome) -> None:
        """End a job without the effects of its end: the last resort for one whose row is damaged."""
        local = self.local
        owner, now, news = local.node.id, local.store.now(), ledger.News()
        local.store.write(
            lambda transaction: ledger.end_alone(transaction, owner, outcome, now, news), local.durability
        )
        local.announcer.announce([outcome], news)

    def settle_within(self, transaction: Transaction, outcome: ledger.Outcome) -> bool:
        """Write a job's outcome into the transaction of its task; False if another node has the job."""
        local, news = self.local, ledger.News()
        now = local.store.now()
        ledger.settle(transaction, local.name, local.node.id, [outcome], now, news, local.payload_limit)
        if news.lost:
            return False
        transaction.after_commit(lambda: local.announcer.announce([outcome], news))
        return True

    def begin(self, job: ledger.Claimed) -> bool:
        """Note that a worker is to have a job; False if another node has it by now, or the store is gone.

        Without notes that outlive the process, it is in the job's row if it matters: for a job that may run once only,
        and for one on which a process may have died.
        """
        local, node = self.local, self.local.node
        is_last = local.store.is_alone and not local.scheduler.is_virtual  # in virtual time others may come later
        if (job.at_most_once or job.crashes) and not (node.keeps_notes or is_last):
            values = {"id": job.id, "owner": node.id, "epoch": job.epoch}
            try:
                if not local.store.write(lambda transaction: transaction.run("jobs.begun", values), local.durability):
                    return False
            except Exception as error:  # noqa: BLE001 - the store is gone for now
                text = "Queue %s: the store failed, job %s has not begun: %s"
                local.upkeep.report_failure("begin of jobs", error, text, job.id)
                return False
            local.upkeep.report_success("begin of jobs")
        node.begin(job.id)
        return True

    def note_progress(self, job: ledger.Claimed, done: Any, total: Any) -> None:
        """Note how far a job is."""
        local = self.local
        values = {"id": job.id, "owner": local.node.id, "epoch": job.epoch, "progress": json.dumps([done, total])}
        local.store.submit(lambda transaction: transaction.run("jobs.progress", values), durability="process")
        local.announcer.tell("progress", job.id, job.task, (done, total))

    def to_cancel(self) -> list[int]:
        """Return the jobs of this node that somebody wants to end."""
        values = {"owner": self.local.node.id, "queue": self.local.name}
        rows = self.local.store.read(lambda transaction: transaction.all("jobs.to_cancel", values))
        return [row[0] for row in rows]
