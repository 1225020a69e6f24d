"""State machines: charts, and their interpreters, with or without an actor.

Read in this order: `chart` (the parts of a chart), `sets` (the states that a step exits and enters: the algorithm of
the SCXML recommendation), `configuration` and `program` (a chart ready to run, each step worked out once),
`interpreter` and `steps` (one instance), then `rules`, `direct` and `declare` (the class form), `actor`, `surroundings`
and `state_machine` (the actor), `local` (a machine without one). Other ways to write a chart: `builder`, `mapping`,
`scxml`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from actorflow.machine.actor import ChartActor
from actorflow.machine.chart import Chart, Hook, Invoke, StateNode, Transition
from actorflow.machine.checks import ChartWarning
from actorflow.machine.event import Event, Record
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
