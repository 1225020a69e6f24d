"""Failures: errors of a user's function, and events that nothing takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.log import logger
from actorflow.errors import DefinitionError, TransitionRefused
from actorflow.machine.running.event import Event
from actorflow.machine.running.pending import pending_of
from actorflow.machine.running.program import events_of_methods
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.machine.running.interpreter import Interpreter


FAILED: Final = "error.execution"


def guarded(
    machine: Interpreter, function: Callable[..., Any], args: tuple[Any, ...], part: str = "", event: str = ""
) -> Any:
    """Call a function of the user's; its error becomes the event "error.execution"."""
    try:
        return function(machine.model, *args)
    except Exception as error:  # noqa: BLE001 - the chart may handle it
        if part:
            name_part(machine, error, part, event)
        pending_of(machine).internal.append(Event(FAILED, (error,), kind="platform"))
        return None


def name_part(machine: Interpreter, error: Exception, part: str, event: str) -> None:
    """Say in a user's error which part of a transition has failed."""
    at = f"at event {event!r}" if event else "without an event"
    note = f"{machine.chart.name}: {part} failed, {at}, in state {machine.state!r}"
    if note not in getattr(error, "__notes__", ()):  # one object may be raised again and again
        error.add_note(note)


def log_hidden(machine: Interpreter, other: Exception | None, raised: Exception) -> None:
    """Log a failure that another one hides: only one can be raised."""
    if other is not None and other is not raised:
        logger.error("One event failed twice in %s; this is the second time:", machine.chart.name, exc_info=other)


def refusal(machine: Interpreter, event: Event) -> TransitionRefused:
    """Return the error of an event that no transition takes."""
    error = TransitionRefused(machine.state, event.name, machine.legal, machine.chart.name)
    error.refused_by = id(machine._platform.owner)
    return error


def not_for_callers(machine: Interpreter, name: str) -> Exception:
    """Return the error of a call of a method that is a hook, a timeout, or the action of several events."""
    events = events_of_methods(machine.chart).get(name, ())
    if len(events) > 1:
        told = ", ".join(map(repr, events))
        msg = f"{machine.chart.name}.{name} handles {told}, and a call does not say which: send one by its name"
        return DefinitionError(msg)
    return machine.refusal(name)


def not_a_chart(given: object) -> DefinitionError:
    """Return the error of a value that is given in place of a chart, such as the class of a machine."""
    return DefinitionError(
        f"{text_of(given)} is no chart: give one, such as {getattr(given, '__name__', 'Order')}.chart"
    )


def is_own_refusal(machine: Interpreter, error: Exception) -> bool:
    """Say whether this machine has refused the event: an action may have asked another machine, which did."""
    return isinstance(error, TransitionRefused) and error.refused_by == id(machine._platform.owner)
