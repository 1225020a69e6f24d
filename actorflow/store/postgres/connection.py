"""Connection: PostgreSQL as the store uses it: one session that writes, one that reads. Layer 2."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actorflow.core.clock import SystemClock
from actorflow.core.log import logger
from actorflow.errors import StoreError
from actorflow.store.postgres.driver import connect, is_passing, is_yet_to_come, psycopg_module, shown, store_error
from actorflow.store.statements import Statements, statements, with_percent
from actorflow.store.transaction import Durability, Parameters, Row

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")

STATEMENTS: Final = Statements(
    (name, with_percent(text)) for name, text in statements("actorflow.store.postgres").items()
)
CHANGES: Final = re.compile(r"\b(insert into|delete from|update) actorflow\.")
CHANGING: Final = frozenset(name for name, text in STATEMENTS.items() if CHANGES.search(text))
SYNCHRONOUS: Final = {"process": "off", "power": "on"}
LOST_SECONDS: Final = 30.0  # that a write waits for a lost server
PAUSES: Final = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0)  # between two tries to reach it; the last one from then on
NOTHING: Final[Parameters] = {}


class Session:
    """One connection, made anew when the server was lost."""

    def __init__(self, url: str, ended: threading.Event, waits: Callable[[], bool] = lambda: False) -> None:
        self.url = url
        self._ended = ended
        self.connection: psycopg.Connection[Any] = self._first(waits)
        self.error: type[Exception] = psycopg_module().Error
        self._durability: Durability | None = None

    def execute(self, sql: Any, parameters: Parameters | None = None) -> psycopg.Cursor[Any]:
        """Run SQL.

        Raises:
            StoreError: the server refused, or is lost.
        """
        try:
            return self.connection.execute(sql, parameters)
        except self.error as error:
            raise store_error(self.url, error) from error

    def begin(self, sql: str, durability: Durability | None = None) -> None:
        """Open a transaction; a lost server is waited for, since nothing was done yet.

        Raises:
            StoreError: it was not there again in time.
        """
        try:
            if not self.connection.closed:
                self._begin(sql, durability)
                return
        except StoreError:
            if not self.connection.closed:
                raise
        self.reconnect(SystemClock.monotonic() + LOST_SECONDS)
        self._begin(sql, durability)

    def _begin(self, sql: str, durability: Durability | None) -> None:
        if durability is not None and durability != self._durability:
            sql = f"set synchronous_commit = {SYNCHRONOUS[durability]}; {sql}"
        self.execute(sql)
        self._durability = durability

    def reconnect(self, deadline: float) -> None:
        """Connect again, until a deadline or the end of the store.

        Raises:
            StoreError: the server did not come back.
        """
        logger.warning("The server of %s is lost; waiting for it", shown(self.url))
        self._durability = None
        self.close()
        self.connection = self._reach(lambda _: SystemClock.monotonic() < deadline)
        logger.warning("The server of %s is back", shown(self.url))

    def _first(self, waits: Callable[[], bool]) -> psycopg.Connection[Any]:
        """Connect to a server that may be about to start, as long as `waits` says so."""
        first: list[StoreError] = []

        def goes_on(error: StoreError) -> bool:
            if not (is_yet_to_come(error) and waits()):
                return False
            if not first:
                first.append(error)
                logger.warning("%s; waiting for it", error)
            return True

        connection = self._reach(goes_on)
        if first:
            logger.warning("The server of %s is there", shown(self.url))
        return connection

    def _reach(self, goes_on: Callable[[StoreError], bool]) -> psycopg.Connection[Any]:
        """Connect, again and again while `goes_on` says so of the error and the store has not ended."""
        number = 0
        while True:
            try:
                return connect(self.url)
            except StoreError as error:
                if not goes_on(error) or self._ended.wait(PAUSES[min(number, len(PAUSES) - 1)]):
                    raise
                number += 1

    def rollback(self) -> None:
        """Undo what is open; a connection that cannot do that is given up."""
        connection = self.connection
        if connection.closed or connection.info.transaction_status == 0:
            return
        try:
            connection.execute("rollback")
        except self.error:
            connection.close()

    def close(self) -> None:
        """End it."""
        self.connection.close()


class Guest:
    """A user's own connection, as far as a transaction needs it."""

    def __init__(self, url: str, connection: psycopg.Connection[Any]) -> None:
        self.url = url
        self.connection = connection
        self.error: type[Exception] = psycopg_module().Error

    def execute(self, sql: Any, parameters: Parameters | None = None) -> psycopg.Cursor[Any]:
        """Run SQL; rows come as tuples, whatever the user has them made."""
        from psycopg.rows import tuple_row  # noqa: PLC0415 - an extra

        try:
            return self.connection.cursor(row_factory=tuple_row).execute(sql, parameters)
        except self.error as error:
            raise store_error(self.url, error) from error


