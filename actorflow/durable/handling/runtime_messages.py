"""Runtime messages: items in the run queue that stand for rows and timers of a durable actor; and its pause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from actorflow.core.messages.handlers import handles
from actorflow.core.messages.messages import CHANGED, Ended
from actorflow.core.refs.failure import crashed
from actorflow.core.refs.timers import Sleep
from actorflow.core.running import lifecycle
from actorflow.durable.handling import machine_timers

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future
    from actorflow.core.refs.ref import ActorRef
    from actorflow.durable.handling.mailbox import Mailbox
    from actorflow.durable.rows.records import MailRow, TimerRow
    from actorflow.machine.running.pending import TimerKey


@dataclass(slots=True, repr=False, eq=False)
class RowsArrived:
    """Stands in the run queue for rows up to a number; a stop of the actor comes behind them.

    Attributes:
        upto: the number.
        entry: the row itself, if it has come along.
        after: the number of the row right before that one, if it is known.
    """

    upto: int
    entry: MailRow | None = None
    after: int | None = None

    def __repr__(self) -> str:
        return f"<Mail up to {self.upto}>"


class TimerFired:
    """Stands in the run queue for a timer that is due."""

    __slots__ = ("row",)

    upto = 0  # it brings no rows

    def __init__(self, row: TimerRow) -> None:
        self.row = row

    def __repr__(self) -> str:
        return f"<Timer {self.row.id}>"


class MessageInMemory:
    """A message that is in memory only, such as a Terminated, and its tries.

    Attributes:
        run: runs its handler.
        timer: if it is the timer of a machine, its key and the processes that have died on it.
    """

    __slots__ = ("attempt", "message", "run", "timer")

    upto = 0  # it brings no rows

    def __init__(
        self, run: Callable[[], Any], message: Any, attempt: int = 0, *, timer: tuple[TimerKey, int] | None = None
    ) -> None:
        self.run = run
        self.message = message
        self.attempt = attempt
        self.timer = timer

    @property
    def crashes(self) -> int:
        """How many processes have died on it."""
        return self.timer[1] if self.timer is not None else 0

    def note_begin(self, box: Mailbox) -> None:
        """Commit that the timer of a machine is being handled.

        Raises:
            Lost, StoreError: it could not be noted.
        """
        if self.timer is not None and box.stored is not None:
            box.save(machine_timers.begin(box.stored, self.timer[0]))

    def __repr__(self) -> str:
        return repr(self.message)


class Pause:
    """The wait of an actor between two tries; an exit ends it."""

    is_all = True
    deadline = None

    def __init__(self, box: Mailbox, due: float) -> None:
        self.box = box
        self.actor = box.ref._actor
        self.future: Future[Any] = Sleep(due)

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


class GuestMessage:
    """Stands in the run queue for a message of a guest's own process; it comes to pass in its incarnation only.

    `timer`: if it is one of a machine, its key and the processes that have died on it.
    """

    __slots__ = ("epoch", "number", "text", "timer")

    def __init__(self, epoch: int, number: int, text: str, timer: tuple[TimerKey, int] | None) -> None:
        self.epoch = epoch
        self.number = number
        self.text = text
        self.timer = timer

    def __repr__(self) -> str:
        return self.text


class CountDeath:
    """Tells a mailbox that a process died while it handled one message or timer, so that the row's crashes go up.

    It comes before the news of the death. Exactly one of the three attributes is set.

    Attributes:
        entry: the message.
        timer: the timer that had fired.
        key: the key of a machine's timer.
    """

    __slots__ = ("entry", "key", "timer")

    def __init__(self, entry: MailRow | None, timer: TimerRow | None, key: TimerKey | None) -> None:
        self.entry = entry
        self.timer = timer
        self.key = key


class CrashNow:
    """Ends an incarnation by a crash that comes of no message; the rest is its supervisor's decision."""

    __slots__ = ("actor", "error")

    def __init__(self, error: BaseException, actor: Any) -> None:
        self.error = error
        self.actor = actor


@handles(CrashNow, silent=True)
def run_fail(ref: ActorRef[Any], fail: CrashNow) -> Ended | None:
    """Run `on_failure`, and end."""
    return crashed(ref, None, fail.error) if ref._actor is fail.actor else None
