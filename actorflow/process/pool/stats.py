"""Stats: how a pool stands."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING, Literal

from actorflow.core.atomic import exclusively
from actorflow.process.pool.workers.shared_page import SEQ, SINCE
from actorflow.process.watch import usage

if TYPE_CHECKING:
    from actorflow.process.pool.dispatcher import Dispatch
    from actorflow.process.pool.workers.worker_thread import WorkerThread


@dataclass(frozen=True, slots=True)
class RunningTask:
    """A task that runs: its function, its process, and the seconds it has run."""

    task: str
    worker: int
    since: float


@dataclass(frozen=True, slots=True)
class WorkerStats:
    """The state of one process of a pool.

    Attributes:
        pid: its process id; None until it is forked.
        rss: bytes of memory in use, with its children.
        cpu: seconds of CPU time so far, with its children.
        tasks: the number of tasks it has done.
        state: "starting" until it can run tasks; "ending" when it is about to be replaced or is not needed any more.
    """

    pid: int | None
    rss: int
    cpu: float
    tasks: int
    state: Literal["starting", "idle", "busy", "ending"]


@dataclass(frozen=True, slots=True)
class PoolStats:
    """The counts of a pool. An item of a map counts as a task, but for `queued`, where a chunk is one.

    Attributes:
        queued: tasks that wait for a worker.
        running: tasks that have begun.
        done: tasks that gave a result, so far.
        failed: tasks that gave an error.
        cancelled: tasks that were cancelled.
        restarts: processes that were replaced.
        workers: the processes.
    """

    queued: int
    running: tuple[RunningTask, ...]
    done: int
    failed: int
    cancelled: int
    restarts: int
    workers: tuple[WorkerStats, ...]


def stats_of(dispatch: Dispatch) -> PoolStats:
    """Look at a pool."""
    lanes, done, failed = exclusively(dispatch.lock, lambda: count(dispatch))
    running = [task for lane in lanes if (task := running_in(lane)) is not None]
    return PoolStats(
        queued=len(dispatch.queue),
        running=tuple(running),
        done=done,
        failed=failed,
        cancelled=dispatch.cancelled,
        restarts=dispatch.restarts,
        workers=tuple(worker_of(lane) for lane in lanes),
    )


def count(dispatch: Dispatch) -> tuple[list[WorkerThread], int, int]:
    """Return the lanes, and how many calls are done and have failed; with the lock held."""
    lanes = list(dispatch.lanes)
    done = dispatch.done + sum(lane.done for lane in lanes)
    return lanes, done, dispatch.failed + sum(lane.failed for lane in lanes)


def running_in(lane: WorkerThread) -> RunningTask | None:
    """Return the tasks that a worker runs."""
    try:
        seq, since = lane.words[SEQ], lane.words[SINCE]
    except ValueError:  # the lane has just been closed
        return None
    task = lane.in_flight.get(seq)
    if task is None:
        return None
    return RunningTask(task.function.name, lane.pid or 0, (perf_counter_ns() - since) / 1e9)


def worker_of(lane: WorkerThread) -> WorkerStats:
    """Look at one worker."""
    pid = lane.pid
    rss, cpu = usage(pid) if pid is not None else (0, 0.0)
    state: Literal["starting", "idle", "busy", "ending"] = "busy" if lane.in_flight else "idle"
    if lane.retiring or lane.dead:
        state = "ending"
    elif not lane.ready:
        state = "starting"
    return WorkerStats(pid, rss, cpu, lane.done + lane.failed, state)
