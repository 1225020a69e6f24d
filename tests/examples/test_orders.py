"""`examples.orders`: the log comes out equal, with and without crashes, and what is wrong in it is found."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pty
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

import actorflow as af
from actorflow.cli import main as command_line
from actorflow.testing import VirtualSystem
from examples.orders import AREAS, Settings, app, main, open_areas, open_library
from examples.orders.cases import WINDOW, Case, Desk, Order, Snapshot
from examples.orders.chaos import choose
from examples.orders.generate import generate
from examples.orders.log import Step, expected, steps, write
from examples.orders.tally import Fault, Report, Tally

PROGRAM = [sys.executable, "-c", "from actorflow.cli import main; main()"]  # the console script, installed or not
ROOT = Path(__file__).resolve().parents[2]
NAME = "order_management_ocel.csv"
REAL_LOG = Path(os.environ.get("ACTORFLOW_EVENTLOG", ROOT.parent / "shared" / "data" / "eventlogs" / NAME))

needs_real_log = pytest.mark.skipif(
    not REAL_LOG.is_file(), reason=f"no {NAME}: set ACTORFLOW_EVENTLOG to its path (it is not ours to ship)"
)


def replay(events, chaos=0, progress=None, seed=1, system=None) -> Report:
    """Replay a log in a system of its own, without the command line."""
    shares = steps(events)
    fumbles = choose([step for share in shares.values() for step in share], chaos, seed)
    with system or af.ActorSystem("orders") as system:
        tally = system.spawn(af.child(Tally).options(name="tally", capacity=1024))
        system.subscribe(af.Restarted, tally)
        report = tally.call(Tally.expect, events, progress and (lambda done, total: progress(system, done, total)))
        open_areas(system, shares, tally, fumbles, open_library(system, kills=0))
        return report.get(timeout=50)


def run(*flags: object):
    """Run the example by the command line, in this process."""
    return CliRunner().invoke(command_line, ["run", "examples.orders:app", *map(str, flags)])


# --- counts ----------------------------------------------------------------------------------------------------------


def test_every_event_of_a_generated_log_is_handled_once():
    events = generate(300, seed=5)
    report = replay(events)
    assert report.handled == expected(events)
    assert report.equal
    assert report.restarts.total() == 0


def test_objects_see_their_events_in_file_order_and_end_in_their_final_state():
    events = generate(100, seed=6)
    report = replay(events)
    assert report.faults == []
    objects = {name for event in events for name in event.objects}
    assert sum(section.objects for section in report.sections.values()) == len(objects)
    assert sum(section.final for section in report.sections.values()) == len(objects)


@needs_real_log
def test_real_log_comes_out_equal_with_the_counts_of_its_readme():
    result = run("--log", REAL_LOG)
    assert result.exit_code == 0, result.output
    for activity, count in {
        "place order": "2,000",
        "item out of stock": "1,664",
        "pick item": "8,159",
        "failed delivery": "391",
        "payment reminder": "514",
    }.items():
        row = next(line for line in result.stdout.splitlines() if activity in line)
        assert row.count(count) == 2, row
    assert "22,367 of 22,367 events handled" in result.stdout
    for count in ("8,159", "1,325"):
        assert any(line.count(count) == 3 for line in result.stdout.splitlines())  # alive, in order, final


@needs_real_log
def test_real_log_comes_out_equal_when_200_actors_crash():
    result = run("--log", REAL_LOG, "--chaos", 200)
    assert result.exit_code == 0, result.output
    assert "Chaos: actors crashed 200, workers killed 8, hosts killed 8" in result.stdout
    assert "22,367 of 22,367 events handled" in result.stdout


# --- crashes ---------------------------------------------------------------------------------------------------------


def test_counts_come_out_equal_when_50_actors_crash():
    result = run("--orders", 200, "--chaos", 50)
    assert result.exit_code == 0, result.output
    assert "Chaos: actors crashed 50, workers killed 2, hosts killed 2" in result.stdout
    assert "differs" not in result.stdout


def test_counts_come_out_equal_when_every_single_step_crashes_once():
    events = generate(40, seed=2)
    every = sum(len(event.objects) for event in events)
    report = replay(events, chaos=every)
    assert report.equal
    assert report.restarts.total() == every


@pytest.mark.parametrize("seed", range(5))
def test_chaos_of_any_seed_counts_each_event_once(seed):
    events = generate(60, seed=seed)
    report = replay(events, chaos=100, seed=seed)
    assert report.handled == expected(events)
    assert report.faults == []
    assert report.restarts.total() == 100


@pytest.mark.parametrize("seed", range(25))
def test_chaos_under_any_order_of_the_actors_counts_each_event_once(seed):
    events = generate(8, seed=seed)
    report = replay(events, chaos=40, seed=seed, system=VirtualSystem("orders", seed=seed))
    assert report.equal
    assert report.restarts.total() == 40


def test_same_seed_replays_the_same_run():
    traces = []
    for _ in range(2):
        system = VirtualSystem("orders", seed=3)
        trace = system.record()
        replay(generate(5, seed=3), chaos=10, system=system)
        traces.append([(time, path) for time, path, _ in trace])
    assert traces[0] == traces[1]
    assert len(traces[0]) > 100


@pytest.mark.parametrize("name", AREAS)
def test_area_whose_desk_crashes_begins_again_and_nothing_is_counted_twice(name):
    events = generate(100, seed=3)

    def crash_the_desk_halfway(system, done, total):
        if done == total // 2:
            desk = system.find(f"/orders/{name}/desk", Desk)
            desk.cast(Desk.send, desk, None)  # a step that is none

    report = replay(events, progress=crash_the_desk_halfway)
    assert report.equal
    assert report.restarts["desk"] == 1


def test_crash_beyond_the_ordered_ones_is_a_fault_that_ends_the_system(monkeypatch):
    def broken(self, step):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Order, "take", broken)
    result = run("--orders", 5)
    assert result.exit_code == 1
    assert "restarted its children too often" in result.stderr
    assert "ZeroDivisionError" in result.stderr


# --- what is kept until it is acknowledged ---------------------------------------------------------------------------


class Deaf(Order):
    """Takes its steps and never acknowledges one."""

    taken: list[Step]
    full: threading.Event

    async def handle(self, step):
        self.taken.append(step)
        if len(self.taken) == WINDOW:
            self.full.set()


def test_desk_has_no_more_steps_under_way_than_its_window():
    Deaf.taken, Deaf.full = [], threading.Event()
    share = steps(generate(2 * WINDOW, seed=1))["order"]
    with af.ActorSystem("orders") as system:
        tally = system.spawn(Tally)
        desk = system.spawn(Desk, Deaf, share, tally)
        assert Deaf.full.wait(20)
        assert desk.proxy().under_way.get(timeout=5) == WINDOW
        assert sorted(Deaf.taken) == sorted(share[:WINDOW])


class Ear(af.Actor):
    """Stands in for a desk: keeps what an object says to it."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def introduce(self, name, ref):
        self.heard.append(name)

    def acknowledge(self, *words):
        self.heard.append(words)


