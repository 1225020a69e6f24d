"""Delivery: an event as a message of its receiver, and the publications of the handler that runs for it."""

from __future__ import annotations

from types import CoroutineType
from typing import TYPE_CHECKING, Any

from actorflow.core.messages.handlers import dispatch, handles
from actorflow.errors import DefinitionError
from actorflow.events.envelope import HANDLED, Envelope
from actorflow.events.handlers import HandlerRule, HandlerTable
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef


@handles(Envelope)
def run_envelope(ref: ActorRef[Any], envelope: Envelope) -> Any:
    """Have a service handle an event; any other actor gets it by `on_receive`."""
    actor: Any = ref._actor
    event = envelope.event
    table: HandlerTable | None = getattr(actor, "_handler_table", None)
    rules = table.rules_for(type(event)) if table is not None else ()
    token = HANDLED.set(envelope)
    try:
        if not rules:
            return heard(envelope, dispatch(ref, event))
        for rule in rules:
            if rule.when is None or rule.when(actor, event):
                break
        else:
            return None
        if rule.is_async:
            return run_async(ref, envelope, rule)
        result = (
            getattr(actor, rule.name)(event) if not actor._is_machine else actor._perform_named(rule.name, (event,), {})
        )
        if result is None:
            return None
        if type(result) is CoroutineType:
            return run_awaited(ref, envelope, rule, result)
        publish_result(ref, rule, result)
    finally:
        HANDLED.reset(token)
    return None


def heard(envelope: Envelope, result: Any) -> Any:
    """Return the outcome of `on_receive`; a coroutine runs under the event."""
    return run_heard(envelope, result) if type(result) is CoroutineType else result


async def run_heard(envelope: Envelope, awaited: Any) -> Any:
    """Await an async `on_receive` under the event."""
    HANDLED.set(envelope)  # in the context of this handler alone
    return await awaited


async def run_async(ref: ActorRef[Any], envelope: Envelope, rule: HandlerRule) -> None:
    """Run an async handler, or an async generator, and publish its events."""
    HANDLED.set(envelope)
    result = getattr(ref._actor, rule.name)(envelope.event)
    if not hasattr(type(result), "__aiter__"):
        result = await result
    await publish_awaited(ref, rule, result)


async def run_awaited(ref: ActorRef[Any], envelope: Envelope, rule: HandlerRule, awaited: Any) -> None:
    """Await the coroutine that a plain handler has returned, and publish its events."""
    HANDLED.set(envelope)
    await publish_awaited(ref, rule, await awaited)


async def publish_awaited(ref: ActorRef[Any], rule: HandlerRule, result: Any) -> None:
    """Publish the result of an async handler."""
    if rule.many and hasattr(type(result), "__aiter__"):
        async for event in result:
            publish_one(ref, rule, event)
    elif result is not None:
        publish_result(ref, rule, result)


def publish_result(ref: ActorRef[Any], rule: HandlerRule, result: Any) -> None:
    """Publish the result of a handler, or the events that it yields, each as it comes."""
    if rule.many and hasattr(type(result), "__iter__"):
        for event in result:
            publish_one(ref, rule, event)
    else:
        publish_one(ref, rule, result)


def publish_one(ref: ActorRef[Any], rule: HandlerRule, event: Any) -> None:
    """Publish one event of a handler; None is nothing.

    Raises:
        DefinitionError: its annotations do not name such an event, so nobody would see it in the topology.
    """
    if event is None:
        return
    cls = type(event)
    if cls not in rule.published and not issubclass(cls, rule.published):
        named = " | ".join(kind.__qualname__ for kind in rule.published) or "None"
        msg = f"handler {ref.actor_class.__qualname__}.{rule.name} gave {text_of(event)}, but is annotated with {named}"
        raise DefinitionError(msg)
    bus = ref._scheduler.bus
    assert bus is not None  # it has delivered the event
    bus.publish(event)
