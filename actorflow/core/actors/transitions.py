"""Transitions: subscriptions to those of a state machine, by refs and by functions."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actorflow.core.actors.function_actor import FunctionActor
from actorflow.core.messages.messages import Call
from actorflow.core.refs.ref import ActorRef
from actorflow.errors import ActorDeadError, DefinitionError
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.running.children import Children


class RecordSubscription:
    """A subscription to the transitions of one machine; `cancel` ends it."""

    __slots__ = ("_machine", "_own", "_receiver")

    def __init__(self, machine: ActorRef[Any], receiver: ActorRef[Any], *, own: bool) -> None:
        self._machine = machine
        self._receiver = receiver
        self._own = own

    def cancel(self) -> None:
        """Deliver no more transitions. Transitions queued at the subscriber still arrive."""
        with contextlib.suppress(ActorDeadError):  # then nothing more will come
            self._machine._send(Call("_unsubscribe", (self._receiver,), {}), None)
        if self._own and self._receiver.is_alive():
            self._receiver.stop(block=False)


def subscribe(machine: ActorRef[Any], to: ActorRef[Any] | Callable[[Any], Any]) -> RecordSubscription:
    """Have a machine tell a ref, or an actor made for the function, of each transition from now on."""
    if isinstance(to, ActorRef):
        receiver, own = to, False
    else:
        check_function(to)
        receiver, own = root_of(machine).spawn(FunctionActor._traits, (to,), {}), True
    machine._send(Call("_subscribe", (receiver,), {}), None)
    return RecordSubscription(machine, receiver, own=own)


def check_function(to: Any) -> None:
    """Refuse a subscriber that cannot be called, or whose calls would only make coroutines."""
    if not callable(to):
        msg = f"subscribe({text_of(to)}): give a ref or a function"
        raise DefinitionError(msg)
    if inspect.iscoroutinefunction(to):
        msg = f"subscribe({text_of(to)}): nobody would await it; subscribe an actor with an async on_receive"
        raise DefinitionError(msg)


def root_of(ref: ActorRef[Any]) -> Children:
    """Return the children of the system that the actor is in."""
    children = ref._parent
    while children.owner is not None:
        children = children.owner._parent
    return children


ActorRef._subscribe = staticmethod(subscribe)
