"""The example of a release: its ends in virtual time; killed for real in its midst and at the gate, it goes on."""

from __future__ import annotations

import pytest

import examples.release
from examples.release import CHECKS, HOURS, Gate, release
from tests.examples.programs import killed, output, program, until

PACE = {"PACE": "0.01"}


@pytest.fixture
def start(virtual_system, monkeypatch):
    monkeypatch.setattr(examples.release, "PACE", 0)
    return lambda broken="": virtual_system.start(release, "1.4.0", "1.3.9", broken)


def done(capsys):
    return capsys.readouterr().out.splitlines()


def test_a_release_is_deployed_to_production_only_once_the_gate_is_open(virtual_system, start, capsys):
    run = start()
    virtual_system.sleep(HOURS)
    before = done(capsys)
    assert {*before[:4]} == {f"check 1.4.0: {name}" for name in CHECKS}
    assert before[4:] == ["build 1.4.0", "deploy shop:1.4.0 to staging", "look at staging"]
    run.signal(Gate("ann", is_open=True))
    assert run.result() == "released by ann"
    assert done(capsys) == ["deploy shop:1.4.0 to production", "look at production"]


def test_a_release_that_is_sick_in_production_is_rolled_back(start, capsys):
    run = start("production")
    run.signal(Gate("ann", is_open=True))
    assert run.result() == "rolled back to 1.3.9"
    assert done(capsys)[-1] == "deploy shop:1.3.9 to production"


@pytest.mark.parametrize("broken", [*CHECKS, "staging"])
def test_a_release_that_is_broken_does_not_come_to_the_gate(start, capsys, broken):
    assert start(broken).result() == f"not released: {broken} {'failed' if broken in CHECKS else 'is sick'}"
    assert not [line for line in done(capsys) if "production" in line]


def test_a_gate_that_is_shut_or_that_nobody_opens_ends_a_release(virtual_system, start):
    run = start()
    run.signal(Gate("ann", is_open=False))
    assert run.result() == "not released: stopped by ann"
    run = start()
    virtual_system.sleep(47.9 * HOURS)
    assert run.status == "running"
    virtual_system.sleep(0.2 * HOURS)
    assert run.result() == "not released: stopped by time"


def test_it_is_killed_at_its_build_and_at_the_gate_and_does_nothing_again_that_was_done(tmp_path):
    with killed(program(tmp_path, "examples.release", **PACE)) as lines:
        until(lines, "build")
    with killed(program(tmp_path, "examples.release", **PACE)) as lines:
        heard = until(lines, "waiting at the gate")
    assert not [line for line in heard if line.startswith("check")]
    heard = output(program(tmp_path, "examples.release", "pass", "ann", **PACE))  # this program may do the rest, too
    heard += output(program(tmp_path, "examples.release", **PACE))
    assert "1.4.0: released by ann" in heard
    assert "deploy shop:1.4.0 to production" in heard
    assert not [line for line in heard if line.startswith(("check", "build")) or line.endswith("to staging")]
    assert [line for line in heard if line.startswith("examples.release.is_healthy (0, 2)")]  # the chart
