"""Sequence picture: a sequence diagram of `actorflow.sim.figures.sequence`, read from its Mermaid, as SVG."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from actorflow.sim.html.text import clipped, plain

NARROWEST: Final = 230  # pixels from one participant to the next
WIDEST: Final = 400
LETTER: Final = 6.2  # pixels
ROW: Final = 34
TOP: Final = 46
EDGE: Final = 110
LETTERS: Final = 34  # of a column's width
PARTICIPANT: Final = re.compile(r"\s*participant (\w+) as (.*)")
NOTE: Final = re.compile(r"\s*Note over ([\w,]+): (.*)")
MESSAGE: Final = re.compile(r"\s*(\w+?)(--?)(>>|x)(\w+): (.*)")


@dataclass
class Drawing:
    """A diagram as it is read.

    Attributes:
        width: pixels from one participant to the next.
        columns: the middle of each participant, by its id.
        lines: pieces of the picture.
        y: where the next row is.
    """

    width: int
    columns: dict[str, int] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    y: int = TOP


def sequence_picture(diagram: str) -> str:
    """Return the picture of a diagram; "": it has no participants."""
    messages = [len(found[5]) for found in map(MESSAGE.fullmatch, diagram.splitlines()) if found]
    drawing = Drawing(round(min(WIDEST, max([NARROWEST, LETTER * max(messages, default=0) + 20]))))
    names: list[tuple[int, str]] = []
    for line in diagram.splitlines():
        if found := PARTICIPANT.fullmatch(line):
            drawing.columns[found[1]] = EDGE + drawing.width * len(names)
            names.append((drawing.columns[found[1]], found[2]))
        elif found := NOTE.fullmatch(line):
            note(drawing, found[2])
        elif found := MESSAGE.fullmatch(line):
            message(drawing, found)
    if not names:
        return ""
    width, height = 2 * EDGE + drawing.width * (len(names) - 1), drawing.y + 8
    heads = []
    for x, name in names:
        heads += [
            f'<line class="axis" x1="{x}" y1="34" x2="{x}" y2="{height}"/>',
            f'<rect class="back" x="{x - EDGE + 6}" y="6" width="{2 * EDGE - 12}" height="26" rx="4"/>',
            f'<text x="{x}" y="23" text-anchor="middle">{clipped(name, LETTERS)}<title>{plain(name)}</title></text>',
        ]
    style = f'style="width: {width}px; min-width: {min(width, 640)}px; max-width: 100%"'
    head = f'<svg viewBox="0 0 {width} {height}" {style} role="img" aria-label="sequence diagram">'
    return "\n".join([head, *heads, *drawing.lines, "</svg>"])


def note(drawing: Drawing, text: str) -> None:
    """Draw a note over all participants."""
    columns = list(drawing.columns.values()) or [EDGE]
    left, right, y = columns[0] - EDGE + 6, columns[-1] + EDGE - 6, drawing.y
    letters = int((right - left) / LETTER)
    label = f"{clipped(text, letters)}<title>{plain(text)}</title>"
    drawing.lines += [
        f'<rect class="back" x="{left}" y="{y}" width="{right - left}" height="22"/>',
        f'<text x="{(left + right) / 2:g}" y="{y + 15}" text-anchor="middle">{label}</text>',
    ]
    drawing.y += ROW - 4


def message(drawing: Drawing, found: re.Match[str]) -> None:
    """Draw the arrow of a message; that of an answer is dashed, and a lost one ends in a cross."""
    source, dashes, end, target, text = found.groups()
    if source not in drawing.columns or target not in drawing.columns:
        return
    one, other, y = drawing.columns[source], drawing.columns[target], drawing.y + 22
    is_lost = end == "x" or "(lost)" in text
    kind = "arrow" + (" answer" if dashes == "--" else "") + (" lost" if is_lost else "")
    label = "lost" if is_lost else ""
    letters = max(LETTERS, int(abs(one - other) / LETTER))
    middle = (one + other) / 2 if one != other else one + 40
    anchor = "middle" if one != other else "start"
    drawing.lines.append(
        f'<text class="{label}" x="{middle:g}" y="{y - 5}" text-anchor="{anchor}">{clipped(text, letters)}'
        f"<title>{plain(text)}</title></text>"
    )
    if one == other:
        drawing.lines.append(f'<path class="{kind}" d="M{one},{y - 8} h30 v10 h-26"/>')
        tip = one + 4
        drawing.lines.append(head_of(tip, y + 2, -1, kind, is_lost=end == "x"))
    else:
        way = 1 if other > one else -1
        drawing.lines.append(f'<line class="{kind}" x1="{one}" y1="{y}" x2="{other - 2 * way}" y2="{y}"/>')
        drawing.lines.append(head_of(other - 2 * way, y, way, kind, is_lost=end == "x"))
    drawing.y += ROW


def head_of(x: float, y: float, way: int, kind: str, *, is_lost: bool) -> str:
    """Return the end of an arrow: a tip, or a cross."""
    kind = kind.replace(" answer", "")
    if is_lost:
        return f'<path class="{kind}" d="M{x - 5},{y - 5} l10,10 M{x - 5},{y + 5} l10,-10"/>'
    return f'<path class="{kind}" d="M{x - 7 * way},{y - 4} L{x},{y} L{x - 7 * way},{y + 4}"/>'
