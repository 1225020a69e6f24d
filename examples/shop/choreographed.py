"""The shop as a choreography: each service hears what has happened, and publishes what it has done. Nobody coordinates.

    actorflow run examples.shop.choreographed:app               500 orders, with misfortunes of all kinds
    actorflow run examples.shop.choreographed:app --log FILE    the orders of a log, and what befell them
    actorflow run examples.shop.choreographed:app --chaos 10    kill the whole process so often, and restart services
    ... --chaos 10 --nodes 2                                    the same with two processes on one store
    actorflow sim examples.shop.choreographed:app --scenario examples/shop/choreographed.toml
    actorflow graph examples.shop.choreographed:app             who publishes what, and who hears it

The services keep their books in the store, and the events are its log: with `actorflow run --store sqlite:///shop.db`
the shop goes on where it was after a kill -9. A package that cannot be delivered is undone by events, too: the stock
takes its items back, and the customers get their money back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import actorflow as af

from .customers import Customers
from .day import Settings, milestones, patiently, play
from .events import OrderPlaced
from .services import SERVICES

BATCH = 100
OPEN = 200  # orders that may be under way when more are placed: the state of a service is written whole

app = af.App("shop", settings=Settings, system=af.Settings(intensity=1000))  # chaos ends them often
for name, service in {**SERVICES, "customers": Customers}.items():
    app.add(af.child(service).options(name=name, durable=True))


@app.main
def main(system: af.ActorSystem, settings: Settings) -> int:
    """Have a day pass; the exit code says whether all is well at its end."""
    return play(system, settings, f"{__name__}:app", follow)


def follow(system: af.ActorSystem, orders: Sequence[OrderPlaced]) -> Iterator[int]:
    """Place the orders, and say now and then how many of them are over."""
    customers = system.durable("customers", Customers)
    placed = patiently(system, customers.call, Customers.order, 0, [])
    while placed < len(orders):
        patiently(system, customers.call, Customers.wait, placed - OPEN)
        some = orders[placed : placed + BATCH]
        placed = patiently(system, customers.call, Customers.order, placed, some)
    for number in milestones(len(orders)):
        yield patiently(system, customers.call, Customers.wait, number)
