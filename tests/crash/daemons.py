"""Daemons that are killed, what they were doing then, and how soon somebody did it again."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.crash.books import Books
from tests.crash.load import QUEUE

PATIENCE = 30.0  # seconds for jobs of the dead to go on
GOALS = {"child": 1.0, "tree": 2.0, "one of two": 1.0}  # seconds until a job of the dead begins again


class Daemon:
    """A process that works on the queue, and the processes below it: a zygote, and workers that it has forked."""

    def __init__(self, url: str, queue: str, durability: str) -> None:
        command = [sys.executable, "-m", "tests.crash.daemon", url, queue, durability]
        self.process = subprocess.Popen(command)

    @property
    def is_alive(self) -> bool:
        """Say whether it runs."""
        return self.process.poll() is None

    def children(self) -> list[psutil.Process]:
        """Return the processes below it, the zygote too."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def kill_a_child(self, rng) -> str:
        """Kill one process below it; say which kind."""
        with contextlib.suppress(psutil.NoSuchProcess):
            if children := self.children():
                victim = rng.choice(children)
                kind = "zygote" if victim.ppid() == self.process.pid else "worker"
                victim.kill()
                return kind
        return "nobody"

    def kill_the_tree(self) -> None:
        """Kill it with all that is below it."""
        family = [psutil.Process(self.process.pid), *self.children()]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=100)
        self.process.wait(100)

    def end(self) -> None:
        """Have it end in order."""
        self.process.terminate()
        self.process.wait(30)


@contextlib.contextmanager
def crew(url: str, durability: str = "process") -> Iterator[Callable[[], Daemon]]:
    """Give what starts daemons; those that are left when a test fails are killed."""
    started: list[Daemon] = []

    def start() -> Daemon:
        started.append(Daemon(url, QUEUE, durability))
        return started[-1]

    try:
        yield start
    finally:
        for daemon in started:
            if daemon.is_alive:
                daemon.kill_the_tree()


class Times:
    """How long it took until jobs of the dead began again."""

    def __init__(self) -> None:
        self.kills = dict.fromkeys(GOALS, 0)
        self.seconds: dict[str, list[float]] = {what: [] for what in GOALS}
        self.slow: list[str] = []

    def note(self, what: str, seconds: list[float], why: str) -> None:
        """Note those of one kill; the slow ones with what explains them."""
        self.kills[what] += 1
        self.seconds[what] += seconds
        if seconds and max(seconds) > GOALS[what]:
            self.slow.append(f"{what}: {max(seconds):.2f} s, over {GOALS[what]} s: {why}")

    def lines(self) -> Iterator[str]:
        """Yield what there is to print."""
        for what, seconds in self.seconds.items():
            text = "no job was hit"
            if seconds:
                late = sum(one > GOALS[what] for one in seconds)
                text = f"{len(seconds)} jobs began again after {statistics.median(seconds):.3f} s, "
                text += f"{max(seconds):.3f} s at most, {late} after more than {GOALS[what]} s"
            yield f"{what}: {self.kills[what]} kills; {text}"
        yield from self.slow


def wait_until_up(books: Books, daemons: list[Daemon]) -> bool:
    """Wait until all of them are on the store."""
    pids = {daemon.process.pid for daemon in daemons}
    until = time.monotonic() + PATIENCE
    while not pids <= {pid for (pid,) in books.rows("select pid from {node}")}:
        if time.monotonic() > until:
            pytest.fail(f"a daemon is not on the store {PATIENCE} s after its start")
        time.sleep(0.005)
    return True


def first_up(books: Books, daemons: list[Daemon]) -> float:
    """Return when the first of them came on the store, in seconds since the epoch."""
    pids = ", ".join(str(daemon.process.pid) for daemon in daemons)
    return books.value(f"select min(started) from {{node}} where pid in ({pids})")


def running(books: Books, pids: set[int]) -> dict[int, tuple[int, int]]:
    """Return the epochs and crashes of jobs that run, or are held, in these processes."""
    sql = (
        "select job.id, job.epoch, job.crashes, node.pid from {job} as job join {node} as node on node.id = job.owner "
        "where job.stage = 4"
    )
    return {id_: (epoch, crashes) for id_, epoch, crashes, pid in books.rows(sql) if pid in pids}


def seconds_until_begun_again(
    books: Books, struck: dict[int, tuple[int, int]], since: float, *, crashed_only: bool
) -> list[float]:
    """Wait until all jobs have left where they were; return how long after a time those began that began again.

    Args:
        books: of the store.
        struck: jobs, with their epochs and crashes then.
        since: seconds since the epoch.
        crashed_only: some of them were not hit, and just go on.
    """
    left, found = dict(struck), []
    until = time.monotonic() + PATIENCE
    while left:
        ids = ", ".join(map(str, left))
        rows = books.rows(f"select id, epoch, crashes, stage, status, started from {{job}} where id in ({ids})")
        for id_, epoch, crashes, stage, status, started in rows:
            before_epoch, before_crashes = left[id_]
            if epoch > before_epoch:
                del left[id_]
                if crashes > before_crashes or not crashed_only:
                    found.append(started - since)
            elif stage == 5:
                del left[id_]  # it had ended, or it is dead
                assert status in {"completed", "dead"}
        for id_ in set(left) - {row[0] for row in rows}:
            del left[id_]  # it is over, and was not to be kept
        if left:
            if time.monotonic() > until:
                pytest.fail(f"{PATIENCE} s after a kill, jobs are where they were: {rows}")
            time.sleep(0.01)
    return found


def wait_until_pruned(books: Books, before: float) -> None:
    """Wait until what was to be kept up to a time is gone; the newest job stays, for its number."""
    until = time.monotonic() + PATIENCE
    sql = f"select id from {{job}} where keep_until < {before} and id < (select max(id) from {{job}})"
    while left := books.rows(sql):
        if time.monotonic() > until:
            pytest.fail(f"{len(left)} jobs should be gone since {PATIENCE} s: {left[:5]}")
        time.sleep(0.02)
