"""Histogram: durations in fixed buckets, each 4.4 % wider than the one before."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Self

from actorflow.errors import DefinitionError
from actorflow.text import stable_text

if TYPE_CHECKING:
    import random

PER_DOUBLING: Final = 16  # buckets from a value to twice that
ZERO: Final = -(1 << 16)  # the bucket of durations that are none
LEAST: Final = 1e-12  # seconds that are some


class Histogram:
    """Durations in buckets: their number, mean, percentiles and extremes. Two of them add up; one can be drawn from.

    All have the same buckets. A percentile is at most 2.2 % beside the exact one; number, mean and extremes are exact.

    >>> waits = Histogram.of([0.1, 0.2, 0.4])
    >>> waits.count, round(waits.mean, 3), round(waits.p50, 2), waits.max
    (3, 0.233, 0.2, 0.4)

    Attributes:
        count: how many there are.
        total: their sum: seconds.
        min: the shortest; NaN without any.
        max: the longest; NaN without any.
        buckets: how many are in each bucket that has some, by its number.
    """

    __slots__ = ("buckets", "count", "max", "min", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.min = self.max = math.nan
        self.buckets: dict[int, int] = {}

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Self:
        """Return the histogram of some durations.

        Raises:
            DefinitionError: one of them is negative, or no number.
        """
        made = cls()
        for one in seconds:
            if isinstance(one, bool) or not isinstance(one, int | float) or not 0 <= one < math.inf:
                raise DefinitionError(f"a histogram of {stable_text(one)}: give seconds, 0 or more")
            made.add(one)
        return made

    def add(self, seconds: float) -> None:
        """Count a duration."""
        bucket = math.floor(math.log2(seconds) * PER_DOUBLING) if seconds > LEAST else ZERO
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1
        if not self.count:
            self.min = self.max = seconds
        elif seconds > self.max:
            self.max = seconds
        elif seconds < self.min:
            self.min = seconds
        self.count += 1
        self.total += seconds

    def __add__(self, other: Histogram) -> Histogram:
        """Return the histogram of the durations of both."""
        both = Histogram()
        for one in (self, other):
            for bucket, count in one.buckets.items():
                both.buckets[bucket] = both.buckets.get(bucket, 0) + count
        both.count, both.total = self.count + other.count, self.total + other.total
        full = [one for one in (self, other) if one.count]
        if full:
            both.min, both.max = min(one.min for one in full), max(one.max for one in full)
        return both

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return self.buckets == other.buckets and self.as_dict() == other.as_dict()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        if not self.count:
            return "<histogram of nothing>"
        return f"<histogram of {self.count}: p50 {self.p50:.3g} s, p99 {self.p99:.3g} s, max {self.max:.3g} s>"

    # --- what it says ------------------------------------------------------------------------------------------------

    @property
    def mean(self) -> float:
        """The mean; NaN without any."""
        return self.total / self.count if self.count else math.nan

    @property
    def p50(self) -> float:
        """Half of the durations are at most this long; NaN without any."""
        return self.percentile(50)

    @property
    def p95(self) -> float:
        """Of 20 durations 19 are at most this long; NaN without any."""
        return self.percentile(95)

    @property
    def p99(self) -> float:
        """Of 100 durations 99 are at most this long; NaN without any."""
        return self.percentile(99)

    def percentile(self, percent: float) -> float:
        """Return the duration that so many percent do not exceed; NaN without any.

        Raises:
            DefinitionError: it is no number from 0 to 100.
        """
        if isinstance(percent, bool) or not isinstance(percent, int | float) or not 0 <= percent <= 100:
            raise DefinitionError(f"percentile({stable_text(percent)}): give a number from 0 to 100")
        if not self.count:
            return math.nan
        left = max(1, math.ceil(self.count * percent / 100))
        if left == self.count:
            return self.max
        bucket = ZERO
        for bucket in sorted(self.buckets):
            left -= self.buckets[bucket]
            if left <= 0:
                break
        low, high = bounds(bucket)
        return min(max(math.sqrt(low * high), self.min), self.max)

    def bars(self) -> list[tuple[float, float, int]]:
        """Return all buckets that have some, in order: from, to, and how many."""
        return [(*bounds(bucket), self.buckets[bucket]) for bucket in sorted(self.buckets)]

    def __call__(self, random: random.Random, /) -> float:
        """Draw a duration, as the cost of a handler that was measured.

        Raises:
            DefinitionError: there is none to draw.
        """
        if not self.count:
            raise DefinitionError("a histogram of nothing was drawn from: record some durations first")
        left = random.random() * self.count
        bucket = ZERO
        for bucket in sorted(self.buckets):
            left -= self.buckets[bucket]
            if left < 0:
                break
        low, high = bounds(bucket)
        return min(max(low + (high - low) * random.random(), self.min), self.max)

    # --- as plain values ---------------------------------------------------------------------------------------------

    def as_dict(self) -> dict[str, Any]:
        """Return the histogram as plain values, for JSON; `from_dict` takes them."""
        if not self.count:
            return {"count": 0, "total": 0.0, "buckets": {}}
        figures = {"min": self.min, "p50": self.p50, "p95": self.p95, "p99": self.p99, "max": self.max}
        buckets = {str(bucket): self.buckets[bucket] for bucket in sorted(self.buckets)}
        return {"count": self.count, "total": self.total, "mean": self.mean, **figures, "buckets": buckets}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Return the histogram of such values.

        Raises:
            DefinitionError: they are none of a histogram.
        """
        made = cls()
        try:
            made.buckets = {int(bucket): int(count) for bucket, count in given["buckets"].items()}
            made.count, made.total = int(given["count"]), float(given["total"])
            if made.count:
                made.min, made.max = float(given["min"]), float(given["max"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DefinitionError(f"{stable_text(given)} is no histogram: give what `as_dict` returns") from error
        if made.count != sum(made.buckets.values()) or any(count < 1 for count in made.buckets.values()):
            raise DefinitionError(f"{stable_text(given)} is no histogram: the buckets have not as many as it says")
        return made


def bounds(bucket: int) -> tuple[float, float]:
    """Return the shortest and the longest duration of a bucket."""
    if bucket == ZERO:
        return 0.0, 0.0
    low: float = 2.0 ** (bucket / PER_DOUBLING)
    high: float = 2.0 ** ((bucket + 1) / PER_DOUBLING)
    return low, high