@pytest.fixture
def order():
    """An order with an ear for a desk, and a function that hands it messages and returns what it says."""
    with af.ActorSystem("orders") as system:
        ear = system.spawn(Ear)
        ref = system.spawn(Order, "order-1", ear)

        def say(*messages):
            for method, argument in messages:
                ref.cast(method, argument)
            ref.ask("all of that is handled", timeout=5)
            return ear.proxy().heard.get(timeout=5)[1:]

        yield say


PLACE = Step("order-1", 1, "place order", 0)
CONFIRM = Step("order-1", 5, "confirm order", 1)
PAY = Step("order-1", 9, "pay order", 5)


def test_object_drops_steps_until_it_has_its_snapshot(order):
    said = order((Case.handle, CONFIRM), (Case.resume, Snapshot("placed", 1)), (Case.handle, CONFIRM))
    assert said == [("order-1", 5, Snapshot("confirmed", 5), None)]


def test_repeated_step_is_acknowledged_again_and_changes_nothing(order):
    said = order((Case.resume, Snapshot()), (Case.handle, PLACE), (Case.handle, PLACE))
    assert said == [("order-1", 1, Snapshot("placed", 1), None)] * 2


def test_step_that_overtook_another_is_an_order_fault(order):
    [(*_, fault)] = order((Case.resume, Snapshot("placed", 1)), (Case.handle, PAY))
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.number) == ("order", 9)


def test_illegal_step_is_refused_and_leaves_the_state(order):
    said = order((Case.resume, Snapshot()), (Case.handle, PLACE), (Case.handle, PAY._replace(previous=1)))
    *_, fault = said[1]
    assert fault.kind == "illegal"
    assert fault.text == "event 9: 'pay order' is not legal for order-1 in state 'placed'"
    assert said[1][2] == Snapshot("placed", 9)


