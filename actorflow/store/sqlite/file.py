"""File: a SQLite file made ready: its owner, its tables, its mode, its checkpoints."""

from __future__ import annotations

import atexit
import contextlib
import errno
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actorflow.errors import StoreError
from actorflow.store.sqlite.connection import (
    BUSY_SECONDS,
    CURES,
    OwnConnection,
    connect,
    keep_log,
    pragma,
    sqlite_errors,
)
from actorflow.store.sqlite.locks import is_free, lock, take
from actorflow.store.sqlite.place import check_there, touch
from actorflow.store.sqlite.wal import is_filled
from actorflow.store.statements import check_current, migrations, outdated

if TYPE_CHECKING:
    from actorflow.store.transaction import Access

logger = logging.getLogger("actorflow.store")

CHECKPOINT_BYTES: Final = 8 * 1024 * 1024  # of the log, before its pages are written back
INSIST_BYTES: Final = 24 * 1024 * 1024  # of the log, from which on a checkpoint waits for others to end their work
STEP_BYTES: Final = 4 * 1024 * 1024  # by which it grows until the next such wait, if one was in vain
BOUND_BYTES: Final = 64 * 1024 * 1024  # which it keeps to, unless somebody reads for seconds; beyond, waits are rarer
INSIST_MILLISECONDS: Final = 100
LONGEST_MILLISECONDS: Final = 1600
PARK_SECONDS: Final = 3.0  # for another process to end a checkpoint that waits
MIGRATIONS: Final = migrations("actorflow.store.sqlite")
VERSION: Final = len(MIGRATIONS)


def open_file(path: str, access: Access) -> tuple[OwnConnection, int]:
    """Open a file, and return a connection, and the version that the tables had.

    The file may be the user's own: all tables are named `af_...`.

    Raises:
        DefinitionError: the file, or its tables, are not there, and are not to be made.
        StoreError: it is no database, is damaged, cannot be written, or was written by a newer actorflow; or by an
            older one, and is not to be updated.
    """
    if access != "migrate":
        check_there(path)
    connection = connect(path)
    try:
        with sqlite_errors(path):
            if access != "migrate":  # before anything is changed
                check_current(path, version_of(connection, path), VERSION)
            if access == "read":
                connection.execute("pragma query_only = on")
                connection.execute("pragma wal_autocheckpoint = 0")
                return connection, VERSION
            if path == ":memory:":
                TEMPLATES.fill(connection)
                version_of(connection, path)
                return connection, 0
            warn_of_known_bug()
            with file_errors(path), lock(path):  # of two processes that make the same file, one changes the mode
                check_writable(path)
                if pragma(connection, "journal_mode = wal") != "wal":
                    msg = f"{path}: the file cannot have a write-ahead log here: is it on a network file system?"
                    raise StoreError(msg)
            keep_log(connection)
            return connection, migrate(connection, path)
    except BaseException:
        connection.close()
        raise


def migrate(connection: sqlite3.Connection, path: str) -> int:
    """Bring the tables to this version, in one transaction for each number; return the version that they had.

    Raises:
        StoreError: the file is newer than this code.
    """
    found = version_of(connection, path)
    if found == VERSION:
        return found
    for number, sql in MIGRATIONS:
        connection.execute("begin immediate")
        try:
            if version_of(connection, path) < number:  # another process may have been faster
                for statement in split(sql):
                    connection.execute(statement)
                connection.execute("update af_meta set value = ? where key = 'version'", (number,))
                if path != ":memory:":
                    with file_errors(path):
                        touch(path)
            connection.execute("commit")
        except BaseException:
            if connection.in_transaction:
                connection.execute("rollback")
            raise
    return found


class Templates:
    """The tables of an empty store in memory, made once a process and version; a copy takes a tenth of the time.

    The copy is a backup, 0.30 ms: `deserialize` takes 0.23, but its transactions are 8 % slower, and end at 1 GB.
    """

    def __init__(self) -> None:
        self._by_version: dict[int, OwnConnection] = {}
        self._before: list[object] = []
        self._lock = threading.RLock()

    def forget(self) -> None:
        """Begin anew, in a fork: another thread may have been at them, so they cannot even be closed."""
        self._before.append(self._by_version)
        self._by_version = {}
        self._lock = threading.RLock()

    def fill(self, connection: sqlite3.Connection) -> None:
        """Give a new database the tables of this version."""
        with self._lock:
            template = self._by_version.get(VERSION)
            if template is None:
                template = connect(":memory:")
                migrate(template, ":memory:")
                self._by_version[VERSION] = template  # last: an interruption leaves no half of one
            template.backup(connection)

    def close(self) -> None:
        """Close the templates, at the end of the process."""
        for template in self._by_version.values():
            template.end()


