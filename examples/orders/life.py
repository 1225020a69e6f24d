"""The life cycles of an order, an item and a package: which activity is legal in which state.

These three tables are all that the example knows about the business. The reader checks a log's lines against them, the
generator walks through them, and the actors refuse what they do not list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NEW = "new"


@dataclass(frozen=True)
class Life:
    """How one kind of object lives.

    Attributes:
        kind: what the object is called.
        steps: for each activity the states in which it is legal, and the state that follows each of them.
        final: the state in which every life should end.
    """

    kind: str
    steps: Mapping[str, Mapping[str, str]]
    final: str

    def after(self, activity: str, state: str) -> str | None:
        """Return the state that follows, or None when the activity is not legal in this state.

        >>> ORDER.after("pay order", "confirmed"), ORDER.after("pay order", "paid")
        ('paid', None)
        """
        return self.steps[activity].get(state)


ORDER = Life(
    kind="order",
    steps={
        "place order": {NEW: "placed"},
        "confirm order": {"placed": "confirmed"},
        "payment reminder": {"confirmed": "overdue", "overdue": "overdue"},
        "pay order": {"confirmed": "paid", "overdue": "paid"},
    },
    final="paid",
)

ITEM = Life(
    kind="item",
    steps={
        "place order": {NEW: "ordered"},
        "item out of stock": {"ordered": "missing"},
        "reorder item": {"missing": "reordered"},
        "pick item": {"ordered": "picked", "reordered": "picked"},
        "create package": {"picked": "packed"},
    },
    final="packed",
)

PACKAGE = Life(
    kind="package",
    steps={
        "create package": {NEW: "packed"},
        "send package": {"packed": "on the way"},
        "failed delivery": {"on the way": "failed", "failed": "failed"},
        "package delivered": {"on the way": "delivered", "failed": "delivered"},
    },
    final="delivered",
)

LIVES = (ORDER, ITEM, PACKAGE)

# Every activity with the kinds of object that it touches, in the order in which a good life meets them.
ACTIVITIES: dict[str, frozenset[str]] = {
    activity: frozenset(life.kind for life in LIVES if activity in life.steps)
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
