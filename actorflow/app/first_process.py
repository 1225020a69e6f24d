"""The first process of a container: it starts the program below itself, and is its init.

Process 1 gets no signal that it has no handler for, so a SIGTERM while a module is imported would be lost; and orphans
of the container are its children, which stay zombies until it waits for them. Here process 1 only passes signals on,
waits for its children to end, and ends as the program does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Final, NoReturn

# A fault in process 1 itself, and signals that no process can catch.
OWN: Final = {"SIGKILL", "SIGSTOP", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGABRT", "SIGSYS"}


def become_init(is_first: Callable[[], bool] = lambda: os.getpid() == 1) -> None:
    """Go on in a child if this is process 1, and never return in process 1 itself; elsewhere do nothing.

    It must be called before there are threads.
    """
    if sys.platform == "win32" or not is_first():
        return
    passed: set[int] = {number for number in signal.valid_signals() if name_of(number) not in OWN}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, passed)
    program = os.fork()
    if program == 0:
        lead_terminal()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    with contextlib.suppress(OSError):
        os.setpgid(program, program)  # on both sides: whoever comes first
    serve(program, passed)


def wait_for_children() -> None:
    """Have the exit codes of children kept until they are asked for, also if they were to be ignored as we began."""
    number = getattr(signal, "SIGCHLD", None)
    if number is not None and signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


def serve(program: int, passed: set[int]) -> NoReturn:
    """Pass signals on and bury children, until the program has ended; then end as it did."""
    while True:
        number = signal.sigwait(passed)
        if number != signal.SIGCHLD:
            with contextlib.suppress(ProcessLookupError):
                os.kill(program, number)
            continue
        status = buried(program)
        if status is not None:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def buried(program: int) -> int | None:
    """Wait for all children that have ended; return the status of the program, if it is among them."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            if ended[0] == program:
                found = ended[1]
    return found


def lead_terminal() -> None:
    """Give the program a process group of its own, and the terminal, so that Ctrl-C comes here only, and once."""
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
        if os.isatty(0):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
            os.tcsetpgrp(0, os.getpgrp())


def name_of(number: int) -> str:
    """Return the name of a signal; real-time signals have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
