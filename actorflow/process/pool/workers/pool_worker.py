"""PoolWorker: the actors that own a pool's processes, one each, under a supervisor of their own.

They start a process, start another when it has died, and end it. Tasks do not pass through them: each process has a
thread of its own, so that a worker's mailbox is always free for its supervisor.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from actorflow.core.actors.actor import Actor
from actorflow.core.actors.child import child
from actorflow.core.messages.handlers import silent
from actorflow.errors import Crash, Stopping
from actorflow.process.pool.workers.worker_thread import WorkerThread
from actorflow.supervision.supervisor import Supervisor

if TYPE_CHECKING:
    from actorflow.core.actors.child import Child
    from actorflow.process.pool.dispatcher import Dispatch

UNLIMITED: Final = 1_000_000_000
FOREVER: Final = 1e9  # seconds
SOON: Final = 0.001  # seconds; crashes are remembered for so long


@silent
class Over:
    """Tells a worker that its process has ended; with an error if it died by itself."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class PoolWorker(Actor):
    """Owns one process of a pool: starts it, replaces it after its death, and ends it."""

    def __init__(self, dispatch: Dispatch) -> None:
        super().__init__()
        self.dispatch = dispatch
        self.worker_thread: WorkerThread | None = None

    def on_start(self) -> None:
        """Start the process."""
        self.open()

    def open(self) -> None:
        """Start a process, unless there is nothing left to do; later, if there is no room for its files or thread."""
        self.worker_thread = None
        if not self.dispatch.needs_worker():
            return
        worker_thread: WorkerThread | None = None
        try:
            worker_thread = self.dispatch.take_launched() or WorkerThread(self.dispatch)
            thread = threading.Thread(
                target=self.serve, args=(worker_thread,), name=f"{self.actor_ref.path}", daemon=True
            )
            with self.dispatch.lock:
                self.dispatch.worker_threads.append(worker_thread)
            self.worker_thread = worker_thread
            thread.start()
        except (OSError, RuntimeError) as error:  # too many files or threads
            self.worker_thread = None
            if worker_thread is not None:
                self.dispatch.withdraw(worker_thread)
            self.ctx.after(self.dispatch.put_off(str(error)), self.open)

    def serve(self, worker_thread: WorkerThread) -> None:
        """Serve the worker in its thread."""
        ident = threading.get_ident()
        self.dispatch.threads.add(ident)
        try:
            error = worker_thread.serve()
        finally:
            self.dispatch.threads.discard(ident)  # another thread may have that number next
        self.actor_ref.ask(Over(error), block=False)  # it may be dead: it waits in `on_stop`, or has been abandoned

    def on_receive(self, message: object) -> None:
        """Go on with another process. A death that no task was the cause of is a crash: the supervisor sees it."""
        if isinstance(message, Over):
            self.dispatch.restarts += 1
            self.worker_thread = None  # the crash is remembered for a while, and the thread is not to be kept by it
            if message.error is not None:
                raise Crash from message.error  # in an ask, it crashes the actor but leaves no dead letter
            self.open()

    async def on_stop(self) -> None:  # type: ignore[override]
        """Let the process do its remaining tasks, and end it."""
        worker_thread = self.worker_thread
        if self.actor_ref.name not in self.dispatch.leaving:
            self.dispatch.close()
        elif worker_thread is not None:
            worker_thread.retire()
        drain = self.actor_ref._scheduler.drain
        if drain is not None and drain.over.done():  # nothing would wake us any more
            self.dispatch.abort()
        try:
            while self.worker_thread is not None:
                await self.worker_thread.over
                self.worker_thread = None
                if self.actor_ref.name not in self.dispatch.leaving:
                    self.open()
        except Stopping:  # the time for a proper end is over
            return
        finally:
            if self.worker_thread is not None and not self.worker_thread.over.done():
                self.dispatch.abort()


class PoolSupervisor(Supervisor):
    """Restarts workers whenever they die: a task that kills its process is no fault of the program."""

    _ends_last = True  # actors that are older than their pool may have work for it, too

    def __init__(self, dispatch: Dispatch) -> None:
        super().__init__(
            *[recipe(dispatch, number) for number in range(1, dispatch.workers + 1)], intensity=UNLIMITED, period=SOON
        )
        self.dispatch = dispatch

    async def resize(self, workers: int) -> None:
        """Start workers, or end the last ones after their tasks."""
        leaving = self.dispatch.leaving
        rows = {row.name: row.status for row in self.which_children()}
        for number in range(1, workers + 1):
            name = f"worker-{number}"
            leaving.discard(name)
            if name not in rows:
                await self.start_child(recipe(self.dispatch, number))
            elif rows[name] == "terminated":
                await self.restart_child(name)
        for number in range(len(rows), workers, -1):
            name = f"worker-{number}"
            if rows[name] != "terminated":
                leaving.add(name)
                await self.terminate_child(name)


def recipe(dispatch: Dispatch, number: int) -> Child[PoolWorker]:
    """Describe a worker."""
    return child(PoolWorker, dispatch).options(name=f"worker-{number}", shutdown=FOREVER)
