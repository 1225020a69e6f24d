"""Delivery: an event as a message of its receiver, and the publications of the handler that runs for it."""

from __future__ import annotations

from types import CoroutineType
from typing import TYPE_CHECKING, Any

from actorflow.core.messages.handlers import dispatch, handles
from actorflow.errors import DefinitionError
from actorflow.events.envelope import Envelope
from actorflow.events.handlers import HandlerRule, HandlerTable
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef


@handles(Envelope)
def run_envelope(ref: ActorRef[Any], envelope: Envelope) -> Any:
    """Have a service handle an event; any other actor gets it by `on_receive`."""
    event = envelope.event
    actor: Any = ref._actor
    handler = actor._plain_handlers.get(type(event))
    if handler is None:
        return run_chosen(ref, event)
    result = handler(actor, event)
    return None if result is None else finished(ref, actor._handler_table.rules_for(type(event))[0], result)


def run_chosen(ref: ActorRef[Any], event: Any) -> Any:
    """Run the handler that the guards choose, or one that is async, or an event of a machine."""
    actor: Any = ref._actor
    table: HandlerTable | None = getattr(actor, "_handler_table", None)
    rules = () if table is None else table.rules_for(type(event))
    if table is None or not rules:
        return dispatch(ref, event)
    rule = table.find(event, actor)
    if rule is None:
        return None
    if len(rules) == 1 and rule.is_plain:
        table.plain[type(event)] = getattr(type(actor), rule.name)
    if rule.is_async:
        return run_async(ref, rule, event)
    result = actor._perform_named(rule.name, (rule.given(event),), {})  # not the method: of a machine it is an event
    return None if result is None else finished(ref, rule, result)


def finished(ref: ActorRef[Any], rule: HandlerRule, result: Any) -> Any:
    """Publish the result of a handler; the coroutine that a plain one returns is awaited first."""
    if type(result) is CoroutineType:
        return run_awaited(ref, rule, result)
    publish_result(ref, rule, result)
    return None


async def run_async(ref: ActorRef[Any], rule: HandlerRule, event: Any) -> None:
    """Run an async handler, or an async generator, and publish its events."""
    result = getattr(ref._actor, rule.name)(rule.given(event))
    if not hasattr(type(result), "__aiter__"):
        result = await result
    await publish_awaited(ref, rule, result)


async def run_awaited(ref: ActorRef[Any], rule: HandlerRule, awaited: Any) -> None:
    """Await the coroutine that a plain handler has returned, and publish its events."""
    await publish_awaited(ref, rule, await awaited)


async def publish_awaited(ref: ActorRef[Any], rule: HandlerRule, result: Any) -> None:
    """Publish the result of an async handler."""
    if rule.many and hasattr(type(result), "__aiter__"):
        try:
            async for event in result:
                publish_one(ref, rule, event)
        except BaseException:
            if hasattr(result, "aclose"):  # the generator waits at its `yield`, if the publication failed
                await result.aclose()
            raise
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
