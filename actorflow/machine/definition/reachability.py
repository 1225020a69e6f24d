"""Reachability: which states of a chart can ever be active, and whether its transitions lead to any."""

from __future__ import annotations

from actorflow.errors import DefinitionError
from actorflow.machine.definition.chart import HISTORY, ROOT, Chart, StateNode


def reachable(chart: Chart) -> frozenset[str]:
    """Return the names of the states that some run could enter, guards aside, and of the histories that it could use.

    A transition that chooses its target may lead anywhere, so with one in reach all states are.
    """
    active: set[str] = set()
    whole: set[str] = set()  # states entered by default within others, not only around a target
    todo: list[tuple[str, bool]] = [(ROOT, True)]
    while todo:
        name, by_default = todo.pop()
        if name not in chart.states:
            continue
        node = chart.states[name]
        if by_default and name not in whole:
            whole.add(name)
            todo += [(inner, True) for inner in _default(chart, node)]
        if name in active:
            continue
        active.add(name)
        if any(transition.choose is not None for transition in node.transitions):
            return frozenset(chart.states)
        todo += [(target, True) for transition in node.transitions for target in transition.targets]
        if name != ROOT:
            todo.append((node.parent, chart.states[node.parent].kind == "parallel"))
    return frozenset(active)


def _default(chart: Chart, node: StateNode) -> tuple[str, ...]:
    """Return the states that are entered with a state."""
    if node.kind == "parallel":
        return tuple(child for child in node.children if chart.states[child].kind not in HISTORY)
    return node.initial.targets if node.initial is not None else ()


def check_targets(chart: Chart) -> None:
    """Refuse to run or draw a chart in which something leads nowhere: made at run time, it was only warned of.

    Raises:
        DefinitionError: it does; the text says where.
    """
    for node in chart.states.values():
        for transition in (*node.transitions, *((node.initial,) if node.initial else ())):
            missing = next((target for target in transition.targets if target not in chart.states), None)
            if missing is not None:
                where = f"state {node.name!r}" if node.name else "the start"
                raise DefinitionError(f"chart {chart.name!r}: {where} leads to {missing!r}, and there is no such state")


def check_inside(chart: Chart) -> None:
    """Refuse to run a chart with a state that is entered and leaves nothing active in it.

    Raises:
        DefinitionError: a state has no initial state, or a parallel state no region; the text says where.
    """
    for node in chart.states.values():
        where = f"state {node.name!r}" if node.name else "the chart itself"
        if node.kind == "compound" and not (node.initial and node.initial.targets):
            raise DefinitionError(f"chart {chart.name!r} cannot run: {where} has no initial state")
        if node.kind == "parallel" and not _default(chart, node):
            raise DefinitionError(f"chart {chart.name!r} cannot run: {where} is parallel and has no regions")
