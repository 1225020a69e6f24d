"""SIGINT, SIGTERM and SIGHUP, while an app or a system runs.

The first SIGINT or SIGTERM ends an app's main and has its system drain, the second ends the process. Of a system that
runs without an app, the first drains it, and the second ends its grace time. SIGHUP ends nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from actorflow.app.handlers import HANGUP, NUDGE, Handler, taken_by
from actorflow.app.overtime import Overtime

if TYPE_CHECKING:
    from actorflow.core.system import System

STDERR = 2
NUDGES: Final = 5
NUDGE_SECONDS: Final = 0.02
NEVER: Final = threading.Lock()  # held for ever: to wait for it is to sleep
NEVER.acquire()


class Signalled(KeyboardInterrupt):
    """Raised in the main thread by the first signal while main runs, so that its `finally` and `with` blocks do."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)


class Signals:
    """Takes the signals for the length of a `with` block; in other threads than the main one it does nothing.

    Attributes:
        raises: a signal raises Signalled just now, as main runs. At all other times it raises nothing: so there are no
            two lines between which it could lose the system.
    """

    def __init__(self) -> None:
        self.raises = False
        self._taken = contextlib.ExitStack()
        self.overtime = Overtime()
        self._nudge: Callable[[], object] = lambda: None
        self._has_raised = False
        self._seen = 0
        self._system: System | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._taken.enter_context(taken_by(self._arrived))
            if HANGUP is not None:
                self._taken.enter_context(taken_by(hung_up, (HANGUP,)))
            if NUDGE is not None:
                self._nudge = self._taken.enter_context(nudged(NUDGE, self._nudged))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.overtime.left_main()
        self._system = None
        self._taken.close()

    def drain(self, system: System) -> None:
        """Have the first signal drain this system, at once if it has come already; and main end if the system fails."""
        self._system = system
        system.ended._when_done(self._has_ended)
        if self._seen:
            self.overtime.begin(system)
            system.begin_stop(system.grace)

    @property
    def came(self) -> bool:
        """Whether a signal has come."""
        return self._seen > 0

    def is_over(self) -> bool:
        """Say whether a main that has not begun is not to: a signal has come, or the system has failed."""
        return self.came or (self._system is not None and self._system.ended.done() and self._system.error is not None)

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        self._seen += 1
        name = signal.Signals(number).name
        if self._seen > 1:
            say(f"{name} again: ended at once, without draining")
            os._exit(128 + number)
        say(f"{name}: draining; once more ends it at once")
        if self._system is not None:
            self.overtime.begin(self._system)
        if self.raises:
            raise Signalled(number)
        if self._system is not None:
            self._system.begin_stop(self._system.grace)

    def _has_ended(self) -> None:
        if self._system is not None and self._system.error is not None:
            self._nudge()

    def _nudged(self, number: int, _frame: FrameType | None) -> None:
        """Raise in a main that waits for a system which has failed: nothing of it is left."""
        if self.raises and not self._has_raised and self._system is not None and self._system.error is not None:
            self._has_raised = True
            self.overtime.begin(self._system)
            raise Signalled(number)


def hung_up(_number: int, _frame: FrameType | None) -> None:
    """Go on: a terminal that is closed, or a supervisor that asks for a reload, is no reason to end."""
    say("SIGHUP: there is nothing to reload, and it ends nothing; SIGTERM drains")


@contextlib.contextmanager
def nudged(by: signal.Signals, handler: Handler) -> Iterator[Callable[[], object]]:
    """Make handlers of signals run soon, whatever the main thread waits in; gives a function that has `handler` run so.

    A signal that comes just before a wait begins does not interrupt it, and its handler would run afterwards only:
    never, in a main that waits for ever. A thread is told of each signal, and interrupts the main thread some times
    more.
    """
    heard, told = os.pipe()
    os.set_blocking(told, False)
    main = threading.get_ident()
    ends = [told]  # none any more before it is closed: its number may be another file's then
    lock = threading.RLock()

    def nudge() -> None:
        with open(heard, "rb", buffering=0) as numbers:  # noqa: PTH123 - a descriptor has no path
            while (number := numbers.read(1)) and number[0]:
                for _ in range(NUDGES if number[0] != by else 0):
                    NEVER.acquire(timeout=NUDGE_SECONDS)
                    signal.pthread_kill(main, by)

    def tell() -> None:
        with lock:
            for end in ends:
                os.write(end, bytes([signal.SIGTERM]))

    before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    thread = threading.Thread(target=nudge, name="actorflow-signals", daemon=True)
    with taken_by(handler, (by,)):
        try:
            thread.start()
            yield tell
        finally:
            signal.set_wakeup_fd(before)
            with lock:
                ends.clear()
            os.write(told, bytes(1))
            thread.join()
            os.close(told)


def draining_by_signals(system: System) -> contextlib.AbstractContextManager[None]:
    """Have the first signal drain a system; a second raises KeyboardInterrupt. In other threads it does nothing."""

    def drain(_signal: int, _frame: Any) -> None:
        if system._stopping:
            raise KeyboardInterrupt
        system.begin_stop(system.grace)

    return taken_by(drain)


def say(text: str) -> None:
    """Write a line to stderr from a signal handler: past Python's streams, in which the signal may have struck."""
    if sys.__stderr__ is None:  # it was closed when the program began: the number is of some other file by now
        return
    # A progress bar hides the cursor of a terminal; the end of the process gives it back.
    cursor = "\x1b[?25h" if os.isatty(STDERR) else ""
    with contextlib.suppress(OSError):
        os.write(STDERR, f"{cursor}actorflow: {text}\n".encode())
