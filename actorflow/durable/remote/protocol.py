"""Protocol: the requests that take a durable actor's messages and its stored state to its child process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.durable.rows.records import TimerRow

FAILED: Final = "failed"  # in place of an ending


class LoadRequest:
    """Carries the stored state, which a guest takes over; without a value the guest is new. `timers` are its rows."""

    __slots__ = ("again", "timers", "value")

    def __init__(self, value: Any, timers: list[TimerRow], *, again: bool) -> None:
        self.value = value
        self.timers = timers
        self.again = again


class HandleRequest:
    """Asks a guest to handle one message as unit `number`; a guest whose state is out of date takes over `load` first.

    Attributes:
        message: the message; None to run `on_start`, or if it is in the guest's process, and there known as `own`.
        cause: the event because of which the message was sent, by correlation and id; None: there is none.
        entry: the row, and whether it has a caller; None for a timer's message, or one without a row.
    """

    __slots__ = ("cause", "entry", "load", "message", "number", "own", "sender", "timer")

    def __init__(
        self,
        number: int,
        message: Any,
        *,
        load: LoadRequest | None = None,
        own: int = 0,
        entry: tuple[int, bool] | None = None,
        sender: ActorRef[Any] | None = None,
        timer: TimerRow | None = None,
        cause: tuple[str, str] | None = None,
    ) -> None:
        self.number = number
        self.message = message
        self.load = load
        self.own = own
        self.entry = entry
        self.sender = sender
        self.timer = timer
        self.cause = cause

    def __repr__(self) -> str:
        return repr(self.message)
