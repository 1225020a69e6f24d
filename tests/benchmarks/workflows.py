"""Steps of runs against a raw SQLite table with the same columns, and against dbos on SQLite; replay; parked runs.

The raw table gets a row a step: each in a transaction of its own, or 64 at once.
"""

import contextlib
import sqlite3
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import actorflow as af
from actorflow.store.codec import encode
from actorflow.workflows.body.steps import hash_of
from actorflow.workflows.rows import ledger
from actorflow.workflows.rows.records import OVER, PARKED, READY, RunRecord
from actorflow.workflows.workflow import AnyWorkflow

from . import probe
from .harness import OURS, WAIT, Experiment, Figures, Goal, Row, check
from .queues import DBOS, RAW, folder

TOGETHER = "raw, 64 rows a commit"
EMPTY = "empty store"


@af.task
def plus(n: int) -> int:
    """Do next to nothing."""
    return n + 1


@af.workflow
def chain(steps: int) -> int:
    """Steps in a row."""
    n = 0
    for _ in range(steps):
        n = plus(n)
    return n


@af.workflow
async def chain_async(steps: int) -> int:
    """The same, async."""
    n = 0
    for _ in range(steps):
        n = await plus.submit(n)
    return n


@af.workflow
def fan(width: int) -> int:
    """Steps beside each other."""
    return len(plus.map(range(width)).get())


