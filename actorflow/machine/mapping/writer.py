"""Writer: a chart as a dict of builtins."""

from __future__ import annotations

from typing import Any

from actorflow.core.actors.child import Child
from actorflow.errors import DefinitionError
from actorflow.machine.definition.chart import HISTORY, ROOT, Chart, Hook, Invoke, StateNode, Transition


def chart_to_dict(chart: Chart) -> dict[str, Any]:
    """Write a chart as a dict of builtins, for JSON. Functions and children are written by name.

    Raises:
        DefinitionError: one name stands for two functions, or a child has no name.
    """
    written = _Writer(chart).state(chart.states[ROOT])
    return {"name": chart.name, "version": chart.version, "order": chart.order, **written}


class _Writer:
    """Writes one chart, and sees to it that a name means one thing."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.named: dict[str, Any] = {}

    def state(self, node: StateNode) -> dict[str, Any]:
        """Write a state with those in it."""
        if node.kind in HISTORY:
            default = {"target": None} if node.initial is None else self._transition(node.initial)
            return {"type": "history", "history": node.kind, **default}
        initial = {} if node.initial is None else self._transition(node.initial)
        written = {
            "type": "" if node.kind == ("compound" if node.children else "atomic") or node.name == ROOT else node.kind,
            "initial": initial["target"] if list(initial) == ["target"] else initial,
            "enter": [self._hook(hook) for hook in node.enter],
            "exit": [self._hook(hook) for hook in node.exit],
            **self._transitions(node),
            "defer": list(node.defer),
            "invoke": [self._invoke(invoke) for invoke in node.invoke],
            "donedata": None if node.donedata is None else self._hook(node.donedata),
            "states": {child: self.state(self.chart.states[child]) for child in node.children},
        }
        return {key: value for key, value in written.items() if value}

    def _transitions(self, node: StateNode) -> dict[str, Any]:
        """Write transitions by their triggers if that keeps their order, else as a list."""
        groups: dict[str, dict[str, list[Transition]]] = {"on": {}, "after": {}, "always": {}}
        for transition in node.transitions:
            key = "on" if transition.events else "always" if transition.after is None else "after"
            name = " ".join(transition.events) if transition.after is None else _seconds(transition.after)
            groups[key].setdefault(name, []).append(transition)
        in_order = [id(each) for group in groups.values() for found in group.values() for each in found]
        events = [event for transition in node.transitions for event in transition.events]
        if in_order != [id(each) for each in node.transitions] or any(event.split() != [event] for event in events):
            return {"transitions": [self._listed(transition) for transition in node.transitions]}
        written: dict[str, Any] = {
            key: {name: [self._transition(each) for each in found] for name, found in group.items()}
            for key, group in groups.items()
        }
        written["always"] = written["always"].get("", [])
        return written

    def _listed(self, transition: Transition) -> dict[str, Any]:
        written: dict[str, Any] = {"event": list(transition.events)} if transition.events else {}
        if transition.after is not None:
            written["after"] = transition.after
        return written | self._transition(transition)

    def _transition(self, transition: Transition) -> dict[str, Any]:
        targets = list(transition.targets)
        written = {
            "target": targets[0] if len(targets) == 1 else targets,
            "guard": None if transition.guard is None else self._hook(transition.guard),
            "actions": [self._hook(hook) for hook in transition.actions],
            "internal": transition.internal,
            "choose": None if transition.choose is None else self._hook(transition.choose),
        }
        return {key: value for key, value in written.items() if value}

    def _invoke(self, invoke: Invoke) -> dict[str, Any]:
        written: dict[str, Any] = {"id": invoke.id, "src": self._child(invoke.child)}
        if invoke.autoforward:
            written["autoforward"] = True
        if invoke.finalize is not None:
            written["finalize"] = self._hook(invoke.finalize)
        return written

    def _child(self, child: Any) -> str | dict[str, Any]:
        if isinstance(child, Chart):
            return chart_to_dict(child)
        name = getattr(child.actor_class if isinstance(child, Child) else child, "__name__", "")
        if not name:
            raise DefinitionError(f"{self.chart.name}: the child {child!r} has no name to be written by")
        return self._one_meaning(name, child)

    def _hook(self, hook: Hook) -> str:
        return self._one_meaning(hook.name, hook.function)

    def _one_meaning(self, name: str, thing: Any) -> str:
        if self.named.setdefault(name, thing) is not thing:
            what = f"both {self.named[name]!r} and {thing!r}".replace("None", "a method of the machine")
            raise DefinitionError(f"{self.chart.name}: {name!r} is the name of {what}; name one of them otherwise")
        return name


def _seconds(seconds: float) -> str:
    return repr(int(seconds) if seconds == int(seconds) else seconds)
