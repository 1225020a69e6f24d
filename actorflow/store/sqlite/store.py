"""SqliteStore: the store on one file, or in memory."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from actorflow.core.log import logger
from actorflow.core.messages.execution import check_effect
from actorflow.errors import ActorDeadError, DefinitionError, StoreError
from actorflow.store.base import StoreBase
from actorflow.store.group_commit import Commits
from actorflow.store.neighbours import Neighbours, neighbours_at
from actorflow.store.open_transaction import OpenTransaction
from actorflow.store.sqlite.connection import SqliteTransaction, SqliteWriter, connect, pragma, sqlite_errors
from actorflow.store.sqlite.file import (
    BOUND_BYTES,
    CHECKPOINT_BYTES,
    INSIST_BYTES,
    STEP_BYTES,
    VERSION,
    checkpoint,
    let_pass,
    open_file,
    patience,
)
from actorflow.store.sqlite.node import SqliteNode, dead_nodes
from actorflow.store.sqlite.place import FilePlace, real_path
from actorflow.store.sqlite.wal import is_filled

if TYPE_CHECKING:
    from actorflow.store.system_store import SystemStore
    from actorflow.store.transaction import Access, Durability, Transaction

T = TypeVar("T")

POLL_SECONDS: Final = 0.02  # between two looks whether another process has committed
COMMITS: Final = 16  # between two looks at the size of the log


class SqliteStore(StoreBase[SqliteNode]):
    """The store on one SQLite file, which any number of processes may open, or in memory, for this one."""

    dialect = "sqlite"
    version = VERSION
    writer_class: ClassVar[type[SqliteWriter]] = SqliteWriter

    def __init__(self, url: str, path: str, durability: Durability, access: Access) -> None:
        super().__init__(url, durability)
        self.is_memory = path == ":memory:"
        self.path = path if self.is_memory else real_path(path)
        self.is_alone = self.is_memory
        self.living: set[str] = set()  # nodes of a store in memory: they have no locks that the kernel keeps
        self._nodes = 0
        self._watching: threading.Thread | None = None
        self._count = 0
        self._is_long = False
        self._insist_at = INSIST_BYTES
        connection, self.found = open_file(self.path, access)
        self._place = None if self.is_memory else FilePlace(self.path)
        self._writer = self.writer_class(connection, self.path, VERSION, self._place)
        self._reader = self._writer.connection if self.is_memory else connect(self.path)
        self._read_transaction = SqliteTransaction(self._reader, self.path)
        self._commits = Commits(url, self._writer, durability, self._watchers.notify)
        if not self.is_memory:
            self._reader.execute("pragma query_only = on")
        self._changes = self._writer.connection.total_changes
        self._neighbours = Neighbours() if self.is_memory else neighbours_at(self.path)
        self._neighbours.add(self)

    # --- work --------------------------------------------------------------------------------------------------------

    def read(self, work: Callable[[Transaction], T], /) -> T:
        """Run work that only reads: it sees one moment of the database."""
        check_effect("a read of the store")
        self._check_open()
        if self._commits.is_held_here:  # the writes of this thread are not committed yet
            return work(self._writer.transaction)
        if self.is_memory:  # one connection: a transaction of its own would be seen half done
            return self._commits.exclusively(lambda _: self._read_in_memory(work))
        self._commits.turn.check_outside()
        return self._reading.within(partial(self._read_at_once, work))

    def _read_at_once(self, work: Callable[[Transaction], T]) -> T:
        with sqlite_errors(self.path):
            self._check_open()
            if self._reader.in_transaction:  # a read was interrupted
                self._reader.execute("commit")
            try:
                self._reader.execute("begin")
                return work(self._read_transaction)
            finally:
                if self._reader.in_transaction:
                    self._reader.execute("commit")

    def _read_in_memory(self, work: Callable[[Transaction], T]) -> T:
        """Read in a transaction of the writer's connection; `query_only` would have all statements prepared anew."""
        connection = self._writer.connection
        try:
            if connection.in_transaction:  # a read was interrupted twice
                connection.execute("rollback")
            connection.execute("begin")
            before = connection.total_changes
            value = work(self._read_transaction)
            if connection.total_changes != before:
                raise StoreError("memory: attempt to write in a read-only transaction")
            connection.execute("commit")
        except BaseException:  # wherever a signal's handler has raised: it is the connection of the writer
            self._writer.rollback()
            raise
        return value

    def hold(self, durability: Durability | None = None) -> OpenTransaction:
        """Open a transaction that this thread ends."""
        check_effect("a transaction on the store")
        self._check_open()
        return OpenTransaction(self._commits, self._lend, durability or self.durability)

    def _lend(self) -> sqlite3.Connection:
        self._writer.connection.is_lent = True
        return self._writer.connection

    def join(self, connection: Any, /) -> Transaction:
        """Return a transaction on a user's own connection to the file; the first statement has the lock for writing."""
        check_effect("a transaction on the store")
        if not isinstance(connection, sqlite3.Connection):
            msg = f"options(conn={connection!r}): {self.url} takes a sqlite3.Connection"
            raise DefinitionError(msg)
        files = [row[2] for row in connection.execute("pragma database_list") if row[1] == "main"]
        if self.is_memory or not files[0] or not os.path.samefile(files[0], self.path):  # noqa: PTH121
            msg = f"options(conn=): the connection is to {files[0] or 'memory'}, the queue is on {self.url}"
            raise DefinitionError(msg)
        if not connection.in_transaction:
            if connection.isolation_level is None:
                msg = "options(conn=): the connection has no transaction that could be rolled back: begin one"
                raise DefinitionError(msg)
            with sqlite_errors(self.path):  # as Python's own mode does before a write
                connection.execute("begin immediate")
        return SqliteTransaction(connection, self.path)

    def now(self) -> float:
        """Return the machine's time, in seconds since the epoch."""
        return self.clock.time()

    def has_written(self) -> bool:
        """Say whether a statement has changed a row since the last question."""
        before, self._changes = self._changes, self._writer.connection.total_changes
        return self._changes != before

    def _tidy(self) -> None:
        """Look at the log now and then; when it is long, after each commit."""
        self._count += 1
        if (self._count % COMMITS and not self._is_long) or self._place is None or self._commits.is_held_here:
            return
        self._place.look_at_log()
        is_due = is_filled(self.path, CHECKPOINT_BYTES)
        self._is_long = is_due and is_filled(self.path, INSIST_BYTES)
        if not self._is_long:
            self._insist_at = INSIST_BYTES
        if not is_due:
            return
        try:
            if self._is_long and is_filled(self.path, self._insist_at):
                self._insist()
            elif self._count % COMMITS:
                self._commits.exclusively(lambda _: let_pass(self.path))
            else:
                self._checkpoint(0)
        except (StoreError, OSError) as error:
            logger.warning("The log of %s could not be written back: %s", self.path, error)
        except ActorDeadError:
            return  # the store was closed meanwhile

    def _insist(self) -> None:
        """Write the log back, and wait for readers in the way; if that is in vain, again once it has grown a step."""
        if self._checkpoint(patience(self._insist_at)):
            return
        while is_filled(self.path, self._insist_at):
            if self._insist_at == BOUND_BYTES:
                text = "The log of %s is over %s MB: a program reads for long in one transaction; end that"
                logger.warning(text, self.path, BOUND_BYTES >> 20)
            self._insist_at += STEP_BYTES * (1 if self._insist_at < BOUND_BYTES else 4)

    def _checkpoint(self, wait: int) -> bool:
        """Write the log back; one that waits has this store's readers wait, for each may be in its way."""
        has_readers_wait = wait > 0 and self._reading.acquire(seconds=wait / 1000)
        try:
            return self._commits.exclusively(lambda _: checkpoint(self._writer.connection, self.path, wait))
        finally:
            if has_readers_wait:
                self._reading.release()

    # --- other processes ---------------------------------------------------------------------------------------------

    def watch(self, notice: Callable[[], object], /) -> Callable[[], None]:
        """Have a function called soon after other processes commit."""
        if self.is_memory:
            self._check_open()
            return self._watchers.add(notice)
        return self.watch_for(notice)

    def watch_for(self, notice: Callable[[], object], /) -> Callable[[], None]:
        """Have a function called soon after any commit, also of another system on this store."""
        self._check_open()
        end = self._watchers.add(notice)
        with self._lock:
            if self._watching is None:
                connection = self._writer.connection if self.is_memory else connect(self.path)
                args = connection, self._version(connection)  # seen now: nothing that comes is missed
                self._watching = threading.Thread(target=self._watch, args=args, name="actorflow-store", daemon=True)
                self._watching.start()
        return end

    def _watch(self, connection: sqlite3.Connection, seen: Any) -> None:
        """Look for commits of others; `data_version` costs a look into shared memory."""
        with contextlib.nullcontext() if self.is_memory else contextlib.closing(connection):
            while not self._ended.wait(POLL_SECONDS):
                version = self._version(connection)
                if version != seen:
                    seen = version
                    if self._place is not None:
                        self._place.forget()  # it may have been the tables that were changed
                    self._watchers.notify()

    def _version(self, connection: sqlite3.Connection) -> Any:
        try:
            if self.is_memory:
                return self._writer.connection.total_changes
            return pragma(connection, "data_version")
        except Exception:  # noqa: BLE001 - the next work on the file will raise it
            return None

    # --- end ---------------------------------------------------------------------------------------------------------

    def admit(self, who: StoreBase[SqliteNode] | SystemStore) -> SqliteNode:
        """Register a node."""
        return SqliteNode(self, who.clock)

    def next_in_memory(self) -> str:
        """Return the id of the next node in virtual time: a run that is repeated has the same ones."""
        self._nodes += 1
        return f"{self._nodes:016x}"

    def dead(self) -> list[str]:
        """Return the ids of nodes that have died and are not buried yet."""
        return dead_nodes(self)

    def _end_watching(self) -> None:
        if self._watching is not None and self._watching is not threading.current_thread():
            self._watching.join()

    def _end(self, _writer: Any, /) -> None:
        if not self.is_memory:
            self._reader.close()
        self._writer.end()  # the last to close the file writes the log back, and removes it
