"""One event for ten services, against plain tells, pykka and a fan-out by hand on asyncio."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import pykka

import actorflow as af

from .harness import ASYNCIO, OURS, PYKKA, WAIT, Experiment, Figures, Goal, Row, check
from .messaging import CountDown

SERVICES = 10
TELLS = "tells"


@dataclass(frozen=True)
class Tick:
    """The event."""

    n: int


def experiments(*, quick: bool) -> list[Experiment]:
    """Give the fan-out; figures are deliveries a second."""
    n = 2_000 if quick else 10_000
    return [
        Experiment(
            "publish",
            {
                OURS: partial(publish, n),
                TELLS: partial(tell, n),
                PYKKA: partial(tell_pykka, n // 5),
                ASYNCIO: lambda: asyncio.run(by_hand(n)),
            },
            [
                Row(
                    "rate",
                    f"publish to {SERVICES} services, deliveries",
                    "/s",
                    [Goal(">=", 0.7, TELLS), Goal(">=", 2, PYKKA), Goal(">=", 1.5, ASYNCIO)],
                )
            ],
        )
    ]


class Count(af.Service):
    """Counts the events, or messages, that it gets, and tells when the last has come."""

    def __init__(self, expected: int, finish: Callable[[], None]) -> None:
        super().__init__()
        self.expected, self.finish = expected, finish

    @af.on(Tick)
    def tick(self, event: Tick) -> None:
        """Count an event."""
        self.expected -= 1
        if not self.expected:
            self.finish()

    def on_receive(self, message: Any) -> None:
        self.expected -= 1
        if not self.expected:
            self.finish()


class PykkaCount(pykka.ThreadingActor):
    """Does the same in pykka."""

    def __init__(self, expected: int, finish: Callable[[], None]) -> None:
        super().__init__()
        self.expected, self.finish = expected, finish

    def on_receive(self, message: Any) -> None:
        self.expected -= 1
        if not self.expected:
            self.finish()


def publish(n: int) -> Figures:
    """Time n events until the last service has handled the last one."""
    done = threading.Event()
    with af.ActorSystem("bench") as system:
        finish = CountDown(SERVICES, done)
        for _ in range(SERVICES):
            system.spawn(Count, n, finish)
        begin = perf_counter()
        for i in range(n):
            system.publish(Tick(i))
        check(done.wait(WAIT), "events missing")
        seconds = perf_counter() - begin
    return {"rate": n * SERVICES / seconds}


def tell(n: int) -> Figures:
    """Time the same messages, told to each actor."""
    done = threading.Event()
    with af.ActorSystem("bench") as system:
        finish = CountDown(SERVICES, done)
        refs = [system.spawn(Count, n, finish) for _ in range(SERVICES)]
        begin = perf_counter()
        for i in range(n):
            event = Tick(i)
            for ref in refs:
                ref.tell(event)
        check(done.wait(WAIT), "messages missing")
        seconds = perf_counter() - begin
    return {"rate": n * SERVICES / seconds}


def tell_pykka(n: int) -> Figures:
    """Time the same with actors of pykka."""
    done = threading.Event()
    finish = CountDown(SERVICES, done)
    refs = [PykkaCount.start(n, finish) for _ in range(SERVICES)]
    try:
        begin = perf_counter()
        for i in range(n):
            event = Tick(i)
            for ref in refs:
                ref.tell(event)
        check(done.wait(WAIT), "messages missing")
        seconds = perf_counter() - begin
    finally:
        for ref in refs:
            ref.stop()
    return {"rate": n * SERVICES / seconds}


async def by_hand(n: int) -> Figures:
    """Time a bus as one writes it by hand: a queue and a task for each subscriber, one event at a time."""
    left, done = SERVICES, asyncio.Event()

    async def service(queue: asyncio.Queue[Tick]) -> None:
        nonlocal left
        for _ in range(n):
            await queue.get()
        left -= 1
        if not left:
            done.set()

    queues: list[asyncio.Queue[Tick]] = [asyncio.Queue() for _ in range(SERVICES)]
    tasks = [asyncio.create_task(service(queue)) for queue in queues]
    begin = perf_counter()
    for i in range(n):
        event = Tick(i)
        for queue in queues:
            await queue.put(event)
        await asyncio.sleep(0)  # one event at a time: the services run before the next one
    await asyncio.wait_for(done.wait(), WAIT)
    seconds = perf_counter() - begin
    await asyncio.gather(*tasks)
    return {"rate": n * SERVICES / seconds}
