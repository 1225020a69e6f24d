"""State machines: charts, and their interpreters, with or without an actor.

For users: `state_machine`, `rules`, `declare` and `direct` (the class form), `builder`, `mapping` (builtins), `scxml`
(documents). The definition: `chart`, of `draft`, with the `hooks` that it calls and the mistakes that `checks` finds;
`initial` (machines that start in a given state), `reachability`, `paths`, `pictures`, and `forms`, which imports what
makes other forms. How it runs: `transition_sets` (the states that a step exits and enters: the algorithm of the SCXML
recommendation), `configuration` and `program` (a chart ready to run, each step worked out once), `interpreter` and
`steps` (one instance), `pending` (its rare fields), `event`, `platform` (what surrounds it), `snapshot`, `pickling`,
`stats`. Around it: `actor` and `actor_platform`, or `local` (a machine without an actor).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from actorflow.core.messages.messages import Record
from actorflow.machine import forms  # noqa: F401 - it has what makes other forms of a chart
from actorflow.machine.actor import ChartActor
from actorflow.machine.chart import Chart, Hook, Invoke, StateNode, Transition
from actorflow.machine.checks import ChartWarning
from actorflow.machine.event import Event
from actorflow.machine.interpreter import Interpreter
from actorflow.machine.state_machine import StateMachine
from actorflow.machine.stats import MachineStats, machine_capacity

if TYPE_CHECKING:
    from actorflow.machine.builder import ChartBuilder
    from actorflow.machine.paths import shortest_paths

__all__ = [
    "Chart",
    "ChartActor",
    "ChartBuilder",
    "ChartWarning",
    "Event",
    "Hook",
    "Interpreter",
    "Invoke",
    "MachineStats",
    "Record",
    "StateMachine",
    "StateNode",
    "Transition",
    "machine_capacity",
    "shortest_paths",
]


LATER = {"ChartBuilder": "builder", "shortest_paths": "paths"}


def __getattr__(name: str) -> Any:
    """Import at first need the modules that few processes use: the builder, and the search for paths."""
    if name not in LATER:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"actorflow.machine.{LATER[name]}"), name)
