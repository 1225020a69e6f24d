"""Platform: the surroundings of an interpreter: the clock, timers, and children to invoke.

The word is SCXML's. An actor is one (see `actor_platform`); `Alone` is the one of an interpreter without an actor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from actorflow.core.clock import SystemClock
from actorflow.core.log import logger
from actorflow.errors import DefinitionError

if TYPE_CHECKING:
    from actorflow.machine.definition.chart import Invoke
    from actorflow.machine.running.event import Event
    from actorflow.machine.running.interpreter import Interpreter


class Platform(Protocol):
    """The surroundings that an interpreter asks for time, timers and children."""

    @property
    def owner(self) -> object:
        """The actor in whose name the machine refuses events, if there is one."""
        ...

    def time(self) -> float:
        """Return seconds since the epoch, for records and deadlines."""
        ...

    def add_timer(self, seconds: float, fire: Callable[[], None], /) -> Callable[[], object]:
        """Have `fire` called in so many seconds, between two events; return a function that cancels that."""
        ...

    def start_child(self, interpreter: Interpreter, invoke: Invoke, /) -> Any:
        """Start the child that a state invokes; return an object that stands for it."""
        ...

    def end_child(self, child: Any, /) -> bool:
        """End an invoked child, since its state was left; True if it was done by then, and its news is on its way."""
        ...

    def forward(self, child: Any, event: Event, /) -> None:
        """Send an event on to an invoked child."""
        ...

    def refused(self, event: Event, error: Exception, /) -> None:
        """An event was refused that nobody waits for: a deferred one, or one that a handler raised."""
        ...


class Alone:
    """The platform of an interpreter without an actor: real time, no children, timers that `advance()` fires."""

    owner: object = None

    def time(self) -> float:
        """Return the wall clock's time."""
        return SystemClock.time()

    def add_timer(self, _seconds: float, _fire: Callable[[], None], /) -> Callable[[], object]:
        """Do nothing: the interpreter keeps the due times, and `advance` looks there."""
        return lambda: None

    def start_child(self, interpreter: Interpreter, invoke: Invoke, /) -> Any:
        """Refuse: children are actors."""
        msg = (
            f"{interpreter.chart.name!r} invokes {invoke.id!r}, and children are actors: spawn the machine as an actor"
        )
        raise DefinitionError(msg)

    def end_child(self, _child: Any, /) -> bool:
        """Do nothing: there is none."""
        return False

    def forward(self, child: Any, event: Event, /) -> None:
        """Do nothing: there is none."""

    def refused(self, _event: Event, error: Exception, /) -> None:
        """Log the refused event."""
        logger.warning("An event that nobody waits for was refused: %s", error)


ALONE = Alone()
