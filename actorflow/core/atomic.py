"""Atomic: steps that no handler of a signal can come between.

The handler of a signal runs between two bytecodes of the main thread and may raise there (Ctrl-C, a time-out by
SIGALRM). It never runs inside of a call that C code makes. So steps that must not be torn apart are given to C as a
whole: an iterator in C that calls one after the other. No other thread of Python's comes between them either.

A lock that is taken only if it is free, on a hot path, is released after a signal like this:

    try:
        if not lock.acquire(False):
            return
        work()
    except BaseException:
        try:
            lock.release()
        except RuntimeError:  # the signal came before the lock was taken
            pass
        raise
    lock.release()

The lock is re-entrant, so it knows whether this thread has it. Its release comes first in the handler and is C code: no
second signal comes before it. These lines stand at each of the six places, as a function that is given the work would
add its own call and a closure, 0.2 to 0.4 microseconds to every task of a pool, ask of a host and commit of a store;
a test compares the places with each other. Elsewhere `exclusively` does it.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from operator import attrgetter, call
from threading import RLock
from typing import Any, TypeVar
from weakref import WeakSet

T = TypeVar("T")

_forkable: WeakSet[RLock] = WeakSet()  # each system has some, and a program may make thousands of them

_UNPARK = attrgetter("unpark")


def at_once(*steps: Callable[[], object]) -> None:
    """Call functions that are written in C, one after the other, as one step; the first that raises is the last."""
    deque(map(call, steps), maxlen=0)


def at_once_if(condition: Callable[[], object], step: Callable[[], object]) -> None:
    """Call a function that is written in C and, if it returns something true, another one, as one step."""
    all(map(call, (condition, step)))


def exclusively(lock: Any, section: Callable[[], T]) -> T:
    """Call `section` with a re-entrant lock held; wherever it is interrupted, the lock is free afterwards.

    The end of a `with` block is C code: a second signal cannot come between the first one's error and the release. The
    `except` is for the five bytecodes between the body of the block and that end.
    """
    is_nested = lock._is_owned()
    try:
        with lock:
            result = section()
    except BaseException:
        if not is_nested and lock._is_owned():
            lock.release()
        raise
    return result


def forkable_lock() -> RLock:
    """Return a re-entrant lock that is free in a forked child, since a thread that is not there may hold it."""
    lock = RLock()
    _forkable.add(lock)
    return lock


def _free_all() -> None:
    for lock in list(_forkable):
        lock._at_fork_reinit()  # type: ignore[attr-defined]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_all)


def rouser(resting: list[Any]) -> Callable[[], Any]:
    """Return a function that wakes the last of the threads that rest in a list.

    It takes the thread out of the list and releases its lock. It raises IndexError if no thread rests.

    >>> rouser([])()
    Traceback (most recent call last):
    IndexError: pop from empty list
    """
    rouse: Callable[[], Any] = map(call, map(_UNPARK, iter(resting.pop, None))).__next__
    return rouse
