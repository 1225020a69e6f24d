"""Wal: the write-ahead log of a SQLite file: how far it is filled, and its room for the commits that come.

A commit that makes the log longer waits for the disk for half as long again as one that writes over what is there: the
file system has to commit the new length, and where the new blocks are, too. So zeros are written ahead, as PostgreSQL
does (`wal_init_zero`). SQLite takes a page of the log for one only if it bears the log's present salts.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final

LOG_HEADER: Final = struct.Struct(">8xI4x8s8x")  # page size and salts
FRAME_HEADER: Final = struct.Struct(">8x8s8x")  # salts
LARGEST_BYTES: Final = 32 * 1024 * 1024  # that the log keeps when it is begun anew, after it had to grow
ROOM_BYTES: Final = 1024 * 1024  # by which a log is made longer at once; a shorter one, by its own length
COMMITS: Final = 16  # between two looks at the room


def log_size(path: str) -> int:
    """Return the bytes of a file's log."""
    try:
        return Path(f"{os.path.realpath(path)}-wal").stat().st_size
    except OSError:
        return 0


def is_filled(path: str, size: int) -> bool:
    """Say whether a file's log holds so many bytes of pages since it was last begun anew; pages behind are stale.

    A page was written since then if it bears the log's present salts (sqlite.org/fileformat2.html, 4.1 and 4.2).
    """
    try:
        with open(f"{path}-wal", "rb", buffering=0) as log:  # noqa: PTH123 - closed wherever a signal's handler raises
            return reaches(log.fileno(), size)
    except (OSError, struct.error):  # there is none, it is just being made, or it is shorter
        return False


def reaches(log: int, size: int) -> bool:
    """Say whether the pages of an open log since its last beginning take so many bytes.

    Raises:
        struct.error: it is shorter.
    """
    page_size, salts = LOG_HEADER.unpack(os.pread(log, LOG_HEADER.size, 0))
    if not page_size:
        return False  # it was made longer, and its beginning is not written yet
    frame = FRAME_HEADER.size + page_size
    last = os.pread(log, FRAME_HEADER.size, LOG_HEADER.size + (size // frame - 1) * frame)
    return FRAME_HEADER.unpack(last) == (salts,)


def make_room(path: str) -> None:
    """Write zeros behind the end of a log that is nearly filled; only who has the lock for writing may do so.

    Without room on the disk it is left as it was: then commits make it longer by themselves, if they can.
    """
    try:
        with open(f"{path}-wal", "r+b", buffering=0) as log:  # noqa: PTH123 - as above
            size = os.fstat(log.fileno()).st_size
            room = min(size, ROOM_BYTES, LARGEST_BYTES - size)
            if room > 0 and reaches(log.fileno(), size - room // 2):
                extend(log.fileno(), size, room)
    except (OSError, struct.error):
        return


def extend(log: int, size: int, room: int) -> None:
    """Write so many zeros behind the end of an open file, or nothing.

    Raises:
        OSError: the disk is full.
    """
    try:
        if os.pwrite(log, bytes(room), size) == room:
            return
    except OSError:
        os.ftruncate(log, size)
        raise
    os.ftruncate(log, size)
