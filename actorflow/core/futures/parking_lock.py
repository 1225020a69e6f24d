"""ParkingLock: a lock that user code may wait under.

In virtual time one thread runs at any moment. A handler that blocked in a lock whose holder is parked would hold the
baton for ever; so it parks, as it does in `get`, until the lock is free.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from actorflow.core.futures.future import Future
from actorflow.core.futures.thread_wait import in_virtual_time, now
from actorflow.core.messages.execution import CURRENT
from actorflow.errors import AskTimeout, DeadlockError

LIVE_SECONDS: Final = 0.1  # of real time, for a holder that is a thread of a live system


class ParkingLock:
    """A re-entrant lock for which threads of a virtual system park, and all others block.

    Attributes:
        release: frees the lock; a call of C as long as nobody has parked for it, so that no signal comes between.
    """

    __slots__ = ("_lock", "_parked", "release")

    def __init__(self) -> None:
        self._lock: Any = threading.RLock()
        self._parked: list[Future[None]] = []
        self.release: Callable[[], None] = self._lock.release

    def _is_owned(self) -> bool:
        return self._lock._is_owned()  # type: ignore[no-any-return]

    def acquire(self, *, blocking: bool = True, seconds: float = -1) -> bool:
        """Take the lock; False if another has it, and keeps it for so many seconds."""
        if self._lock.acquire(False):
            return True
        if not blocking:
            return False
        if in_virtual_time():
            return self._park(seconds)
        return self._lock.acquire(True, seconds)  # type: ignore[no-any-return]

    def __enter__(self) -> object:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _park(self, seconds: float) -> bool:
        """Wait in virtual time; a release wakes all that wait, and the scheduler's order decides which of them has it.

        Raises:
            DeadlockError: the driver waits, and nothing is left to run that could free the lock.
        """
        # The driver of a virtual system may use a live one, too. While it blocks, nothing runs in virtual time.
        execution = CURRENT.get()
        if execution is None and self._lock.acquire(True, LIVE_SECONDS):
            return True
        self.release = self._release_and_wake
        deadline = None if seconds < 0 else now() + seconds
        while True:
            free: Future[None] = Future()
            self._parked.append(free)
            if self._lock.acquire(False):
                return True
            try:
                left = None if deadline is None else max(0.0, deadline - now())
                free.get(timeout=left) if execution is None else execution.block(free, left)
            except DeadlockError:
                raise
            except AskTimeout:
                return self._lock.acquire(False)  # type: ignore[no-any-return]

    def _release_and_wake(self) -> None:
        self._lock.release()
        self._wake()

    def _wake(self) -> None:
        """Let all that have parked look again."""
        parked, self._parked = self._parked, []
        for free in parked:
            free._settle(None, None)
