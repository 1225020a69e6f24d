"""Connection: SQLite as the store uses it.

WAL, `begin immediate` always, and commits that last over a crash of the process ("process": synchronous NORMAL) or of
the machine ("power": FULL). No checkpoints of SQLite's own: see `checkpoint`.
"""

from __future__ import annotations

import functools
import sqlite3
import threading
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager, suppress
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from actorflow.errors import StoreError
from actorflow.store.sqlite.wal import COMMITS, LARGEST_BYTES, make_room
from actorflow.store.statements import PARAMETER, Statements, outdated, statements
from actorflow.store.transaction import Durability, Last, Parameters, Row, Undone

if TYPE_CHECKING:
    from actorflow.store.sqlite.place import FilePlace

BUSY_SECONDS: Final = 30.0  # for another process to end its transaction
SYNCHRONOUS: Final = {"process": 1, "power": 2}
NOTHING: Final[Parameters] = {}
NO_LAST: Final[list[Last]] = []
VERSION_OF_TABLES: Final = "select value from af_meta where key = 'version'"
UNDONE: Final = "the transaction was undone: it was open for longer than its task may take"


class OwnConnection(sqlite3.Connection):
    """A connection of a store. Tasks may get it, but not close it: without it the process writes no more."""

    is_lent = False
    refused: Container[int] = ()

    def close(self) -> None:
        """Close the connection, unless a task may have it.

        Raises:
            StoreError: a task may have it.
        """
        if self.is_lent:
            msg = "the connection that transaction() gives is the store's own: a task must not close it"
            raise StoreError(msg)
        super().close()

    def end(self) -> None:
        """Close the connection."""
        super().close()

    def refuse(self, threads: Container[int]) -> None:
        """Refuse the connection to threads; only one that is refused to some pays for the check."""
        self.refused = threads
        self.__class__ = RefusingConnection  # pyright: ignore[reportAttributeAccessIssue]


class RefusingConnection(OwnConnection):
    """A connection after a task has hung in its transaction: that is undone, and its thread can do no more with it."""

    def _check(self) -> None:
        if threading.get_ident() in self.refused:
            raise sqlite3.ProgrammingError(UNDONE)

    def execute(self, *args: Any) -> sqlite3.Cursor:
        """Execute a statement, unless the thread is refused."""
        self._check()
        return super().execute(*args)

    def executemany(self, *args: Any) -> sqlite3.Cursor:
        """Execute a statement many times, unless the thread is refused."""
        self._check()
        return super().executemany(*args)

    def executescript(self, *args: Any) -> sqlite3.Cursor:
        """Execute a script, unless the thread is refused."""
        self._check()
        return super().executescript(*args)

    def cursor(self, factory: Any = None) -> Any:
        """Return a cursor, unless the thread is refused."""
        self._check()
        return super().cursor(factory or sqlite3.Cursor)


def connect(path: str) -> OwnConnection:
    """Open a file, or ":memory:", without looking into it.

    Raises:
        StoreError: it cannot be opened.
    """
    with sqlite_errors(path):
        connection = sqlite3.connect(
            path,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
            factory=OwnConnection,
        )
        connection.execute("pragma foreign_keys = on")
        return connection


def keep_log(connection: sqlite3.Connection) -> None:
    """Have no checkpoints of SQLite's own: see `checkpoint`."""
    connection.execute("pragma wal_autocheckpoint = 0")
    connection.execute(f"pragma journal_size_limit = {LARGEST_BYTES}")


@contextmanager
def sqlite_errors(path: str) -> Iterator[None]:
    """Have errors of SQLite come as StoreError, with its text and the cure."""
    try:
        yield
    except sqlite3.Error as error:
        raise store_error(path, error) from error


def store_error(path: str, error: sqlite3.Error) -> StoreError:
    """Return the error for a file, in SQLite's words and ours."""
    name = getattr(error, "sqlite_errorname", "") or ""
    cure = next((text for start, text in CURES.items() if name.startswith(start)), "")
    return StoreError(f"{path}: {error}{f' ({name})' if name else ''}{f'; {cure}' if cure else ''}")


