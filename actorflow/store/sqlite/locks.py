"""Locks: files beside the database that the kernel locks for a process, and frees when it ends. Layer 2.

They are POSIX locks, which a fork does not inherit: with `flock`, a child that a user forks would keep a dead parent's
lock. A POSIX lock says nothing between two stores of one process, and is lost when the process closes any descriptor of
the file; so what this process holds is noted here, and asked first.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from typing import Final

from actorflow.core.clock import SystemClock
from actorflow.errors import StoreError

LOCK_SECONDS: Final = 30.0  # for another process to make the file, or to write its log back
LOCK_POLL: Final = 0.005

_held: dict[tuple[int, str], int] = {}  # (process, path): descriptor
_inner = threading.Lock()


def take(path: str) -> bool:
    """Lock a file, which is made if need be; False if somebody has it."""
    key = (os.getpid(), os.path.realpath(path))
    with _inner:
        if key in _held:
            return False
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            os.close(fd)
            return False
        except BaseException:
            os.close(fd)
            raise
        _held[key] = fd
        return True


def give(path: str) -> None:
    """Free a file that this process has locked."""
    with _inner:
        fd = _held.pop((os.getpid(), os.path.realpath(path)), None)
        if fd is not None:
            os.close(fd)


def is_free(path: str) -> bool:
    """Say whether a file is there and nobody has it locked, or is not there."""
    with _inner:
        if (os.getpid(), os.path.realpath(path)) in _held:
            return False
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        finally:
            os.close(fd)
        return True


def lock(path: str, seconds: float = LOCK_SECONDS) -> None:
    """Take the lock file beside a database: one store at a time, of all processes.

    Raises:
        StoreError: another has it for long.
    """
    deadline = SystemClock.monotonic() + seconds
    while not take(f"{path}-af-lock"):
        if SystemClock.monotonic() > deadline:
            msg = f"{path}: another process has had its lock for over {seconds:.0f} s; was it stopped?"
            raise StoreError(msg)
        threading.Event().wait(LOCK_POLL)


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    """Hold the lock file beside a database."""
    lock(path)
    try:
        yield
    finally:
        give(f"{path}-af-lock")


def _after_fork() -> None:
    """Forget, in a child, what its parent holds; another thread may have been at it."""
    global _inner
    _inner = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
