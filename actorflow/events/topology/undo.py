"""Undo: in a saga by choreography, the work that a failure leaves behind, since no event undoes it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeAlias

from actorflow.events.event import EventType
from actorflow.events.topology.topology import ServiceHandler, Topology

EventSet: TypeAlias = dict[type[Any], None]  # in order, so that findings are


def uncompensated(topology: Topology) -> Iterator[tuple[EventType, str]]:
    """Yield the events whose work nobody undoes, with the mistake and its cure.

    An undo event has to be published. When a failure comes, so may have come all events on the way to it, and those of
    branches beside that way: each needs an undo event, and the failure has to lead to it.
    """
    undos = {event.undo for event in topology.events if event.undo}
    for event in topology.events:
        if event.undo and event.undo not in topology.published and not EventType.of(event.undo).external:
            undo, own = topology.label(EventType.of(event.undo)), topology.label(event)
            text = f"nobody publishes {undo}, the undo event of {own}"
            yield event, f"{text}: have a handler of a failure, or of an event behind it, publish that"
    forward = {event.cls: None for event in topology.events if not event.failure and event.cls not in undos}
    ahead = {way: reached(topology, topology.results[way], through=forward) for way in topology.handlers}
    missing: EventSet = {}
    for failure in (event for event in topology.events if event.failure):
        follows = reached(topology, [failure.cls])
        for event in map(EventType.of, before(topology, failure.cls, forward, ahead)):
            if event.undo is None and event.cls not in missing:
                missing[event.cls] = None
                yield event, without_undo(topology, event, failure)
            elif event.undo and event.undo in topology.published and event.undo not in follows:
                undo, own = topology.label(EventType.of(event.undo)), topology.label(event)
                text = f"failure {topology.label(failure)} does not lead to {undo}, the undo event of {own}"
                yield event, f"{text}: have a handler of the failure, or of an event behind it, publish that"


def without_undo(topology: Topology, event: EventType, failure: EventType) -> str:
    """Return the text about an event that lacks an undo event."""
    return (
        f"event {topology.label(event)} has no undo event, though failure {topology.label(failure)} may come behind it:"
        " name one, @af.event(undo=...), or say that there is nothing to undo, undo=False"
    )


def before(
    topology: Topology, failure: type[Any], forward: EventSet, ahead: Mapping[ServiceHandler, EventSet]
) -> EventSet:
    """Return the events, published by services, that may have come when a failure comes.

    Args:
        topology: the services.
        failure: the class of the failure.
        forward: the events that are neither failures nor the undo of others.
        ahead: the events that follow from what each handler publishes, up to failures and undo events.
    """
    found: EventSet = {}
    for cls in forward:
        ways = topology.handlers_for(cls)
        for failed in ways:
            if failure not in ahead[failed]:
                continue
            found[cls] = None
            beside = [way for way in ways if way.service is not failed.service]
            if not beside:
                continue
            waiting = {way.service for one in ahead[failed] for way in topology.handlers_for(one)}
            for way in beside:  # a branch beside it, up to services that wait for both
                if way.service not in waiting:
                    found |= reached(topology, topology.results[way], forward, waiting)
    by_services = {cls for results in topology.results.values() for cls in results}
    return {cls: None for cls in found if cls in by_services and cls in forward}


def reached(
    topology: Topology,
    start: Collection[type[Any]],
    through: Collection[type[Any]] | None = None,
    without: Collection[type[Any]] = (),
) -> EventSet:
    """Return the events that follow from some, those included.

    Args:
        topology: the services.
        start: the classes of the first events.
        through: classes of events from which others follow; None: all do.
        without: services whose publications do not count: they wait for other events, too.
    """
    found: EventSet = {}
    to_do = [*start]
    while to_do:
        cls = to_do.pop()
        if cls in found:
            continue
        found[cls] = None
        if through is None or cls in through:
            to_do += [one for way in ways_without(topology, cls, without) for one in topology.results[way]]
    return found


def ways_without(topology: Topology, cls: type[Any], without: Collection[type[Any]]) -> list[ServiceHandler]:
    """Return the handlers for events of a class, but for those of some services."""
    return [way for way in topology.handlers_for(cls) if way.service not in without]
