"""A bar chart as SVG: for each measure one bar a contestant, the best first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from math import log10
from typing import Any

WIDTH, LEFT, RIGHT = 760, 190, 90
BAR, GAP, TITLE = 18, 6, 26
NAMES = {
    "ours": "actorflow",
    "PPE": "ProcessPoolExecutor",
    "dict": "a dict by hand",
    "raw": "a raw SQLite table",
    "xstate": "xstate-statemachine",
}


class Bars:
    """The bars of some measures of a benchmark's figures; lengths are logarithmic: rates differ by powers of ten."""

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
            y += TITLE + len(result["medians"]) * (BAR + GAP) + GAP
        label = escape("; ".join(map(told, self.chosen)))
        head = f'<svg role="img" class="picture bars" aria-label="{label}" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}">'
        return "\n".join([head, *lines, "</svg>"])

    def _measure(self, result: dict[str, Any], y: int) -> Iterator[str]:
        medians = result["medians"]
        better = "more is better" if result["unit"] == "/s" else "less is better"
        yield f'<text class="title" x="0" y="{y + 16}">{escape(result["measure"])} ({better})</text>'
        low = min(medians.values())
        most = log10(max(medians.values()) / low * 2)
        for row, name in enumerate(ranked(result)):
            top = y + TITLE + row * (BAR + GAP)
            length = (WIDTH - LEFT - RIGHT) * log10(medians[name] / low * 2) / most
            kind = "ours" if name == "ours" else "peer"
            yield f'<text x="{LEFT - 8}" y="{top + 14}" text-anchor="end">{escape(shown(name))}</text>'
            yield f'<rect class="{kind}" x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR}" rx="2"/>'
            yield f'<text x="{LEFT + length + 6:.1f}" y="{top + 14}">{escape(result["texts"][name])}</text>'


def told(result: dict[str, Any]) -> str:
    """Tell a measure in words, for those who hear the page."""
    values = [f"{shown(name)} {result['texts'][name]}" for name in ranked(result)]
    return f"{result['measure']}: {', '.join(values)}"


def ranked(result: dict[str, Any]) -> list[str]:
    """Return the contestants, the best first."""
    medians = result["medians"]
    return sorted(medians, key=medians.get, reverse=result["unit"] == "/s")


def shown(name: str) -> str:
    """Return the name of a contestant as a reader knows it."""
    return NAMES.get(name, name)
