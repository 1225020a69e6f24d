"""PostgresStore: the store on a server, which any number of machines may share."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actorflow.core.clock import Clock, SystemClock
from actorflow.errors import DefinitionError, StoreError, StoreUnreachable
from actorflow.store.base import StoreBase
from actorflow.store.group_commit import Commits
from actorflow.store.open_transaction import OpenTransaction
from actorflow.store.postgres.connection import STATEMENTS, Guest, PostgresTransaction, PostgresWriter
from actorflow.store.postgres.driver import LONGER, psycopg_module, shown
from actorflow.store.postgres.node import PostgresNode
from actorflow.store.postgres.presence import Presence
from actorflow.store.postgres.schema import VERSION, prepare
from actorflow.store.postgres.session import ServerSession

if TYPE_CHECKING:
    from actorflow.store.transaction import Access, Durability, Transaction

T = TypeVar("T")

REAL: Final = SystemClock()
IDLE: Final = 0  # of a connection: no transaction is open
# The place that a connection leads to: the system's number, which no other server has, and the database.
PLACE: Final = "select system_identifier, current_database() from pg_control_system()"


class PostgresStore(StoreBase[PostgresNode]):
    """The store in the schema `actorflow` of a PostgreSQL database. A process has three sessions: see `presence`."""

    dialect = "postgres"
    version = VERSION
    clock: Clock = REAL  # a virtual one in tests

    def __init__(
        self, url: str, durability: Durability, access: Access, waits: Callable[[], bool], patience: float
    ) -> None:
        super().__init__(shown(url), durability)
        self.patience = patience
        with contextlib.ExitStack() as opened:
            session = ServerSession(url, self._ended, waits)
            opened.callback(session.close)
            self._link = Presence(url, secrets.token_hex(8), self._watchers, self._ended)
            opened.callback(self._link.close)
            self._link.watch_over(session)
            self.found = prepare(session.connection, url, access)
            self._reader = ServerSession(url, self._ended)
            self._link.watch_over(self._reader)
            opened.pop_all()
        self._read_transaction = PostgresTransaction(self._reader)
        self._writer = PostgresWriter(session, self._link, lambda: self.patience, VERSION, reads_only=access == "read")
        self._commits = Commits(self.url, self._writer, durability, self._watchers.notify)
        self._place = session.execute(PLACE).fetchone()

    def read(self, work: Callable[[Transaction], T], /) -> T:
        """Run work that only reads: it sees one moment of the database."""
        self._check_open()
        if self._commits.is_held_here:  # the writes of this thread are not committed yet
            return work(self._writer.transaction)
        self._commits.turn.check_outside()
        deadline = self._writer.deadline()
        was_cut = False
        while True:
            with self._reading:
                self._check_open()
                try:
                    self._reader.begin("begin isolation level repeatable read read only")
                except StoreUnreachable as error:
                    lost: StoreError = error
                else:
                    try:
                        return work(self._read_transaction)
                    except StoreError as error:  # a read may be done anew: once, should it be what ends the session
                        if was_cut or not self._reader.connection.closed:
                            raise
                        lost, was_cut = error, True
                    finally:
                        self._reader.rollback()
            if not self._writer.wait_until_back(deadline):
                raise lost

    def hold(self, durability: Durability | None = None) -> OpenTransaction:
        """Open a transaction that this thread ends."""
        self._check_open()
        held = OpenTransaction(self._commits, lambda: self._writer.session.connection, durability or self.durability)
        try:
            self._writer.session.execute(LONGER)
        except BaseException:
            held.rollback()
            raise
        return held

    def join(self, connection: Any, /) -> PostgresTransaction:
        """Return a transaction on a user's own connection to the database."""
        psycopg = psycopg_module()
        if not isinstance(connection, psycopg.Connection):
            msg = f"options(conn={connection!r}): {self.url} takes a psycopg.Connection"
            raise DefinitionError(msg)
        if connection.autocommit and connection.info.transaction_status == IDLE:
            msg = "options(conn=): the connection has no transaction that could be rolled back: begin one"
            raise DefinitionError(msg)
        guest = Guest(self.url, connection)
        if guest.execute(PLACE).fetchone() != self._place:
            msg = f"options(conn=): the connection is to another database than the queue's, {self.url}"
            raise DefinitionError(msg)
        guest.execute(STATEMENTS["session.tell"], {"from": ""})  # told when the user commits
        return PostgresTransaction(guest)

    def now(self) -> float:
        """Return the server's time, in seconds since the epoch; in virtual time the program's own."""
        return self._link.now() if self.clock is REAL else self.clock.time()

    def watch(self, notice: Callable[[], object], /) -> Callable[[], None]:
        """Have a function called soon after other processes commit, and every second."""
        self._check_open()
        return self._watchers.add(notice) if self.clock is REAL else lambda: None

    def _make_node(self) -> PostgresNode:
        return PostgresNode(self)

    def dead(self) -> list[str]:
        """Return the ids of nodes that have died and are not buried yet."""
        return [row[0] for row in self.read(lambda transaction: transaction.all("session.dead", {"id": ""}))]

    def _tidy(self) -> None:
        """Do nothing: the server tidies up."""

    def _end_watching(self) -> None:
        """Have the link see whether the server answers; it goes on, as the node's lock is its."""
        self._link.hasten()

    def _end(self, _writer: Any, /) -> None:
        self._link.close()
        self._reader.close()
        self._writer.session.close()
