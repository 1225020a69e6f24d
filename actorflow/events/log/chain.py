"""Chain: events that a durable service handles one after the other, and whose effects are one commit.

The next handler sees the state that the one before it has left, so state and offset are written once. If a handler
fails, all of the chain is undone; then the events before that one are handled again, and it is set aside behind them.
"""

from __future__ import annotations

import json
from functools import partial
from types import AsyncGeneratorType, CoroutineType
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.log import logger
from actorflow.core.messages.messages import CHANGED
from actorflow.core.refs.cold_fields import must_stop
from actorflow.core.refs.failure import failed as core_failed
from actorflow.core.refs.failure import is_contained
from actorflow.durable.handling.after_commit import STORE_SECONDS
from actorflow.durable.rows.payload import pack, with_cause
from actorflow.durable.rows.records import KILLS, Effects, Lost
from actorflow.errors import (
    ActorDeadError,
    HostDied,
    MailboxFull,
    OutcomeUnknown,
    Stopping,
    StoreError,
    TransitionRefused,
)
from actorflow.events.delivery import publish_result
from actorflow.events.log.batches import collect
from actorflow.events.log.entries import DEAD, KEEP_DEAD, MOST_PARKED, PARKED, Entry
from actorflow.events.log.rows import NewEvent, put
from actorflow.events.log.service_unit import ServiceUnit
from actorflow.store.error_json import write_error
from actorflow.tasks.retry import Retry
from actorflow.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actorflow.core.futures.future import Future
    from actorflow.core.refs.ref import ActorRef
    from actorflow.events.envelope import Envelope
    from actorflow.events.handlers import HandlerRule
    from actorflow.events.log.member import MemberMailbox
    from actorflow.store.transaction import Durability, Transaction

CHAIN: Final = 64  # events of one commit at most
CHAIN_SECONDS: Final = 0.002


