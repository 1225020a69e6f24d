"""Spawn and stop of many actors. Each sample has a process of its own: pykka is measured without actorflow imported."""

import asyncio
import statistics
from functools import partial
from time import perf_counter
from typing import Any

from . import probe
from .harness import ASYNCIO, OURS, PYKKA, Experiment, Figures, Goal, Row, check
from .runtimes import Actors, QueueActors, our_actors, pykka_actors

MANY = 10_000
MORE = 100_000
MANY_NAME = f"{MANY:,} live"


def experiments(*, quick: bool) -> list[Experiment]:
    """Give spawn (10,000, against pykka) and stop (100,000 against 10,000). Figures are per actor."""
    threads = 1000 if quick else MANY  # pykka: a thread each, and slower the more there are
    return [
        Experiment(
            "spawn",
            {
                OURS: partial(probe.sample, ours, MANY, 5),
                PYKKA: partial(probe.sample, with_pykka, threads, 1),
                ASYNCIO: partial(probe.sample, with_asyncio, MANY, 3),
            },
            [
                Row("spawn", f"spawn {MANY:,} (pykka {threads:,})", "/s", [Goal(">=", 120, PYKKA)]),
                Row("stop", f"stop {MANY:,} (pykka {threads:,})", "/s", [Goal(">=", 50, PYKKA)]),
            ],
        ),
        Experiment(
            "stop",
            {OURS: partial(probe.sample, ours, MORE, 1), MANY_NAME: partial(probe.sample, ours, MANY, 5)},
            [
                Row("stop_us", f"a stop, {MORE:,} live", "us", [Goal("<=", 3, MANY_NAME)]),
                Row("spawn_us", f"a spawn, {MORE:,} live", "us"),
            ],
        ),
    ]


class Idle:
    """Has neither hooks nor attributes."""

    def on_receive(self, message: Any) -> Any:
        return message


def ours(n: int, times: int) -> Figures:
    """Spawn and stop n of our actors."""
    return _median(our_actors, n, times)


def with_pykka(n: int, times: int) -> Figures:
    """Spawn and stop n of pykka's."""
    return _median(pykka_actors, n, times)


def with_asyncio(n: int, times: int) -> Figures:
    """Make and cancel n tasks with a queue each."""
    spawns, stops = zip(*(asyncio.run(_asyncio_once(n)) for _ in range(times)), strict=True)
    return _figures(n, spawns, stops)


def _median(actors: Actors, n: int, times: int) -> Figures:
    with actors() as spawn:
        spawns, stops = zip(*(_once(spawn, n) for _ in range(times)), strict=True)
    return _figures(n, spawns, stops)


def _once(spawn: Any, n: int) -> tuple[float, float]:
    """Give the seconds that n spawns and n stops took. Stops are sent newest first, then all are awaited."""
    begin = perf_counter()
    refs = [spawn(Idle) for _ in range(n)]
    spawned = perf_counter() - begin
    check(all(ref.is_alive() for ref in refs), "a spawned actor is dead")
    begin = perf_counter()
    futures = [ref.stop(block=False) for ref in reversed(refs)]
    for future in futures:
        future.get()
    stopped = perf_counter() - begin
    check(not any(ref.is_alive() for ref in refs), "a stopped actor lives")
    return spawned, stopped


async def _asyncio_once(n: int) -> tuple[float, float]:
    actors = QueueActors()
    begin = perf_counter()
    for _ in range(n):
        actors.spawn(Idle)
    await asyncio.sleep(0)  # every task has begun
    spawned = perf_counter() - begin
    begin = perf_counter()
    await actors.__aexit__()
    stopped = perf_counter() - begin
    check(all(task.done() for task in actors.tasks), "a cancelled task lives")
    return spawned, stopped


def _figures(n: int, spawns: tuple[float, ...], stops: tuple[float, ...]) -> Figures:
    spawned, stopped = statistics.median(spawns), statistics.median(stops)
    return {
        "spawn": n / spawned,
        "stop": n / stopped,
        "spawn_us": spawned / n * 1e6,
        "stop_us": stopped / n * 1e6,
    }
