"""Maintenance: checks, copies and shrinks a file, without a system that runs on it.

Nothing in here decodes a stored value into an object: values are read as JSON.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from actorflow.errors import DefinitionError, StoreError
from actorflow.store.sqlite.connection import BUSY_SECONDS, pragma, sqlite_errors
from actorflow.store.sqlite.file import VERSION, file_errors, version_of
from actorflow.store.sqlite.locks import is_free, lock
from actorflow.store.sqlite.place import check_there, is_file
from actorflow.store.sqlite.wal import log_size

PROBLEMS: Final = 20  # that are listed of a damaged file


@dataclass(frozen=True)
class FileReport:
    """The findings of a check of a file.

    Attributes:
        version: of its tables; `known` is this actorflow's, which brings older ones up to date when it opens them.
        bytes, log: sizes of the file and of the log beside it.
        free: bytes within the file that `vacuum` would give back.
        rows: how many each table has.
        nodes: processes that work on it now, and such as have died and are not yet cleared away.
        problems: the damage, in SQLite's words; empty if all is well.
    """

    file: str
    version: int
    known: int
    bytes: int
    log: int
    free: int
    rows: dict[str, int]
    nodes: dict[str, int]
    problems: list[str]


@contextlib.contextmanager
def look_into(path: str, mode: str = "ro") -> Iterator[sqlite3.Connection]:
    """Open a file that is there, and has tables of actorflow; nothing is made or updated.

    Raises:
        DefinitionError: there is no such file, or it has no such tables.
        StoreError: it cannot be read.
    """
    check_there(path)
    with sqlite_errors(path):
        address = f"file:{quote(str(Path(path).absolute()))}?mode={mode}"
        connection = sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
        with contextlib.closing(connection):
            connection.execute("pragma wal_autocheckpoint = 0")
            if version_of(connection, path) == 0:
                msg = f"{path}: the file has no tables of actorflow: is it the right file?"
                raise DefinitionError(msg)
            yield connection


def tables(connection: sqlite3.Connection) -> list[str]:
    """Return the names of actorflow's tables."""
    sql = "select name from sqlite_master where type = 'table' and name like 'af\\_%' escape '\\' order by name"
    return [name for (name,) in connection.execute(sql)]


def check(path: str) -> FileReport:
    """Read the whole of a file, and report its state."""
    try:
        with look_into(path) as connection:
            return _report(connection, path)
    except StoreError as error:
        if not is_damage(error.__cause__):
            raise
        size = Path(path).stat().st_size
        return FileReport(path, 0, VERSION, size, log_size(path), 0, {}, {}, [str(error.__cause__)])


