"""SqliteNode: a process that works on a file holds a lock on a file of its own."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.clock import SystemClock, VirtualClock
from actorflow.core.log import logger
from actorflow.errors import ActorDeadError, StoreError
from actorflow.store.members import LEASE_SECONDS
from actorflow.store.sqlite.file import file_errors
from actorflow.store.sqlite.locks import is_free, is_lost, take
from actorflow.store.sqlite.work_notes import WorkNotes, read_notes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actorflow.core.clock import Clock
    from actorflow.store.sqlite.store import SqliteStore
    from actorflow.store.transaction import Row


ORPHAN_SECONDS: Final = 60.0
VIRTUAL_BOOT: Final = "virtual time"


class SqliteNode:
    """A row in `af_node`, and a lock on `<file>-af-nodes/<id>` that the kernel gives back when the process ends."""

    def __init__(self, store: SqliteStore, clock: Clock) -> None:
        is_virtual = isinstance(clock, VirtualClock)
        self.id: str = store.next_in_memory() if store.is_memory and is_virtual else secrets.token_hex(8)
        self._clock = clock
        self._store = store
        self._folder = folder_of(store)
        self._lock: io.FileIO | None = None
        self._notes: WorkNotes | None = None
        if store.is_memory:
            store.living.add(self.id)
        else:
            with file_errors(store.path), self._or_nothing():
                self._make_file()
        self.row: dict[str, Any] = {
            "id": self.id,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "boot": VIRTUAL_BOOT if is_virtual else boot_id(),
            "started": clock.time(),
            "beat": clock.monotonic(),
        }
        with self._or_nothing():
            store.write(lambda transaction: transaction.run("nodes.add", self.row))
        if not store.is_memory:
            self._sweep()

    @contextlib.contextmanager
    def _or_nothing(self) -> Iterator[None]:
        """Leave no files if something fails."""
        try:
            yield
        except BaseException:
            self._remove_file()
            raise

    def _make_file(self) -> None:
        while True:
            self._folder.mkdir(exist_ok=True)
            try:
                self._lock = take(str(self._folder / self.id))
                self._notes = WorkNotes(self._notes_of(self.id))
                return
            except FileNotFoundError:
                continue  # another node has just left, and taken the empty folder with it

    def _remove_file(self) -> None:
        if self._store.is_memory:
            self._store.living.discard(self.id)
            return
        if self._notes is not None:
            self._notes.close()
        with contextlib.suppress(OSError):
            self.forget(self.id)
            self._folder.rmdir()
        if self._lock is not None:
            self._lock.close()

    def _sweep(self) -> None:
        """Remove files of nodes that died after others had buried them, or before they had a row."""
        rows: list[Any] = self._store._commits.write(lambda transaction: transaction.all("nodes.others", {"id": ""}))
        known = {row[0] for row in rows}
        before = (
            SystemClock.time() - ORPHAN_SECONDS
        )  # as of files, which have the machine's time; a new one is made, then locked, then written down
        with contextlib.suppress(OSError):
            for file in self._folder.iterdir():
                node = file.name.partition(".")[0]
                if node not in known and file.stat().st_mtime < before and is_free(str(self._folder / node)):
                    file.unlink(missing_ok=True)

    def dead(self) -> list[str]:
        """Return the ids of nodes whose locks are free: their processes have ended."""
        if not self._store.is_memory:
            self._keep_lock()
        return dead_nodes(self._store, self.id, self.row["boot"], self._clock)

    def _keep_lock(self) -> None:
        """Take this node's lock again, if its file was deleted."""
        path, held = str(self._folder / self.id), self._lock
        if held is not None and is_lost(held, path):
            logger.warning("The lock of node %s was deleted; it is made again: %s", self.id, path)
            with file_errors(self._store.path):
                self._folder.mkdir(exist_ok=True)
                self._lock = take(path)
            held.close()

    def forget(self, id: str, /) -> None:
        """Take a dead node's file away."""
        if self._store.is_memory:
            return
        (self._folder / id).unlink(missing_ok=True)
        Path(self._notes_of(id)).unlink(missing_ok=True)

    # --- work of a node ----------------------------------------------------------------------------------------------

    def _notes_of(self, id: str) -> str:
        return str(self._folder / f"{id}.work")  # another file than the lock's: to close that would give the lock back

    @property
    def keeps_notes(self) -> bool:
        """Whether the node's notes can be read once it has died."""
        return self._notes is not None

    def begin(self, number: int, /) -> None:
        """Note that this process begins a piece of work."""
        if self._notes is not None:
            self._notes.add(number)

    def end(self, number: int, /) -> None:
        """Forget a piece of work, once its outcome is committed."""
        if self._notes is not None:
            self._notes.remove(number)

    def begun(self, id: str, /) -> frozenset[int] | None:
        """Return the work that a node had begun when it died; None if its notes are gone."""
        return None if self._notes is None else read_notes(self._notes_of(id))

    # --- the end -----------------------------------------------------------------------------------------------------

    def release(self) -> None:
        """Free the lock, and leave the row and the file."""
        self._store.living.discard(self.id)
        if self._notes is not None:
            self._notes.close()
        if self._lock is not None:
            self._lock.close()

    def close(self) -> None:
        """Leave: the row, the file and the lock."""
        try:
            self._store._commits.write(lambda transaction: transaction.run("nodes.remove", {"id": self.id}))
        except (StoreError, ActorDeadError) as error:  # the others see by the lock that it is gone
            logger.warning("Node %s could not remove its row: %s", self.id, error)
        self._remove_file()


def dead_nodes(store: SqliteStore, me: str = "", boot: str = "", clock: Clock | None = None) -> list[str]:
    """Return the ids of the nodes of a store, other than this one, whose locks are free."""
    if store.is_alone and not store.systems:
        return []
    rows: list[Any] = store.read(lambda transaction: transaction.all("nodes.others", {"id": me}))
    if store.is_memory:
        return [row[0] for row in rows if row[0] not in store.living]
    folder, boot, now = folder_of(store), boot or boot_id(), (clock or store.clock).monotonic()
    return [row[0] for row in rows if is_free(str(folder / row[0]), missing=is_silent(row, boot, now))]


def folder_of(store: SqliteStore) -> Path:
    """Return where the nodes of a file have their locks."""
    return Path(f"{store.path}-af-nodes")


def is_silent(row: Row, boot: str, now: float) -> bool:
    """Say whether a node has not beaten for long, or not since the machine was started: with no lock, it is dead.

    A lock file that is missing is no death by itself: somebody may have tidied up beside the database.
    """
    return bool(row[3] != boot or not now - LEASE_SECONDS <= row[5] <= now + LEASE_SECONDS)


def boot_id() -> str:
    """Return an id that stays the same until the machine is started again."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
