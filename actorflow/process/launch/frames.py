"""Frames: the messages between launcher and zygote, with descriptors. Lean.

A frame is its length and a marshalled tuple. Descriptors ride on the length. It uses `_socket` and `marshal`, since
`socket` takes 10 ms to import, `array` 4 and `pickle` 14, and a whole cold start 20.
"""

from __future__ import annotations

import marshal
import os
import sys
from _socket import CMSG_SPACE, SCM_RIGHTS, SOL_SOCKET

try:
    from _socket import MSG_CMSG_CLOEXEC as CLOSE_ON_EXEC
except ImportError:  # not Linux
    CLOSE_ON_EXEC = 0  # type: ignore[misc]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket as Socket  # noqa: N812
    from collections.abc import Sequence
    from typing import Any

LENGTH = 8  # bytes
INT = 4  # bytes of a descriptor
MOST = 250  # descriptors in one frame; Linux takes 253
PART = 1024 * 1024  # bytes that one read takes at most


def send(sock: Socket, message: tuple[Any, ...], fds: Sequence[int] = ()) -> None:
    """Write one frame. The descriptors are the kernel's then: the caller may close its own.

    Raises:
        OSError: the other end has closed.
    """
    body = marshal.dumps(message)
    frame = len(body).to_bytes(LENGTH, "little") + body
    if fds:
        packed = b"".join([fd.to_bytes(INT, sys.byteorder) for fd in fds])
        sent = sock.sendmsg([frame], [(SOL_SOCKET, SCM_RIGHTS, packed)])
        frame = frame[sent:]
    sock.sendall(frame)


def receive(sock: Socket) -> tuple[tuple[Any, ...], list[int]] | None:
    """Read the next frame and its descriptors; None at the end.

    A process that can have no more descriptors gets fewer than were sent.

    Raises:
        OSError: the connection broke.
    """
    try:
        return _receive(sock)
    except ConnectionResetError:  # it ended with words of ours unread
        return None


def _receive(sock: Socket) -> tuple[tuple[Any, ...], list[int]] | None:
    header, ancillary, _, _ = sock.recvmsg(LENGTH, CMSG_SPACE(INT * MOST), CLOSE_ON_EXEC)
    fds = [
        fd for level, kind, packed in ancillary if (level, kind) == (SOL_SOCKET, SCM_RIGHTS) for fd in _unpack(packed)
    ]
    rest = _read(sock, LENGTH - len(header)) if header else None
    body = None if rest is None else _read(sock, int.from_bytes(header + rest, "little"))
    if body is None:
        return None
    return marshal.loads(body), fds  # noqa: S302 - our own process wrote it


def _unpack(packed: bytes) -> list[int]:
    """Return the descriptors of one ancillary item, set so that programs do not inherit them."""
    fds = list(memoryview(packed[: len(packed) // INT * INT]).cast("i"))
    if not CLOSE_ON_EXEC:
        for fd in fds:
            os.set_inheritable(fd, False)
    return fds


def _read(sock: Socket, wanted: int) -> bytes | None:
    """Read exactly so many bytes; None if the end comes before."""
    parts = []
    while wanted:
        part = sock.recv(min(wanted, PART))
        if not part:
            return None
        parts.append(part)
        wanted -= len(part)
    return b"".join(parts)
