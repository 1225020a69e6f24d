"""Ten kinds of work in virtual time; run as a program it prints the trace of one, a step a line.

python -m tests.virtual.kinds KIND SEED
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass

import actorflow as af
from actorflow.testing import VirtualSystem


class Echo(af.Actor):
    """Answers after a while, and crashes now and then."""

    def on_receive(self, message):
        self.ctx.sleep(self.ctx.random.random())
        return message

    def fall(self):
        if self.ctx.random.random() < 0.3:
            raise RuntimeError("falls")

    async def chat(self, peers):
        return [await peer.ask({"a", "b"} and object, block=False) for peer in peers]


def actors(system: VirtualSystem) -> None:
    """Actors that ask each other, by `get` and by `await`; a message's text has an address."""
    echoes = [system.spawn(Echo) for _ in range(4)]
    for echo in echoes:
        echo.call(Echo.chat, echoes[:2])
        echo.tell(object())
    system.sleep(20)


def supervisors(system: VirtualSystem) -> None:
    """Supervisors with backoff, of children that crash."""
    children = [af.child(Echo).options(name=f"e{n}", backoff=af.Backoff(0.5)) for n in range(4)]
    system.spawn(af.child(af.Supervisor, *children, intensity=1000).options(name="sup"))
    for _ in range(10):
        for n in range(4):
            system.find(f"/kinds/sup/e{n}").cast(Echo.fall)
        system.sleep(3)


class Lamp(af.StateMachine):
    """Goes out by itself."""

    dark = af.State(initial=True)
    lit = af.State()

    @dark.to(lit)
    def press(self) -> None: ...

    @lit.after(5, dark)
    def go_out(self) -> None: ...


def machines(system: VirtualSystem) -> None:
    """State machines with timeouts."""
    lamps = [system.spawn(Lamp) for _ in range(4)]
    for n in range(6):
        for lamp in lamps[: n % 4 + 1]:
            lamp.send("press")
        system.sleep(3)


@af.task(retry=af.Retry(4, af.Backoff(0.5)))
def flaky(n: int) -> int:
    CALLS[n] = CALLS.get(n, 0) + 1
    if CALLS[n] <= n % 3:
        raise ValueError(n)
    return n


@af.task
async def waits(n: int) -> int:
    await af.timer(n)
    return n


@af.task(cpu=True)
def squares(n: int) -> int:
    return n * n


CALLS: dict[int, int] = {}


def queues(system: VirtualSystem) -> None:
    """Jobs with retries, delays and an await."""
    CALLS.clear()
    queue = system.queue("q", workers=3)
    jobs = [queue.enqueue(task, n) for n in range(6) for task in (flaky, waits, squares)]
    for job in jobs:
        job.result(timeout=1000)


def schedules(system: VirtualSystem) -> None:
    """Cron, and limits."""
    queue = system.queue("q", workers=3, rate="6/m", concurrency=2)
    queue.cron("* * * * *", waits, args=(3,), tz="UTC", name="each minute")
    for n in range(10):
        queue.enqueue(waits, n)
    system.sleep(600)


@dataclass
class Sum:
    total: int = 0


class Account(af.Actor):
    """Keeps a sum in the store."""

    def __init__(self):
        super().__init__()
        self.state = Sum()

    def add(self, n):
        self.state.total += n
        if n == 3 and self.ctx.random.random() < 0.7:
            raise ValueError(n)
        return self.state.total


def accounts(system: VirtualSystem, host: af.Process | None) -> None:
    refs = [
        system.spawn(af.child(Account).options(name=f"a{n}", durable=True, retry=af.Retry(5), host=host))
        for n in range(3)
    ]
    for n in range(6):
        for ref in refs:
            ref.cast(Account.add, n)
    system.sleep(100)
    for ref in refs:
        ref.call(Account.add, 1).get()


def durable(system: VirtualSystem) -> None:
    """Durable actors, whose messages are tried again."""
    accounts(system, None)


def hosted_durable(system: VirtualSystem) -> None:
    """Durable actors in a host."""
    accounts(system, af.Process())


class Submits(af.Actor):
    """Uses a pool."""

    def go(self, pool):
        return [future.result() for future in [pool.submit(pow, n, 2) for n in range(5)]]


def pools(system: VirtualSystem) -> None:
    """Tasks of a pool."""
    pool = system.pool("cpu", workers=2)
    for answer in [system.spawn(Submits).call(Submits.go, pool) for _ in range(3)]:
        answer.get()


def asynchronous(system: VirtualSystem) -> None:
    """Handlers that await each other."""
    echoes = [system.spawn(Echo) for _ in range(4)]
    for answer in [echo.call(Echo.chat, [peer for peer in echoes if peer != echo]) for echo in echoes[:1]]:
        answer.get()
    for n in range(8):
        echoes[n % 4].call(Echo.chat, echoes[:0])
    system.sleep(10)


def blocking(system: VirtualSystem) -> None:
    """Actors with a thread of their own."""
    echoes = [system.spawn(af.child(Echo).options(blocking=True)) for _ in range(4)]
    for n in range(12):
        echoes[n % 4].tell(n)
    system.sleep(20)


KINDS: dict[str, Callable[[VirtualSystem], None]] = {
    kind.__name__: kind
    for kind in (
        actors, supervisors, machines, queues, schedules, durable, hosted_durable, pools, asynchronous, blocking
    )
}  # fmt: skip


def trace_of(kind: str, seed: int) -> list[tuple[float, str, str]]:
    """Run a kind of work, and return what ran when."""
    with VirtualSystem("kinds", seed=seed) as system:
        trace = system.record()
        KINDS[kind](system)
    return trace


if __name__ == "__main__":
    logging.disable()
    for each in KINDS:
        for step in trace_of(each, int(sys.argv[1])):
            print(each, *step)
