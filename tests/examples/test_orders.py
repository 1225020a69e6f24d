"""`examples.orders`: the log comes out equal, with and without crashes, and what is wrong in it is found."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pty
import signal
import subprocess
import sys

import psutil
import pytest
from click.testing import CliRunner

import actorflow as af
from actorflow.cli import main as command_line
from actorflow.machine import Record
from actorflow.testing import VirtualSystem
from examples.orders import AREAS, Settings, app, main, open_areas, open_library
from examples.orders.cases import WINDOW, Desk, tell_desk
from examples.orders.chaos import choose
from examples.orders.generate import generate
from examples.orders.life import Life, Order
from examples.orders.log import Step, expected, steps, write
from examples.orders.tally import Fault, Report, Section, Tally
from tests.examples.logs import REAL_LOG, ROOT, needs_real_log, shuffled
from tests.examples.programs import PATIENCE
from tests.hosts.actors import until_gone

PROGRAM = [sys.executable, "-c", "from actorflow.cli import main; main()"]  # the console script, installed or not


def replay(events, chaos=0, progress=None, seed=1, system=None) -> Report:
    """Replay a log in a system of its own, without the command line."""
    shares = steps(events)
    fumbles = choose([step for share in shares.values() for step in share], chaos, seed)
    with system or af.ActorSystem("orders") as system:
        tally = system.spawn(af.child(Tally).options(name="tally", capacity=1024))
        system.subscribe(af.Restarted, tally)
        report = tally.call(Tally.expect, events, progress and (lambda done, total: progress(system, done, total)))
        open_areas(system, shares, tally, fumbles, open_library(system, kills=0))
        return report.get(timeout=PATIENCE)


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
@pytest.mark.slow
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
@pytest.mark.slow
def test_real_log_comes_out_equal_when_200_actors_crash():
    result = run("--log", REAL_LOG, "--chaos", 200)
    assert result.exit_code == 0, result.output
    assert "Chaos: actors crashed 200, workers killed 8, hosts killed 8" in result.stdout
    assert "22,367 of 22,367 events handled" in result.stdout


# --- crashes ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
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


@pytest.mark.slow(quick=["0"])
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
    class Broken(Order):
        def place_order(self, step):
            raise ZeroDivisionError("a bug")

    Broken.__name__ = "Order"
    monkeypatch.setitem(AREAS, "sales", Broken)
    result = run("--orders", 5)
    assert result.exit_code == 1
    assert "restarted its children too often" in result.stderr
    assert "ZeroDivisionError" in result.stderr


# --- desks -----------------------------------------------------------------------------------------------------------


class Deaf(Life):
    """Takes no step: it defers its first for ever."""

    deaf, awake, gone = af.State(initial=True), af.State(), af.State(final=True)

    @deaf.to(awake)
    def wake(self): ...

    @deaf.defer
    @awake.to(gone)
    def place_order(self, step): ...


class Ear(af.Actor):
    """Stands in for the tally: keeps what a desk says to it."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def handled(self, *words):
        self.heard.append(words)

    def close(self, *words):
        self.heard.append(words)


class Shop:
    """A desk in virtual time, with an ear for a tally."""

    def __init__(self, life, share, fumbles=()):
        self.system = VirtualSystem("orders")
        self.ear = self.system.spawn(Ear)
        self.system.subscribe(af.Restarted, tell_desk)
        self.system.subscribe(af.DeadLetter, tell_desk)
        self.desk = self.system.spawn(af.child(Desk, life, share, self.ear, fumbles).options(name="desk"))

    def heard(self):
        self.system.sleep(1)
        return self.ear.proxy().heard.get()


PLACE = Step("order-1", 2, "place order")
CONFIRM = Step("order-1", 5, "confirm order")
PAY = Step("order-1", 9, "pay order")


