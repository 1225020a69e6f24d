"""Wire: frames over a Unix socket between two processes of one user. Lean: children import it first.

A frame is a 12-byte header (length of the body, number of buffers), the buffers' sizes, the body, and the buffers. The
body is marshalled: one C call for a whole batch, a tenth of the cost of packing each message. Marshal is right here
because both ends are the same interpreter and users' objects are pickled before, into bytes. Big buffers follow raw and
are read straight into their own memory, with huge pages where the system has them: 80 MB take 16 ms instead of 55, no
name is left in shared memory when a process is killed, and arrays arrive writable.
"""

from __future__ import annotations

import errno
import marshal
import mmap
import struct
from _socket import (
    AF_UNIX,
    MSG_DONTWAIT,
    SHUT_RD,
    SHUT_RDWR,
    SO_RCVTIMEO,
    SO_SNDBUF,
    SO_SNDTIMEO,
    SOCK_STREAM,
    SOL_SOCKET,
    socketpair,
)
from collections import deque

TYPE_CHECKING = False  # checkers take it for true; `typing` takes 5 ms to import
if TYPE_CHECKING:
    from _socket import socket as Socket  # noqa: N812
    from collections.abc import Callable, Sequence
    from typing import Any

HEADER = struct.Struct("<QI")  # length of the body, number of buffers
SIZE = struct.Struct("<Q")
TIMEVAL = struct.Struct("@ll")  # seconds, microseconds, as the system calls have them
MARSHAL_VERSION = 2  # later ones look for repeated objects, for a third more time
ROOM = 256 * 1024  # bytes that one read takes at most
JOINED = 64 * 1024  # up to here header and body are copied into one write
MAPPED = 1024 * 1024  # from here a buffer gets pages of its own
HUGE_PAGE = 2 * 1024 * 1024
READS = 16  # whose sizes are kept one by one
WAITING = (0,)  # flags of a read, which waits
AT_HAND = (MSG_DONTWAIT,)  # of one that does not
NO_SIZE = (0,)  # the size of a read is that of its target
SOCKET_BUFFER = 1024 * 1024  # bytes under way; the default costs an 80 MB array half as much again


def pair() -> tuple[Connection, Connection]:
    """Return two connected ends. They are on no network and in no file system: only descriptors lead to them."""
    ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
    for end in (ours, theirs):
        end.setsockopt(SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER)
    return Connection(ours), Connection(theirs)


class NoMemory(ConnectionError):
    """A frame does not fit into the memory of the process that reads it, so the connection is at its end."""


