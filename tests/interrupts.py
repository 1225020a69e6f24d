"""Interruptions: a signal handler that raises, at every bytecode of an action in turn.

A handler of a signal (Ctrl-C, the SIGALRM of a timeout) may raise between any two bytecodes of the main thread. Here a
trace function does, so that each place is met once, and the same ones in each run. What comes after must find a world
in which nothing was lost but the interrupted call itself.
"""

from __future__ import annotations

import gc
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import actorflow

PACKAGE = str(Path(actorflow.__file__).parent)
BOUND = 20.0  # seconds for what takes milliseconds: busy machines


class Interrupted(KeyboardInterrupt):
    """What the signal's handler raises."""


def at_every_bytecode(
    action: Callable[[], object],
    mended: Callable[[], object],
    *,
    within: str = PACKAGE,
    every: int = 1,
    most: int = 20_000,
) -> int:
    """Run `action` until it goes through, each time interrupted at the next bytecode, and `mended` after each time.

    The bytecodes that count are those of this thread in the files below `within`, finalisers left out: what is raised
    there is lost. Lazy imports come first, in a run that is not interrupted.

    Args:
        action: what is interrupted; it may do its own clean-up, as programs do.
        mended: raises if something is broken. All that it waits for has a bound of its own.
        within: a folder or a file.
        every: 3 takes each third bytecode only, for actions of many.
        most: how many bytecodes the action may have.

    Returns:
        How many times it was interrupted.
    """
    action()
    mended()
    interrupt(action, sys.maxsize, within)  # since 3.12 the first trace of a function may miss its bytecodes
    mended()
    for number in range(0, most, every):
        with warnings.catch_warnings():  # a file object that is made when the handler raises is closed as it is dropped
            warnings.simplefilter("ignore", ResourceWarning)
            place = interrupt(action, number, within)
        try:
            mended()
        except BaseException as error:
            error.add_note(f"after an interruption at bytecode {number}, {place}")
            raise
        if not place:
            assert number, f"no bytecode of {within} was run"
            return number // every
    raise AssertionError(f"more than {most} bytecodes")


def interrupt(action: Callable[[], object], number: int, within: str = PACKAGE) -> str:
    """Run the action, interrupted at one bytecode; return where that was, "" if the action came to its end before."""
    left = number
    place = ""

    def trace(frame: FrameType, event: str, _arg: object) -> Any:
        nonlocal left, place
        if event == "call":
            if not frame.f_code.co_filename.startswith(within) or in_finaliser(frame):
                return None
            frame.f_trace_opcodes = True
        elif event == "line":
            frame.f_trace_opcodes = True  # Python 3.13.0 may miss it at the call
        elif event == "opcode":
            if not left:
                code = frame.f_code
                place = f"{code.co_filename}:{frame.f_lineno} in {code.co_qualname}, offset {frame.f_lasti}"
                raise Interrupted
            left -= 1
        return trace

    before = sys.gettrace()
    gc.disable()
    sys._getframe().f_trace_opcodes = True
    sys.settrace(trace)
    try:
        next(apart(action), None)
    except Interrupted:
        pass
    finally:
        sys.settrace(before)
        gc.enable()
    return place


def apart(action: Callable[[], object]) -> Iterator[None]:
    """Run the action as a generator does, with a stack of handled errors of its own.

    One of them stays there if the interruption comes between the bytecodes that end an `except` block.
    """
    action()
    yield


def in_finaliser(frame: FrameType | None) -> bool:
    """Say whether a frame runs for a finaliser; errors there are lost."""
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def ends(end: Callable[[], object]) -> None:
    """Call what ends a system or a pool, in a thread of its own; fail if it does not return.

    It is `system.stop` mostly. A thread, so that an end that hangs fails the test and not the run.
    """
    raised: list[BaseException] = []

    def run() -> None:
        try:
            end()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(BOUND)
    assert not thread.is_alive(), f"{end} has not returned in {BOUND} s"
    if raised:
        raise raised[0]
