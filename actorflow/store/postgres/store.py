"""PostgresStore: the store on a server, which any number of machines may share. Layer 2."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from actorflow.store.commits import Commits
from actorflow.store.postgres.connection import PostgresTransaction, PostgresWriter, Session
from actorflow.store.postgres.driver import shown
from actorflow.store.postgres.link import Link
from actorflow.store.postgres.node import PostgresNode
from actorflow.store.postgres.schema import migrate
from actorflow.store.shell import StoreShell

if TYPE_CHECKING:
    from actorflow.store.transaction import Durability, Transaction

T = TypeVar("T")


class PostgresStore(StoreShell[PostgresNode]):
    """The store in the schema `actorflow` of a PostgreSQL database. A process has three sessions: see `link`."""

    dialect = "postgres"

    def __init__(self, url: str, durability: Durability, payload_limit: int) -> None:
        super().__init__(shown(url), durability, payload_limit)
        session = Session(url, self._ended)
        try:
            migrate(session.connection, url)
            self._reader = Session(url, self._ended)
            self._link = Link(url, secrets.token_hex(8), self._watchers)
        except BaseException:
            session.close()
            raise
        self._read_transaction = PostgresTransaction(self._reader)
        self._writer = PostgresWriter(session, self._link.announce)
        self._commits = Commits(self.url, self._writer, durability)

    def read(self, work: Callable[[Transaction], T], /) -> T:
        """Read: what the work sees is one moment of the database."""
        self._check_open()
        self._commits.turn.check_outside()
        with self._reading:
            self._check_open()
            self._reader.begin("begin isolation level repeatable read read only")
            try:
                return work(self._read_transaction)
            finally:
                self._reader.rollback()

    def now(self) -> float:
        """Return the server's time, in seconds since the epoch."""
        return self._link.now()

    def lease_time(self) -> float:
        """Return the time that leases are written in: the server's."""
        return self._link.now()

    def watch(self, notice: Callable[[], object], /) -> Callable[[], None]:
        """Have a function called soon after other processes commit, and every second."""
        self._check_open()
        return self._watchers.add(notice)

    def _make_node(self) -> PostgresNode:
        return PostgresNode(self)

    def _tidy(self) -> None:
        """Leave that to the server."""

    def _end_watching(self) -> None:
        """Let it go on: the node's lock is the link's."""

    def _end(self, _writer: Any, /) -> None:
        self._link.close()
        self._reader.close()
        self._writer.session.close()
