"""Invocations: the children of active states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.machine.running.event import Event
from actorflow.machine.running.pending import Pending, pending_of
from actorflow.machine.running.steps.failures import FAILED, guarded

if TYPE_CHECKING:
    from actorflow.machine.running.interpreter import Interpreter


def start_children(machine: Interpreter, pending: Pending) -> bool:
    """Start the children of states that were entered and not left again: at the end of a macrostep."""
    invoking, pending.invoking = pending.invoking, []
    for name, invoke in invoking:
        try:
            child = machine._platform.start_child(machine, invoke)
        except Exception as error:  # noqa: BLE001 - the chart may handle it
            pending.internal.append(Event(FAILED, (error,), kind="platform", invokeid=invoke.id))
        else:
            pending.children[name, invoke.id] = (invoke, child)
    return bool(pending.internal)


def pass_on(machine: Interpreter, event: Event) -> None:
    """Serve invoked children at an external event: finalize, autoforward (appendix D, `mainEventLoop`)."""
    for invoke, child in list(pending_of(machine).children.values()):
        if invoke.finalize is not None and invoke.id == event.invokeid:
            function = machine._program.function(invoke.finalize)
            assert function is not None
            guarded(machine, function, event.args)
        if invoke.autoforward:
            machine._platform.forward(child, event)


def end_children_of(machine: Interpreter, name: str) -> None:
    """End the children of a state that is left; those it was about to invoke are not started."""
    pending = pending_of(machine)
    for invoke in machine._program.invokes_of(name):
        _, child = pending.children.pop((name, invoke.id), (None, None))
        if child is not None and machine._platform.end_child(child):
            pending.ended.append(child)
    pending.invoking = [one for one in pending.invoking if one[0] != name]


def drop_child(machine: Interpreter, child: Any) -> None:
    """Forget a child that has ended, and see to its end."""
    children = pending_of(machine).children
    for key, (_, token) in list(children.items()):
        if token == child:
            del children[key]
            machine._platform.end_child(child)


def child_ended(machine: Interpreter, child: Any, event: Event) -> None:
    """Handle the news of a child's end, unless its state was left before that end."""
    pending = machine._pending
    was_first = pending is not None and child in pending.ended
    if pending is not None and was_first:
        pending.ended.remove(child)
    if was_first or machine.invokeid_of(child) is not None:
        try:
            machine.send_event(event)
        finally:
            drop_child(machine, child)
