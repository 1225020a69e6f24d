"""Durable actors that stand by for another process: what they cost, and how soon they begin once it is killed."""

import dataclasses
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from time import perf_counter

import actorflow as af

from .harness import OURS, WAIT, Experiment, Figures, Goal, Row, check

ALONE = "without any"
NAMES, IDLE, TAKEN = 3000, 10_000, 1500
OWNER = """
import sys
from tests.benchmarks.standbys import opened, spawn_all
with opened(sys.argv[1]) as system:
    spawn_all(system, int(sys.argv[2]))
    print("up", flush=True)
    sys.stdin.read()
"""


def experiments(*, quick: bool) -> list[Experiment]:
    """Give an ask of an own actor beside names that are waited for, the cost of these, and their take-over."""
    share = 10 if quick else 1
    names, idle, taken = NAMES // share, IDLE // share, TAKEN // share
    return [
        Experiment(
            "standbys-ask",
            {OURS: partial(own_ask, names), ALONE: partial(own_ask, 0)},
            [Row("ms", f"ask of an own durable actor, median, {names:,} standbys", "ms", [Goal("<=", 1.2, ALONE)])],
        ),
        Experiment(
            "standbys-idle",
            {OURS: partial(idle_cores, idle)},
            [Row("percent", f"of a core, {idle:,} idle standbys", "%", [Goal("<=", 1.0)])],
            repeats=2,
        ),
        Experiment(
            "standbys-taken",
            {OURS: partial(take_over, taken)},
            [Row("s", f"kill -9 until {taken:,} actors have begun here", "s", [Goal("<=", 1.5)])],
        ),
    ]


@dataclasses.dataclass
class Tally:
    n: int = 0


class Clicker(af.Actor, durable=True):
    """Counts."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Tally()

    def click(self) -> int:
        self.state.n += 1
        return self.state.n


def opened(url: str) -> af.ActorSystem:
    return af.ActorSystem("standbys", store=url, durability="process")


def spawn_all(system: af.ActorSystem, count: int) -> list[af.ActorRef[Clicker]]:
    return [system.spawn(af.child(Clicker).options(name=f"a{n}")) for n in range(count)]


@contextmanager
def beside_an_owner(names: int) -> Iterator[tuple[af.ActorSystem, subprocess.Popen[str], list[af.ActorRef[Clicker]]]]:
    """Start a process that has so many actors, and a system here that waits for them."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/standbys.db"
        command = [sys.executable, "-c", OWNER, url, str(names)]
        owner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert owner.stdout is not None
            check(owner.stdout.readline() == "up\n", "the other process is not up")
            with opened(url) as system:
                yield system, owner, spawn_all(system, names)
                owner.kill()
                owner.wait()
        finally:
            owner.kill()
            owner.communicate()


def own_ask(names: int) -> Figures:
    """Return the median time of an ask of an actor that this process has."""
    with beside_an_owner(names) as (system, _, _):
        own = system.spawn(af.child(Clicker).options(name="own"))
        times = []
        for _ in range(300):
            begin = perf_counter()
            own.call(Clicker.click).get(timeout=WAIT)
            times.append(perf_counter() - begin)
            time.sleep(0.005)
    return {"ms": statistics.median(times) * 1000}


def idle_cores(names: int) -> Figures:
    """Return what this process uses of a core while nothing happens, after a first look at all names."""
    with beside_an_owner(names):
        time.sleep(1)
        begin, used = perf_counter(), time.process_time()
        time.sleep(12)
        used = time.process_time() - used
        return {"percent": 100 * used / (perf_counter() - begin)}


def take_over(names: int) -> Figures:
    """Return how long after its owner's death the last actor has begun here."""
    with beside_an_owner(names) as (_, owner, refs):
        owner.kill()
        begin = perf_counter()
        until = begin + WAIT
        while not all(ref._box.is_owner for ref in refs):  # type: ignore[attr-defined]
            check(perf_counter() < until, "they have not begun")
            time.sleep(0.005)
        return {"s": perf_counter() - begin}
