"""Offload: calls of asyncio code that may block, made in a few threads of their own. Layer 4.

A look at the store takes microseconds, or as long as the server is gone; either way the event loop goes on. The threads
are not those of `asyncio.to_thread`: a program that has these busy would make every job wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from actorflow.core.current import CURRENT

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")

THREADS = 8  # so many enqueue at once, and share a commit


class Offload:
    """The threads of one system; made at first use."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._closed = False
        self._lock = threading.Lock()

    async def run(self, act: Callable[[], T]) -> T:
        """Call a function in a thread; outside of asyncio, and once the system is over, call it here.

        A caller that is cancelled leaves the call to its end.
        """
        execution = CURRENT.get()
        if execution is not None and execution.suspends:
            return act()  # a handler that the scheduler drives: another one runs if it blocks
        import asyncio  # noqa: PLC0415 - it takes 30 ms

        loop = asyncio.get_running_loop()
        with self._lock:
            call = None if self._closed else loop.run_in_executor(self._threads(), act)
        return act() if call is None else await call

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - most systems have no asyncio code

            self._pool = ThreadPoolExecutor(THREADS, "actorflow-offload")
        return self._pool

    def close(self) -> None:
        """Have the threads end once they are through with what they have."""
        with self._lock:
            self._closed = True
            if self._pool is not None:
                self._pool.shutdown(wait=False)
