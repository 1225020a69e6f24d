"""Labels: the texts in the pictures, in UML's form: trigger, guard in brackets, actions after a slash."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator

from actorflow.errors import DefinitionError
from actorflow.machine.definition.chart import HISTORY, Chart, StateNode, Transition

LONGEST = 60  # characters of one name: an action of SCXML may be a page of script


def transition_label(transition: Transition) -> str:
    """Write the trigger of a transition, and its actions.

    >>> from actorflow.machine.definition.chart import Hook
    >>> transition_label(Transition("new", ("pay",), ("paid",), Hook("enough"), (Hook("charge"), Hook("log"))))
    'pay [enough] / charge, log'
    >>> transition_label(Transition("new", (), ("dead",), after=1800))
    'after 1800 s'
    """
    parts = [", ".join(clip(event) for event in transition.events)]
    if transition.after is not None:
        parts.append(f"after {transition.after:.10g} s")
    if transition.guard is not None:
        parts.append(f"[{clip(transition.guard.name)}]")
    # In the class form the event's method is the action: "pay / pay" would say it twice.
    actions = [clip(action.name) for action in transition.actions if action.name not in transition.events]
    if actions:
        parts.append(f"/ {', '.join(actions)}")
    if transition.choose is not None:
        parts.append(f"goes where {clip(transition.choose.name)} says")
    return " ".join(part for part in parts if part)


def lines_within(node: StateNode) -> list[str]:
    """Write the actions of a state that do not leave it: its hooks, children and transitions without a target."""
    lines = [f"enter / {clip(hook.name)}" for hook in node.enter]
    lines += [f"exit / {clip(hook.name)}" for hook in node.exit]
    lines += [transition_label(transition) for transition in node.transitions if not transition.targets]
    lines += [f"{clip(event)} / defer" for event in node.defer]
    lines += [f"invoke / {clip(invoke.id)}" for invoke in node.invoke]
    return lines


def title(chart: Chart, node: StateNode) -> str:
    """Write a state's name; "H" and "H*" for the two kinds of history; the chart's name for the root."""
    if node.kind in HISTORY:
        return "H" if node.kind == "shallow" else "H*"
    return clip(node.name or chart.name) or repr(node.name)


def arrows(node: StateNode) -> Iterator[tuple[Transition, str]]:
    """Go through the arrows drawn from a state: each transition with each of its targets.

    The default of a history is one of them; the initial transition of a compound state is none, as it begins at a dot.
    """
    transitions = node.transitions
    if node.kind in HISTORY and node.initial is not None:
        transitions = (node.initial, *transitions)
    for transition in transitions:
        for target in transition.targets:
            yield transition, target


def marked(chart: Chart, active: Collection[str]) -> list[str]:
    """Sort the states to mark in document order.

    Raises:
        DefinitionError: the chart has no such state.
    """
    for name in active:
        if name not in chart.states:
            near = difflib.get_close_matches(name, chart.states, n=1)
            raise DefinitionError(
                f"{chart.name!r} has no state {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            )
    return chart.in_order(active)


def clip(text: str) -> str:
    """Make one line of a name, not too long."""
    text = " ".join(text.encode(errors="replace").decode().split())  # half a surrogate pair is in no picture
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
