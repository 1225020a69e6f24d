"""Members: the commits of runs that this process shares among them: records, and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.core.log import logger
from actorflow.durable.rows import ledger as mailboxes
from actorflow.errors import MailboxFull, OutcomeUnknown
from actorflow.store.commit_batch import BatchMember
from actorflow.workflows.rows import ledger
from actorflow.workflows.rows.records import RunLost

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actorflow.durable.rows.records import Letter
    from actorflow.store.transaction import Transaction
    from actorflow.workflows.body.body import Body
    from actorflow.workflows.rows.records import RunRecord

STORE_SECONDS = 1.0  # until a commit is tried again that the store has refused


class RunMember(BatchMember):
    """A commit of one run. If the store refuses it, it is tried again: the body may have heard of it already."""

    __slots__ = ("body", "is_doubtful")

    def __init__(self, body: Body) -> None:
        self.body = body
        self.is_doubtful = False  # it may be there, by a commit whose outcome is unknown

    def settle(self, error: Exception | None) -> None:
        """Go on after the commit; or write it again in a second."""
        node = self.body.node
        if error is None:
            node.outage_over()
            self.committed()
        elif isinstance(error, RunLost):
            node.lost(self.body, error)
        else:
            if isinstance(error, OutcomeUnknown):
                self.is_doubtful = True
                node.doubt_mail()
            node.report_failure(self.body, error)
            node.scheduler.call_later(STORE_SECONDS, self.again)

    def again(self) -> None:
        """Put the commit into the next batch."""
        if not self.body.is_closed:
            self.body.node.batch.add(self)

    def committed(self) -> None:
        """Have the run go on."""
        raise NotImplementedError  # pragma: no cover - each kind has its own


class RecordMember(RunMember):
    """A record of a run, and the signal that it has taken."""

    __slots__ = ("mail", "record")

    def __init__(self, body: Body, record: RunRecord, mail: int | None) -> None:
        super().__init__(body)
        self.record = record
        self.mail = mail

    def write(self, transaction: Transaction) -> None:
        """Write the record.

        Raises:
            RunLost: another node has the run, or has taken the signal.
        """
        body, record = self.body, self.record
        if self.is_doubtful and transaction.one("runs.has_record", {"run": body.run.id, "n": record.n}) is not None:
            return
        ledger.append(transaction, body.run, body.node.id, [record])
        if self.mail is not None and transaction.run("actors.done", {"id": self.mail}) != 1:
            raise ledger.lost(body.run)

    @classmethod
    def write_all(cls, members: Sequence[Any], transaction: Transaction) -> None:
        """Write the records of many runs."""
        plain = [one for one in members if one.mail is None and not one.is_doubtful]
        if not ledger.append_all(transaction, [(one.body.run, one.body.node.id, one.record) for one in plain]):
            raise RunLost
        for member in members:
            if member.mail is not None or member.is_doubtful:
                member.write(transaction)

    def committed(self) -> None:
        """Let the steps begin that wait for this commit."""
        self.body.committed(self.record)


class RecordsMember(RunMember):
    """Several records of a run, one after the other."""

    __slots__ = ("records",)

    def __init__(self, body: Body, records: list[RunRecord]) -> None:
        super().__init__(body)
        self.records = records

    def write(self, transaction: Transaction) -> None:
        """Write the records.

        Raises:
            RunLost: another node has the run.
        """
        body = self.body
        last = {"run": body.run.id, "n": self.records[-1].n}
        if self.is_doubtful and transaction.one("runs.has_record", last) is not None:
            return
        ledger.append(transaction, body.run, body.node.id, self.records)

    def committed(self) -> None:
        """Let the steps begin that wait for this commit."""
        for record in self.records:
            self.body.committed(record)


class TurnMember(RecordMember):
    """The record by which a saga turns, and its status with it."""

    __slots__ = ()

    def write(self, transaction: Transaction) -> None:
        """Write both.

        Raises:
            RunLost: another node has the run.
        """
        super().write(transaction)
        ledger.turn(transaction, self.body.run, self.body.node.id)

    @classmethod
    def write_all(cls, members: Sequence[Any], transaction: Transaction) -> None:
        """Write those of several sagas."""
        for member in members:
            member.write(transaction)


class SendMember(RunMember):
    """Messages of a run to durable actors, with their records."""

    __slots__ = ("sends",)

    def __init__(self, body: Body, sends: list[tuple[RunRecord, Letter]]) -> None:
        super().__init__(body)
        self.sends = sends

    def write(self, transaction: Transaction) -> None:
        """Write the records, and put the messages into the mailboxes.

        Raises:
            RunLost: another node has the run.
            MailboxFull: one of the actors has no room.
        """
        body, runtime = self.body, self.body.node.durable
        last = {"run": body.run.id, "n": self.sends[-1][0].n}
        if self.is_doubtful and transaction.one("runs.has_record", last) is not None:
            return
        ledger.append(transaction, body.run, body.node.id, [record for record, _ in self.sends])
        for _, letter in self.sends:
            mailboxes.put(transaction, runtime, letter, runtime.capacity(letter.receiver))

    def settle(self, error: Exception | None) -> None:
        """Go on after the commit; or write it again in a second, as also if a mailbox is full: then, one message."""
        node = self.body.node
        if isinstance(error, MailboxFull) and len(self.sends) > 1:
            self.body.sends.put_back(self.sends[1:])
            del self.sends[1:]
            self.again()
        elif isinstance(error, MailboxFull):
            node.full.note(logger.warning, "Run %s waits for room: %s", self.body.run.name, error)
            node.scheduler.call_later(STORE_SECONDS, self.again)
        else:
            super().settle(error)

    def committed(self) -> None:
        """Have the actors handle them, and the steps begin that wait for this commit."""
        body = self.body
        for record, letter in self.sends:
            body.node.durable.announce(letter)
            body.committed(record)
        body.sends.committed()


class DropMailMember(RunMember):
    """The removal of a row of a run's mailbox: code may ask for it in a replay, where it may not write by itself."""

    __slots__ = ("row",)

    def __init__(self, body: Body, row: int) -> None:
        super().__init__(body)
        self.row = row

    def write(self, transaction: Transaction) -> None:
        """Remove the row, if it is there."""
        transaction.run("actors.done", {"id": self.row})

    def committed(self) -> None:
        """Go on: nobody waits for it."""


class EndMember(RunMember):
    """The end of a run, and the last records of a saga's code."""

    __slots__ = ("error", "held", "output", "status", "then")

    def __init__(
        self, body: Body, status: str, output: bytes | None, error: bytes | None, then: Callable[[], object]
    ) -> None:
        super().__init__(body)
        self.status = status
        self.output = output
        self.error = error
        self.then = then
        self.held = [] if body.saga is None else body.saga.take_held()

    def write(self, transaction: Transaction) -> None:
        """Write the end.

        Raises:
            RunLost: another node has the run.
        """
        body = self.body
        if self.is_doubtful:
            row = transaction.one("runs.outcome", {"name": body.run.name})
            if row is not None and row[0] == self.status:
                return
        if self.held:
            ledger.append(transaction, body.run, body.node.id, self.held)
        body.node.end_within(transaction, body, self.status, self.output, self.error)

    def committed(self) -> None:
        """Tell those that wait for the end."""
        for record in self.held:
            self.body.node.tell_record(self.body.run.name, record)
        self.then()
