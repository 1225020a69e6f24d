"""The outside of the shop, as a sandbox: the bank, the courier and the suppliers act as the names say that they get.

The account "ann:2" has no money for the first two debits, nobody is there for the first three deliveries to the address
"home:3", and of the product "pen:4+2" there are four pieces, and two more with each supply.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from examples.orders.log import Event, loads

from .events import Line, OrderPlaced


def debit(account: str, attempt: int) -> bool:
    """Have the bank debit an account; say whether it has.

    >>> debit("ann:2", attempt=2), debit("ann:2", attempt=3)
    (False, True)
    """
    return attempt > int(account.rpartition(":")[2])


def deliver(address: str, attempt: int) -> bool:
    """Have the courier ring at a door; say whether somebody was there."""
    return attempt > int(address.rpartition(":")[2])


def supply(product: str) -> tuple[int, int]:
    """Return how many pieces of a product there are at first, and how many the supplier sends at a time.

    >>> supply("pen:4+2")
    (4, 2)
    """
    first, _, more = product.rpartition(":")[2].partition("+")
    return int(first), int(more)


def of_log(events: Sequence[Event]) -> list[OrderPlaced]:
    """Return the orders of a log, with names that have happen what happened. Each item is a product of its own."""
    times = Counter((event.activity, name) for event in events for name in event.objects)
    package_of = {item: (package, len(items)) for package, items in loads(events).items() for item in items}

    def line(item: str) -> Line:
        package, size = package_of[item]
        product = f"{item}:0+1" if times["item out of stock", item] else f"{item}:1+1"
        return Line(item, product, package, size, f"home:{times['failed delivery', package]}")

    return [
        OrderPlaced(order, f"account:{times['payment reminder', order]}", [line(item) for item in event.of("item")])
        for event in events
        if event.activity == "place order"
        for order in event.of("order")
    ]


def of_seed(count: int, seed: int) -> list[OrderPlaced]:
    """Return so many orders of a few items, each with its package, and misfortunes of all kinds; the same each time."""
    chance = random.Random(seed)
    orders = []
    for number in range(count):
        account = f"account:{chance.choice((0,) * 15 + (1, 2, 5, 6, 9))}"
        address = f"home:{chance.choice((0,) * 15 + (1, 2, 3, 4, 5))}"
        size = chance.choice((1, 1, 2, 3))
        products = [f"product-{kind}:3+3" if (kind := chance.randrange(50)) else "rarity:0+0" for _ in range(size)]
        name = f"{seed}-{number}"
        lines = [
            Line(f"item-{name}-{place}", product, f"package-{name}", size, address)
            for place, product in enumerate(products, 1)
        ]
        orders.append(OrderPlaced(f"order-{name}", account, lines))
    return orders
