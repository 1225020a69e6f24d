"""Run queue: the threads that take from it, and the entries in it that are no plain messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from actorflow.core.futures.future import Future
from actorflow.core.messages.execution import Execution
from actorflow.core.running.async_handler import AsyncHandler

if TYPE_CHECKING:
    from actorflow.core.messages.execution import Item
    from actorflow.core.refs.ref import ActorRef
    from actorflow.core.running.scheduler import Scheduler


class Waiting(Protocol):
    """An actor's wait: the future it is for, and a way to wake it when the actor is to stop."""

    future: Future[Any]

    @property
    def is_all(self) -> bool:
        """Whether the future is all that it waits for; else it may go on by itself."""
        ...

    @property
    def deadline(self) -> float | None:
        """The time at which the handler goes on in any case, on the scheduler's clock."""
        ...

    def interrupt(self) -> None:
        """Make the wait raise Stopping."""
        ...


class Ahead:
    """A life-cycle message in the ready queue: it comes ahead of the actor's mailbox."""

    __slots__ = ("item",)

    def __init__(self, item: Item) -> None:
        self.item = item


class Done:
    """Reports the end of a handler that lost the baton. Its item may be abandoned before the report is read."""

    __slots__ = ("item", "outcome")

    def __init__(self, outcome: Any, item: Item) -> None:
        self.outcome = outcome
        self.item = item


AT_REST: Final[Any] = (None, None, None, None)  # the item of a thread that handles nothing


class SchedulerThread(Execution):
    """A thread of the run queue.

    The scheduler makes one for each of its threads. Handlers find it as the current execution; the holder of the baton
    reads its `item`, and swaps it to abandon the handler.
    """

    __slots__ = ("cpu_clock", "park", "resting", "task", "unpark", "without_baton")

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.item = AT_REST
        self.park = scheduler.allocate_lock()
        self.park.acquire()
        self.unpark = self.park.release
        self.cpu_clock: int | None = None
        self.task: AsyncHandler | None = None  # the coroutine whose step runs, or ran last, on this thread
        self.left = None
        self.resting = False  # True: it is a spare, and is to park without holding on to what it handled
        self.without_baton = False  # True: it has lost the baton, or is about to: a wait here keeps nobody from running

    @property
    def is_between(self) -> bool:
        """Whether no handler runs here now, but the runtime's own work between two of them."""
        return self.scheduler.is_between(self)

    def forget(self) -> None:
        """Hold on to nothing that was handled here."""
        self.item = AT_REST
        self.task = self.left = None

    def hold(self, ref: ActorRef[Any], message: Any, future: Future[Any] | None) -> None:
        """Send a message of a finaliser, or of a log handler, that runs between two messages: without a sender."""
        if self.item is not AT_REST:
            super().hold(ref, message, future)
        ref._arrive(message, future, None)

    def wait(self, future: Future[Any], timeout: float | None) -> None:
        """Block this thread, and let other actors run meanwhile."""
        self.scheduler.wait(self, future, timeout)
