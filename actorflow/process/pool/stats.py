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
    worker_threads, done, failed = exclusively(dispatch.lock, lambda: count(dispatch))
    running = [task for worker_thread in worker_threads if (task := running_in(worker_thread)) is not None]
    return PoolStats(
        queued=len(dispatch.queue),
        running=tuple(running),
        done=done,
        failed=failed,
        cancelled=dispatch.cancelled,
        restarts=dispatch.restarts,
        workers=tuple(worker_of(worker_thread) for worker_thread in worker_threads),
    )


def count(dispatch: Dispatch) -> tuple[list[WorkerThread], int, int]:
    """Return the threads, and how many calls are done and have failed; with the lock held."""
    worker_threads = list(dispatch.worker_threads)
    done = dispatch.done + sum(worker_thread.done for worker_thread in worker_threads)
    return worker_threads, done, dispatch.failed + sum(worker_thread.failed for worker_thread in worker_threads)


def running_in(worker_thread: WorkerThread) -> RunningTask | None:
    """Return the task that a worker runs; None if it runs none."""
    try:
        seq, since = worker_thread.words[SEQ], worker_thread.words[SINCE]
    except ValueError:  # the worker has just been closed
        return None
    task = worker_thread.in_flight.get(seq)
    if task is None:
        return None
    return RunningTask(task.function.name, worker_thread.pid or 0, (perf_counter_ns() - since) / 1e9)


def worker_of(worker_thread: WorkerThread) -> WorkerStats:
    """Look at one worker."""
    pid = worker_thread.pid
    rss, cpu = usage(pid) if pid is not None else (0, 0.0)
    state: Literal["starting", "idle", "busy", "ending"] = "busy" if worker_thread.in_flight else "idle"
    if worker_thread.retiring or worker_thread.dead:
        state = "ending"
    elif not worker_thread.ready:
        state = "starting"
    return WorkerStats(pid, rss, cpu, worker_thread.done + worker_thread.failed, state)
