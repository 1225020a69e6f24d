"""SqliteNode: a process that works on a file holds a lock on a file of its own. Layer 2."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actorflow.core.clock import SystemClock

if TYPE_CHECKING:
    from actorflow.store.sqlite.store import SqliteStore


class SqliteNode:
    """A row in `af_node`, and a lock on `<file>-af-nodes/<id>` that the kernel gives back when the process ends."""

    def __init__(self, store: SqliteStore) -> None:
        self.id = secrets.token_hex(8)
        self._store = store
        self._folder = Path(f"{store.path}-af-nodes")
        self._fd = -1
        if not store.is_memory:
            self._folder.mkdir(exist_ok=True)
            self._fd = os.open(self._folder / self.id, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._fd, fcntl.LOCK_EX)
        row = {
            "id": self.id,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "boot": boot_id(),
            "started": store.now(),
            "beat": SystemClock.monotonic(),
        }
        store.write(lambda transaction: transaction.run("nodes.add", row))

    def dead(self) -> list[str]:
        """Return the ids of nodes whose locks are free: their processes have ended."""
        if self._store.is_memory:
            return []
        rows: list[Any] = self._store.read(lambda transaction: transaction.all("nodes.others", {"id": self.id}))
        return [row[0] for row in rows if self._is_dead(row[0])]

    def _is_dead(self, id: str) -> bool:
        try:
            fd = os.open(self._folder / id, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(fd)
        return True

    def forget(self, id: str, /) -> None:
        """Take a dead node's file away."""
        (self._folder / id).unlink(missing_ok=True)

    def close(self) -> None:
        """Leave: the row, the file and the lock."""
        self._store._commits.write(lambda transaction: transaction.run("nodes.remove", {"id": self.id}))
        if self._fd >= 0:
            self.forget(self.id)
            os.close(self._fd)
            self._fd = -1
            with contextlib.suppress(OSError):
                self._folder.rmdir()


def boot_id() -> str:
    """Return what is the same until the machine is started again."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
