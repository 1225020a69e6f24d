"""Gantt picture: when each actor was busy in one run, with the faults of that time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actorflow.sim.html.axis import Axis, across
from actorflow.sim.html.text import clipped, in_seconds, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.sim.figures.tables import BusySpan, FaultFigures

WIDTH: Final = 1000
NAMES: Final = 190
ROW: Final = 20
TOP: Final = 8
ROWS: Final = 40  # actors; those that were busy first


def gantt_picture(spans: Sequence[BusySpan], faults: Sequence[FaultFigures], end: float) -> str:
    """Return the picture of the times for which actors were busy; "": none was.

    Args:
        spans: the times.
        faults: are drawn across all rows.
        end: of the run, virtual seconds.
    """
    rows: dict[str, list[BusySpan]] = {}
    for span in sorted(spans, key=lambda span: span.begin):
        rows.setdefault(span.actor, []).append(span)
    if not rows:
        return ""
    shown = list(rows.items())[:ROWS]
    axis = Axis(0.0, end, NAMES, WIDTH - 12)
    bottom = TOP + ROW * len(shown)
    lines = [
        f'<svg viewBox="0 0 {WIDTH} {bottom + 20}" role="img" aria-label="who was busy when">',
        *across(axis, TOP, bottom, " s"),
    ]
    for fault in faults:
        x, width = axis(fault.begin), max(1.5, axis(fault.end) - axis(fault.begin))
        title = f"{plain(fault.text)}, {fault.begin:g} s to {fault.end:g} s"
        lines.append(
            f'<rect x="{x}" y="{TOP}" width="{width:.2f}" height="{bottom - TOP}" fill="var(--bad)" opacity=".15">'
            f"<title>{title}</title></rect>"
        )
    for number, (actor, busy) in enumerate(shown):
        y = TOP + ROW * number
        lines.append(f'<text x="0" y="{y + 14}">{clipped(actor, 30)}<title>{plain(actor)}</title></text>')
        lines += [bar(axis, span, y) for span in busy]
    return "\n".join([*lines, "</svg>"])


def bar(axis: Axis, span: BusySpan, y: float) -> str:
    """Return one time for which an actor was busy."""
    x = axis(span.begin)
    width = max(1.0, axis(span.end) - x)
    title = f"{plain(span.handler)}: {span.begin:.3f} s, for {in_seconds(span.end - span.begin)}"
    return f'<rect class="bar" x="{x}" y="{y + 3}" width="{width:.2f}" height="{ROW - 6}"><title>{title}</title></rect>'
