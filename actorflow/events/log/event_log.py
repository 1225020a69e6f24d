"""EventLog: the event log of a store for its users: events, their conversations, dead ones, and the consumers."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from actorflow.errors import DefinitionError
from actorflow.events.event import decode_event
from actorflow.events.log.consumers import Consumer
from actorflow.events.log.entries import DEAD, PARKED
from actorflow.events.log.offsets import Offsets
from actorflow.events.log.resetting import forget, replay, tell
from actorflow.events.log.rows import LOCKS, LogRow
from actorflow.store.error_json import read_error
from actorflow.store.transaction import NEWEST
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.durable.node.runtime import DurableRuntime
    from actorflow.store.store import Store
    from actorflow.store.transaction import Row, Transaction

BATCH: Final = 500  # dead events that one transaction moves or removes
MOST: Final = 10_000  # events of one conversation


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event in the log.

    Attributes:
        number: in the log; larger ones of the same key came later.
        type: name of its type.
        version: of its fields.
        key: events of one key are handled in order; None: no order.
        data: its fields, as JSON.
        id: of the publication.
        source: path of the actor that published it.
        correlation: id of the event that the conversation began with.
        causation: id of the event in whose handler it was published; None: in none.
        time: when it was published, in seconds since the epoch.
    """

    number: int
    type: str
    version: int
    key: str | None
    data: str
    id: str
    source: str
    correlation: str
    causation: str | None
    time: float

    @classmethod
    def of(cls, row: Row) -> Self:
        """Return one of a row of the log."""
        seq, _, key, type_, version, body, id_, source, correlation, causation, at = LogRow._make(row)
        data = bytes(body).decode(errors="replace")
        return cls(seq, type_, version, key, data, id_, source, correlation, causation, at)

    @property
    def event(self) -> Any:
        """The event itself.

        Raises:
            PayloadError: its class is not known here, or cannot be made of the stored fields.
        """
        return decode_event(self.type, self.version, self.data.encode())


@dataclass(frozen=True, slots=True)
class AsideEvent:
    """An event that a consumer could not handle: it waits for another try, or is dead.

    Attributes:
        id: by which it is retried or dropped.
        consumer: name of the durable actor that failed on it.
        event: the event.
        cause: the last error; empty if it waits behind another one of its key.
        attempt: tries that failed.
        due: when it is tried again, in seconds since the epoch; None: it is dead, or waits behind another one.
    """

    id: str
    consumer: str
    event: StoredEvent
    cause: str
    attempt: int
    due: float | None

    @classmethod
    def of(cls, row: Row) -> Self:
        """Return one of a row beside the log."""
        number, consumer, attempt, error, due, *columns = row
        cause = read_error(error)[0] if error is not None else ""
        return cls(str(number), consumer, StoredEvent.of(tuple(columns)), cause, attempt, due)


@dataclass(frozen=True, slots=True)
class ConsumerStatus:
    """A consumer of the log, and how far it is.

    Attributes:
        name: of the consumer.
        service: name of its class.
        actors: names of the durable actors that it is.
        types: names of the types of events, and patterns of names, that it has handlers for, or had once.
        behind: how many events of its partitions it has not looked at.
        parked: how many events wait for another try, or behind one that does.
        dead: how many events were given up.
        replaying: it handles events that it has handled before, and what its handlers send is dropped.
        paused: it was paused.
        nodes: ids of the nodes that have its actors; None for one that no node has.
    """

    name: str
    service: str
    actors: Sequence[str]
    types: Sequence[str]
    behind: int
    parked: int
    dead: int
    replaying: bool
    paused: bool
    nodes: Sequence[str | None]


