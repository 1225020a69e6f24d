"""State machines: charts, and their interpreters, with or without an actor.

For users: `state_machine` (the class form, made of `rules` by `declare`), `mapping` (charts as builtins), `scxml`
(documents), `pictures`. `definition` has the charts themselves, with their builder and their checks; `running` a chart
at work: the interpreter and its steps, snapshots, paths. Around it: `actor` and `actor_platform`, or `local` (a machine
without an actor). `forms` imports the other forms of a chart at first need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from actorflow.core.messages.messages import Record
from actorflow.machine import forms  # noqa: F401 - it has what makes other forms of a chart
from actorflow.machine.actor import ChartActor
from actorflow.machine.definition.chart import Chart, Hook, Invoke, StateNode, Transition
from actorflow.machine.definition.checks import ChartWarning
from actorflow.machine.running.event import Event
from actorflow.machine.running.interpreter import Interpreter
from actorflow.machine.running.stats import MachineStats, machine_capacity
from actorflow.machine.state_machine import StateMachine

if TYPE_CHECKING:
    from actorflow.machine.definition.builder import ChartBuilder
    from actorflow.machine.running.paths import shortest_paths

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


LATER = {"ChartBuilder": "definition.builder", "shortest_paths": "running.paths"}


def __getattr__(name: str) -> Any:
    """Import at first need the modules that few processes use: the builder, and the search for paths."""
    if name not in LATER:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"actorflow.machine.{LATER[name]}"), name)
