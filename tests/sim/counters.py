"""A small app for scenarios: a counter, a service that hears of orders, and functions that scenarios name."""

from __future__ import annotations

from dataclasses import dataclass, field

import actorflow as af
from actorflow.sim import Simulation


@dataclass(frozen=True)
class Item:
    name: str


@af.event(key="order")
@dataclass(frozen=True)
class Ordered:
    order: str
    items: list[Item] = field(default_factory=list)


class Counter(af.Actor):
    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[int] = []

    def add(self, number: int) -> None:
        self.numbers.append(number)


class Desk(af.Service):
    def __init__(self) -> None:
        super().__init__()
        self.orders: list[Ordered] = []

    @af.on(Ordered)
    def take(self, order: Ordered) -> None:
        self.orders.append(order)


def outside(number: int) -> int:
    raise AssertionError("it would go outside")


@af.task(name="counters.call_outside")
def call_outside(number: int) -> int:
    return outside(number)


def fake_outside(number: int) -> int:
    return -number


def add_one(system: af.ActorSystem, number: int) -> None:
    counter = system.find("/counters/counter", Counter)
    if counter is not None:
        counter.cast(Counter.add, number + 100)


def ring() -> None:
    """Do nothing."""


def few(sim: Simulation) -> bool:
    counter = sim.peek("counter")
    return counter is None or len(counter.numbers) < 4


def three(sim: Simulation) -> bool:
    counter = sim.peek(Counter)
    return counter is not None and len(counter.numbers) == 3


def broken(sim: Simulation) -> bool:
    return sim.peek("counter").nothing


def never() -> bool:
    return False


def for_ever() -> None:
    assert True


app = af.App("counters", system=af.Settings(intensity=1000)).add(
    af.child(Counter).options(name="counter"), af.child(Desk).options(name="desk")
)
