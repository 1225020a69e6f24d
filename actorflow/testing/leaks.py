"""Leaks: threads, processes and files that a test may not leave behind."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

PATIENCE = 30.0  # seconds that threads get to end; they are told to, but not waited for
SHARED = ("actorflow-exit", "actorflow-watchdog", "default-", "pytest", "execnet", "Dummy", "asyncio_")


class Leak(AssertionError):
    """Threads, processes or open files that a block has left behind."""


@dataclass(frozen=True)
class Snapshot:
    """The threads, child processes and files that the process has open."""

    threads: frozenset[threading.Thread]
    files: frozenset[str]
    processes: frozenset[int]


class LeakCheck:
    """Compares the open resources at the end of a block with those at its start.

    >>> with LeakCheck():
    ...     pass

    Raises:
        Leak: a thread, a child process or a file descriptor is left. Threads of the default system do not count.
    """

    def __enter__(self) -> Self:
        self._before = snapshot()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        if kind is None:
            self.check()

    def check(self) -> None:
        """Raise if something is left; things that are about to end get half a minute."""
        deadline = time.monotonic() + PATIENCE
        while (left := self._left()) and time.monotonic() < deadline:
            time.sleep(0.005)
        if left:
            raise Leak("; ".join(left))

    def _left(self) -> list[str]:
        now, before = snapshot(), self._before
        left = [f"thread {thread.name}" for thread in now.threads - before.threads]
        left += [f"process {pid}" for pid in now.processes - before.processes]
        if len(now.files) > len(before.files):
            names = ", ".join(sorted(now.files - before.files))
            left.append(f"{len(now.files) - len(before.files)} file descriptors (new: {names})")
        return left


def snapshot() -> Snapshot:
    """Look at the process."""
    process = psutil.Process()
    return Snapshot(
        frozenset(thread for thread in threading.enumerate() if not thread.name.startswith(SHARED)),
        open_files(process),
        frozenset(child.pid for child in process.children(recursive=True)),
    )


def open_files(process: psutil.Process) -> frozenset[str]:
    """Name the open file descriptors: number and, on Linux, target; none where the platform has none."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        return frozenset(map(str, range(process.num_fds()))) if hasattr(process, "num_fds") else frozenset()
    names = set()
    for entry in folder.iterdir():
        with contextlib.suppress(OSError):  # the folder's own descriptor is closed by now
            names.add(f"{entry.name}: {entry.readlink()}")
    return frozenset(names)