class Connection:
    """One end of a socket. One thread may send while another receives; neither call is locked against itself."""

    __slots__ = ("_at", "_rooms", "_sock", "frames", "lack")

    def __init__(self, sock: Socket) -> None:
        self._sock = sock
        self._rooms = [memoryview(bytearray(ROOM))]
        # A room, from where to where it holds what is not taken yet, what reads have added, and a large frame's state.
        self._at: tuple[memoryview, int, int, list[int], Large | None] = (self._rooms[0], 0, 0, [], None)
        self.frames: deque[Frame] = deque()  # to be written yet; of the first a part may be
        self.lack: NoMemory | None = None  # what has ended the reads

    def fileno(self) -> int:
        """Return the descriptor, -1 once closed."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close both directions; a thread that reads or writes here gets an error."""
        try:  # noqa: SIM105 - contextlib takes 2 ms to import
            self._sock.shutdown(SHUT_RDWR)
        except OSError:  # the other end has gone
            pass
        self._sock.close()

    def how_ended(self) -> str:
        """Return the text that a lack of memory here has ended the process at the other end; else ""."""
        return "" if self.lack is None else f"its process was ended, as there was {self.lack}"

    def interrupt_reads(self, seconds: float) -> None:
        """Make a `receive` raise BlockingIOError after a wait of so many seconds."""
        self._sock.setsockopt(SOL_SOCKET, SO_RCVTIMEO, timeval(seconds))

    def interrupt_writes(self, seconds: float) -> None:
        """Make a `write` raise BlockingIOError after so long a wait for the reader; the next one goes on there."""
        self._sock.setsockopt(SOL_SOCKET, SO_SNDTIMEO, timeval(seconds))

    def end_reads(self) -> None:
        """End reads after the bytes already sent, also if other processes hold the other end."""
        try:  # noqa: SIM105 - contextlib takes 2 ms to import
            self._sock.shutdown(SHUT_RD)
        except OSError:  # it is closed
            pass

    def close_here(self) -> None:
        """Close this process's descriptor only: for a fork, whose copy would keep the connection open."""
        self._sock.close()

    # --- out ---------------------------------------------------------------------------------------------------------

    # A signal's handler may raise at any line of a send, and the other end must never get half a frame with another
    # behind it. So a frame stays in `frames` until C code has entered that all of it is written; who writes next goes
    # on there.

    def send(self, items: Any, buffers: Sequence[memoryview] = ()) -> None:
        """Write one frame; blocks while the other end does not read.

        Raises:
            OSError: the connection is closed.
        """
        self.frames.append(Frame(items, buffers))
        self.write()

    def write(self, flags: tuple[int] = WAITING) -> None:
        """Write all that is in `frames`; to do it again does no harm.

        Raises:
            BlockingIOError: with AT_HAND, a part is left over: it would have to wait.
            OSError: the connection is closed.
        """
        frames, send = self.frames, self._sock.send
        while frames:
            frame = frames[0]
            at = frame.at
            while at is not None:
                part, sent, after = at
                if sent:
                    part = memoryview(part)[sum(sent) :]
                sent += map(send, (part,), flags)
                if sent[-1] == len(part):
                    frame.at = at = after
            if frames and frames[0] is frame:
                frames.popleft()

    def unsent(self) -> list[Frame]:
        """Take out the frames of which not all is written."""
        unsent = [frame for frame in self.frames if not frame.is_written]
        self.frames.clear()
        return unsent

    # --- in ----------------------------------------------------------------------------------------------------------

    # What has been read of the next frames is kept here and not on the stack of the one who reads: his time may be up,
    # or the handler of a signal may raise, at any line. So `_at` goes from one state to the next by one assignment, and
    # C code enters what a read has got: between a call that returns to Python and the next line, a handler may run.

    def pending(self) -> bool:
        """Say whether a frame, or the beginning of one, has been read already: then a poll would not tell of it."""
        _, start, end, got, large = self._at
        return end > start or large is not None or sum(got) > 0

    def ended(self) -> bool:
        """Say whether a read has come to the end."""
        _, _, _, got, large = self._at
        got = got if large is None else large.got
        return bool(got) and not got[-1]

    def ready(self) -> bool:
        """Say whether a whole frame has been read already, so that `receive` would not wait."""
        room, start, end, got, large = self._at
        if large is not None:
            return large.rest() is None
        have = end + sum(got) - start
        if have < HEADER.size:
            return False
        length, count = HEADER.unpack_from(room, start)
        whole = HEADER.size + count * SIZE.size + length
        if count and have >= whole:  # a poll would not tell of a frame that is all here, buffers included
            sizes = struct.unpack_from(f"<{count}Q", room, start + HEADER.size)
            whole += sum(sizes)
        return bool(have >= whole)

    def receive(self) -> tuple[Any, list[memoryview]]:
        """Read the next frame: its items, and its buffers, which are writable.

        Raises:
            EOFError: the other end has closed, or its process has ended.
            BlockingIOError: see `interrupt_reads`; the part of a frame that has come is kept for the next call.
        """
        items, buffers, self._at = self.peek()
        return items, buffers

    def peek(self, flags: tuple[int] = WAITING) -> tuple[Any, list[memoryview], Any]:
        """Read the next frame without taking it: `take` does so, with the third value; until then it is read again.

        Raises:
            EOFError: the other end has closed, or its process has ended.
            NoMemory: the frame does not fit into memory; whoever reads next sees the end, too.
            BlockingIOError: not all of it has come, and the flags or `interrupt_reads` do not let this wait.
        """
        try:
            while True:
                room, start, end, got, large = self._at
                target = room
                if got:
                    if not got[-1]:
                        raise EOFError
                    end += sum(got)
                if large is not None:
                    if self.ended():
                        raise EOFError
                    rest = large.rest()
                    if rest is None:
                        return (*large.parts(), (room, start, end, [], None))
                    target, got = rest, large.got
                elif end > start:
                    if end - start >= HEADER.size:
                        length, count = HEADER.unpack_from(room, start)
                        stop = start + HEADER.size + length
                        if stop <= end and not count:  # most frames come by one read, whole
                            items = marshal.loads(room[start + HEADER.size : stop])  # noqa: S302 - our own process wrote it
                            return items, [], (room, stop, end, [], None) if stop < end else (room, 0, 0, [], None)
                        if count or stop - start > ROOM:
                            self._at = begin_large(room, start + HEADER.size, end, Large(length, count))
                            continue
                    if start:  # to the front, but of the other room: this one is good until the state is the next
                        if len(self._rooms) == 1:
                            self._rooms.append(memoryview(bytearray(ROOM)))
                        other = self._rooms[room is self._rooms[0]]
                        other[: end - start] = room[start:end]
                        self._at = (other, 0, end - start, [], None)
                        continue
                    target = room[end:]
                got += map(self._sock.recv_into, (target,), NO_SIZE, flags)
        except NoMemory as error:
            self.lack = error
            self.end_reads()
            raise

    def take(self, after: Any) -> None:
        """Take the frame that `peek` returned."""
        self._at = after


