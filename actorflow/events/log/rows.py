"""Rows: events as rows of the log, and the partition of a key."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actorflow.errors import DefinitionError
from actorflow.events.envelope import Envelope
from actorflow.events.event import decode_event

if TYPE_CHECKING:
    from actorflow.store.transaction import Row, Transaction

SPACE: Final = 0x6576  # "ev", of the server's advisory locks: one for each partition
PARTITIONS: Final = 8
LOCKS: Final = ("postgres",)  # dialects on which several processes write at a time


class LogRow(NamedTuple):
    """An event in the log."""

    seq: int
    part: int
    key: str | None
    type: str
    version: int
    body: bytes
    id: str
    source: str
    correlation: str
    causation: str | None
    at: float

    @property
    def lane(self) -> str:
        """The key, in whose order it is handled; without one it is alone."""
        return f"#{self.seq}" if self.key is None else f"={self.key}"

    def envelope(self, *, late: bool = False) -> Envelope:
        """Return the event as it was published.

        Raises:
            PayloadError: it cannot be read here: UnknownEvent, UpcastFailed, or the row is damaged.
        """
        event = decode_event(self.type, self.version, self.body)
        return Envelope(self.id, self.source, self.at, self.key, self.correlation, self.causation, event, late)


class NewEvent(NamedTuple):
    """An event that is to be put into the log; the fields are the columns of its row but the number."""

    part: int
    key: str | None
    type: str
    version: int
    body: bytes
    id: str
    source: str
    correlation: str
    causation: str | None
    at: float


def partition_of(key: str | None, id: str, partitions: int) -> int:
    """Return the partition of an event: that of its key; without one events are spread."""
    return zlib.crc32((id if key is None else key).encode()) % partitions


def put(transaction: Transaction, dialect: str, events: Iterable[NewEvent]) -> None:
    """Put events into the log, on a server behind a lock of each partition, as the commit's last statements.

    A reader of one partition goes on from the highest number that it has seen: no lower one may be committed later.
    """
    if dialect not in LOCKS:
        transaction.many("events.put", [event._asdict() for event in events])
        return
    parts: dict[int, list[dict[str, Any]]] = {}
    for event in events:
        parts.setdefault(event.part, []).append(event._asdict())
    for part in sorted(parts):
        transaction.last(("events", f"{part:06}"), putting(transaction, part, parts[part]))


def putting(transaction: Transaction, part: int, rows: list[dict[str, Any]]) -> Callable[[], object]:
    """Return the function that puts events of one partition into the log."""

    def act() -> None:
        transaction.one("session.turn", {"space": SPACE, "part": part})
        transaction.many("events.put", rows)

    return act


def fix_partitions(transaction: Transaction, partitions: int | None) -> int:
    """Return the number of partitions of a store, which its first user chooses.

    Args:
        transaction: to read and write in.
        partitions: the number that this process was given; None: any will do.

    Raises:
        DefinitionError: the store has another number.
    """
    row = transaction.one("events.partitions")
    if row is None:
        transaction.run("events.fix_partitions", {"partitions": partitions or PARTITIONS})
        row = transaction.one("events.partitions")
    assert row is not None
    fixed = int(row[0])
    if partitions is not None and partitions != fixed:
        msg = (
            f"Settings(partitions={partitions}): the log of this store has {fixed}, which its first user has chosen: "
            f"say partitions={fixed}, or nothing; keys would change their partitions, and lose their order"
        )
        raise DefinitionError(msg)
    return fixed


def rows_of(found: list[Row]) -> list[LogRow]:
    """Return rows as they were fetched."""
    return [LogRow._make(row) for row in found]
