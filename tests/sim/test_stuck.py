"""Promises: a run that is stuck is ended, by the watchdog or by one Ctrl-C, and says where it was."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import actorflow as af
from actorflow.core.drivers import lost_baton, watchdog
from actorflow.sim import Simulation
from actorflow.testing import LeakCheck
from tests.sim import stuck

PROGRAM = Path(stuck.__file__)


def test_a_real_lock_that_is_held_over_an_ask_is_named_and_free_after_the_run(monkeypatch, caplog):
    monkeypatch.setattr(watchdog, "STRIKE_SECONDS", 0.1)  # it blocks in C code
    monkeypatch.setattr(lost_baton, "PATIENCE", 100.0)
    monkeypatch.setattr(lost_baton, "STUCK_PATIENCE", 100.0)
    with LeakCheck(), pytest.raises(af.StuckError, match="with REAL_LOCK"):
        with Simulation(1, turn_seconds=600.0) as sim:
            stuck.begin(sim, "locked_again")
            watchdog.watch(sim.world, 0.2)  # only now: on a busy machine any handler may take as long
            sim.run(until=10)
    (report,) = [message for message in caplog.messages if "All handlers" in message]
    assert re.search(r"handler of /demo/a .* waits:\n(  .*\n)*?  .* in locked\n", report)  # the one that has it
    assert not stuck.REAL_LOCK.locked()


def test_a_handler_that_never_returns_is_ended_and_named(monkeypatch):
    monkeypatch.setattr(watchdog, "STRIKE_SECONDS", 100.0)
    with LeakCheck(), pytest.raises(af.StuckError, match="(?s)without giving the turn back.* in spins"):
        with Simulation(1, turn_seconds=600.0) as sim:
            stuck.begin(sim, "spins")
            watchdog.watch(sim.world, 0.2)
            sim.run(until=10)


def test_actors_that_stop_virtual_time_reach_the_step_limit():
    with LeakCheck(), pytest.raises(af.StuckError, match="has taken 300 steps, and it is .* s of virtual time"):
        with Simulation(1, step_limit=300) as sim:
            stuck.begin(sim, "tells_itself")
            sim.run(until=10)


def interrupted(*command):
    """Return what a program says that gets one Ctrl-C once it is stuck, and how it ends."""
    with subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=PROGRAM.parents[2]
    ) as program:
        assert program.stdout is not None
        said = ""
        while "ready" not in said:
            line = program.stdout.readline()
            assert line, said
            said += line
        program.send_signal(signal.SIGINT)
        try:
            said += program.communicate(timeout=100)[0]
        except subprocess.TimeoutExpired:
            program.kill()
            raise
    return said, program.returncode


@pytest.mark.slow(quick=["tells_itself-1"])
@pytest.mark.parametrize("seed", [0, 1, 2])  # the live order, priorities, any order
@pytest.mark.parametrize(
    "name", ["spins", "swallows", "locked_again", "is_in_c", "never_awaits", "tells_itself"], ids=str
)
def test_one_ctrl_c_ends_a_stuck_run(name, seed):
    said, code = interrupted("-m", "tests.sim.stuck", name, str(seed))
    assert code == 0
    assert said.endswith("over\n")
    if name != "tells_itself":  # no handler is stuck there
        assert re.search(f"had not given its turn back.* in {name}\n", said, re.DOTALL)


@pytest.mark.slow
def test_one_ctrl_c_ends_a_stuck_run_of_pytest():
    said, code = interrupted(
        "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "-o", "python_functions=stuck_test", str(PROGRAM)
    )
    assert code == pytest.ExitCode.INTERRUPTED
    assert "in spins" in said
    assert "in the simulation with seed 0" in said
