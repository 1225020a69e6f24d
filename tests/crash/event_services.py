"""Five durable services that are killed, and the tally of what they have handled."""

from __future__ import annotations

import dataclasses

import actorflow as af

EVERY = 7  # a handler fails once on each so many-th event


@af.event(name="crash.placed", key="order")
@dataclasses.dataclass
class Placed:
    """An order."""

    order: str
    n: int


@af.event(name="crash.reserved", key="order")
@dataclasses.dataclass
class Reserved(Placed):
    """Its goods are there."""


@af.event(name="crash.charged", key="order")
@dataclasses.dataclass
class Charged(Placed):
    """It is paid."""


@af.event(name="crash.shipped", key="order")
@dataclasses.dataclass
class Shipped(Placed):
    """It is on its way."""


@dataclasses.dataclass
class Tally:
    """For each key how many events there were, their sum, the last, and how many came out of order."""

    keys: dict[str, list[int]] = dataclasses.field(default_factory=dict)

    def add(self, event: Placed) -> None:
        """Note an event."""
        count, total, last, wrong = self.keys.get(event.order, [0, 0, -1, 0])
        self.keys[event.order] = [count + 1, total + event.n, event.n, wrong + (event.n <= last)]


class Tallying(af.Service):
    """Notes what it has handled."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Tally()
        self.failed: set[int] = set()

    def note(self, event: Placed) -> None:
        """Note an event, or fail, once for each incarnation."""
        if event.n % EVERY == 0 and event.n not in self.failed:
            self.failed.add(event.n)
            raise OSError("not yet")
        self.state.add(event)

    def tally(self) -> dict[str, list[int]]:
        """Return what it has handled."""
        return self.state.keys


class Stock(Tallying):
    """Reserves."""

    @af.on(Placed, when=lambda self, event: type(event) is Placed)
    def reserve(self, event: Placed) -> Reserved:
        """Reserve."""
        self.note(event)
        return Reserved(event.order, event.n)


class Payments(Tallying):
    """Charges."""

    @af.on(Reserved)
    def charge(self, event: Reserved) -> Charged:
        """Charge."""
        self.note(event)
        return Charged(event.order, event.n)


class Shipping(Tallying):
    """Ships; it is async."""

    @af.on(Charged)
    async def ship(self, event: Charged) -> Shipped:
        """Ship."""
        self.note(event)
        return Shipped(event.order, event.n)


class Mail(Tallying):
    """Hears of the end."""

    @af.on(Shipped)
    def send(self, event: Shipped) -> None:
        """Note it."""
        self.note(event)


class Audit(Tallying):
    """Hears of all that is charged."""

    @af.on(Charged)
    def book(self, event: Charged) -> None:
        """Note it."""
        self.note(event)


MEMBERS = {
    "stock": (Stock, 1),
    "payments": (Payments, 4),
    "shipping": (Shipping, 8),
    "mail": (Mail, 2),
    "audit": (Audit, 1),
}


def recipe(name: str) -> af.Child[Tallying]:
    """Return one of the services."""
    cls, instances = MEMBERS[name]
    retry = af.Retry(50, af.Backoff(0.02, factor=1))
    return af.child(cls).options(durable=True, name=name, instances=instances, retry=retry, restart="permanent")
