"""Locks: files beside the database that the kernel locks for a process, and frees when it ends.

They are POSIX locks, which a fork does not inherit: with `flock`, a child that a user forks would keep a dead parent's
lock. A POSIX lock says nothing between two stores of one process, and is lost when the process closes any descriptor of
the file; so the locks of this process are noted here, and asked first. They are noted by device and inode, by which the
kernel knows a file: a path may be a link, or lead through a folder that is mounted twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from typing import Final, TypeAlias

from actorflow.core.clock import SystemClock
from actorflow.errors import StoreError

LOCK_SECONDS: Final = 30.0  # for another process to make the file, or to write its log back
LOCK_POLL: Final = 0.005

LockKey: TypeAlias = tuple[int, int, int]  # process, device, inode

_held: dict[LockKey, tuple[int, str]] = {}  # descriptor, and the path that it was taken by
_inner = threading.Lock()


def _identity(found: os.stat_result) -> LockKey:
    return os.getpid(), found.st_dev, found.st_ino


def _is_held(path: str) -> bool:
    """Say whether this process has the file locked; found out without opening it, as closing it frees the lock."""
    try:
        return _identity(os.stat(path)) in _held  # noqa: PTH116 - as the other calls of the kernel here
    except FileNotFoundError:
        return False


def take(path: str) -> bool:
    """Lock a file, which is made if need be; False if somebody has it."""
    with _inner:
        if _is_held(path):
            return False
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _held[_identity(os.fstat(fd))] = (fd, os.path.realpath(path))
        except (BlockingIOError, PermissionError):
            os.close(fd)
            return False
        except BaseException:
            os.close(fd)
            raise
        return True


def give(path: str) -> None:
    """Free a file that this process has locked, also when it is not there any more."""
    real = os.path.realpath(path)
    with _inner:
        for key, (fd, taken) in list(_held.items()):
            if key[0] == os.getpid() and taken == real:
                del _held[key]
                os.close(fd)


def is_lost(path: str) -> bool:
    """Say whether a file that this process has locked is not there any more, or is another one."""
    real = os.path.realpath(path)
    with _inner:
        return not _is_held(path) and any(key[0] == os.getpid() and taken == real for key, (_, taken) in _held.items())


def is_free(path: str, *, missing: bool = True) -> bool:
    """Say whether a file is locked by nobody; for a file that is not there, `missing` is the answer."""
    with _inner:
        if _is_held(path):
            return False
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return missing
        except PermissionError:  # of another user: it cannot be opened, so the answer is unknown
            return False
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
    """Forget, in a child, the locks of its parent; another thread may have been at them."""
    global _inner
    _inner = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
