"""Pictures: a topology as a flowchart, from event to handler to event."""

from __future__ import annotations

from actorflow.events.event import EventType
from actorflow.events.topics import matches
from actorflow.events.topology.call_sites import CodePlace
from actorflow.events.topology.flowchart import Flowchart
from actorflow.events.topology.topology import ServiceHandler, Topology, place_of


def draw_topology(topology: Topology, chart: Flowchart) -> None:
    """Add a topology to a flowchart: events, services as frames around their handlers, functions outside of them.

    An arrow is dotted if it is not always gone: a handler with a guard; one that publishes one of several events, or
    none, or by a call; an event of a class below that of the annotation; and so is that from an event to its undo
    event.
    """
    undos = {event.undo for event in topology.events if event.undo}
    for event in topology.events:
        kind = "failure" if event.failure else "undo" if event.cls in undos else "event"
        chart.box(event_key(event.cls), topology.label(event), kind)
    for number, service in enumerate(topology.services):
        chart.frame(f"service {number}", topology.title(service))
    boxes = {handler: handler_box(topology, handler, chart) for handler in topology.handlers}
    for event in topology.events:
        for place in topology.other_publishers_of(event.cls):
            for box in place_boxes(topology, place, chart):
                chart.arrow(box, event_key(event.cls))
        for handler in topology.handlers_for(event.cls):
            guard = "" if handler.rule.when is None else guard_label(handler)
            chart.arrow(event_key(event.cls), boxes[handler], guard, is_dotted=bool(guard))
        for place in topology.hearers_of(event.cls):
            for box in place_boxes(topology, place, chart):
                chart.arrow(event_key(event.cls), box)
    for handler, box in boxes.items():
        for pattern in handler.rule.patterns:
            if not any(matches(pattern, event.name) for event in topology.events):
                chart.arrow(chart.box(f"pattern {pattern}", pattern, "event"), box, is_dotted=True)
        sure = len(handler.rule.published) == 1 and not handler.rule.optional
        for cls in topology.results[handler]:
            chart.arrow(box, event_key(cls), is_dotted=not sure or cls not in handler.rule.published)
            for below in topology.below(cls):
                if below not in topology.results[handler]:
                    chart.arrow(box, event_key(below), is_dotted=True)
    for event in topology.events:
        if event.undo and EventType.of(event.undo) in topology.events:
            chart.arrow(event_key(event.cls), event_key(event.undo), "undone by", is_dotted=True)


def event_key(cls: type) -> str:
    """Return the key of the box of an event."""
    return f"event {EventType.of(cls).name}"


def handler_box(topology: Topology, handler: ServiceHandler, chart: Flowchart) -> str:
    """Add the box of a handler, in the frame of its service."""
    return method_box(topology, handler.service, handler.rule.name, chart)


def method_box(topology: Topology, service: type, method: str, chart: Flowchart) -> str:
    """Add the box of a method, in the frame of its service."""
    frame = f"service {topology.services.index(service)}"
    return chart.box(f"{frame}: {method}", method, "step", frame)


def place_boxes(topology: Topology, place: CodePlace, chart: Flowchart) -> list[str]:
    """Add the box of a function: in the frame of each service that has it as a method, or outside of all."""
    method = place.name.rpartition(".")[2]
    owners = [service for service in topology.services if place_of(service, method) == place]
    boxes = [method_box(topology, service, method, chart) for service in owners]
    return boxes or [chart.box(f"place {place.module}:{place}", str(place), "outside")]


def guard_label(handler: ServiceHandler) -> str:
    """Return the text of a handler's guard."""
    name = getattr(handler.rule.when, "__name__", "")
    return f"when {name}" if name.isidentifier() else "when ..."
