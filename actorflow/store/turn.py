"""Turn: the lock of a store's writer, and of its reader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from actorflow.core.futures.parking_lock import ParkingLock
from actorflow.errors import DeadlockError, StoreError

T = TypeVar("T")

TURN_SECONDS: Final = 30.0  # that work waits while a task of this process has its transaction open


class Turn(ParkingLock):
    """A lock that refuses its holder, which would wait for itself for ever.

    The handler of a signal may raise between any two bytecodes of the main thread. The lock knows its holder, so
    `release`, first in an `except` around all from `acquire` on, frees it wherever the handler raised; it is C code, so
    a second signal cannot come before it. It raises RuntimeError if this thread does not have the lock.

    A task may wait for an actor with its transaction open. In virtual time others park until that is over.
    """

    __slots__ = ()

    @property
    def is_mine(self) -> bool:
        """Whether this thread has the lock."""
        return self._lock._is_owned()  # type: ignore[no-any-return]

    def check_outside(self) -> None:
        """Refuse a call from within.

        Raises:
            DeadlockError: this thread has the lock.
        """
        if self._lock._is_owned():
            msg = (
                "a piece of work on a store called the store again, which waits for that work: use only its transaction"
            )
            raise DeadlockError(msg)

    def acquire(self, *, blocking: bool = True, seconds: float = -1) -> bool:
        """Take the lock; False if another thread has it, or this one."""
        if self._lock._is_owned():
            return False
        return self._lock.acquire(False) or super().acquire(blocking=blocking, seconds=seconds)

    def take_away(self) -> None:
        """Free the lock, though another thread has it."""
        self._lock._release_save()
        self._wake()

    def within(self, section: Callable[[], T]) -> T:
        """Do something with it; wherever that is interrupted, it is free afterwards.

        Raises:
            StoreError: another thread has it for long.
        """
        self.check_outside()
        try:
            self.__enter__()
            value = section()
            self.release()
        except BaseException:
            try:  # noqa: SIM105 - see `core.atomic`
                self.release()
            except RuntimeError:
                pass
            raise
        return value

    def __enter__(self) -> None:
        self.check_outside()
        if not self.acquire(seconds=TURN_SECONDS):
            msg = f"a thread of this process has had the store for over {TURN_SECONDS:.0f} s; does a task hang in it?"
            raise StoreError(msg)
