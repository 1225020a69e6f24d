"""Handlers of signals for the length of a block, and in this process only.

A process that is forked from this one, by `multiprocessing` say, has no system to drain: there a signal has the effect
that it had before the block. It may come at once, `terminate()` right behind `start()`, and Python drops signals that
come in the midst of a fork if there is a handler; so it is held up until the handlers are gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final, TypeAlias

NUMBERS: Final = (signal.SIGINT, signal.SIGTERM)
HANGUP: Final[signal.Signals | None] = getattr(signal, "SIGHUP", None)  # Windows has none
NUDGE: Final[signal.Signals | None] = getattr(signal, "SIGURG", None)  # which nobody else uses, and which ends nothing

Handler: TypeAlias = Callable[[int, FrameType | None], None]

_earlier: list[dict[signal.Signals, Any]] = []  # what the open blocks have replaced
_forking = threading.local()


@contextlib.contextmanager
def taken_by(handler: Handler, numbers: tuple[signal.Signals, ...] = NUMBERS) -> Iterator[None]:
    """Have a function get the signals for the length of a `with` block. In other threads it does nothing.

    A hangup that is ignored, as under nohup, stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[signal.Signals, Any] = {}
    _earlier.append(before)
    try:
        for number in numbers:
            if not (number is HANGUP and signal.getsignal(number) is signal.SIG_IGN):
                before[number] = signal.signal(number, handler)
        yield
    finally:
        put_back(before)
        _earlier[:] = [one for one in _earlier if one is not before]


def put_back(before: dict[signal.Signals, Any]) -> None:
    """Set the handlers that there were before."""
    for number, earlier in before.items():
        signal.signal(number, signal.SIG_DFL if earlier is None else earlier)


def _before_fork() -> None:
    if _earlier:
        _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)


def _after_fork() -> None:
    mask, _forking.mask = getattr(_forking, "mask", None), None
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _after_fork_in_child() -> None:
    if any(NUDGE in before for before in _earlier):
        signal.set_wakeup_fd(-1)  # it is the parent's
    while _earlier:
        put_back(_earlier.pop())
    _after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
