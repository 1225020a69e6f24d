"""TimeSeries: a number over virtual time, in at most so many slices, however long the run is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

SLICES: Final = 256  # at most; then each two become one
FIRST: Final = 2.0**-10  # seconds of the first slices


class TimeSeries:
    """A number that changes, such as the length of a queue, or how many events there were, in slices of time.

    A slice has the integral of the number over it, the largest value, and the number of events. Its width doubles as
    the run gets longer.

    Attributes:
        width: seconds of a slice.
        value: the present one.
        integral: of the number, over all time so far.
    """

    __slots__ = ("_areas", "_counts", "_highs", "_since", "integral", "value", "width")

    def __init__(self, begin: float = 0.0) -> None:
        self.width = FIRST
        self.value = 0.0
        self.integral = 0.0
        self._since = begin
        self._areas: list[float] = [0.0]
        self._highs: list[float] = [0.0]
        self._counts: list[int] = [0]

    def __repr__(self) -> str:
        return f"<time series to {self._since:g} s: {self.value:g}>"

    def set(self, now: float, value: float) -> None:
        """Have the number be another one from now on."""
        self.advance(now)
        self.value = value
        place = self._place(now)
        self._highs[place] = max(self._highs[place], value)

    def count(self, now: float, count: int = 1) -> None:
        """Count events of this moment."""
        place = self._place(now)  # first: it may replace the list
        self._counts[place] += count

    def advance(self, now: float) -> None:
        """Have time pass with the number as it is."""
        since = self._since
        if now <= since:
            return
        value = self.value
        self._since = now
        last, place = self._place(now), int(since / self.width)  # in this order: the first may make slices wider
        if not value:
            return
        self.integral += value * (now - since)
        for slice in range(place, last + 1):
            end = min(now, (slice + 1) * self.width)
            if end > since:
                self._areas[slice] += value * (end - since)
                self._highs[slice] = max(self._highs[slice], value)
                since = end

    def _place(self, now: float) -> int:
        """Return the slice of a time; make room for it."""
        place = int(now / self.width)
        while place >= SLICES:
            self._widen()
            place = int(now / self.width)
        self._lengthen(place + 1)
        return place

    def _widen(self) -> None:
        """Make one slice of each two."""
        self._areas, self._counts = [pairs(self._areas), pairs(self._counts)]
        self._highs = [max(self._highs[i : i + 2]) for i in range(0, len(self._highs), 2)]
        self.width *= 2

    def _lengthen(self, length: int) -> None:
        """Have at least so many slices."""
        missing = length - len(self._areas)
        if missing > 0:
            self._areas += [0.0] * missing
            self._highs += [0.0] * missing
            self._counts += [0] * missing

    def add(self, other: TimeSeries) -> None:
        """Add another number over the same time, whose slices may become wider.

        The largest value of a slice is at most the one that it has then: both may have had theirs at another moment.
        """
        for one in (self, other):
            one.advance(max(self._since, other._since))
        while self.width != other.width:
            min(self, other, key=lambda one: one.width)._widen()
        for one in (self, other):
            one._lengthen(max(len(self._areas), len(other._areas)))
        self.value += other.value
        self.integral += other.integral
        self._areas = [a + b for a, b in zip(self._areas, other._areas, strict=True)]
        self._highs = [a + b for a, b in zip(self._highs, other._highs, strict=True)]
        self._counts = [a + b for a, b in zip(self._counts, other._counts, strict=True)]

    # --- what it says ------------------------------------------------------------------------------------------------

    @property
    def means(self) -> list[float]:
        """The mean of the number in each slice; of the last one, over the part that has passed."""
        widths = [self.width] * len(self._areas)
        widths[-1] = self._since - self.width * (len(widths) - 1) or self.width
        return [area / width for area, width in zip(self._areas, widths, strict=True)]

    @property
    def highs(self) -> list[float]:
        """The largest value of each slice."""
        return list(self._highs)

    @property
    def rates(self) -> list[float]:
        """Counted events of each slice, a second."""
        return [count / self.width for count in self._counts]

    @property
    def total(self) -> int:
        """All counted events."""
        return sum(self._counts)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, for JSON."""
        return {"width": self.width, "means": self.means, "highs": self.highs, "rates": self.rates}


def waiting(waits: Iterable[tuple[float, float]], begin: float, now: float) -> TimeSeries:
    """Return how many waited over time.

    Args:
        waits: from when to when each did; infinite: it still does.
        begin: virtual seconds; it counts from there.
        now: virtual seconds.
    """
    series = TimeSeries(begin)
    changes = [change for arrival, end in waits for change in ((max(arrival, begin), 1), (end, -1))]
    for time, change in sorted(changes):
        if time <= now:
            series.set(time, series.value + change)
    series.advance(now)
    return series


def pairs(values: list[Any]) -> list[Any]:
    """Add up each two values."""
    return [sum(values[i : i + 2]) for i in range(0, len(values), 2)]
