"""Pictures: a topology as a flowchart, from event to handler to event."""

from __future__ import annotations

from actorflow.events.event import EventType
from actorflow.events.topology.flowchart import Flowchart
from actorflow.events.topology.topology import ServiceHandler, Topology, label_of


def draw_topology(topology: Topology, chart: Flowchart) -> None:
    """Add a topology to a flowchart: events, services as frames around their handlers, functions outside of them.

    An arrow is dotted if it is not always gone: a handler with a guard, or one that publishes one of several events, or
    none; and so is that from an event to its undo event.
    """
    undos = {event.undo for event in topology.events if event.undo}
    for event in topology.events:
        kind = "failure" if event.failure else "undo" if event.cls in undos else "event"
        chart.box(event_key(event.cls), label_of(event), kind)
    for number, service in enumerate(topology.services):
        chart.frame(f"service {number}", service.__name__)
    boxes = {handler: handler_box(topology, handler, chart) for handler in topology.handlers}
    for event in topology.events:
        for place in topology.sites.published.get(event.cls, ()):
            chart.arrow(place_box(boxes, place, chart), event_key(event.cls))
        for handler in topology.handlers_for(event.cls):
            guard = "" if handler.rule.when is None else guard_label(handler)
            chart.arrow(event_key(event.cls), boxes[handler], guard, is_dotted=bool(guard))
        for place in topology.hearers_of(event.cls):
            chart.arrow(event_key(event.cls), place_box(boxes, place, chart))
    for handler, box in boxes.items():
        sure = len(handler.rule.published) == 1 and not handler.rule.optional
        for cls in handler.rule.published:
            chart.arrow(box, event_key(cls), is_dotted=not sure)
    for event in topology.events:
        if event.undo and EventType.of(event.undo) in topology.events:
            chart.arrow(event_key(event.cls), event_key(event.undo), "undone by", is_dotted=True)


def event_key(cls: type) -> str:
    """Return the key of the box of an event."""
    return f"event {EventType.of(cls).name}"


def handler_box(topology: Topology, handler: ServiceHandler, chart: Flowchart) -> str:
    """Add the box of a handler, in the frame of its service."""
    frame = f"service {topology.services.index(handler.service)}"
    return chart.box(f"{frame}: {handler.rule.name}", handler.rule.name, "step", frame)


def place_box(boxes: dict[ServiceHandler, str], place: str, chart: Flowchart) -> str:
    """Return the box of a function: that of the handler of this name, or one outside of all services."""
    own = next((box for handler, box in boxes.items() if str(handler) == place), None)
    return own if own is not None else chart.box(f"place {place}", place, "outside")


def guard_label(handler: ServiceHandler) -> str:
    """Return the text of a handler's guard."""
    name = getattr(handler.rule.when, "__name__", "")
    return f"when {name}" if name.isidentifier() else "when ..."
