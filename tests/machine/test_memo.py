"""What a program keeps of configurations and steps has a bound, and forgetting it changes nothing."""

from __future__ import annotations

import random

import pytest

import actorflow as af
from actorflow.machine import ChartBuilder, program

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
