"""Consumers: who shares the log: the members of each consumer, their partitions, and where they begin."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.log import logger
from actorflow.durable.rows.records import Lost
from actorflow.errors import DefinitionError
from actorflow.events.log.offsets import Offsets, ends_before, offsets_of
from actorflow.text import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.events.log.member import MemberMailbox
    from actorflow.store.transaction import Row, Transaction

MOST_TYPES: Final = 1000  # names of events that are remembered of one consumer


@dataclass(slots=True)
class Consumer:
    """A durable service that consumes the log, by one member or several.

    Attributes:
        name: of the consumer.
        path: of its actor, below the system.
        service: name of its class.
        members: how many durable actors it is.
        types: names, and patterns of names, of the events that it has handlers for, or had once.
        start: where it begins in the log: "beginning", "now", or a time.
        is_paused: its members handle no events.
    """

    name: str
    path: str
    service: str
    members: int
    types: Sequence[str]
    start: Any = "beginning"
    is_paused: bool = False

    @classmethod
    def of(cls, row: Row) -> Consumer:
        """Return one as it is stored."""
        name, path, service, members, types, paused = row
        return cls(name, path, service, members, json.loads(types), is_paused=bool(paused))

    @property
    def actors(self) -> list[str]:
        """The names of its members, which are durable actors."""
        return [self.path] if self.members == 1 else [f"{self.path}/{number}" for number in range(self.members)]

    def parts_of(self, actor: str, partitions: int) -> list[int]:
        """Return the partitions of a member."""
        return list(range(self.actors.index(actor), partitions, self.members))


def declare(transaction: Transaction, consumer: Consumer, has_others: bool) -> None:
    """Store a consumer that is declared here; `has_others`: other processes that live have it, too.

    Raises:
        DefinitionError: it is another one there: of another class while a process has it, or of other members.
    """
    row = transaction.one("events.consumer", {"name": consumer.name})
    values = {"name": consumer.name, "path": consumer.path, "service": consumer.service, "members": consumer.members}
    if row is None:
        transaction.run("events.add_consumer", {**values, "types": json.dumps(list(consumer.types))})
        return
    known = Consumer.of(row)
    if known.members != consumer.members:
        msg = (
            f"consumer {consumer.name!r} has {plural(known.members, 'instance')} in the store, and is declared with "
            f"instances={consumer.members}: each has a state of its own, which cannot be shared out anew. Say "
            f"instances={known.members}, or have it begin anew: system.event_log.forget({consumer.name!r})"
        )
        raise DefinitionError(msg)
    is_other = (known.service, known.path) != (consumer.service, consumer.path)
    if is_other and (has_others or known.path != consumer.path):
        msg = (
            f"consumer {consumer.name!r} is {known.service} at {known.path!r} in the store, not {consumer.service} at "
            f"{consumer.path!r}: give one of them another group="
        )
        raise DefinitionError(msg)
    if is_other:
        logger.warning("Consumer %r was %s, and is %s now", consumer.name, known.service, consumer.service)
    types = list(dict.fromkeys([*consumer.types, *known.types]))[:MOST_TYPES]
    if is_other or set(types) != set(known.types):
        transaction.run("events.change_consumer", {**values, "types": json.dumps(types)})
    consumer.types = types


def begin_offsets(box: MemberMailbox, is_unclean: bool) -> Offsets:
    """Return the offsets of a member that this node has taken; the first time of all, where it is to begin.

    Raises:
        Lost: another node has taken it meanwhile.
        PayloadError: they are damaged.
    """
    store = box.runtime.store
    row = store.read(lambda transaction: transaction.one("events.offsets", {"name": box.name}))
    if row is not None and row[0] is not None:
        offsets = Offsets.read(row[0])
        if not is_unclean:
            return offsets
        offsets.blame()
    else:
        at = store.read(lambda transaction: ends_before(transaction, store.dialect, box.parts, box.consumer.start))
        offsets = offsets_of(box.parts, at)
    values = {"name": box.name, "owner": box.node, "epoch": box.epoch, "log": offsets.text()}
    if not store.write(lambda transaction: transaction.run("events.begin", values), durability=box.durability):
        msg = f"{box.name} was taken over by another node, or reset"
        raise Lost(msg)
    return offsets