def experiments(*, quick: bool) -> list[Experiment]:
    """Give steps_1, steps_8, steps_64, fan_out, parked, finished and replay."""
    n = 200 if quick else 1000
    few = 20 if quick else 100
    parked = 5_000 if quick else 100_000
    finished = 10_000 if quick else 1_000_000
    long = 2_000 if quick else 10_000

    def against_dbos(bound: float) -> Goal:
        return Goal(">=", bound, DBOS)

    return [
        Experiment(
            "steps_1",
            {OURS: partial(steps_ours, chain, 1, n), RAW: partial(raw_rows, n, 1), DBOS: partial(dbos, few, 1)},
            [Row("steps", "steps, 1 sync run, power (raw: 1 a commit)", "/s", [Goal(">=", 0.6, RAW), against_dbos(5)])],
        ),
        Experiment(
            "steps_8",
            {OURS: partial(steps_ours, chain, 8, n // 4), RAW: partial(raw_rows, n, 1), DBOS: partial(dbos, few, 1)},
            [
                Row(
                    "steps",
                    "steps, 8 sync runs, power (raw: 1 a commit)",
                    "/s",
                    [Goal(">=", 1.5, RAW), against_dbos(12)],
                )
            ],
        ),
        Experiment(
            "steps_64",
            {
                OURS: partial(steps_ours, chain_async, 64, n // 8),
                TOGETHER: partial(raw_rows, 8 * n, 64),
                DBOS: partial(dbos, few, 1),
            },
            [Row("steps", "steps, 64 async runs, power", "/s", [Goal(">=", 0.25, TOGETHER), against_dbos(40)])],
        ),
        Experiment(
            "fan_out",
            {OURS: partial(fan_ours, 100), DBOS: partial(dbos, few, 1)},
            [Row("steps", "durable fan-out of 100 (dbos: in a row)", "/s", [against_dbos(50)])],
        ),
        Experiment(
            "parked",
            {OURS: partial(claim_ours, parked), EMPTY: partial(claim_ours, 0)},
            [
                Row(
                    "seconds",
                    f"start and end a run of 20 steps behind {parked:,} parked",
                    "s",
                    [Goal("<=", 1.3, EMPTY)],
                )
            ],
        ),
        Experiment(
            "finished",
            {OURS: partial(claim_ours, finished, OVER), EMPTY: partial(claim_ours, 0)},
            [
                Row(
                    "seconds",
                    f"start and end a run of 20 steps beside {finished:,} that are over",
                    "s",
                    [Goal("<=", 1.3, EMPTY)],
                )
            ],
            repeats=1 if quick else 3,
        ),
        Experiment(
            "replay",
            {OURS: partial(replay_ours, long, chain), "async": partial(replay_ours, long, chain_async)},
            [Row("seconds", f"replay of a run of {long:,} steps", "s", [Goal("<=", 0.15 * long / 10_000)])],
        ),
    ]


def steps_ours(flow: object, runs: int, steps: int) -> Figures:
    """Have so many runs take steps in a row."""
    with folder() as path, af.ActorSystem("bench", store=f"sqlite:///{path}/ours.db", durability="power") as system:
        system.start(flow, 5).result(timeout=WAIT)
        begin = time.perf_counter()
        started = [system.start(flow, steps) for _ in range(runs)]
        for run in started:
            check(run.result(timeout=WAIT) == steps, "a run has another result")
        return {"steps": runs * steps / (time.perf_counter() - begin)}


def fan_ours(width: int) -> Figures:
    """Have a run take steps beside each other."""
    with folder() as path, af.ActorSystem("bench", store=f"sqlite:///{path}/ours.db", durability="power") as system:
        system.start(fan, 5).result(timeout=WAIT)
        begin = time.perf_counter()
        check(system.start(fan, width).result(timeout=WAIT) == width, "a run has another result")
        return {"steps": width / (time.perf_counter() - begin)}


def put_run(store: af.Store, name: str, flow: AnyWorkflow, steps: int, state: int) -> None:
    """Put a run into a store that has taken so many steps."""

    def work(transaction: object) -> None:
        run = ledger.add(transaction, ledger.NewRun(name, flow.name, encode([[steps], {}])), 1.0, "nobody")
        records = [record(n, flow) for n in range(steps)]
        ledger.append(transaction, run, "nobody", records)
        ledger.let_go(transaction, run, "nobody", state, "running" if state == READY else "parked")

    store.write(work)


def record(n: int, flow: AnyWorkflow) -> RunRecord:
    """Return the record of a step."""
    given = hash_of(encode([[n], {}]))
    if flow is chain_async:
        return RunRecord(n + 1, (f"0.{n + 1}", plus.name, 1), 0, 0, given, encode(n + 1), None, 1, 1.0, 1.0)
    return RunRecord(n + 1, ("0", plus.name, n + 1), n, 0, given, encode(n + 1), None, 1, 1.0, 1.0)


def replay_ours(steps: int, flow: AnyWorkflow) -> Figures:
    """Take over a run whose steps are all recorded."""
    with folder() as path, af.open_store(f"sqlite:///{path}/ours.db") as store:
        put_run(store, "long", flow, steps, READY)
        with af.ActorSystem("bench", store=store) as system:
            begin = time.perf_counter()
            check(system.get_run("long").result(timeout=WAIT) == steps, "the run has another result")
            return {"seconds": time.perf_counter() - begin}


def claim_ours(others: int, state: int = PARKED) -> Figures:
    """Have runs begin and end beside others that are parked, or over, each of one step; give the time of one."""
    with folder() as path:
        url = f"sqlite:///{path}/ours.db"
        with af.open_store(url) as store:  # closed before the runs begin: its log is in the file then
            put_run(store, "first", chain, 1, PARKED)
            if others:
                store.write(partial(put_others, others, state))
        with af.ActorSystem("bench", store=url) as system:
            system.start(chain, 5).result(timeout=WAIT)
            seconds = []
            for _ in range(20):
                begin = time.perf_counter()
                system.start(chain, 20).result(timeout=WAIT)
                seconds.append(time.perf_counter() - begin)
            return {"seconds": statistics.median(seconds)}


def put_others(count: int, state: int, transaction: object) -> None:
    """Put copies of the first run into a store, with its record."""
    connection = transaction.connection if hasattr(transaction, "connection") else transaction._connection
    columns = "workflow, status, priority, epoch, input, created"
    kept = f"{time.time() + 1e7}" if state == OVER else "null"
    many = f"with recursive many(n) as (select 1 union all select n + 1 from many where n < {count})"
    connection.execute(
        f"insert into af_run (name, state, keep_until, {columns}) {many} "
        f"select 'other-' || many.n, {state}, {kept}, {columns} from many, af_run where name = 'first'"
    )
    columns = "branch, name, occurrence, start, kind, hash, value, attempt, began, at"
    connection.execute(
        f"insert into af_record (run, n, {columns}) {many} "
        f"select 1 + many.n, 1, {columns} from many, af_record where run = 1 and af_record.n = 1"
    )


def raw_rows(n: int, at_once: int) -> Figures:
    """Put rows into a table, so many a commit, that last through a loss of power."""
    with folder() as path, contextlib.closing(sqlite3.connect(Path(path) / "raw.db", isolation_level=None)) as conn:
        conn.execute("pragma journal_mode = wal")
        conn.execute("pragma synchronous = full")
        conn.execute("create table step (run integer, n integer, name text, hash blob, value blob, at real)")
        conn.execute("create unique index step_n on step (run, n)")
        begin = time.perf_counter()
        for first in range(0, n, at_once):
            conn.execute("begin immediate")
            for k in range(first, min(n, first + at_once)):
                conn.execute(
                    "insert into step values (1, ?, 'plus', ?, ?, ?)", (k, b"0123456789abcdef", b"1", time.time())
                )
            conn.execute("commit")
        return {"steps": n / (time.perf_counter() - begin)}


def dbos(steps: int, runs: int) -> Figures:
    """Have a workflow of dbos take steps in a row, in a process of its own."""
    return probe.sample(dbos_steps, steps, runs)


def dbos_steps(steps: int, runs: int) -> Figures:
    """Have workflows of dbos take steps in a row."""
    import dbos as peer

    with folder() as path:
        url = f"sqlite:///{path}/dbos.sqlite"
        peer.DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR"})
        step = peer.DBOS.step()(plus_one)

        def body(count: int) -> int:
            n = 0
            for _ in range(count):
                n = step(n)
            return n

        flow: Callable[[int], int] = peer.DBOS.workflow()(body)
        peer.DBOS.launch()
        flow(5)
        begin = time.perf_counter()
        for _ in range(runs):
            check(flow(steps) == steps, "a workflow of dbos has another result")
        end = time.perf_counter()
        peer.DBOS.destroy()
    return {"steps": runs * steps / (end - begin)}


def plus_one(n: int) -> int:
    """Do next to nothing."""
    return n + 1
