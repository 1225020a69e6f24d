"""Messages: the runtime's own kinds: calls, life-cycle requests, and events to subscribe to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.actors.actor import Actor
    from actorflow.core.refs.ref import ActorRef


class Call:
    """A request to run a method of the actor: the message behind `call` and `cast`."""

    __slots__ = ("args", "kwargs", "name")

    def __init__(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.name = name
        self.args = args
        self.kwargs = kwargs

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.args, self.kwargs)

    def __repr__(self) -> str:
        given = [*map(text_of, self.args), *(f"{key}={text_of(value)}" for key, value in self.kwargs.items())]
        return f"{self.name}({', '.join(given)})"


class Sent(Call):
    """An event for a state machine, by name: the message behind `ref.send`."""

    __slots__ = ()


class Stop:
    """Ends the actor behind its queued messages. `final`: for good, whatever its restart kind (OTP's terminate_child).

    A stop that an actor sends itself (`self.stop()`) ends that incarnation only; the next one drops it.
    """

    __slots__ = ("actor", "final")

    def __init__(self, *, final: bool, actor: Actor | None = None) -> None:
        self.final = final
        self.actor = actor

    def __repr__(self) -> str:
        return "Stop()"


class Start:
    """Makes the incarnation, unless the spawner did, and runs `on_start`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Start()"


class Last:
    """Runs `on_stop`; the children are gone and no more messages come."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Last()"


def is_life_cycle(message: object) -> bool:
    """Say whether a message runs ahead of the mailbox: the next step is up to its sender, not to the mailbox."""
    return type(message) is Start or type(message) is Last


class Ended:
    """An outcome of a handler: the incarnation is over.

    `error` is None for a normal end, `item` if no message is lost with it.
    """

    __slots__ = ("error", "final", "item", "last_done")

    def __init__(self, error: BaseException | None, item: Any, *, final: bool = False, last_done: bool = False) -> None:
        self.error = error
        self.item = item
        self.final = final
        self.last_done = last_done


SUSPENDED: Final = Ended(None, None)  # an outcome too: the handler waits, its actor stays busy
CHANGED: Final = Ended(None, None)  # the handler is through, and changed its own mailbox


@dataclass(frozen=True, slots=True)
class Terminated:
    """The message that watchers (`ctx.watch`) of an actor get once it is dead. `reason` is None for a normal end."""

    ref: ActorRef[Any]
    reason: BaseException | None


@dataclass(frozen=True, slots=True)
class Started:
    """An actor that came to life. `time` is on the system's clock, in seconds."""

    ref: ActorRef[Any]
    time: float
    reason: None = None


@dataclass(frozen=True, slots=True)
class Crashed:
    """An incarnation that is over, since a handler raised; `reason` is the error."""

    ref: ActorRef[Any]
    time: float
    reason: BaseException | None


@dataclass(frozen=True, slots=True)
class Restarted:
    """A new incarnation under the old ref; `reason` is the error behind it, None after a normal end."""

    ref: ActorRef[Any]
    time: float
    reason: BaseException | None


@dataclass(frozen=True, slots=True)
class Stopped:
    """An actor that is dead for good; `reason` is None for a normal end."""

    ref: ActorRef[Any]
    time: float
    reason: BaseException | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that no handler finished: its receiver was dead, crashed on it, or had no room for it."""

    ref: ActorRef[Any]
    message: Any
    sender: ActorRef[Any] | None
    reason: BaseException | None


class Record(NamedTuple):
    """One transition that was taken, as `history` has it and listeners get it.

    Attributes:
        source: the state before; several regions are joined by "+".
        target: the state after.
        event: its name; None for an eventless transition.
        data: positional arguments of the event, and the keyword arguments as a dict behind them, if there were any.
        time: seconds since the epoch, on the system's clock.
    """

    source: str
    target: str
    event: str | None
    data: tuple[Any, ...]
    time: float
