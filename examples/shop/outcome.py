"""The outcome of a day at the shop: what the services have counted, and what they should have.

Both are counts by activity, so that they do not depend on how the services were coordinated, nor on who came first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import actorflow as af

from .events import OrderPlaced
from .outside import supply
from .rules import DELIVERIES, REMINDERS, Book, OrderBook, ShippingBook, StockBook
from .services import SERVICES

BY_CHANCE = {"item out of stock", "reorder item"}  # whether a piece is there depends on whose came back before


def expected(orders: Iterable[OrderPlaced]) -> Counter[str]:
    """Work out what is to happen, order by order and package by package."""
    counts: Counter[str] = Counter()
    packages: dict[str, int] = {}
    for placed in orders:
        counts.update(["place order", "confirm order", "mail: your order"])
        there = [line for line in placed.lines if any(supply(line.product))]
        is_there = len(there) == len(placed.lines)
        bounces = failures_of(placed.account) if is_there else 0
        counts["pick item"] += len(there)
        counts["payment reminder"] += min(bounces, REMINDERS)
        counts["mail: please pay"] += min(bounces, REMINDERS)
        if bounces > REMINDERS or not is_there:
            counts["return item"] += len(there)
            counts.update(["cancel order", "mail: we are sorry"])
            continue
        back = [line for line in placed.lines if failures_of(line.address) >= DELIVERIES]
        counts["pay order"] += 1
        counts["refund item"] += len(back)
        counts["return item"] += len(back)
        is_cancelled = len(back) == len(placed.lines)
        counts["cancel order" if is_cancelled else "complete order"] += 1
        counts["mail: we are sorry" if is_cancelled else "mail: thank you"] += 1
        packages.update((line.package, failures_of(line.address)) for line in placed.lines)
    for failures in packages.values():
        counts.update(["create package", "send package"])
        counts["failed delivery"] += min(failures, DELIVERIES)
        counts["return package" if failures >= DELIVERIES else "package delivered"] += 1
    return +counts


def failures_of(name: str) -> int:
    """Return how often a thing fails, as its name says."""
    return int(name.rpartition(":")[2])


def books_of(system: af.ActorSystem) -> list[Book]:
    """Ask the services for their books."""
    return [system.durable(name, cls).proxy().state.get(timeout=60) for name, cls in SERVICES.items()]


def happened(books: Iterable[Book]) -> Counter[str]:
    """Add up what the services have counted."""
    return sum((Counter(book.counts) for book in books), Counter())


def broken(books: Sequence[Book], orders: Iterable[OrderPlaced]) -> list[str]:
    """Return what is wrong at the end of a day: nothing, if each order has come to its end, and each rule was kept."""
    counts, wanted = happened(books), expected(orders)
    faults = [
        f"{activity}: {counts[activity]:,}, not {wanted[activity]:,}"
        for activity in {*counts, *wanted} - BY_CHANCE
        if counts[activity] != wanted[activity]
    ]
    for book in books:
        match book:
            case OrderBook(baskets=open_ones) if open_ones:
                faults.append(f"{len(open_ones):,} orders have no end, {next(iter(open_ones))} among them")
            case ShippingBook(boxes=open_ones) if open_ones:
                faults.append(f"{len(open_ones):,} packages have no end, {next(iter(open_ones))} among them")
            case StockBook(shelves=shelves, supplied=supplied):
                faults += [f"{pieces} pieces of {product}" for product, pieces in shelves.items() if pieces < 0]
                gone, left = counts["pick item"] - counts["return item"], sum(shelves.values())
                if supplied - gone != left:
                    faults.append(f"{supplied:,} pieces came and {gone:,} went, but there are {left:,}")
    return sorted(faults)