def timeval(seconds: float) -> bytes:
    """Return a time as the options of sockets have it."""
    whole = int(seconds)
    return TIMEVAL.pack(whole, int((seconds - whole) * 1e6))


class Frame:
    """The bytes that are written at once, and how many of them are."""

    __slots__ = ("at", "buffers", "items")

    def __init__(self, items: Any, buffers: Sequence[memoryview] = ()) -> None:
        self.items = items
        self.buffers = buffers
        body = marshal.dumps(items, MARSHAL_VERSION)
        head = HEADER.pack(len(body), len(buffers))
        # The part that is being written, what writes have taken of it, and the same of the parts behind it; None: all
        # is written.
        self.at: Any
        if not buffers and len(body) <= JOINED:  # nearly all are
            self.at = (head + body, [], None)
            return
        head += b"".join([SIZE.pack(buffer.nbytes) for buffer in buffers])
        at: Any = None
        for part in reversed([head + body, *buffers] if len(body) <= JOINED else [head, body, *buffers]):
            at = (part, [], at)
        self.at = at

    @property
    def is_written(self) -> bool:
        """Whether all of the frame is written, also if a signal came before that was noted."""
        if self.at is None:
            return True
        part, sent, after = self.at
        return after is None and sum(sent) == len(part)

    def own(self) -> None:
        """Copy the buffers: they are written later than their owner knows, and he may change them."""
        parts = []
        at = self.at
        while at is not None:
            part, sent, at = at
            parts.append((bytes(part), sent))
        for part, sent in reversed(parts):
            at = (part, sent, at)
        self.at = at


class Large:
    """A frame that is read into memory of its own: the sizes of its buffers and its body, then the buffers."""

    __slots__ = ("_at", "_count", "_views")

    def __init__(self, length: int, count: int) -> None:
        self._count = count
        self._views = [memoryview(allot(bytearray, count * SIZE.size + length))]
        self._at: tuple[int, list[int]] = (0, [])  # the memory that is being filled, and what reads have brought for it

    @property
    def got(self) -> list[int]:
        """The bytes read into the memory that `rest` returned, in a list: the reader adds to it."""
        return self._at[1]

    def rest(self) -> memoryview | None:
        """Return the memory for the bytes still to come; None if all are there."""
        while True:
            index, got = self._at
            if index == len(self._views):
                if index > self._count:
                    return None
                sizes = struct.unpack_from(f"<{self._count}Q", self._views[0])
                self._views = [self._views[0], *[memoryview(allot(memory, size)) for size in sizes]]
            view, done = self._views[index], sum(got)
            if done < view.nbytes:
                if len(got) > READS:
                    self._at = index, [done]
                return view[done:]  # not by MSG_WAITALL: with it the first 80 MB of a process took 290 ms, not 25
            self._at = index + 1, []

    def parts(self) -> tuple[Any, list[memoryview]]:
        """Return the items and the buffers."""
        head, *buffers = self._views
        body = head[self._count * SIZE.size :]
        return allot(lambda _: marshal.loads(body), body.nbytes), buffers  # noqa: S302 - our own process wrote it


def begin_large(room: memoryview, start: int, end: int, large: Large) -> Any:
    """Copy the part of a frame that has come into its own memory; return the state from which it goes on."""
    while start < end and (rest := large.rest()) is not None:
        size = min(rest.nbytes, end - start)
        rest[:size] = room[start : start + size]
        large.got.append(size)
        start += size
    return (room, start, end, [], large) if start < end else (room, 0, 0, [], large)


def allot(make: Callable[[int], Any], size: int) -> Any:
    """Call `make(size)`, which takes so much memory.

    Raises:
        NoMemory: there is not so much.
    """
    try:
        return make(size)
    except (MemoryError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.ENOMEM:  # a signal's handler raised it
            raise
        raise NoMemory(f"no memory to read {size / 2**20:.1f} MB from another process") from error


def memory(size: int) -> bytearray | memoryview:
    """Return writable memory for a buffer; big ones get mapped pages of their own, which go back when it is freed.

    Linux lays a mapping onto the borders of huge pages only if it is as long as some of them: else 8 MB take 1,000
    small pages at its ends, and twice the time. The last one is huge if the buffer fills half of it.
    """
    if size < MAPPED:
        return bytearray(size)
    mapped = mmap.mmap(-1, -(-size // HUGE_PAGE) * HUGE_PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        mapped.madvise(mmap.MADV_HUGEPAGE, 0, (size + HUGE_PAGE // 2) // HUGE_PAGE * HUGE_PAGE)
    return memoryview(mapped)[:size]
