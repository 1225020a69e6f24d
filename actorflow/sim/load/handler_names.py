"""Handler names: the method of an actor that a message runs, looked up before it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actorflow.core.actors.actor import ProxyCall
from actorflow.core.actors.context import Piped
from actorflow.core.messages.handlers import HANDLERS
from actorflow.core.messages.messages import Call, Sent
from actorflow.core.refs.timers import Timer
from actorflow.durable.rows.answers import PipedAnswer
from actorflow.events.envelope import Envelope
from actorflow.events.handlers import HandlerTable

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef

ANY: Final = "on_receive"


def handler_name(ref: ActorRef[Any], message: Any) -> str | None:
    """Return the name of the method that a message runs; None: it is one of the runtime's own."""
    kind = type(message)
    if kind is Call or kind is Sent:
        name: str = message.name
        return name
    if kind is Timer:
        return message._call.name if message.is_wanted() else None
    if kind is Envelope:
        return event_handler(ref, message.event)
    if kind is Piped or kind is PipedAnswer:
        return str(message.name)
    if kind is ProxyCall:
        return message.attr_path[0] if len(message.attr_path) == 1 else None
    try:
        return None if kind in HANDLERS else ANY
    except BaseException:  # noqa: BLE001 - the class of a user's message may have a metaclass whose hash raises
        return ANY


def event_handler(ref: ActorRef[Any], event: Any) -> str:
    """Return the name of the handler that an event runs; a guard is asked, if there is one."""
    table: HandlerTable | None = getattr(ref.actor_class, "_handler_table", None)
    if table is None:
        return ANY
    rules = table.rules_for(type(event))
    if len(rules) > 1:
        try:
            rule = table.find(event, ref._actor)
        except BaseException:  # noqa: BLE001 - a guard of the user's: its error comes again where the event is handled
            rule = None
        if rule is not None:
            return rule.name
    return next((rule.name for rule in rules), ANY)
