"""Watch: the memory and CPU time of processes, and limits of memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from actorflow.core.log import logger

if TYPE_CHECKING:
    import psutil

PERIOD = 0.1  # seconds between two looks at the memory of a process


def rss_of(pid: int) -> int:
    """Return the bytes of memory that a process and all its children have in use; 0 if it is gone.

    Pages that parent and child share count for both.

    >>> import os
    >>> rss_of(os.getpid()) > 1_000_000
    True
    """
    return usage(pid)[0]


def usage(pid: int) -> tuple[int, float]:
    """Return the memory in use (bytes) and CPU time (seconds) of a process and its children; zeros if it is gone.

    Zeros, too, if there is no room for the files that tell it: the next look may.
    """
    try:
        return measure(pid)
    except OSError:
        return 0, 0.0


def measure(pid: int) -> tuple[int, float]:
    """See `usage`.

    Raises:
        OSError: this process can open no more files.
    """
    import psutil  # noqa: PLC0415 - 20 ms, and most programs set no limits

    rss, cpu = 0, 0.0
    for process in family(pid):
        try:
            with process.oneshot():
                times = process.cpu_times()
                rss += process.memory_info().rss
                cpu += times.user + times.system
        except psutil.Error:  # it has ended in between
            continue
    return rss, cpu


def family(pid: int) -> Iterator[psutil.Process]:
    """Yield a process and all below it."""
    import psutil  # noqa: PLC0415 - see usage

    try:
        process = psutil.Process(pid)
        yield process
        if not Path("/proc/self/task").exists():  # not Linux
            yield from process.children(recursive=True)
            return
    except psutil.Error:
        return
    for child in children(pid):
        yield from family(child)


def children(pid: int) -> list[int]:
    """Return the children's process ids as Linux lists them: psutil reads all processes of the machine instead."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, file.read_text().split())
        except OSError:  # the thread has ended
            continue
    return found


@dataclass(eq=False)
class WatchedProcess:
    """One process under watch; the token that `MemoryWatch.add` returns."""

    pid: int
    bytes: int
    on_exceeded: Callable[[int], object]


class MemoryWatch:
    """Looks at the memory of processes ten times a second, and calls back when one has passed its limit.

    Its thread runs while there are limits. Memory is measured: a process that takes some and gives it back between two
    looks is not seen, and memory taken within a tenth of a second comes on top of the limit.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._limits: set[WatchedProcess] = set()
        self._thread: threading.Thread | None = None

    def add(self, pid: int, limit: int, on_exceeded: Callable[[int], object]) -> WatchedProcess:
        """Watch a process and its children: `on_exceeded(rss)` is called once they have more than so many bytes in use.

        It is called in the watch's thread, and should be short: kill the process, say.

        Raises:
            RuntimeError: there is no room for that thread.
        """
        entry = WatchedProcess(pid, limit, on_exceeded)
        with self._changed:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="actorflow-memory", daemon=True)
                thread.start()  # if there is no room for it, the next call tries again
                self._thread = thread
            self._limits.add(entry)
        return entry

    def remove(self, token: WatchedProcess) -> None:
        """Watch this one no longer; the callback may still come if it is under way. Twice is fine."""
        with self._changed:
            self._limits.discard(token)
            if not self._limits:
                self._changed.notify()

    def _run(self) -> None:
        while limits := self._next():
            for limit in limits:
                rss = rss_of(limit.pid)
                if rss > limit.bytes and self._take(limit):
                    try:
                        limit.on_exceeded(rss)
                    except Exception:  # noqa: BLE001 - it is logged
                        logger.exception("The callback of the memory limit of process %s failed", limit.pid)

    def _next(self) -> list[WatchedProcess]:
        """Wait for the next look; return none when the thread is to end."""
        with self._changed:
            self._changed.wait_for(lambda: not self._limits, PERIOD)
            if not self._limits:
                self._thread = None
            return list(self._limits)

    def _take(self, limit: WatchedProcess) -> bool:
        """Say whether the limit still stands; it does not from here on."""
        with self._changed:
            stands = limit in self._limits
            self._limits.discard(limit)
            return stands
