"""The pictures of a choreography: events, services around their handlers, functions outside, and the arrows."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import pytest

import actorflow as af
from actorflow.events.topology.call_sites import CallSites, CodePlace
from actorflow.events.topology.flowchart import Flowchart
from actorflow.events.topology.pictures import draw_topology
from actorflow.events.topology.topology import Topology


@af.event(name="drawn.released")
@dataclass(frozen=True)
class Released:
    order: str


@af.event(name="drawn.reserved", undo=Released)
@dataclass(frozen=True)
class Reserved:
    order: str


@af.event(name="drawn.refused", failure=True)
@dataclass(frozen=True)
class Refused:
    order: str


@dataclass(frozen=True)
class Placed:
    order: str


def is_large(service: object, event: object) -> bool:
    return True


class Stock:
    @af.on(Placed)
    def reserve(self, event: Placed) -> Reserved: ...  # type: ignore[empty-body]

    @af.on(Refused)
    def release(self, event: Refused) -> Released | None: ...


class Payments:
    @af.on(Reserved, when=is_large)
    def charge(self, event: Reserved) -> Refused: ...  # type: ignore[empty-body]


def drawn(*services: type) -> Flowchart:
    chart = Flowchart("shop")
    main, charge = CodePlace(__name__, "main"), CodePlace(__name__, "Payments.charge")
    sites = CallSites(published={Placed: [main]}, heard={"drawn.rel*": [main], Refused: [charge]})
    draw_topology(Topology(services, sites), chart)
    return chart


def test_events_services_and_functions_outside_are_drawn_for_mermaid():
    assert (
        drawn(Stock, Payments).mermaid()
        == """\
flowchart LR
    n0(["Placed"])
    n1(["drawn.reserved"])
    n2(["drawn.released"])
    n3(["drawn.refused"])
    n7[/"main"/]
    subgraph f0["Stock"]
        n4["reserve"]
        n5["release"]
    end
    subgraph f1["Payments"]
        n6["charge"]
    end
    n7 --> n0
    n0 --> n4
    n1 -.->|"when is_large"| n6
    n2 --> n7
    n3 --> n5
    n3 --> n6
    n4 --> n1
    n5 -.-> n2
    n6 --> n3
    n1 -.->|"undone by"| n2
    classDef event fill:#e8eaf6,stroke:#3949ab
    class n0,n1 event
    classDef failure fill:#ffcdd2,stroke:#c62828
    class n3 failure
    classDef undo fill:#ffe0b2,stroke:#b26a00
    class n2 undo
    classDef step fill:#ffffff,stroke:#616161
    class n4,n5,n6 step
    classDef outside fill:#eeeeee,stroke:#616161
    class n7 outside
"""
    )


def test_the_same_is_drawn_for_graphviz():
    lines = drawn(Stock, Payments).dot().splitlines()
    assert lines[0] == 'digraph "shop" {'
    assert "    subgraph cluster_0 {" in lines
    assert '        label="Stock"; style=rounded;' in lines
    assert '    "event drawn.reserved" -> "service 1: charge" [label="when is_large", style=dashed];' in lines
    assert any('main" [label="main", shape=parallelogram' in line for line in lines)


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_draws_it():
    svg = drawn(Stock, Payments).svg()
    assert "<svg" in svg
    assert "drawn.reserved" in svg


def test_names_that_are_special_to_mermaid_or_graphviz_stand_for_themselves():
    chart = Flowchart('a "shop"')
    chart.arrow(chart.box('say "\\N"', 'say "\\N" [x] <y>\x1b', "event"), chart.box("b", "end", "step"), "|a|")
    assert 'n0(["say #34;#92;N#34; [x] #60;y#62;' in chart.mermaid()
    assert 'label="say \\"\\\\N\\" [x] <y>\N{REPLACEMENT CHARACTER}"' in chart.dot()
    if shutil.which("dot"):
        assert "say &quot;\\N&quot; [x] &lt;y&gt;" in chart.svg()


def test_a_box_and_an_arrow_are_added_once():
    chart = Flowchart("shop")
    for _ in range(2):
        chart.arrow(chart.box("a", "first", "event"), chart.box("b", "second", "step"))
    assert chart.mermaid().count("-->") == 1
    assert chart.mermaid().count("first") == 1


class ByName:
    @af.on("nowhere.*")
    def note(self, event: object) -> None: ...

    @af.on("drawn.*")
    def hear(self, event: object) -> None: ...


def test_a_pattern_that_no_event_fits_is_a_box():
    chart = Flowchart("shop")
    draw_topology(Topology([Stock, Payments, ByName]), chart)
    into_note = {arrow.source for arrow in chart._arrows if arrow.target == "service 2: note"}
    into_hear = {arrow.source for arrow in chart._arrows if arrow.target == "service 2: hear"}
    assert into_note == {"pattern nowhere.*"}
    assert into_hear == {"event drawn.reserved", "event drawn.released", "event drawn.refused"}
