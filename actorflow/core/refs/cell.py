"""Cell: the fields of a ref that belong to the scheduler, and the hooks that kinds of actors override.

All fields that are not part of the address belong to the scheduler: only the thread that holds the baton changes them.
The word is Akka's: an actor's cell has its mailbox, its children and its present incarnation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final

from actorflow.core.futures.future import Future
from actorflow.core.messages.messages import Stop
from actorflow.core.refs.address import Address

if TYPE_CHECKING:
    from actorflow.core.actors.actor import Actor
    from actorflow.core.actors.context import Context
    from actorflow.core.actors.traits import Traits
    from actorflow.core.messages.execution import Item
    from actorflow.core.refs.cold_fields import ColdFields
    from actorflow.core.refs.home import Home, Lineage
    from actorflow.core.refs.ref import ActorRef
    from actorflow.core.running.children import Children
    from actorflow.core.running.run_queue import Waiting
    from actorflow.core.running.scheduler import Scheduler

# States of a ref, in this order: from ENDING on, sends are refused.
IDLE: Final = 0  # may run a message straight from the inbox
BUSY: Final = 1  # a handler runs or is suspended
READY: Final = 2  # has queued messages and a place in the ready queue
CHANGING: Final = 3  # starts, stops or restarts; messages are queued
ENDING: Final = 4  # runs its last hook
DEAD: Final = 5


class SchedulerWork:
    """The receiver of the scheduler's own work: its messages are functions that the holder calls, without a token."""

    __slots__ = ("_queue", "_state")

    def __init__(self) -> None:
        self._queue = None
        self._state = CHANGING  # never run straight from the inbox


WORK: Final[Any] = SchedulerWork()


class Cell(Address):
    """The part of a ref that is the runtime's own. Kinds of refs override the methods below the fields."""

    __slots__ = ("_actor", "_children", "_cold", "_queue", "_state", "_waiting")

    _is_remote: ClassVar[bool] = False  # True: its handlers run in another process
    _is_plain: ClassVar[bool] = True  # False: sends do more than put messages into the inbox
    _future_class: ClassVar[type[Future[Any]]] = Future
    _context_class: ClassVar[type[Context]]

    # Home and lineage of an actor that lives in this process: the same slots, and the same values.
    _scheduler: Scheduler = Address._home  # type: ignore[assignment]
    _parent: Children  # pyright: ignore[reportIncompatibleVariableOverride]

    _actor: Any  # the incarnation
    _children: Children | None
    _cold: ColdFields | None  # fields that few actors need: watchers, stash, timers, a pending exit
    _queue: deque[Item] | None
    _state: int
    _waiting: Waiting | None

    def __init__(self, uid: int, home: Home, parent: Lineage, traits: Traits, name: str | None) -> None:
        self.uid = uid
        self._home = home
        self._parent = parent  # type: ignore[assignment]
        self._traits = traits
        self._name = name
        self._state = CHANGING
        self._actor = self._children = self._cold = self._queue = self._waiting = None

    # --- for kinds of refs to override -------------------------------------------------------------------------------

    @property
    def _incarnation_class(self) -> type[Any]:
        """The class of the object that runs the messages here; for an actor of another process, of its stand-in."""
        return self._traits.actor_class

    def _run_on_start(self) -> Any:
        """Run `on_start` of an incarnation, before its first message."""
        return self._actor._run_on_start() if self._traits.has_on_start else None

    def _within(self, run: Callable[[], Any]) -> Any:
        """Run a message of the runtime's own that ends in user code; a durable actor commits the effects of it."""
        return run()

    def _stop_behind(self, stop: Stop) -> None:
        """Queue a stop that the actor asks for itself, behind the messages in its mailbox."""
        self._home.post(self, stop, None)  # type: ignore[arg-type]  # each cell is the one of an ActorRef

    def _arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments that an incarnation gets: these, or copies if it counts as one of another process."""
        return args, kwargs

    def _why_silent(self) -> str:
        """Return the reason why the actor has not answered, with the cure, if one is known here."""
        return ""

    def _across(self, error: BaseException, _other: ActorRef[Any] | None) -> BaseException:
        """Return an error that goes from this actor to another, or back: a copy if it counts as one of elsewhere."""
        return error

    def _seek(self, path: list[str], origin: ActorRef[Any], future: Future[Any]) -> None:
        """Look for a cycle of waits where the actor runs, if that is not here."""

    def _away(self, here: Any, path: list[str], origin: int, home: str, number: int) -> bool:  # noqa: ARG002
        """Send the search for a cycle on to where the actor runs; False if that is here."""
        return False

    def _watched_by(self, watcher: ActorRef[Any], actor: Actor) -> None:
        """Send Terminated to the incarnation `actor` of the watcher at the end."""
        self._home.watch(watcher, self, actor)  # type: ignore[arg-type]

    def _close(self, cause: BaseException | None) -> None:
        """Release the resources of a dead actor; a bounded mailbox has waiting senders."""

    def _arrive(self, message: Any, future: Future[Any] | None, sender: ActorRef[Any] | None) -> None:
        """Put a message that came from another process into the mailbox; never waits."""
        scheduler = self._scheduler
        scheduler.inbox.append((self, message, future, sender))  # type: ignore[arg-type]
        if scheduler.idle:
            scheduler.wake()

    def _pass_on(self, item: Item) -> bool:  # noqa: ARG002
        """Send a message on to where the actor lives now; False if it is dead."""
        return False

    def _count_stashed(self, change: int) -> None:
        """Count stashed messages; a bounded mailbox does."""

    def _put_back(self, items: deque[Item]) -> None:
        """Put stashed messages back to the front of the mailbox; the holder of the baton calls it."""
        if self._queue is None:
            self._queue = self._scheduler.new_queue()
        self._queue.extendleft(reversed(items))
