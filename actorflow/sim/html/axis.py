"""Axis: places of values in a picture, and the round values that are written beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST: Final = 6  # ticks


@dataclass(frozen=True)
class Axis:
    """A scale from values to pixels.

    Attributes:
        low: the first value.
        high: the last value.
        begin: pixel of the first.
        end: pixel of the last.
    """

    low: float
    high: float
    begin: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        span = self.high - self.low
        part = (value - self.low) / span if span > 0 else 0.0
        return round(self.begin + (self.end - self.begin) * min(1.0, max(0.0, part)), 2)

    def ticks(self) -> Iterator[float]:
        """Yield round values between the first and the last.

        >>> list(Axis(0, 60, 0, 100).ticks())
        [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]
        """
        span = self.high - self.low
        if not span > 0:
            yield self.low
            return
        rough = span / MOST
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
        number = math.ceil(self.low / step - 1e-9)
        while number * step <= self.high + step * 1e-9:
            yield round(number * step, 12)
            number += 1


def across(axis: Axis, top: float, bottom: float, unit: str = "") -> Iterator[str]:
    """Yield the ticks of an axis from left to right, with their lines."""
    for tick in axis.ticks():
        x = axis(tick)
        yield f'<line class="axis" x1="{x}" y1="{top}" x2="{x}" y2="{bottom}"/>'
        yield f'<text class="soft" x="{x}" y="{bottom + 14}" text-anchor="middle">{tick:g}{unit}</text>'


def upwards(axis: Axis, left: float, right: float) -> Iterator[str]:
    """Yield the highest value of an axis upwards, and its base line."""
    yield f'<line class="axis" x1="{left}" y1="{axis(axis.low)}" x2="{right}" y2="{axis(axis.low)}"/>'
    yield f'<text class="soft" x="{left - 4}" y="{axis(axis.high) + 8}" text-anchor="end">{axis.high:.3g}</text>'
