"""A bar chart as SVG: for each measure one bar a contestant, in multiples of actorflow's median."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from math import log10
from typing import Any

WIDTH, LEFT, RIGHT = 760, 170, 90
BAR, GAP, TITLE = 18, 6, 26


class Bars:
    """The bars of some measures of a benchmark's results; lengths are logarithmic: rates differ by powers of ten."""

    def __init__(
        self, results: Iterable[dict[str, Any]], measures: Iterable[str]
    ) -> None:
        by_name = {result["measure"]: result for result in results}
        self.chosen = [by_name[measure] for measure in measures]

    def svg(self) -> str:
        """Draw all measures, one below the other."""
        lines, y = [], 0
        for result in self.chosen:
            lines += self._measure(result, y)
            y += TITLE + len(result["median"]) * (BAR + GAP) + GAP
        label = escape(", ".join(result["measure"] for result in self.chosen))
        head = f'<svg role="img" class="picture bars" aria-label="{label}" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}">'
        return "\n".join([head, *lines, "</svg>"])

    def _measure(self, result: dict[str, Any], y: int) -> Iterator[str]:
        unit, medians = result["unit"], result["median"]
        better = "more is better" if unit == "/s" else "less is better"
        yield f'<text class="title" x="0" y="{y + 16}">{escape(result["measure"])} ({better})</text>'
        low = min(medians.values())
        most = log10(max(medians.values()) / low * 2)
        for row, (name, value) in enumerate(
            sorted(medians.items(), key=lambda item: item[1], reverse=unit == "/s")
        ):
            top = y + TITLE + row * (BAR + GAP)
            length = (WIDTH - LEFT - RIGHT) * log10(value / low * 2) / most
            kind = "ours" if name == "ours" else "peer"
            shown = "actorflow" if name == "ours" else name
            yield f'<text x="{LEFT - 8}" y="{top + 14}" text-anchor="end">{escape(shown)}</text>'
            yield f'<rect class="{kind}" x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR}" rx="2"/>'
            yield f'<text x="{LEFT + length + 6:.1f}" y="{top + 14}">{number(value)} {escape(unit)}</text>'


def number(value: float) -> str:
    """Write a figure with three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
