"""The process pool against the standard library's (fork, 2 workers), and CPU-bound tasks against two bare processes."""

import compileall
import multiprocessing
import os
import statistics
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from . import probe
from .harness import OURS, PPE, WAIT, Experiment, Figures, Goal, Row, check
from .tasks import array_of, burn, ends_of, same, warm_up

WORKERS = 2
BARE = "two processes"
TASK_SECONDS = 0.02

Pools = Callable[[], AbstractContextManager[Any]]


def experiments(*, quick: bool) -> list[Experiment]:
    """Give submit, map, roundtrip, arrays, cold and cpu."""
    part = 5 if quick else 1
    return [
        Experiment(
            "submit",
            {OURS: partial(submit, our_pool, 100_000 // part), PPE: partial(submit, ppe, 10_000 // part)},
            [Row("rate", "no-op tasks submitted one by one", "/s", [Goal(">=", 12, PPE)])],
        ),
        Experiment(
            "map",
            {
                OURS: partial(mapped, our_pool, 1_000_000 // part),
                PPE: partial(mapped, ppe, 200_000 // part, chunksize=100),
            },
            [Row("rate", "no-op map (ours: automatic chunks; PPE: chunksize=100)", "/s", [Goal(">=", 5, PPE)])],
        ),
        Experiment(
            "roundtrip",
            {OURS: partial(round_trip, our_pool, 3000 // part), PPE: partial(round_trip, ppe, 3000 // part)},
            [Row("us", "submit().result() on an idle worker, median", "us", [Goal("<=", 0.5, PPE)])],
        ),
        *[_arrays(megabytes, calls, goal) for megabytes, calls, goal in ((8, 12, 0.15), (80, 5, 0.12))],
        Experiment(
            "cold",
            {OURS: partial(probe.sample, cold_ours), PPE: partial(probe.sample, cold_ppe)},
            [Row("ms", "cold start: fresh process, imports done, to the first result", "ms", [Goal("<=", 1.5, PPE)])],
        ),
        Experiment(
            "cpu",
            {
                OURS: partial(cpu, our_pool, 100 // part),
                PPE: partial(cpu, ppe, 100 // part),
                BARE: partial(cpu_bare, 100 // part),
            },
            [Row("rate", "CPU-bound tasks of 20 ms, 2 workers", "/s", [Goal(">=", 0.95, BARE)])],
        ),
    ]


def _arrays(megabytes: int, calls: int, goal: float) -> Experiment:
    goals = [Goal("<=", goal, PPE)]
    return Experiment(
        f"array{megabytes}",
        {OURS: partial(arrays, our_pool, megabytes, calls), PPE: partial(arrays, ppe, megabytes, calls)},
        [
            Row("argument", f"array of {megabytes} MB as argument, median", "ms", goals),
            Row("result", f"array of {megabytes} MB as result, median", "ms", goals),
        ],
    )


def ppe() -> ProcessPoolExecutor:
    """Make the standard library's pool, whose workers are forks of this process."""
    return ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("fork"))


def our_pool() -> Any:
    """Make ours."""
    import actorflow as af

    return af.ProcessPool(workers=WORKERS)


def warm(pool: Any) -> None:
    """Have all workers up, and both pools know the no-op."""
    answers = [pool.submit(same, i) for i in range(200)]
    check([answer.result(WAIT) for answer in answers] == list(range(200)), "wrong results")
    check(list(pool.map(same, range(2000), timeout=WAIT, chunksize=100)) == list(range(2000)), "wrong results")


def submit(pools: Pools, n: int) -> Figures:
    """Submit n no-ops from this thread, then read all results."""
    with pools() as pool:
        warm(pool)
        begin = perf_counter()
        futures = [pool.submit(same, i) for i in range(n)]
        results = [future.result(WAIT) for future in futures]
        seconds = perf_counter() - begin
    check(results == list(range(n)), "wrong results")
    return {"rate": n / seconds}


def mapped(pools: Pools, n: int, **options: Any) -> Figures:
    """Map the no-op over n items."""
    with pools() as pool:
        warm(pool)
        begin = perf_counter()
        results = list(pool.map(same, range(n), timeout=WAIT, **options))
        seconds = perf_counter() - begin
    check(results == list(range(n)), "wrong results")
    return {"rate": n / seconds}


def round_trip(pools: Pools, n: int) -> Figures:
    """Time calls of which each waits for the one before."""
    times = []
    with pools() as pool:
        warm(pool)
        for i in range(n):
            begin = perf_counter()
            result = pool.submit(same, i).result(WAIT)
            times.append(perf_counter() - begin)
            check(result == i, "wrong result")
    return {"us": statistics.median(times) * 1e6}


def arrays(pools: Pools, megabytes: int, calls: int) -> Figures:
    """Time an array's way to a worker, and from one, until it is there. Both workers have made it before."""
    array = array_of(megabytes)
    expected = ends_of(array)
    there, back = [], []
    with pools() as pool:
        _warm_arrays(pool, megabytes)
        for _ in range(calls):
            begin = perf_counter()
            seen = pool.submit(ends_of, array).result(WAIT)
            there.append(perf_counter() - begin)
            check(seen == expected, "a wrong array arrived at the worker")
        for _ in range(calls):
            begin = perf_counter()
            result = pool.submit(array_of, megabytes).result(WAIT)
            back.append(perf_counter() - begin)
            check(ends_of(result) == expected and result.flags.writeable, "a wrong array came back")
            del result
    return {"argument": statistics.median(there) * 1e3, "result": statistics.median(back) * 1e3}


def _warm_arrays(pool: Any, megabytes: int) -> None:
    """Have both workers import numpy and make their array, and each way used once."""
    for _ in range(20):
        pids = {future.result(WAIT) for future in [pool.submit(warm_up, megabytes, 0.05) for _ in range(WORKERS)]}
        if len(pids) == WORKERS:
            break
    check(len(pids) == WORKERS, "one worker takes all tasks")
    for _ in range(WORKERS):
        pool.submit(array_of, megabytes).result(WAIT)
        pool.submit(ends_of, array_of(megabytes)).result(WAIT)


def cold_ours() -> Figures:
    """In a fresh process: time the start of our first pool."""
    import actorflow as af

    check(af.ProcessPool, "there is no pool")  # the import itself is lazy
    for folder in (*af.__path__, Path(__file__).parent):  # as an installer does, if PYTHONDONTWRITEBYTECODE is set
        compileall.compile_dir(folder, quiet=2)
    return _cold(our_pool)


def cold_ppe() -> Figures:
    """The same with the standard library's."""
    return _cold(ppe)


def _cold(pools: Pools) -> Figures:
    begin = perf_counter()
    with pools() as pool:
        result = pool.submit(same, 7).result(WAIT)
        seconds = perf_counter() - begin
    check(result == 7, "wrong result")
    return {"ms": seconds * 1e3}


def cpu(pools: Pools, tasks: int) -> Figures:
    """Time tasks that keep a core busy for 20 ms each."""
    rounds, expected = _calibrated()
    with pools() as pool:
        warm(pool)
        begin = perf_counter()
        results = [future.result(WAIT) for future in [pool.submit(burn, rounds) for _ in range(tasks)]]
        seconds = perf_counter() - begin
    check(results == [expected] * tasks, "wrong results")
    return {"rate": tasks / seconds}


def cpu_bare(tasks: int) -> Figures:
    """Time the same work in two forks that share nothing and are told nothing."""
    rounds, expected = _calibrated()
    begin = perf_counter()
    children = [_fork(rounds, expected, tasks // WORKERS) for _ in range(WORKERS)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    seconds = perf_counter() - begin
    check(not any(codes), "a bare process failed")
    return {"rate": tasks / seconds}


def _fork(rounds: int, expected: int, tasks: int) -> int:
    child = os.fork()
    if not child:
        code = 1
        try:
            code = int(any([burn(rounds) != expected for _ in range(tasks)]))  # noqa: C419 - all of them are to run
        finally:
            os._exit(code)
    return child


_burn_rounds: list[int] = []


def _calibrated() -> tuple[int, int]:
    """Return how many rounds take 20 ms, found once, and what they give."""
    if not _burn_rounds:
        probe_rounds = 100_000
        fastest = min(_seconds_of(probe_rounds) for _ in range(20))
        _burn_rounds.append(int(probe_rounds * TASK_SECONDS / fastest))
    return _burn_rounds[0], burn(_burn_rounds[0])


def _seconds_of(rounds: int) -> float:
    begin = perf_counter()
    burn(rounds)
    return perf_counter() - begin
