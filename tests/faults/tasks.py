"""What runs in the workers: the faulty task, and innocent ones. Tasks and script meet through files in a folder."""

import ctypes
import itertools
import os
import threading
import time
from collections import deque
from pathlib import Path

PATIENCE = float(os.environ.get("ACTORFLOW_FAULT_PATIENCE", "7"))  # seconds; no answer within them is a HANG
LOCK = threading.Lock()  # the script's thread holds it when a pool is made: a forked worker inherits it locked


class Unsendable(Exception):
    """Does not pickle: it holds a lock."""

    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


class TwoArguments(Exception):
    """Pickles, but does not unpickle: `args` holds one text, `__init__` wants two arguments."""

    def __init__(self, code, reason):
        super().__init__(f"{code}: {reason}")
        self.code = code


class Report:
    """Does not pickle: it holds a lock."""

    def __init__(self):
        self.guard = threading.Lock()


def mark(folder, name):
    """Leave a file that holds our process id; it appears whole or not at all."""
    unfinished = Path(folder, f"{name}.{os.getpid()}.part")
    unfinished.write_text(str(os.getpid()))
    unfinished.rename(Path(folder, name))


def wait_for(folder, name, limit=60.0):
    """Wait for a file; give what it holds, or None when the limit has passed."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if Path(folder, name).exists():
            return Path(folder, name).read_text()
        time.sleep(0.002)
    return None


def quick(number):
    """An innocent task."""
    return number


def held(folder, name):
    """A task that runs until the script lets it go."""
    mark(folder, f"{name}.started")
    wait_for(folder, f"{name}.go")
    return name


def late(folder, name, seconds):
    """A task that takes some time and leaves a file when it is done."""
    mark(folder, f"{name}.started")
    time.sleep(seconds)
    mark(folder, f"{name}.done")
    return name


def meet(folder, mine, other):
    """Two tasks that run at the same time find each other: both workers serve. Gives whether it was so."""
    mark(folder, mine)
    return wait_for(folder, other, PATIENCE / 2) is not None, os.getpid()


def fault(folder, kind):
    """The faulty task: says that it runs, waits for its cue, and goes wrong."""
    mark(folder, "F.started")
    wait_for(folder, "F.go")
    return FAULTS[kind]()


def spin_in_c(folder, name):
    """Compute for ever in one C call that never lets go of the interpreter's lock."""
    mark(folder, f"{name}.started")
    deque(itertools.repeat(None), maxlen=0)


def take_the_lock(folder):
    """Do what a library does at its first use in the worker."""
    mark(folder, "F.started")
    with LOCK:
        return "F"


def pool_in_a_task(folder, peer):
    """Use a pool of the same kind inside of a task."""
    from tests.faults.peers import PEERS

    mark(folder, "F.started")
    pool = PEERS[peer]()
    try:
        handle = pool.submit(quick, "F")
        pool.start()
        return pool.result(handle, PATIENCE * 0.7)
    finally:
        pool.close()


def _segfault():
    ctypes.string_at(0)


def _hang():
    while True:
        pass


def _grow():
    """Take 600 MB, 10 MB at a time, slowly enough to be seen."""
    taken = []
    for _ in range(60):
        taken.append(bytearray(os.urandom(1024)) * (10 * 1024))
        time.sleep(0.02)
    time.sleep(2)
    return f"took {len(taken) * 10} MB unhindered"


def _raise_unsendable():
    raise Unsendable("the disc is full")


def _raise_two_arguments():
    raise TwoArguments(507, "the disc is full")


FAULTS = {
    "exit": lambda: os._exit(3),
    "segfault": _segfault,
    "hang": _hang,
    "grow": _grow,
    "unsendable result": Report,
    "unsendable exception": _raise_unsendable,
    "two arguments": _raise_two_arguments,
}
