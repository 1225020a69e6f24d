"""A recording of a running system: its events and who got them, and the sequence diagram of them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

import actorflow as af
from actorflow.events.topology.sequence import SeenEvent, sequence_diagram
from actorflow.testing import VirtualSystem


@af.event(name="recorded.placed", key="order")
@dataclass(frozen=True)
class Placed:
    order: str


@af.event(name="recorded.paid")
@dataclass(frozen=True)
class Paid:
    order: str


@dataclass(frozen=True)
class Sent:
    order: str


class Payments(af.Service):
    @af.on(Placed)
    def charge(self, event: Placed) -> Paid:
        return Paid(event.order)


class Shipping(af.Service):
    @af.on(Paid)
    def ship(self, event: Paid) -> Sent:
        return Sent(event.order)


class Other(af.Actor):
    def on_receive(self, message: object) -> None: ...


def by_name(event: object) -> None: ...


DIAGRAM = """\
sequenceDiagram
    actor p0 as shop
    participant p1 as payments
    participant p2 as shipping
    p0-)p1: recorded.placed o1
    p1-)p2: recorded.paid
    Note over p2: Sent: nobody got it
"""


def spawn(system: Any) -> None:
    system.spawn(af.child(Payments).options(name="payments"))
    system.spawn(af.child(Shipping).options(name="shipping"))


@pytest.mark.parametrize("seed", range(20))
def test_a_recorded_conversation_is_drawn_in_the_order_of_causes(seed):
    with VirtualSystem("shop", seed=seed) as system:
        spawn(system)
        with af.Recording(system) as recording:
            system.publish(Placed("o1"))
            system.sleep(1)
        system.publish(Placed("o2"))
        system.sleep(1)
    assert recording.mermaid() == DIAGRAM
    assert {type(event) for event in recording.events} == {Placed, Paid, Sent}
    assert {envelope.correlation for envelope in recording.envelopes} == {recording.envelopes[0].id}


def test_on_threads_a_cause_stands_before_its_consequence_too():
    sent = threading.Semaphore(0)
    with af.ActorSystem("shop") as system:
        spawn(system)
        recording = af.Recording(system)
        system.subscribe(Sent, lambda event: sent.release())  # behind the recording, so that this has noted it
        for _ in range(20):
            system.publish(Placed("o1"))
        assert all(sent.acquire(timeout=100) for _ in range(20))
    lines = recording.mermaid().splitlines()
    firsts = [i for i, line in enumerate(lines) if line == "    p0-)p1: recorded.placed o1"]
    thens = [i for i, line in enumerate(lines) if line == "    p1-)p2: recorded.paid"]
    assert len(firsts) == 20
    assert all(one < other for one, other in zip(firsts, thens, strict=True))


def test_one_conversation_is_drawn_alone():
    with VirtualSystem("shop", seed=1) as system:
        spawn(system)
        recording = af.Recording(system)
        system.publish(Placed("o1"))
        system.publish(Placed("o2"))
        system.sleep(1)
    second = next(one.id for one in recording.envelopes if one.event == Placed("o2"))
    assert recording.mermaid(second) == DIAGRAM.replace("o1", "o2")
    assert recording.mermaid("nothing") == "sequenceDiagram\n"


def test_subscribed_actors_and_functions_are_shown_but_for_those_by_predicate():
    with VirtualSystem("shop", seed=1) as system:
        system.subscribe(Placed, by_name)
        system.subscribe("recorded.*", system.spawn(af.child(Other).options(name="other")))
        system.subscribe(Placed, partial(by_name))
        system.subscribe(lambda event: True, by_name)
        recording = af.Recording(system)
        system.publish(Placed("o1"))
    assert recording.mermaid().count("-)") == 3
    for shown in ("actor p1 as by_name", "participant p2 as other", "actor p3 as partial"):
        assert f"    {shown}\n" in recording.mermaid()


def test_the_newest_events_are_kept():
    with VirtualSystem("shop", seed=1) as system:
        recording = af.Recording(system, limit=2)
        for number in range(5):
            system.publish(Placed(f"o{number}"))
    assert recording.events == [Placed("o3"), Placed("o4")]


def test_a_bus_that_is_used_alone_is_recorded():
    with af.EventBus("alone") as bus, af.Recording(bus) as recording:
        bus.publish(Paid("o1"))
    assert recording.mermaid() == (
        "sequenceDiagram\n    actor p0 as alone\n    Note over p0: recorded.paid: nobody got it\n"
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"source": 3}, "Recording(3): give a system or an EventBus"),
        ({"source": None, "limit": 0}, "Recording(limit=0): give a number of events from 1"),
        ({"source": None, "limit": True}, "Recording(limit=True)"),
    ],
)
def test_a_recording_of_nothing_is_refused(arguments, text):
    with pytest.raises(af.DefinitionError) as caught:
        af.Recording(**arguments)
    assert text in str(caught.value)


# --- the diagram -----------------------------------------------------------------------------------------------------


def seen(id: str, source: str, *receivers: str, causation: str | None = None, name: str = "e") -> SeenEvent:
    return SeenEvent(id, f"{name}{id}", None, source, "1", causation, receivers)


def test_paths_are_shortened_as_far_as_they_differ():
    diagram = sequence_diagram([seen("1", "/shop/a/payments", "/shop/b/payments", "/shop/c")])
    assert [line.split(" as ")[1] for line in diagram.splitlines()[1:4]] == ["a/payments", "b/payments", "c"]


def test_an_event_stands_behind_its_cause_though_it_was_seen_before():
    events = [
        seen("3", "/b", "/c", causation="2"),
        seen("2", "/a", "/b", causation="1"),
        seen("4", "/b", "/c", causation="gone"),
        seen("1", "shop", "/a"),
    ]
    texts = [line.split(": ")[1] for line in sequence_diagram(events).splitlines() if "-)" in line]
    assert texts == ["e1", "e2", "e3", "e4"]


def test_causes_in_a_circle_of_a_damaged_log_are_drawn_once():
    diagram = sequence_diagram([seen("1", "/a", "/b", causation="2"), seen("2", "/b", "/a", causation="1")])
    assert diagram.count("-)") == 2


def test_a_chain_of_many_events_is_drawn():
    events = [seen(str(n), "/a", "/b", causation=str(n - 1)) for n in range(20_000, 0, -1)]
    lines = sequence_diagram(events).splitlines()
    assert lines[3:5] == ["    p0-)p1: e1", "    p0-)p1: e2"]


def test_names_that_are_special_to_mermaid_stand_for_themselves():
    diagram = sequence_diagram([seen("", "end", "/a;b,c", name="the end: #1;")])
    assert "actor p0 as #101;nd\n" in diagram
    assert "participant p1 as a#59;b#44;c\n" in diagram
    assert "the #101;nd#58; #35;1#59;\n" in diagram
