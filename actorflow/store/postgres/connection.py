"""Connection: PostgreSQL as the store uses it: transactions in a session, and the one that writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.clock import SystemClock
from actorflow.errors import OutcomeUnknown, StoreError, StoreUnreachable
from actorflow.store.postgres.driver import is_passing, psycopg_module, shown, store_error
from actorflow.store.postgres.session import ServerSession
from actorflow.store.statements import Statements, outdated, statements, with_percent
from actorflow.store.transaction import Durability, Last, Parameters, Row, Undone

if TYPE_CHECKING:
    import psycopg

    from actorflow.store.postgres.presence import Presence

STATEMENTS: Final = Statements(
    (name, with_percent(text)) for name, text in statements("actorflow.store.postgres").items()
)
CHANGES: Final = re.compile(r"\b(insert into|delete from|update) actorflow\.")
CHANGING: Final = frozenset(name for name, text in STATEMENTS.items() if CHANGES.search(text))
LOST_SECONDS: Final = 30.0  # that a write waits for a server if it came before that was known to be lost
NOTHING: Final[Parameters] = {}
# One way to the server and back: the transaction, the version of the tables, and a number by which the server knows
# what became of the transaction.
BEGIN: Final = "begin; select value, pg_current_xact_id()::text from actorflow.meta where key = 'version'"
BEGIN_READING: Final = "begin read only; select value, null from actorflow.meta where key = 'version'"


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
        """Return the StoreError for an error of the server."""
        return store_error(self.url, error)


class PostgresTransaction:
    """Runs the statements of this dialect in a session, by name."""

    __slots__ = ("_after", "_last", "_session", "changed")

    def __init__(self, session: ServerSession | Guest) -> None:
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
    """The one session of a process that writes.

    Attributes:
        undone: stays 0: a server gives no number twice.
    """

    def __init__(
        self, session: ServerSession, link: Presence, patience: Callable[[], float], version: int, *, reads_only: bool
    ) -> None:
        self.session = session
        self.transaction = PostgresTransaction(session)
        self._link = link
        self._patience = patience
        self._version = version
        self._begin = BEGIN_READING if reads_only else BEGIN
        self.undone = Undone()
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
        """Open a transaction of that durability, and check that the tables are those that this version knows."""
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
