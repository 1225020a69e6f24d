"""PostgresStore: the store on a server, which any number of machines may share."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actorflow.core.messages.execution import check_effect
from actorflow.errors import DefinitionError, StoreError, StoreUnreachable
from actorflow.store.base import StoreBase
from actorflow.store.group_commit import Commits
from actorflow.store.neighbours import neighbours_at
from actorflow.store.open_transaction import OpenTransaction
from actorflow.store.postgres.connection import STATEMENTS, Guest, PostgresTransaction, PostgresWriter
from actorflow.store.postgres.driver import LONGER, psycopg_module, shown
from actorflow.store.postgres.node import PostgresNode
from actorflow.store.postgres.presence import Presence
from actorflow.store.postgres.schema import VERSION, prepare
from actorflow.store.postgres.session import ServerSession
from actorflow.store.watchers import Watchers

if TYPE_CHECKING:
    from actorflow.store.system_store import SystemStore
    from actorflow.store.transaction import Access, Durability, Transaction

T = TypeVar("T")

IDLE: Final = 0  # of a connection: no transaction is open
# The place that a connection leads to: the system's number, which no other server has, and the database.
PLACE: Final = "select system_identifier, current_database() from pg_control_system()"


class PostgresStore(StoreBase[PostgresNode]):
    """The store in the schema `actorflow` of a PostgreSQL database. A process has three sessions: see `presence`."""

    dialect = "postgres"
    version = VERSION

    def __init__(
        self, url: str, durability: Durability, access: Access, waits: Callable[[], bool], patience: float
    ) -> None:
        super().__init__(shown(url), durability)
        self._whole_url = url
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
        self._neighbours = neighbours_at(self._place)
        self._neighbours.add(self)

    def read(self, work: Callable[[Transaction], T], /) -> T:
        """Run work that only reads: it sees one moment of the database."""
        check_effect("a read of the store")
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
        check_effect("a transaction on the store")
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
        check_effect("a transaction on the store")
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
        """Return the server's time, in seconds since the epoch."""
        return self._link.now()

    def has_written(self) -> bool:
        """Say whether a statement of this transaction has changed a row."""
        return self._writer.transaction.changed

    def watch(self, notice: Callable[[], object], /) -> Callable[[], None]:
        """Have a function called soon after other processes commit, and every second."""
        self._check_open()
        return self._watchers.add(notice)

    def watch_for(self, notice: Callable[[], object], /) -> Callable[[], None]:
        """Have a function called soon after commits of others, also of other systems on this store."""
        ends = self.watch(notice), self.hear(notice)  # the server does not tell this store of its own

        def end() -> None:
            for one in ends:
                one()

        return end

    def admit(self, who: StoreBase[PostgresNode] | SystemStore) -> PostgresNode:
        """Register a node. One of a system on this store has a session of its own for its lock: it ends by itself."""
        if who is self:
            return PostgresNode(self, self._link, who)
        link = Presence(self._whole_url, secrets.token_hex(8), Watchers(), threading.Event())
        try:
            return PostgresNode(self, link, who)
        except BaseException:
            link.close()
            raise

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
