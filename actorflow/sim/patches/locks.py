"""Locks: those that user code makes in a simulated world take virtual time; who waits for one parks, and others run.

`threading.Condition`, `Event`, `Semaphore`, `Barrier` and `queue.Queue` are Python code around such locks.
"""

from __future__ import annotations

import _thread
import queue
import sys
import threading
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Final, NoReturn

from actorflow.core.futures.future import Future
from actorflow.core.futures.thread_wait import in_virtual_time, now
from actorflow.core.messages.execution import CURRENT
from actorflow.errors import AskTimeout, DeadlockError
from actorflow.sim.patches.place import simulated
from actorflow.sim.patches.redirect import Attribute, Redirect, original
from actorflow.sim.world.scheduler import SimScheduler

if TYPE_CHECKING:
    from actorflow.core.messages.execution import Execution
    from actorflow.core.refs.ref import ActorRef
    from actorflow.sim.patches.patched import Patch

real_lock: Final = original(_thread.allocate_lock)
real_rlock: Final[Any] = _thread.RLock
real_simple_queue: Final[Any] = queue.SimpleQueue
WAITS_FOR_NEWS: Final = threading.Condition.wait.__code__


class SimLock:
    """A lock for which handlers of a simulated world park. Other threads wait for it as for any lock."""

    __slots__ = ("__weakref__", "_is_news", "_lock", "_parked")

    def __init__(self, *, is_news: bool = False) -> None:
        """Make a lock that is free.

        Args:
            is_news: another one than its holder releases it, so whoever waits for it waits for no actor.
        """
        self._lock = real_lock()
        self._is_news = is_news
        self._parked: list[Future[None]] = []

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock; False if another has it, and keeps it for so many seconds."""
        if not blocking or not in_virtual_time() or (timeout < 0 and timeout != -1):
            return self._lock.acquire(blocking, timeout)  # type: ignore[no-any-return]
        execution = CURRENT.get()
        if not self._lock.acquire(False) and not self._park(execution, timeout):
            return False
        if execution is not None and not self._is_news and isinstance(execution.scheduler, SimScheduler):
            ref = execution.receiver
            if ref is not None:
                execution.scheduler.world.held[self] = ref
        return True

    def _park(self, execution: Execution | None, timeout: float) -> bool:
        deadline = None if timeout == -1 else now() + timeout
        while True:
            free: Future[None] = Future(self._holder(execution) if deadline is None else None)
            self._parked.append(free)
            if self._lock.acquire(False):
                return True
            left = None if deadline is None else max(0.0, deadline - now())
            try:
                free.get(timeout=left) if execution is None else execution.block(free, left)
            except DeadlockError:
                raise
            except AskTimeout:
                return self._lock.acquire(False)  # type: ignore[no-any-return]
            if self._lock.acquire(False):
                return True

    def _holder(self, execution: Execution | None) -> ActorRef[Any] | None:
        """Return the actor that is to free the lock: a circle of waits without an end is found, as one of asks is."""
        if execution is None or not isinstance(execution.scheduler, SimScheduler):
            return None
        return execution.scheduler.world.held.get(self)

    def release(self) -> None:
        """Free the lock; all that wait look again, and the order of steps decides which of them has it."""
        execution = CURRENT.get()
        if execution is not None and isinstance(execution.scheduler, SimScheduler):
            world = execution.scheduler.world
            if execution.is_abandoned and self not in world.held and not self._is_news:
                return  # it is free since the host of this frame died
            world.held.pop(self, None)
        self._lock.release()
        self._wake()

    def free(self) -> None:
        """Free the lock in place of its holder, whose host has died."""
        if self._lock.locked():
            self._lock.release()
        self._wake()

    def _wake(self) -> None:
        if self._parked:
            parked, self._parked = self._parked, []
            for free in parked:
                free._settle(None, None)

    def locked(self) -> bool:
        """Say whether somebody has it."""
        return self._lock.locked()  # type: ignore[no-any-return]

    __enter__ = acquire

    def __exit__(self, *_: object) -> None:
        self.release()

    def _at_fork_reinit(self) -> None:
        self._lock = real_lock()
        self._parked = []

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle '_thread.lock' object")


def make_lock() -> Any:
    """Stand in for threading.Lock."""
    if simulated() is None:
        return real_lock()
    return SimLock(is_news=sys._getframe(1).f_code is WAITS_FOR_NEWS)


def make_rlock(*args: Any, **kwargs: Any) -> Any:
    """Stand in for the type behind threading.RLock."""
    return real_rlock(*args, **kwargs) if simulated() is None else threading._PyRLock(*args, **kwargs)  # type: ignore[attr-defined]


class StandIn(type):
    """The class of a type that stands in for one in C: its instances are those that a function makes."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.kinds)  # type: ignore[attr-defined]

    def __call__(cls, *args: Any) -> Any:
        """Make an instance."""
        return cls.make(*args)  # type: ignore[attr-defined]


class Lock(metaclass=StandIn):
    """Stands in for threading.Lock where that is a type, as on Python 3.13."""

    kinds = (type(real_lock()), SimLock)
    make = staticmethod(make_lock)


def make_simple_queue() -> Any:
    """Stand in for queue.SimpleQueue."""
    return real_simple_queue() if simulated() is None else queue._PySimpleQueue()  # type: ignore[attr-defined]


class SimpleQueue(metaclass=StandIn):
    """Stands in for queue.SimpleQueue."""

    kinds = (real_simple_queue, queue._PySimpleQueue)  # type: ignore[attr-defined]
    make = staticmethod(make_simple_queue)
    __class_getitem__: Any = classmethod(GenericAlias)


def patches() -> list[Patch]:
    """Return the patches of locks and queues."""
    made: list[Patch] = [
        Redirect(_thread.allocate_lock, make_lock),
        Attribute(threading, "_CRLock", make_rlock),
        Attribute(queue, "SimpleQueue", SimpleQueue),
    ]
    if isinstance(threading.Lock, type):
        made.append(Attribute(threading, "Lock", Lock))
    return made
