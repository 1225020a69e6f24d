"""A snapshot of a document's run has its variables, its log, and what it is still to send."""

from __future__ import annotations

import random

import pytest

import actorflow as af
from actorflow.machine.scxml import load
from tests.machine.scxml.documents import document

COUNTER = document(
    "<datamodel><data id='n' expr='0'/><data id='seen' expr='[]'/><data id='by' expr='{}'/></datamodel>"
    "<state id='a'><history id='h'><transition target='a1'/></history><state id='a1'>"
    "<transition event='add' target='a2'><assign location='n' expr='n + 1'/></transition></state>"
    "<state id='a2'>"
    "<transition event='add' target='a1'><assign location='seen' expr='seen + [(n, None)]'/></transition>"
    "<transition event='log'><log label='n' expr='n'/></transition></state>"
    "<transition event='out' target='b'/></state>"
    "<state id='b'><onentry><assign location='by[n]' expr='seen'/></onentry><transition event='in' target='h'/></state>"
)
UNDEFINED = document(
    "<datamodel><data id='n'/><data id='o' expr='{a: [undefined, null, 1.5]}'/></datamodel>"
    "<state id='a'>"
    "<transition event='add' target='a'><assign location='n' expr=\"(n || '') + 'x'\"/></transition></state>",
    datamodel="ecmascript",
)
EVENTS = ("add", "log", "out", "in")


def variables(machine: af.Interpreter) -> str:
    return repr((machine.model.data, machine.model.log, machine.model.bound, machine.configuration))


@pytest.mark.parametrize("text", [COUNTER, UNDEFINED], ids=["python", "ecmascript"])
@pytest.mark.parametrize("seed", range(5))
def test_a_restored_run_goes_on_as_the_one_that_was_not(text: str, seed: int) -> None:
    draw = random.Random(seed)
    chart = load(text)
    machine = other = chart.interpreter()
    for _ in range(40):
        event = draw.choice(EVENTS)
        machine.send(event)
        if other is not machine:
            other.send(event)
        other = af.Interpreter.restore(chart, other.snapshot(), chart.session())
        assert variables(other) == variables(machine)
        assert other.snapshot()["remembered"] == machine.snapshot()["remembered"]


CIRCLE = document(
    "<datamodel><data id='v' expr='[0]'/></datamodel>"
    "<state><onentry><assign location='v[0]' expr='v'/></onentry></state>"
)


def test_a_value_that_contains_itself_is_refused_by_name() -> None:
    with pytest.raises(af.PayloadError, match="'v' contains itself"):
        load(CIRCLE).interpreter().snapshot()
