"""Messages without an answer: tell to one actor, a ring of 100, all-to-all of 50."""

import asyncio
import threading
from functools import partial
from time import perf_counter
from typing import Any

from .harness import ASYNCIO, OURS, PYKKA, WAIT, Experiment, Figures, Goal, Row, check
from .runtimes import Actors, QueueActors, our_actors, pykka_actors

RING = 100
CROWD = 50
PONG = None
# In bursts a thread or task handles many messages each time it is woken, which hides what a switch costs the peers.
BIGS = (
    ("big", f"all-to-all of {CROWD}, one after the other", False),
    ("bursts", f"all-to-all of {CROWD}, in bursts of {CROWD - 1}", True),
)


def experiments(*, quick: bool) -> list[Experiment]:
    """Give tell, ring and big. Slow contestants pass fewer messages round; figures are rates."""
    part = 5 if quick else 1
    n, rounds = 100_000 // part, 40 // part
    ring_title = f"thread ring of {RING}, messages"
    return [
        Experiment(
            "tell",
            {
                OURS: partial(tell, our_actors, n),
                PYKKA: partial(tell, pykka_actors, n),
                ASYNCIO: lambda: asyncio.run(tell_asyncio(n)),
                "asyncio across threads": lambda: asyncio.run(tell_asyncio_threads(n // 2)),
            },
            [Row("rate", "tell, outside thread to one actor", "/s", [Goal(">=", 5, PYKKA), Goal(">=", 1, ASYNCIO)])],
        ),
        Experiment(
            "ring",
            {
                OURS: partial(ring, our_actors, 400_000 // part),
                PYKKA: partial(ring, pykka_actors, 15_000 // part),
                ASYNCIO: lambda: asyncio.run(ring_asyncio(80_000 // part)),
            },
            [Row("rate", ring_title, "/s", [Goal(">=", 40, PYKKA), Goal(">=", 7, ASYNCIO)])],
        ),
        *(big_experiment(name, title, rounds, burst) for name, title, burst in BIGS),
    ]


def big_experiment(name: str, title: str, rounds: int, burst: bool) -> Experiment:
    """Give all-to-all in one of its two forms."""
    return Experiment(
        name,
        {
            OURS: partial(big, our_actors, 2 * rounds, burst),
            PYKKA: partial(big, pykka_actors, max(rounds // 8, 2), burst),
            ASYNCIO: lambda: asyncio.run(big_asyncio(rounds, burst)),
        },
        [Row("rate", title, "/s", [Goal(">=", 18, PYKKA), Goal(">=", 2.5, ASYNCIO)])],
    )


class Sink:
    """Counts down the messages it gets, and tells when the last has come."""

    def __init__(self, expected: int, done: Any, left: list[int]) -> None:
        super().__init__()
        self.expected, self.done, self.left = expected, done, left

    def on_receive(self, message: Any) -> None:
        self.expected -= 1
        if not self.expected:
            self.done.set()

    def on_stop(self) -> None:
        self.left.append(self.expected)


def tell(actors: Actors, n: int) -> Figures:
    """Time n messages told by this thread to one actor, until the last one is handled."""
    done, left = threading.Event(), list[int]()
    with actors() as spawn:
        ref = spawn(Sink, n, done, left)
        begin = perf_counter()
        for i in range(n):
            ref.tell(i)
        check(done.wait(WAIT), "messages missing")
        seconds = perf_counter() - begin
    check(left == [0], f"handled {n} messages and {left} more")
    return {"rate": n / seconds}


async def tell_asyncio(n: int) -> Figures:
    """Do the same on one event loop, where no thread is crossed: the strictest form of the baseline."""
    done, left = asyncio.Event(), list[int]()
    async with QueueActors() as spawn:
        ref = spawn(Sink, n, done, left)
        await asyncio.sleep(0)
        begin = perf_counter()
        for i in range(n):
            ref.tell(i)
        await asyncio.wait_for(done.wait(), WAIT)
        seconds = perf_counter() - begin
    check(left == [0], f"handled {n} messages and {left} more")
    return {"rate": n / seconds}


async def tell_asyncio_threads(n: int) -> Figures:
    """Do the same from another thread, as asyncio wants it: call_soon_threadsafe. For comparison, no goal."""
    done, left = asyncio.Event(), list[int]()
    async with QueueActors() as spawn:
        ref = spawn(Sink, n, done, left)
        loop = asyncio.get_running_loop()
        begin = perf_counter()

        def produce() -> None:
            for i in range(n):
                loop.call_soon_threadsafe(ref.tell, i)

        producer = asyncio.create_task(asyncio.to_thread(produce))
        await asyncio.wait_for(done.wait(), WAIT)
        seconds = perf_counter() - begin
        await producer
    check(left == [0], f"handled {n} messages and {left} more")
    return {"rate": n / seconds}


class Node:
    """Hands a number, less one, to the next of the ring; whoever gets 0 tells that the round is over."""

    def __init__(self, done: Any, handled: list[int]) -> None:
        super().__init__()
        self.done, self.handled = done, handled
        self.seen = 0
        self.next: Any = None

    def on_receive(self, message: Any) -> None:
        if message.__class__ is not int:
            self.next = message
            return
        self.seen += 1
        if message:
            self.next.tell(message - 1)
        else:
            self.done.set()

    def on_stop(self) -> None:
        self.handled.append(self.seen)


def ring(actors: Actors, hops: int) -> Figures:
    """Time one token on its way round a ring, until it has been passed on `hops` times."""
    done, handled = threading.Event(), list[int]()
    with actors() as spawn:
        nodes = [spawn(Node, done, handled) for _ in range(RING)]
        for i, node in enumerate(nodes):
            node.tell(nodes[(i + 1) % RING])
        begin = perf_counter()
        nodes[0].tell(hops)
        check(done.wait(WAIT), "the token got lost")
        seconds = perf_counter() - begin
    check(len(handled) == RING and sum(handled) == hops + 1, "the token was doubled")
    return {"rate": hops / seconds}


async def ring_asyncio(hops: int) -> Figures:
    """Do the same with a task and a queue a node."""
    done, handled = asyncio.Event(), list[int]()
    async with QueueActors() as spawn:
        nodes = [spawn(Node, done, handled) for _ in range(RING)]
        for i, node in enumerate(nodes):
            node.tell(nodes[(i + 1) % RING])
        await asyncio.sleep(0.01)
        begin = perf_counter()
        nodes[0].tell(hops)
        await asyncio.wait_for(done.wait(), WAIT)
        seconds = perf_counter() - begin
    check(len(handled) == RING and sum(handled) == hops + 1, "the token was doubled")
    return {"rate": hops / seconds}


class Pinger:
    """Pings all others and answers their pings; `rounds` times. (`big` of bencherl.)

    With `burst` all others are pinged at once, and the next round begins when all pongs are in; else they are pinged
    one after the other, each when the pong before is in. A ping is the sender's ref, a pong is PONG, the list of all
    refs starts it.
    """

    def __init__(self, rounds: int, finish: Any, counts: list[tuple[int, int]], burst: bool) -> None:
        super().__init__()
        self.finish, self.counts, self.burst = finish, counts, burst
        self.rounds = rounds
        self.pings = self.pongs = self.open = 0
        self.others: list[Any] = []
        self.todo: list[Any] = []
        self.me: Any = None
        self.actor_ref: Any

    def on_receive(self, message: Any) -> None:
        if message is PONG:
            self.pongs += 1
            if self.todo:
                self.todo.pop().tell(self.me)
                return
            self.open -= 1
            if not self.open:
                self.begin_round()
        elif message.__class__ is list:
            self.me = self.actor_ref
            self.others = [ref for ref in message if ref != self.me]
            self.begin_round()
        else:
            self.pings += 1
            message.tell(PONG)

    def begin_round(self) -> None:
        if not self.rounds:
            self.finish()
            return
        self.rounds -= 1
        first = len(self.others) if self.burst else 1
        self.open, self.todo = first, self.others[first:]
        for other in self.others[:first]:
            other.tell(self.me)

    def on_stop(self) -> None:
        self.counts.append((self.pings, self.pongs))


class CountDown:
    """Sets an event at the n-th call; may be called from any thread."""

    def __init__(self, n: int, done: Any) -> None:
        self.left, self.done, self.lock = n, done, threading.Lock()

    def __call__(self) -> None:
        with self.lock:
            self.left -= 1
            if not self.left:
                self.done.set()


def big(actors: Actors, rounds: int, burst: bool) -> Figures:
    """Time `rounds` rounds in which each of 50 actors pings each other and gets its pongs."""
    done, counts = threading.Event(), list[tuple[int, int]]()
    finish = CountDown(CROWD, done)
    with actors() as spawn:
        crowd = [spawn(Pinger, rounds, finish, counts, burst) for _ in range(CROWD)]
        begin = perf_counter()
        for ref in crowd:
            ref.tell(crowd)
        check(done.wait(WAIT), "pongs missing")
        seconds = perf_counter() - begin
    return {"rate": 2 * _check_pings(rounds, counts) / seconds}


async def big_asyncio(rounds: int, burst: bool) -> Figures:
    """Do the same with 50 tasks and queues."""
    done, counts = asyncio.Event(), list[tuple[int, int]]()
    finish = CountDown(CROWD, done)
    async with QueueActors() as spawn:
        crowd = [spawn(Pinger, rounds, finish, counts, burst) for _ in range(CROWD)]
        begin = perf_counter()
        for ref in crowd:
            ref.tell(crowd)
        await asyncio.wait_for(done.wait(), WAIT)
        seconds = perf_counter() - begin
    return {"rate": 2 * _check_pings(rounds, counts) / seconds}


def _check_pings(rounds: int, counts: list[tuple[int, int]]) -> int:
    each = rounds * (CROWD - 1)
    check(counts == [(each, each)] * CROWD, f"expected {each} pings and pongs each, got {counts}")
    return each * CROWD
