"""Flowchart: boxes, some of them in frames, and the arrows between them, as text for Mermaid and for Graphviz."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from actorflow.machine.pictures.graphviz import quote
from actorflow.machine.pictures.labels import clip
from actorflow.machine.pictures.mermaid import INDENT, escape

SHAPES: Final = {  # of a kind of box: around its text in Mermaid, its attributes in Graphviz, its colours in both
    "event": ('(["{}"])', 'shape=box, style="rounded,filled"', "#e8eaf6", "#3949ab"),
    "failure": ('(["{}"])', 'shape=box, style="rounded,filled"', "#ffcdd2", "#c62828"),
    "undo": ('(["{}"])', 'shape=box, style="rounded,filled"', "#ffe0b2", "#b26a00"),
    "step": ('["{}"]', "shape=box, style=filled", "#ffffff", "#616161"),
    "outside": ('[/"{}"/]', "shape=parallelogram, style=filled", "#eeeeee", "#616161"),
}
HEAD: Final = """\
    rankdir=LR;
    fontname="sans-serif";
    node [fontname="sans-serif", fontsize=12];
    edge [fontname="sans-serif", fontsize=10];"""


@dataclass(slots=True)
class BoxFrame:
    """A frame around boxes: a service, or a saga.

    Attributes:
        title: its text.
        boxes: the keys of the boxes in it.
    """

    title: str
    boxes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ArrowLine:
    """An arrow from a box to another.

    Attributes:
        source: the key of the box where it begins.
        target: the key of the box where it ends.
        label: its text.
        is_dotted: it is not always gone.
    """

    source: str
    target: str
    label: str = ""
    is_dotted: bool = False


class Flowchart:
    """Boxes, frames around some of them, and arrows; drawn in the order in which they were added."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._boxes: dict[str, tuple[str, str]] = {}  # by key: the text and the kind
        self._frames: dict[str, BoxFrame] = {}
        self._arrows: dict[ArrowLine, None] = {}

    def box(self, key: str, text: str, kind: str, frame: str | None = None) -> str:
        """Add a box, unless it is there, and return its key; `frame` is the key of the one around it."""
        if key not in self._boxes:
            self._boxes[key] = (text, kind)
            if frame is not None:
                self._frames[frame].boxes.append(key)
        return key

    def frame(self, key: str, title: str) -> str:
        """Add a frame, and return its key."""
        self._frames.setdefault(key, BoxFrame(title))
        return key

    def arrow(self, source: str, target: str, label: str = "", *, is_dotted: bool = False) -> None:
        """Add an arrow, unless it is there."""
        self._arrows[ArrowLine(source, target, label, is_dotted)] = None

    # --- its forms ---------------------------------------------------------------------------------------------------

    def mermaid(self) -> str:
        """Return the text for Mermaid.

        >>> chart = Flowchart("shop")
        >>> chart.arrow(
        ...     chart.box("p", "orders.placed", "event"), chart.box("c", "charge", "step", chart.frame("s", "Payments"))
        ... )
        >>> print(chart.mermaid(), end="")
        flowchart LR
            n0(["orders.placed"])
            subgraph f0["Payments"]
                n1["charge"]
            end
            n0 --> n1
            classDef event fill:#e8eaf6,stroke:#3949ab
            class n0 event
            classDef step fill:#ffffff,stroke:#616161
            class n1 step
        """
        ids = {key: f"n{number}" for number, key in enumerate(self._boxes)}
        lines = ["flowchart LR"]
        lines += [f"{INDENT}{self._mermaid_box(key, ids)}" for key in self._free()]
        for number, frame in enumerate(self._frames.values()):
            lines.append(f'{INDENT}subgraph f{number}["{escape(clip(frame.title))}"]')
            lines += [f"{INDENT * 2}{self._mermaid_box(key, ids)}" for key in frame.boxes]
            lines.append(f"{INDENT}end")
        for arrow in self._arrows:
            line = "-.->" if arrow.is_dotted else "-->"
            label = f'|"{escape(clip(arrow.label))}"|' if arrow.label else ""
            lines.append(f"{INDENT}{ids[arrow.source]} {line}{label} {ids[arrow.target]}")
        for kind, (_, _, fill, stroke) in SHAPES.items():
            of_kind = [ids[key] for key, (_, one) in self._boxes.items() if one == kind]
            if of_kind:
                lines.append(f"{INDENT}classDef {kind} fill:{fill},stroke:{stroke}")
                lines.append(f"{INDENT}class {','.join(of_kind)} {kind}")
        return "\n".join(lines) + "\n"

    def dot(self) -> str:
        """Return the text for Graphviz."""
        return "\n".join(self._dot_lines()) + "\n"

    def svg(self) -> str:
        """Return the picture as Graphviz draws it.

        Raises:
            ActorflowError: Graphviz is not installed, failed, or took too long.
        """
        from actorflow.machine.pictures.graphviz import draw  # noqa: PLC0415 - it starts a process: seldom wanted

        return draw(self.dot(), self.name)

    def _free(self) -> Iterator[str]:
        framed = {key for frame in self._frames.values() for key in frame.boxes}
        return (key for key in self._boxes if key not in framed)

    def _mermaid_box(self, key: str, ids: dict[str, str]) -> str:
        text, kind = self._boxes[key]
        return ids[key] + SHAPES[kind][0].format(escape(clip(text)) or " ")

    def _dot_lines(self) -> Iterator[str]:
        yield f"digraph {quote(self.name)} {{"
        yield HEAD
        for key in self._free():
            yield f"{INDENT}{self._dot_box(key)}"
        for number, frame in enumerate(self._frames.values()):
            yield f"{INDENT}subgraph cluster_{number} {{"
            yield f"{INDENT * 2}label={text_label(frame.title)}; style=rounded;"
            for key in frame.boxes:
                yield f"{INDENT * 2}{self._dot_box(key)}"
            yield f"{INDENT}}}"
        for arrow in self._arrows:
            looks = [f"label={text_label(arrow.label)}"] if arrow.label else []
            looks += ["style=dashed"] if arrow.is_dotted else []
            tail = f" [{', '.join(looks)}]" if looks else ""
            yield f"{INDENT}{quote(arrow.source)} -> {quote(arrow.target)}{tail};"
        yield "}"

    def _dot_box(self, key: str) -> str:
        text, kind = self._boxes[key]
        _, shape, fill, stroke = SHAPES[kind]
        return f'{quote(key)} [label={text_label(text)}, {shape}, fillcolor="{fill}", color="{stroke}"];'


def text_label(text: str) -> str:
    r"""Return a label for Graphviz, without escapes such as `\N`, and without control characters."""
    return quote("".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in clip(text)))
