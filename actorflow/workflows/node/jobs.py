"""Jobs: the commits by which steps of runs enqueue and cancel jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow.errors import ActorflowError, StoreError
from actorflow.queues import ledger as jobs
from actorflow.queues.aftermath import finish
from actorflow.queues.node.adding import tell_added
from actorflow.queues.node.inline import run_inline
from actorflow.queues.packing import Packed, put
from actorflow.store.codec import encode
from actorflow.workflows.node.members import RunMember
from actorflow.workflows.rows import ledger

if TYPE_CHECKING:
    from actorflow.store.transaction import Transaction
    from actorflow.workflows.body.job_step import JobStep
    from actorflow.workflows.rows.records import RunRecord


class JobMember(RunMember):
    """A job of a step, and the record that it is there."""

    __slots__ = ("news", "packed", "record", "step")

    def __init__(self, step: JobStep, record: RunRecord) -> None:
        super().__init__(step.body)
        self.step = step
        self.record = record
        self.news = jobs.News()
        self.packed = Packed(step.task.name, step.task.job_options, step.given, step.body.run.event)

    def write(self, transaction: Transaction) -> None:
        """Enqueue the job, and write the record, which has its number.

        Raises:
            RunLost: another node has the run.
            DefinitionError: the queue does not take it: a job that it is to follow is not there, or it is a duplicate.
        """
        body, step, record, now = self.body, self.step, self.record, self.body.node.now()
        place = {"run": body.run.id, "n": record.n}
        if self.is_doubtful and transaction.one("runs.has_record", place) is not None:
            return
        mine = {"id": body.run.id, "owner": body.node.id, "epoch": body.run.epoch}
        if transaction.one("runs.is_owned", mine) is None:
            raise ledger.lost(body.run)
        self.news.begin()
        queue = self.packed.options.queue
        assert queue is not None
        number = put(transaction, queue, self.packed, now, self.news)
        jobs.await_end(transaction, number, step.address, now, self.news)
        record.value = encode(number)
        ledger.append(transaction, body.run, body.node.id, [record])

    def settle(self, error: Exception | None) -> None:
        """Go on after the commit; a job that is refused ends the step."""
        if error is not None and isinstance(error, ActorflowError) and not isinstance(error, StoreError):
            self.step.refused(self.record, error)
        else:
            super().settle(error)

    def committed(self) -> None:
        """Have workers look, and the run go on."""
        node, step, news = self.body.node, self.step, self.news
        number = node.read(self.record.value or b"0")
        step.enqueued(number)
        self.body.committed(self.record)
        node.waits.announce(news)
        local = node.home.local_queues.get(self.packed.options.queue)
        if local is None:
            return
        if news.is_unfinished:
            local.upkeep.carry_on()
        if local.inline:  # it runs where it is enqueued, which must not be the one who settles commits
            node.batch.do(lambda: run_inline(local, number))
        else:
            tell_added(local, [number], [self.packed], news.duplicates)


class CancelJobMember(RunMember):
    """The cancel of a job whose step nobody waits for any more."""

    __slots__ = ("is_shared", "news", "runs", "step")

    def __init__(self, step: JobStep) -> None:
        super().__init__(step.body)
        self.step = step
        self.news = jobs.News()
        self.is_shared = self.runs = False

    def write(self, transaction: Transaction) -> None:
        """Cancel the job, unless others wait for it, too: then it is theirs alone."""
        step = self.step
        assert step.job is not None
        self.news.begin()
        self.is_shared = jobs.forget(transaction, step.job, step.address)
        if not self.is_shared:
            self.runs = jobs.cancel(transaction, step.job, self.body.node.now(), self.news) is False

    def committed(self) -> None:
        """Have the worker of the job hear of it; its end is mail."""
        waits = self.body.node.waits
        waits.announce(self.news)
        if self.is_shared:
            self.step.end_cancelled()
        if self.runs:
            waits.cancelled()
        if self.news.is_unfinished:
            node = self.body.node
            node.batch.do(lambda: finish(node.store, waits.payload_limit, waits.announce))
