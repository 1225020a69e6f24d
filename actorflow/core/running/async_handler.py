"""AsyncHandler: an `async def` handler on the run queue. Its actor stays busy while it is suspended."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.futures.future import Future
from actorflow.core.futures.thread_wait import ask_timeout
from actorflow.core.futures.wait_graph import cycle_error
from actorflow.core.messages.execution import CURRENT, Execution
from actorflow.core.messages.handlers import handles
from actorflow.core.messages.messages import SUSPENDED, is_life_cycle
from actorflow.core.refs.cold_fields import must_stop
from actorflow.core.refs.failure import failed
from actorflow.errors import AskTimeout, DefinitionError, Stopping
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.messages.execution import Item
    from actorflow.core.refs.ref import ActorRef
    from actorflow.core.refs.timers import TimerEntry
    from actorflow.core.running.run_queue import SchedulerThread
    from actorflow.core.running.scheduler import Scheduler


MOST_REFUSED: Final = 10  # waits that end with Stopping; a handler that goes on after them waits until it is abandoned


class AsyncHandler(Execution):
    """Drives one coroutine: a step runs until it awaits a future that is not done; that one's end queues the next.

    `Scheduler.begin` makes one, if a handler returned a coroutine. Steps run on the run queue, on any of its threads.
    """

    __slots__ = (
        "answer_due",
        "asker",
        "coro",
        "future",
        "interrupted",
        "is_ahead",
        "resume_item",
        "send",
        "worker",
    )

    suspends = True
    is_all = True

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
        self.answer_due: AnswerDue | None = None
        self.resume_item: Item = (item[0], self, None, None)
        self.future: Future[Any]
        self.worker: SchedulerThread

    @property
    def deadline(self) -> float | None:
        """When the wait ends without an answer."""
        return None if self.answer_due is None else self.answer_due.due

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

    def step(self, worker: SchedulerThread) -> Any:
        """Run until the next wait; return the result of `Scheduler.handle`."""
        self.worker = worker
        worker.task = self
        error: BaseException | None = None if self.answer_due is None else self.end_wait(self.answer_due)
        ref = self.item[0]
        if self.is_abandoned:  # while it was suspended
            self.scheduler.abandoned_items.pop(id(self.left), None)
            try:
                self.scheduler.close_coroutine(self.coro)
            except BaseException as raised:  # noqa: BLE001 - it is over: its callers were answered
                failed(self.scheduler, self, raised, None)
            return None
        ref._waiting = None
        run, coro = self.send, self.coro
        refused = 0
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
            if error is None and self.scheduler.is_virtual:
                error = self.scheduler.refused_wait(ref, awaited)
            if error is None and target is not None and target._home.ask_timeout is not None:
                self.answer_due = AnswerDue.of(self, awaited)
            if error is None and awaited._add_waiter(self):
                # An exit looks for waits after it was noted, so one of the two sees the other.
                if ref._cold is None or not must_stop(ref) or refused > MOST_REFUSED or not awaited._drop_waiter(self):
                    return SUSPENDED
                refused += 1
                self.interrupted = False
                error = stopping()
            ref._waiting = None
            if self.answer_due is not None:
                self.end_wait(self.answer_due)

    def end_wait(self, answer_due: AnswerDue) -> AskTimeout | None:
        """Return the error of a wait whose time is up."""
        self.answer_due = None
        answer_due.cancel()
        return ask_timeout(answer_due.future, answer_due.seconds) if answer_due.has_come else None

    def frames_over(self) -> None:
        """Note the end at the thread that the last step ran on."""
        self.worker.frames_over()

    def wait(self, future: Future[Any], timeout: float | None) -> None:
        """Block the worker thread: a plain `get` inside an `async def` handler."""
        self.worker.wait(future, timeout)


class AnswerDue:
    """The end of the time for an answer that a handler awaits: `Settings.ask_timeout`."""

    __slots__ = ("due", "entry", "future", "has_come", "seconds", "task")

    def __init__(self, task: AsyncHandler, future: Future[Any], seconds: float) -> None:
        scheduler = task.scheduler
        self.task: AsyncHandler | None = task
        self.future = future
        self.seconds = seconds
        self.due = scheduler.clock.monotonic() + seconds
        self.entry: TimerEntry | None = None
        self.has_come = False
        scheduler.post_work(lambda: self.start(scheduler))

    @classmethod
    def of(cls, task: AsyncHandler, future: Future[Any]) -> AnswerDue | None:
        """Return the bound of an await; None of one that is not for an answer."""
        seconds = future._ask_timeout
        return None if seconds is None else cls(task, future, seconds)

    def start(self, scheduler: Scheduler) -> None:
        """Put the bound on the heap, unless the wait is over; the holder of the baton calls this and `come`."""
        if self.task is not None:
            self.entry = scheduler.add_timer(self.due, self.come)

    def come(self) -> None:
        """End the wait, if the answer is not there."""
        task = self.task
        if task is not None and self.future._drop_waiter(task):
            self.has_come = True
            task()

    def cancel(self) -> None:
        """Forget the bound: the wait is over."""
        task, self.task = self.task, None
        if task is not None:
            task.scheduler.post_work(lambda: self.forget(task.scheduler))

    def forget(self, scheduler: Scheduler) -> None:
        """Take the bound off the heap of timers; the holder of the baton calls this."""
        if self.entry is not None:
            scheduler.timers.cancel(self.entry)


@handles(AsyncHandler)
def drop_task(_ref: ActorRef[Any], task: AsyncHandler) -> None:
    """Deal with a step of a handler that was abandoned, and whose actor has gone on."""
    task.coro.close()


def stopping() -> Stopping:
    """Make the error that ends a handler's wait at shutdown."""
    return Stopping("the actor is being shut down")


def foreign_await(awaited: object) -> DefinitionError:
    """Make the error for an await of something that needs an asyncio loop."""
    return DefinitionError(
        f"an async handler awaited {text_of(awaited)}, which needs an asyncio loop: spawn the actor with loop=True"
    )
