"""Dispatcher: brings tasks and idle workers together."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.atomic import exclusively
from actorflow.core.futures.future import Future
from actorflow.core.log import logger
from actorflow.core.running.quiet import OTHERS
from actorflow.errors import ActorDeadError, DeadlockError
from actorflow.process.pool.task import Functions
from actorflow.process.pool.task_queue import TaskQueue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.core.clock import Clock
    from actorflow.process.launch.child_process import ChildProcess
    from actorflow.process.launch.launcher import Launcher
    from actorflow.process.log_handling import RecordQueue
    from actorflow.process.pool.setup import Setup
    from actorflow.process.pool.task import PoolTask
    from actorflow.process.pool.workers.direct_channel import DirectChannel
    from actorflow.process.pool.workers.worker_thread import WorkerThread

WORKER: Final = "actorflow.process.pool.workers.worker_main"
PAUSE: Final = 0.01  # seconds before another start is tried, if there was no room for a worker; doubled each time
LONGEST_PAUSE: Final = 1.0
STARTS: Final = 5  # failed starts in a row after which the pool is broken


class Dispatch:
    """The state that the parts of a pool share. A task takes no locks on its way: see `submit`, `WorkerThread.fill`.

    A `ProcessPool` makes one.
    """

    def __init__(
        self,
        setup: Setup,
        launcher: Launcher | None,
        path: str,
        workers: int,
        records: RecordQueue,
        clock: Clock,
    ) -> None:
        self.setup = setup
        self.clock = clock
        self.records = records
        self.launcher = launcher
        self.path = path
        self.workers = workers
        self.queue = TaskQueue()
        self.idle: list[DirectChannel] = []
        self.worker_threads: list[WorkerThread] = []
        self.launched: list[WorkerThread] = []  # successors of dead ones, which no worker has taken yet
        self.functions = Functions()
        self.closing = False
        self.cancels = False  # the end is not to wait for what has not begun
        self.forked = False  # this is a fork of the process that has the pool
        self.broken: BaseException | None = None
        self.ended: Future[None] = Future()  # closed, and nothing is left to do
        self.ended._is_real = launcher is not None
        self.restarts = self.done = self.failed = self.cancelled = 0
        self.leaving: set[str] = set()  # names of workers that a smaller size leaves over
        self.lock = threading.RLock()  # of the counters and the list of threads; see `exclusively`
        self.threads: set[int] = set()  # ids of the threads that bring the results
        self.drains: list[Future[None]] = []
        self._failed_starts = self._lacks = 0
        DISPATCHES.add(self)

    # --- tasks -------------------------------------------------------------------------------------------------------

    def submit(self, task: PoolTask[Any]) -> None:
        """Give a task to an idle worker, else put it into the queue.

        A worker that rests appends itself to `idle` and then looks at the queue; here it is the other way round. So one
        of both sees the other, and no task waits beside an idle worker.

        Raises:
            ActorDeadError: the pool was shut down.
            HostDied: the pool is broken.
        """
        if self.closing and not (task.is_admitted and self.broken is None and not (self.forked or self.cancels)):
            raise self.refusal()
        if self.launcher is None:  # virtual time
            task.run_here()
            return
        if task.buffers and task.options.retries:
            task.copy_buffers()
        idle = self.idle
        try:
            while idle:
                try:
                    channel = idle.pop()
                except IndexError:
                    break
                if channel.hand(task):
                    return
            self._enqueue(task)
        except BaseException:  # a signal's handler, perhaps as a thread was taken from the idle ones
            self.rouse()
            raise

    def _enqueue(self, task: PoolTask[Any]) -> None:
        if task.buffers and not task.copied:
            task.copy_buffers()
        self.queue.put(task)
        if self.idle:
            self.wake(1)
        if self.closing:
            self.settle_leftovers()

    def rouse(self) -> None:
        """Have all workers look for work."""
        for worker_thread in list(self.worker_threads):
            worker_thread.bell.ring()

    def wake(self, count: int) -> None:
        """Have idle workers look at the queue."""
        for _ in range(count):
            try:
                self.idle.pop().bell.ring()
            except IndexError:
                return

    def put_back(self, tasks: Sequence[PoolTask[Any]]) -> None:
        """Put tasks that have not run to the front of the queue, in their order."""
        for task in reversed(tasks):
            task.channel = None
            if not task._done:
                self.queue.put_back(task)
        self.wake(len(tasks))

    def check_may_wait(self) -> None:
        """Refuse a wait in a callback of a future: it would block the thread that brings the results.

        Raises:
            ActorDeadError: this is a fork of the process that has the pool.
            DeadlockError: this is such a callback.
        """
        if self.forked:
            raise self.refusal()
        if threading.get_ident() in self.threads:
            msg = f"a callback of a future of {self.path} waits for the pool, but delivers its results"
            raise DeadlockError(msg)

    def refusal(self) -> BaseException:
        """Make the error for a task that the pool does not take any more."""
        if self.forked:
            return ActorDeadError(
                f"the pool {self.path} belongs to the process that this one was forked from: make another here"
            )
        if self.broken is None:
            return ActorDeadError(f"the pool {self.path} was shut down and takes no more tasks")
        if isinstance(self.broken, PoolStopped):
            return ActorDeadError(f"the pool {self.path} was stopped before it could run the task")
        what = f"the pool {self.path} is broken, {STARTS} starts of its workers in a row failed"
        from actorflow.process.pool.death import WorkerDied  # noqa: PLC0415 - 20 ms, and most pools see no death

        error = WorkerDied(what, how=f"the last with {type(self.broken).__name__}: {self.broken}")
        error.__cause__ = self.broken
        return error

    def count_cancelled(self) -> None:
        """Count a task that was cancelled."""
        exclusively(self.lock, self._count_cancelled)

    def _count_cancelled(self) -> None:
        self.cancelled += 1

    def log_record(self, data: bytes) -> None:
        """Have a log record of a worker handed to the loggers of this process."""
        self.records.put(data, actor=self.path)

    # --- workers -----------------------------------------------------------------------------------------------------

    def launch(self, descriptors: list[int]) -> ChildProcess:
        """Start a worker process."""
        assert self.launcher is not None
        host = self.setup.host
        return self.launcher.launch(
            f"{WORKER}:main",
            None,
            descriptors,
            cpu=None if host is None else host.affinity,
            nice=None if host is None else host.nice,
            warm=WORKER,
        )

    def needs_worker(self) -> bool:
        """Say whether there is still something to do."""
        return self.launcher is not None and self.broken is None and (not self.closing or len(self.queue) > 0)

    def take_launched(self) -> WorkerThread | None:
        """Return the thread that a dead one has launched for its worker, if there is one."""
        try:
            return self.launched.pop()
        except IndexError:
            return None

    def discard_launched(self) -> None:
        """End the threads that no worker will take."""
        while (worker_thread := self.take_launched()) is not None:
            worker_thread.discard()

    def started(self) -> None:
        """Note that a worker is ready."""
        self._failed_starts = self._lacks = 0

    def put_off(self, why: str) -> float:
        """Note that there was no room for a worker; returns the seconds until the next try, more each time."""
        with self.lock:
            self._lacks += 1
        if self._lacks == 1:
            logger.warning("%s: a worker cannot be started, so its tasks wait: %s", self.path, why)
        return min(PAUSE * 2.0**self._lacks, LONGEST_PAUSE)

    def withdraw(self, worker_thread: WorkerThread) -> None:
        """Take back a thread that could not begin."""
        with self.lock:
            if worker_thread in self.worker_threads:
                self.worker_threads.remove(worker_thread)
        worker_thread.discard()

    def thread_over(self, worker_thread: WorkerThread, error: BaseException | None, *, lacked: bool = False) -> None:
        """Note the end of a worker; with an error, it died. A lack of room for its process is no fault of the pool."""
        with self.lock:
            self.worker_threads.remove(worker_thread)
            self.done += worker_thread.done
            self.failed += worker_thread.failed
            if error is not None and not worker_thread.ready and not lacked:
                self._failed_starts += 1
            if self._failed_starts >= STARTS and self.broken is None:
                self.broken = error
        if self.broken is not None:
            self.close()
        self.settle_leftovers()

    # --- the end -----------------------------------------------------------------------------------------------------

    def drained(self) -> Future[None]:
        """Return a future that is set once nothing waits or runs."""
        future: Future[None] = Future()
        future._is_real = self.ended._is_real
        self.drains.append(future)
        self.check_drained()
        return future

    @property
    def works(self) -> bool:
        """Whether something waits or runs."""
        return bool(self.queue) or any(worker_thread.holds_tasks() for worker_thread in list(self.worker_threads))

    def under_way(self) -> list[PoolTask[Any]]:
        """Return the tasks that wait or run just now."""
        return [
            *self.queue.waiting(),
            *(task for worker_thread in list(self.worker_threads) for task in list(worker_thread.in_flight.values())),
        ]

    def check_drained(self) -> None:
        """Tell the waits for the end of all tasks; threads of workers ask this when they have nothing to do."""
        if self.drains and not self.works:
            drains, self.drains = self.drains, []
            for future in drains:
                future._settle(None, None)

    def close(self) -> None:
        """Take no more tasks; workers end when there are none left."""
        if self.forked:
            return
        self.closing = True
        self.rouse()
        self.settle_leftovers()

    def abort(self) -> None:
        """Kill the workers: there is no time left."""
        self.broken = self.broken or PoolStopped()
        self.close()
        for worker_thread in list(self.worker_threads):
            worker_thread.kill()

    def settle_leftovers(self) -> None:
        """Refuse, at the end, tasks that have slipped in, and tell the waits."""
        if self.closing and (
            self.broken is not None or not (self.worker_threads or (self.queue and not self.ended._done))
        ):
            for task in self.queue.waiting():  # they stay there until they are settled, wherever a signal comes
                task._settle(None, self.refusal())
            self.queue.discard_done()
            if not self.worker_threads:
                self.discard_launched()
                self.ended._settle(None, None)
        self.check_drained()

    def forget(self) -> None:
        """Disown the workers in a fork of this process; they must see it when their pool is gone.

        Waits for a task here get an error at once. Callbacks do not run: they are the parent's, which runs them.
        """
        self.closing = self.forked = True
        worker_threads = [*self.worker_threads, *self.launched]
        self.worker_threads, self.launched, self.idle = [], [], []
        tasks = [task for worker_thread in worker_threads for task in worker_thread.in_flight.values()]
        tasks += self.queue.waiting()
        for worker_thread in worker_threads:
            worker_thread.connection.close_here()
        self.lock = threading.RLock()  # a thread that is not here may have held it
        self.queue = TaskQueue()
        for task in tasks:
            task._disown(self.refusal())


class PoolStopped(Exception):
    """Stands for the reason of a pool that was stopped by force."""


DISPATCHES: weakref.WeakSet[Dispatch] = weakref.WeakSet()


def any_works() -> bool:
    """Say whether any pool of this process has something to do, or workers that are about to end."""
    return any(dispatch.works or (dispatch.closing and dispatch.worker_threads) for dispatch in list(DISPATCHES))


OTHERS.append(any_works)


def _forget_all() -> None:
    for dispatch in list(DISPATCHES):
        dispatch.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
