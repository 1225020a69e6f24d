"""Signs: what stands in the run queue for rows and timers of a durable actor; and its pause. Layer 3."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actorflow.core import lifecycle
from actorflow.core.future import Future
from actorflow.core.messages import CHANGED

if TYPE_CHECKING:
    from actorflow.durable.ledger import Entry, TimerRow
    from actorflow.durable.mailbox import Mailbox


class Mail:
    """Stands in the run queue for rows up to a number; whoever stops the actor comes behind them.

    It may have the row itself, and know the number of the one right before it.
    """

    __slots__ = ("after", "entry", "upto")

    def __init__(self, upto: int, entry: Entry | None = None, after: int | None = None) -> None:
        self.upto = upto
        self.entry = entry
        self.after = after

    def __repr__(self) -> str:
        return f"<Mail up to {self.upto}>"


class Due:
    """Stands in the run queue for a timer that is due."""

    __slots__ = ("row",)

    def __init__(self, row: TimerRow) -> None:
        self.row = row

    def __repr__(self) -> str:
        return f"<Timer {self.row.id}>"


class Again:
    """A message that was in memory only, such as a Terminated, and is to be tried again."""

    __slots__ = ("attempt", "run")

    def __init__(self, run: Callable[[], Any], attempt: int) -> None:
        self.run = run
        self.attempt = attempt


class Pause:
    """What an actor waits for between two tries; an exit ends it."""

    def __init__(self, box: Mailbox) -> None:
        self.box = box
        self.actor = box.ref._actor
        self.future: Future[None] = Future()

    def interrupt(self) -> None:
        """Let the exit begin."""
        self.box.ref._scheduler.post_work(self.end)

    def end(self) -> None:
        """Let the actor go on."""
        if self.future._settle(None, None):
            ref = self.box.ref
            if ref._waiting is self:
                ref._waiting = None
            if ref._actor is self.actor:
                lifecycle.finished(ref, CHANGED)


class Own:
    """Stands in the run queue for a message of a guest's own process; it comes to pass in its incarnation only."""

    __slots__ = ("epoch", "is_timer", "number", "text")

    def __init__(self, epoch: int, number: int, text: str, *, is_timer: bool) -> None:
        self.epoch = epoch
        self.number = number
        self.text = text
        self.is_timer = is_timer

    def __repr__(self) -> str:
        return self.text


class Blame:
    """Counts the death of a process against what was handled there, and comes before the news of that.

    Attributes:
        id: of the message, or of the timer that had fired.
        is_timer: which of these.
    """

    __slots__ = ("id", "is_timer")

    def __init__(self, id: int, *, is_timer: bool) -> None:
        self.id = id
        self.is_timer = is_timer
