"""Events and services that several tests of this folder use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import actorflow as af

LIMIT = 60.0  # seconds, for what comes sooner or later


@af.event(name="shop.orders.placed", key="order")
@dataclass(frozen=True)
class Placed:
    order: str
    total: int = 0


@dataclass(frozen=True)
class ExpressPlaced(Placed):
    pass


@af.event(name="shop.orders.paid", key="order")
@dataclass(frozen=True)
class Paid:
    order: str


@af.event(name="shop.orders.refused")
@dataclass(frozen=True)
class Refused:
    order: str


@af.event(name="shop.parcels.sent")
@dataclass(frozen=True)
class Sent:
    order: str
    parcel: int


class Payments(af.Service):
    @af.on(Placed)
    def charge(self, event: Placed) -> Paid | Refused:
        if event.total < 0:
            raise ValueError(f"{event.order} costs {event.total}")
        return Paid(event.order) if event.total < 100 else Refused(event.order)


class Shipping(af.Service):
    @af.on(Paid)
    def ship(self, event: Paid) -> Iterator[Sent]:
        for parcel in (1, 2):
            yield Sent(event.order, parcel)

    @af.on(Refused)
    async def rest(self, event: Refused) -> AsyncIterator[Sent | None]:
        yield None
        await af.timer(0.01)
        yield Sent(event.order, 0)


class Hostile:
    """A field whose every method raises."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no equality")

    def __hash__(self) -> int:
        raise RuntimeError("no hash")

    def __repr__(self) -> str:
        raise RuntimeError("no text")


@dataclass(eq=False)
class Odd:
    """An event whose every method raises."""

    n: int = 0
    thing: Any = None

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no equality")

    def __hash__(self) -> int:
        raise RuntimeError("no hash")

    def __repr__(self) -> str:
        raise RuntimeError("no text")

    def __bool__(self) -> bool:
        raise RuntimeError("neither")

    def __len__(self) -> int:
        raise RuntimeError("no length")
