"""Transition sets: which states a set of transitions exits and enters.

The algorithm of the SCXML recommendation, appendix D (W3C, 1 September 2015), function by function, on names of states.
It runs once for each step that a chart can take (see `program`), so it is written to be read, not to be quick.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from actorflow.machine.definition.chart import HISTORY, ROOT, Chart, StateNode, Transition

Remembered = Mapping[str, tuple[str, ...]]  # the contents of each history state


class ExitSet:
    """The states that a set of transitions exits: appendix D's `exitStates`, less the functions that it calls.

    Attributes:
        states: names of the states to exit.
        in_order: the same, inside out.
        remembered: the contents of history states within them from now on.
    """

    def __init__(
        self, chart: Chart, active: frozenset[str], transitions: Iterable[Transition], remembered: Remembered
    ) -> None:
        self.states = exited(chart, active, transitions, remembered)
        self.in_order = tuple(reversed(chart.in_order(self.states)))
        self.remembered = remembered_at_exit(chart, active, self.in_order)


class EntrySet:
    """Collects the states to enter: appendix D's `computeEntrySet` and the two functions under it.

    Attributes:
        states: names of the states to enter.
        defaults: transitions whose actions run after a state's own at enter: of its initial, of a history within it.
        consulted: names of the history states that were looked at.

    Args:
        chart: the definition.
        before: the contents of history states when the transitions were chosen. Each is exited and entered within one
            and the same domain, by this; with appendix D's second look, after the exits, a parallel state drops out if
            a transition to its own history leaves it.
        remembered: their contents after the exits.
    """

    def __init__(self, chart: Chart, before: Remembered, remembered: Remembered) -> None:
        self.chart = chart
        self.before = before
        self.remembered = remembered
        self.states: set[str] = set()
        self.defaults: dict[str, list[Transition]] = {}
        self.consulted: list[str] = []

    def add(self, transitions: Iterable[Transition]) -> None:
        """Add the states that the transitions enter."""
        for transition in transitions:
            outer = domain(self.chart, transition, self.before)
            for name in transition.targets:
                self._with_descendants(self.chart.states[name])
            for name in effective_targets(self.chart, transition, self.remembered):
                self._with_ancestors(name, outer)

    def _with_descendants(self, node: StateNode) -> None:
        if node.kind in HISTORY:
            self.consulted.append(node.name)
            names = self.remembered.get(node.name)
            if names is None and node.initial is not None:
                self.defaults.setdefault(node.parent, []).append(node.initial)
                names = node.initial.targets
            self._all_within(names or (), node.parent)
            return
        self.states.add(node.name)
        if node.kind == "compound" and node.initial is not None:
            if node.initial.actions:
                self.defaults.setdefault(node.name, []).insert(0, node.initial)
            self._all_within(node.initial.targets, node.name)
        elif node.kind == "parallel":
            self._regions(node)

    def _all_within(self, names: Iterable[str], outer: str) -> None:
        for name in names:
            self._with_descendants(self.chart.states[name])
        for name in names:
            self._with_ancestors(name, outer)

    def _with_ancestors(self, name: str, outer: str) -> None:
        for node in self.chart.ancestors(name):
            if node.name == outer:
                return
            self.states.add(node.name)
            if node.kind == "parallel":
                self._regions(node)

    def _regions(self, node: StateNode) -> None:
        begun = {self._child_around(name, node.name) for name in self.states}
        for child in node.children:
            if child not in begun and self.chart.states[child].kind not in HISTORY:
                self._with_descendants(self.chart.states[child])

    def _child_around(self, name: str, outer: str) -> str | None:
        """Return the child of `outer` that a state is, or is in; None if it is elsewhere."""
        while name != ROOT:
            parent = self.chart.states[name].parent
            if parent == outer:
                return name
            name = parent
        return None


def effective_targets(chart: Chart, transition: Transition, remembered: Remembered) -> list[str]:
    """Return the targets, with each history state replaced by its contents: `getEffectiveTargetStates`."""
    names: dict[str, None] = {}
    for name in transition.targets:
        node = chart.states[name]
        if node.kind not in HISTORY:
            names[name] = None
        elif name in remembered:
            names.update(dict.fromkeys(remembered[name]))
        elif node.initial is not None:
            names.update(dict.fromkeys(effective_targets(chart, node.initial, remembered)))
    return list(names)


def domain(chart: Chart, transition: Transition, remembered: Remembered) -> str:
    """Return the state within which the transition happens: `getTransitionDomain`."""
    targets = effective_targets(chart, transition, remembered)
    source = transition.source
    internal = transition.internal and chart.states[source].kind == "compound"
    if internal and all(chart.is_within(name, source) for name in targets):
        return source
    return common_ancestor(chart, source, targets)


def common_ancestor(chart: Chart, source: str, targets: Sequence[str]) -> str:
    """Return the innermost compound state, or the root, around all of these: `findLCCA`."""
    for node in chart.ancestors(source):
        if node.kind == "compound" and all(chart.is_within(name, node.name) for name in targets):
            return node.name
    return ROOT


def exited(chart: Chart, active: frozenset[str], transitions: Iterable[Transition], remembered: Remembered) -> set[str]:
    """Return the states that the transitions exit: `computeExitSet`."""
    names: set[str] = set()
    for transition in transitions:
        if transition.targets:
            todo = [domain(chart, transition, remembered)]
            while todo:
                inside = active_children(chart, active, todo.pop())
                names.update(inside)
                todo += inside
    return names


def active_children(chart: Chart, active: frozenset[str], name: str) -> list[str]:
    """Return the active states directly within a state."""
    children = chart.states[name].children
    if len(children) < len(active):
        return [child for child in children if child in active]
    return [inner for inner in active if chart.states[inner].parent == name]


def without_conflicts(
    chart: Chart, active: frozenset[str], transitions: Iterable[Transition], remembered: Remembered
) -> list[Transition]:
    """Drop transitions that others preempt, as both would exit the same states: `removeConflictingTransitions`."""
    kept: dict[int, tuple[Transition, set[str]]] = {}  # with the states that each exits
    exited_by: dict[str, int] = {}
    for number, transition in enumerate(transitions):
        exits = exited(chart, active, [transition], remembered)
        rivals = {exited_by[name] for name in exits if name in exited_by}
        if all(chart.is_within(transition.source, kept[rival][0].source) for rival in rivals):
            for rival in rivals:
                for name in kept.pop(rival)[1]:
                    del exited_by[name]
            kept[number] = (transition, exits)
            exited_by.update(dict.fromkeys(exits, number))
    return [transition for transition, _ in kept.values()]


def remembered_at_exit(chart: Chart, active: Iterable[str], exits: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the contents of history states within exited states from now on."""
    values = {}
    for name in exits:
        for child in chart.states[name].children:
            kind = chart.states[child].kind
            if kind == "shallow":
                held = [inner for inner in active if chart.states[inner].parent == name]
            elif kind == "deep":
                held = [inner for inner in active if is_atomic(chart, inner) and chart.is_within(inner, name)]
            else:
                continue
            values[child] = tuple(chart.in_order(held))
    return values


