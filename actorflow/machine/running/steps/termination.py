"""Termination: a final state at the top is reached. Appendix D's `exitInterpreter`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.machine.running.steps.failures import FAILED, guarded
from actorflow.machine.running.steps.timers import cancel_timer

if TYPE_CHECKING:
    from actorflow.machine.running.interpreter import Interpreter


def terminate(machine: Interpreter) -> None:
    """End a machine at a final state at the top: timers, children and waiting events. SCXML exits active states."""
    pending = machine._pending
    if machine._program.scxml:
        chart = machine.chart
        for name in reversed(chart.in_order(machine._configuration.names)):
            for hook in machine._program.functions(chart.states[name].exit):
                guarded(machine, hook, ())
    if pending is None:
        return
    if machine._program.scxml:
        pending.external.clear()
    for key in list(pending.timers):
        cancel_timer(machine, key)
    children, pending.children = pending.children, {}
    for _, child in children.values():
        machine._platform.end_child(child)
    pending.internal.clear()
    pending.invoking.clear()


def failure_at_end(machine: Interpreter) -> Exception | None:
    """Return the error of an enter of the final state: nothing can handle it any more."""
    if machine._program.scxml or machine._pending is None:
        return None
    errors = (event.data for event in machine._pending.internal if event.name == FAILED)
    return next((error for error in errors if isinstance(error, Exception)), None)


def donedata(machine: Interpreter) -> Any:
    """Ask the active final state at the top for its data."""
    chart = machine.chart
    for name in machine._configuration.names:
        node = chart.states[name]
        if node.kind == "final" and node.parent == "" and node.donedata is not None:
            function = machine._program.function(node.donedata)
            assert function is not None
            return function(machine.model)
    return None
