"""What a program keeps of configurations and steps has a bound, and forgetting it changes nothing."""

from __future__ import annotations

import random
from typing import Any

import pytest

import actorflow as af
from actorflow.machine import ChartBuilder
from actorflow.machine.running import program, transition_sets

REGIONS = 7


def switches() -> af.Chart:
    """A chart of so many switches that nobody else turns: 128 configurations, and a history that goes back to one."""
    builder = ChartBuilder("switches").add_state("away").add_state("here", initial=True, parallel=True)
    builder.add_history("past", of="here", deep=True)
    for number in range(REGIONS):
        builder.add_state(f"switch{number}", parent="here")
        builder.add_state(f"off{number}", parent=f"switch{number}", initial=True)
        builder.add_state(f"on{number}", parent=f"switch{number}")
        builder.add_transition(f"off{number}", f"turn{number}", f"on{number}")
        builder.add_transition(f"on{number}", f"turn{number}", f"off{number}")
    return builder.add_transition("here", "leave", "away").add_transition("away", "return", "past").build()


def steps_of(configuration: program.Configuration) -> int:
    """Count the steps that are kept; where a history is a target, one for each past."""
    steps = sum(len(one[1]) if isinstance(one, tuple) else 1 for one in configuration.steps.values())
    return steps + len(configuration.together)


def test_configurations_and_steps_that_are_kept_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "REMEMBERED", 0)  # what is left is 100 a state
    chart = switches()
    machines = [af.Interpreter(chart, history=0) for _ in range(3)]
    turned = [[False] * REGIONS for _ in machines]
    walk = random.Random(7)
    most = 0
    for _ in range(1500):
        which = walk.randrange(len(machines))
        number = walk.randrange(REGIONS + 1)
        if number == REGIONS:
            machines[which].send("leave")
            machines[which].send("return")
        else:
            machines[which].send(f"turn{number}")
            turned[which][number] ^= True
        on = {name for name in machines[which].configuration if name.startswith("on")}
        assert on == {f"on{place}" for place, is_on in enumerate(turned[which]) if is_on}
        kept = machines[which]._program._configurations
        most = max(most, sum((len(one.names) + program.OVERHEAD) * (1 + steps_of(one)) for one in kept.values()))
    assert most <= 100 * len(chart.states)


def test_what_a_region_does_is_worked_out_once_whatever_the_others_are_in(monkeypatch: pytest.MonkeyPatch) -> None:
    worked_out: list[object] = []
    real = transition_sets.ExitSet

    def counted(*args: Any) -> transition_sets.ExitSet:
        worked_out.append(args)
        return real(*args)

    monkeypatch.setattr(transition_sets, "ExitSet", counted)
    builder = ChartBuilder("wide").add_state("all", initial=True, parallel=True)
    for number in range(50):
        builder.add_state(f"region{number}", parent="all")
        builder.add_state(f"off{number}", parent=f"region{number}", initial=True)
        builder.add_state(f"on{number}", parent=f"region{number}")
        builder.add_transition(f"off{number}", f"turn{number}", f"on{number}")
        builder.add_transition(f"on{number}", f"turn{number}", f"off{number}")
    machine = af.Interpreter(builder.build(), history=3)
    walk, on = random.Random(3), set()
    for _ in range(2000):
        number = walk.randrange(50)
        on ^= {number}
        machine.send(f"turn{number}")
    assert machine.state == "+".join(f"{'on' if number in on else 'off'}{number}" for number in range(50))
    assert len(machine._program._configurations) > 100, "they seldom come again"
    assert len(worked_out) <= 1 + 2 * 50


def test_changes_that_are_kept_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "REMEMBERED", 0)
    machine = af.Interpreter(switches(), history=0)
    made = machine._program
    made._limit = made._room_of_changes = 40
    for number in range(REGIONS):
        for _ in range(2):
            machine.send(f"turn{number}")
            assert sum(key[1].bit_count() + program.OVERHEAD for key in made._changes) <= 40 + program.OVERHEAD + 1
    assert machine.state == "+".join(f"off{number}" for number in range(REGIONS))
