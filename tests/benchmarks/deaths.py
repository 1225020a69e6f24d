"""How fast a killed worker is replaced, how late a timeout kills, and what a killed parent leaves behind."""

import os
import select
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

import psutil

from . import probe
from .harness import OURS, PPE, WAIT, Broken, Experiment, Figures, Goal, Row, check
from .pools import WORKERS, our_pool, ppe, warm
from .tasks import burn, same

LIMIT = 0.1  # seconds of the timeout that is measured
LONG = 10**12
"""`sum(range(LONG))` is C code that holds the interpreter's lock for hours; `burn(LONG)` is Python code."""
STATES = ("idle", "busy", "in C code")


def experiments(*, quick: bool) -> list[Experiment]:
    """Give replace, overshoot and orphans."""
    goal = [Goal("<=", 10)]
    return [
        Experiment(
            "replace",
            {OURS: partial(replacement, 5 if quick else 20)},
            [
                Row("idle", "SIGKILL of an idle worker to a result of its replacement, median", "ms", goal),
                Row("idle_seen", "same, from the process's death on", "ms"),
                Row("busy", "SIGKILL of a busy worker to a result of its replacement, median", "ms", goal),
                Row("busy_seen", "same, from the process's death on", "ms"),
            ],
        ),
        Experiment(
            "overshoot",
            {OURS: partial(overshoot, 5 if quick else 20)},
            [Row("ms", "hard timeout of a task in C code: how late, median", "ms", [Goal("<=", 20)])],
        ),
        Experiment(
            "orphans",
            {
                OURS: partial(orphans, pool_parent),
                "host": partial(orphans, host_parent),
                PPE: partial(orphans, ppe_parent),
            },
            [
                Row(state, f"processes alive 1 s after their parent's kill -9, {state}", "", [Goal("<=", 0)])
                for state in STATES
            ],
            repeats=2 if quick else 3,
        ),
    ]


def replacement(kills: int) -> Figures:
    """Kill workers, and time until a task that is submitted right after the kill gives its result.

    The other worker is busy all the time, so only the replacement can run that task.
    """
    gaps: dict[str, list[float]] = {"idle": [], "idle_seen": [], "busy": [], "busy_seen": []}
    with our_pool() as pool:
        warm(pool)
        keeper = pool.submit(time.sleep, WAIT)
        try:
            (kept,) = _until(lambda: _running(pool), "a task does not begin")
            for kind in ("idle", "busy"):
                for _ in range(kills):
                    total, seen = _kill_and_use(pool, kept, busy=kind == "busy")
                    gaps[kind].append(total)
                    gaps[f"{kind}_seen"].append(seen)
        finally:
            keeper.cancel()
    return {name: statistics.median(values) * 1e3 for name, values in gaps.items()}


def _kill_and_use(pool: Any, kept: int, *, busy: bool) -> tuple[float, float]:
    """Kill the worker that is not kept; return the seconds to the result, from the kill and from the death on."""
    (victim,) = _until(lambda: {w.pid for w in pool.stats().workers if w.state == "idle"}, "no worker is idle")
    lost = pool.submit(time.sleep, WAIT) if busy else None
    if busy:
        _until(lambda: victim in _running(pool), "a task does not begin")
    death = os.pidfd_open(victim)
    try:
        begin = perf_counter()
        os.kill(victim, signal.SIGKILL)
        future = pool.submit(same, 7)
        check(select.select([death], [], [], WAIT)[0], "the worker does not die")
        died = perf_counter()
        result = future.result(WAIT)
        end = perf_counter()
    finally:
        os.close(death)
    check(result == 7, f"wrong result: {result!r}")
    check({worker.pid for worker in pool.stats().workers} >= {kept}, "the other worker died, too")
    if lost is not None:
        check(type(lost.exception(WAIT)).__name__ == "HostDied", "the killed task has no HostDied")
    return end - begin, end - died


def _running(pool: Any) -> set[int]:
    return {task.worker for task in pool.stats().running}


def overshoot(times: int) -> Figures:
    """Time tasks that sit in C code and are killed at their timeout, against that timeout."""
    late = []
    with our_pool() as pool:
        warm(pool)
        limited = pool.options(timeout=LIMIT)
        for _ in range(times):
            begin = perf_counter()
            error = limited.submit(sum, range(LONG)).exception(WAIT)
            late.append(perf_counter() - begin - LIMIT)
            check(isinstance(error, TimeoutError), f"the task that hangs gave {error!r}")
            check(pool.submit(same, 7).result(WAIT) == 7, "wrong result")
    check(min(late) >= 0, "a task was killed before its time")
    return {"ms": statistics.median(late) * 1e3}


# --- orphans ----------------------------------------------------------------------------------------------------------


def orphans(parent: Callable[..., None]) -> Figures:
    """Kill parents in each of three states, and count what is alive of their processes a second later."""
    return {state: _left_of(parent, number) for number, state in enumerate(STATES)}


def _left_of(parent: Callable[..., None], state: int) -> int:
    module = parent.__module__.rpartition(".")[2]
    command = [sys.executable, "-m", probe.__name__, module, parent.__name__, str(state)]
    family: list[psutil.Process] = []
    with subprocess.Popen(command, cwd=probe.ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            check(process.stdout.readline() == "up\n", "the parent did not come up")
            family = psutil.Process(process.pid).children(recursive=True)
            check(len(family) >= 1, "the parent has no processes")
        finally:
            process.kill()
    time.sleep(1)
    left = [member for member in family if _lives(member)]
    for member in left:
        member.kill()  # psutil looks whether the id is still that process's
    return len(left)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def pool_parent(state: int) -> None:
    """Be a parent with our pool until killed."""
    with our_pool() as pool:
        _use(pool, state)


def ppe_parent(state: int) -> None:
    """Be a parent with the standard library's pool until killed."""
    with ppe() as pool:
        _use(pool, state)


def host_parent(state: int) -> None:
    """Be a parent with two actors in processes of their own until killed."""
    import actorflow as af

    with af.ActorSystem("orphans") as system:
        refs = [system.spawn(af.child(worker_class()).options(host=af.Process())) for _ in range(WORKERS)]
        for ref in refs:
            check(ref.ask(("same", 7), timeout=WAIT) == 7, "wrong answer")
        before = _cpu()
        for ref in refs if state else ():
            ref.tell(("busy" if state == 1 else "in C", LONG))
        _report(before, state)


def worker_class() -> type:
    """Return the class of those actors, which has to be found by its name."""
    from .actors import Worker

    return Worker


def _use(pool: Any, state: int) -> None:
    warm(pool)
    before = _cpu()
    for _ in range(WORKERS if state else 0):
        if state == 1:
            pool.submit(burn, LONG)
        else:
            pool.submit(sum, range(LONG))
    _report(before, state)


def _report(before: float, state: int) -> None:
    """Say that all is as it should be, and wait to be killed."""
    if state:
        _until(lambda: _cpu() - before > 0.05 * WORKERS, "the processes do not become busy")
    print("up", flush=True)
    time.sleep(WAIT)


def _cpu() -> float:
    """Return the CPU seconds of all processes below this one."""
    return sum(sum(child.cpu_times()[:2]) for child in psutil.Process().children(recursive=True))


def _until(condition: Callable[[], Any], otherwise: str) -> Any:
    """Look until something is there, and return it."""
    deadline = perf_counter() + WAIT
    while perf_counter() < deadline:
        if found := condition():
            return found
        time.sleep(0.002)
    raise Broken(otherwise)