# --- logs that are wrong ---------------------------------------------------------------------------------------------


def renumbered(events):
    return [event._replace(number=number) for number, event in enumerate(events, start=1)]


def test_illegal_event_is_reported_and_the_exit_code_is_1(tmp_path):
    events = generate(20, seed=1)
    pay = next(event for event in events if event.activity == "pay order")
    write(tmp_path / "log.csv", renumbered([*events, pay]))
    result = run("--log", tmp_path / "log.csv")
    assert result.exit_code == 1
    assert f"'pay order' is not legal for {pay.objects[0]} in state 'paid'" in result.stderr
    [row] = [line for line in result.stdout.splitlines() if "pay order" in line]
    assert "21" in row
    assert "20" in row
    assert "differs" in row


def test_shuffled_log_does_not_come_out_equal():
    events = generate(50, seed=1)
    random.Random(1).shuffle(events)
    report = replay(renumbered(events))
    assert not report.equal
    assert {fault.kind for fault in report.faults} == {"illegal"}
    assert report.handled.total() + len({fault.number for fault in report.faults}) == len(events)


def test_truncated_log_leaves_objects_that_have_not_ended(tmp_path):
    events = generate(50, seed=1)
    report = replay(events[: len(events) // 2])
    assert report.handled == report.expected
    assert not report.equal


def test_malformed_log_is_one_line_with_the_line_number_and_exit_code_2(tmp_path):
    path = tmp_path / "log.csv"
    write(path, generate(5, seed=1))
    lines = path.read_text().splitlines(keepends=True)
    lines[6] = lines[6].replace(",", ";")
    path.write_text("".join(lines))
    result = run("--log", path)
    assert result.exit_code == 2
    assert result.stderr == f"actorflow: {path}, line 7: 1 columns, the header has 10\n"
    assert result.stdout == ""


def test_absent_log_is_one_line_and_exit_code_2(tmp_path):
    result = run("--log", tmp_path / "absent.csv")
    assert result.exit_code == 2
    assert result.stderr == f"actorflow: {tmp_path}/absent.csv: cannot read it: No such file or directory\n"


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--orders", "0"], "--orders 0: give at least 1"),
        (["--chaos", "-1"], "--chaos -1: give 0 or more"),
        (["--orders", "1", "--chaos", "1000"], "--chaos 1000: this log has 21 steps to crash at"),
        (["--choas", "1"], "--chaos"),
    ],
)
def test_flags_that_make_no_sense_are_one_line_and_exit_code_2(flags, text):
    result = run(*flags)
    assert result.exit_code == 2
    assert text in result.stderr
    assert result.stderr.count("\n") == 1


# --- as a program ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_in_the_middle_of_a_run_ends_it_within_five_seconds(number):
    ours, theirs = pty.openpty()  # a terminal for stderr, so that the progress bar shows when the run is under way
    program = subprocess.Popen(
        [*PROGRAM, "run", "examples.orders:app", "--orders", "8000"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    with program, os.fdopen(ours, "rb", buffering=0) as terminal:
        seen = b""
        while b"events" not in seen:
            seen += terminal.read(1000)
        children = psutil.Process(program.pid).children(recursive=True)
        program.send_signal(number)
        out, _ = program.communicate(timeout=5)
        with contextlib.suppress(OSError):  # Linux says EIO at the end of a terminal
            while more := terminal.read(1000):
                seen += more
    assert program.returncode == 128 + number, seen
    assert out == ""
    assert b"Traceback" not in seen
    assert b"draining" in seen
    assert len(children) >= 2, children  # the fork server, and what it has forked
    psutil.wait_procs(children, timeout=1)  # some may be zombies, whom init has yet to bury
    running = {p.pid for p in psutil.process_iter(["status"]) if p.info["status"] != psutil.STATUS_ZOMBIE}
    assert running.isdisjoint(process.pid for process in children)


def test_report_goes_to_stdout_without_colour_and_nothing_else_does():
    result = subprocess.run(
        [*PROGRAM, "run", "examples.orders:app", "--orders", "20"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert "\x1b" not in result.stdout
    assert result.stdout.splitlines()[-1].endswith("ok")
    assert result.stderr == ""


def test_app_is_added_to_by_parts_and_settings_are_a_frozen_dataclass():
    assert app.settings is Settings
    assert dataclasses.is_dataclass(Settings)
    assert main.__doc__
