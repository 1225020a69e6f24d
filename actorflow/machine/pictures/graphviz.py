"""Graphviz's text of a chart, and the SVG that its program `dot` makes of it."""

from __future__ import annotations

import html
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from actorflow.errors import ActorflowError
from actorflow.machine.definition.chart import HISTORY, ROOT, Chart, StateNode
from actorflow.machine.definition.reachability import check_targets
from actorflow.machine.pictures.labels import arrows, lines_within, marked, title, transition_label

INDENT = "    "
HEAD = """\
    compound=true;
    fontname="sans-serif"; style=rounded;
    node [shape=box, style="rounded,filled", fillcolor=white, fontname="sans-serif", fontsize=12];
    edge [fontname="sans-serif", fontsize=10];"""
ACTIVE = {"fillcolor": '"#ffe08a"', "color": '"#b26a00"', "penwidth": "2"}
PROGRAMS = ("dot", "graphviz-pure")
SECONDS = 30  # for `dot` to lay out a picture; 400 states with 800 arrows took it 14


def dot(chart: Chart, *, active: Collection[str] = ()) -> str:
    """Write a chart for Graphviz: compound states are clusters, regions of parallel states dashed ones.

    Args:
        chart: the chart to draw.
        active: names of states to mark, such as an interpreter's `configuration`.

    >>> from actorflow.machine.definition.chart import StateNode, Transition
    >>> root = StateNode("", "compound", children=("off", "on"), initial=Transition("", targets=("off",)))
    >>> off = StateNode("off", transitions=(Transition("off", ("press",), ("on",)),))
    >>> print(dot(Chart("lamp", {"": root, "off": off, "on": StateNode("on")})).splitlines()[-2])
        "off" -> "on" [label=<press>];
    """
    check_targets(chart)
    return "\n".join(_Graph(chart, active).lines()) + "\n"


def svg(chart: Chart, *, active: Collection[str] = ()) -> str:
    """Draw a chart with Graphviz.

    Raises:
        ActorflowError: Graphviz is not installed, failed, or took too long.
    """
    return draw(dot(chart, active=active), chart.name)


