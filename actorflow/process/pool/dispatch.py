"""Dispatch: brings tasks and idle workers together. Layer 2."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.future import Future
from actorflow.errors import ActorDeadError, HostDied
from actorflow.process.payload import dumps, loads
from actorflow.process.pool.queue import TaskQueue
from actorflow.process.pool.task import Functions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.process.launch.handle import Handle
    from actorflow.process.launch.launcher import Launcher
    from actorflow.process.pool.lane import Lane
    from actorflow.process.pool.task import Task
    from actorflow.process.pool.setup import Setup

STARTS: Final = 5  # failed starts in a row after which the pool is broken


class Dispatch:
    """What a pool's parts share. Without locks on the way of a task: see `submit` and `Lane.fill`."""

    def __init__(self, setup: Setup, launcher: Launcher, path: str, workers: int) -> None:
        self.setup = setup
        self.launcher = launcher
        self.path = path
        self.workers = workers
        self.queue = TaskQueue()
        self.idle: list[Lane] = []
        self.lanes: list[Lane] = []
        self.functions = Functions()
        self.closing = False
        self.broken: BaseException | None = None
        self.ended: Future[None] = Future()  # closed, and nothing is left to do
        self.restarts = self.done = self.failed = self.cancelled = 0
        self._failed_starts = 0
        self._lock = threading.Lock()

    # --- tasks -------------------------------------------------------------------------------------------------------

    def submit(self, task: Task[Any]) -> None:
        """Give a task to an idle worker, else put it into the queue.

        A worker that rests appends itself to `idle` and then looks at the queue; here it is the other way round. So one
        of both sees the other, and no task waits beside an idle worker.

        Raises:
            ActorDeadError: the pool was shut down.
            HostDied: the pool is broken.
        """
        if self.closing:
            raise self.refusal()
        while self.idle:
            try:
                lane = self.idle.pop()
            except IndexError:
                break
            try:
                if lane.hand(task):
                    return
            except BaseException:
                lane.bell.ring()
                raise
        if task.buffers:  # they must be as they are now
            task.buffers = [memoryview(bytearray(buffer)) for buffer in task.buffers]
        self.queue.put(task)
        self.wake(1)
        if self.closing:
            self._settle_leftovers()

    def wake(self, count: int) -> None:
        """Have idle workers look at the queue."""
        for _ in range(count):
            try:
                self.idle.pop().bell.ring()
            except IndexError:
                return

    def put_back(self, tasks: Sequence[Task[Any]]) -> None:
        """Put tasks that have not run to the front of the queue, in their order."""
        for task in reversed(tasks):
            task.lane = None
            if not task._done:
                self.queue.put_back(task)
        self.wake(len(tasks))

    def refusal(self) -> BaseException:
        """Make the error for a submit."""
        if self.broken is None:
            return ActorDeadError(f"the pool {self.path} was shut down and takes no more tasks")
        error = HostDied(f"the pool {self.path} is broken: {STARTS} starts of its workers in a row failed")
        error.__cause__ = self.broken
        return error

    # --- workers -----------------------------------------------------------------------------------------------------

    def launch(self, descriptors: list[int]) -> Handle:
        """Start a worker process."""
        host = self.setup.host
        return self.launcher.launch(
            "actorflow.process.pool.child:main",
            None,
            descriptors,
            cpu=None if host is None else host.affinity,
            nice=None if host is None else host.nice,
            warm="actorflow.process.pool.child",
        )

    def needs_worker(self) -> bool:
        """Say whether there is still something to do."""
        return self.broken is None and (not self.closing or len(self.queue) > 0)

    def started(self) -> None:
        """Note that a worker is ready."""
        self._failed_starts = 0

    def lane_over(self, lane: Lane, error: BaseException | None) -> None:
        """Note the end of a worker; with an error, it died."""
        with self._lock:
            self.lanes.remove(lane)
            self.done += lane.done
            self.failed += lane.failed
            if error is not None and not lane.ready:
                self._failed_starts += 1
        if self._failed_starts >= STARTS:
            self.broken = error
            self.close()
        self._settle_leftovers()

    def close(self) -> None:
        """Take no more tasks; workers end when there are none left."""
        self.closing = True
        for lane in list(self.lanes):
            lane.bell.ring()
        self._settle_leftovers()

    def _settle_leftovers(self) -> None:
        """At the end: refuse what has slipped in, and tell who waits."""
        if not self.closing or (self.broken is None and (self.lanes or (self.queue and not self.ended._done))):
            return
        while (task := self.queue.take()) is not None:
            task._settle(None, self.refusal())
        if not self.lanes:
            self.ended._settle(None, None)

    def abort(self) -> None:
        """Kill the workers: there is no time left."""
        self.broken = self.broken or ActorDeadError(f"the pool {self.path} was stopped before it could run all")
        self.close()
        for lane in list(self.lanes):
            lane.kill()

    # --- in place ----------------------------------------------------------------------------------------------------

    def log_record(self, data: bytes) -> None:
        """Hand a log record of a worker to the loggers of this process."""
        record = loads(data)
        record.actor = self.path
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno):
            logger.handle(record)
