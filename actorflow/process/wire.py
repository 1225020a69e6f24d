"""Wire: frames over a Unix socket between two processes of one user. Layer 2. Lean: children import it first.

A frame is a 12-byte header (length of the body, number of buffers), the buffers' sizes, the body, and the buffers. The
body is marshalled: one C call for a whole batch, a tenth of what packing each message costs. Marshal is right here
because both ends are the same interpreter and what users send is pickled before, into bytes. Big buffers follow raw and
are read straight into their own memory, with huge pages where the system has them: 80 MB take 16 ms instead of 55, no
name is left in shared memory when a process is killed, and arrays arrive writable.
"""

from __future__ import annotations

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
    SOCK_STREAM,
    SOL_SOCKET,
    socketpair,
)

TYPE_CHECKING = False  # checkers take it for true; `typing` takes 5 ms to import
if TYPE_CHECKING:
    from _socket import socket as Socket  # noqa: N812
    from collections.abc import Sequence
    from typing import Any

HEADER = struct.Struct("<QI")  # length of the body, number of buffers
SIZE = struct.Struct("<Q")
TIMEVAL = struct.Struct("@ll")  # seconds, microseconds, as the system calls have them
MARSHAL_VERSION = 2  # later ones look for repeated objects, for a third more time
ROOM = 256 * 1024  # bytes that one read takes at most
JOINED = 64 * 1024  # up to here header and body are copied into one write
MAPPED = 1024 * 1024  # from here a buffer gets pages of its own
HUGE_PAGE = 2 * 1024 * 1024
SOCKET_BUFFER = 1024 * 1024  # bytes under way; the default costs an 80 MB array half as much again


def pair() -> tuple[Connection, Connection]:
    """Return two connected ends. They are on no network and in no file system: only descriptors lead to them."""
    ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
    for end in (ours, theirs):
        end.setsockopt(SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER)
    return Connection(ours), Connection(theirs)


class Connection:
    """One end. One thread may send while another receives; neither call is locked against itself."""

    __slots__ = ("_end", "_rest", "_room", "_sock", "_start")

    def __init__(self, sock: Socket) -> None:
        self._sock = sock
        self._room = memoryview(bytearray(ROOM))
        self._start = self._end = 0
        self._rest = b""  # of frames that `send_now` could not write at once

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

    def interrupt_reads(self, seconds: float) -> None:
        """Have a `receive` that waits so long for a frame to begin raise BlockingIOError."""
        whole = int(seconds)
        self._sock.setsockopt(SOL_SOCKET, SO_RCVTIMEO, TIMEVAL.pack(whole, int((seconds - whole) * 1e6)))

    def end_reads(self) -> None:
        """Have reads end after what has been sent already, whoever else holds the other end."""
        try:  # noqa: SIM105 - contextlib takes 2 ms to import
            self._sock.shutdown(SHUT_RD)
        except OSError:  # it is closed
            pass

    def close_here(self) -> None:
        """Close this process's descriptor only: for a fork, whose copy would keep the connection open."""
        self._sock.close()

    # --- out ---------------------------------------------------------------------------------------------------------

    def send(self, items: Any, buffers: Sequence[memoryview] = ()) -> None:
        """Write one frame; blocks while the other end does not read.

        Raises:
            OSError: the connection is closed.
        """
        if self._rest:
            self.send_rest()
        body = marshal.dumps(items, MARSHAL_VERSION)
        header = HEADER.pack(len(body), len(buffers))
        if buffers:
            header += b"".join([SIZE.pack(buffer.nbytes) for buffer in buffers])
        sendall = self._sock.sendall
        if len(body) <= JOINED:
            sendall(header + body)
        else:
            sendall(header)
            sendall(body)
        for buffer in buffers:
            sendall(buffer)

    def send_now(self, items: Any) -> bool:
        """Write one frame without waiting; False if a part is left over, for `send_rest` or the next `send`.

        Raises:
            OSError: the connection is closed.
        """
        body = marshal.dumps(items, MARSHAL_VERSION)
        frame = HEADER.pack(len(body), 0) + body
        if self._rest:
            self._rest += frame
            return False
        try:
            sent = self._sock.send(frame, MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        self._rest = frame[sent:]
        return not self._rest

    def send_rest(self) -> None:
        """Write what `send_now` left over."""
        rest, self._rest = self._rest, b""
        if rest:
            self._sock.sendall(rest)

    # --- in ----------------------------------------------------------------------------------------------------------

    def pending(self) -> bool:
        """Say whether a frame, or the beginning of one, has been read already: then a poll would not tell of it."""
        return self._end > self._start

    def ready(self) -> bool:
        """Say whether a whole frame has been read already, so that `receive` would not wait."""
        have = self._end - self._start
        if have < HEADER.size:
            return False
        length, count = HEADER.unpack_from(self._room, self._start)
        whole = HEADER.size + count * SIZE.size + length
        if count and have >= whole:  # a poll would not tell of a frame that is all here, buffers included
            sizes = struct.unpack_from(f"<{count}Q", self._room, self._start + HEADER.size)
            whole += sum(sizes)
        return bool(have >= whole)

    def receive(self) -> tuple[Any, list[memoryview]]:
        """Read the next frame: its items, and its buffers, which are writable.

        Raises:
            EOFError: the other end has closed, or its process has ended.
        """
        if self._start == self._end:  # nothing at hand: most frames come by one read, whole
            room = self._room
            end = self._end = self._sock.recv_into(room)
            self._start = 0
            if end > HEADER.size:
                length, count = HEADER.unpack_from(room)
                stop = HEADER.size + length
                if stop <= end and not count:
                    self._start = stop
                    return marshal.loads(room[HEADER.size : stop]), []  # noqa: S302 - our own process wrote it
            elif not end:
                raise EOFError
        self._fill(HEADER.size)
        length, count = HEADER.unpack_from(self._room, self._start)
        self._start += HEADER.size
        sizes: list[int] = []
        for _ in range(count):
            self._fill(SIZE.size)
            sizes += SIZE.unpack_from(self._room, self._start)
            self._start += SIZE.size
        if length <= ROOM:
            self._fill(length)
            items = marshal.loads(self._room[self._start : self._start + length])  # noqa: S302 - our own process wrote it
            self._start += length
        else:
            items = marshal.loads(self._take(bytearray(length)))  # noqa: S302 - our own process wrote it
        return items, [self._take(memory(size)) for size in sizes]

    def _fill(self, wanted: int) -> None:
        """Have at least so many bytes at hand, at most `ROOM`."""
        start, end = self._start, self._end
        if end - start >= wanted:
            return
        room = self._room
        if start == end:
            start = end = 0
        elif ROOM - start < wanted:
            room[: end - start] = bytes(room[start:end])
            start, end = 0, end - start
        self._start, self._end = start, end
        while end - start < wanted:
            try:
                got = self._sock.recv_into(room[end:])
            except BlockingIOError:  # `interrupt_reads` is for the time between frames
                continue
            if not got:
                raise EOFError
            end += got
            self._end = end

    def _take(self, target: bytearray | memoryview) -> memoryview:
        """Fill the target: first with what is at hand, then from the socket."""
        view = memoryview(target)
        done = min(self._end - self._start, view.nbytes)
        view[:done] = self._room[self._start : self._start + done]
        self._start += done
        while done < view.nbytes:  # not by MSG_WAITALL: with it the first 80 MB of a process took 290 ms, not 25
            try:
                got = self._sock.recv_into(view[done:])
            except BlockingIOError:
                continue
            if not got:
                raise EOFError
            done += got
        return view


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
