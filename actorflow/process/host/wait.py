"""Wait: who reads a link's socket at the parent's end. Layer 2.

Normally the link's reader thread does. A thread outside of the system that waits for an answer may read in its stead:
it takes the socket out of the reader's epoll, so that the reader sleeps on. Two threads that wake up for one answer
cost as much as the way to the other process and back.
"""

from __future__ import annotations

import _thread
import select
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.clock import SystemClock
from actorflow.core.current import CURRENT
from actorflow.core.future import DRIVERS, LOOK_UP, Future, ask_timeout

if TYPE_CHECKING:
    from actorflow.process.host.link import Link

CAN_BORROW: Final = hasattr(select, "epoll")  # Linux


class Ear:
    """The right to read one socket."""

    def __init__(self, fileno: int) -> None:
        self._fileno = fileno
        self._lock = _thread.allocate_lock()
        self._poll = select.poll()
        self._poll.register(fileno, select.POLLIN)
        self._epoll = select.epoll() if CAN_BORROW else None
        if self._epoll is not None:
            self._epoll.register(fileno, select.EPOLLIN)

    def read_on(self, link: Link) -> None:
        """Read until the other end is gone: the reader thread's work."""
        try:
            while True:
                if self._epoll is not None:
                    self._epoll.poll()
                if self._lock.acquire(blocking=self._epoll is None):
                    try:
                        link.read_frame()
                        while link.connection.ready():
                            link.read_frame()
                    finally:
                        self._lock.release()
        except (EOFError, OSError, ValueError):  # ValueError: the epoll is closed
            return

    def read_until(self, link: Link, future: Future[Any], timeout: float | None) -> None:
        """Read here until the future is done or time is up; return at once if somebody else reads."""
        epoll = self._epoll
        if epoll is None or not self._lock.acquire(blocking=False):
            return
        deadline = None if timeout is None else SystemClock.monotonic() + timeout
        try:
            epoll.modify(self._fileno, 0)
            try:
                while not future._done:
                    left = LOOK_UP if deadline is None else min(LOOK_UP, deadline - SystemClock.monotonic())
                    if left < 0:
                        return
                    # Looked at each quarter of a second: see `actorflow.core.future.acquire`.
                    if self._poll.poll(left * 1000):
                        link.read_frame()
                while link.connection.ready():
                    link.read_frame()
            finally:
                epoll.modify(self._fileno, select.EPOLLIN)
        except (EOFError, OSError, ValueError):  # the reader thread sees the end, too, and deals with it
            return
        finally:
            self._lock.release()

    def close(self) -> None:
        """Give the epoll back; the socket is closed."""
        if self._epoll is not None:
            self._epoll.close()


class RemoteFuture(Future[Any]):
    """The answer of an actor in another process; who waits for it outside of the system reads the socket itself."""

    __slots__ = ("link",)

    link: Link | None

    def _wait(self, timeout: float | None) -> None:
        link = getattr(self, "link", None)
        if link is None or CURRENT.get() is not None or DRIVERS:
            super()._wait(timeout)
            return
        assert self._target is not None
        timeout = self._target._scheduler.ask_timeout if timeout is None else timeout
        deadline = None if timeout is None else SystemClock.monotonic() + timeout
        link.read_until(self, timeout)
        if self._done:
            return
        left = None if deadline is None else deadline - SystemClock.monotonic()
        if left is not None and left <= 0:
            raise ask_timeout(self, timeout)
        super()._wait(left)
