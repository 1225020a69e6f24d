"""Draft: a chart while it is being written, and how it becomes one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from actorflow.errors import DefinitionError
from actorflow.machine.definition.chart import HISTORY, ROOT, Chart, Hook, Invoke, Kind, Order, StateNode, Transition


@dataclass(slots=True)
class Draft:
    """One state of a chart that is being written; the fields are those of `StateNode`."""

    name: str
    parent: str = ROOT
    kind: Kind | None = None  # None: compound if there are states within, else atomic
    initial: Transition | None = None
    enter: list[Hook] = field(default_factory=list)
    exit: list[Hook] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    defer: list[str] = field(default_factory=list)
    invoke: list[Invoke] = field(default_factory=list)
    donedata: Hook | None = None

    def node(self, children: tuple[str, ...]) -> StateNode:
        """Return the state as it will stay."""
        return StateNode(
            self.name,
            self.kind or ("compound" if children else "atomic"),
            self.parent,
            children,
            self.initial,
            tuple(self.enter),
            tuple(self.exit),
            tuple(self.transitions),
            tuple(self.defer),
            tuple(self.invoke),
            self.donedata,
        )


def freeze(
    name: str, root: Draft, drafts: Iterable[Draft], *, order: Order = "action first", version: int = 1
) -> Chart:
    """Make the chart: parents before children, children as they were written.

    Raises:
        DefinitionError: a parent is missing, or states are within each other.
    """
    by_name = {draft.name: draft for draft in drafts}
    children: dict[str, list[str]] = {ROOT: [], **{state: [] for state in by_name}}
    for draft in by_name.values():
        if draft.parent not in children:
            raise DefinitionError(
                f"{name}: state {draft.name!r} is in {draft.parent!r}, which is no state of the chart"
            )
        children[draft.parent].append(draft.name)
    root.kind = "compound"
    nodes = {draft.name: draft.node(tuple(children[draft.name])) for draft in _in_order(root, by_name, children)}
    if astray := [state for state in by_name if state not in nodes]:
        raise DefinitionError(f"{name}: states are within each other: {', '.join(astray)}; give one another parent")
    return Chart(name, nodes, order, version)


def _in_order(root: Draft, by_name: dict[str, Draft], children: dict[str, list[str]]) -> Iterator[Draft]:
    todo = [root]
    while todo:
        draft = todo.pop()
        yield draft
        todo += [by_name[child] for child in reversed(children[draft.name])]


def complete_history(history: Draft, drafts: dict[str, Draft]) -> None:
    """Let a history without a default enter the states that its parent enters by default."""
    parent = drafts.get(history.parent)
    if parent is None:
        return
    if parent.kind == "parallel":
        regions = (draft.name for draft in drafts.values() if draft.parent == parent.name)
        targets = tuple(name for name in regions if drafts[name].kind not in HISTORY)
    else:
        targets = parent.initial.targets if parent.initial is not None else ()
    if targets:
        history.initial = Transition(history.name, targets=targets)
