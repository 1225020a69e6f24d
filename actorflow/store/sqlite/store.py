"""SqliteStore: the store on one file, or in memory. Layer 2."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actorflow.core.clock import SystemClock
from actorflow.core.log import logger
from actorflow.errors import ActorDeadError, DefinitionError, StoreError
from actorflow.store.commits import Commits
from actorflow.store.sqlite.connection import SqliteTransaction, SqliteWriter, connect, pragma, sqlite_errors
from actorflow.store.sqlite.file import checkpoint, open_file
from actorflow.store.sqlite.node import SqliteNode

if TYPE_CHECKING:
    from actorflow.core.clock import Clock
    from actorflow.core.future import Future
    from actorflow.store.transaction import Durability, Transaction

T = TypeVar("T")

POLL_SECONDS: Final = 0.02  # between two looks whether another process has committed
COMMITS: Final = 32  # between two looks at the size of the log


class Held:
    """A transaction that is open until its thread ends it; meanwhile all other writes of all processes wait."""

    def __init__(self, commits: Commits, connection: sqlite3.Connection, durability: Durability) -> None:
        self.connection = connection
        self._commits = commits
        self._transaction = commits.hold(durability)

    @property
    def transaction(self) -> Transaction:
        """It, for statements by name.

        Raises:
            StoreError: who had the connection has ended it.
        """
        if not self.connection.in_transaction:
            msg = "the transaction that was given to a task has been ended: the task must not commit or roll back"
            raise StoreError(msg)
        return self._transaction

    def commit(self) -> None:
        """Commit it."""
        self._commits.let_go(commit=True)

    def rollback(self) -> None:
        """Undo it; does nothing if it is over."""
        self._commits.let_go(commit=False)


class SqliteStore:
    """The store on one SQLite file, which any number of processes may open, or in memory, for this one."""

    dialect = "sqlite"

    def __init__(self, url: str, path: str, durability: Durability) -> None:
        self.url = url
        self.path = path
        self.durability: Durability = durability
        self.is_memory = path == ":memory:"
        self.clock: Clock = SystemClock()  # a virtual one in tests
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._watchers: dict[object, Callable[[], object]] = {}
        self._watching: threading.Thread | None = None
        self._ended = threading.Event()
        self._node: SqliteNode | None = None
        self._count = 0
        self._writer = SqliteWriter(open_file(path), path)
        self._reader = self._writer.connection if self.is_memory else connect(path)
        self._read_transaction = SqliteTransaction(self._reader, path)
        self._commits = Commits(self._writer, durability)

    # --- work --------------------------------------------------------------------------------------------------------

    def write(self, work: Callable[[Transaction], T], /, durability: Durability | None = None) -> T:
        """Do a piece of work in a transaction, and return its value once that is committed."""
        self._check_open()
        value = self._commits.write(work, durability)
        self._tidy()
        return value

    def submit(self, work: Callable[[Transaction], T], /, durability: Durability | None = None) -> Future[T]:
        """Do a piece of work; the future is set once it is committed."""
        self._check_open()
        future = self._commits.submit(work, durability)
        self._tidy()
        return future

    def read(self, work: Callable[[Transaction], T], /) -> T:
        """Read: what the work sees is one moment of the database."""
        self._check_open()
        if self._commits.is_held_here:  # what this thread has written is not committed yet
            return work(self._writer.transaction)
        if self.is_memory:  # one connection: a transaction of its own would be seen half done
            return self._commits.exclusively(lambda _: work(self._read_transaction))
        with self._reading, sqlite_errors(self.path):
            self._reader.execute("begin")
            try:
                return work(self._read_transaction)
            finally:
                if self._reader.in_transaction:
                    self._reader.execute("commit")

    def hold(self, durability: Durability | None = None) -> Held:
        """Open a transaction that this thread ends."""
        self._check_open()
        return Held(self._commits, self._writer.connection, durability or self.durability)

    def join(self, connection: Any, /) -> Transaction:
        """Return a transaction on a user's own connection to the file; the first statement has the lock for writing."""
        if not isinstance(connection, sqlite3.Connection):
            msg = f"options(conn={connection!r}): {self.url} takes a sqlite3.Connection"
            raise DefinitionError(msg)
        files = [row[2] for row in connection.execute("pragma database_list") if row[1] == "main"]
        if self.is_memory or not files[0] or not os.path.samefile(files[0], self.path):  # noqa: PTH121
            msg = f"options(conn=): the connection is to {files[0] or 'memory'}, the queue is on {self.url}"
            raise DefinitionError(msg)
        if not connection.in_transaction:
            if connection.isolation_level is None:
                msg = "options(conn=): the connection has no transaction, so nothing could be undone: begin one"
                raise DefinitionError(msg)
            with sqlite_errors(self.path):  # as Python's own mode does before a write
                connection.execute("begin immediate")
        return SqliteTransaction(connection, self.path)

    def now(self) -> float:
        """Return the machine's time, in seconds since the epoch."""
        return self.clock.time()

    def _tidy(self) -> None:
        """Look at the log now and then."""
        self._count += 1
        if self._count % COMMITS == 0 and not (self.is_memory or self._commits.is_held_here):
            try:
                self._commits.exclusively(lambda _: checkpoint(self._writer.connection, self.path))
            except StoreError as error:
                logger.warning("The log of %s could not be written back: %s", self.path, error)

    # --- other processes ---------------------------------------------------------------------------------------------

    @property
    def node(self) -> SqliteNode:
        """This process among those that work on the file."""
        self._check_open()
        with self._lock:
            if self._node is None:
                self._node = SqliteNode(self)
            return self._node

    def watch(self, notice: Callable[[], object], /) -> Callable[[], None]:
        """Have a function called soon after other processes commit."""
        key = object()
        with self._lock:
            self._watchers[key] = notice
            if self._watching is None and not self.is_memory and isinstance(self.clock, SystemClock):
                self._watching = threading.Thread(target=self._watch, name="actorflow-store", daemon=True)
                self._watching.start()
        return lambda: self._watchers.pop(key, None) and None

    def _watch(self) -> None:
        """Look for commits of others; `data_version` costs a look into shared memory."""
        with contextlib.closing(connect(self.path)) as connection:
            seen = self._version(connection)
            while not self._ended.wait(POLL_SECONDS):
                if not self._watchers:
                    continue
                version = self._version(connection)
                if version != seen:
                    seen = version
                    for notice in list(self._watchers.values()):
                        notice()

    def _version(self, connection: sqlite3.Connection) -> Any:
        try:
            return pragma(connection, "data_version")
        except Exception:  # noqa: BLE001 - whoever works on the file will say what is wrong with it
            return None

    # --- end ---------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End it; what was written is there."""
        with self._lock:
            if self._ended.is_set():
                return
            self._ended.set()
            watching, node = self._watching, self._node
        if os.getpid() != self._pid:
            return  # in a fork: the connections are the parent's
        if watching is not None and watching is not threading.current_thread():
            watching.join()
        if node is not None:
            node.close()
        self._commits.exclusively(lambda _: self._close())

    def _close(self) -> None:
        if not self.is_memory:
            with contextlib.suppress(StoreError):
                checkpoint(self._writer.connection, self.path)
            self._reader.close()
        self._writer.connection.close()

    def _check_open(self) -> None:
        if self._ended.is_set():
            msg = f"the store {self.url} is closed"
            raise ActorDeadError(msg)
        if os.getpid() != self._pid:
            msg = f"the store {self.url} was opened before a fork: open it in this process"
            raise ActorDeadError(msg)
