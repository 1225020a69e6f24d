"""Backoff: how long to wait before the next try. Computes; never sleeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actorflow.errors import DefinitionError

if TYPE_CHECKING:
    import random


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses in seconds that grow by `factor` from `first` up to `limit`, each spread by `jitter` (0.1 is +-10 %).

    Factor 1 gives fixed pauses. The jitter keeps actors that failed together from coming back together.

    >>> [Backoff(0.5, limit=3, jitter=0).delay(n) for n in (1, 2, 3, 4)]
    [0.5, 1.0, 2.0, 3]
    """

    first: float
    factor: float = 2.0
    limit: float = 60.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        if not (self.first >= 0 and self.limit >= 0 and self.factor >= 1 and 0 <= self.jitter <= 1):  # so for nan, too
            msg = f"{self}: first and limit must not be negative, factor must be >= 1, jitter from 0 to 1"
            raise DefinitionError(msg)

    def delay(self, attempt: int, rng: random.Random | None = None) -> float:
        """Return the pause in seconds before try `attempt` + 1; attempts count from 1. No `rng`: no jitter."""
        try:
            pause = min(self.first * self.factor ** (attempt - 1), self.limit)
        except OverflowError:
            pause = self.limit
        if rng is not None and self.jitter:
            pause *= 1 + self.jitter * (2 * rng.random() - 1)
        return pause
