"""The asyncio loop of a system, and waits in coroutines. Imported at first need, since asyncio takes 30 ms.

Handlers of actors with loop=True are tasks on the system's one loop thread; and any asyncio code may await our futures.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, cast

from actorflow.core.atomic import forkable_lock
from actorflow.core.futures.future import Future
from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT, Execution
from actorflow.core.messages.messages import CHANGED, SUSPENDED, is_life_cycle
from actorflow.core.refs.failure import failed
from actorflow.core.running.async_handler import stopping
from actorflow.core.running.run_queue import Done
from actorflow.errors import DefinitionError, is_a

if TYPE_CHECKING:
    from actorflow.core.messages.execution import Item
    from actorflow.core.running.scheduler import Scheduler


_lock = forkable_lock()


class LoopTask(Execution):
    """An `async def` handler that is a task on the asyncio loop."""

    __slots__ = ("begun", "future", "interrupted", "task", "thread")

    on_loop = True
    is_all = False
    deadline = None

    def __init__(self, scheduler: Scheduler, item: Item, thread: LoopThread) -> None:
        self.scheduler = scheduler
        self.item = item
        self.thread = thread
        self.task: asyncio.Task[None] | None = None
        self.begun = self.interrupted = False
        self.future: Future[Any] = Future()  # the future it awaits, if that is one of ours

    def wait(self, future: Future[Any], timeout: float | None) -> None:  # noqa: ARG002 - the signature of all waits
        """Refuse: a blocking wait would stop every handler on the loop."""
        msg = "get() would block the loop of all loop=True handlers: await the future instead"
        raise DefinitionError(msg)

    def block(self, future: Future[Any], timeout: float | None) -> None:
        """Keep the loop's thread waiting: for a lock or a commit of the runtime, which is short."""
        self.scheduler.block_loop(self, future, timeout)

    def interrupt(self) -> None:
        """Raise Stopping in the handler: it may be in any await, so the task is cancelled."""
        self.interrupted = True
        self.thread.call(self._cancel)

    def _cancel(self) -> None:
        if self.task is not None and self.begun:  # else the cancellation would come before `run` can report anything
            self.task.cancel()

    async def run(self, coro: Coroutine[Any, Any, Any]) -> None:
        """Run the handler and report its end."""
        outcome: Any = CHANGED
        ref, asker = self.item[0], self.item[2]
        self.begun = True
        try:
            if self.interrupted:
                coro.close()
                raise stopping()
            value = await coro
            if value is SUSPENDED:  # a durable actor's: until its commit
                outcome = SUSPENDED
            future = self.item[2]
            if future is not None:
                future._settle(value, None)
        except BaseException as error:  # noqa: BLE001 - each kind has its own rule
            if self.interrupted and is_a(error, asyncio.CancelledError):
                error = stopping()
            outcome = failed(self.scheduler, self, error, asker) or CHANGED
        item = self.item
        if self.is_abandoned:
            self.scheduler.abandoned_items.pop(id(self.left), None)
        else:
            if ref._waiting is self:
                ref._waiting = None
            if outcome is not SUSPENDED and not is_life_cycle(item[1]):
                self.scheduler.post(ref, Done(outcome, item), None)


class LoopThread:
    """The system's one asyncio loop, in a thread of its own.

    The scheduler makes it at the first handler of an actor with `loop=True`. Any thread may use `call`.
    """

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name=f"{name}-loop", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            while not self._is_closing:
                self._run()
        finally:
            pending = asyncio.all_tasks(self.loop)
            for task in pending:
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    def _run(self) -> None:
        """Run the loop until it is stopped. asyncio lets a SystemExit of any task end it: that is the task's alone."""
        try:
            self.loop.run_forever()
        except BaseException:  # noqa: BLE001 - as above
            logger.exception("A task on the asyncio loop has raised an error that would end the loop; all others go on")

    def call(self, func: Any) -> bool:
        """Call a function on the loop; False after its end, when its tasks are cancelled."""
        try:
            self.loop.call_soon_threadsafe(func)
        except RuntimeError:
            return False
        return True

    def close(self) -> None:
        """Cancel the running tasks and end the thread."""
        self._is_closing = True
        self.call(self.loop.stop)
        self._thread.join(timeout=1.0)


def start_in_loop(scheduler: Scheduler, item: Item, coro: Coroutine[Any, Any, Any]) -> None:
    """Make the handler a task on the loop of a live system."""
    with _lock:  # overtaken handlers begin beside each other
        if scheduler.loop_thread is None:
            scheduler.loop_thread = LoopThread(scheduler.name)
        thread = cast("LoopThread", scheduler.loop_thread)
    begin_task(scheduler, item, coro, thread)


def begin_task(scheduler: Scheduler, item: Item, coro: Coroutine[Any, Any, Any], thread: LoopThread) -> None:
    """Make the handler a task on a loop."""
    execution = LoopTask(scheduler, item, thread)
    item[0]._waiting = execution  # as long as it runs, so that a shutdown can cancel it
    context = scheduler.context.copy()
    context.run(CURRENT.set, execution)

    def start() -> None:
        execution.task = thread.loop.create_task(execution.run(coro), context=context)

    if not thread.call(start):
        coro.close()
        scheduler.post(item[0], Done(CHANGED, item), None)
