"""Unwinding: the end of a handler's frames in virtual time, also of frames that swallow each exception.

A handler that was abandoned has a thread of its own that must not stay behind. It gets Stopping, as on a live system.
One that enters the runtime again after that is armed: a trace function raises at the next line of any frame of the
user's, so also in its `except` and `finally` suites. A frame that does not enter the runtime is struck from outside.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from pathlib import Path
from types import CoroutineType, FrameType
from typing import Any, Final

from actorflow.core.messages.execution import Abandoned

PACKAGE: Final = str(Path(__file__).parents[2])
LIBRARY: Final = (str(Path(threading.__file__).parent), "<frozen")
PACKAGES: Final = ("site-packages", "dist-packages")  # may be in the library's folder, and are the user's

HEADROOM: Final = 40  # frames; CPython 3.11 ends the process if a limit falls by more than 50 below a thread's depth

_set_async_exc: Final[Any] = ctypes.pythonapi.PyThreadState_SetAsyncExc


def is_ours(frame: FrameType) -> bool:
    """Say whether a frame is of the runtime."""
    return frame.f_code.co_filename.startswith(PACKAGE)


def is_users(innermost: FrameType | None) -> bool:
    """Say whether a frame may be torn apart: not the runtime's, nor one of the library that the runtime called."""
    frame = innermost
    while frame is not None and not is_ours(frame):
        name = frame.f_code.co_filename
        if not name.startswith(LIBRARY) or any(map(name.__contains__, PACKAGES)):
            return True
        frame = frame.f_back
    return False


def _raise_at_lines(frame: FrameType, event: str, _arg: object) -> Any:
    """Raise in the first frame of the user's that goes on; Python takes the trace function away then."""
    if event in ("line", "call") and is_users(frame):
        raise Abandoned from None  # in each `finally` on the way: the log would show a thousand errors
    return _raise_at_lines


def _arm_again(frame: FrameType, _event: str, _arg: object) -> None:
    """Trace anew at a call or return, if the error was swallowed."""
    if sys.gettrace() is not _raise_at_lines:
        _trace(frame)


def _trace(innermost: FrameType | None) -> None:
    frame = innermost
    while frame is not None and frame.f_trace is not _raise_at_lines:  # those further out were armed before
        if is_users(frame):
            frame.f_trace = _raise_at_lines
        frame = frame.f_back
    sys.settrace(_raise_at_lines)


def arm() -> None:
    """Have the frames of this thread end at their next line, until `disarm`."""
    sys.setprofile(_arm_again)
    _trace(sys._getframe(1))


class Struck(Abandoned):
    """Arms the thread in which it is made, so that it ends its frames also where the first of them swallows it."""

    def __init__(self) -> None:
        super().__init__()
        arm()


class Patience:
    """A profile function that arms its thread after so many calls: a handler may clean up, and not go on for ever."""

    def __init__(self, calls: int = 10_000) -> None:
        self.calls = calls

    def __call__(self, frame: FrameType, _event: str, _arg: object) -> None:
        """Count a call or a return."""
        self.calls -= 1
        if self.calls < 0:
            sys.setprofile(_arm_again)
            _trace(frame)


def bear() -> None:
    """Let this thread go on for a while, before it is armed."""
    sys.setprofile(Patience())


def disarm() -> None:
    """Give this thread the trace function back that all threads have: that of a debugger, say."""
    _restore(threading.getprofile(), threading.gettrace())


def _restore(profile: Any, trace: Any) -> None:
    if profile is None or callable(profile):
        sys.setprofile(profile)
    else:
        profile.enable()  # cProfile's of Python 3.11: `setprofile` does not take it back
    sys.settrace(trace)


def end_coroutine(coro: CoroutineType[Any, Any, Any]) -> None:
    """End a suspended coroutine, and all that it awaits, also if they swallow GeneratorExit."""
    profile, trace = sys.getprofile(), sys.gettrace()
    bear()
    try:
        coro.close()
    except RuntimeError:
        _end_hard(coro)
    finally:
        _restore(profile, trace)


def _end_hard(coro: CoroutineType[Any, Any, Any]) -> None:
    awaited: Any = coro
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None)
        if frame is not None and not is_ours(frame):
            frame.f_trace = _raise_at_lines
        awaited = getattr(awaited, "cr_await", None)
    sys.setprofile(_arm_again)
    sys.settrace(_raise_at_lines)
    coro.throw(Abandoned())


def is_deep(innermost: FrameType | None) -> bool:
    """Say whether so few frames are left to a thread that it may not have enough of them to arm itself."""
    depth, frame = 0, innermost
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    return depth > sys.getrecursionlimit() - HEADROOM


def strike(thread: int) -> bool:
    """Raise Abandoned in another thread, at its next bytecode; one that blocks in C code gets it when that returns.

    False: it is in the runtime just now.
    """
    frame = sys._current_frames().get(thread)
    if not is_users(frame):
        return False
    if is_deep(frame):  # near the limit the thread could not run the lines that arm it, and would get a RecursionError
        sys.setrecursionlimit(sys.getrecursionlimit() + HEADROOM)
    _set_async_exc(ctypes.c_ulong(thread), ctypes.py_object(Struck))
    return True


def withdraw(thread: int) -> None:
    """Take back the error that was to be raised in another thread, which blocks in C code; `absorb` is to follow.

    As long as it is not raised, CPython 3.11 looks for it at each bytecode of all threads; in one that is traced, as by
    coverage, at one bytecode for ever. It ceases to look once some thread has had such an error.
    """
    _set_async_exc(ctypes.c_ulong(thread), None)


def absorb() -> None:
    """Take the error that was to be raised in this thread, and may not have been yet.

    To withdraw the error by NULL leaves CPython 3.11 looking for it at each bytecode; once traced, at one for ever.
    """
    try:
        _set_async_exc(ctypes.c_ulong(threading.get_ident()), ctypes.py_object(Abandoned))
        while True:
            pass
    except Abandoned:
        return
