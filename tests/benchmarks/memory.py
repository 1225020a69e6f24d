"""Memory of idle actors, by the growth of a fresh process's resident set. Classes have no attributes."""

import asyncio
import gc
from functools import partial
from typing import Any

import psutil

from . import probe
from .harness import ASYNCIO, OURS, PYKKA, WAIT, Experiment, Figures, Goal, Row, check
from .lifecycle import Idle
from .runtimes import Actors, QueueActors, our_actors, pykka_actors

MANY = 100_000
MOST = 1_000_000
BATCH = 1000
MB = 1e6


def experiments(*, quick: bool) -> list[Experiment]:
    """Give idle (100,000 live; pykka 1,000, asyncio 10,000) and million (once; not when quick)."""
    answered = "live, each answered one message"
    some = [
        Experiment(
            "idle",
            {
                OURS: partial(probe.sample, ours, MANY),
                PYKKA: partial(probe.sample, with_pykka, 1000),
                ASYNCIO: partial(probe.sample, with_asyncio, 10_000),
            },
            [
                Row("idle", "an idle actor", "B", [Goal("<=", 500)]),
                Row("used", "an actor that has answered", "B"),
                Row("total", f"{MANY:,} {answered}", "MB", [Goal("<=", 50)]),
            ],
        )
    ]
    million = Experiment(
        "million",
        {OURS: partial(probe.sample, ours, MOST)},
        [Row("total", f"{MOST:,} {answered}", "MB", [Goal("<=", 1000)])],
        repeats=1,
    )
    return some if quick else [*some, million]


def ours(n: int) -> Figures:
    """Spawn n of our actors and ask each one."""
    return _grow(our_actors, n, total=True)


def with_pykka(n: int) -> Figures:
    """Spawn n of pykka's and ask each one."""
    return _grow(pykka_actors, n, total=False)


def with_asyncio(n: int) -> Figures:
    """Make n tasks with a queue each."""
    return asyncio.run(_grow_asyncio(n))


def _grow(actors: Actors, n: int, *, total: bool) -> Figures:
    refs: list[Any] = [None] * n  # the caller's list of refs is not the actors' memory
    with actors() as spawn:
        spawn(Idle).ask(0)
        before = _resident()
        for i in range(n):
            refs[i] = spawn(Idle)
        idle = _resident() - before
        for first in range(0, n, BATCH):
            futures = [refs[i].ask(i, block=False) for i in range(first, min(first + BATCH, n))]
            for i, future in enumerate(futures, first):
                check(future.get(timeout=WAIT) == i, "wrong answer")
        del futures, future
        used = _resident() - before
        check(all(ref.is_alive() for ref in refs), "an actor died")
    figures = {"idle": idle / n, "used": used / n}
    return {**figures, "total": used / MB} if total else figures


async def _grow_asyncio(n: int) -> Figures:
    async with QueueActors() as spawn:
        spawn(Idle)
        await asyncio.sleep(0)
        before = _resident()
        for _ in range(n):
            spawn(Idle)
        await asyncio.sleep(0)
        return {"idle": (_resident() - before) / n}


def _resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)
