"""A seeded generator of logs, in the shape of the real one: its failure points in its proportions.

The real log (2,000 orders) has 4.1 items an order and 6.2 items a package, from several orders. 20 % of the items are
out of stock and reordered, 20 % of the packages fail at least once, 21 % of the orders are reminded to pay.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

from .log import Event

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
ITEMS = {
    1: 122,
    2: 328,
    3: 444,
    4: 385,
    5: 289,
    6: 215,
    7: 109,
    8: 42,
    9: 29,
    10: 17,
    11: 7,
    12: 6,
    13: 4,
    14: 2,
    15: 1,
}
OUT_OF_STOCK = 0.204
FAILS, FAILS_AGAIN = 0.197, 0.33
REMINDED, REMINDED_AGAIN = 0.207, 0.19


def generate(orders: int, seed: int) -> list[Event]:
    """Return a log of so many orders, sorted by time; the same seed gives the same log.

    >>> [event.activity for event in generate(orders=1, seed=6)][:3]
    ['place order', 'confirm order', 'pick item']
    """
    shop = _Shop(random.Random(seed))
    shop.place(orders)
    return [Event(line, *moment) for line, moment in enumerate(shop.days(), start=2)]  # line 1 is the header


class _Shop:
    """Schedules what happens; what happens may schedule more. `random` is the only source of chance."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.items = count(880001)
        self.packages = count(660001)
        self.unpicked = 0
        self.shelf: list[str] = []
        self.room = self._box()
        # Entries that fall on the same time keep the order in which they were scheduled.
        self.order = count()
        self.calendar: list[tuple[datetime, int, str, tuple[str, ...]]] = []

    def days(self) -> Iterator[tuple[str, datetime, tuple[str, ...]]]:
        while self.calendar:
            time, _, activity, objects = heapq.heappop(self.calendar)
            yield activity, time, objects
            if activity == "pick item":
                self.pack(time, objects[0])

    def at(self, time: datetime, activity: str, *objects: str) -> datetime:
        heapq.heappush(self.calendar, (time, next(self.order), activity, objects))
        return time

    def later(self, time: datetime, hours: float) -> datetime:
        """Return a time after the given one: so many hours on average, and at least a second."""
        seconds = 1 + int(self.chance.expovariate(1 / (hours * 3600)))
        return time + timedelta(seconds=seconds)

    def place(self, orders: int) -> None:
        time = START
        for number in range(990001, 990001 + orders):
            time = self.later(time, hours=5)
            size = self.chance.choices(list(ITEMS), list(ITEMS.values()))[0]
            items = [f"item-{next(self.items)}" for _ in range(size)]
            self.unpicked += size
            self.at(time, "place order", f"order-{number}", *items)
            self.sell(time, f"order-{number}")
            for item in items:
                self.fetch(time, item)

    def sell(self, time: datetime, order: str) -> None:
        time = self.at(self.later(time, hours=20), "confirm order", order)
        for _ in range(self.times(REMINDED, REMINDED_AGAIN)):
            time = self.at(self.later(time, hours=300), "payment reminder", order)
        self.at(self.later(time, hours=150), "pay order", order)

    def fetch(self, time: datetime, item: str) -> None:
        if self.chance.random() < OUT_OF_STOCK:
            time = self.at(self.later(time, hours=12), "item out of stock", item)
            time = self.at(self.later(time, hours=30), "reorder item", item)
        self.at(self.later(time, hours=40), "pick item", item)

    def pack(self, time: datetime, item: str) -> None:
        """Put the item into the open box; send the box off when it is full, or when nothing else will come."""
        self.unpicked -= 1
        self.shelf.append(item)
        if len(self.shelf) < self.room and self.unpicked:
            return
        package, items = f"package-{next(self.packages)}", self.shelf
        self.shelf, self.room = [], self._box()
        time = self.at(self.later(time, hours=3), "create package", *items, package)
        time = self.at(self.later(time, hours=6), "send package", package)
        for _ in range(self.times(FAILS, FAILS_AGAIN)):
            time = self.at(self.later(time, hours=24), "failed delivery", package)
        self.at(self.later(time, hours=24), "package delivered", package)

    def times(self, once: float, again: float) -> int:
        """Return how often a misfortune strikes: at most five times, as in the real log."""
        strikes = 0
        while strikes < 5 and self.chance.random() < (again if strikes else once):
            strikes += 1
        return strikes

    def _box(self) -> int:
        return max(1, round(self.chance.gauss(6.2, 2.5)))
