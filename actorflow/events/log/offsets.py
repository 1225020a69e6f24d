"""Offsets: how far a member of a consumer is in each of its partitions; it is stored beside the member's state."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Self

import msgspec

from actorflow.errors import PayloadError
from actorflow.events.log.rows import LOCKS

if TYPE_CHECKING:
    from actorflow.store.transaction import Transaction


class Offsets(msgspec.Struct):
    """How far one member is.

    Attributes:
        at: for each partition, the number up to which its events are handled, or set aside.
        quiet: for each partition in a replay, the number up to which what the handlers send and publish is dropped.
        suspect: number of the event on which processes may have died; 0: it is not known.
        crashes: so many have.
        is_begun: the suspect is being handled; noted only after a death.
    """

    at: dict[str, int]
    quiet: dict[str, int] = {}
    suspect: int = 0
    crashes: int = 0
    is_begun: bool = False

    @classmethod
    def read(cls, stored: str) -> Self:
        """Return offsets as they were stored.

        Raises:
            PayloadError: the row is damaged.
        """
        try:
            return msgspec.json.decode(stored, type=cls)
        except (msgspec.MsgspecError, ValueError) as error:
            msg = f"the offsets of a service are damaged: {error}"
            raise PayloadError(msg) from error

    def text(self) -> str:
        """Return the offsets as they are stored."""
        return msgspec.json.encode(self).decode()

    def copy(self) -> Self:
        """Return offsets that can be moved while these stay."""
        return type(self)(dict(self.at), self.quiet, self.suspect, self.crashes, self.is_begun)

    def blame(self) -> None:
        """Count the death of a process: on the event that it has begun, or on one that is not known."""
        if self.is_begun:
            self.crashes += 1
        elif self.crashes == 0:
            self.crashes, self.suspect = 1, 0
        self.is_begun = False

    def acquit(self) -> None:
        """Note that the event was handled, or is dead."""
        self.suspect = self.crashes = 0
        self.is_begun = False

    def move(self, part: int, seq: int) -> None:
        """Note that an event is dealt with; a quiet line that is reached is forgotten."""
        place = str(part)
        self.at[place] = seq
        if self.quiet and place in self.quiet and self.quiet[place] <= seq:
            self.quiet = {other: line for other, line in self.quiet.items() if other != place}

    def move_all(self, seq: int) -> None:
        """Note that all events up to a number are dealt with, or are of other partitions."""
        self.at = {place: max(at, seq) for place, at in self.at.items()}
        if self.quiet:
            self.quiet = {place: line for place, line in self.quiet.items() if line > seq}

    @property
    def least(self) -> int:
        """The number up to which everything is dealt with."""
        return min(self.at.values(), default=0)

    def is_quiet(self, part: int, seq: int) -> bool:
        """Say whether an event was handled before a replay began."""
        return bool(self.quiet) and seq <= self.quiet.get(str(part), 0)


def offsets_of(parts: list[int], at: dict[int, int], quiet: dict[Any, int] | None = None) -> Offsets:
    """Return offsets of some partitions; those without an event begin at 0."""
    return Offsets({str(part): at.get(part, 0) for part in parts}, {} if quiet is None else quiet)


def ends_before(transaction: Transaction, dialect: str, parts: list[int], start: Any) -> dict[int, int]:
    """Return for each partition the number of the last event before a place in the log."""
    if start == "beginning":
        return {}
    if isinstance(start, int):
        return dict.fromkeys(parts, max(0, start - 1))
    if isinstance(start, dt.datetime):
        ends: dict[int, int] = dict(transaction.all("events.ends_before", {"at": start.timestamp()}))
    elif dialect in LOCKS:
        ends = dict(transaction.all("events.ends"))
    else:
        newest = transaction.one("events.newest")
        ends = {0: (newest[0] if newest is not None else None) or 0}
    return ends if dialect in LOCKS else dict.fromkeys(parts, max(ends.values(), default=0))
