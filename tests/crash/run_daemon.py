"""A daemon that runs workflows until it is told to end: `python -m tests.crash.run_daemon URL DURABILITY`."""

import signal
import sys
import threading

import actorflow as af
from tests.crash import runs  # noqa: F401 - a node claims runs of workflows that it knows


def main(url: str, durability: str) -> None:
    """Work until a signal comes."""
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    with af.ActorSystem("crash", store=url, durability=durability) as system:
        system.get_run("any")  # from now on it takes runs
        while not over.wait(0.1):  # a signal that comes just before a wait does not interrupt it
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