def draw(text: str, name: str) -> str:
    """Have Graphviz lay out a text of its language, as SVG.

    Its program `dot` is taken, else `graphviz-pure`, which comes with the package of that name.

    Args:
        text: a graph in Graphviz's language.
        name: the picture's name in errors.

    Raises:
        ActorflowError: Graphviz is not installed, failed, or took too long.
    """
    program = next(filter(None, map(find_program, PROGRAMS)), None)
    if program is None:
        raise ActorflowError(
            f"no Graphviz here to draw {name!r} with: install it (apt install graphviz, brew install graphviz, or "
            "pip install graphviz-pure), or take a text form, which needs none: mermaid or dot"
        )
    try:
        run = subprocess.run(  # noqa: S603 - a program of that name on the PATH
            [program, "-Tsvg"],
            input=text.encode(errors="replace"),
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ActorflowError(
            f"Graphviz did not draw {name!r} within {SECONDS} s: draw a part of the chart, or take mermaid"
        ) from None
    if run.returncode:
        raise ActorflowError(f"Graphviz cannot draw {name!r}: {run.stderr.decode(errors='replace').strip()}")
    return run.stdout.decode()


def find_program(name: str) -> str | None:
    """Find a program on the PATH, or beside the interpreter, where pip puts it."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


class _Graph:
    def __init__(self, chart: Chart, active: Collection[str]) -> None:
        self.chart = chart
        self.active = marked(chart, active)

    def lines(self) -> Iterator[str]:
        root = self.chart.states[ROOT]
        yield f"digraph {quote(self.chart.name)} {{"
        yield HEAD
        # The root is drawn only if there is something to say about it.
        for line in self._cluster(root) if root.transitions or lines_within(root) else self._scope(root):
            yield INDENT + line
        for node in self.chart.states.values():
            for transition, target in arrows(node):
                label = transition_label(transition)
                yield f"{INDENT}{self._arrow(self._anchor(node), node, self.chart.states[target], label)}"
        yield "}"

    def _scope(self, node: StateNode) -> Iterator[str]:
        """Write the inside of a state: its states, and the dot where it begins."""
        for name in node.children:
            child = self.chart.states[name]
            yield from self._cluster(child) if child.children else [f"{quote(name)} {self._look(child)};"]
        if node.initial is not None:
            begin = self._free(f"begin {node.name}")
            yield f'{begin} [shape=circle, width=0.15, label="", fillcolor=black];'
            for target in node.initial.targets:
                yield self._arrow(begin, None, self.chart.states[target], transition_label(node.initial))

    def _cluster(self, node: StateNode) -> Iterator[str]:
        yield f"subgraph {self._cluster_name(node)} {{"
        style = "dashed" if self.chart.states[node.parent].kind == "parallel" and node.name != ROOT else "rounded"
        attributes = {"label": _table(title(self.chart, node), lines_within(node)), "style": style}
        if node.name in self.active:
            attributes |= {"color": ACTIVE["color"], "penwidth": ACTIVE["penwidth"]}
        yield from (f"{INDENT}{name}={value};" for name, value in attributes.items())
        # Arrows run between nodes only: those of a cluster begin and end at this point, and are cut at its border.
        yield f"{INDENT}{self._anchor(node)} [shape=point, width=0.05, style=invis];"
        for line in self._scope(node):
            yield INDENT + line
        yield "}"

    def _look(self, node: StateNode) -> str:
        """Write the attributes of a state without children."""
        name = title(self.chart, node)
        attributes = {"label": _table(name, lines_within(node))}
        if node.kind in HISTORY:
            attributes = {"label": f"<{name}>", "shape": "circle", "width": "0.3", "margin": "0"}
        elif node.kind == "final":
            attributes["peripheries"] = "2"
        if node.name in self.active:
            attributes |= ACTIVE
        return f"[{', '.join(f'{key}={value}' for key, value in attributes.items())}]"

    def _arrow(self, tail: str, source: StateNode | None, target: StateNode, label: str) -> str:
        attributes = {}
        if label:
            attributes["label"] = f"<{_text(label)}>"
        # Where one end is inside of the other, there is no border to cut at.
        if source is not None and source.children and not self._is_in(target, source):
            attributes["ltail"] = self._cluster_name(source)
        if target.children and not (source is not None and self._is_in(source, target)):
            attributes["lhead"] = self._cluster_name(target)
        looks = f" [{', '.join(f'{key}={value}' for key, value in attributes.items())}]" if attributes else ""
        return f"{tail} -> {self._anchor(target)}{looks};"

    def _is_in(self, node: StateNode, outer: StateNode) -> bool:
        return node.name == outer.name or self.chart.is_within(node.name, outer.name)

    def _anchor(self, node: StateNode) -> str:
        return self._free(f"anchor {node.name}") if node.children else quote(node.name)

    def _free(self, id_: str) -> str:
        """Make an id that no state has."""
        while id_ in self.chart.states:
            id_ = f"'{id_}"
        return quote(id_)

    def _cluster_name(self, node: StateNode) -> str:
        return quote(f"cluster {node.name}")


def _table(name: str, lines: list[str]) -> str:
    """Write a label of Graphviz's HTML: the name, and below a line the hooks and rules inside."""
    if not lines:
        return f"<{_text(name)}>"
    rows = "".join(f'{_text(line)}<br align="left"/>' for line in lines)
    return f'<<table border="0" cellspacing="0"><tr><td>{_text(name)}</td></tr><hr/><tr><td>{rows}</td></tr></table>>'


def _text(text: str) -> str:
    """Escape text for a label; control characters are not allowed in its XML at all."""
    return html.escape("".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text))


def quote(name: str) -> str:
    r"""Write an id of Graphviz.

    >>> print(quote('say "hi"'))
    "say \"hi\""
    """
    name = name.encode(errors="backslashreplace").decode()  # half a surrogate pair, which no file takes
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
