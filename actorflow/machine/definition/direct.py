"""Direct: the method of an event, called on a machine itself: `order.pay(3)`.

Inside the machine, in a handler of its actor or a step of its interpreter, that is the action alone. Outside of one it
would be the action without guard and transition, so it is refused; on a machine made by `local` it is the event.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, TypeVar

from actorflow.core.refs.resolve import UNSTARTED
from actorflow.errors import DefinitionError

F = TypeVar("F", bound=Callable[..., Any])

ACTION: Final = "_machine_action"  # key in the __dict__ of an event's method: the function that the user wrote


def event_method(function: F) -> F:
    """Return the method of an event: the function, where it may be called."""
    if ACTION in function.__dict__:
        return function

    @functools.wraps(function)
    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if is_inside(self):
            return function(self, *args, **kwargs)
        return call_outside(self, function.__name__, args, kwargs)

    method.__dict__[ACTION] = function
    return method  # type: ignore[return-value]


def action_of(function: Any) -> Any:
    """Return the function that the user wrote, for the method of an event; anything else as it is."""
    return getattr(function, "__dict__", {}).get(ACTION, function)


def is_inside(machine: Any) -> bool:
    """Say whether an event of the machine is handled now; never for an object that is no machine, such as a mixin."""
    if not getattr(machine, "_is_machine", False):
        return True
    ref = machine._actor_ref
    if ref is not None and ref._home.key != UNSTARTED:
        return True
    return bool(machine._inside or machine._interpreter._running)


def call_outside(machine: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Send the event to a machine that is local; refuse it for another."""
    if getattr(type(machine), "_is_local", False):  # as in Order.pay(order, 3)
        return getattr(machine, name)(*args, **kwargs)
    cls = type(machine).__name__
    msg = (
        f"{cls}.{name} is an event, and a call on the object itself would run its action alone, without guard and "
        f"transition: make the machine by {cls}.local(...), spawn it and use ref.call({cls}.{name}, ...), or send it "
        f"to the interpreter that runs the object: interpreter.send({name!r}, ...)"
    )
    raise DefinitionError(msg)
