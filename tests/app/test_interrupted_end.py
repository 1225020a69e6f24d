"""Interruptions at the end of a system: Ctrl-C once and twice, a SIGTERM in an `on_stop`, and one at each bytecode."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

import actorflow as af
from actorflow.testing import LeakCheck
from tests.interrupts import at_every_bytecode

LIMIT = 60.0
ROOT = Path(__file__).parents[2]

PROGRAM = """
    import sys, threading, time
    import actorflow as af

    class Ends(af.Actor):
        def on_stop(self):
            print("stops", flush=True)
            {on_stop}

    @af.task(name="works")
    def works():
        print("works", flush=True)
        {work}

    def main():
        with af.ActorSystem("test", store=sys.argv[1], settings=af.Settings(grace=600)) as system:
            ends = system.spawn(Ends)
            system.queue("q", workers=1).enqueue(works)
            {body}
        print("over", flush=True)

    if __name__ == "__main__":
        main()
"""
HANG = "threading.Event().wait()"
NAPS = "while True: time.sleep(0.05)"  # one signal may come just before a wait, and interrupts none then


@pytest.fixture
def store(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/q.db"


@pytest.fixture
def started(tmp_path, store):
    """Start the program, and end it with the test."""
    programs: list[subprocess.Popen[str]] = []

    def start(work: str = "pass", on_stop: str = "pass", body: str = NAPS) -> subprocess.Popen[str]:
        script = tmp_path / "program.py"
        script.write_text(textwrap.dedent(PROGRAM.format(work=work, on_stop=on_stop, body=body)))
        command = [sys.executable, str(script), store]
        pipe = subprocess.PIPE
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        programs.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment))
        assert programs[-1].stdout.readline() == "works\n"
        return programs[-1]

    yield start
    for program in programs:
        program.kill()
        program.communicate()


def status(store: str) -> str:
    """Return what the one job is, as another process sees it."""
    with af.ActorSystem("look", store=store) as system:
        return system.get_job("1").status


def test_ctrl_c_in_a_with_block_drains(started, store):
    program = started(on_stop="time.sleep(0)")
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=LIMIT)
    assert out == "stops\n"
    assert "KeyboardInterrupt" in err
    assert status(store) == "completed"


def test_a_second_ctrl_c_while_an_on_stop_hangs_ends_the_program(started):
    program = started(on_stop=HANG)
    interrupted_twice(program)


@pytest.mark.slow(quick=["run"])
@pytest.mark.parametrize("body", ["system.run()", NAPS], ids=["run", "with"])
def test_a_second_ctrl_c_ends_the_grace_time_and_what_runs_is_given_back(started, store, body):
    program = started(work=HANG, body=body)
    interrupted_twice(program)
    assert status(store) == "queued"


def interrupted_twice(program: subprocess.Popen[str]) -> None:
    """Press Ctrl-C twice in quick succession, and see the program end.

    Of two that come before Python has looked, it makes one: then the next one is the second.
    """
    program.send_signal(signal.SIGINT)
    deadline = time.monotonic() + LIMIT
    while program.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
        if program.poll() is None:
            program.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(LIMIT / 6)
    _, err = program.communicate(timeout=LIMIT)
    assert program.returncode not in {0, -signal.SIGKILL}
    assert "KeyboardInterrupt" in err


def test_stop_that_is_interrupted_at_any_bytecode_can_be_repeated_and_leaves_nothing(no_collection):
    class Ends(af.Actor):
        def on_stop(self) -> None:
            stopped.append(self)

    def new() -> af.ActorSystem:
        system = af.ActorSystem("test")
        system.spawn(Ends)
        return system

    stopped: list[Ends] = []
    systems = [new()]

    def mended() -> None:
        ended = systems.pop()
        ended.stop()
        assert ended.ended.done()
        assert len(stopped) == 1
        stopped.clear()
        systems.append(new())

    with LeakCheck():
        systems.pop().stop()
        stopped.clear()
        systems.append(new())
        assert at_every_bytecode(lambda: systems[0].stop(), mended) > 100
        systems.pop().stop()


@pytest.mark.slow
def test_the_end_is_bounded_though_another_process_holds_the_file(tmp_path, store):
    begun = threading.Event()

    @af.task(name="tests.interrupted_end.short")
    def short() -> None:
        begun.set()

    holder = sqlite3.connect(f"{tmp_path}/q.db", isolation_level=None)
    system = af.ActorSystem("test", store=store)
    system.queue("q", workers=1).enqueue(short).result(timeout=LIMIT)
    holder.execute("begin immediate")
    start = time.monotonic()
    system.stop(grace=0.2)
    took = time.monotonic() - start
    holder.execute("rollback")
    holder.close()
    assert took < 20  # the file is waited for 30 s
