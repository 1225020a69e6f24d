"""Waits of threads that run no handler, and the error of every wait that runs out of time."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.clock import SystemClock
from actorflow.core.messages.execution import CURRENT
from actorflow.errors import AskTimeout
from actorflow.text import plural

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future

LOOK_UP: Final = 0.25  # seconds

# Threads that drive a virtual scheduler: thread id -> its wait. Filled by actorflow.core.drivers.virtual_waits.
DRIVERS: dict[int, Callable[[Future[Any], float | None], None]] = {}


def now() -> float:
    """Return the time of the clock that a wait here goes by."""
    execution = CURRENT.get()
    return execution.scheduler.clock.monotonic() if execution is not None else SystemClock.monotonic()


def in_virtual_time() -> bool:
    """Say whether a wait here takes virtual time."""
    execution = CURRENT.get()
    return execution.scheduler.is_virtual if execution is not None else threading.get_ident() in DRIVERS


def wait_outside(future: Future[Any], timeout: float | None) -> None:
    """Block a thread that runs no handler."""
    target = future._target
    if target is not None:
        target._home.check_usable()
    lock = threading.Lock()
    lock.acquire()
    try:
        if not future._add_waiter(lock.release) or acquire(lock, timeout):
            return
    except BaseException:  # a signal: the future may be waited for again, any number of times
        future._drop_waiter(lock.release)
        raise
    future._drop_waiter(lock.release)
    if not future._done:
        raise ask_timeout(future, timeout)


def lock_timeout(timeout: float | None) -> float:
    """Return a timeout as locks take it: they know no longer one than three centuries."""
    return -1 if timeout is None or timeout > threading.TIMEOUT_MAX else max(0.0, timeout)


def acquire(lock: Any, timeout: float | None) -> bool:
    """Acquire a lock; the main thread looks up each quarter of a second.

    A signal that comes just before the wait begins does not interrupt it, and its handler would run only afterwards.
    """
    if threading.get_ident() != threading.main_thread().ident:
        return bool(lock.acquire(timeout=lock_timeout(timeout)))
    deadline = math.inf if timeout is None else SystemClock.monotonic() + timeout
    while (left := deadline - SystemClock.monotonic()) > LOOK_UP:
        if lock.acquire(timeout=LOOK_UP):
            return True
    return bool(lock.acquire(timeout=max(0.0, left)))


def ask_timeout(future: Future[Any], timeout: float | None) -> AskTimeout:
    """Make the error for a wait that ran out of time."""
    if future._patient and future._target is not None:
        return AskTimeout(f"{future._target.path} did not get there within {told(timeout)}; it still may")
    if future._target is None:
        who, why = "", ""
    else:
        who, why = f" from {future._target.path}", future._target._why_silent()
    cure = why or "it may still come: ask again, or give more time"
    return AskTimeout(f"no answer{who} within {told(timeout)}; {cure}")


def told(timeout: float | None) -> str:
    """Return the text of a timeout."""
    return "its time" if timeout is None else plural(timeout, "second")