class EventChain(ServiceUnit):
    """The unit of work of several events.

    Attributes:
        entries: the events.
        place: how many of them are dealt with.
        span: how many of those behind are being handled: the events of a batch, and those between of no concern.
        ran: how many handlers have run.
        offsets: the offsets behind those that are dealt with.
        published: what the handlers have published.
        aside: events to be set aside, with the stage.
        ended: events that were set aside, and are dealt with.
        is_stored: it has effects to be stored, the offsets at least.
        is_quiet: the event was handled before the replay that is under way: what its handler sends is dropped.
    """

    __slots__ = (
        "aside",
        "ended",
        "entries",
        "is_quiet",
        "is_stored",
        "loud",
        "offsets",
        "place",
        "published",
        "ran",
        "rule",
        "span",
        "tried",
    )

    def __init__(self, box: MemberMailbox, entries: list[Entry]) -> None:
        super().__init__(box, None)
        self.entries = entries
        self.begin()

    def begin(self) -> None:
        """Begin with no event dealt with, and no effects."""
        box = self.box
        self.place = self.ran = 0
        self.span = 1
        self.offsets = box.offsets.copy()
        self.published: list[NewEvent] = []
        self.aside: list[tuple[Entry, int]] = []
        self.ended: list[Entry] = []
        self.loud: list[int] = []
        self.tried: Entry | None = None
        self.is_quiet = self.is_stored = False
        self.rule: HandlerRule | None = None

    def note_begin(self) -> None:
        """Note which event is handled, as a process has died on one.

        Raises:
            StoreError: it could not be noted.
        """
        box, seq = self.box, self.entries[0].row.seq
        if box.offsets.crashes and box.offsets.suspect not in (0, seq):
            return  # another one is suspected, and comes later
        box.offsets.suspect, box.offsets.is_begun = seq, True
        values = {"name": box.name, "owner": box.node, "epoch": box.epoch, "log": box.offsets.text()}
        if not box.write_soon("events.begin", values):
            raise taken_over(box)

    # --- the handlers ------------------------------------------------------------------------------------------------

    def handle_all(self) -> Any:
        """Handle the events, one after the other; the rest of them in a coroutine once a handler is one."""
        clock = self.scheduler.clock
        end = clock.monotonic() + CHAIN_SECONDS
        box, entries = self.box, self.entries
        while self.place < len(entries) and (box.fate is None or not self.meets_fate()):
            result = self.begin_next()
            if type(result) is CoroutineType or type(result) is AsyncGeneratorType:
                return self.handle_rest(result)
            self.end_one(result)
            if clock.monotonic() > end or (box.parked.count and self.is_full):
                break
        return None

    async def handle_rest(self, result: Any) -> None:
        """Go on from a handler that is async."""
        clock = self.scheduler.clock
        end = clock.monotonic() + CHAIN_SECONDS
        while True:
            if type(result) is CoroutineType:
                result = await result
            if type(result) is AsyncGeneratorType:
                result = [event async for event in result]
            self.end_one(result)
            if self.is_full or clock.monotonic() > end:
                return
            if self.place >= len(self.entries) or self.meets_fate():
                return
            result = self.begin_next()

    @property
    def is_full(self) -> bool:
        """Whether the next event cannot be set aside behind others of its key."""
        if self.place >= len(self.entries) or self.box.parked.count + len(self.aside) < MOST_PARKED:
            return False
        entry = self.entries[self.place]
        return not entry.number and entry.row.lane in self.box.parked

    def meets_fate(self) -> bool:
        """Set the next event aside if its handler has failed in a chain that was undone, and say whether it has."""
        entry, fate = self.entries[self.place], self.box.fate
        if fate is None or fate[0] != entry.row.seq:
            return False
        self.set_aside(entry, fate[1])
        return True

    def begin_next(self) -> Any:
        """Call the handler of the next event; return what it returns, or None if the event is passed."""
        box, entry = self.box, self.entries[self.place]
        row, offsets = entry.row, box.offsets
        self.span = 1
        if not entry.number:
            self.note_quiet(entry)
            if not box.concerns(row.type):
                return None
            if box.parked.count and row.lane in box.parked:
                self.aside.append((entry, PARKED))
                return None
        self.tried = entry
        if offsets.crashes and offsets.crashes >= KILLS and offsets.suspect == row.seq:
            raise HostDied(f"{offsets.crashes} processes have died on it")
        envelope = row.envelope(late=entry.is_late)
        self.message = envelope.event
        rule = box.table.find(envelope.event, self.actor)
        if rule is None:
            return None
        self.ran += 1
        self.rule = rule
        self.is_quiet = entry.is_quiet
        if self.scheduler.load is not None:
            self.scheduler.load.begin(box.ref, envelope, rule)
        if rule.batch:
            return self.begin_batch(rule, envelope)
        self.item = (None, envelope, None, None)  # type: ignore[assignment]  # so that what follows knows its cause
        actor: Any = self.actor
        if not box.is_machine:
            return getattr(actor, rule.name)(envelope.event)
        try:
            return actor._perform_named(rule.name, (envelope.event,), {})
        except TransitionRefused as refusal:  # the machine is as it was: for it, nothing has happened
            if not self.is_refusal(refusal):
                raise
            refused = partial(self.scheduler.events.dead_letter, box.ref, envelope.event, None, refusal)
            self.after.append(refused)
            return None

    def begin_batch(self, rule: HandlerRule, first: Envelope) -> Any:
        """Call the handler of several events with those that are there; its cause is the last of them."""
        envelopes, self.span = collect(self, rule, first)
        if len(envelopes) > 1:  # if it fails, nobody knows on which of them
            self.tried = None
        self.item = (None, envelopes[-1], None, None)  # type: ignore[assignment]
        self.message = events = [one.event for one in envelopes]
        return getattr(self.actor, rule.name)(events)

    def note_quiet(self, entry: Entry) -> None:
        """Note whether an event of the log was handled before the replay that is under way."""
        box, row = self.box, entry.row
        if box.offsets.quiet:
            entry.is_quiet = box.offsets.is_quiet(row.part, row.seq) and row.seq not in box.aloud

    def end_one(self, result: Any) -> None:
        """Note that an event, or a batch, is dealt with, and publish the events that its handler has returned."""
        if result is not None:
            assert self.rule is not None
            publish_result(self.box.ref, self.rule, result)
        for entry in self.entries[self.place : self.place + self.span]:
            if entry.number:
                self.ended.append(entry)
            if self.box.aloud and entry.row.seq in self.box.aloud:
                self.loud.append(entry.row.seq)
        self.place += self.span
        self.tried = None
        self.is_quiet = False

    # --- effects of the handlers -------------------------------------------------------------------------------------

    def publish(self, event: NewEvent) -> None:
        """Have an event published by the commit; in a quiet replay it is dropped."""
        if not self.is_quiet:
            self.published.append(event)

    def hold(self, ref: ActorRef[Any], message: Any, future: Future[Any] | None) -> None:
        """Keep a send until the commit; in a quiet replay it is dropped."""
        if not self.is_quiet or self.is_over:
            super().hold(ref, message, future)
        elif future is not None:
            future._settle(None, ActorDeadError(f"it was not sent: {self.box.ref.path} replays what it has handled"))

    def packed(self, message: Any) -> bytes:
        """Return a message as it is stored, with the event that is handled as its cause."""
        return with_cause(pack(message, self.scheduler.payload_limit), self.item[1])

    def also(
        self,
        work: Callable[[Transaction], object],
        after: Callable[[], object],
        durability: Durability | None = None,
    ) -> None:
        """Add a piece of work of an upper layer to the commit; in a quiet replay it is dropped."""
        if not self.is_quiet:
            super().also(work, after, durability)

    # --- its end -----------------------------------------------------------------------------------------------------

    def succeeded(self, value: Any) -> Any:
        """Put the effects into the open batch, if there are any."""
        box = self.box
        if self.ran or self.is_abandoned:
            self.offsets.acquit()
            self.is_stored = True
            return super().succeeded(value)
        if self.aside or self.ended or box.must_save:
            return self.save()
        self.is_over = True  # there was no handler for any of them
        self.move_offsets()
        box.take_over(self)
        box.save_soon(self.place)
        box.look_on()
        return CHANGED

    def save(self) -> Any:
        """Put effects into the open batch that leave the state as it is."""
        self.is_stored = True
        self.effects.state = self.box.stored
        return self.submit()

    def submit(self) -> Any:
        """Hand the unit to the batch, with the offsets behind the events of the log that are dealt with."""
        self.move_offsets()
        return super().submit()

    def move_offsets(self) -> None:
        """Move the offsets beyond the events that are dealt with, if they are of the log."""
        if self.place and not self.entries[0].number:
            self.box.pass_rows(self.offsets, [entry.row for entry in self.entries[: self.place]])

    def failed(self, error: BaseException) -> Any:
        """Undo the chain; handle the events before the failed one again, or set it aside if there are none."""
        box, tried = self.box, self.tried
        before = self.place if tried is not None else 0
        if self.is_abandoned:
            logger.info("An abandoned handler ended with %r", error)
            return self.abandoned()
        box.roll_back()
        self.drop_sends()
        self.effects = Effects(box.name, box.node, box.epoch, box.stored)
        is_stopping = isinstance(error, Stopping) and must_stop(box.ref)
        if not is_stopping and not is_contained(error):
            return core_failed(self.scheduler, self.outer, error, None) or CHANGED
        all_of_them = len(self.entries) if tried is None else 1  # whose effects cannot be stored
        self.begin()
        if not (is_stopping or before or all_of_them > 1):
            self.set_aside(tried or self.entries[0], error)
            return self.save()
        if not is_stopping and tried is not None:
            box.fate = (tried.row.seq, error)
        elif all_of_them > 1:
            box.singles = max(box.singles, all_of_them)
        box.wake()
        return CHANGED

    def set_aside(self, entry: Entry, error: BaseException) -> None:
        """Count a failed try of an event, and decide on the next step: another try, or a dead event."""
        box, row = self.box, entry.row
        now = self.scheduler.clock.time()
        entry.attempt += 1
        first = first_try(entry.error, now)
        rng = self.scheduler.random_for(f"{box.ref.path} retry")
        pause = pause_after(box.retry, entry.attempt, error, rng, now - first)
        if isinstance(error, HostDied) and box.offsets.crashes >= KILLS:
            pause = None
        entry.error = json.dumps({**json.loads(write_error(error)), "first": first}).encode()
        entry.due = None if pause is None else now + pause
        self.failure = error
        self.offsets.acquit()
        what = f"{row.type} {row.seq}" + (f" of key {row.key!r}" if row.key is not None else "")
        if pause is None:
            text = "%s failed on event %s %s, rolled back; it is dead"
            logger.error(text, box.ref, what, plural(entry.attempt, "time"), exc_info=error)
        else:
            text = "%s failed on event %s (try %d), rolled back; its key waits, again in %.3g s"
            logger.warning(text, box.ref, what, entry.attempt, pause, exc_info=error)
        self.aside.append((entry, DEAD if pause is None else PARKED))
        self.place += 1

    # --- the commit --------------------------------------------------------------------------------------------------

    def write(self, transaction: Transaction) -> None:
        """Write the effects."""
        box, effects = self.box, self.effects
        effects.log = self.offsets.text()
        super().write(transaction)
        now = box.runtime.now()
        for entry, stage in self.aside:
            keep = now + KEEP_DEAD if stage == DEAD else None
            if not entry.number:
                entry.written = entry.put_aside(transaction, box.name, stage, entry.due, keep)
                continue
            values = {"number": entry.number, "attempt": entry.attempt, "error": entry.error}
            if stage == DEAD:
                transaction.run("events.bury", {**values, "keep": keep})
            else:
                transaction.run("events.again", {**values, "due": entry.due})
        for entry in self.ended:
            if transaction.run("events.unpark", {"number": entry.number}) != 1:
                raise taken_over(box)
        for seq in self.loud:
            transaction.run("events.heard", {"consumer": box.name, "seq": seq})
        if self.published:
            put(transaction, box.runtime.store.dialect, self.published)
            transaction.after_commit(box.log.announce)

    @classmethod
    def write_all(cls, members: Sequence[EventChain], transaction: Transaction) -> None:  # type: ignore[override]
        """Write the effects of several chains."""
        for chain in members:
            chain.write(transaction)

    def committed(self) -> None:
        """Go on after the commit."""
        if self.is_alive:
            self.box.take_over(self)
        super().committed()

    def go_on(self) -> None:
        """Let the service handle its next events, or the messages that wait."""
        self.box.look_on()
        self.box.pause(self.pause)

    def not_committed(self, error: Exception) -> None:
        """Deal with effects that are not in the store."""
        box = self.box
        if isinstance(error, Lost) or not self.is_alive:
            super().not_committed(error)
            return
        if isinstance(error, OutcomeUnknown):
            box.runtime.doubt(letter.receiver for letter in self.effects.letters + self.effects.replies)
            box.log.look_later()
        if not isinstance(error, (StoreError, MailboxFull)):  # it cannot be written, now or later: like any failure
            self.is_over = False
            self.tried = self.entries[0] if len(self.entries) == 1 else None
            self.place = 0
            box.finish(self.failed(error))
            return
        self.drop_sends()
        box.is_doubtful = True
        box.report_failure(
            "%s: the outcome of its events could not be stored; rolled back, tried again in %.3g s: %s",
            box.ref,
            STORE_SECONDS,
            error,
        )
        box.wake()
        box.pause(STORE_SECONDS)


def first_try(error: bytes | None, now: float) -> float:
    """Return the time of the first try of an event, which is stored beside its last error."""
    try:
        return min(now, float(json.loads(error)["first"])) if error is not None else now
    except (ValueError, LookupError, TypeError):
        return now


def pause_after(retry: Any, attempt: int, error: BaseException, rng: Any, spent: float) -> float | None:
    """Return the seconds until the next try; None if there is none."""
    if isinstance(retry, Retry):
        return retry.pause(attempt, error, rng, spent=spent)
    return retry.pause(attempt, error, rng)  # type: ignore[no-any-return]


def taken_over(box: MemberMailbox) -> Lost:
    """Return the error of a service that somebody else has changed."""
    return Lost(f"{box.name} was taken over by another node, or reset")
