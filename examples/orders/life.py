"""The life cycles of an order, an item and a package: three state machines, each with an event for an activity.

They are all that the example knows about the business. The reader checks a log's lines against them, the generator's
logs are tested by them, and what is not legal they refuse. `actorflow graph examples.orders.life:Package` draws one.

The steps of a log are the arguments of the events, so each record of a machine's history says which line it is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import actorflow as af

if TYPE_CHECKING:
    from .atlas import Planner
    from .log import Step
    from .route import Route


class Chaos(Exception):
    """The crash that `--chaos` asked for."""


class Life(af.StateMachine):
    """What the three have in common: chaos may make them crash. It has no states, so it is abstract."""

    def fumble(self, step: Step) -> None:
        """Crash instead of taking the step."""
        raise Chaos(f"{step.name} fumbled {step.activity!r} (line {step.line})")


class Order(Life):
    """Placed, confirmed, perhaps reminded, paid."""

    new, placed, confirmed, overdue = af.State(initial=True), af.State(), af.State(), af.State()
    paid = af.State(final=True)

    @new.to(placed)
    def place_order(self, step: Step) -> None: ...

    @placed.to(confirmed)
    def confirm_order(self, step: Step) -> None: ...

    @(confirmed | overdue).to(overdue)
    def payment_reminder(self, step: Step) -> None: ...

    @(confirmed | overdue).to(paid)
    def pay_order(self, step: Step) -> None: ...


class Item(Life):
    """Ordered, perhaps out of stock and reordered, picked, packed."""

    new, ordered, missing, reordered, picked = af.State(initial=True), af.State(), af.State(), af.State(), af.State()
    packed = af.State(final=True)

    @new.to(ordered)
    def place_order(self, step: Step) -> None: ...

    @ordered.to(missing)
    def item_out_of_stock(self, step: Step) -> None: ...

    @missing.to(reordered)
    def reorder_item(self, step: Step) -> None: ...

    @(ordered | reordered).to(picked)
    def pick_item(self, step: Step) -> None: ...

    @picked.to(packed)
    def create_package(self, step: Step) -> None: ...


class Package(Life):
    """Made of the items of several orders, sent by the route it gets for them, perhaps failed, delivered."""

    new, planning, packed, on_the_way, failed = af.State(initial=True), af.State(), af.State(), af.State(), af.State()
    delivered = af.State(final=True)

    def __init__(self, planner: Planner) -> None:
        super().__init__()
        self._planner = planner

    @new.to(planning)
    def create_package(self, step: Step) -> None:
        """Have the route planned. That takes a while, and an event is handled at once: so it is a message."""
        self.actor_ref.cast(Package.plan, step)

    async def plan(self, step: Step) -> None:
        """Plan, and say so by an event. What comes meanwhile waits: handlers of one actor do not overlap."""
        self.raise_event(Package.planned, step, await self._planner.route(step.name, step.items))

    @planning.to(packed)
    def planned(self, step: Step, route: Route) -> None: ...

    @packed.to(on_the_way)
    def send_package(self, step: Step) -> None: ...

    @(on_the_way | failed).to(failed)
    def failed_delivery(self, step: Step) -> None: ...

    @(on_the_way | failed).to(delivered)
    def package_delivered(self, step: Step) -> None: ...


LIVES: Mapping[str, type[Life]] = {"order": Order, "item": Item, "package": Package}


def event_of(activity: str) -> str:
    """Return the event that an activity is.

    >>> event_of("place order")
    'place_order'
    """
    return activity.replace(" ", "_")


# Every activity with the kinds of object that it touches, in the order in which a good life meets them.
ACTIVITIES: dict[str, frozenset[str]] = {
    activity: frozenset(kind for kind, life in LIVES.items() if event_of(activity) in life.chart.events)
    for activity in (
        "place order",
        "confirm order",
        "item out of stock",
        "reorder item",
        "pick item",
        "create package",
        "send package",
        "failed delivery",
        "package delivered",
        "payment reminder",
        "pay order",
    )
}
