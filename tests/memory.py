"""A process that has no memory for big frames: the place where copies of users' bytes are made, with a bound.

A real limit would be met at another line each time: this one is met where a frame is written or read.
"""

import marshal
import pickle
import resource
from pathlib import Path
from types import SimpleNamespace

from actorflow.process import wire

ROOM = 1_000_000  # bytes that there is memory for
TOO_BIG = bytes(2 * ROOM)


def write_no_big_frames():
    """Have no memory for the copy of a frame's body."""

    def dumps(items, version):
        body = marshal.dumps(items, version)
        if len(body) > ROOM:
            raise MemoryError
        return body

    wire.marshal = SimpleNamespace(dumps=dumps, loads=marshal.loads)


def read_no_big_frames():
    """Have no memory to read a frame into."""
    wire.bytearray = bounded


def bounded(size):
    """Make a bytearray."""
    if size > ROOM:
        raise MemoryError
    return bytearray(size)


def bind(size):
    """Have so many bytes more than now, and no more: a real limit."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + size
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def big():
    return bytes(2 * ROOM)


def big_with_buffer():
    return bytes(2 * ROOM), pickle.PickleBuffer(bytearray(ROOM))


def big_once(path):
    """Return much at the first call, and little later."""
    if Path(path).exists():
        return b"little"
    Path(path).touch()
    return big()
