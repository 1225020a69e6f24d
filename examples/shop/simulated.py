"""The shop in a simulation: its clients, its outside and its checks, as `scenario.toml` names them.

actorflow sim examples.shop.choreographed:app --scenario examples/shop/choreographed.toml
actorflow sim examples.shop.orchestrated:app --scenario examples/shop/orchestrated.toml
"""

from __future__ import annotations

import actorflow as af
from actorflow.sim import Simulation

from .customers import Customers
from .orchestrated import Shop, fulfil
from .outcome import broken
from .outside import of_seed
from .rules import Book, StockBook
from .services import SERVICES

ORDERS = of_seed(20, seed=1)


def place(system: af.ActorSystem, number: int) -> None:
    """Place an order, if those before it are placed; a second round places those that were lost on their way."""
    number %= len(ORDERS)
    system.durable("customers", Customers).cast(Customers.order, number, [ORDERS[number]])


def lead(system: af.ActorSystem, number: int) -> None:
    """Start the saga of an order, unless it was started before: a second round starts those that were not."""
    shop = Shop(**{name: system.durable(name, cls) for name, cls in SERVICES.items()})
    placed = ORDERS[number % len(ORDERS)]
    system.start(fulfil.options(id=placed.order), shop, placed)


def retry_dead(system: af.ActorSystem) -> None:
    """Have events handled after all that several crashes in a row were blamed on, as an operator would."""
    system.event_log.retry_all()


def debit(account: str, attempt: int) -> bool:
    """Stand for the bank, by the rules of `outside`."""
    return attempt > int(account.rpartition(":")[2])


def deliver(address: str, attempt: int) -> bool:
    """Stand for the courier, likewise."""
    return attempt > int(address.rpartition(":")[2])


def books_of(sim: Simulation) -> list[Book]:
    """Look at the books of the services that are up."""
    services = [sim.peek(name) for name in SERVICES]
    return [service.state for service in services if service is not None]


def shelves_are_not_overdrawn(sim: Simulation) -> bool:
    """Say whether no shelf has less than nothing."""
    stock = sim.peek("stock")
    state = None if stock is None else stock.state
    return not isinstance(state, StockBook) or all(pieces >= 0 for pieces in state.shelves.values())


def choreography_is_well(sim: Simulation) -> None:
    """Check that all orders were placed and have come to their end, and that the books agree."""
    customers = sim.peek("customers")
    assert customers is not None, "customers are down"
    assert customers.state.over == len(ORDERS), f"{customers.state.over} orders are over"
    all_is_well(sim)


def all_is_well(sim: Simulation) -> None:
    """Check that each order has come to its end, and that the books agree."""
    books = books_of(sim)
    assert len(books) == len(SERVICES), "a service is down"
    faults = broken(books, ORDERS)
    assert not faults, "; ".join(faults)
