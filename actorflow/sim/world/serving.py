"""Serving: a message of an actor whose cost passes. Its handler runs at the end of it, so its sends go out then.

The load of the world says what it costs, and may note it: `sim.load` has that.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, Protocol

from actorflow.core.futures.future import Future
from actorflow.core.messages.execution import Execution
from actorflow.core.running.extensions import LoadExtension
from actorflow.sim.world.cores import waits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from actorflow.core.messages.execution import Item
    from actorflow.sim.world.cores import Cores, CoreUse
    from actorflow.sim.world.scheduler import SimWorld

NEVER: Final[Future[Any]] = Future()  # nothing but time ends it


class NotedQueue(deque["Item"]):
    """The mailbox of an actor while the load is recorded: it notes the messages that come."""

    __slots__ = ("_come",)

    def __init__(self, come: Callable[[Item], object], items: Iterable[Item] = ()) -> None:
        super().__init__(items)
        self._come = come

    def append(self, item: Item, /) -> None:
        """Put a message in, and note it."""
        self._come(item)
        super().append(item)


class RecordingOfLoad(Protocol):
    """Notes the load of a run."""

    def come(self, item: Item, /) -> object:
        """Note that a message has come."""
        ...

    def look(self) -> object:
        """Note the ends of handlers, before time passes."""
        ...


class LoadOfWorld(LoadExtension, Protocol):
    """The costs of handlers in a world, and the record of its load.

    Attributes:
        world: whose load it is.
        recording: notes it; None: nobody asked for that.
    """

    world: SimWorld

    @property
    def recording(self) -> RecordingOfLoad | None:
        """Notes the load; None: nobody asked for that."""
        ...

    def take(self, ref: Any, /) -> bool:
        """Have the cost of an actor's next message pass, before its handler runs; False: it costs none."""
        ...

    def begin_serving(self, serving: Serving, /) -> float:
        """Note that a message is handled from now on, and return its cost: virtual seconds."""
        ...


class Serving(Execution):
    """A message that its actor has at hand, until its handler runs: it waits for a core, then for its cost to pass.

    The actor is busy, as in a handler. An exit waits for the end of it, and abandons it after the shutdown time; the
    death of its host loses it.

    Attributes:
        uid: of its actor, as entries of the run queue have it.
        due: virtual seconds of its end; None: it waits for a core.
        mail: stood for the message in the run queue.
        name: of the handler.
        cost: of it, as the load knows it.
    """

    __slots__ = ("_cores", "_load", "_use", "_waits", "cost", "due", "future", "mail", "name", "uid")

    is_all = True
    left: Item | None

    def __init__(self, load: LoadOfWorld, item: Item, cores: Cores, cost: Any, name: str) -> None:
        ref = item[0]
        self.item = item
        self.left = None
        self.future = NEVER  # no actor can end this wait
        self.scheduler = ref._scheduler
        self.uid = ref.uid
        self.due: float | None = None
        self.mail = item
        self.name = name
        self._load = load
        self._cores = cores
        self.cost = cost
        self._use: CoreUse | None = None
        self._waits: Iterator[float] = iter(())

    def __repr__(self) -> str:
        return f"<serving {self.name}>"

    @property
    def deadline(self) -> float | None:
        """Virtual seconds at which the handler runs."""
        return self.due

    def interrupt(self) -> None:
        """Go on: what computes hears of no exit."""

    def ask(self) -> None:
        """Begin as soon as there is a core."""
        self._use = self._cores.ask(self._begin)

    def _begin(self) -> None:
        """Have the cost pass."""
        load = self._load
        seconds = 0.0
        if not self.is_abandoned:  # while it waited for a core
            seconds = load.begin_serving(self)
        self._waits = waits(load.world.clock, self._cores.host, seconds)
        self._wait()

    def _wait(self) -> None:
        """Wait until the cost has passed; then leave the core, and have the handler run."""
        seconds = next(self._waits, None)
        if seconds is None:
            self._end()
            return
        world = self._load.world
        self.due = world.clock.now + seconds
        world.timers.add(self.due, self._wait)

    def _end(self) -> None:
        assert self._use is not None
        self._cores.leave(self._use)
        world = self._load.world
        if self.is_abandoned:
            world.abandoned_items.pop(id(self.left), None)
        else:
            world.ready.append(self)

    def taken(self) -> Item | None:
        """Return the message for its handler; None if it was abandoned."""
        if self.is_abandoned:
            return None
        ref = self.item[0]
        if ref._waiting is self:
            ref._waiting = None
        return self.item
