"""Reader: the right to read a link's socket at the parent's end.

Normally the link's reader thread reads. A thread outside of the system that waits for an answer may read in its stead:
two threads that wake up for one answer cost as much as the way to the other process and back. The first such thread
takes the socket out of the reader's epoll; the reader then looks each `LOOK` seconds whether that goes on, and takes
the socket back when it does not.

In the main thread the handler of a signal may raise at any line (Ctrl-C). So that thread deals with frames only as far
as this can be done twice: answers for which no other thread waits. The rest stays in the connection, as does a frame
that is there in part, and the reader thread takes it from there.
"""

from __future__ import annotations

import _thread
import contextlib
import io
import os
import select
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.clock import SystemClock
from actorflow.core.futures.future import Future
from actorflow.core.futures.thread_wait import DRIVERS, LOOK_UP, ask_timeout
from actorflow.core.messages.execution import CURRENT
from actorflow.errors import AskTimeout
from actorflow.process.wire import AT_HAND, WAITING

if TYPE_CHECKING:
    from actorflow.process.hosts.link.link import HostLink

CAN_BORROW: Final = hasattr(select, "epoll") and hasattr(os, "eventfd")  # Linux
LOOK: Final = 0.001
ONE: Final = (1).to_bytes(8, sys.byteorder)  # the bytes that ring an eventfd
CURRENT_GET = CURRENT.get


class Ear:
    """The right to read one socket.

    A `HostProcess` makes it for its link. The reader thread has the right, unless a thread that waits for an answer has
    borrowed it; `end` takes it from all.
    """

    def __init__(self, fileno: int) -> None:
        self._fileno = fileno
        self.lock: Any = _thread.RLock()  # it knows whether this thread has it, also if a signal came at the wrong time
        self._poll = select.poll()
        self._poll.register(fileno, select.POLLIN)
        self._epoll = select.epoll() if CAN_BORROW else None
        if self._epoll is not None:
            self._epoll.register(fileno, select.EPOLLIN)
            # A file, not a descriptor: once it is closed, its number may be another's.
            self._bell = io.FileIO(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC), "r+")
            self._epoll.register(self._bell.fileno(), select.EPOLLIN)
        self.handed_over = False  # there is something for the reader thread in the connection
        self.lent = self._epoll is None  # True: the reader thread looks at `borrows` and does not wait for the socket
        self.borrows = 0
        self.is_over = False  # the other end is gone, and the files are closed

    def read_on(self, link: HostLink) -> None:
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
        """Wait until there is something to read, and no other thread reads."""
        while True:
            seen = self.borrows
            events = epoll.poll(LOOK if self.lent else -1)
            if any(fd != self._fileno for fd, _ in events):
                self._bell.read(8)
            elif events and not self.lent:
                return
            # Over, or a long one: then its end wakes this thread.
            if self.lent and (self.handed_over or self.borrows == seen):
                with self.lock:
                    self.lent = self.handed_over = False
                    epoll.modify(self._fileno, select.EPOLLIN)
                return  # to look once: what has come meanwhile may be in the connection already

    def borrow(self) -> bool:
        """Take the right to read, if no thread has it; the release of `lock` returns it."""
        if not self.lock.acquire(blocking=False):
            return False
        if self.is_over:
            self.lock.release()
            return False
        self.borrows += 1
        if not self.lent:
            try:
                self.take_from_reader()
            except (OSError, ValueError):  # the other end has just gone
                self.lock.release()
                return False
        return True

    def give_back(self) -> None:
        """Return the right to read, if this thread has it."""
        if self.lock._is_owned():
            self.lock.release()

    def take_from_reader(self) -> None:
        """Have the reader thread leave the socket alone."""
        assert self._epoll is not None
        self.lent = True
        self._ring()  # first: it begins to look, also if a signal ends this thread's turn here
        self._epoll.modify(self._fileno, 0)

    def hand_over(self) -> None:
        """Have the reader thread read on, at once; by the thread that has borrowed, before it gives the ear back."""
        self.handed_over = True
        self._ring()

    def _ring(self) -> None:
        """Wake the reader thread."""
        self._bell.write(ONE)

    def wait(self, seconds: float) -> bool:
        """Wait for something to read."""
        return bool(self._poll.poll(seconds * 1000))

    def end(self) -> None:
        """Let nobody read any more; whoever reads now has to see the end of the socket before this goes on.

        A call of C code takes the number of a file, lets other threads run, and then goes to the kernel. If the file is
        closed meanwhile, the number may be another's: a borrower that was late in `take_from_reader` took the next
        host's socket out of that one's epoll, and no answer was read. So files are closed while nobody reads.
        """
        with self.lock:
            self.is_over = True
            self.close()

    def close(self) -> None:
        """Give the files back, where no other thread may read: there is none yet, or none any more after a fork."""
        if self._epoll is not None:
            self._epoll.close()
            self._bell.close()


class RemoteFuture(Future[Any]):
    """The answer of an actor in another process; a thread outside of the system reads the socket itself for it."""

    __slots__ = ("link",)

    link: HostLink | None

    def _wait(self, timeout: float | None) -> None:
        link = getattr(self, "link", None)
        if link is None or link.ear is None or CURRENT_GET() is not None or DRIVERS or not CAN_BORROW:
            super()._wait(timeout)
            return
        target = self._target
        if timeout is None and target is not None and not self._patient:
            timeout = target._home.ask_timeout
        deadline = None if timeout is None else SystemClock.monotonic() + timeout
        # Not while a signal's handler asks, in the midst of a read.
        if link.closed is None and not link.ear.lock._is_owned():
            self._borrow(link, link.ear, deadline)
            if self._done:
                return
        left = None if deadline is None else deadline - SystemClock.monotonic()
        if left is None or left > 0:
            with contextlib.suppress(AskTimeout):
                super()._wait(left)
                return
        raise ask_timeout(self, timeout)

    def _borrow(self, link: HostLink, ear: Ear, deadline: float | None) -> None:
        """Read in the reader's stead, if nobody else does."""
        try:
            try:
                if not ear.borrow():
                    return
                self._read(link, ear, deadline)
            except BaseException:
                try:  # noqa: SIM105 - see `core.atomic`
                    ear.lock.release()
                except RuntimeError:
                    pass
                raise
            ear.lock.release()
        except BaseException as error:
            ear.give_back()  # a signal's handler may have raised in the line that does so
            ended = link.connection.ended() or link.connection.fileno() < 0 or isinstance(error, ConnectionError)
            if not (
                ended and isinstance(error, (EOFError, OSError, ValueError))
            ):  # else the reader thread sees it, too
                raise

    def _read(self, link: HostLink, ear: Ear, deadline: float | None) -> None:
        """Read until this future is done or time is up."""
        connection = link.connection
        may_be_interrupted = threading.get_ident() == threading.main_thread().ident
        flags = WAITING if deadline is None else AT_HAND
        while not self._done:
            # Looked up each quarter of a second: see `actorflow.core.futures.thread_wait.acquire`.
            left = LOOK_UP if deadline is None else deadline - SystemClock.monotonic()
            try:
                if deadline is None or connection.ready() or ear.wait(max(0.0, min(LOOK_UP, left))):
                    if not may_be_interrupted:
                        link.read_frame(flags)
                    elif not link.read_answers(flags):
                        ear.hand_over()
                        return
            except BlockingIOError:  # there is no more of the frame yet; see also `Connection.interrupt_reads`
                pass
            if left <= 0:
                return
        while connection.ready():
            if not may_be_interrupted:
                link.read_frame(flags)
            elif not link.read_answers(flags):
                ear.hand_over()
                return
