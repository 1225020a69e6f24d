"""The logs that the tests of `examples.orders` replay, and what is legal in them, told without a machine."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from examples.orders.log import Event, Step, steps

ROOT = Path(__file__).resolve().parents[2]
NAME = "order_management_ocel.csv"
REAL_LOG = Path(os.environ.get("ACTORFLOW_EVENTLOG", ROOT.parent / "shared" / "data" / "eventlogs" / NAME))

needs_real_log = pytest.mark.skipif(
    not REAL_LOG.is_file(), reason=f"no {NAME}: set ACTORFLOW_EVENTLOG to its path (it is not ours to ship)"
)

# For each kind of object: activity, the states in which it is legal, and the state that follows.
TABLES = {
    "order": {
        "place order": {"new": "placed"},
        "confirm order": {"placed": "confirmed"},
        "payment reminder": {"confirmed": "overdue", "overdue": "overdue"},
        "pay order": {"confirmed": "paid", "overdue": "paid"},
    },
    "item": {
        "place order": {"new": "ordered"},
        "item out of stock": {"ordered": "missing"},
        "reorder item": {"missing": "reordered"},
        "pick item": {"ordered": "picked", "reordered": "picked"},
        "create package": {"picked": "packed"},
    },
    "package": {
        "create package": {"new": "packed"},
        "send package": {"packed": "on_the_way"},
        "failed delivery": {"on_the_way": "failed", "failed": "failed"},
        "package delivered": {"on_the_way": "delivered", "failed": "delivered"},
    },
}
FINAL = {"order": "paid", "item": "packed", "package": "delivered"}


def lives(events: Sequence[Event]) -> Iterator[tuple[Step, str, str | None]]:
    """Walk each object through its table: step, state before, and the one after; None where it is not legal."""
    states: dict[str, str] = {}
    for kind, share in steps(events).items():
        for step in share:
            before = states.get(step.name, "new")
            after = TABLES[kind][step.activity].get(before)
            states[step.name] = after or before
            yield step, before, after


def illegal(events: Sequence[Event]) -> list[tuple[int, str]]:
    """Return the lines and objects that are not legal, in the order of the file."""
    return sorted((step.line, step.name) for step, _, after in lives(events) if after is None)


def shuffled(events: Sequence[Event], seed: int) -> list[Event]:
    """Return the events in an order of chance, on the lines that they have then."""
    mixed = random.Random(seed).sample(events, len(events))
    return [event._replace(line=line) for line, event in enumerate(mixed, start=2)]
