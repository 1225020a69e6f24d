"""Findings: the mistakes in a topology: lost events, idle handlers, circles without an end, missing undo events."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from actorflow.events.event import EventType
from actorflow.events.topics import matches
from actorflow.events.topology.topology import ServiceHandler, Topology
from actorflow.events.topology.undo import uncompensated


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake in a topology, or in a saga.

    Attributes:
        kind: "unhandled", "unfed", "endless" or "uncompensated".
        subject: the name of the event concerned; of a handler for a pattern the pattern, in a saga the step.
        place: the handler concerned, such as "Payments.charge", or the saga; empty: none is.
        text: the mistake and its cure.
    """

    kind: str
    subject: str
    place: str
    text: str

    def __str__(self) -> str:
        """Return the mistake and its cure."""
        return self.text


def findings_in(topology: Topology) -> list[Finding]:
    """Return the mistakes in a topology."""
    return [
        *unhandled(topology),
        *unfed(topology),
        *endless(topology),
        *(Finding("uncompensated", event.name, "", text) for event, text in uncompensated(topology)),
    ]


def unhandled(topology: Topology) -> Iterator[Finding]:
    """Yield the events that are published, and that nobody handles."""
    for cls in topology.published:
        event = EventType.of(cls)
        if not event.external and not topology.is_handled(cls):
            label, publishers = topology.label(event), " and ".join(topology.publishers_of(cls))
            text = (
                f"nobody handles event {label}, which {publishers} publishes: handle it, @af.on({cls.__name__}), "
                "or declare that it is heard outside, @af.event(external=True)"
            )
            yield Finding("unhandled", event.name, "", text)


def unfed(topology: Topology) -> Iterator[Finding]:
    """Yield the handlers of events that nobody publishes."""
    fed = [*topology.published, *(event.cls for event in topology.events if event.external)]
    names = [EventType.of(cls).name for cls in fed]
    for handler in topology.handlers:
        for cls in handler.rule.events:
            if not any(issubclass(one, cls) or issubclass(cls, one) for one in fed):
                event = EventType.of(cls)
                text = (
                    f"nobody publishes event {topology.label(event)}, which {handler} handles: publish it, or declare "
                    "that it comes from outside, @af.event(external=True)"
                )
                yield Finding("unfed", event.name, str(handler), text)
        for pattern in handler.rule.patterns:
            if not any(matches(pattern, name) for name in names):
                text = (
                    f"nobody publishes an event whose name fits {pattern!r}, which {handler} handles: correct the "
                    "pattern, or declare the event that comes from outside, @af.event(external=True)"
                )
                yield Finding("unfed", pattern, str(handler), text)


# --- circles ---------------------------------------------------------------------------------------------------------


def endless(topology: Topology) -> Iterator[Finding]:
    """Yield the circles of events in which each handler always publishes the next, so that they never end."""
    going = {event.cls for event in topology.events}
    while True:  # the largest set of events that always lead to another one of the set
        left = len(going)
        for cls in [*going]:
            if next_handler(topology, cls, going) is None:
                going.discard(cls)
        if len(going) == left:
            break
    seen: set[type[Any]] = set()
    for start in (event.cls for event in topology.events):
        path: dict[type[Any], ServiceHandler] = {}
        cls = start
        while cls not in path and cls not in seen:
            handler = next_handler(topology, cls, going) if cls in going else None
            if handler is None:
                break
            path[cls] = handler
            cls = handler.rule.published[0]
        seen |= path.keys()
        if cls in path:
            circle = [*path][[*path].index(cls) :]
            yield circle_found(topology, [EventType.of(one) for one in circle], [path[one] for one in circle])


def next_handler(topology: Topology, cls: type[Any], going: set[type[Any]]) -> ServiceHandler | None:
    """Return the last handler of a service that answers each event of a class by an event of a set; None: none does."""
    for _, group in itertools.groupby(topology.handlers_for(cls), lambda way: way.service):
        ways = [*group]
        if ways[-1].rule.when is None and all(
            not way.rule.optional and going.issuperset(way.rule.published) for way in ways
        ):
            return ways[-1]
    return None


def circle_found(topology: Topology, events: list[EventType], handlers: list[ServiceHandler]) -> Finding:
    """Return the finding of a circle of events, each with the handler that answers it."""
    steps = [f"{topology.label(event)} -> {handler}" for event, handler in zip(events, handlers, strict=True)]
    text = (
        f"events go round without an end: {' -> '.join([*steps, topology.label(events[0])])}: have a handler publish "
        "nothing at some time, -> Event | None, or give one a guard, @af.on(..., when=...)"
    )
    return Finding("endless", events[0].name, str(handlers[0]), text)
