"""The machines of `examples.orders`: of a log they refuse what is not legal, at its line, and nothing else."""

from __future__ import annotations

import csv
import random

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from examples.orders.generate import generate
from examples.orders.life import ACTIVITIES, LIVES, Life, Package, event_of
from examples.orders.log import read, write
from tests.examples.logs import FINAL, REAL_LOG, TABLES, illegal, lives, needs_real_log, shuffled
from tests.examples.test_orders import replay, run

LOGS = [pytest.param(None, id="generated"), pytest.param(REAL_LOG, id="real", marks=[needs_real_log, pytest.mark.slow])]


@pytest.fixture(params=LOGS, scope="module")
def events(request):
    """A log: a generated one, and the real one."""
    return generate(300, seed=11) if request.param is None else read(request.param)


class Unplanned(Package):
    """A package without an actor: nobody plans its route, `planned` is sent to it."""

    def create_package(self, step): ...


def machine_of(name: str) -> af.Interpreter:
    """Make the machine of an object, without an actor."""
    cls: type[Life] = LIVES[name.partition("-")[0]]
    model = Unplanned(planner=None) if cls is Package else cls()
    return af.Interpreter(model.chart, model)


# --- without actors: every event in every state that the log leads to -------------------------------------------------


def test_machines_take_each_event_of_the_log_and_would_refuse_each_other_event(events):
    machines: dict[str, af.Interpreter] = {}
    for step, before, after in lives(events):
        machine = machines.setdefault(step.name, machine_of(step.name))
        table = TABLES[step.name.partition("-")[0]]
        for activity in ACTIVITIES:
            assert machine.may(event_of(activity), step) == (before in table.get(activity, ())), (step, activity)
        machine.send(step.event, step)
        if machine.state == "planning":
            machine.send("planned", step, None)
        assert machine.state == after
    assert all(machine.done for machine in machines.values())
    assert {name.partition("-")[0]: machine.state for name, machine in machines.items()} == FINAL


# --- as actors -------------------------------------------------------------------------------------------------------


def test_replay_of_the_log_refuses_nothing(events):
    assert illegal(events) == []
    assert replay(events).faults == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_shuffled_log_is_refused_at_exactly_the_lines_that_are_not_legal(events):
    mixed = shuffled(events, seed=1)
    report = replay(mixed)
    assert [(fault.line, fault.name) for fault in report.faults] == illegal(mixed)
    assert {fault.kind for fault in report.faults} == {"illegal"}
    refused = {line for line, _ in illegal(mixed)}
    assert report.handled.total() == len(mixed) - len(refused)
    assert not report.equal


@pytest.mark.timeout(300)
def test_command_names_line_event_and_state_of_what_it_refuses_first(events, tmp_path):
    path = tmp_path / "log.csv"
    mixed = shuffled(events, seed=2)
    write(path, mixed)
    result = run("--log", path)
    assert result.exit_code == 1
    first, name = illegal(mixed)[0]
    step, before, _ = next(life for life in lives(mixed) if (life[0].line, life[0].name) == (first, name))
    line = result.stderr.splitlines()[0]
    assert line.startswith(f"line {first}: '{step.activity}' of {name} is not legal: ")
    assert f"refuses '{step.event}' in state '{before}'" in line
    with path.open(newline="") as file:  # and it is the line of the file
        rows = [(0, []), *enumerate(csv.reader(file), start=1)]
    assert step.activity in rows[first][1]
    assert any(name.partition("-")[2] in cell for cell in rows[first][1])


@pytest.mark.parametrize("seed", range(10))
def test_two_lines_that_changed_places_are_refused_where_they_stand(seed):
    log = generate(20, seed=seed)
    chance = random.Random(seed)
    one, two = sorted(chance.sample(range(len(log)), 2))
    log[one], log[two] = log[two]._replace(line=log[one].line), log[one]._replace(line=log[two].line)
    report = replay(log, system=VirtualSystem("orders", seed=seed))
    assert [(fault.line, fault.name) for fault in report.faults] == illegal(log)


@pytest.mark.parametrize("seed", range(5))
def test_illegal_lines_are_found_once_also_when_the_machines_crash(seed):
    mixed = shuffled(generate(20, seed=seed), seed)
    report = replay(mixed, chaos=60, seed=seed, system=VirtualSystem("orders", seed=seed))
    assert [(fault.line, fault.name) for fault in report.faults] == illegal(mixed)
    assert report.restarts.total() == 60
