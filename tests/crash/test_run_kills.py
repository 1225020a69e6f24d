"""Random SIGKILLs of processes that share runs of workflows, while runs are under way.

ACTORFLOW_RUN_KILLS=500 makes it 500 kills beside 200 runs on a file, and beside 100 on PostgreSQL (`tox -e run-kills`);
ACTORFLOW_RUN_KILLS_SEED draws another run of them. It prints how long runs of the dead had no owner.
"""

from __future__ import annotations

import contextlib
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import actorflow as af
from tests.crash import runs
from tests.crash.books import Books

KILLS = int(os.environ.get("ACTORFLOW_RUN_KILLS", "5"))
SEED = int(os.environ.get("ACTORFLOW_RUN_KILLS_SEED", "1"))
ALIVE = {"sqlite": 200, "postgres": 100} if KILLS >= 100 else {"sqlite": 12, "postgres": 12}
PATIENCE = 100.0  # seconds


@pytest.fixture(params=["sqlite", "postgres"])
def books(request, tmp_path):
    """Return a store of each kind that several processes may work on."""
    if request.param == "postgres":
        with request.getfixturevalue("postgres_server").database() as url:
            yield Books(url)
    else:
        yield Books(f"sqlite:///{tmp_path / 'runs.db'}")


class Crew:
    """Processes that run workflows, of which one is killed now and then."""

    def __init__(self, books: Books, rng: random.Random) -> None:
        self.books = books
        self.rng = rng
        self.processes: list[subprocess.Popen[bytes]] = []
        self.waited: list[float] = []  # seconds until runs of the dead had an owner again

    def start(self) -> None:
        """Have one more."""
        command = [sys.executable, "-m", "tests.crash.run_daemon", self.books.url, "process"]
        self.processes.append(subprocess.Popen(command))

    def owned(self, pid: int) -> dict[int, int]:
        """Return the runs that a process has, with their epochs."""
        prefix = self.books.prefix
        sql = f"select run.id, run.epoch from {prefix}run as run join {prefix}node as node on node.id = run.owner "
        return dict(self.books.rows(f"{sql} where node.pid = {pid}"))

    def wait_until_up(self) -> None:
        """Wait until all of them are on the store."""
        until = time.monotonic() + PATIENCE
        pids = {process.pid for process in self.processes}
        while not pids <= {pid for (pid,) in self.books.rows("select pid from {node}")}:
            assert time.monotonic() < until, "a process does not come on the store"
            time.sleep(0.01)

    def kill_one(self) -> None:
        """Kill one, and wait until others have all of its runs."""
        process = self.processes.pop(self.rng.randrange(len(self.processes)))
        process.kill()
        process.wait(PATIENCE)
        since = time.monotonic()
        left = self.owned(process.pid)
        while left:
            ids = ", ".join(map(str, left))
            rows = self.books.rows(f"select id, epoch, state from {self.books.prefix}run where id in ({ids})")
            taken = {id_ for id_, epoch, state in rows if state == 4 or (epoch > left[id_] and state == 2)}
            self.waited += [time.monotonic() - since] * len(taken)
            left = {id_: epoch for id_, epoch in left.items() if id_ not in taken}
            assert time.monotonic() - since < PATIENCE, f"runs of the dead lie about: {rows}"
            time.sleep(0.01)

    def end(self) -> None:
        """Have all end in order."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            assert process.wait(PATIENCE) == 0


@contextlib.contextmanager
def crew_of(books: Books, rng: random.Random) -> Iterator[Crew]:
    """Give a crew; those that are left when a test fails are killed."""
    crew = Crew(books, rng)
    try:
        yield crew
    finally:
        for process in crew.processes:
            if process.poll() is None:
                process.kill()
                process.wait(PATIENCE)


class Notes:
    """What was begun, as the world outside saw it, against what was recorded at each kill."""

    def __init__(self, books: Books, path: Path) -> None:
        self.books = books
        self.path = path
        self.place = 0
        self.recorded: set[str] = set()
        self.keys: set[str] = set()

    def check(self) -> None:
        """Check that nothing was begun since the last look that was recorded then."""
        prefix = self.books.prefix
        sql = f"select run.name, rec.branch, rec.name, rec.occurrence from {prefix}record as rec "
        sql += f"join {prefix}run as run on run.id = rec.run where rec.kind = 0"
        recorded = {
            f"run/{run}/{branch}/{name}/{occurrence}" if branch else f"run/{run}/{name}"  # the latter of a DAG
            for run, branch, name, occurrence in self.books.rows(sql)
        }
        with self.path.open() as lines:  # after the look at the records: those are of steps that had begun before
            lines.seek(self.place)
            begun = lines.read()
            self.place = lines.tell()
        again = self.recorded.intersection(begun.split())
        assert not again, f"recorded, and run again: {again}"
        self.keys.update(begun.split())
        self.recorded = recorded


class Load:
    """Runs, of which so many are always under way."""

    def __init__(self, system: af.ActorSystem, rng: random.Random, alive: int) -> None:
        self.system = system
        self.rng = rng
        self.alive = alive
        self.number = 0
        self.open: dict[int, tuple[af.Run[object], bool]] = {}

    def look(self) -> None:
        """Signal some of those that wait, check those that are over, and start others in their place."""
        for number, (run, is_signalled) in list(self.open.items()):
            if not is_signalled and self.rng.random() < 0.5:
                run.signal(runs.Approved("ann"), id="once")
                self.open[number] = run, True
            elif run.status == "completed":
                assert run.result(timeout=0) == runs.expected(number)
                del self.open[number]
        while len(self.open) < self.alive:
            workflow = self.rng.choice([runs.plain, runs.asynchronous])
            run = self.system.start(workflow.options(id=f"run-{self.number}"), self.number)
            self.open[self.number] = run, False
            self.number += 1

    def finish(self) -> None:
        """Wait for the end of all."""
        for number, (run, _) in self.open.items():
            run.signal(runs.Approved("ann"), id="once") if run.status != "completed" else None
            assert run.result(timeout=PATIENCE) == runs.expected(number)


@pytest.mark.slow
@pytest.mark.timeout(300 + 6 * KILLS)
def test_runs_end_right_and_no_recorded_step_is_run_again_wherever_processes_are_killed(
    books, tmp_path, capsys, monkeypatch
):
    path = tmp_path / "notes"
    path.touch()
    monkeypatch.setenv("ACTORFLOW_NOTES", str(path))
    rng = random.Random(SEED)
    with af.ActorSystem("starter", store=books.url) as system, crew_of(books, rng) as crew:
        system.workflows = frozenset()  # it starts them, and others run them
        load = Load(system, rng, ALIVE["sqlite" if books.is_sqlite else "postgres"])
        load.look()
        crew.start()
        crew.start()
        notes = Notes(books, path)
        for number in range(KILLS):
            crew.wait_until_up()
            time.sleep(rng.random() * 0.3)
            if number % 5 == 4:  # all die, and others come under other numbers
                crew.start()
                crew.start()
                crew.kill_one()
            crew.kill_one()
            notes.check()
            load.look()
            while len(crew.processes) < 2:
                crew.start()
        load.finish()
        notes.check()
        assert len(notes.keys) == load.number * runs.STEPS  # a step that is run again has the same key
        crew.end()
    waited = sorted(crew.waited) or [0.0]
    with capsys.disabled():
        print(
            f"\nruns: {KILLS} kills, {load.number} runs; {len(crew.waited)} had another owner after "
            f"{statistics.median(waited):.3f} s, {waited[-1]:.3f} s at most"
        )