TEMPLATES: Final = Templates()
atexit.register(TEMPLATES.close)
os.register_at_fork(after_in_child=TEMPLATES.forget)


def version_of(connection: sqlite3.Connection, path: str) -> int:
    """Return the version of the tables; 0 without any."""
    if connection.execute("select 1 from sqlite_master where type = 'table' and name = 'af_meta'").fetchone() is None:
        return 0
    try:
        version = int(connection.execute("select value from af_meta where key = 'version'").fetchone()[0])
    except (sqlite3.OperationalError, TypeError, ValueError):
        msg = f"{path}: the file has a table af_meta that actorflow did not make: give another path"
        raise StoreError(msg) from None  # nothing is wrong with the file
    if version > VERSION:
        raise outdated(path, version, VERSION)
    return version


def check_writable(path: str) -> None:
    """Refuse a file that can only be read: SQLite would say so at the first write."""
    file = Path(path)
    if file.exists() and not os.access(file, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        msg = f"{path}: the file is read-only; {CURES['SQLITE_READONLY']}"
        raise StoreError(msg)


@contextlib.contextmanager
def file_errors(path: str) -> Iterator[None]:
    """Have errors of the files beside the database come as StoreError."""
    try:
        yield
    except StoreError:  # it is an OSError too
        raise
    except OSError as error:
        is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        cure = CURES["SQLITE_FULL"] if is_full else "its locks are kept in its folder: may this user write there?"
        msg = f"{path}: {error.strerror} ({error.filename or 'in its folder'}); {cure}"
        raise StoreError(msg) from error


def split(sql: str) -> Iterator[str]:
    """Yield the statements of a file: `executescript` would commit on its own."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement


def patience(size: int) -> int:
    """Return for how many milliseconds a checkpoint of a log of that size has others wait.

    Without a wait it fails whenever somebody reads or writes; on a loaded machine a short one fails as well.
    """
    return min(INSIST_MILLISECONDS << (size - INSIST_BYTES) // (2 * STEP_BYTES), LONGEST_MILLISECONDS)


def let_pass(path: str) -> None:
    """Write nothing while another process writes the log back: it needs a moment in which nobody does."""
    if not is_free(f"{path}-af-lock"):
        with contextlib.suppress(StoreError), lock(path, PARK_SECONDS):
            pass


def checkpoint(connection: sqlite3.Connection, path: str, wait: int) -> bool:
    """Write the pages of the log back into the file, and begin it anew; only one process at a time does so.

    With readers and writers about, it waits for them for so many milliseconds, then does a part, and returns False. The
    log keeps its length: a commit that makes it longer takes half as long again to reach the disk as one that writes
    over old pages.

    SQLite before 3.51.3 can lose pages if another connection checkpoints while this one restarts the log
    (sqlite.org/wal.html, "the WAL-reset bug"); so its own checkpoints are off, and ours hold a file lock.
    """
    held = take(f"{path}-af-lock")
    if held is None:  # another process is at it
        if not wait:
            return True
        try:  # a writer may keep it from its end meanwhile, so this waits
            held = lock(path, PARK_SECONDS)
        except StoreError:
            return False
    with held:
        if not is_filled(path, CHECKPOINT_BYTES):
            return True  # another process has just done so
        with sqlite_errors(path):
            connection.execute(f"pragma busy_timeout = {wait}")
            try:
                return not pragma(connection, "wal_checkpoint(restart)") and begin_anew(connection)
            finally:
                connection.execute(f"pragma busy_timeout = {BUSY_SECONDS * 1000:.0f}")


def begin_anew(connection: sqlite3.Connection) -> bool:
    """Write a row, which goes to the beginning of the log; so the holder of our lock restarts the log."""
    try:
        connection.execute("update af_meta set value = value where key = 'version'")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
        return False  # another process writes, and that one restarts it
    return True


_warned = False


def warn_of_known_bug() -> None:
    """Name a SQLite with the WAL-reset bug, once a process."""
    global _warned
    version = sqlite3.sqlite_version_info
    fixed = version >= (3, 51, 3) or version[:3] in {(3, 44, 6), (3, 50, 7)} or version < (3, 7, 0)
    if not (fixed or _warned):
        _warned = True
        logger.info(
            "SQLite %s has the WAL-reset bug; checkpoints are made under a file lock, as other programs should not "
            "write to the file",
            sqlite3.sqlite_version,
        )
