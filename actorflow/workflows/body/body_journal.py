"""BodyJournal: the records of one body: those that it has not heard of, and those that are not committed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from actorflow.store.transaction import NEWEST
from actorflow.workflows.body.queued import EMPTY, queued
from actorflow.workflows.rows import ledger
from actorflow.workflows.rows.records import RunLost

if TYPE_CHECKING:
    from collections import deque

    from actorflow.errors import NonDeterministic, PayloadError
    from actorflow.store.transaction import Transaction
    from actorflow.workflows.node.run_node import RunNode
    from actorflow.workflows.rows.records import ClaimedRun, RunRecord


class BodyJournal:
    """The records of the code of a run, in their order; their numbers are given here.

    Attributes:
        last: the number of the last record.
        journal: the records that the body has not heard of.
        uncommitted: the numbers of records that are not committed, in their order.
        first_uncommitted: the first of these; NEWEST if there is none.
        is_over: it has ended or is unloaded; nothing is begun or recorded any more.
        is_closed: its end is in the store, or it was given back.
        is_lost: another node has the run.
        rests: its code waits, and has gone as far as its records let it.
        to_replay: how many records it has not heard of of those that were there when it was loaded.
        misfits: why it cannot go on here; None: it can.
        lock: held for a moment, by whoever changes any of these.
    """

    __slots__ = (
        "_held", "first_uncommitted", "is_closed", "is_lost", "is_over", "journal", "last", "lock", "misfits", "node",
        "rests", "run", "to_replay", "uncommitted",
    )  # fmt: skip
    hears_of_commits = True  # the code may wait for nothing but a commit

    def __init__(self, node: RunNode, run: ClaimedRun) -> None:
        self.node = node
        self.run = run
        self.lock = threading.RLock()
        self.last = self.to_replay = 0
        self.journal: deque[RunRecord] = EMPTY
        self.uncommitted: dict[int, None] = {}
        self.first_uncommitted = NEWEST
        self.is_over = self.is_closed = self.is_lost = self.rests = False
        self.misfits: NonDeterministic | PayloadError | None = None
        self._held: dict[int, None] = {}  # numbers of records in transactions that tasks have open

    def launch(self) -> None:
        """Begin the steps that may begin by now."""
        raise NotImplementedError  # pragma: no cover - of the body

    def wake(self) -> None:
        """Have the code go on: something may have happened that it waits for."""
        raise NotImplementedError  # pragma: no cover - sync and async bodies have their own way

    @property
    def is_replaying(self) -> bool:
        """Whether the body has not heard of all records that were there when it was loaded."""
        return self.to_replay > 0

    @property
    def has_news(self) -> bool:
        """Whether there is a record to hear of; one in a transaction that a task has open holds up those behind it."""
        return bool(self.journal) and self.journal[0].n not in self._held

    @property
    def takes_nothing(self) -> bool:
        """Whether nothing is recorded any more; ends of steps still are, after the code has been unloaded."""
        return self.is_closed or self.is_lost or self.misfits is not None

    def number(self, record: RunRecord) -> None:
        """Give a record the next place, until whose commit no step begins that follows; the lock is held."""
        self.last = record.n = n = self.last + 1
        if not self.uncommitted:
            self.first_uncommitted = n
        self.uncommitted[n] = None

    def write_within(self, transaction: Transaction, record: RunRecord) -> bool:
        """Write a record into a transaction that the caller commits; False if another node has the run."""
        with self.lock:
            if self.takes_nothing:
                return False
            self.last += 1
            record.n = self.last
            self._held[record.n] = None
            self.journal = queued(self.journal, record)
        try:
            ledger.append(transaction, self.run, self.node.id, [record])
        except BaseException as error:
            self.end_held(record, is_there=False)
            if isinstance(error, RunLost):
                return False
            raise
        return True

    def end_held(self, record: RunRecord, *, is_there: bool) -> None:
        """Note the end of the transaction that a record was written into."""
        with self.lock:
            self._held.pop(record.n, None)
            if not is_there:
                self.journal.remove(record)
                self.journal = self.journal or EMPTY
        if is_there:
            self.node.tell_record(self.run.name, record)
        self.wake()

    def committed(self, record: RunRecord) -> None:
        """Note that a record is committed."""
        with self.lock:
            uncommitted, n = self.uncommitted, record.n
            uncommitted.pop(n, None)
            if not uncommitted:
                self.first_uncommitted = NEWEST
            elif n == self.first_uncommitted:
                while n not in uncommitted:  # a look at the first of a dict takes longer, the more went before it
                    n += 1
                self.first_uncommitted = n
        self.node.tell_record(self.run.name, record)
        self.launch()
        if self.hears_of_commits:
            self.wake()

    def is_safe(self, after: int) -> bool:
        """Say whether all records up to one are committed."""
        return self.first_uncommitted > after
