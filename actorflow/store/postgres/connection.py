"""Connection: PostgreSQL as the store uses it: one session that writes, one that reads."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actorflow.core.clock import SystemClock
from actorflow.core.log import logger
from actorflow.errors import OutcomeUnknown, StoreError, StoreUnreachable
from actorflow.store.postgres.driver import connect, is_passing, is_yet_to_come, psycopg_module, shown, store_error
from actorflow.store.statements import Statements, outdated, statements, with_percent
from actorflow.store.transaction import Durability, Last, Parameters, Row

if TYPE_CHECKING:
    import psycopg

    from actorflow.store.postgres.link import Link
    from actorflow.store.postgres.waiting import GivesUp, WatchedConnection

T = TypeVar("T")

STATEMENTS: Final = Statements(
    (name, with_percent(text)) for name, text in statements("actorflow.store.postgres").items()
)
CHANGES: Final = re.compile(r"\b(insert into|delete from|update) actorflow\.")
CHANGING: Final = frozenset(name for name, text in STATEMENTS.items() if CHANGES.search(text))
SYNCHRONOUS: Final = {"process": "off", "power": "on"}
LOST_SECONDS: Final = 30.0  # that a write waits for a server if it came before that was known to be lost
PAUSES: Final = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0)  # between two tries to reach it; the last one from then on
ABANDON_SECONDS: Final = 2.0  # that a thread has to leave a connection that is ended
NOTHING: Final[Parameters] = {}
# One way to the server and back: the transaction, the version of the tables, and a number by which the server knows
# what became of the transaction.
BEGIN: Final = "begin; select value, pg_current_xact_id()::text from actorflow.meta where key = 'version'"
BEGIN_READING: Final = "begin read only; select value, null from actorflow.meta where key = 'version'"


class Session:
    """One connection, made anew when the server was lost."""

    def __init__(
        self,
        url: str,
        ended: threading.Event,
        waits: Callable[[], bool] = lambda: False,
        gives_up: GivesUp | None = None,
    ) -> None:
        self.url = url
        self._ended = ended
        self.lost: Callable[[], StoreError | None] = lambda: None  # says why nobody should try to connect just now
        self._gives_up = gives_up
        self._cut: object = None  # connection that was ended from outside
        self.connection = self._first(waits)
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
            raise self.failed(error) from error

    def failed(self, error: Exception) -> StoreError:
        """Say what the server said, or that it was silent, and this session was cut."""
        lost = self.lost()
        is_cut = self._cut is self.connection and lost is not None
        return StoreError(f"{lost}") if is_cut else store_error(self.url, error)

    def begin(self, sql: str, durability: Durability | None = None) -> Row | None:
        """Open a transaction; a lost session is made anew. Return the last row that the statements give.

        Raises:
            StoreUnreachable: the server is not there, and nothing was done.
        """
        try:
            if not self.connection.closed:
                return self._begin(sql, durability)
        except StoreError:
            if not self.connection.closed:
                raise
        self._connect_again()
        return self._begin(sql, durability)

    def _begin(self, sql: str, durability: Durability | None) -> Row | None:
        if durability is not None and durability != self._durability:
            sql = f"set synchronous_commit = {SYNCHRONOUS[durability]}; {sql}"
        if self.connection.info.transaction_status != 0:  # the end of the last one was interrupted twice
            self.rollback()
        cursor = self.execute(sql)
        self._durability = durability
        while cursor.nextset():
            pass
        return cursor.fetchone() if cursor.description is not None else None

    def _connect_again(self) -> None:
        """Connect once more; while the link knows that the server is lost, leave that to it.

        Raises:
            StoreUnreachable: there is no server.
        """
        lost = self.lost()
        if lost is not None:
            raise unreachable(lost)
        logger.warning("The server of %s is lost; waiting for it", shown(self.url))
        self._durability = None
        self.close()
        try:
            self.connection = self._connect()
        except StoreError as error:
            raise unreachable(error) from error
        logger.warning("The server of %s is back", shown(self.url))

    def abandon(self) -> None:
        """End the session under the hands of a thread that hangs in its transaction: the server undoes it.

        If the thread waits for the server just now, the end of the socket wakes it.
        """
        connection = self.connection
        self._end_socket(connection)
        is_free = connection.lock.acquire(timeout=ABANDON_SECONDS)
        try:
            connection.close()
        finally:
            if is_free:
                connection.lock.release()

    def cut(self) -> None:
        """End the wait for an answer that a thread may be in."""
        connection = self.connection
        if connection.lock.locked() and connection is not self._cut:
            self._cut = connection
            self._end_socket(connection)

    def _end_socket(self, connection: WatchedConnection) -> None:
        with contextlib.suppress(OSError, self.error), socket.socket(fileno=os.dup(connection.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)

    def reconnect(self, goes_on: Callable[[StoreError], bool]) -> None:
        """Connect again, while `goes_on` says so of each error and the store has not ended.

        Raises:
            StoreError: the server was not back by then.
        """
        logger.warning("The server of %s is lost; waiting for it", shown(self.url))
        self._durability = None
        self.close()
        self.connection = self._reach(goes_on)

    def _connect(self) -> WatchedConnection:
        connection = connect(self.url)
        if self._gives_up is not None:
            connection.watch(self._gives_up)
        return connection

    def _first(self, waits: Callable[[], bool]) -> WatchedConnection:
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

    def _reach(self, goes_on: Callable[[StoreError], bool]) -> WatchedConnection:
        """Connect, again and again while `goes_on` says so of the error and the store has not ended."""
        number = 0
        while True:
            try:
                return self._connect()
            except StoreError as error:
                if not goes_on(error) or self._ended.wait(PAUSES[min(number, len(PAUSES) - 1)]):
                    raise
                number += 1

    def rollback(self) -> None:
        """Undo the open transaction; a connection that cannot do that is given up."""
        connection = self.connection
        if connection.closed or connection.info.transaction_status == 0:
            return
        try:
            connection.execute("rollback")
        except self.error:
            connection.close()

    def close(self) -> None:
        """End the session."""
        self.connection.close()


def unreachable(why: StoreError) -> StoreUnreachable:
    """Return the text about a server that is not there."""
    return StoreUnreachable(f"{why}; nothing of this was done")


class Guest:
    """A user's own connection, as far as a transaction needs it."""

    def __init__(self, url: str, connection: psycopg.Connection[Any]) -> None:
        self.url = url
        self.connection = connection
        self.error: type[Exception] = psycopg_module().Error

    def execute(self, sql: Any, parameters: Parameters | None = None) -> psycopg.Cursor[Any]:
        """Run SQL; rows come as tuples, whatever row factory the user has set."""
        from psycopg.rows import tuple_row  # noqa: PLC0415 - an extra

        try:
            return self.connection.cursor(row_factory=tuple_row).execute(sql, parameters)
        except self.error as error:
            raise self.failed(error) from error

    def failed(self, error: Exception) -> StoreError:
        """Say what the server said."""
        return store_error(self.url, error)