CURES: Final = {
    "SQLITE_FULL": "nothing of it was written; make room on the disk, and it goes on",
    "SQLITE_READONLY": "the file or its folder cannot be written: check their owner",
    "SQLITE_CANTOPEN": "does its folder exist, and may this user write there?",
    "SQLITE_NOTADB": "it is no SQLite file: give another path",
    "SQLITE_CORRUPT": "it is damaged: `actorflow store check` says where; restore a backup",
    "SQLITE_IOERR": "the disk or its file system failed; is it full, over a quota, or gone?",
    "SQLITE_TOOBIG": "SQLite takes 1 GB for one value at most",
    "SQLITE_BUSY": f"another process has held it for over {BUSY_SECONDS:.0f} s in one transaction",
}


class SqliteTransaction:
    """Runs the statements of this dialect on a connection, by name."""

    __slots__ = ("_after", "_connection", "_error", "_path")

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        self._connection = connection
        self._path = path
        self._after: list[Callable[[], object]] = []
        self._error: StoreError | None = None  # of the first statement that failed

    def all(self, name: str, parameters: Parameters = NOTHING, /) -> list[Row]:
        """Run a statement, and return its rows."""
        try:
            return self._connection.execute(STATEMENTS[name], parameters).fetchall()
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def one(self, name: str, parameters: Parameters = NOTHING, /) -> Row | None:
        """Run a statement, and return its first row."""
        rows = self.all(name, parameters)
        return rows[0] if rows else None

    def run(self, name: str, parameters: Parameters = NOTHING, /) -> int:
        """Run a statement; return how many rows it changed."""
        try:
            return self._connection.execute(STATEMENTS[name], parameters).rowcount
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def insert(self, name: str, parameters: Parameters, /) -> int:
        """Run a statement that adds a row, and return its number; 0 if it has added none."""
        try:
            cursor = self._connection.execute(STATEMENTS[name], parameters)
            return (cursor.lastrowid or 0) if cursor.rowcount else 0
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def many(self, name: str, parameters: Iterable[Parameters], /) -> int:
        """Run a statement once for each; return how many rows they changed."""
        sql, values_of = by_place(STATEMENTS[name])
        try:
            return self._connection.executemany(sql, map(values_of, parameters)).rowcount
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def last(self, _key: tuple[str, ...], act: Callable[[], object], /) -> None:
        """Run the statement now: the writer has the one lock of the file, so nothing is in the way."""
        act()

    def _failed(self, error: sqlite3.Error) -> StoreError:
        failure = store_error(self._path, error)
        self._error = self._error or failure
        return failure

    def after_commit(self, act: Callable[[], object], /) -> None:
        """Have a function called once this work is committed."""
        self._after.append(act)


