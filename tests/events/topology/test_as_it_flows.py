"""The picture is what flows: each event that a run has seen is an arrow, and each arrow that is always gone is seen."""

from __future__ import annotations

import sys

import pytest

import actorflow as af
from actorflow.events.event import EventType
from actorflow.events.topology.call_sites import sites_of
from actorflow.events.topology.flowchart import Flowchart
from actorflow.events.topology.pictures import draw_topology, event_key
from actorflow.events.topology.topology import Topology
from actorflow.testing import LeakCheck, VirtualSystem
from tests.events.topology import drawn_facts
from tests.events.topology.drawn_apps import APPS, A, B, HearsB, SameName, Unasked

MODULES = ("tests.events.topology.drawn_apps", "tests.events.topology.drawn_facts")


def topology_of(services: list[type[af.Service]]) -> Topology:
    sites = sites_of(sys.modules[name] for name in MODULES)
    own = {f"{base.__qualname__}." for service in services for base in service.__mro__}
    for cls in [*sites.published]:  # those of the other apps are not there
        here = [place for place in sites.published[cls] if place.name.rpartition(".")[0] + "." in own]
        sites.published[cls] = here
        if not here:
            del sites.published[cls]
    return Topology(services, sites)


def drawn(services: list[type[af.Service]]) -> dict[tuple[str, str], bool]:
    """Return the arrows between services and events; whether each is always gone."""
    chart = Flowchart("drawn")
    draw_topology(topology_of(services), chart)
    found: dict[tuple[str, str], bool] = {}
    for arrow in chart._arrows:
        ends = tuple(part.partition(":")[0] for part in (arrow.source, arrow.target))
        found[ends] = found.get(ends, False) or not arrow.is_dotted
    return found


def seen(services: list[type[af.Service]], events: list[object], *, durable: bool) -> set[tuple[str, str]]:
    """Return what a run has: the events of each service, and the services that got each event."""
    found = set()
    with LeakCheck(), VirtualSystem("shop", seed=1) as system:
        keys = {}
        for number, service in enumerate(services):
            ref = system.spawn(
                af.child(service).options(name=f"s{number}", durable=durable and not is_of_generic(service))
            )
            keys[ref.path] = f"service {number}"
        with af.Recording(system) as recording:
            for event in events:
                system.publish(event)
            if Unasked in services:
                system.find("/shop/s0", Unasked).call(Unasked.order, [B(), B(1)]).get()
            system.sleep(10)
        for envelope, source, receivers in recording._seen:
            event = event_key(type(envelope.event))
            found |= {(keys[source], event)} if source in keys else set()
            found |= {(event, keys[one]) for one in receivers if one in keys and handles(services, keys[one], envelope)}
    return found


def is_of_generic(service: type[af.Service]) -> bool:
    """Whether it cannot be durable: its events could not be read, as they are of a generic class."""
    return any("Changed" in cls.__name__ for cls in service._handler_table.events)


def handles(services: list[type[af.Service]], key: str, envelope: af.Envelope) -> bool:
    """Whether a service does not drop the event, as its guards say no."""
    service = services[int(key.split()[1])]
    return service._handler_table.find(envelope.event, None) is not None


@pytest.mark.parametrize("durable", [False, True], ids=["memory", "durable"])
@pytest.mark.parametrize("name", APPS)
def test_each_event_of_a_run_is_drawn_and_each_arrow_that_is_always_gone_is_seen(name, durable):
    services, events = APPS[name]
    arrows, flows = drawn(services), seen(services, events, durable=durable)
    assert flows
    assert flows - arrows.keys() == set()
    came = {end for ends in flows for end in ends}
    assert {ends for ends, is_sure in arrows.items() if is_sure and ends[0] in came} - flows == set()


def test_boxes_of_two_events_of_one_name_and_of_two_services_have_their_modules():
    class Hears(af.Service):
        @af.on(A)
        def hear(self, event: A) -> None: ...

    chart = Flowchart("drawn")
    draw_topology(Topology([SameName, drawn_facts.Hears, Hears]), chart)
    texts = {text for text, _ in chart._boxes.values()} | {frame.title for frame in chart._frames.values()}
    assert {EventType.of(A).name, EventType.of(drawn_facts.A).name} <= texts
    assert {f"{MODULES[1]}.Hears", f"{__name__}.Hears", "SameName"} <= texts


def test_a_method_that_no_handler_leads_to_is_in_the_frame_of_its_service():
    chart = Flowchart("drawn")
    draw_topology(topology_of([Unasked, HearsB]), chart)
    assert chart._frames["service 0"].boxes == ["service 0: order"]
    assert drawn([Unasked, HearsB])["service 0", event_key(B)]
