"""A daemon that works on a queue until it is told to end: `python -m tests.crash.daemon URL QUEUE DURABILITY`."""

import signal
import sys
import threading

import actorflow as af
from actorflow.queues.node import upkeep
from actorflow.store.sqlite import store
from tests.crash import tasks  # noqa: F401 - a node claims jobs of tasks that it knows

PRUNE_SECONDS = 0.2
CHECKPOINT_BYTES = 1024 * 1024


def main(url: str, queue: str, durability: str) -> None:
    """Work until a signal comes."""
    upkeep.PRUNE_SECONDS = PRUNE_SECONDS  # kills are to meet retention and checkpoints too
    store.CHECKPOINT_BYTES = CHECKPOINT_BYTES
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    with af.ActorSystem("crash", store=url, durability=durability) as system:
        system.queue(queue, workers=3)
        while not over.wait(0.1):  # a signal that comes just before a wait does not interrupt it
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
