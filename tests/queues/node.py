"""A process that works on a store, for the tests of several processes: python -m tests.queues.node URL FOLDER [LEASE].

It writes FOLDER/<job>-<pid> when a job begins, and waits for FOLDER/go before the job ends. It logs to its stderr.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path

import actorflow as af
from actorflow.queues.node import job_store, upkeep

FOLDER = Path(sys.argv[2]) if len(sys.argv) > 2 else Path()


@af.task(name="tests.node.work")
def work(n: int) -> list[int]:
    """Say that it has begun, and wait for the word."""
    (FOLDER / f"{n}-{os.getpid()}").touch()
    while not (FOLDER / "go").exists():
        time.sleep(0.01)
    return [n, os.getpid()]


@af.task(name="tests.node.quick")
def quick(n: int) -> int:
    return os.getpid()


def main() -> None:
    logging.basicConfig(level=logging.WARNING)
    if len(sys.argv) > 3:
        job_store.LEASE_SECONDS = upkeep.LEASE_SECONDS = float(sys.argv[3])
    with af.ActorSystem("node", store=sys.argv[1], durability="process") as system:
        system.queue("q", workers=2)
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
