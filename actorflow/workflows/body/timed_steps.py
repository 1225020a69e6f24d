"""Timed steps: timers, and waits for signals, whose time may be over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actorflow.workflows.body.steps import BodyStep
from actorflow.workflows.rows.records import RESULT

if TYPE_CHECKING:
    from actorflow.workflows.body.body import Body
    from actorflow.workflows.rows.records import Identity, RunRecord

LONGEST_NAP: Final = 60.0  # seconds; a longer timer looks at the clock on the way: somebody may set it


class TimedStep(BodyStep):
    """A step that ends by itself once its time is over, if it has one.

    The time is over by the clock, or after as many seconds as it takes in all: a clock that was ahead when the step was
    recorded, or that is set back meanwhile, makes no wait longer.

    Attributes:
        due: by the clock, when its time is over; None: never.
        seconds: from the last record that the body has heard of, so it is the same in a replay.
    """

    __slots__ = ("_ends_at", "due", "seconds")

    def __init__(self, body: Body, identity: Identity, start: int, hash: bytes | None, seconds: float | None) -> None:
        super().__init__(body, identity, start, hash)
        self.set_time(seconds)

    def set_time(self, seconds: float | None) -> None:
        """Set the seconds of the body's clock until its time is over; None: it never is."""
        self.seconds = seconds
        self.due = None if seconds is None else self.body.now + seconds
        self._ends_at: float | None = None  # by the clock that nobody sets

    @property
    def left(self) -> float | None:
        """The seconds until its time is over; None: it has none."""
        due, seconds, node = self.due, self.seconds, self.body.node
        if due is None or seconds is None:
            return None
        left, monotonic = due - node.now(), float(node.scheduler.clock.monotonic())
        if self._ends_at is None:
            is_ahead = left > seconds  # the record was made by a clock that was ahead
            self._ends_at = monotonic + min(left - is_ahead * node.set_back, seconds)
        return min(left, self._ends_at - monotonic)


class TimerStep(TimedStep):
    """A timer."""

    __slots__ = ()

    def __init__(self, body: Body, identity: Identity, start: int, seconds: float) -> None:
        super().__init__(body, identity, start, None, seconds)

    def launch(self) -> None:
        """Wait for the time."""
        if self.due is not None:
            self.body.node.tell_wait(self)
            self.wait()

    def wait(self) -> None:
        """Fire if the time has come, else look again later."""
        left = self.left
        if left is None:
            return
        if left > 0:
            self.body.node.scheduler.call_later(min(left, LONGEST_NAP), self.look)
        else:
            self.fire()

    def drop(self) -> bool:
        """Leave no record, if there is none yet: nobody waits any more."""
        self.due = None
        return False

    def look(self) -> None:
        """Fire if the time has come; the clock may have been set meanwhile."""
        if not self.body.is_over:
            self.wait()

    def fire(self) -> None:
        """Note the end of the time."""
        if self.identity in self.body.open:
            self.body.arrive(self.record(RESULT, None, None))


class SignalStep(TimedStep):
    """A wait for a signal of a class, in the order of their commits; with a timeout, the wait may end without one."""

    __slots__ = ("is_dropped", "kind")

    def __init__(self, body: Body, identity: Identity, start: int, kind: type[Any], timeout: float | None) -> None:
        super().__init__(body, identity, start, None, timeout)
        self.kind = kind
        self.is_dropped = False

    def launch(self) -> None:
        """Take a signal that is there, or wait for one."""
        if not self.is_over() and not self.body.mail.take(self):
            self.body.node.tell_wait(self)
            self.look()

    def drop(self) -> bool:
        """Take no signal, and leave no record, if there is none yet: nobody waits any more."""
        self.is_dropped = True
        self.due = None
        self.body.mail.drop(self)
        return False

    def hear(self, record: RunRecord) -> None:
        """Set the future; if nobody waits any more, the signal is for the next wait."""
        self.body.mail.heard(record, is_dropped=self.is_dropped)
        super().hear(record)

    def look(self) -> None:
        """End the wait if its time is over."""
        left = self.left
        if left is None or self.is_over():
            return
        if left > 0:
            self.body.node.scheduler.call_later(min(left, LONGEST_NAP), self.look)
        else:
            self.body.mail.give_up(self)

    def is_over(self) -> bool:
        """Say whether the end of the wait is recorded, or the code is over."""
        return self.is_dropped or self.body.is_over or self.identity not in self.body.open
