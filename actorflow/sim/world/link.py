"""Link: how messages come from one host to another."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any, Final

from actorflow.errors import DefinitionError
from actorflow.text import stable_text

STEPS: Final = 16  # latencies to choose from, evenly between the shortest and the longest


@dataclass(frozen=True)
class Link:
    """The way of messages from one host to another: how long it takes, and what happens on it.

    Messages of actors keep their guarantee: they come in the order in which they were sent, and are lost only with a
    host. `loss`, `duplicate` and `reorder` act on calls of stubs, which stand for what has no such guarantee; with
    `hostile=True` they act on every message.

    >>> print(Link(latency=(0.001, 0.2)))
    Link(latency=(0.001, 0.2))

    Args:
        latency: seconds; a number, or the shortest and the longest.
        loss: the part of the messages that do not arrive, 0 to 1.
        duplicate: the part that arrives twice.
        reorder: the part that may be overtaken by later ones.
        bandwidth: bytes a second of the pickled messages; None: any.
        hostile: actors' own messages are lost, doubled and reordered, too.

    Raises:
        DefinitionError: an argument makes no sense.
    """

    latency: float | tuple[float, float] = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    bandwidth: float | None = None
    hostile: bool = False

    shortest: float = field(init=False, repr=False, compare=False)
    longest: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, seconds in zip(("shortest", "longest"), self._between(), strict=True):
            object.__setattr__(self, name, seconds)
        for name in ("loss", "duplicate", "reorder"):
            value: Any = getattr(self, name)
            if not is_number(value) or not 0 <= value <= 1:
                raise DefinitionError(f"Link({name}={stable_text(value)}): give a part of the messages, from 0 to 1")
        if self.bandwidth is not None and not (is_number(self.bandwidth) and 0 < self.bandwidth < math.inf):
            raise DefinitionError(f"Link(bandwidth={stable_text(self.bandwidth)}): give bytes a second, or None")
        if not isinstance(self.hostile, bool):
            raise DefinitionError(f"Link(hostile={stable_text(self.hostile)}): give True or False")

    def __str__(self) -> str:
        given = [f"{one.name}={getattr(self, one.name)}" for one in fields(self) if one.init]
        usual = [f"{one.name}={one.default}" for one in fields(self) if one.init]
        return f"Link({', '.join(text for text, other in zip(given, usual, strict=True) if text != other)})"

    def _between(self) -> tuple[float, float]:
        """Return the shortest and the longest latency.

        Raises:
            DefinitionError: they are no such pair.
        """
        given: Any = self.latency
        pair = given if isinstance(given, tuple) else (given, given)
        if len(pair) != 2 or not all(is_number(value) for value in pair) or not 0 <= pair[0] <= pair[1] < math.inf:
            raise DefinitionError(
                f"Link(latency={stable_text(given)}): give seconds, or a pair of them: the shortest and the longest"
            )
        return float(pair[0]), float(pair[1])


def is_number(value: object) -> bool:
    """Say whether something is a number that is not NaN."""
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
