"""Charts far larger than usual run, and what was worked out for them does not grow without end."""

from __future__ import annotations

import random

import pytest

import actorflow as af
from actorflow.machine import ChartBuilder
from actorflow.machine.running import program


def ring(size: int) -> af.Chart:
    builder = ChartBuilder("ring")
    for number in range(size):
        builder.add_state(f"s{number}", initial=number == 0)
    for number in range(size):
        builder.add_transition(f"s{number}", "go", f"s{(number + 1) % size}")
    return builder.build()


def nest(depth: int) -> af.Chart:
    builder = ChartBuilder("nest").add_state("out")
    parent = None
    for number in range(depth):
        builder.add_state(f"s{number}", initial=True, parent=parent)
        parent = f"s{number}"
    builder.add_history("back", of="s0", deep=True)
    return builder.add_transition("s0", "leave", "out").add_transition("out", "enter", "back").build()


def regions(count: int) -> af.Chart:
    builder = ChartBuilder("regions").add_state("all", initial=True, parallel=True)
    for number in range(count):
        builder.add_state(f"r{number}", parent="all")
        builder.add_state(f"a{number}", parent=f"r{number}", initial=True).add_state(f"b{number}", parent=f"r{number}")
        for event in ("flip", f"flip{number}"):
            builder.add_transition(f"a{number}", event, f"b{number}").add_transition(f"b{number}", event, f"a{number}")
    return builder.build()


@pytest.mark.slow
def test_ten_thousand_states():
    chart = ring(10_000)
    machine = af.Interpreter(chart)
    for _ in range(25_000):
        machine.send("go")
    assert machine.state == "s5000"
    assert af.Interpreter.restore(chart, machine.snapshot()).state == "s5000"
    assert af.Chart.from_dict(chart.to_dict()) == chart


def test_two_hundred_nested_levels():
    machine = af.Interpreter(nest(200))
    for _ in range(3):
        machine.send("leave")
        machine.send("enter")
    assert machine.state == "s199"
    assert len(machine.configuration) == 200


def test_states_nested_too_deep_are_an_error_of_ours():
    with pytest.raises(af.DefinitionError, match="nested too deep"):
        af.Interpreter(nest(2_000))


def test_a_thousand_regions_take_an_event_together_and_alone():
    chart = regions(1_000)
    machine = af.Interpreter(chart)
    for _ in range(3):
        machine.send("flip")
    machine.send("flip7")
    assert {"b6", "a7", "b999"} <= machine.configuration
    assert len(machine.configuration) == 2_001
    assert af.Interpreter.restore(chart, machine.snapshot()).configuration == machine.configuration


def test_what_is_worked_out_for_many_configurations_is_forgotten_again(monkeypatch):
    monkeypatch.setattr(program, "REMEMBERED", 0)  # what is left is 100 a state
    chart = regions(12)
    machine, other = af.Interpreter(chart), af.Interpreter(chart)
    flipped: set[int] = set()
    choose = random.Random(1)
    for turn in range(2_000):
        number = choose.randrange(12)
        flipped ^= {number}
        machine.send(f"flip{number}")
        assert {n for n in range(12) if machine.in_state(f"b{n}")} == flipped
        if turn % 100 == 0:
            other.send("flip")
    assert len(machine._program._configurations) <= 100
    assert other.in_state("a0")


def test_events_of_any_name_are_not_all_remembered():
    builder = ChartBuilder("any").add_state("a", initial=True).add_transition("a", "*")
    machine = af.Interpreter(builder.build())
    for number in range(5_000):
        machine.send(f"event{number}")
    assert len(machine._configuration.candidates) <= program.KEPT
