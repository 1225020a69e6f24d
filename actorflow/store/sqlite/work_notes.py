"""WorkNotes: the work that a process has begun, in a file that outlives its kill -9.

The node that buries a dead process sees there which pieces of work it had begun, and which it had only taken. The file
is mapped as a page of shared memory: a note costs 0.3 us, no call of the kernel, and is lost with the machine only,
which loses the processes of all nodes as well.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import struct
from pathlib import Path
from typing import Final

NUMBER: Final = struct.Struct("<q")
PLACES: Final = 64 * 1024  # pieces of work at once


class WorkNotes:
    """Numbers above 0, each in a place of its own; 0 is a free place."""

    def __init__(self, path: str) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            size = PLACES * NUMBER.size
            if os.pwrite(fd, bytes(size), 0) < size:  # now: in a sparse file, a note on a full disk is a SIGBUS
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._page = mmap.mmap(fd, size)
        except BaseException:
            os.unlink(path)  # noqa: PTH108
            raise
        finally:
            os.close(fd)
        self._path = path
        self._places: dict[int, int] = {}
        self._free: list[int] = []

    def add(self, number: int) -> None:
        """Note a piece of work, before it begins."""
        if number in self._places:
            return
        place = self._places[number] = self._free.pop() if self._free else len(self._places)
        NUMBER.pack_into(self._page, place * NUMBER.size, number)

    def remove(self, number: int) -> None:
        """Forget a piece of work, once its outcome is committed; does nothing if it is not noted."""
        place = self._places.pop(number, None)
        if place is not None:
            NUMBER.pack_into(self._page, place * NUMBER.size, 0)
            self._free.append(place)

    def close(self) -> None:
        """Take the file away."""
        self._page.close()
        with contextlib.suppress(OSError):
            os.unlink(self._path)  # noqa: PTH108


def read_notes(path: str) -> frozenset[int] | None:
    """Return the notes of a process that died; None if there is no such file."""
    try:
        data = Path(path).read_bytes()
    except OSError:
        return None
    return frozenset(number for (number,) in NUMBER.iter_unpack(data) if number)
