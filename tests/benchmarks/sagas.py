"""Sagas against workflows of the same steps, and against dbos with an undo by hand; many at once; half-done ones."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import actorflow as af
from actorflow.store.group_commit import Commits

from . import probe
from .harness import OURS, WAIT, Experiment, Figures, Goal, Row, check
from .queues import DBOS, folder
from .workflows import plus_one

FLOW = "workflow"
STEPS = 5


@af.task
def book(n: int) -> int:
    """Do next to nothing."""
    return n + 1


@book.compensate
def unbook(result: int) -> None:
    """Do next to nothing."""


@af.saga
def five() -> int:
    """Steps in a row."""
    n = 0
    for _ in range(STEPS):
        n = book(n)
    return n


@af.saga
async def five_async() -> int:
    """The same, async."""
    n = 0
    for _ in range(STEPS):
        n = await book.submit(n)
    return n


@af.workflow
def five_steps() -> int:
    """The same without an undo."""
    n = 0
    for _ in range(STEPS):
        n = book(n)
    return n


@af.task
async def held() -> int:
    """Hang in the process that is to die."""
    await asyncio.sleep(3600 if DYING else 0)
    return STEPS


@af.saga
async def halfway() -> int:
    """A step, and one that a process dies in."""
    await book.submit(1)
    return await held.submit()


DYING: list[bool] = []


def experiments(*, quick: bool) -> list[Experiment]:
    """Give saga_5, sagas_at_once and sagas_recovery."""
    runs = 40 if quick else 200
    many = 200 if quick else 1000
    few = 20 if quick else 50
    return [
        Experiment(
            "saga_5",
            {
                OURS: partial(one_by_one, five, runs),
                FLOW: partial(one_by_one, five_steps, runs),
                DBOS: partial(dbos, few),
            },
            [
                Row(
                    "sagas",
                    f"sagas of {STEPS} steps, one by one, power (dbos: undo by hand)",
                    "/s",
                    [Goal(">=", 1 / 1.6, FLOW), Goal(">=", 8, DBOS)],
                )
            ],
        ),
        Experiment(
            "sagas_at_once",
            {OURS: partial(at_once, many)},
            [
                Row("commits", f"disk syncs a saga of {STEPS} steps, {many:,} at once, power", "", [Goal("<=", 0.5)]),
                Row("sagas", f"sagas of {STEPS} steps, {many:,} at once, power", "/s"),
            ],
        ),
        Experiment(
            "sagas_recovery",
            {OURS: partial(recovery, many)},
            [Row("seconds", f"kill -9 to {many:,} half-done sagas all moving again", "s", [Goal("<=", 3)])],
            repeats=1 if quick else 3,
        ),
    ]


def one_by_one(flow: object, runs: int) -> Figures:
    """Have so many come to their ends, each after the one before."""
    with folder() as path, af.ActorSystem("bench", store=f"sqlite:///{path}/ours.db", durability="power") as system:
        system.start(flow).result(timeout=WAIT)
        begin = time.perf_counter()
        for _ in range(runs):
            check(system.start(flow).result(timeout=WAIT) == STEPS, "a saga has another result")
        return {"sagas": runs / (time.perf_counter() - begin)}


def at_once(runs: int) -> Figures:
    """Have 64 threads begin so many, and count all commits: each of them syncs the disk once at most."""
    commits = 0
    write = Commits._commit_writer

    def counting(self: Commits) -> None:
        nonlocal commits
        commits += 1
        write(self)

    with folder() as path, af.ActorSystem("bench", store=f"sqlite:///{path}/ours.db", durability="power") as system:
        system.start(five_async).result(timeout=WAIT)
        Commits._commit_writer = counting  # type: ignore[method-assign]
        try:
            begin = time.perf_counter()
            with ThreadPoolExecutor(64) as threads:
                started = list(threads.map(lambda _: system.start(five_async), range(runs)))
            for run in started:
                check(run.result(timeout=WAIT) == STEPS, "a saga has another result")
            seconds = time.perf_counter() - begin
        finally:
            Commits._commit_writer = write  # type: ignore[method-assign]
    return {"commits": commits / runs, "sagas": runs / seconds}


def recovery(runs: int) -> Figures:
    """Kill a process that has so many sagas in their second steps, and time until all have ended in another one."""
    with folder() as path:
        url = f"sqlite:///{path}/ours.db"
        command = f"from tests.benchmarks.sagas import die; die({url!r}, {runs})"
        with subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE) as process:
            check(process.stdout is not None and process.stdout.readline() == b"ready\n", "the process is not ready")
            process.kill()
        begin = time.perf_counter()
        with af.ActorSystem("bench", store=url, durability="power") as system:
            for info in list(system.runs(halfway)):
                check(system.get_run(info.id).result(timeout=WAIT) == STEPS, "a saga has another result")
            seconds = time.perf_counter() - begin
            check(system.runs(halfway).count() == {"completed": runs}, "not all sagas have ended")
        return {"seconds": seconds}


def die(url: str, runs: int) -> None:
    """Have so many sagas go as far as into their second step, say so, and wait for the kill."""
    DYING.append(True)
    with af.ActorSystem("dying", store=url, durability="process") as system:
        started = [system.start(halfway) for _ in range(runs)]
        for run in started:
            while not run.steps:
                time.sleep(0.001)
        print("ready", flush=True)
        time.sleep(WAIT)


def dbos(runs: int) -> Figures:
    """Have workflows of dbos take five steps in a row, with an undo by hand, in a process of its own."""
    return probe.sample(dbos_sagas, runs)


def dbos_sagas(runs: int) -> Figures:
    """Have workflows of dbos take five steps, each of which notes its undo."""
    import dbos as peer

    with folder() as path:
        url = f"sqlite:///{path}/dbos.sqlite"
        peer.DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR"})
        step, undo = peer.DBOS.step()(plus_one), peer.DBOS.step(name="undo")(lambda n: None)

        def body() -> int:
            n, undone = 0, []
            try:
                for _ in range(STEPS):
                    n = step(n)
                    undone.append(partial(undo, n))
            except Exception:
                for one in reversed(undone):
                    one()
                raise
            return n

        flow: Callable[[], int] = peer.DBOS.workflow()(body)
        peer.DBOS.launch()
        flow()
        begin = time.perf_counter()
        for _ in range(runs):
            check(flow() == STEPS, "a workflow of dbos has another result")
        end = time.perf_counter()
        peer.DBOS.destroy()
    return {"sagas": runs / (end - begin)}
