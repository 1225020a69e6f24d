"""A daemon that works on a queue until it is told to end: `python -m tests.crash.daemon URL QUEUE`."""

import signal
import sys
import threading

import actorflow as af
from tests.crash import tasks  # noqa: F401 - a node claims jobs of tasks that it knows


def main(url: str, queue: str) -> None:
    """Work until a signal comes."""
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    with af.ActorSystem("crash", store=url, durability="process") as system:
        system.queue(queue, workers=3)
        over.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
