"""Overtime: a program that was asked to end, and whose main thread does not come to it.

A signal raises in main once. A main that catches it and goes on, or sits in C code, as the constructor of a part may
too, would keep the program, and all its jobs, until somebody kills it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from types import CodeType
from typing import TYPE_CHECKING, Final

from actorflow.app.bounded import within
from actorflow.core.clock import SystemClock
from actorflow.core.log import logger

if TYPE_CHECKING:
    from actorflow.core.system import System

ABANDONED: Final = 3  # the exit code
LEAST_SECONDS: Final = 2.0  # for main to end, and then for threads and exit handlers, though the grace time is over
CLOSE_SECONDS: Final = 5.0  # for what is cut to be given back
FLUSH_SECONDS: Final = 0.5
LOOK_SECONDS: Final = 0.05
NEVER: Final = threading.Event()  # which nobody sets


class Overtime:
    """Ends the program when the grace time after a signal is over, if the main thread has not left main by then.

    Attributes:
        end: when the grace time is over, on the machine's clock; None before a signal.
    """

    def __init__(self) -> None:
        self.end: float | None = None
        self._left_main = threading.Event()

    def begin(self, system: System) -> None:
        """A signal has come: the grace time runs."""
        grace = min(system.grace, threading.TIMEOUT_MAX)
        self.end = SystemClock.monotonic() + grace
        if not self._left_main.is_set():
            thread = threading.Thread(target=self._watch, args=(system, grace), name="actorflow-overtime", daemon=True)
            with contextlib.suppress(RuntimeError):  # no thread is left: whoever stops the program kills it in the end
                thread.start()

    def left(self) -> float | None:
        """Return the seconds of the grace time that are left; None before a signal."""
        return None if self.end is None else max(0.0, self.end - SystemClock.monotonic())

    def left_main(self) -> None:
        """Note that the main thread has left the user's code."""
        self._left_main.set()

    def _watch(self, system: System, grace: float) -> None:
        if self._left_main.wait(max(grace, LEAST_SECONDS)):
            return
        logger.error("%s: its main did not end within the grace time, and is abandoned", system.name)
        within(CLOSE_SECONDS, lambda: system.stop(grace=0.0), f"{system.name} did not end")
        end_process(ABANDONED)


def watch_exit(code: int, seconds: float) -> None:
    """End the program in so many seconds, if threads or exit handlers of the user's keep it once its code is over."""
    main = threading.main_thread().ident
    program = outermost(main)

    def watch() -> None:
        NEVER.wait(min(seconds, threading.TIMEOUT_MAX))
        while outermost(main) is program:  # somebody has called us, and goes on
            NEVER.wait(LOOK_SECONDS)
        names = [thread.name for thread in threading.enumerate() if is_of_user(thread)]
        text = "The program is ended, though these still run: %s"
        logger.error(text, ", ".join(names) or "exit handlers, or threads that they wait for")
        end_process(code)

    with contextlib.suppress(RuntimeError):
        threading.Thread(target=watch, name="actorflow-exit-watch", daemon=True).start()


def is_of_user(thread: threading.Thread) -> bool:
    """Say whether a thread of the program's own keeps it."""
    is_main = thread is threading.main_thread()
    return thread.is_alive() and not (thread.daemon or is_main or thread.name.startswith("actorflow-"))


def outermost(thread: int | None) -> CodeType | None:
    """Return the code that a thread began with: of the main thread the program's, or the interpreter's at its end."""
    frame = None if thread is None else sys._current_frames().get(thread)
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return None if frame is None else frame.f_code


def end_process(code: int) -> None:
    """End the process without waiting for any thread; output still in buffers is written if that takes no time."""

    def flush() -> None:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # it is closed, or none
                stream.flush()

    thread = threading.Thread(target=flush, daemon=True)  # an abandoned thread may hold a stream
    with contextlib.suppress(RuntimeError):
        thread.start()
        thread.join(FLUSH_SECONDS)
    os._exit(code)
