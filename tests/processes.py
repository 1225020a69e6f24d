"""Processes of tests that stand still, or have ended."""

import os
import signal
import threading
from pathlib import Path

import psutil


def stop_process(pid: int) -> None:
    """Stop a process as a debugger does, and wait until it stands still.

    The signal is sent to one of its threads; the others run on until that one has been given a processor. On a loaded
    machine half of the messages that were sent right after the signal were still answered.
    """
    os.kill(pid, signal.SIGSTOP)
    pause = threading.Event()
    for _ in range(2000):
        if states(pid) <= {"T", "Z"}:  # or it has just ended
            return
        pause.wait(0.005)
    msg = f"process {pid} does not stop: {states(pid)}"
    raise AssertionError(msg)


def states(pid: int) -> set[str]:
    """Return the states of a process's threads; T is stopped."""
    found = set()
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            found.add(stat.read_text().rpartition(")")[2].split()[0])
        except (FileNotFoundError, ProcessLookupError):  # the thread has just ended
            continue
    return found


def is_gone(pid: int) -> bool:
    """Say whether a process has ended; its parent may still have to wait for it."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
