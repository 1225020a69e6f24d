"""Messages with an answer: from an outside thread, a thousand at once, and from actor to actor."""

import asyncio
import threading
from functools import partial
from time import perf_counter
from typing import Any

from .harness import ASYNCIO, OURS, PYKKA, WAIT, Experiment, Figures, Goal, Row, check
from .runtimes import Actors, our_actors, pykka_actors

IN_FLIGHT = 1000
FLOOR = "two-thread floor"


def experiments(*, quick: bool) -> list[Experiment]:
    """Give ask, inflight, await, call and blocking. Where threads are crossed, the figure is a time."""
    part = 5 if quick else 1
    n, awaits, rounds = 3000 // part, 50_000 // part, 40 // part
    nested = partial(nested_ask, pykka_actors, n)

    def nested_asyncio() -> Figures:
        return asyncio.run(ask_asyncio(awaits // 2))

    return [
        Experiment(
            "ask",
            {OURS: partial(ask, our_actors, n), PYKKA: partial(ask, pykka_actors, n), FLOOR: partial(lock_floor, n)},
            [Row("us", "ask from an outside thread", "us", [Goal("<=", 1.1, PYKKA)])],
        ),
        Experiment(
            "inflight",
            {
                OURS: partial(asks_in_flight, our_actors, rounds),
                PYKKA: partial(asks_in_flight, pykka_actors, max(rounds // 4, 2)),
            },
            [Row("rate", f"{IN_FLIGHT:,} asks in flight", "/s", [Goal(">=", 6, PYKKA)])],
        ),
        Experiment(
            "await",
            {OURS: partial(await_ask, awaits), PYKKA: nested, ASYNCIO: nested_asyncio},
            [Row("rate", "await ref.ask(), actor to actor", "/s", [Goal(">=", 30, PYKKA)])],
        ),
        Experiment(
            "call",
            {OURS: partial(await_call, awaits), PYKKA: nested, ASYNCIO: nested_asyncio},
            [Row("rate", "await ref.call(), actor to actor", "/s", [Goal(">=", 30, PYKKA)])],
        ),
        Experiment(
            "blocking",
            {OURS: partial(nested_ask, our_actors, n), PYKKA: nested},
            [Row("us", "blocking ask in a handler", "us", [Goal("<=", 1.1, PYKKA)])],
        ),
    ]


class Echo:
    """Answers with what it was asked."""

    def on_receive(self, message: Any) -> Any:
        return message

    def echo(self, message: Any) -> Any:
        return message


class Asker:
    """Asks a target n times, one after the other, blocking in its handler; answers how many answers were right."""

    def __init__(self, target: Any) -> None:
        super().__init__()
        self.target = target

    def on_receive(self, n: int) -> int:
        target, right = self.target, 0
        for i in range(n):
            right += target.ask(i) == i
        return right


class Awaiter(Asker):
    """Does the same with an await."""

    async def on_receive(self, n: int) -> int:  # type: ignore[override]
        target, right = self.target, 0
        for i in range(n):
            right += (await target.ask(i, block=False)) == i
        return right


class Caller(Asker):
    """Does the same with an awaited method call."""

    async def on_receive(self, n: int) -> int:  # type: ignore[override]
        target, right, method = self.target, 0, Echo.echo
        for i in range(n):
            right += (await target.call(method, i)) == i
        return right


def ask(actors: Actors, n: int) -> Figures:
    """Time blocking asks of this thread: two thread switches each."""
    right = 0
    with actors() as spawn:
        ref = spawn(Echo)
        begin = perf_counter()
        for i in range(n):
            right += ref.ask(i) == i
        seconds = perf_counter() - begin
    check(right == n, f"{n - right} wrong answers")
    return {"us": seconds / n * 1e6, "rate": n / seconds}


def lock_floor(n: int) -> Figures:
    """Time what no ask between threads can beat: two threads that wake each other through two locks."""
    there, back = threading.Lock(), threading.Lock()
    there.acquire()
    back.acquire()

    def echo() -> None:
        for _ in range(n):
            there.acquire()
            back.release()

    thread = threading.Thread(target=echo)
    thread.start()
    begin = perf_counter()
    for _ in range(n):
        there.release()
        back.acquire()
    seconds = perf_counter() - begin
    thread.join()
    return {"us": seconds / n * 1e6}


def asks_in_flight(actors: Actors, rounds: int) -> Figures:
    """Time rounds of 1,000 asks of this thread: all are sent, then all answers are read."""
    right = 0
    with actors() as spawn:
        ref = spawn(Echo)
        begin = perf_counter()
        for _ in range(rounds):
            futures = [ref.ask(i, block=False) for i in range(IN_FLIGHT)]
            right += [future.get() for future in futures] == list(range(IN_FLIGHT))
        seconds = perf_counter() - begin
    check(right == rounds, "wrong answers")
    return {"rate": rounds * IN_FLIGHT / seconds}


def nested_ask(actors: Actors, n: int) -> Figures:
    """Time blocking asks from a handler to another actor."""
    return _drive(actors, Asker, n)


def await_ask(n: int) -> Figures:
    """Time `await target.ask(message, block=False)` in an `async def` handler."""
    return _drive(our_actors, Awaiter, n)


def await_call(n: int) -> Figures:
    """Time `await target.call(Echo.echo, message)` in an `async def` handler."""
    return _drive(our_actors, Caller, n)


def _drive(actors: Actors, body: type[Asker], n: int) -> Figures:
    with actors() as spawn:
        asker = spawn(body, spawn(Echo))
        begin = perf_counter()
        right = asker.ask(n, timeout=WAIT)
        seconds = perf_counter() - begin
    check(right == n, f"{n - right} wrong answers")
    return {"us": seconds / n * 1e6, "rate": n / seconds}


async def ask_asyncio(n: int) -> Figures:
    """Time asks between two hand-written asyncio actors: a queue of (message, future), one task each."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[int, asyncio.Future[int]]] = asyncio.Queue()

    async def echo() -> None:
        while True:
            message, future = await queue.get()
            future.set_result(message)

    async def asker() -> int:
        right = 0
        for i in range(n):
            future: asyncio.Future[int] = loop.create_future()
            queue.put_nowait((i, future))
            right += (await future) == i
        return right

    task = asyncio.create_task(echo())
    begin = perf_counter()
    right = await asyncio.create_task(asker())
    seconds = perf_counter() - begin
    task.cancel()
    check(right == n, f"{n - right} wrong answers")
    return {"us": seconds / n * 1e6, "rate": n / seconds}
