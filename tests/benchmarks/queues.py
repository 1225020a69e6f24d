"""The queue against a raw SQLite table, one job a transaction, and against huey and dbos on SQLite.

The raw table: 64 bytes a job, an index on the state, WAL; a claim and an end are a transaction each, in two processes.
"""

import contextlib
import multiprocessing
import os
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil

import actorflow as af

from . import probe
from .harness import OURS, WAIT, Experiment, Figures, Goal, Row, check

RAW = "raw"
HUEY = "huey"
DBOS = "dbos"
SMALL = "1,000 jobs"
PAYLOAD = "x" * 64
MODES = {"process": "NORMAL", "power": "FULL"}  # durability, and what SQLite calls it


@af.task
def noop(payload: str) -> None:
    """Do nothing."""


began = threading.Semaphore(0)
beginnings: list[float] = []


@af.task
def begin(payload: str) -> None:
    """Note when it began, and wake who waits for that, as the raw one does."""
    beginnings.append(time.perf_counter())
    began.release()


def experiments(*, quick: bool) -> list[Experiment]:
    """Give enqueue, enqueue_power, enqueue_many, jobs, jobs_power, wake, wake_power and depth."""
    n = 500 if quick else 3000
    deep = 20_000 if quick else 1_000_000
    return [
        Experiment(
            "enqueue",
            {
                OURS: partial(enqueue_ours, n, "process"),
                RAW: partial(enqueue_raw, n, "process"),
                HUEY: partial(enqueue_huey, n // 5),
                DBOS: partial(probe.sample, dbos_jobs, n // 30),
            },
            [Row("enqueue", "enqueue one by one, process", "/s", [Goal(">=", 0.5, RAW), Goal(">=", 5, HUEY)])],
        ),
        Experiment(
            "enqueue_power",
            {OURS: partial(enqueue_ours, n // 3, "power"), RAW: partial(enqueue_raw, n // 3, "power")},
            [Row("enqueue", "enqueue one by one, durability power (raw: FULL)", "/s", [Goal(">=", 0.8, RAW)])],
        ),
        Experiment(
            "enqueue_many",
            {OURS: partial(many_ours, 10), RAW: partial(enqueue_raw, n, "process")},
            [Row("enqueue", "enqueue_many(1,000)", "/s", [Goal(">=", 3, RAW)])],
        ),
        _jobs("process", 1.5, n, {kind: partial(probe.sample, PEERS[kind], n // 30) for kind in PEERS}),
        _jobs("power", 0.8, n, {}),
        _wake("process", 50 if quick else 200),
        _wake("power", 50 if quick else 200),
        *[_depth(kind, deep) for kind in ("ready", "due", "key")],
        Experiment(
            "jobs_postgres",
            {OURS: partial(jobs_postgres_ours, n), RAW: partial(jobs_postgres_raw, n // 3)},
            [Row("jobs", "no-op jobs on PostgreSQL (raw: SKIP LOCKED, one by one)", "/s", [Goal(">=", 5, RAW)])],
        ),
    ]


def _jobs(durability: str, goal: float, n: int, peers: dict[str, Callable[[], Figures]]) -> Experiment:
    return Experiment(
        "jobs" if durability == "process" else f"jobs_{durability}",
        {OURS: partial(jobs_ours, 5 * n, durability), RAW: partial(jobs_raw, n), **peers},
        [
            Row(
                "jobs",
                f"no-op jobs, results kept, durability {durability} (raw: NORMAL)",
                "/s",
                [Goal(">=", goal, RAW)],
            )
        ],
    )


def _wake(durability: str, n: int) -> Experiment:
    return Experiment(
        "wake" if durability == "process" else f"wake_{durability}",
        {OURS: partial(wake_ours, n, durability), RAW: partial(wake_raw, n, durability)},
        [
            Row("p50", f"enqueue to start, idle queue, durability {durability}, p50", "ms", [Goal("<=", 2, RAW)]),
            Row("p99", f"enqueue to start, idle queue, durability {durability}, p99", "ms", [Goal("<=", 5, RAW)]),
        ],
    )


def _depth(kind: str, deep: int) -> Experiment:
    what = {"ready": "queued", "due": "999 in 1,000 not yet due", "key": "999 in 1,000 of one key at its limit"}[kind]
    return Experiment(
        f"depth_{kind}",
        {
            OURS: partial(probe.sample, globals()[f"depth_{kind}"], deep),
            SMALL: partial(probe.sample, depth_ready, 1000),
        },
        [
            Row("rate", f"claimed jobs a second, {deep:,} {what}", "/s", [Goal(">=", 1 / 1.3, SMALL)]),
            Row("rss", f"memory of the process, {deep:,} {what}", "MB", [Goal("<=", 1.3, SMALL)]),
        ],
        repeats=2,
    )


# --- the raw table ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def folder() -> Iterator[str]:
    """A folder on the disk that holds temporary files."""
    with tempfile.TemporaryDirectory(prefix="queues-") as path:
        yield path


def raw(path: str, durability: str) -> sqlite3.Connection:
    """Open the raw table."""
    conn = sqlite3.connect(f"{path}/raw.db", isolation_level=None, timeout=30, check_same_thread=False)
    conn.execute("pragma journal_mode = wal")
    conn.execute(f"pragma synchronous = {MODES[durability]}")
    conn.execute("create table if not exists jobs (id integer primary key, state text, payload text)")
    conn.execute("create index if not exists ready on jobs (state, id)")
    return conn


def warm_up(durability: str) -> int:
    """Return the jobs after which both logs were begun anew: a commit that makes its file longer takes longer."""
    return 1500 if durability == "power" else 1


def put_raw(conn: sqlite3.Connection) -> None:
    conn.execute("begin immediate")
    conn.execute("insert into jobs (state, payload) values ('ready', ?)", (PAYLOAD,))
    conn.execute("commit")


def claim_raw(conn: sqlite3.Connection) -> int | None:
    conn.execute("begin immediate")
    row = conn.execute(
        "update jobs set state = 'running' where id = "
        "(select id from jobs where state = 'ready' order by id limit 1) returning id, payload"
    ).fetchone()
    conn.execute("commit")
    return None if row is None else row[0]


def end_raw(conn: sqlite3.Connection, id_: int) -> None:
    conn.execute("begin immediate")
    conn.execute("update jobs set state = 'done' where id = ?", (id_,))
    conn.execute("commit")


def enqueue_raw(n: int, durability: str) -> Figures:
    with folder() as path, contextlib.closing(raw(path, durability)) as conn:
        for _ in range(warm_up(durability)):
            put_raw(conn)
        begin = time.perf_counter()
        for _ in range(n):
            put_raw(conn)
        return {"enqueue": n / (time.perf_counter() - begin)}


def jobs_raw(n: int) -> Figures:
    """Two processes take jobs until there is none."""
    with folder() as path:
        with contextlib.closing(raw(path, "process")) as conn:
            for _ in range(n):
                put_raw(conn)
        context = multiprocessing.get_context("fork")
        ready, go = context.Barrier(3), context.Event()
        workers = [context.Process(target=work_raw, args=(path, ready, go)) for _ in range(2)]
        for worker in workers:
            worker.start()
        ready.wait(WAIT)
        begin = time.perf_counter()
        go.set()
        for worker in workers:
            worker.join(WAIT)
        seconds = time.perf_counter() - begin
        with contextlib.closing(raw(path, "process")) as conn:
            check(conn.execute("select count(*) from jobs where state = 'done'").fetchone() == (n,), "not all are done")
        return {"jobs": n / seconds}


def work_raw(path: str, ready: Any, go: Any) -> None:
    with contextlib.closing(raw(path, "process")) as conn:
        ready.wait(WAIT)
        go.wait(WAIT)
        while (id_ := claim_raw(conn)) is not None:
            end_raw(conn, id_)


def wake_raw(n: int, durability: str) -> Figures:
    """A thread waits on an event, and claims when it is set."""
    times: list[float] = []
    with folder() as path, contextlib.closing(raw(path, durability)) as conn:
        wake, began = threading.Semaphore(0), threading.Semaphore(0)

        def work() -> None:
            with contextlib.closing(raw(path, durability)) as mine:
                for _ in range(n):
                    wake.acquire()
                    id_ = claim_raw(mine)
                    times.append(time.perf_counter())
                    began.release()
                    end_raw(mine, id_ or 0)

        thread = threading.Thread(target=work)
        thread.start()
        begins = []
        for _ in range(n):
            begins.append(time.perf_counter())
            put_raw(conn)
            wake.release()
            began.acquire()
            time.sleep(0.002)
        thread.join()
    return quantiles([end - begin for begin, end in zip(begins, times, strict=True)])


def quantiles(seconds: list[float]) -> Figures:
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50": cuts[49] * 1e3, "p99": cuts[98] * 1e3}


# --- ours -------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def system(durability: str) -> Iterator[af.ActorSystem]:
    with folder() as path, af.ActorSystem("bench", store=f"sqlite:///{path}/ours.db", durability=durability) as running:
        yield running


def enqueue_ours(n: int, durability: str) -> Figures:
    with system(durability) as running:
        jobs = running.queue("q")
        before = warm_up(durability)
        for _ in range(before):
            jobs.enqueue(noop, PAYLOAD)
        begin = time.perf_counter()
        for _ in range(n):
            jobs.enqueue(noop, PAYLOAD)
        seconds = time.perf_counter() - begin
        check(jobs.stats().queued == n + before, "jobs are missing")
        return {"enqueue": n / seconds}


def many_ours(times: int) -> Figures:
    with system("process") as running:
        jobs = running.queue("q")
        jobs.enqueue(noop, PAYLOAD)
        begin = time.perf_counter()
        for _ in range(times):
            jobs.enqueue_many(noop, [(PAYLOAD,)] * 1000)
        return {"enqueue": times * 1000 / (time.perf_counter() - begin)}


def jobs_ours(n: int, durability: str) -> Figures:
    """Two workers of one process; the last result is waited for."""
    with system(durability) as running:
        return run_jobs(running, n)


def run_jobs(running: af.ActorSystem, n: int) -> Figures:
    """Time n jobs that are enqueued beforehand."""
    jobs = running.queue("q")
    last = jobs.enqueue_many(noop, [(PAYLOAD,)] * n)[-1]
    begin = time.perf_counter()
    jobs = running.queue("q", workers=2)
    last.result(timeout=WAIT)
    seconds = time.perf_counter() - begin
    jobs.drain(timeout=WAIT)
    check(jobs.stats().completed == n, "not all are done")
    return {"jobs": n / seconds}


def wake_ours(n: int, durability: str) -> Figures:
    beginnings.clear()
    enqueued = []
    with system(durability) as running:
        jobs = running.queue("q", workers=1)
        for _ in range(n + 20):
            enqueued.append(time.perf_counter())
            jobs.enqueue(begin, PAYLOAD)
            check(began.acquire(timeout=WAIT), "a job did not begin")
            time.sleep(0.002)
    return quantiles([end - start for start, end in zip(enqueued, beginnings, strict=True)][20:])


def depth_ready(n: int) -> Figures:
    """Claim from a queue of n jobs that could all run."""
    return depth(n, {}, None)


def depth_due(n: int) -> Figures:
    """Claim from a queue in which 999 of 1,000 jobs wait for tomorrow."""
    return depth(n, {"delay": 86400.0}, None)


def depth_key(n: int) -> Figures:
    """Claim from a queue in which 999 of 1,000 jobs are of one key, which has no slot free."""
    return depth(n, {"key": "k"}, af.Limit(concurrency=1))


def depth(n: int, options: dict[str, Any], per_key: af.Limit | None) -> Figures:
    """Time 1,000 jobs that may run, in a queue with n others that may not; without options all n may."""
    with system("process") as running:
        jobs = running.queue("q", per_key=per_key)
        jobs.pause()
        if options:
            gate = Path(tempfile.mkdtemp(), "gate")
            if per_key is not None:  # the key's one slot is taken for as long as this takes
                jobs.enqueue(stay.options(key="k", priority=-1), str(gate))
            for _ in range(0, n - 1000, 10_000):
                jobs.enqueue_many(noop.options(**options), [(PAYLOAD,)] * 10_000)
            last = jobs.enqueue_many(noop, [(PAYLOAD,)] * 1000)[-1]
        else:
            last = jobs.enqueue_many(noop, [(PAYLOAD,)] * 1000)[-1]
            for _ in range(0, n - 1000, 10_000):
                jobs.enqueue_many(noop, [(PAYLOAD,)] * 10_000)
        jobs = running.queue("q", workers=3, per_key=per_key)
        for _ in range(100):  # the log of what was enqueued is written back before, in one of these
            jobs.pause()
        begin = time.perf_counter()
        jobs.resume()
        last.result(timeout=WAIT)
        rate = 1000 / (time.perf_counter() - begin)
        rss = psutil.Process().memory_info().rss / 1e6
        if options and per_key is not None:
            gate.touch()
        jobs.purge()
    return {"rate": rate, "rss": rss}


@af.task
def stay(gate: str) -> None:
    """Stay until a file is there."""
    while not os.path.exists(gate):  # noqa: PTH110
        time.sleep(0.01)


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def database() -> Iterator[str]:
    """The URL of an empty database on a server with fsync, as it comes."""
    from tests.servers import postgres

    with postgres(f"bench-{os.getpid()}", "bench") as server:
        server.execute("alter system set fsync = on")
        server.execute("select pg_reload_conf()")
        with server.database() as url:
            yield url


def jobs_postgres_ours(n: int) -> Figures:
    """As `jobs_ours`."""
    with database() as url, af.ActorSystem("bench", store=url) as running:
        return run_jobs(running, n)


def jobs_postgres_raw(n: int) -> Figures:
    """Two processes take jobs, a claim and an end a transaction each, until there is none."""
    import psycopg

    with database() as url:
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("create table jobs (id bigserial primary key, state text, payload text)")
            conn.execute("create index ready on jobs (state, id)")
            conn.execute(f"insert into jobs (state, payload) select 'ready', '{PAYLOAD}' from generate_series(1, {n})")
        context = multiprocessing.get_context("spawn")
        ready = context.Barrier(3)
        workers = [context.Process(target=work_postgres, args=(url, ready)) for _ in range(2)]
        for worker in workers:
            worker.start()
        ready.wait(WAIT)
        begin = time.perf_counter()
        for worker in workers:
            worker.join(WAIT)
        seconds = time.perf_counter() - begin
        with psycopg.connect(url) as conn:
            done = conn.execute("select count(*) from jobs where state = 'done'").fetchone()
            check(done == (n,), "not all are done")
        return {"jobs": n / seconds}


def work_postgres(url: str, ready: Any) -> None:
    import psycopg

    claim = (
        "update jobs set state = 'running' where id = (select id from jobs where state = 'ready' order by id limit 1 "
        "for update skip locked) returning id, payload"
    )
    with psycopg.connect(url, autocommit=True) as conn:
        ready.wait(WAIT)
        while (row := conn.execute(claim).fetchone()) is not None:
            conn.execute("update jobs set state = 'done' where id = %s", (row[0],))


# --- peers ------------------------------------------------------------------------------------------------------------


def huey_at(path: str) -> Any:
    from huey import SqliteHuey

    return SqliteHuey(filename=f"{path}/huey.db")


def enqueue_huey(n: int) -> Figures:
    with folder() as path:
        queue = huey_at(path)
        task = queue.task()(nothing)
        begin = time.perf_counter()
        for _ in range(n):
            task(PAYLOAD)
        seconds = time.perf_counter() - begin
        check(len(queue) == n, "jobs are missing")
        return {"enqueue": n / seconds}


def nothing(_payload: str) -> int:
    return 1


def huey_jobs(n: int) -> Figures:
    """Two threads of huey's own consumer; results are kept."""
    with folder() as path:
        queue = huey_at(path)
        task = queue.task()(nothing)
        for _ in range(n):
            task(PAYLOAD)
        consumer = queue.create_consumer(workers=2)
        begin = time.perf_counter()
        consumer.start()
        while queue.result_count() < n:
            time.sleep(0.002)
        seconds = time.perf_counter() - begin
        consumer.stop(graceful=True)
        return {"jobs": n / seconds}


def dbos_jobs(n: int) -> Figures:
    """Workflows in a queue of dbos on SQLite: enqueued one by one, and all of them waited for."""
    import dbos

    with folder() as path:
        dbos.DBOS(
            config={"name": "bench", "system_database_url": f"sqlite:///{path}/dbos.sqlite", "log_level": "ERROR"}
        )
        flow = dbos.DBOS.workflow()(nothing)
        dbos.DBOS.launch()
        queue = dbos.DBOS.register_queue("q", polling_interval_sec=0.05)
        begin = time.perf_counter()
        handles = [queue.enqueue(flow, PAYLOAD) for _ in range(n)]
        put = time.perf_counter()
        for handle in handles:
            handle.get_result()
        end = time.perf_counter()
        dbos.DBOS.destroy()
    return {"enqueue": n / (put - begin), "jobs": n / (end - begin)}


PEERS = {HUEY: huey_jobs, DBOS: dbos_jobs}
