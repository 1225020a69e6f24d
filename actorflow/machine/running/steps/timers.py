"""Timers: named ones, and the timeouts of states. The platform's clock tells when one is due."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from actorflow.errors import DefinitionError
from actorflow.machine.definition.chart import is_wait
from actorflow.machine.running.event import Event
from actorflow.machine.running.pending import PendingTimer, TimerKey, pending_of
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.machine.running.interpreter import Interpreter


def start_named(machine: Interpreter, name: str, seconds: float, event: Event) -> None:
    """Start a timer that has a name, in place of the one of that name.

    Raises:
        DefinitionError: the name is no text, or the time no number, negative, or for ever.
    """
    if not isinstance(name, str):
        raise DefinitionError(f"a timer is known by its name, and {text_of(name)} is none: give a str")
    if not is_wait(seconds):
        msg = f"timer {name!r} of {text_of(seconds)} seconds: give a number of seconds, 0 or more"
        raise DefinitionError(msg)
    cancel_timer(machine, name)
    start_timer(machine, name, seconds, event)


def start_timer(machine: Interpreter, key: TimerKey, seconds: float, event: Event | None) -> None:
    """Start a timer."""
    add_timer(machine, PendingTimer(key, machine._platform.time() + seconds, event), seconds)


def add_timer(machine: Interpreter, due: PendingTimer, seconds: float) -> None:
    """Start a timer that may have run before, in a snapshot."""
    pending_of(machine).timers[due.key] = due
    due.cancel = machine._platform.add_timer(seconds, partial(machine._fire, due))


def cancel_timer(machine: Interpreter, key: TimerKey) -> bool:
    """Cancel a timer; True if there was one."""
    due = None if machine._pending is None else machine._pending.timers.pop(key, None)
    if due is not None and due.cancel is not None:
        due.cancel()
    return due is not None