class EventLog:
    """The event log of a store: `system.event_log`.

    >>> import actorflow as af
    >>> with af.ActorSystem("shop") as system:
    ...     system.event_log.list()
    []
    """

    def __init__(self, store: Store, runtime: Callable[[], DurableRuntime] | None = None) -> None:
        self._store = store
        self._runtime = runtime

    # --- events ------------------------------------------------------------------------------------------------------

    def list(
        self, type: str | None = None, *, key: str | None = None, limit: int = 100, before: int | None = None
    ) -> Sequence[StoredEvent]:
        """Return events of the log, the newest first.

        Args:
            type: only those of a type of this name.
            key: only those of this key.
            limit: so many.
            before: a number; only older ones, such as those behind the last one of the page before.
        """
        values = {"type": type, "key": key, "limit": limit, "before": NEWEST if before is None else before}
        return [StoredEvent.of(row) for row in self._store.read(lambda tx: tx.all("events.list", values))]

    def after(self, number: int, *, correlation: str | None = None, limit: int = 100) -> Sequence[StoredEvent]:
        """Return the events behind a number, the oldest first: to follow the log.

        Args:
            number: of the last one that is known; 0: from the beginning.
            correlation: only those of this conversation.
            limit: so many.
        """
        values = {"after": number, "correlation": correlation, "limit": limit}
        return [StoredEvent.of(row) for row in self._store.read(lambda tx: tx.all("events.list_after", values))]

    def get(self, number: int) -> StoredEvent | None:
        """Return the event of a number; None if there is none, or none any more."""
        row = self._store.read(lambda tx: tx.one("events.get", {"seq": number}))
        return None if row is None else StoredEvent.of(row)

    def trace(self, correlation: str) -> Sequence[StoredEvent]:
        """Return a conversation: the event that it began with, and all that came of it, the oldest first.

        Args:
            correlation: the id of the first event, as each event of the conversation has it.
        """
        values = {"correlation": correlation, "limit": MOST}
        return [StoredEvent.of(row) for row in self._store.read(lambda tx: tx.all("events.trace", values))]

    # --- events that could not be handled ----------------------------------------------------------------------------

    def dead(self, consumer: str | None = None, *, limit: int = 100, before: str | None = None) -> Sequence[AsideEvent]:
        """Return events that were given up, the newest first: of one consumer or of all. They stay for 30 days.

        Args:
            consumer: whose.
            limit: so many.
            before: an id; only older ones.
        """
        return self._aside(DEAD, consumer, limit, before)

    def parked(
        self, consumer: str | None = None, *, limit: int = 100, before: str | None = None
    ) -> Sequence[AsideEvent]:
        """Return events that wait for another try, or behind one of their key that does, the newest first."""
        return self._aside(PARKED, consumer, limit, before)

    def _aside(self, stage: int, consumer: str | None, limit: int, before: str | None) -> Sequence[AsideEvent]:
        number = NEWEST if before is None else number_of(before)
        values = {"stage": stage, "actors": self._actors(consumer), "limit": limit, "before": number}
        return [AsideEvent.of(row) for row in self._store.read(lambda tx: tx.all("events.aside", values))]

    def _actors(self, consumer: str | None) -> str | None:
        return None if consumer is None else json.dumps(self._consumer(consumer).actors)

    def _count(self, stage: int, actors: str | None) -> int:
        row = self._store.read(lambda tx: tx.one("events.aside_count", {"stage": stage, "actors": actors}))
        return 0 if row is None else int(row[0])

    def dead_count(self, consumer: str | None = None) -> int:
        """Return how many events were given up: by one consumer or by all."""
        return self._count(DEAD, self._actors(consumer))

    def retry(self, *ids: str) -> int:
        """Have dead events handled again, with all their tries; return how many.

        They come out of order: later events of their keys have been handled. `service.envelope.late` says so.
        """
        return self._retry([number_of(id_) for id_ in ids])

    def retry_all(self, consumer: str | None = None) -> int:
        """Have all dead events of one consumer, or of all, handled again, the oldest first; return how many."""
        return sum(self._retry(numbers) for numbers in self._dead_numbers(consumer))

    def drop(self, *ids: str) -> int:
        """Remove dead events for good; return how many."""
        return self._drop([number_of(id_) for id_ in ids])

    def drop_all(self, consumer: str | None = None) -> int:
        """Remove all dead events of one consumer, or of all, for good; return how many."""
        return sum(self._drop(numbers) for numbers in self._dead_numbers(consumer))

    def _dead_numbers(self, consumer: str | None) -> Iterator[Sequence[int]]:
        """Yield the numbers of dead events, some at a time; those that die meanwhile are left out."""
        actors, after = self._actors(consumer), 0
        newest = self._aside(DEAD, consumer, 1, None)
        upto = int(newest[0].id) if newest else 0
        while True:
            values = {"actors": actors, "after": after, "upto": upto, "limit": BATCH}
            rows = self._store.read(lambda tx, values=values: tx.all("events.dead_numbers", values))  # type: ignore[misc]
            if not rows:
                return
            after = rows[-1][0]
            yield [row[0] for row in rows]

    def _retry(self, numbers: Sequence[int]) -> int:
        values = {"numbers": json.dumps([*numbers]), "now": self._store.now()}

        def work(transaction: Transaction) -> tuple[int, Sequence[str]]:
            rows = transaction.all("events.revive", values)
            return len(rows), sorted({row[0] for row in rows})

        return tell(self._store, self._runtime, work)

    def _drop(self, numbers: Sequence[int]) -> int:
        values = {"numbers": json.dumps([*numbers])}
        return self._store.write(lambda transaction: transaction.run("events.drop_dead", values))

    # --- consumers ---------------------------------------------------------------------------------------------------

    def consumers(self) -> Sequence[ConsumerStatus]:
        """Return the consumers of the log, and how far each is."""
        rows = self._store.read(lambda transaction: transaction.all("events.consumers"))
        return [self._status(Consumer.of(row)) for row in rows]

    def lag(self, consumer: str) -> int:
        """Return how many events a consumer has not looked at; what it has set aside is `parked` and `dead`.

        Raises:
            DefinitionError: there is no consumer of that name.
        """
        return self._status(self._consumer(consumer)).behind

    def _status(self, consumer: Consumer) -> ConsumerStatus:
        actors = json.dumps(consumer.actors)
        nodes: list[str | None] = []
        behind, replaying = 0, False

        def read(transaction: Transaction) -> None:
            nonlocal behind, replaying
            row = transaction.one("events.partitions")
            partitions = int(row[0]) if row is not None else 0
            members = {
                name: (owner, log) for name, owner, _, _, log in transaction.all("events.members", {"names": actors})
            }
            for actor in consumer.actors:
                owner, log = members.get(actor, (None, None))
                nodes.append(owner)
                offsets = Offsets.read(log) if log is not None else Offsets({})
                replaying = replaying or bool(offsets.quiet)
                behind += self._behind(transaction, consumer.parts_of(actor, partitions), offsets)

        self._store.read(read)
        parked, dead = self._count(PARKED, actors), self._count(DEAD, actors)
        return ConsumerStatus(
            consumer.name,
            consumer.service,
            tuple(consumer.actors),
            tuple(consumer.types),
            behind,
            parked,
            dead,
            replaying,
            consumer.is_paused,
            tuple(nodes),
        )

    def _behind(self, transaction: Transaction, parts: Sequence[int], offsets: Offsets) -> int:
        if self._store.dialect not in LOCKS:  # the numbers of all partitions are in one order
            row = transaction.one("events.behind_all", {"after": offsets.least, "parts": json.dumps([*parts])})
            return 0 if row is None else int(row[0])
        count = 0
        for part in parts:
            row = transaction.one("events.behind", {"part": part, "after": offsets.at.get(str(part), 0)})
            count += 0 if row is None else int(row[0])
        return count

    def pause(self, consumer: str) -> None:
        """Have a consumer handle no more events, in all processes, until `resume`; it handles messages as before."""
        self._pause(consumer, 1)

    def resume(self, consumer: str) -> None:
        """Have a consumer go on that was paused."""
        self._pause(consumer, 0)

    def _pause(self, name: str, paused: int) -> None:
        consumer = self._consumer(name)

        def work(transaction: Transaction) -> tuple[int, Sequence[str]]:
            return transaction.run("events.pause", {"name": name, "paused": paused}), consumer.actors

        tell(self._store, self._runtime, work)

    def replay(self, consumer: str, start: Any = "beginning") -> None:
        """Have a consumer forget its state, and handle the events of the log again, as its code is now.

        The events and messages of its handlers, and the jobs and runs that they start, are dropped up to the event that
        it has come to before: all that was done once. Only for events that it could not handle they are not. Dead
        events are tried again.

        Args:
            consumer: its name.
            start: "beginning", "now", a time, or the number of the first event.

        Raises:
            DefinitionError: there is no such consumer, or the start makes no sense.
        """
        is_time = isinstance(start, dt.datetime) and start.tzinfo is not None
        is_number = isinstance(start, int) and not isinstance(start, bool) and start >= 0
        if not is_time and not is_number and start not in ("beginning", "now"):
            given = f"replay({text_of(consumer)}, {text_of(start)})"
            msg = f"{given}: give 'beginning', 'now', a time with a zone, or the number of an event"
            raise DefinitionError(msg)
        replay(self._store, self._runtime, self._consumer(consumer), start)

    def forget(self, consumer: str) -> None:
        """Remove a consumer, its state, and the events that it could not handle; it may be declared anew then.

        Raises:
            DefinitionError: there is no such consumer, or a process has it: stop it there first.
        """
        forget(self._store, self._consumer(consumer))

    def _consumer(self, name: str) -> Consumer:
        row = self._store.read(lambda transaction: transaction.one("events.consumer", {"name": name}))
        if row is None:
            rows = self._store.read(lambda transaction: transaction.all("events.consumers"))
            known = ", ".join(repr(one[0]) for one in rows) or "none so far"
            msg = f"no consumer is named {text_of(name)}; there are: {known}"
            raise DefinitionError(msg)
        return Consumer.of(row)


def number_of(id: str) -> int:
    """Return the number of the row that an id stands for.

    Raises:
        DefinitionError: it is no id of an event that was set aside.
    """
    if not (isinstance(id, str) and id.isascii() and id.isdigit() and len(id) < len(str(NEWEST))):
        msg = f"{text_of(id)} is no id of such an event: ids are those that `dead` and `parked` show"
        raise DefinitionError(msg)
    return int(id)
