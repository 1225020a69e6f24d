"""The script of one cell: `python -m tests.faults.drive ROW PEER [FOLDER]` prints what is seen, a line of JSON each."""

import os
import sys
import tempfile
import threading

from . import tasks
from .rows import BY_NAME
from .stage import Stage


def main(row, peer, folder=None):
    """Play one row on one pool."""
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)  # Ctrl-C goes to the group
    if row == "fork-with-lock":
        _hold_the_lock()
    stage = Stage(peer, folder or tempfile.mkdtemp(prefix="fault-"))
    BY_NAME[row].play(stage)
    stage.tell(ended=True)


def _hold_the_lock():
    """Let a thread hold a lock for as long as the script lives."""
    taken = threading.Event()

    def hold():
        with tasks.LOCK:
            taken.set()
            threading.Event().wait()

    threading.Thread(target=hold, daemon=True).start()
    taken.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
