"""The rules of the shop, as plain Python: what each service knows, and how it changes. Nothing here is an actor.

Each book counts what has happened by the activities of an order log, such as "pick item": what two ways to coordinate
the services have done is compared by these counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .events import Line

REMINDERS = 5  # as many debits may bounce; the next one cancels the order
DELIVERIES = 4  # as many times the courier tries; then the package comes back


class OrderFailed(Exception):
    """An order that cannot be fulfilled: what was done for it is undone."""


class SoldOut(OrderFailed):
    """A product is not on its shelf, and the supplier has none."""


@dataclass
class Book:
    """What one service knows.

    Attributes:
        counts: how often each activity took place.
    """

    counts: dict[str, int] = field(default_factory=dict)

    def count(self, activity: str) -> None:
        """Note that an activity took place."""
        self.counts[activity] = self.counts.get(activity, 0) + 1


@dataclass
class Basket:
    """An order under way.

    Attributes:
        account: what it is paid from.
        lines: its items.
        awaited: how many of them are to be heard of, from the stock or the courier.
        failed: those that are sold out, or came back.
    """

    account: str
    lines: list[Line]
    awaited: int
    failed: list[str] = field(default_factory=list)

    def heard(self, item: str, *, failed: bool) -> bool:
        """Note what became of an item; say whether all are heard of."""
        self.awaited -= 1
        if failed:
            self.failed.append(item)
        return not self.awaited


@dataclass
class OrderBook(Book):
    """The orders under way; those that are over are only counted."""

    baskets: dict[str, Basket] = field(default_factory=dict)

    def place(self, order: str, account: str, lines: list[Line]) -> None:
        """Take an order, and confirm it."""
        self.count("place order")
        self.baskets[order] = Basket(account, lines, len(lines))
        self.count("confirm order")

    def end(self, order: str, *, cancelled: bool) -> None:
        """Note the end of an order."""
        del self.baskets[order]
        self.count("cancel order" if cancelled else "complete order")


@dataclass
class StockBook(Book):
    """The pieces of each product on its shelf, and all that there ever were."""

    shelves: dict[str, int] = field(default_factory=dict)
    supplied: int = 0

    def pick(self, product: str, first: int, supply: int) -> bool:
        """Take a piece from a shelf, and say whether it was there; if not, so many are reordered first.

        Raises:
            SoldOut: the supplier has none.
        """
        if product not in self.shelves:
            self.shelves[product] = first
            self.supplied += first
        was_there = self.shelves[product] > 0
        if not was_there:
            if not supply:
                raise SoldOut(product)
            self.count("item out of stock")
            self.count("reorder item")
            self.shelves[product] += supply
            self.supplied += supply
        self.shelves[product] -= 1
        self.count("pick item")
        return was_there

    def put_back(self, product: str) -> None:
        """Undo `pick`."""
        self.shelves[product] += 1
        self.count("return item")


@dataclass
class Box:
    """A package that is being packed, or under way, with the order of each of its items."""

    lines: list[Line] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)


@dataclass
class ShippingBook(Book):
    """The packages that are not delivered yet."""

    boxes: dict[str, Box] = field(default_factory=dict)

    def pack(self, line: Line, order: str) -> bool:
        """Put an item into its package, and say whether that is complete."""
        box = self.boxes.setdefault(line.package, Box())
        box.lines.append(line)
        box.orders.append(order)
        return len(box.lines) == line.package_size

    def send(self) -> None:
        """Close a package, and give it to the courier."""
        self.count("create package")
        self.count("send package")

    def end(self, package: str, *, returned: bool) -> Box:
        """Note the end of a package, and return it."""
        self.count("return package" if returned else "package delivered")
        return self.boxes.pop(package)
