"""Conversation: the events of the log that came of one event, as a sequence diagram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from actorflow.events.topics import matches
from actorflow.events.topology.sequence import SeenEvent, sequence_diagram

if TYPE_CHECKING:
    from actorflow.events.log.event_log import ConsumerStatus, EventLog, StoredEvent


def conversation(log: EventLog, correlation: str) -> str:
    """Return a Mermaid sequence diagram of a conversation: the arrows go to the consumers of the log.

    Args:
        log: the event log.
        correlation: the id of the first event.
    """
    return sequence_diagram(seen_in(log.trace(correlation), log.consumers()))


def seen_in(events: Sequence[StoredEvent], consumers: Sequence[ConsumerStatus]) -> list[SeenEvent]:
    """Return stored events as a diagram shows them.

    An event was received by the consumers that have a handler for it, and by each actor that published because of it.
    """
    names = {actor: f"/{consumer.name}" for consumer in consumers for actor in consumer.actors}
    sources = {event.id: participant(event.source, names) for event in events}
    receivers = {event.id: {f"/{one.name}": None for one in consumers if hears(one, event.type)} for event in events}
    for event in events:
        if event.causation in receivers:
            receivers[event.causation][sources[event.id]] = None
    return [
        SeenEvent(
            event.id,
            event.type,
            event.key,
            sources[event.id],
            event.correlation,
            event.causation,
            [*receivers[event.id]],
        )
        for event in events
    ]


def hears(consumer: ConsumerStatus, name: str) -> bool:
    """Say whether a consumer has a handler for events of a name, by their class or a pattern."""
    return name in consumer.types or any("*" in one and matches(one, name) for one in consumer.types)


def participant(source: str, names: dict[str, str]) -> str:
    """Return the consumer that an actor of a path is a member of; any other source as it is."""
    return names.get(source.lstrip("/").partition("/")[2], source)
