"""Sends signals to runs of another process: this module knows no workflow, so it takes no run itself."""

import random
import statistics
import time
from dataclasses import dataclass

import actorflow as af


@dataclass
class Go:
    """Has a run go on; it says when it was sent."""

    sent: float


def send(system: af.ActorSystem, first: int, last: int, count: int) -> float:
    """Signal some runs, one after the other; return how long one took to go on, in ms, as the median."""
    took = []
    for k in random.Random(count).sample(range(first, last), count):
        run = system.get_run(f"waits-{k}")
        run.signal(Go(time.time()))
        took.append(float(run.result(timeout=60)))
        time.sleep(0.005)  # an idle system: what is to be done at the end of the one run is over
    return statistics.median(took) * 1000


def main(url: str, first: int, last: int, count: int) -> None:
    """Signal runs from a process of its own."""
    with af.ActorSystem("outside", store=url) as system:
        print(send(system, first, last, count))
