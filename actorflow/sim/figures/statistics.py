"""Statistics: what many seeds say together: the mean of a figure with its interval, and the end of the warm-up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from actorflow.errors import DefinitionError
from actorflow.text import stable_text

LEVEL: Final = 0.95
BATCH: Final = 5  # values that are one, when the end of the warm-up is looked for


@dataclass(frozen=True)
class Interval:
    """The mean of a figure, and the interval around it that has the true one with a probability of 95 %.

    Attributes:
        mean: of the figure, over the seeds.
        half: half the width of the interval; infinite with one seed.
        count: of the seeds.
    """

    mean: float
    half: float
    count: int

    @property
    def low(self) -> float:
        """Begin of the interval."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """End of the interval."""
        return self.mean + self.half

    def __str__(self) -> str:
        return f"{self.mean:.4g} ± {self.half:.2g}" if math.isfinite(self.half) else f"{self.mean:.4g}"


def interval_of(values: Sequence[float], *, level: float = LEVEL) -> Interval:
    """Return the mean of a figure over seeds, with its interval by Student's t.

    >>> str(interval_of([1.0, 2.0, 3.0]))
    '2 ± 2.5'

    Args:
        values: the figure, of one seed each.
        level: the probability that the interval has the true mean.

    Raises:
        DefinitionError: there are no values, one is no number, or the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise DefinitionError(f"interval_of(level={stable_text(level)}): give a probability, between 0 and 1")
    if not values:
        raise DefinitionError("interval_of([]): give the figure of one seed at least")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise DefinitionError(f"interval_of([... {stable_text(value)} ...]): give numbers")
    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return Interval(mean, math.inf, 1)
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    return Interval(mean, student_t(level, count - 1) * math.sqrt(variance / count), count)


def student_t(level: float, freedom: int) -> float:
    """Return the bound of which Student's t with so many degrees of freedom stays within, with a probability."""
    low, high = 0.0, 1.0
    while within_t(high, freedom) < level:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if within_t(middle, freedom) < level else (low, middle)
    return (low + high) / 2


def within_t(bound: float, freedom: int) -> float:
    """Return the probability that Student's t is within a bound (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    angle = math.atan(bound / math.sqrt(freedom))
    sine, square = math.sin(angle), math.cos(angle) ** 2
    if freedom % 2 == 0:
        term = total = 1.0
        for i in range(2, freedom, 2):
            term *= square * (i - 1) / i
            total += term
        return sine * total
    term = total = math.cos(angle) if freedom > 1 else 0.0
    for i in range(3, freedom, 2):
        term *= square * (i - 1) / i
        total += term
    return 2 / math.pi * (angle + sine * total)


def warm_up_cut(values: Sequence[float]) -> int:
    """Return how many values at the begin of a run are its warm-up, to be left out of its mean.

    By MSER-5 (White, "An effective truncation heuristic for bias reduction in simulation output", 1997): the cut after
    which the mean of the rest, in batches of five, has the smallest standard error; at most half of the run.

    >>> warm_up_cut([9.0] * 10 + [1.0, 1.1] * 45)
    10

    Raises:
        DefinitionError: a value is no number.
    """
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        raise DefinitionError("warm_up_cut: give numbers")
    batches = [math.fsum(values[i : i + BATCH]) / BATCH for i in range(0, len(values) - BATCH + 1, BATCH)]
    best, cut = math.inf, 0
    total = squares = 0.0
    for place in range(len(batches) - 1, -1, -1):  # from the end, as sums over the rest grow by one value
        total += batches[place]
        squares += batches[place] ** 2
        count = len(batches) - place
        if place > len(batches) // 2:
            continue
        error = max(0.0, squares - total**2 / count) / count**2
        if error <= best * (1 + 1e-12):
            best, cut = error, place
    return cut * BATCH
