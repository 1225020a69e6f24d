"""Many runs that wait: what they take of memory and threads, and how soon a signal has one go on."""

import gc
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psutil

import actorflow as af
from actorflow.workflows.workflow import AnyWorkflow

from . import probe
from .harness import OURS, WAIT, Experiment, Figures, Goal, Row, check
from .probe import ROOT
from .queues import folder
from .signals import Go, send

MB = 1e6
SIGNALLED = 100
STARTERS = 32  # threads
OUTSIDE = "from tests.benchmarks.signals import main; import sys; main(sys.argv[1], *map(int, sys.argv[2:]))"


@af.task
def since(sent: float) -> float:
    """Return how long ago that was, in seconds."""
    return time.time() - sent


@af.workflow
def waits() -> float:
    """Wait for a signal; the next step notes how long that took."""
    return since(af.wait(Go).sent)


@af.workflow
async def waits_async() -> float:
    """The same, async."""
    return await since.submit((await af.signal(Go)).sent)


def experiments(*, quick: bool) -> list[Experiment]:
    """Give waiting and waiting_async."""
    count = 500 if quick else 10_000
    return [
        Experiment(
            name,
            {OURS: partial(probe.sample, function, count)},
            [
                Row("memory", f"{count:,} {kind} runs that wait", "MB", [Goal("<=", 80)]),
                Row("threads", "the same", "threads", [Goal("<=", 200)]),
                Row("here", "a signal from their process has one go on", "ms", [Goal("<=", 3)]),
                Row("outside", "one from another process", "ms", [Goal("<=", 40)]),
            ],
            repeats=1 if quick else 3,
        )
        for name, kind, function in (("waiting", "sync", sync_runs), ("waiting_async", "async", async_runs))
    ]


def sync_runs(count: int) -> Figures:
    """Have plain runs wait."""
    return waiting(waits, count)


def async_runs(count: int) -> Figures:
    """Have async runs wait."""
    return waiting(waits_async, count)


def waiting(flow: AnyWorkflow, count: int) -> Figures:
    """Have so many runs wait, and signal some of them."""
    with folder() as path, af.ActorSystem("bench", store=f"sqlite:///{path}/ours.db") as system:
        waited: set[str] = set()
        news = system.subscribe(af.RunEvent, lambda event: event.kind == "waiting" and waited.add(event.run))
        first = system.start(flow)
        first.signal(Go(time.time()))
        first.result(timeout=WAIT)
        gc.collect()
        process = psutil.Process()
        before = process.memory_info().rss
        with ThreadPoolExecutor(STARTERS) as starters:  # which share commits: a slow disk makes 200 a second
            list(starters.map(lambda k: system.start(flow.options(id=f"waits-{k}")), range(count)))
        end = time.monotonic() + WAIT
        while len(waited) < count:
            check(time.monotonic() < end, f"{len(waited)} of {count} runs have come to their wait")
            time.sleep(0.05)
        news.cancel()
        waited.clear()
        gc.collect()
        grown, threads = process.memory_info().rss - before, threading.active_count()
        here = send(system, 0, count // 2, SIGNALLED)
        command = [
            sys.executable,
            "-c",
            OUTSIDE,
            f"sqlite:///{path}/ours.db",
            *map(str, (count // 2, count, SIGNALLED)),
        ]
        done = subprocess.run(command, cwd=ROOT, timeout=WAIT, check=False, capture_output=True, text=True)
        check(done.returncode == 0, done.stderr[-1000:])
        outside = float(done.stdout)
    return {"memory": grown / MB, "threads": threads, "here": here, "outside": outside}
