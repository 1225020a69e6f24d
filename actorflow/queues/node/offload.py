"""Offload: calls of asyncio code that may block, made in a few threads of their own.

A look at the store takes microseconds, or as long as the server is gone; either way the event loop goes on. The threads
are not those of `asyncio.to_thread`: a program that has these busy would make every job wait. There is no lock: an
error of a signal's handler would leave it taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actorflow.core.messages.execution import CURRENT

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")

THREADS: Final = 8  # so many enqueue at once, and share a commit


class Offload:
    """Threads of one system for calls that may block; made at first use."""

    def __init__(self) -> None:
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._closed = False

    async def run(self, act: Callable[[], T]) -> T:
        """Call a function in a thread; outside of asyncio, and once the system is over, call it here.

        A caller that is cancelled leaves the call to its end.
        """
        execution = CURRENT.get()
        if self._closed or (execution is not None and execution.suspends):
            return act()  # a handler that the scheduler drives: another one runs if it blocks
        import asyncio  # noqa: PLC0415 - it takes 30 ms

        loop = asyncio.get_running_loop()
        call: Any
        try:
            call = loop.run_in_executor(self._threads(), act)
        except RuntimeError:  # it was closed just now
            return act()
        return await call  # type: ignore[no-any-return]

    def _threads(self) -> ThreadPoolExecutor:
        pool = self._pools.get("")
        if pool is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - most systems have no asyncio code

            pool = self._pools.setdefault("", ThreadPoolExecutor(THREADS, "actorflow-offload"))
            if self._closed:
                pool.shutdown(wait=False)
        return pool

    def close(self) -> None:
        """Have the threads end once their calls are done."""
        self._closed = True
        for pool in list(self._pools.values()):
            pool.shutdown(wait=False)
