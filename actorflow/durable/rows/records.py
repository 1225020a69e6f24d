"""Records: the messages, timers and effects of durable actors, as the ledger reads and writes them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeAlias

from actorflow.store.commit_batch import MemberRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.core.futures.future import Future
    from actorflow.durable.handling.mailbox import Mailbox
    from actorflow.store.transaction import Durability, Transaction


Ending: TypeAlias = Literal["done", "kept", "promised", "again", "dead"]


KILLS: Final = 3  # processes that a message may kill before it is dead


class Lost(MemberRefused):
    """Another node has taken the actor over; nothing of this commit is there."""


class Twice(MemberRefused):
    """The message was handled before; nothing of this commit is there."""


@dataclass(slots=True)
class Letter:
    """A message to be put into a mailbox.

    Attributes:
        asker: where the answer goes: the node where `future` waits for it, or an `AnswerAddress` as text.
        number: of its row, once it is put.
        after: the row of the receiver that is known to come right before it; None if that is not known.
        is_put: it has a row; not so if one of its id was there before.
        is_owned: a process has the receiver; where that is this one, nobody looks.
    """

    receiver: str
    body: bytes
    sender: bytes | None = None
    asker: str | None = None
    future: Future[Any] | None = None
    number: int = 0
    after: int | None = None
    is_put: bool = False
    is_owned: bool = True


@dataclass(slots=True)
class MailRow:
    """A row of a mailbox as it was fetched."""

    id: int
    sender: bytes | None
    asker: str | None
    attempt: int
    crashes: int
    body: bytes

    def note_begin(self, box: Mailbox) -> None:
        """Commit that the message is being handled.

        Raises:
            StoreError: it could not be noted.
        """
        box.write_soon("actors.start", {"id": self.id})


@dataclass(slots=True)
class TimerRow:
    """A timer: `due` in seconds since the epoch; `id` is 0 until it is committed."""

    id: int
    due: float
    period: float | None
    attempt: int
    body: bytes
    crashes: int = 0

    sender: ClassVar[None] = None

    def note_begin(self, box: Mailbox) -> None:
        """Commit that the timer's message is being handled.

        Raises:
            StoreError: it could not be noted.
        """
        box.write_soon("actors.start_timer", {"id": self.id})

    def next_due(self, now: float) -> float | None:
        """Return the time at which a periodic timer fires next, else None: firings that were missed are skipped."""
        if self.period is None:
            return None
        return self.due + self.period * max(1.0, math.floor((now - self.due) / self.period) + 1)

    def crashes_after(self, ending: Ending) -> int:
        """Return the count that a periodic one goes on with: on one that is dead, one process more may die."""
        return KILLS - 1 if ending == "dead" and self.crashes >= KILLS else 0


@dataclass(slots=True)
class Effects:
    """The effects to commit of one message, of an actor's start, or of one timer.

    Attributes:
        name: of the actor; `owner` and `epoch` fence the commit.
        state: the new one.
        next: the row that it handles next: this one, or the first behind it.
        entry: the row that was handled, and in `ending` its fate.
        timer: the timer that fired, and in `timer_due` when it does so again; None: never.
        answer: to the caller: value and error, one of them None.
        answers: of promised ones, by row.
        also: pieces of work of upper layers: the function that writes, and the one to call after the commit.
        durability: how long the commit has to last, if longer than the actor's.
        replies: the answers that the commit has put into mailboxes.
        log: how far a durable service has come in the event log, as it is stored; None: that stays.
    """

    name: str
    owner: str
    epoch: int
    state: bytes | None
    next: int = 0
    entry: MailRow | None = None
    ending: Ending = "done"
    timer: TimerRow | None = None
    timer_due: float | None = None
    answer: bytes | None = None
    error: bytes | None = None
    letters: list[Letter] = field(default_factory=list)
    answers: list[tuple[int, bytes | None, bytes | None]] = field(default_factory=list)
    replies: list[Letter] = field(default_factory=list)
    new_timers: list[TimerRow] = field(default_factory=list)
    moved_timers: list[tuple[int, float]] = field(default_factory=list)
    dropped_timers: list[int] = field(default_factory=list)
    also: tuple[tuple[Callable[[Transaction], object], Callable[[], object]], ...] = ()
    durability: Durability | None = None
    log: str | None = None

    @property
    def has_more_than_state(self) -> bool:
        """Say whether there is something to be written beside the state."""
        return bool(self.letters) or self.has_more_than_letters

    @property
    def has_more_than_letters(self) -> bool:
        """Say whether there is something to be written beside state and sends."""
        return bool(self.answers or self.new_timers or self.moved_timers or self.dropped_timers or self.also)

    @property
    def is_plain(self) -> bool:
        """Say whether a message was handled, and no more came of it than state and sends."""
        return (
            self.entry is not None
            and self.ending == "done"
            and self.entry.asker in (None, self.owner)
            and not (self.entry.crashes or self.has_more_than_letters)
        )