class PostgresTransaction:
    """Runs the statements of this dialect in a session, by name."""

    __slots__ = ("_after", "_last", "_session", "changed")

    def __init__(self, session: Session | Guest) -> None:
        self._session = session
        self._after: list[Callable[[], object]] = []
        self._last: list[Last] = []
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
            raise session.failed(error) from error

    def last(self, key: tuple[str, ...], act: Callable[[], object], /) -> None:
        """Have statements run at the end of the shared transaction; in a user's own, now."""
        if isinstance(self._session, Guest):
            act()
        else:
            self._last.append((key, act))

    def _note(self, name: str, cursor: psycopg.Cursor[Any]) -> None:
        if name in CHANGING and cursor.rowcount > 0:
            self.changed = True

    def after_commit(self, act: Callable[[], object], /) -> None:
        """Have a function called once this work is committed."""
        self._after.append(act)


class PostgresWriter:
    """The one session of a process that writes."""

    def __init__(
        self, session: Session, link: Link, patience: Callable[[], float], version: int, *, reads_only: bool
    ) -> None:
        self.session = session
        self.transaction = PostgresTransaction(session)
        self._link = link
        self._patience = patience
        self._version = version
        self._begin = BEGIN_READING if reads_only else BEGIN
        self._number: str | None = None  # of the transaction
        self._timeline: tuple[Any, Any] = (None, None)  # of the server, and the connection that it was asked by

    def deadline(self) -> float:
        """Return until when work that comes now waits for the server."""
        is_soon = self._link.lost or self._link.closing.is_set()
        return SystemClock.monotonic() + (self._patience() if is_soon else LOST_SECONDS)

    def is_past(self, deadline: float, /) -> bool:
        """Say whether the server is lost, and the deadline is over."""
        return self._link.lost is not None and SystemClock.monotonic() > deadline

    def wait_until_back(self, deadline: float, /) -> bool:
        """Wait for the server; False if it was not back by the deadline."""
        return self._link.wait_until_back(deadline)

    def begin(self, durability: Durability, /) -> None:
        """Open a transaction whose commit will last as asked, and see that the tables are those that are known here."""
        self.transaction.changed = False
        row = self.session.begin(self._begin, durability)
        if row is None or row[0] > self._version:
            raise outdated(shown(self.session.url), row[0] if row is not None else 0, self._version)
        self._number = row[1]
        if self._timeline[1] is not self.session.connection and self._number is not None:
            self._timeline = (self._ask_timeline(), self.session.connection)

    def _ask_timeline(self) -> Any:
        """Return the history that the server is in: a standby that takes over begins another, and so does a start."""
        return self.session.execute(STATEMENTS["session.timeline"]).fetchone()

    def check(self) -> None:
        """Refuse to go on after an error of the database that the work has hidden."""
        if self.session.connection.info.transaction_status != 2:
            msg = f"{shown(self.session.url)}: a statement has failed, so this transaction cannot be committed"
            raise StoreError(msg)

    def commit(self) -> None:
        """Commit the transaction, and have the others told. If the server is lost in it, it is asked when it is back.

        Raises:
            StoreError: it is not committed.
            OutcomeUnknown: the server was not back in time to be asked.
        """
        session = self.session
        try:
            session.execute("commit")
        except StoreError as error:
            if not session.connection.closed:
                raise
            is_there = self._look_whether_it_is_there()
            if is_there is None:
                msg = f"{error}; the server was lost in a commit: check whether its work is there before you repeat it"
                raise OutcomeUnknown(msg) from error
            if not is_there:
                msg = f"{error}; the server was lost in a commit, and the commit was not made"
                raise StoreError(msg) from error
        if self.transaction.changed:
            self._link.announce()

    def _look_whether_it_is_there(self) -> bool | None:
        """Ask the server for the outcome of the transaction, once it is back; None if it cannot be asked."""
        deadline = SystemClock.monotonic() + self._patience()
        timeline, number = self._timeline[0], {"number": self._number}
        while self._number is not None:
            try:
                self.session.begin("begin read only")
                if timeline is None or None in timeline or self._ask_timeline() != timeline:
                    self.session.rollback()
                    return None
                row = self.session.execute(STATEMENTS["session.fate"], number).fetchone()
                self.session.rollback()
                if row is None or row[0] is None:
                    return None
                if row[0] != "in progress":
                    return bool(row[0] == "committed")
            except StoreUnreachable:
                pass
            except StoreError:
                return None
            if not self.wait_until_back(deadline):
                return None
        return None

    def is_undone(self, error: StoreError, /) -> bool:
        """Say whether nothing is there: the server has said so."""
        return error.__cause__ is not None

    def abandon(self, _threads: Container[int], /) -> Callable[[], object]:
        """Have the server undo the transaction of a thread that hangs; the thread's connection is closed."""
        self.session.abandon()
        return lambda: None

    def rollback(self) -> None:
        """Undo the transaction; does nothing if there is none."""
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

    def take_last(self) -> list[Last]:
        """Return the statements to run at the end of the transaction, and forget them."""
        last = self.transaction._last
        self.transaction._last = []  # always: the list itself is what others go on to fill
        return last

    def take_after_commit(self) -> list[Callable[[], object]]:
        """Return the functions to call after the commit, and forget them."""
        after = self.transaction._after
        self.transaction._after = []
        return after
