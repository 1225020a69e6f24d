"""Series picture: the queue of an actor and its throughput over virtual time, one above the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actorflow.sim.html.axis import Axis, across, upwards

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.sim.figures.time_series import TimeSeries

WIDTH: Final = 480
HEIGHT: Final = 170
LEFT: Final = 44
RIGHT: Final = 8
MIDDLE: Final = 78
BASE: Final = HEIGHT - 20


def series_picture(queue: TimeSeries, throughput: TimeSeries, end: float) -> str:
    """Return the picture of the messages that wait, and of those that are handled in a second.

    Args:
        queue: messages that wait.
        throughput: counts those that were handled.
        end: of the run, virtual seconds.
    """
    axis = Axis(0.0, end, LEFT, WIDTH - RIGHT)
    waiting = Axis(0.0, max([1.0, *queue.highs]), MIDDLE, 14)
    handled = Axis(0.0, max([1.0, *throughput.rates]), BASE, MIDDLE + 22)
    return "\n".join(
        [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="queue and throughput over virtual time">',
            *across(axis, 14, BASE, " s"),
            *upwards(waiting, LEFT, WIDTH - RIGHT),
            f'<path class="area" d="{outline(axis, waiting, queue.width, queue.highs, is_closed=True)}"/>',
            f'<path class="line" d="{outline(axis, waiting, queue.width, queue.means)}"/>',
            *upwards(handled, LEFT, WIDTH - RIGHT),
            f'<path class="line" d="{outline(axis, handled, throughput.width, throughput.rates)}"/>',
            f'<text x="{LEFT + 4}" y="11">waiting (line: mean, area: most)</text>',
            f'<text x="{LEFT + 4}" y="{MIDDLE + 18}">handled a second</text>',
            "</svg>",
        ]
    )


def outline(x: Axis, y: Axis, width: float, values: Sequence[float], *, is_closed: bool = False) -> str:
    """Return the steps of a series as a path; a closed one is an area above the base."""
    points: list[tuple[float, float]] = []
    for number, value in enumerate(values):
        points += [(x(number * width), y(value)), (x((number + 1) * width), y(value))]
    if is_closed and points:
        points = [(points[0][0], y(0)), *points, (points[-1][0], y(0))]
    kept = [point for i, point in enumerate(points) if not is_between(points, i)]
    return "M" + " L".join(f"{a:g},{b:g}" for a, b in kept) + ("Z" if is_closed else "") if kept else "M0,0"


def is_between(points: Sequence[tuple[float, float]], i: int) -> bool:
    """Say whether a point is on the level line between its neighbours: it is left out."""
    return 0 < i < len(points) - 1 and points[i - 1][1] == points[i][1] == points[i + 1][1]