class SqliteWriter:
    """The one connection of a process that writes to a file.

    Attributes:
        undone: counts what is undone.
    """

    def __init__(self, connection: OwnConnection, path: str, version: int, place: FilePlace | None) -> None:
        self.connection = connection
        self.transaction = SqliteTransaction(connection, path)
        self._path = path
        self._version = version
        self._place = place  # None: in memory
        self._durability: Durability | None = None  # of the last transaction
        self._begun = 0  # transactions that are to outlive a power cut
        self.undone = Undone()
        self._is_begun = False  # a transaction that is neither committed nor undone
        self._cursor = connection.cursor()  # one for each statement costs 0.2 us more
        self._run = self._cursor.execute

    def _execute(self, sql: str) -> None:
        try:
            self._run(sql)
        except sqlite3.Error as error:
            raise store_error(self._path, error) from error

    def deadline(self) -> float:
        """Return 0: a file is there or not, and others that have it are waited for by SQLite."""
        return 0.0

    def is_past(self, _deadline: float, /) -> bool:
        """Say no."""
        return False

    def wait_until_back(self, _deadline: float, /) -> bool:
        """Do not wait."""
        return False

    def begin(self, durability: Durability, /) -> None:
        """Open a transaction, with the lock for writing; its commit will last as asked."""
        if self._is_begun or self.connection.in_transaction:  # its end was interrupted twice
            self.rollback()
        if durability != self._durability:
            self._execute(f"pragma synchronous = {SYNCHRONOUS[durability]}")
            self._durability = durability
        try:
            self._run("begin immediate")
            self._is_begun = True
            self.transaction._error = None
            if self._place is not None:
                if self._place.look():
                    self._check_version()
                if durability == "power":
                    self._look_at_room()
        except sqlite3.Error as error:
            raise store_error(self._path, error) from error

    def _look_at_room(self) -> None:
        """Make room in the log for later commits, now and then: here the lock for writing is ours in any case."""
        self._begun += 1
        if not self._begun % COMMITS and self._place is not None and self._place.is_known:
            make_room(self._path)

    def _check_version(self) -> None:
        """Refuse to write into tables that a newer program has changed meanwhile."""
        row = self._run(VERSION_OF_TABLES).fetchone()
        version = self._version if row is None else row[0]
        if version > self._version:
            raise outdated(self._path, version, self._version)
        assert self._place is not None
        self._place.know()

    def check(self) -> None:
        """Refuse to go on after an error of the database that the work has hidden."""
        error = self.transaction._error
        if error is not None:
            self.transaction._error = None
            raise error

    def commit(self) -> None:
        """Commit, if the file is still in its place: a commit to a deleted file would be lost."""
        if self._place is not None:
            self._place.check()
        try:
            self._run("commit")
        except sqlite3.Error as error:
            raise store_error(self._path, error) from error
        self._is_begun = False
        if self._place is not None and self._durability == "power":
            self._place.look_back()

    def is_undone(self, error: StoreError, /) -> bool:
        """Say whether nothing is there: so it is whenever SQLite says that a commit has failed."""
        return self.connection.in_transaction or isinstance(error.__cause__, sqlite3.Error)

    def abandon(self, threads: Container[int], /) -> Callable[[], object]:
        """Undo the transaction of a thread that hangs, and take the connection from it.

        The connection cannot be closed here: the thread may be within a call of SQLite's.
        """
        connection = self.connection
        connection.interrupt()
        connection.refuse(threads)
        self.rollback()
        if self._place is None:  # the connection is the database
            return lambda: None
        self.connection = connect(self._path)
        keep_log(self.connection)
        self.transaction = SqliteTransaction(self.connection, self._path)
        self._durability = None
        self._cursor = self.connection.cursor()
        self._run = self._cursor.execute
        connection.execute("pragma query_only = on")  # a cursor that the thread has is not refused
        return connection.end

    def end(self) -> None:
        """Close the connection, and its files with it.

        A cursor keeps a statement that failed, such as a `begin` that found the file busy, and SQLite keeps the files
        open for as long as there is one: that is until the garbage collector comes.
        """
        with suppress(sqlite3.Error):
            self._cursor.close()
        self.connection.end()

    def rollback(self) -> None:
        """Undo the transaction; does nothing if there is none: SQLite itself undoes some that fail."""
        is_there = self.connection.in_transaction
        if is_there or self._is_begun:
            self.undone.count += 1  # before: another process may give the numbers as soon as they are undone
            self._is_begun = False
        if is_there:
            self._execute("rollback")

    def savepoint(self) -> None:
        """Note a place to go back to."""
        self._execute("savepoint work")

    def release(self) -> None:
        """Forget the place."""
        self._execute("release work")

    def rollback_to_savepoint(self) -> None:
        """Go back to the place, and forget it."""
        self.transaction._error = None
        self.undone.count += 1
        self._execute("rollback to work")
        self._execute("release work")

    def is_open(self) -> bool:
        """Say whether the transaction is still there."""
        return self.connection.in_transaction

    def is_passing(self, _error: Exception, /) -> bool:
        """Say no: one process at a time has the lock for writing, so others are never in the way."""
        return False

    def take_last(self) -> list[Last]:
        """Return nothing: all was run."""
        return NO_LAST

    def take_after_commit(self) -> list[Callable[[], object]]:
        """Return the functions to call after the commit, and forget them."""
        after = self.transaction._after
        if not after:
            return []  # not the list itself, which others go on to fill
        self.transaction._after = []
        return after


STATEMENTS: Final[Statements] = statements("actorflow.store.sqlite")


@functools.lru_cache(1024)
def by_place(sql: str) -> tuple[str, Callable[[Parameters], tuple[Any, ...]]]:
    """Return a statement with parameters by place, and the function that orders them: by name, each takes longer."""
    names = PARAMETER.findall(sql)
    text = PARAMETER.sub("?", sql)
    return text, itemgetter(*names) if len(names) > 1 else lambda values: tuple(values[name] for name in names)


def pragma(connection: sqlite3.Connection, text: str) -> Any:
    """Run a pragma, and return its first value."""
    row = connection.execute(f"pragma {text}").fetchone()
    return None if row is None else row[0]
