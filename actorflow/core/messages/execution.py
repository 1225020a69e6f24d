"""Execution: which handler runs here.

A context variable, not a thread-local: it costs 19 ns to read instead of 52 (CPython 3.11), and it is right for
handlers that are asyncio tasks and share one thread.
"""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeAlias

from actorflow.errors import Stopping

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.core.futures.future import Future
    from actorflow.core.refs.ref import ActorRef
    from actorflow.core.running.scheduler import Scheduler

# An item of the run queue: receiver, message, future of the asker, sender. In a simulation it may have a fifth field,
# the client event that it comes of; so code that virtual time runs takes an item's fields by their numbers.
Item: TypeAlias = "tuple[ActorRef[Any], Any, Future[Any] | None, ActorRef[Any] | None]"


ABANDONED: Final[Any] = (None, None, None, None)  # the item of an execution whose incarnation was abandoned


class Execution:
    """A place where handlers run: a worker thread, a coroutine on the run queue, or a task on the asyncio loop.

    `item` is the message that is being handled; abandoning an incarnation swaps it for `ABANDONED`, so that late
    sends are refused and a late result is dropped. That of a durable actor's handler has no actor either: its sends,
    too, come to `hold`, and those of all others pay nothing for it.
    """

    __slots__ = ("item", "left", "scheduler")

    suspends: bool = False  # True: an await yields the future to the run queue

    on_loop: ClassVar[bool] = False  # True: it shares a thread with others, and must not block it

    holds: ClassVar[bool] = False  # True: a handler's sends leave after a commit

    replays: ClassVar[bool] = False  # True: the code that runs here is run again later, and only its steps are recorded

    @property
    def is_between(self) -> bool:
        """Whether no handler runs here now, but the runtime's own work between two of them."""
        return False

    item: Item
    left: Item | None  # the item whose handler was abandoned here
    scheduler: Scheduler

    @property
    def is_abandoned(self) -> bool:
        """Whether the incarnation whose handler runs here was abandoned; a thread at rest has no actor either."""
        return self.item is ABANDONED

    @property
    def receiver(self) -> ActorRef[Any] | None:
        """The actor whose handler runs here; None once it was abandoned."""
        return self.item[0]

    def frames_over(self) -> None:
        """Note that the handler has raised: its frames are gone, and the runtime goes on."""

    def hold(self, ref: ActorRef[Any], message: Any, future: Future[Any] | None) -> None:  # noqa: ARG002 - for subclasses
        """Deal with a send of a handler that has no actor in `item`: refused if it was abandoned."""
        raise late_send()

    def refuse(self, call: str) -> None:
        """Refuse a call that is no step, where code is replayed."""
        raise NotImplementedError  # pragma: no cover - whoever replays has its own way

    def commits_to(self, store: object) -> bool:  # noqa: ARG002 - for subclasses
        """Say whether the effects of the handler are one commit of this store, which takes more work: see `also`."""
        return False

    def also(
        self,
        work: Callable[[Any], object],
        after: Callable[[], object],
        durability: Literal["power", "process"] | None = None,
    ) -> None:
        """Add a piece of work of an upper layer to the handler's commit; what is written is there if its effects are.

        Args:
            work: writes, in the commit's transaction; called again if that was undone.
            after: is called once it is committed, by a thread that may wait.
            durability: how long it has to last; None: as the store does.
        """
        raise NotImplementedError  # pragma: no cover - whoever says that it commits has its own way

    def timer(self, seconds: float) -> Future[None] | None:  # noqa: ARG002 - for subclasses
        """Return a timer of the code that runs here, if it has timers of its own; None: those of its actor's system."""
        return None

    def wait(self, future: Future[Any], timeout: float | None) -> None:
        """Block this execution until the future is done; raise AskTimeout, DeadlockError or Stopping."""
        raise NotImplementedError  # pragma: no cover - each subclass has its own way to wait

    def block(self, future: Future[Any], timeout: float | None) -> None:
        """Wait for a lock or a commit of the runtime; a handler that shares its thread keeps the others waiting, too.

        Raises:
            AskTimeout: it took longer than `timeout` seconds.
        """
        future.get(timeout=timeout)


CURRENT: contextvars.ContextVar[Execution | None] = contextvars.ContextVar("actorflow.current", default=None)


def check_effect(call: str) -> None:
    """Refuse a call with an effect, or with a look at things that change, in code that is replayed.

    Raises:
        DefinitionError: such code runs here.
    """
    execution = CURRENT.get()
    if execution is not None and execution.replays:
        execution.refuse(call)


def cause_of(item: tuple[Any, ...]) -> int | None:
    """Return the client event of a simulation that a message comes of, if that is known."""
    return item[4] if len(item) > 4 else None


class Abandoned(BaseException):
    """Ends the frames of a handler that was abandoned in virtual time, and that goes on all the same."""


def late_send() -> Stopping:
    """Make the error for a send of an incarnation that was abandoned."""
    return Stopping("this incarnation was abandoned after its shutdown time; its late sends are refused")
