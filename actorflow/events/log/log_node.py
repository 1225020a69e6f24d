"""LogNode: the event log of a store, as one process has it: its publications, and the services here that consume it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT
from actorflow.core.outage import Outage
from actorflow.errors import ActorDeadError, ActorflowError, DefinitionError, OutcomeUnknown, StoreError
from actorflow.events.bus import EventBus
from actorflow.events.event import EventType, encode_event
from actorflow.events.log.chain import EventChain
from actorflow.events.log.consumers import Consumer, declare
from actorflow.events.log.rows import LOCKS, NewEvent, fix_partitions, partition_of, put
from actorflow.events.log.shares import Shares
from actorflow.events.log.upkeep import LogUpkeep
from actorflow.store.codec import check_size
from actorflow.tasks.current import find_current

if TYPE_CHECKING:
    from actorflow.durable.node.runtime import DurableRuntime
    from actorflow.events.envelope import Envelope
    from actorflow.events.log.member import MemberMailbox
    from actorflow.store.transaction import Transaction

LOOK_SECONDS: Final = 1.0  # until it is looked whether a commit of unknown outcome is there


class LogNode:
    """The event log of one system.

    Attributes:
        runtime: the durable actors of the system, of which the members of consumers are some.
        partitions: of the log.
        has_locks: several processes write at a time, so that numbers are in order within a partition only.
        members: the mailboxes of the members that this process has, by the names of the actors.
    """

    def __init__(self, runtime: DurableRuntime, partitions: int | None, keep_events: float) -> None:
        self.runtime = runtime
        self.store = runtime.store
        self.partitions = self.store.write(lambda transaction: fix_partitions(transaction, partitions))
        self.has_locks = self.store.dialect in LOCKS
        self.members: dict[str, MemberMailbox] = {}
        self.consumers: dict[str, Consumer] = {}  # that were declared here, by the paths of their actors
        self._seen = -1
        self._lock = threading.Lock()
        self._unread = Outage(runtime.scheduler.clock)
        self.upkeep = LogUpkeep(self, keep_events)
        self.shares = Shares(self)
        self.store.watch(self.look)
        self.do("delayed events", self.upkeep.publish_due)

    find_type = staticmethod(EventType.by_name)

    # --- members -----------------------------------------------------------------------------------------------------

    def declare(self, consumer: Consumer) -> None:
        """Store a consumer of this process.

        Raises:
            DefinitionError: its name is that of another.
        """
        other = next((one for one in self.consumers.values() if one.name == consumer.name), None)
        if other is not None and other.path != consumer.path and self._lives(other):
            msg = (
                f"consumer {consumer.name!r} is there already, at {other.path!r}: give the other one another name, or "
                "group="
            )
            raise DefinitionError(msg)
        node = self.runtime.node

        def work(transaction: Transaction) -> None:
            others = [row[0] for row in transaction.all("events.nodes", {"consumer": consumer.name})]
            is_living = self.store.members.is_living
            living = [one for one in others if is_living(transaction.one("nodes.get", {"id": one})) and one != node]
            declare(transaction, consumer, has_others=bool(living))
            transaction.run("events.drop_orphans", {"consumer": consumer.name})
            transaction.run("events.join", {"consumer": consumer.name, "node": node})

        self.store.write(work)
        self.consumers[consumer.path] = consumer

    def _lives(self, consumer: Consumer) -> bool:
        return any(actor in self.members for actor in consumer.actors)

    def consumer_of(self, actor: str) -> Consumer:
        """Return the consumer that an actor is a member of."""
        return self.consumers.get(actor) or self.consumers[actor.rpartition("/")[0]]

    def join(self, member: MemberMailbox) -> None:
        """Note a member that this process has."""
        self.members[member.name] = member

    def leave(self, member: MemberMailbox) -> None:
        """Forget a member that has ended."""
        if self.members.get(member.name) is not member:
            return
        del self.members[member.name]
        consumer = member.consumer
        if not self._lives(consumer) and not self.runtime.is_closed:
            self.do(f"the end of {consumer.name} here", partial(self._part, consumer))

    def _part(self, consumer: Consumer) -> None:
        """Leave a consumer to other nodes, unless it was spawned again."""
        if not self._lives(consumer):
            values = {"consumer": consumer.name, "node": self.runtime.node}
            self.store.write(lambda transaction: transaction.run("events.part", values), durability="process")

    def do(self, name: str, act: Callable[[], object]) -> None:
        """Have a piece of work with the store done soon, beside the handlers."""
        self.runtime.housekeeping.do(name, act)

    # --- publications ------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Have the bus of the system put its events into the log."""
        bus = self.runtime.scheduler.bus
        if isinstance(bus, EventBus):
            bus.keep = self.keep

    def row_of(self, envelope: Envelope) -> NewEvent:
        """Return an event as a row.

        Raises:
            PayloadError: a field of it cannot be stored.
        """
        name, version, body = encode_event(envelope.event)
        check_size(body, f"an event {name}", self.runtime.scheduler.payload_limit)
        return NewEvent(
            partition_of(envelope.key, envelope.id, self.partitions),
            envelope.key,
            name,
            version,
            body,
            envelope.id,
            envelope.source,
            envelope.correlation,
            envelope.causation,
            envelope.time,
        )

    def keep(self, envelope: Envelope, delay: float) -> bool:
        """Put an event into the log: it is there when this returns, or part of the commit of the handler or step here.

        After that the services and subscribers of this process get it that are not durable.

        Raises:
            PayloadError: a field of it cannot be stored.
            StoreError: the database failed, and it is not there.
            JobCancelled: the step here was given up.
        """
        event, bus = self.row_of(envelope), cast("EventBus", self.runtime.scheduler.bus)
        execution = CURRENT.get()
        if isinstance(execution, EventChain) and not delay:
            execution.publish(event)
            bus.deliver_soon(envelope)
            return True
        due = self.runtime.now() + delay if delay else None
        write = partial(self._write, event, due)
        if execution is not None and execution.holds and execution.commits_to(self.store):
            execution.also(write, nothing)
        elif self.store.is_held_here:  # in the transaction of a task
            self.store.write(partial(self._write_in_task, write, envelope, due))
            return True
        elif (task := find_current()) is not None and task._also is not None:  # of a step, whose end is a commit
            task._also(partial(self._write_in_task, write, envelope, due))
            return True
        else:
            self._commit(write)
        if due is None:
            bus.deliver_soon(envelope)
        return True

    def _write_in_task(
        self, write: Callable[[Transaction], object], envelope: Envelope, due: float | None, transaction: Transaction
    ) -> None:
        write(transaction)
        if due is None:
            bus = cast("EventBus", self.runtime.scheduler.bus)
            transaction.after_commit(partial(bus.deliver_later, envelope))

    def _commit(self, write: Callable[[Transaction], object]) -> None:
        try:
            self.store.write(write)
        except OutcomeUnknown:
            self.look_later()
            raise

    def _write(self, event: NewEvent, due: float | None, transaction: Transaction) -> None:
        if due is not None:
            self.upkeep.add(transaction, event, due)
            return
        put(transaction, self.store.dialect, [event])
        transaction.after_commit(self.announce)

    # --- news --------------------------------------------------------------------------------------------------------

    def announce(self) -> None:
        """Have the members of this process look for events that were committed."""
        for member in list(self.members.values()):
            member.look()

    def look(self) -> None:
        """Look whether another process has published something; called from a thread of the store."""
        with self._lock:
            try:
                row = self.store.read(lambda transaction: transaction.one("events.newest"))
            except ActorDeadError:  # it was closed meanwhile
                return
            except ActorflowError as error:
                text = "The event log could not be read, tried again at the next change of the store: %s"
                self._unread.note(logger.warning, text, error)
                return
            if self._unread.lasts:
                self._unread.over(logger.warning, "The event log can be read again")
            newest = (row[0] if row is not None else None) or 0
            self.do("delayed events", self.upkeep.look)
            self.shares.look()
            is_news = newest != self._seen or self.has_locks  # a lower number of another partition may come later
            self._seen = newest
        if is_news:
            self.announce()

    def look_later(self) -> None:
        """Have the members look in a second: nobody is told of a commit whose outcome is unknown."""
        self.runtime.scheduler.call_later(LOOK_SECONDS, self.announce)

    def close(self) -> None:
        """Leave the members to other nodes, as the system ends."""
        with contextlib.suppress(StoreError, ActorDeadError):
            self.store.write(
                lambda transaction: transaction.run("events.leave", {"node": self.runtime.node}),
                durability="process",
            )


def nothing() -> None:
    """Do nothing after a commit: the write has had the members told."""
