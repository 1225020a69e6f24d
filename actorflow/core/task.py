"""Task: an `async def` handler on the run queue. Its actor stays busy while it is suspended."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from actorflow.core.actor import HANDLERS
from actorflow.core.current import CURRENT, Execution
from actorflow.core.failure import failed
from actorflow.core.future import Future
from actorflow.core.life import must_stop
from actorflow.core.messages import SUSPENDED, is_life_cycle
from actorflow.core.waits import cycle_error
from actorflow.errors import DefinitionError, Stopping
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.current import Item
    from actorflow.core.run_queue import Worker
    from actorflow.core.scheduler import Scheduler


class Task(Execution):
    """Drives one coroutine: a step runs until it awaits a future that is not done; that one's end queues the next."""

    __slots__ = ("asker", "coro", "future", "interrupted", "is_ahead", "resume_item", "send", "throw", "worker")

    suspends = True
    is_all = True
    deadline = None

    def __init__(self, scheduler: Scheduler, item: Item, coro: Coroutine[Any, Any, Any]) -> None:
        self.scheduler = scheduler
        self.item = item
        self.coro = coro
        context = scheduler.context.copy()
        context.run(CURRENT.set, self)
        self.send = context.run
        self.interrupted = False
        self.asker = item[2]
        self.is_ahead = is_life_cycle(item[1])
        self.resume_item: Item = (item[0], self, None, None)
        self.future: Future[Any]
        self.worker: Worker

    def __call__(self) -> None:
        """Queue the next step: the awaited future is done."""
        scheduler = self.scheduler
        scheduler.inbox.append(self.resume_item)
        if scheduler.idle:
            scheduler.wake()

    def interrupt(self) -> None:
        """Raise Stopping in the handler's await."""
        self.interrupted = True
        if self.future._drop_waiter(self):  # else the future's end has queued the next step already
            self()

    def step(self, worker: Worker) -> Any:
        """Run until the next wait; return the result of `Scheduler.handle`."""
        self.worker = worker
        worker.task = self
        ref = self.item[0]
        if ref is None:  # abandoned while suspended
            self.scheduler.abandoned_items.pop(id(self.left), None)
            try:
                self.coro.close()
            except BaseException as raised:  # noqa: BLE001 - it is over: its callers were answered
                failed(self.scheduler, self, raised, None)
            return None
        ref._waiting = None
        run, coro = self.send, self.coro
        error: BaseException | None = None
        if self.interrupted:
            self.interrupted = False
            error = stopping()
        while True:
            try:
                awaited = run(coro.send, None) if error is None else run(coro.throw, error)
            except StopIteration as stop:
                future = self.item[2]
                if future is not None:
                    future._settle(stop.value, None)
                return SUSPENDED if stop.value is SUSPENDED else None  # a durable actor's: until its commit
            except BaseException as raised:  # noqa: BLE001 - each kind has its own rule
                return failed(self.scheduler, self, raised, self.asker)
            if awaited is None:  # a bare yield: let others run
                self()
                return SUSPENDED
            if not issubclass(type(awaited), Future):  # `isinstance` asks the object for its class, which may raise
                error = foreign_await(awaited)
                continue
            self.future = awaited
            ref._waiting = self
            target = awaited._target
            error = None
            if target is not None and (target._waiting is not None or target is ref or target._is_remote):
                error = cycle_error(ref, awaited)
            if error is None and awaited._add_waiter(self):
                # An exit looks for waits after it was noted, so one of the two sees the other.
                if ref._life is None or not must_stop(ref) or not awaited._drop_waiter(self):
                    return SUSPENDED
                self.interrupted = False
                error = stopping()
            ref._waiting = None

    def wait(self, future: Future[Any], timeout: float | None) -> None:
        """Block the worker thread: a plain `get` inside an `async def` handler."""
        self.worker.wait(future, timeout)


def drop_task(_ref: Any, task: Task) -> None:
    """Deal with a step of a handler that was abandoned, and whose actor has gone on."""
    task.coro.close()


HANDLERS[Task] = drop_task


def stopping() -> Stopping:
    """Make the error that ends a handler's wait at shutdown."""
    return Stopping("the actor is being shut down")


def foreign_await(awaited: object) -> DefinitionError:
    """Make the error for an await of something that needs an asyncio loop."""
    return DefinitionError(
        f"an async handler awaited {text_of(awaited)}, which needs an asyncio loop: spawn the actor with loop=True"
    )


def run_in_loop(scheduler: Scheduler, item: Item, coro: Coroutine[Any, Any, Any]) -> Any:
    """Run the handler as a task on the system's one loop thread."""
    from actorflow.core.loop import start_in_loop  # noqa: PLC0415 - asyncio takes 30 ms to import

    start_in_loop(scheduler, item, coro)
    return SUSPENDED