def is_damage(error: BaseException | None) -> bool:
    """Say whether an error of SQLite is about the content of a file; others, of its owner say, call for no backup."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest of it tells kinds apart
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _report(connection: sqlite3.Connection, path: str) -> FileReport:
    problems = [text for (text,) in connection.execute(f"pragma integrity_check({PROBLEMS})") if text != "ok"]
    rows: dict[str, int] = {}
    nodes = {"alive": 0, "dead": 0}
    if not problems:
        for name in tables(connection):
            rows[name] = connection.execute(f'select count(*) from "{name}"').fetchone()[0]  # noqa: S608 - a table's name
        for (id_,) in connection.execute("select id from af_node"):
            nodes["dead" if is_free(f"{os.path.realpath(path)}-af-nodes/{id_}") else "alive"] += 1
    return FileReport(
        file=path,
        version=version_of(connection, path),
        known=VERSION,
        bytes=Path(path).stat().st_size,
        log=log_size(path),
        free=pragma(connection, "freelist_count") * pragma(connection, "page_size"),
        rows=rows,
        nodes=nodes,
        problems=problems,
    )


def dump(path: str, only: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
    """Yield all rows as they are at one moment: {"table": ..., "row": {column: value}}; stored values are JSON."""
    with look_into(path) as connection:
        connection.execute("begin")
        names = tables(connection)
        unknown = [name for name in only if name not in names]
        if unknown:
            msg = f"{path}: there is no table {unknown[0]!r}; there are {', '.join(names)}"
            raise DefinitionError(msg)
        for name in only or names:
            cursor = connection.execute(f'select * from "{name}"')  # noqa: S608 - it was found among the tables
            columns = [column[0] for column in cursor.description]
            for row in cursor:
                yield {"table": name, "row": dict(zip(columns, map(_plain, row), strict=True))}


def _plain(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return {"$bytes": base64.b64encode(value).decode()}


def vacuum(path: str) -> tuple[int, int]:
    """Give free room within the file back to the disk; return its size before and after."""
    path = os.path.realpath(path)  # its lock is beside the file itself, not beside a link to it
    with look_into(path, "rw") as connection, file_errors(path), lock(path):
        before = Path(path).stat().st_size + log_size(path)
        connection.execute("vacuum")
        connection.execute("pragma wal_checkpoint(truncate)").fetchall()
        return before, Path(path).stat().st_size + log_size(path)


def backup(path: str, target: str, *, replace: bool = False) -> int:
    """Copy a file as it is at one moment, while others work on it; return the bytes of the copy.

    The copy is one file, which includes the pages in the original's log. It is there whole, or not at all.

    Raises:
        DefinitionError: the target is there, and is not to be replaced, or is in use; it is no file, or is
            the file itself.
        StoreError: the file is damaged, and so would be the copy.
    """
    check_there(path)
    if is_file(target) and Path(target).samefile(path):
        msg = f"{target} is the file itself; give another name"
        raise DefinitionError(msg)
    target = os.path.realpath(target)  # the file is replaced, not a link to it
    if not is_file(target) and Path(target).exists():
        msg = f"{target}: it is no file, but a folder or a device; give another name"
        raise DefinitionError(msg)
    if Path(target).exists() and not replace:
        msg = f"{target} exists already; give another name, or --force"
        raise DefinitionError(msg)
    part = f"{target}.part"
    with look_into(path) as connection, file_errors(target), sqlite_errors(target):
        Path(part).unlink(missing_ok=True)
        try:
            with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as copy:
                connection.backup(copy)  # all in one step: others' commits meanwhile would have it begin again
                copy.execute("pragma journal_mode = delete")
                check_copy(copy, path, target)
            with open(part, "rb") as file:  # noqa: PTH123 - the descriptor is wanted
                os.fsync(file.fileno())
            give_way(target)
            Path(part).replace(target)
        finally:
            Path(part).unlink(missing_ok=True)
    return Path(target).stat().st_size


def check_copy(copy: sqlite3.Connection, path: str, target: str) -> None:
    """Refuse a copy of a damaged file: it would take the place of a backup that is in order.

    Raises:
        StoreError: it is damaged.
    """
    try:
        (problem,) = copy.execute("pragma quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        problem = str(error)
    if problem != "ok":
        msg = f"{path} is damaged, so {target} was not written: `actorflow store check` says where; restore a backup"
        raise StoreError(msg)


def give_way(target: str) -> None:
    """Make way for a file that replaces the target, whose log would be written into the new file at its first opening.

    Raises:
        DefinitionError: the target is in use.
    """
    if not Path(target).exists():
        return
    try:
        with contextlib.closing(sqlite3.connect(target, timeout=0, isolation_level=None)) as connection:
            is_free_now = pragma(connection, "journal_mode = delete") == "delete"
    except sqlite3.OperationalError:  # it is locked
        is_free_now = False
    except sqlite3.DatabaseError:  # it is damaged, and so nobody's any more
        is_free_now = True
    if not is_free_now:
        msg = f"{target}: other processes use the file, and their writes would be lost: end them first"
        raise DefinitionError(msg)
    for log in (f"{target}-wal", f"{target}-shm"):
        Path(log).unlink(missing_ok=True)
