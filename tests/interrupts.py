"""Interruptions: a signal handler that raises, at every bytecode of an action in turn.

A handler of a signal (Ctrl-C, the SIGALRM of a timeout) may raise between any two bytecodes of the main thread. Here a
trace function does, so that each place is met once, and the same ones in each run. What comes after must find a world
in which nothing was lost but the interrupted call itself.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import gc
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import actorflow

PACKAGE = str(Path(actorflow.__file__).parent)
STANDARD = str(Path(contextlib.__file__))  # of the standard library, what cleans up
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
    run_first(action, mended, within)
    for number in range(0, most, every):
        place = interrupt(action, number, within)
        with noted(f"after an interruption at bytecode {number}, {place}"):
            mended()
        if not place:
            assert number, f"no bytecode of {within} was run"
            return number // every
    raise AssertionError(f"more than {most} bytecodes")


def twice_at(
    action: Callable[[], object],
    mended: Callable[[], object],
    *,
    within: str = PACKAGE,
    every: int = 1,
    most: int = 20_000,
) -> int:
    """Run `action` with two interruptions, the second while the first is dealt with, and `mended` after each time.

    Where the second may come is where Python looks for signals: as a function begins, and after a call of C code. The
    end of a `with` block on a lock is neither. For each first one, all second ones are tried in turn.

    Args:
        action, mended, within: as in `at_every_bytecode`.
        every: 7 takes each seventh bytecode only, of those that follow a call or begin a function.
        most: how many bytecodes the action may have.

    Returns:
        How many times it was interrupted twice.
    """
    run_first(action, mended, within)
    pairs = 0
    for number in range(0, most, every):
        for second in range(most):
            place, another = interrupt_twice(action, number, second, within)
            with noted(f"after an interruption at bytecode {number}, {place}, and then {second}, {another}"):
                mended()
            if not another:
                break
            pairs += 1
        if not place:
            return pairs
    raise AssertionError(f"more than {most} bytecodes")


def run_first(action: Callable[[], object], mended: Callable[[], object], within: str) -> None:
    """Run the action uninterrupted; twice, since from 3.12 on the first trace of a function may miss its bytecodes."""
    action()
    mended()
    interrupt(action, sys.maxsize, within)
    mended()


@contextlib.contextmanager
def noted(where: str) -> Iterator[None]:
    """Add to an error where the interruption was."""
    try:
        yield
    except BaseException as error:
        error.add_note(where)
        raise


def interrupt_twice(action: Callable[[], object], number: int, second: int, within: str) -> tuple[str, str]:
    """Run the action, interrupted at one bytecode and then once more; return where, "" if it did not come to it."""
    left = second
    first = another = ""

    def profile(frame: FrameType, event: str, _arg: object) -> None:
        nonlocal left, another
        if not first or another or event not in ("call", "c_return", "c_exception") or in_finaliser(frame):
            return
        if frame.f_code.co_filename.startswith(STANDARD) or frame.f_code.co_filename.startswith(within):
            if not left:
                another = f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}, {event}"
                raise Interrupted
            left -= 1

    def note(place: str) -> None:
        nonlocal first
        first = place

    sys.setprofile(profile)
    try:
        interrupt(action, number, within, note, follows_a_call)
    except Interrupted:  # the second came in the midst of what `interrupt` itself does
        pass
    finally:
        sys.setprofile(None)
    return first, another


@functools.cache
def looks(code: CodeType) -> frozenset[int]:
    """Return the offsets of the bytecodes before which Python looks for signals."""
    found, previous = set(), "RESUME"
    for instruction in dis.get_instructions(code):
        if previous == "RESUME" or previous.startswith("CALL"):
            found.add(instruction.offset)
        if instruction.opname != "CACHE":
            previous = instruction.opname
    return frozenset(found)


def follows_a_call(frame: FrameType) -> bool:
    """Say whether Python looks for signals before the next bytecode of a frame."""
    return frame.f_lasti in looks(frame.f_code)


def interrupt(
    action: Callable[[], object],
    number: int,
    within: str = PACKAGE,
    note: Callable[[str], object] = id,
    counts: Callable[[FrameType], bool] = bool,
) -> str:
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
            if not counts(frame):
                return trace
            if not left:
                code = frame.f_code
                place = f"{code.co_filename}:{frame.f_lineno} in {code.co_qualname}, offset {frame.f_lasti}"
                note(place)
                raise Interrupted
            left -= 1
        return trace

    before = sys.gettrace()
    gc.disable()
    sys._getframe().f_trace_opcodes = True
    with warnings.catch_warnings():  # a file object that is made when the handler raises is closed as it is dropped
        warnings.simplefilter("ignore", ResourceWarning)
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
