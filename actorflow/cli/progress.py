"""A progress bar that is a callback, for anything that reports ``(done, total)``."""

from __future__ import annotations

import contextlib
import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

REFRESH = 0.1  # seconds between two drawings


class ProgressBar:
    """Draws progress on stderr, if that is a terminal. It may be called from any thread, so also from an actor.

    It appears with the first call and stays behind, complete, when `done` reaches `total` or its `with` block ends.
    """

    def __init__(self, label: str = "", *, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._label = label
        self._lock = threading.Lock()
        self._bar: Progress | None = None
        self._drawn = 0.0
        self._closed = not self._console.is_terminal

    def __call__(self, done: int, total: int) -> None:
        """Draw the bar with `done` of `total`."""
        if self._closed:
            return
        with self._lock:
            now = time.monotonic()
            if done < total and now - self._drawn < REFRESH:
                return
            self._drawn = now
            try:
                bar = self._bar = self._bar or self._start(total)
                bar.update(bar.task_ids[0], completed=done, total=total, refresh=True)
                if done >= total:
                    self._stop()
            except OSError:  # the terminal was closed: the work that is shown goes on
                self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._stop()

    def _start(self, total: int) -> Progress:
        # It draws when it is called, so it needs no thread; what others print on stderr goes above it.
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            auto_refresh=False,
        )
        bar.add_task(self._label, total=total)
        bar.start()
        return bar

    def _stop(self) -> None:
        self._closed = True
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
