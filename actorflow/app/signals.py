"""SIGINT and SIGTERM, while an app or a system runs. Layer 5.

The first ends an app's main, the second the process. Of a system that runs without an app, the first drains it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from actorflow.core.system import System

STDERR = 2
NUMBERS: Final = (signal.SIGINT, signal.SIGTERM)


class Signalled(KeyboardInterrupt):
    """Raised in the main thread by the first signal, so that `finally` and `with` blocks of main run."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Signals:
    """Takes SIGINT and SIGTERM for the length of a `with` block; in other threads than the main one it does nothing."""

    def __init__(self) -> None:
        self._taken = contextlib.ExitStack()
        self._seen = 0
        self._draining = False

    def __enter__(self) -> Self:
        self._taken.enter_context(taken_by(self._arrived))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._taken.close()

    def draining(self) -> None:
        """From now on a first signal adds nothing: the end is under way, within its time."""
        self._draining = True

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        self._seen += 1
        name = signal.Signals(number).name
        if self._seen > 1:
            say(f"{name} again: ended at once, without draining")
            os._exit(128 + number)
        say(f"{name}: draining; once more ends it at once")
        if not self._draining:
            raise Signalled(number)


def draining_by_signals(system: System) -> contextlib.AbstractContextManager[None]:
    """Have the first signal drain a system; a second raises KeyboardInterrupt. In other threads it does nothing."""

    def drain(_signal: int, _frame: Any) -> None:
        if system._stopping:
            raise KeyboardInterrupt
        system.begin_stop(system.grace)

    return taken_by(drain)


@contextlib.contextmanager
def taken_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Have a function get the signals for the length of a `with` block. In other threads it does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in NUMBERS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def say(text: str) -> None:
    """Write a line to stderr from a signal handler: past Python's streams, in which the signal may have struck."""
    # A progress bar hides the cursor of a terminal; whoever ends the process gives it back.
    cursor = "\x1b[?25h" if os.isatty(STDERR) else ""
    with contextlib.suppress(OSError):
        os.write(STDERR, f"{cursor}actorflow: {text}\n".encode())