class PostgresTransaction:
    """Runs the statements of this dialect in a session, by name."""

    __slots__ = ("_after", "_session", "changed")

    def __init__(self, session: Session | Guest) -> None:
        self._session = session
        self._after: list[Callable[[], object]] = []
        self.changed = False  # something is there that others may want to hear of

    def _run(self, name: str, parameters: Parameters) -> psycopg.Cursor[Any]:
        cursor = self._session.execute(STATEMENTS[name], parameters)
        self._note(name, cursor)
        return cursor

    def all(self, name: str, parameters: Parameters = NOTHING, /) -> list[Row]:
        """Run a statement, and return its rows."""
        cursor = self._run(name, parameters)
        return cursor.fetchall() if cursor.description is not None else []

    def one(self, name: str, parameters: Parameters = NOTHING, /) -> Row | None:
        """Run a statement, and return its first row."""
        rows = self.all(name, parameters)
        return rows[0] if rows else None

    def run(self, name: str, parameters: Parameters = NOTHING, /) -> int:
        """Run a statement; return how many rows it changed."""
        return self._run(name, parameters).rowcount

    def insert(self, name: str, parameters: Parameters, /) -> int:
        """Run a statement that adds a row and returns its number; 0 if it has added none."""
        row = self.one(name, parameters)
        return 0 if row is None else int(row[0])

    def many(self, name: str, parameters: Iterable[Parameters], /) -> int:
        """Run a statement once for each; they go to the server together. Return how many rows they changed."""
        session = self._session
        try:
            with session.connection.cursor() as cursor:
                cursor.executemany(STATEMENTS[name].encode(), parameters)
                self._note(name, cursor)
                return cursor.rowcount
        except session.error as error:
            raise store_error(session.url, error) from error

    def _note(self, name: str, cursor: psycopg.Cursor[Any]) -> None:
        if name in CHANGING and cursor.rowcount > 0:
            self.changed = True

    def after_commit(self, act: Callable[[], object], /) -> None:
        """Have a function called once this work is committed."""
        self._after.append(act)


class PostgresWriter:
    """The one session of a process that writes."""

    def __init__(self, session: Session, announce: Callable[[], object], begin: str) -> None:
        self.session = session
        self.transaction = PostgresTransaction(session)
        self._announce = announce
        self._begin = begin

    def begin(self, durability: Durability, /) -> None:
        """Open a transaction whose commit will last as asked; a lost server is waited for."""
        self.transaction.changed = False
        self.session.begin(self._begin, durability)

    def check(self) -> None:
        """Refuse to go on after an error of the database that the work has hidden."""
        if self.session.connection.info.transaction_status != 2:
            msg = f"{shown(self.session.url)}: a statement has failed, so nothing of this work can be committed"
            raise StoreError(msg)

    def commit(self) -> None:
        """Commit it, and have the others told.

        Raises:
            StoreError: it is not committed; or, if the server was lost, nobody knows.
        """
        session = self.session
        try:
            session.execute("commit")
        except StoreError as error:
            if not session.connection.closed:
                raise
            msg = f"{error}; the server was lost in a commit: look whether it is there before you repeat it"
            raise StoreError(msg) from error
        if self.transaction.changed:
            self._announce()

    def rollback(self) -> None:
        """Undo it; does nothing if there is none."""
        self.session.rollback()

    def savepoint(self) -> None:
        """Note a place to go back to."""
        self.session.execute("savepoint work")

    def release(self) -> None:
        """Forget the place."""
        self.session.execute("release work")

    def rollback_to_savepoint(self) -> None:
        """Go back to the place, and forget it."""
        self.session.execute("rollback to work; release work")

    def is_open(self) -> bool:
        """Say whether the transaction is still there, in order or not."""
        return not self.session.connection.closed and self.session.connection.info.transaction_status in {2, 3}

    def is_passing(self, error: Exception, /) -> bool:
        """Say whether other processes were in the way."""
        return is_passing(error)

    def take_after_commit(self) -> list[Callable[[], object]]:
        """Return what is to be called after the commit, and forget it."""
        after = self.transaction._after
        self.transaction._after = []
        return after
