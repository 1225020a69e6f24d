"""Mermaid: a chart as a `stateDiagram-v2`, which GitHub and most wikis draw."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from actorflow.machine.definition.chart import HISTORY, ROOT, Chart, StateNode
from actorflow.machine.definition.reachability import check_targets
from actorflow.machine.pictures.labels import arrows, lines_within, marked, title, transition_label

INDENT = "    "
ACTIVE = "classDef active fill:#ffe08a,stroke:#b26a00,stroke-width:3px"

# Ids that Mermaid reads as keywords, or makes itself of another state's id, or finds in each object of JavaScript.
TAKEN = re.compile(
    r"(state|statediagram|note|class|classdef|default|style|click|href|scale|hide|as|acctitle|accdescr|.*direction"
    r"|root|.*_start|.*_end|constructor|hasownproperty|isprototypeof|propertyisenumerable|to(locale)?string|valueof"
    r"|[^a-z].*|)",
    re.IGNORECASE,
)
# What Mermaid's lexer would take for its own in a label, or Markdown, through which all labels go.
SPECIAL = re.compile(
    r"(?<=direction) |(?<=end) (?=note)|^\d+[.)]|(?<![a-z0-9])_|_(?![a-z0-9])|[^\w ,./()\[\]=]|[ﬂ¶]", re.IGNORECASE
)


def mermaid(chart: Chart, *, active: Collection[str] = ()) -> str:
    """Write a chart as a Mermaid diagram.

    Args:
        chart: the chart to draw.
        active: names of states to mark, such as an interpreter's `configuration`.

    >>> from actorflow.machine.definition.chart import StateNode, Transition
    >>> root = StateNode("", "compound", children=("off", "on"), initial=Transition("", targets=("off",)))
    >>> off = StateNode("off", transitions=(Transition("off", ("press",), ("on",)),))
    >>> print(mermaid(Chart("lamp", {"": root, "off": off, "on": StateNode("on")})), end="")
    stateDiagram-v2
        [*] --> off
        off
        on
        off --> on : press
    """
    check_targets(chart)
    return "\n".join(_Diagram(chart).lines(active)) + "\n"


class _Diagram:
    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.ids = _ids(chart)

    def lines(self, active: Collection[str]) -> Iterator[str]:
        root = self.chart.states[ROOT]
        # The root is drawn only if there is something to say about it.
        framed = root.transitions or lines_within(root)
        yield "stateDiagram-v2"
        for line in self._state(root) if framed else self._scope(root):
            yield INDENT + line
        # Mermaid puts a state into the scope that names it last, the outermost excepted: arrows over borders go there.
        for node in self.chart.states.values():
            for line in self._arrows(node, between_siblings=False):
                yield INDENT + line
        if ids := [self.ids[name] for name in marked(self.chart, active)]:
            yield INDENT + ACTIVE
            yield f"{INDENT}class {','.join(ids)} active"

    def _state(self, node: StateNode) -> Iterator[str]:
        """Declare one state, with all that is within."""
        name, id_, within = self._title(node), self.ids[node.name], [escape(line) for line in lines_within(node)]
        if node.children:
            yield f"state {id_} {{" if name == id_ else f'state "{name}" as {id_} {{'
            for line in self._scope(node):
                yield INDENT + line
            yield "}"
            if within:
                yield f"note right of {id_}"
                yield f"{INDENT}{'<br/>'.join(within)}"
                yield "end note"
            return
        yield id_ if name == id_ and not within else f'state "{name}" as {id_}'
        for line in within:
            yield f"{id_} : {line}"
        if node.kind == "final":
            yield f"{id_} --> [*]"

    def _scope(self, node: StateNode) -> Iterator[str]:
        """Write the inside of a state: where it begins, its states, and the arrows between them."""
        for target in node.initial.targets if node.initial else ():
            assert node.initial is not None
            yield f"[*] --> {self.ids[target]}{_label(transition_label(node.initial))}"
        children = [self.chart.states[name] for name in node.children]
        children.sort(
            key=lambda child: child.kind not in HISTORY
        )  # a history is in the first region, it is none itself
        regions = 0
        for child in children:
            if node.kind == "parallel" and regions:
                yield "--"
            regions += child.kind not in HISTORY
            yield from self._state(child)
        for child in children:
            yield from self._arrows(child, between_siblings=True)

    def _arrows(self, node: StateNode, *, between_siblings: bool) -> Iterator[str]:
        for transition, target in arrows(node):
            if self._siblings(node, self.chart.states[target]) is between_siblings:
                yield f"{self.ids[node.name]} --> {self.ids[target]}{_label(transition_label(transition))}"

    def _siblings(self, one: StateNode, other: StateNode) -> bool:
        """Say whether two states stand in the same scope; regions of a parallel state have one each."""
        same = one.parent == other.parent and ROOT not in {one.name, other.name}
        return same and self.chart.states[one.parent].kind != "parallel"

    def _title(self, node: StateNode) -> str:
        name = title(self.chart, node)
        return escape(f"[{name}]" if node.kind in HISTORY else name).replace("[", "#91;")


def _ids(chart: Chart) -> dict[str, str]:
    """Give each state an id that Mermaid can read: its own name where possible."""
    ids: dict[str, str] = {}
    taken: set[str] = set()
    for name in chart.states:
        wanted = re.sub(r"\W", "_", name or chart.name, flags=re.ASCII)
        if TAKEN.fullmatch(wanted):
            wanted = f"s_{wanted}_"
        id_, number = wanted, 1
        while id_ in taken:
            number += 1
            id_ = f"{wanted}_{number}"
        taken.add(id_)
        ids[name] = id_
    return ids


def _label(text: str) -> str:
    return f" : {escape(text)}" if text else ""


def escape(text: str) -> str:
    """Write characters special to Mermaid as numeric entities.

    >>> escape("1. x; _y_ [a < b]")
    '#49;#46; x#59; #95;y#95; [a #60; b]'
    """
    return SPECIAL.sub(lambda found: "".join(f"#{ord(letter)};" for letter in found[0]), text)
