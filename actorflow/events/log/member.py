"""MemberMailbox: what waits for one durable service: events of the log, events set aside, and messages, in turn."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Final

from actorflow.core.actors.transitions import root_of
from actorflow.core.log import logger
from actorflow.core.messages.handlers import handles
from actorflow.core.messages.messages import SUSPENDED
from actorflow.core.outage import Outage
from actorflow.core.refs.cell import ENDING
from actorflow.core.running import lifecycle
from actorflow.durable.handling.after_commit import STORE_SECONDS, StoredUnit
from actorflow.durable.handling.mailbox import Mailbox
from actorflow.durable.rows.records import Lost
from actorflow.errors import StoreError
from actorflow.events.bus import bus_of
from actorflow.events.handlers import handlers_of
from actorflow.events.log.batches import BatchWait
from actorflow.events.log.chain import CHAIN, EventChain
from actorflow.events.log.consumers import begin_offsets
from actorflow.events.log.entries import DEAD, MOST_PARKED, PARKED, Entry, ParkedEvents
from actorflow.events.log.offsets import Offsets
from actorflow.events.log.rows import LogRow, rows_of
from actorflow.events.log.service_unit import ServiceUnit, stored_state
from actorflow.events.log.shares import GRACE_SECONDS
from actorflow.events.topics import matches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.core.refs.ref import ActorRef
    from actorflow.durable.node.runtime import DurableRuntime
    from actorflow.durable.rows.ledger import OwnedActor
    from actorflow.events.log.consumers import Consumer
    from actorflow.events.log.log_node import LogNode
    from actorflow.store.store import Store

WINDOW: Final = 256  # rows of the log that are read at once
CAREFUL: Final = 2 * CHAIN  # events handled one by one after a process has died: one of them may have killed it
SAVE_SECONDS: Final = 1.0  # until offsets are stored that only pass events of no concern
UNSAVED: Final = 1024  # events of no concern that are passed at most before the offsets are stored


class EventsArrived:
    """Stands in the run queue of a durable service for events that may be there."""

    def __repr__(self) -> str:
        return "<Events>"


class BeginAgain:
    """Has a durable service begin anew with its stored state: another node has had it, or it was reset."""

    def __repr__(self) -> str:
        return "<Begin again>"


@dataclasses.dataclass
class LookAgain:
    """Tells a durable service, as a message in its mailbox, that its rows were changed by somebody else."""


class MemberMailbox(Mailbox):
    """The window of one durable service on the log and its mailbox; touched as other mailboxes are."""

    unit_class: ClassVar[type[StoredUnit]] = ServiceUnit

    def __init__(self, runtime: DurableRuntime, ref: ActorRef[Any], name: str) -> None:
        super().__init__(runtime, ref, name)
        self.log: LogNode = runtime.log
        self.consumer: Consumer = self.log.consumer_of(name)
        self.table = handlers_of(ref.actor_class)
        self.parts = self.consumer.parts_of(name, self.log.partitions)
        self.parts_text = json.dumps(self.parts)
        self.offsets = Offsets({})
        self.ahead = Offsets({})  # up to where the log was read
        self.window: deque[LogRow] = deque()
        self.parked = ParkedEvents()
        self.aloud: set[int] = set()  # numbers of events that were not handled before a replay began
        self.fate: tuple[int, BaseException] | None = None  # an event whose handler has failed, and is to be set aside
        self.singles = 0  # so many chains of one event are to come
        self.is_paused = False
        self.is_parked_turn = False  # whose turn it is: of events set aside, or of the log
        self.is_told = False  # an EventsArrived is in the run queue
        self.has_news = False  # there may be more in the log than was read
        self.is_saving = False  # offsets in memory are to be stored soon
        self.must_save = False  # now
        self.unsaved = 0  # events that were passed since offsets were stored
        self.alarm = math.inf  # when an event set aside is looked for
        self.crowd: Outage | None = None  # there is no room for more events set aside
        self.left = math.inf  # when it was handed over to another node
        self.initial: tuple[Any, bytes] | None = None  # the incarnation, and its state before it had a stored one
        self._concerns: dict[str, bool] = {}
        self.most = self.table.most  # events of one batch
        self.batch_wait = BatchWait(self)
        bus_of(root_of(ref))  # its handlers publish by it
        self.log.connect()
        self.log.join(self)

    # --- state -------------------------------------------------------------------------------------------------------

    def load(self, owned: OwnedActor, *, again: bool = False) -> None:
        """Take over state and offsets, at the start of an incarnation or in the midst of one."""
        actor = self.ref._actor
        is_new = self.initial is None or self.initial[0] is not actor
        if self.initial is None or is_new:
            self.initial = (actor, stored_state(actor))
        super().load(owned, again=again)
        if owned.state is None:  # the first start of all, or the first one after a reset
            self.stored = self.initial[1]
            if not is_new:  # else the service is as it was made
                self.put_state(self.initial[1], again=True)
        self.offsets = begin_offsets(self, owned.unclean)
        if owned.unclean:
            self.singles = max(CAREFUL, 2 * self.most)
        self.fate = None
        self.read_aside()
        self.rewind()
        self.wake()

    def put_state(self, stored: bytes, *, again: bool) -> None:
        """Give the service a stored state; one without a state has none."""
        if stored != b"null":
            super().put_state(stored, again=again)

    def read_aside(self) -> None:
        """Read which events are set aside, and whether the consumer is paused."""
        of_member = {"consumer": self.name}

        def read(transaction: Any) -> tuple[Any, Any, Any]:
            parked = transaction.all("events.parked", of_member)
            aloud = transaction.all("events.aloud", of_member)
            return parked, aloud, transaction.one("events.consumer", {"name": self.consumer.name})

        parked, aloud, consumer = self.runtime.store.read(read)
        self.parked.load([Entry.parked(row) for row in parked])
        self.aloud = {row[0] for row in aloud}
        self.is_paused = consumer is not None and bool(consumer[5])

    def rewind(self) -> None:
        """Read the log anew, from the first event that is not dealt with."""
        self.window.clear()
        self.ahead = self.offsets.copy()
        self.has_news = True

    # --- what comes next ---------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Have the service look for new events in the log; any thread may call this."""
        self.has_news = True
        self.wake()

    def wake(self) -> None:
        """Have the service handle the events that it knows of."""
        if not self.is_told:
            self.is_told = True
            self.ref._scheduler.post(self.ref, EventsArrived(), None)

    def handle_events(self, arrived: EventsArrived) -> Any:
        """Handle the events that come next; the scheduler's next step."""
        self.is_told = False
        if not self.is_owner or not self.is_reachable:
            return None
        try:
            self.refresh()
            entries = [] if self.is_paused else self.next_entries()
            if not entries and not self.must_save:
                self.go_on_with_store()
                self.set_alarm()
                return None
            chain = EventChain(self, entries)
            if entries and (self.singles or self.offsets.crashes):
                chain.note_begin()
        except Lost as error:
            return self.lost(error)
        except StoreError as error:
            return self.wait_for_store(arrived, error)
        return chain.perform(chain.handle_all) if entries else chain.save()

    def next_entries(self) -> list[Entry]:
        """Return the events of the next chain: of the log and of those set aside, in turn."""
        limit = 1 if self.singles else max(CHAIN, self.most)
        self.is_parked_turn = not self.is_parked_turn
        now = self.ref._scheduler.clock.time()
        found = self.parked.due(now, limit) if self.is_parked_turn else []
        found = found or self.next_of_log(limit)
        return found or self.parked.due(now, limit)

    def next_of_log(self, limit: int) -> list[Entry]:
        """Return the next events of the log; those of no concern here are passed, so many before a commit at most.

        A service that is stopped or killed more often than it saves would pass the same events for ever, and one that
        read a long log to its end in one step would have its own messages and all other actors here wait.
        """
        while True:
            if not self.window and not self.read_log():
                return []
            passed = []
            while self.window and not self.concerns(self.window[0].type):
                passed.append(self.window.popleft())
            if passed:
                self.pass_rows(self.offsets, passed)
                self.save_soon(len(passed))
            if not self.window:
                if self.must_save:
                    return []
                continue
            if self.parked.count >= MOST_PARKED and self.window[0].lane in self.parked:
                self.report_crowd()
                return []
            if self.most and not self.singles and self.waits_for_batch():
                return []
            return [Entry(row) for row in islice(self.window, limit)]

    def waits_for_batch(self) -> bool:
        """Say whether the next events wait for more, which one handler takes together."""
        while len(self.window) < self.most and self.read_log():
            pass
        return self.batch_wait.is_on(self.window)

    def read_log(self) -> bool:
        """Read the next rows of the log; say whether there were any."""
        if not self.has_news:
            return False
        self.has_news = False  # first: what comes during the read is news
        log, ahead = self.log, self.ahead
        values = {"after": ahead.least, "parts": self.parts_text, "limit": WINDOW}
        if log.has_locks:
            values["offsets"] = json.dumps(ahead.at)

        def read(transaction: Any) -> tuple[Any, Any]:
            newest = None if log.has_locks else transaction.one("events.newest")
            return newest, transaction.all("events.fetch", values)

        try:
            newest, found = self.runtime.store.read(read)
        except BaseException:
            self.has_news = True
            raise
        self.window.extend(rows_of(found))
        self.pass_rows(ahead, self.window)
        if newest is not None and newest[0] is not None and len(found) < WINDOW:
            ahead.move_all(newest[0])
        if len(found) == WINDOW:
            self.has_news = True
        return bool(found)

    def unhandled(self, store: Store, limit: int) -> list[LogRow]:
        """Return events of concern in the log that the service has not dealt with, the oldest first: so many at most.

        It is for a look from outside: what is set aside is not among them, and the service is left as it is. The system
        may be dead, so the store is handed over.
        """
        values = {"after": self.offsets.least, "parts": self.parts_text, "limit": limit}
        if self.log.has_locks:
            values["offsets"] = json.dumps(self.offsets.at)
        rows = rows_of(store.read(lambda transaction: transaction.all("events.fetch", values)))
        return [row for row in rows if self.concerns(row.type)]

    def look_on(self) -> None:
        """Have the service look again, at once or when an event that is set aside is due."""
        if self.window or self.has_news or self.parked.first_due <= self.ref._scheduler.clock.time():
            self.wake()
        else:
            self.set_alarm()

    def take_over(self, chain: EventChain) -> None:
        """Note the effects of a chain, which are stored."""
        self.offsets = chain.offsets
        if chain.entries:
            self.singles = max(0, self.singles - 1)
            if not chain.entries[0].number:
                for _ in range(chain.place):
                    self.window.popleft()
        for entry in chain.ended:
            self.parked.end(entry)
        for entry, stage in chain.aside:
            if self.fate is not None and self.fate[0] == entry.row.seq:
                self.fate = None
            if entry.number and stage == DEAD:
                self.parked.end(entry)
            elif not entry.number and stage == PARKED:
                entry.number = entry.written
                self.parked.add(entry)
        self.aloud.difference_update(chain.loud)
        if self.crowd is not None and self.parked.count < MOST_PARKED:
            self.crowd.over(logger.warning, "%s: there is room for events to be set aside", self.ref)
            self.crowd = None
        if chain.is_stored:
            self.is_saving = self.must_save = False
            self.unsaved = 0

    def finish(self, outcome: Any) -> None:
        """Go on after a commit that was refused; the holder of the baton calls it."""
        if outcome is not SUSPENDED:
            lifecycle.finished(self.ref, outcome)

    def pass_rows(self, offsets: Offsets, rows: Sequence[LogRow]) -> None:
        """Move offsets beyond rows; without locks the numbers of all partitions come in order."""
        if self.log.has_locks:
            for row in rows:
                offsets.move(row.part, row.seq)
        elif rows:
            offsets.move_all(rows[-1].seq)

    def concerns(self, name: str) -> bool:
        """Say whether events of a name are handled here, or would be, were their class known."""
        known = self._concerns.get(name)
        if known is None:
            kind = self.log.find_type(name)
            if kind is not None:
                known = self._concerns[name] = bool(self.table.rules_for(kind.cls))
            else:  # it may be imported any time
                known = name in self.consumer.types or any(matches(one, name) for one in self.table.patterns)
        return known

    def set_alarm(self) -> None:
        """Look again when the next event that is set aside is due."""
        due = self.parked.first_due
        if self.is_paused or due >= self.alarm or due == math.inf:
            return
        scheduler = self.ref._scheduler
        self.alarm = due
        scheduler.call_later(max(0.0, due - scheduler.clock.time()), self.ring)

    def ring(self) -> None:
        """Look for events that are set aside and due."""
        self.alarm = math.inf
        if self.ref._state < ENDING:
            self.wake()

    def report_crowd(self) -> None:
        """Log that no more events can be set aside, so that the service waits for those that are."""
        self.crowd = self.crowd or Outage(self.ref._scheduler.clock)
        text = "%s: %d events are set aside, and that is the most: it goes on when some of them are handled or dead"
        self.crowd.note(logger.error, text, self.ref, self.parked.count)

    # --- offsets that pass events of no concern ----------------------------------------------------------------------

    def save_soon(self, passed: int) -> None:
        """Store the offsets in a while, or now if many events were passed, unless a commit does so before."""
        self.unsaved += passed
        if self.unsaved >= UNSAVED:
            self.must_save = True
        if not self.is_saving:
            self.is_saving = True
            self.ref._scheduler.call_later(SAVE_SECONDS, self.save_offsets)

    def save_offsets(self) -> None:
        """Have the offsets stored, in turn with all else that the service writes, unless a commit has done so."""
        if self.is_saving and self.ref._state < ENDING:
            self.must_save = True
            self.wake()

    # --- other nodes, and the end ------------------------------------------------------------------------------------

    @property
    def wants_to_own(self) -> bool:
        """Whether this node is to take the service, if it is free: so that all nodes have about as many members."""
        shares, consumer = self.log.shares, self.consumer
        if consumer.members == 1 or len(shares.owned(consumer)) < shares.share_of(consumer, anew=True):
            return True
        return self.ref._scheduler.clock.monotonic() - self.left > GRACE_SECONDS

    def lost(self, error: Lost) -> Any:
        """Begin anew: another node has the service, or it was reset."""
        logger.warning("%s: %s; it begins anew with what is stored", self.ref, error)
        self.is_owner = False
        self.timers.disarm_all()
        self.ref._scheduler.post(self.ref, BeginAgain(), None)
        return None

    def close(self, cause: BaseException | None) -> None:
        """Leave the consumer to other nodes."""
        self.log.leave(self)
        super().close(cause)


@handles(EventsArrived, silent=True)
def run_events(ref: Any, arrived: EventsArrived) -> Any:
    """Handle the next events of a durable service."""
    box: MemberMailbox = ref._box
    return box.handle_events(arrived)


@handles(BeginAgain, silent=True)
def run_begin_again(ref: Any, message: BeginAgain) -> Any:
    """Take the service again, or wait for its end on another node."""
    box: MemberMailbox = ref._box
    if box.is_owner:
        return None
    try:
        return ref._runtime.ownership.start(ref)
    except StoreError as error:
        box.report_failure("%s: the store cannot be read, tried again in %.3g s: %s", ref, STORE_SECONDS, error)
        scheduler = ref._scheduler
        scheduler.call_later(STORE_SECONDS, lambda: scheduler.post(ref, message, None))
        return None


@handles(LookAgain)
def run_look_again(ref: Any, _message: LookAgain) -> Any:
    """Read the events anew that are set aside."""
    box: MemberMailbox = ref._box
    box.read_aside()
    box.wake()
