"""Delivery: nothing is lost, doubled, invented or out of order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, Literal, TypeVar, get_args

from actorflow.errors import DefinitionError
from actorflow.sim.failure import SimulationFailure
from actorflow.sim.patches.place import world_of_thread
from actorflow.text import stable_text

T = TypeVar("T")
Guarantee = Literal["exactly once", "at least once", "at most once"]
SHOWN: Final = 10  # ids, or parts


def now() -> float:
    """Return the virtual time; 0 outside of a simulation."""
    world = world_of_thread()
    return 0.0 if world is None else world.clock.now


def check_delivery(
    sent: Iterable[Hashable],
    received: Iterable[Hashable],
    guarantee: Guarantee = "exactly once",
    *,
    name: str | None = None,
) -> None:
    """Check by ids that all that was sent has come once, and nothing else.

    >>> check_delivery([1, 2, 3], [3, 1, 2])
    >>> check_delivery([1, 2, 3], [1, 2, 2])
    Traceback (most recent call last):
    ...
    actorflow.sim.failure.SimulationFailure: 'exactly once' does not hold at 0 s: lost: 3; more than once: 2

    Args:
        sent: the ids that were sent; one that was sent twice is to come twice.
        received: the ids that came.
        guarantee: "at least once" allows more than once; "at most once" allows losses.
        name: of the property; None: the guarantee.

    Raises:
        SimulationFailure: some have not come, have come too often, or were never sent.
        DefinitionError: there is no such guarantee.
    """
    if guarantee not in get_args(Guarantee):
        raise DefinitionError(f"check_delivery({stable_text(guarantee)}): give one of {', '.join(get_args(Guarantee))}")
    expected, found = Counter(sent), Counter(received)
    faults: dict[str, list[Hashable]] = {"never sent": [id for id in found if id not in expected]}
    if guarantee != "at most once":
        faults["lost"] = [id for id, times in expected.items() if found[id] < times]
    if guarantee != "at least once":
        faults["more than once"] = [id for id, times in expected.items() if found[id] > times]
    texts = [f"{kind}: {shown(faults[kind])}" for kind in ("lost", "more than once", "never sent") if faults.get(kind)]
    if texts:
        raise SimulationFailure(name or guarantee, now(), "; ".join(texts))


def check_order(
    sent: Iterable[T],
    received: Iterable[T],
    *,
    key: Callable[[T], Hashable] = lambda _: None,
    name: str = "order per key",
) -> None:
    """Check that those of one key have come in the order in which they were sent. Losses and repeats are no matter.

    A repeat of an earlier one is out of order if a later one came between; where a redelivery is allowed to go back,
    give `dict.fromkeys(received)`, the first time of each.

    >>> check_order(["a1", "b1", "a2"], ["b1", "a1", "a2"], key=lambda id: id[0])
    >>> check_order(["a1", "b1", "a2"], ["a2", "b1", "a1"], key=lambda id: id[0])
    Traceback (most recent call last):
    ...
    actorflow.sim.failure.SimulationFailure: 'order per key' does not hold at 0 s: of key 'a', 'a1' came after 'a2'

    Args:
        sent: in their order; each once.
        received: in their order.
        key: of one of them; without it all have the same.
        name: of the property.

    Raises:
        SimulationFailure: one came after a later one, or was never sent.
        DefinitionError: one was sent twice: its place is not known.
    """
    places: dict[T, int] = {}
    for item in sent:
        if item in places:
            raise DefinitionError(f"check_order: {stable_text(item)} was sent twice; give each an id of its own")
        places[item] = len(places)
    latest: dict[Hashable, T] = {}
    for item in received:
        if item not in places:
            raise SimulationFailure(name, now(), f"{stable_text(item)} came, and was never sent")
        of = key(item)
        if of in latest and places[item] < places[latest[of]]:
            by = "" if of is None else f"of key {stable_text(of)}, "
            raise SimulationFailure(name, now(), f"{by}{stable_text(item)} came after {stable_text(latest[of])}")
        latest[of] = item


def check_conservation(
    amounts: Mapping[Any, float] | Mapping[Any, Decimal] | Mapping[Any, Fraction],
    total: float | Decimal | Fraction,
    *,
    within: float | Decimal = 0,
    name: str = "conservation",
) -> None:
    """Check that amounts make a total: money or goods are moved, and neither made nor lost.

    >>> check_conservation({"purse": 3, "bank": 6, "sent": 1}, 10)
    >>> check_conservation({"purse": 3, "bank": 6}, 10)
    Traceback (most recent call last):
    ...
    actorflow.sim.failure.SimulationFailure: 'conservation' does not hold at 0 s: 9 in all, in place of 10: ...

    Args:
        amounts: by their places.
        total: of all.
        within: by how much the sum may differ, as sums of floats do.
        name: of the property.

    Raises:
        SimulationFailure: the sum is another one.
    """
    found: Any = sum(amounts.values())
    if not abs(found - total) <= within:  # as NaN is not
        parts = [f"{stable_text(place)}={stable_text(amount)}" for place, amount in amounts.items()]
        more = f", and {len(parts) - SHOWN} more" if len(parts) > SHOWN else ""
        text = f"{stable_text(found)} in all, in place of {stable_text(total)}: {', '.join(parts[:SHOWN])}{more}"
        raise SimulationFailure(name, now(), text)


def shown(ids: list[Hashable]) -> str:
    """Return the first of some ids as text."""
    more = f", and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return ", ".join(map(stable_text, ids[:SHOWN])) + more
