"""Locks: files beside the database that the kernel locks for a process, and frees when it ends.

They are POSIX locks, which a fork does not inherit: with `flock`, a child that a user forks would keep a dead parent's
lock. A POSIX lock says nothing between two stores of one process, and is lost when the process closes any descriptor of
the file; so the locks of this process are noted here, and asked first. They are noted by device and inode, by which the
kernel knows a file: a path may be a link, or lead through a folder that is mounted twice.

A lock is the open file itself: closed, it is free. So `with lock(path):` gives it back in C code, before which no
signal's handler can raise, and one that such a handler dropped on its way to its owner is closed as it is collected.
"""

from __future__ import annotations

import fcntl
import functools
import io
import os
import threading
import weakref
from typing import Final, TypeAlias

from actorflow.core.clock import SystemClock
from actorflow.errors import StoreError

LOCK_SECONDS: Final = 30.0  # for another process to make the file, or to write its log back
LOCK_POLL: Final = 0.005
MAKE: Final = functools.partial(os.open, mode=0o644)  # all of it C code: no descriptor is without an owner

LockKey: TypeAlias = tuple[int, int, int]  # process, device, inode

_held: weakref.WeakValueDictionary[LockKey, io.FileIO] = weakref.WeakValueDictionary()
_inner = threading.Lock()


def _identity(found: os.stat_result) -> LockKey:
    return os.getpid(), found.st_dev, found.st_ino


def _is_held(path: str) -> bool:
    """Say whether this process has the file locked; found out without opening it, as closing it frees the lock."""
    try:
        file = _held.get(_identity(os.stat(path)))  # noqa: PTH116 - as the other calls of the kernel here
    except FileNotFoundError:
        return False
    return file is not None and not file.closed


def take(path: str) -> io.FileIO | None:
    """Lock a file, which is made if need be; it is free when the returned one is closed. None if somebody has it."""
    with _inner:
        if _is_held(path):
            return None
        file = io.FileIO(path, "a+", opener=MAKE)
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _held[_identity(os.fstat(file.fileno()))] = file
        except (BlockingIOError, PermissionError):
            file.close()
            return None
        except BaseException:
            file.close()
            raise
        return file


def is_lost(file: io.FileIO, path: str) -> bool:
    """Say whether a file that this process has locked is not at its path any more, or another one is."""
    try:
        return not os.path.samestat(os.fstat(file.fileno()), os.stat(path))  # noqa: PTH116 - as above
    except FileNotFoundError:
        return True


def is_free(path: str, *, missing: bool = True) -> bool:
    """Say whether a file is locked by nobody; for a file that is not there, `missing` is the answer."""
    with _inner:
        if _is_held(path):
            return False
        try:
            with io.FileIO(path, "r+") as file:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
        except FileNotFoundError:
            return missing
        except (BlockingIOError, PermissionError):  # locked; or of another user, so the answer is unknown
            return False


def lock(path: str, seconds: float = LOCK_SECONDS) -> io.FileIO:
    """Lock the file beside a database: one store at a time, of all processes, until the returned file is closed.

    Raises:
        StoreError: another has it for long.
    """
    deadline = SystemClock.monotonic() + seconds
    while (file := take(f"{path}-af-lock")) is None:
        if SystemClock.monotonic() > deadline:
            msg = f"{path}: another process has had its lock for over {seconds:.0f} s; was it stopped?"
            raise StoreError(msg)
        threading.Event().wait(LOCK_POLL)
    return file


def _after_fork() -> None:
    """Forget, in a child, the locks of its parent; another thread may have been at them."""
    global _inner
    _inner = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
