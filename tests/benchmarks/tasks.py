"""What the tasks and actors of `pools`, `deaths` and `hosts` run in child processes. Lean: each child imports it."""

from __future__ import annotations

import os
import time
from functools import cache

TYPE_CHECKING = False  # checkers take it for true; `typing` takes as long to import as a worker to start
if TYPE_CHECKING:
    from typing import Any


def same(x: Any) -> Any:
    """Give back what came in."""
    return x


def burn(rounds: int) -> int:
    """Keep a core busy with Python code."""
    total = 0
    for i in range(rounds):
        total += i & 7
    return total


def ends_of(array: Any) -> tuple[int, float, float]:
    """Tell of an array what shows that it arrived: its bytes, its first and its last item."""
    return array.nbytes, float(array[0]), float(array[-1])


@cache
def array_of(megabytes: int) -> Any:
    """Give an array, the same at each call: to make it is not what is measured."""
    import numpy as np

    array = np.ones(megabytes * 1_000_000 // 8)
    array[-1] = megabytes
    return array


def warm_up(megabytes: int, seconds: float) -> int:
    """Make the array, and keep the worker busy so long that the other one must take the next call."""
    array_of(megabytes)
    time.sleep(seconds)
    return os.getpid()


class Pipe:
    """The other end of a multiprocessing.Pipe: collects bytes, answers an int, ends at None."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def serve(self) -> None:
        """Read until the other end says so."""
        receive, send = self.connection.recv, self.connection.send
        seen: list[bytes] = []
        while True:
            message = receive()
            if message.__class__ is bytes:
                seen.append(message)
            elif message == COUNT:
                send(len(seen))
            elif message == TAKE:
                send(b"".join(seen))
                seen.clear()
            elif message is None:
                return
            else:
                send(message)


COUNT, TAKE = "how many?", "which?"


def serve_pipe(connection: Any) -> None:
    """Run the child of a Pipe."""
    Pipe(connection).serve()