def test_desk_has_no_more_steps_under_way_than_its_window():
    shop = Shop(Deaf, [Step(f"order-{number}", number, "place order") for number in range(2 * WINDOW)])
    with shop.system:
        assert shop.heard() == []
        assert shop.desk.proxy().under_way.get() == WINDOW
        assert len(shop.desk.proxy().book.get()) == WINDOW


def test_illegal_step_is_refused_and_the_next_is_judged_by_itself():
    shop = Shop(Order, [PLACE, PAY, CONFIRM])
    with shop.system:
        *handled, _ = shop.heard()
        refusal = "Order refuses 'pay_order' in state 'placed': legal are confirm_order"
        text = f"line 9: 'pay order' of order-1 is not legal: {refusal}"
        fault = Fault("illegal", "order-1", 9, text)
        assert handled == [("order-1", 2, None), ("order-1", 9, fault), ("order-1", 5, None)]


def test_crashed_machine_is_brought_back_by_its_steps_and_none_is_counted_twice():
    shop = Shop(Order, [PLACE, CONFIRM, PAY], fumbles=[PAY])
    restarts = []
    shop.system.subscribe(af.Restarted, restarts.append)
    with shop.system:
        *handled, closing = shop.heard()
        assert len(restarts) == 1
        assert handled == [("order-1", line, None) for line in (2, 5, 9)]
        assert closing == ("order", Section(1, 1, {}))
        order = shop.system.find("/orders/desk/cases/order-1", Order)
        assert [record.data for record in order.history] == [(PLACE,), (CONFIRM,), (PAY,)]


def test_step_taken_out_of_turn_is_an_order_fault():
    shop = Shop(Deaf, [PLACE])
    with shop.system:
        shop.heard()
        shop.desk.tell(Record("deaf", "gone", "place_order", (PAY,), 0.0))
        [(*_, fault), _closing] = shop.heard()
        text = "line 9: 'pay order' of order-1 was taken in place of line 2"
        assert fault == Fault("order", "order-1", 9, text)


# --- logs that are wrong ---------------------------------------------------------------------------------------------


def test_illegal_event_is_reported_and_the_exit_code_is_1(tmp_path):
    events = generate(20, seed=1)
    pay = next(event for event in events if event.activity == "pay order")
    write(tmp_path / "log.csv", [*events, pay])
    result = run("--log", tmp_path / "log.csv")
    assert result.exit_code == 1
    where = f"line {len(events) + 2}: 'pay order' of {pay.objects[0]} is not legal: "
    assert result.stderr == f"{where}Order refuses 'pay_order' in state 'paid': no event is legal there\n"
    [row] = [line for line in result.stdout.splitlines() if "pay order" in line]
    assert "21" in row
    assert "20" in row
    assert "differs" in row


@pytest.mark.slow
def test_shuffled_log_does_not_come_out_equal():
    events = shuffled(generate(50, seed=1), seed=1)
    report = replay(events)
    assert not report.equal
    assert {fault.kind for fault in report.faults} == {"illegal"}
    assert report.handled.total() + len({fault.line for fault in report.faults}) == len(events)


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


@pytest.mark.slow
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
        out, _ = program.communicate(timeout=PATIENCE)
        with contextlib.suppress(OSError):  # Linux says EIO at the end of a terminal
            while more := terminal.read(1000):
                seen += more
    assert program.returncode in {0, 3, 4}, seen  # by how much of its mail is worked off within the grace time
    assert out == ""
    assert b"Traceback" not in seen
    assert b"draining" in seen
    assert len(children) >= 2, children  # the fork server, and what it has forked
    until_gone(*(process.pid for process in children))


def test_report_goes_to_stdout_without_colour_and_nothing_else_does():
    result = subprocess.run(
        [*PROGRAM, "run", "examples.orders:app", "--orders", "20"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert "\x1b" not in result.stdout
    assert result.stdout.splitlines()[-1].endswith("ok")
    assert result.stderr == ""


def test_app_is_added_to_by_parts_and_settings_are_a_frozen_dataclass():
    assert app.settings is Settings
    assert dataclasses.is_dataclass(Settings)
    assert main.__doc__
