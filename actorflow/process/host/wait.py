"""Wait: who reads a link's socket at the parent's end. Layer 2.

Normally the link's reader thread does. A thread outside of the system that waits for an answer may read in its stead:
two threads that wake up for one answer cost as much as the way to the other process and back. The first such thread
takes the socket out of the reader's epoll; the reader then looks each `LOOK` seconds whether that goes on, and takes
the socket back when it does not.
"""

from __future__ import annotations

import _thread
import contextlib
import select
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.clock import SystemClock
from actorflow.core.current import CURRENT
from actorflow.core.future import DRIVERS, LOOK_UP, Future, ask_timeout
from actorflow.errors import AskTimeout

if TYPE_CHECKING:
    from actorflow.process.host.link import Link

CAN_BORROW: Final = hasattr(select, "epoll")  # Linux
LOOK: Final = 0.001
CURRENT_GET = CURRENT.get


class Ear:
    """The right to read one socket."""

    def __init__(self, fileno: int) -> None:
        self._fileno = fileno
        self.lock = _thread.allocate_lock()
        self._poll = select.poll()
        self._poll.register(fileno, select.POLLIN)
        self._epoll = select.epoll() if CAN_BORROW else None
        if self._epoll is not None:
            self._epoll.register(fileno, select.EPOLLIN)
        self.lent = self._epoll is None  # True: the reader thread looks at `borrows` and does not wait for the socket
        self.borrows = 0

    def read_on(self, link: Link) -> None:
        """Read until the other end is gone: the reader thread's work."""
        try:
            while True:
                if self._epoll is not None:
                    self._wait_for_turn(self._epoll)
                if self.lock.acquire(blocking=self._epoll is None):
                    try:
                        if self._epoll is None or link.connection.ready() or self._poll.poll(0):
                            link.read_frame()
                        while link.connection.ready():
                            link.read_frame()
                    except BlockingIOError:
                        continue
                    finally:
                        self.lock.release()
        except (EOFError, OSError, ValueError):  # ValueError: the epoll is closed
            return

    def _wait_for_turn(self, epoll: select.epoll) -> None:
        """Wait until there is something to read, and nobody else who does."""
        while True:
            seen = self.borrows
            if epoll.poll(LOOK if self.lent else -1) and not self.lent:
                return
            if self.lent and self.borrows == seen:  # over, or a long one: then its end wakes this thread
                with self.lock:
                    self.lent = False
                    epoll.modify(self._fileno, select.EPOLLIN)
                return  # to look once: what has come meanwhile may be in the connection already

    def borrow(self) -> bool:
        """Take the right to read, if nobody has it; `lock.release()` gives it back."""
        if not self.lock.acquire(blocking=False):
            return False
        self.borrows += 1
        if not self.lent:
            try:
                self.take_from_reader()
            except (OSError, ValueError):  # the other end has just gone
                self.lock.release()
                return False
        return True

    def take_from_reader(self) -> None:
        """Have the reader thread leave the socket alone."""
        assert self._epoll is not None
        self.lent = True
        self._epoll.modify(self._fileno, 0)
        # Wake it, so that it begins to look: a descriptor that can be written is an event.
        self._epoll.modify(self._fileno, select.EPOLLOUT | select.EPOLLONESHOT)

    def wait(self, seconds: float) -> bool:
        """Wait for something to read."""
        return bool(self._poll.poll(seconds * 1000))

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
        if link is None or link.ear is None or CURRENT_GET() is not None or DRIVERS or not CAN_BORROW:
            super()._wait(timeout)
            return
        target = self._target
        if timeout is None and target is not None and not self._patient:
            timeout = target._scheduler.ask_timeout
        deadline = None if timeout is None else SystemClock.monotonic() + timeout
        ear = link.ear
        if link.closed is None and ear.borrow():
            try:
                self._read(link, deadline)
            except (EOFError, OSError, ValueError):  # the reader thread sees the end, too
                pass
            except BaseException:  # Ctrl-C, perhaps in the middle of a frame: what follows would be read as its rest
                link.connection.close()
                raise
            finally:
                ear.lock.release()
            if self._done:
                return
        left = None if deadline is None else deadline - SystemClock.monotonic()
        if left is None or left > 0:
            with contextlib.suppress(AskTimeout):
                super()._wait(left)
                return
        raise ask_timeout(self, timeout)

    def _read(self, link: Link, deadline: float | None) -> None:
        """Read until this future is done or time is up."""
        read, ear = link.read_frame, link.ear
        assert ear is not None
        while not self._done:
            # Looked up each quarter of a second: see `actorflow.core.future.acquire`.
            if deadline is None:
                try:
                    read()
                except BlockingIOError:  # see `Connection.interrupt_reads`
                    continue
            else:
                left = deadline - SystemClock.monotonic()
                if link.connection.ready() or ear.wait(max(0.0, min(LOOK_UP, left))):
                    read()
                elif left <= 0:
                    return
        while link.connection.ready():
            read()
