"""Handle: how a durable actor's message, and what is stored, go to its child process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from actorflow.durable.rows import TimerRow

FAILED: Final = "failed"  # in place of an ending


class Load:
    """What is stored: a guest is to be that; without a value it is new. `timers` are its rows."""

    __slots__ = ("again", "timers", "value")

    def __init__(self, value: Any, timers: list[TimerRow], *, again: bool) -> None:
        self.value = value
        self.timers = timers
        self.again = again


class Handle:
    """A message to be handled, in the unit of a number; before it, `load`, if what the guest is has been dropped.

    Attributes:
        message: it; None to run `on_start`, or if it is in the guest's process, and there known as `own`.
        entry: the row, and whether somebody asks; None if it is of a timer or none.
    """

    __slots__ = ("entry", "load", "message", "number", "own", "sender", "timer")

    def __init__(
        self,
        number: int,
        message: Any,
        *,
        load: Load | None = None,
        own: int = 0,
        entry: tuple[int, bool] | None = None,
        sender: Any = None,
        timer: TimerRow | None = None,
    ) -> None:
        self.number = number
        self.message = message
        self.load = load
        self.own = own
        self.entry = entry
        self.sender = sender
        self.timer = timer

    def __repr__(self) -> str:
        return repr(self.message)
