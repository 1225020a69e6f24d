"""SCXML documents and charts as durable actors: they go on where they were, or are refused at the spawn."""

from __future__ import annotations

from pathlib import Path

import pytest

import actorflow as af
from actorflow.machine.actor import ChartActor
from actorflow.machine.scxml import ScxmlActor, load
from actorflow.testing import VirtualSystem

COUNTER = load(
    "<scxml datamodel='python'><datamodel><data id='n' expr='0'/></datamodel><state id='a'>"
    "<transition event='add' target='a'><assign location='n' expr='n + 1'/></transition>"
    "<transition event='grow' target='b'><assign location='n' expr=\"'x' * 9000\"/></transition></state>"
    "<state id='b'/></scxml>"
)
INVOKING = load("<scxml><state id='a'><invoke><content><scxml><state/></scxml></content></invoke></state></scxml>")


def counter(system: af.ActorSystem) -> af.ActorRef[ScxmlActor]:
    return system.spawn(af.child(ScxmlActor, COUNTER).options(name="counter", durable=True))


def count(ref: af.ActorRef[ScxmlActor]) -> object:
    return ref.call(ScxmlActor.snapshot).get(timeout=100)["data"]["variables"]["n"]


def test_a_durable_document_goes_on_with_its_variables(tmp_path: Path) -> None:
    for expected in (1, 2, 3):
        with af.ActorSystem("shop", store=f"sqlite:///{tmp_path / 'shop.db'}") as system:
            ref = counter(system)
            ref.send("add").get(timeout=100)
            assert count(ref) == expected


def test_an_event_that_cannot_be_kept_changes_no_variable() -> None:
    with af.ActorSystem("shop", store="memory:", settings=af.Settings(payload_limit="5K")) as system:
        ref = counter(system)
        ref.send("add").get(timeout=100)
        with pytest.raises(af.PayloadError):
            ref.send("grow").get(timeout=100)
        assert (count(ref), ref.state) == (1, "a")
        ref.send("add").get(timeout=100)
        assert count(ref) == 2


def test_a_durable_document_that_invokes_others_is_refused() -> None:
    with af.ActorSystem("shop", store="memory:") as system:
        with pytest.raises(af.DefinitionError, match="invokes a document"):
            system.spawn(af.child(ScxmlActor, INVOKING).options(name="parent", durable=True))


def test_a_durable_chart_without_a_model_goes_on_and_one_with_a_model_is_refused(tmp_path: Path) -> None:
    chart = af.Chart.from_dict(
        {"name": "lamp", "initial": "off", "states": {"off": {"on": {"press": "on"}}, "on": {"on": {"press": "off"}}}}
    )
    for expected in ("on", "off", "on"):
        with af.ActorSystem("shop", store=f"sqlite:///{tmp_path / 'shop.db'}") as system:
            lamp = system.spawn(af.child(ChartActor, chart).options(name="lamp", durable=True))
            lamp.send("press").get(timeout=100)
            assert lamp.state == expected
    with af.ActorSystem("shop", store="memory:") as system:
        with pytest.raises(af.DefinitionError, match="its model, a object"):
            system.spawn(af.child(ChartActor, chart, object()).options(name="lamp", durable=True))


LATER = load(
    "<scxml><state id='a'><onentry><send event='hello' delay='3600s' target='#_scxml_box'/></onentry></state></scxml>"
)
BOX = load("<scxml><state id='a'><transition event='hello' target='b'/></state><state id='b'/></scxml>")


def test_what_a_durable_document_sends_later_to_another_is_sent_by_the_next_process(tmp_path: Path) -> None:
    later = af.child(ScxmlActor, LATER).options(name="later", durable=True)
    with VirtualSystem("shop", store=f"sqlite:///{tmp_path / 'shop.db'}") as system:
        assert system.spawn(later).state == "a"
    with VirtualSystem("shop", store=f"sqlite:///{tmp_path / 'shop.db'}") as system:
        box = system.spawn(ScxmlActor, BOX, sessionid="box")
        system.spawn(later)
        assert box.state == "a"
        system.sleep(3601)
        assert box.state == "b"