def within(chart: Chart, name: str) -> frozenset[str]:
    """Return all states within a state."""
    found: list[str] = []
    todo = [name]
    while todo:
        inner = chart.states[todo.pop()].children
        found += inner
        todo += inner
    return frozenset(found)


def is_atomic(chart: Chart, name: str) -> bool:
    """Say whether a state has none within it."""
    return chart.states[name].kind in {"atomic", "final"}


def is_in_final(chart: Chart, active: frozenset[str], name: str) -> bool:
    """Say whether a state is through: `isInFinalState`."""
    node = chart.states[name]
    children = [child for child in node.children if chart.states[child].kind not in HISTORY]
    if node.kind == "compound":
        return any(chart.states[child].kind == "final" and child in active for child in children)
    if node.kind == "parallel":
        return all(is_in_final(chart, active, child) for child in children)
    return False


def completed(chart: Chart, active: frozenset[str], name: str) -> Iterator[str]:
    """Go through the states that are done as a final state is entered, from inside out.

    A parallel state is done once all its children are (SCXML section 3.4), and it may be the last child of another.
    Appendix D looks at one parallel state only: with two of them, "done" would depend on which child comes last.
    """
    parent = chart.states[chart.states[name].parent]
    if parent.name == ROOT:
        return
    yield parent.name
    outer = chart.states[parent.parent]
    while outer.kind == "parallel" and is_in_final(chart, active, outer.name):
        yield outer.name
        outer = chart.states[outer.parent]


def is_legal(chart: Chart, names: frozenset[str]) -> bool:
    """Say whether these states may be active together (SCXML section 3.11)."""
    parents = all(chart.states[name].parent in ("", *names) for name in names)
    return parents and any(is_atomic(chart, name) for name in names) and _is_full(chart, names, ROOT)


def was_active(chart: Chart, history: str, held: Collection[str]) -> bool:
    """Say whether a history state may hold these states: a legal configuration enters them."""
    node = chart.states[history]
    if not all(chart.is_within(name, node.parent) for name in held):
        return False
    if node.kind == "shallow":
        return _has_its_children(chart, frozenset(held), node.parent) and all(
            chart.states[name].parent == node.parent for name in held
        )
    around = {outer.name for name in held for outer in chart.ancestors(name)}
    names = frozenset(name for name in (*held, *around) if name != ROOT and chart.is_within(name, node.parent))
    return all(is_atomic(chart, name) for name in held) and _is_full(chart, names, node.parent)


def _is_full(chart: Chart, names: frozenset[str], outer: str) -> bool:
    """Say whether a state, and each of the names, has as many active children as its kind asks for."""
    return all(_has_its_children(chart, names, name) for name in (outer, *names))


def _has_its_children(chart: Chart, names: frozenset[str], outer: str) -> bool:
    node = chart.states[outer]
    real = [child for child in node.children if chart.states[child].kind not in HISTORY]
    inside = sum(child in names for child in real)
    if any(child in names for child in node.children if child not in real):
        return False
    return inside == (1 if node.kind == "compound" else len(real) if node.kind == "parallel" else 0)


def matches(pattern: str, event: str) -> bool:
    """Say whether an event's name fits a pattern, token by token (SCXML section 3.12.1).

    >>> matches("error.*", "error.execution"), matches("error", "error.execution"), matches("err", "error")
    (True, True, False)
    """
    pattern = pattern.removesuffix(".*").removesuffix(".")
    return pattern in {"*", event} or event.startswith(f"{pattern}.")
