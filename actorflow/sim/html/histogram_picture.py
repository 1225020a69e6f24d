"""Histogram picture: durations by their buckets, on a logarithmic scale, with three percentiles."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from actorflow.sim.html.axis import Axis
from actorflow.sim.html.text import in_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actorflow.sim.figures.histogram import Histogram

WIDTH: Final = 480
HEIGHT: Final = 150
LEFT: Final = 12
BASE: Final = HEIGHT - 22
LEAST: Final = 1e-6  # seconds: durations of nothing are drawn there


def histogram_picture(durations: Histogram) -> str:
    """Return the picture of durations; "": there are none."""
    bars = [(max(low, LEAST), max(high, LEAST * 1.045), count) for low, high, count in durations.bars()]
    if not bars:
        return ""
    low, high = math.log10(bars[0][0]), math.log10(bars[-1][1])
    middle, half = (low + high) / 2, max(0.25, (high - low) / 2 + 0.05)
    axis = Axis(middle - half, middle + half, LEFT, WIDTH - LEFT)
    heights = Axis(0, max(count for *_, count in bars), BASE, 24)
    return "\n".join(
        [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="histogram of {durations.count} durations">',
            f'<line class="axis" x1="{LEFT}" y1="{BASE}" x2="{WIDTH - LEFT}" y2="{BASE}"/>',
            *decades(axis),
            *(bar(axis, heights, *one) for one in bars),
            *percentiles(axis, durations),
            "</svg>",
        ]
    )


def bar(axis: Axis, heights: Axis, low: float, high: float, count: int) -> str:
    """Return one bucket."""
    x, y = axis(math.log10(low)), heights(count)
    width = max(1.0, axis(math.log10(high)) - x - 0.5)
    title = f"{in_seconds(low)} to {in_seconds(high)}: {count:,}"
    return (
        f'<rect class="bar" x="{x}" y="{y}" width="{width:.2f}" height="{BASE - y:.2f}"><title>{title}</title></rect>'
    )


def decades(axis: Axis) -> Iterator[str]:
    """Yield the ticks: powers of ten, and between them 2 and 5 if there are few."""
    few = axis.high - axis.low < 2
    for power in range(math.floor(axis.low), math.ceil(axis.high) + 1):
        for factor in (1, 2, 5) if few else (1,):
            place = math.log10(factor) + power
            if axis.low <= place <= axis.high:
                x = axis(place)
                yield f'<line class="axis" x1="{x}" y1="{BASE}" x2="{x}" y2="{BASE + 4}"/>'
                text = in_seconds(factor * 10.0**power)
                yield f'<text class="soft" x="{x}" y="{BASE + 16}" text-anchor="middle">{text}</text>'


def percentiles(axis: Axis, durations: Histogram) -> Iterator[str]:
    """Yield the lines of three percentiles; their names stand in three heights, as they may be close."""
    for y, name, value in ((10, "p50", durations.p50), (20, "p95", durations.p95), (30, "p99", durations.p99)):
        x = axis(math.log10(max(value, LEAST)))
        anchor, shift = ("start", 3) if x < WIDTH * 0.7 else ("end", -3)
        yield f'<line class="limit" x1="{x}" y1="{y - 8}" x2="{x}" y2="{BASE}"/>'
        yield f'<text x="{x + shift:.2f}" y="{y}" text-anchor="{anchor}">{name} {in_seconds(value)}</text>'
