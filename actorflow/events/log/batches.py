"""Batches: the events that a handler of several takes at once, and how long they wait for more."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from actorflow.core.refs.cell import ENDING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.events.envelope import Envelope
    from actorflow.events.handlers import HandlerRule
    from actorflow.events.log.chain import EventChain
    from actorflow.events.log.entries import Entry
    from actorflow.events.log.member import MemberMailbox
    from actorflow.events.log.rows import LogRow


def collect(chain: EventChain, rule: HandlerRule, first: Envelope) -> tuple[list[Envelope], int]:
    """Return the events of a batch, and how many entries of its chain they are, with those between of no concern.

    It ends before an event that another handler takes, that cannot be read or is to be set aside: that is handled by
    itself, behind the batch.
    """
    entries, at = chain.entries, chain.place
    envelopes, span, begun = [first], 1, entries[at]
    for entry in islice(entries, at + 1, None):
        if len(envelopes) >= rule.batch:
            break
        if entry.number or chain.box.concerns(entry.row.type):
            envelope = joining(chain, rule, begun, entry)
            if envelope is None:
                break
            envelopes.append(envelope)
        span += 1
    return envelopes, span


def joining(chain: EventChain, rule: HandlerRule, first: Entry, entry: Entry) -> Envelope | None:
    """Return an event if it belongs into the batch of an earlier one; None: it does not."""
    box = chain.box
    is_parked = not entry.number and box.parked.count and entry.row.lane in box.parked
    if is_parked or (box.fate is not None and box.fate[0] == entry.row.seq):
        return None
    if not entry.number:
        chain.note_quiet(entry)
    if entry.is_quiet != first.is_quiet:
        return None
    try:
        envelope = entry.row.envelope(late=entry.is_late)
        return envelope if box.table.find(envelope.event, chain.actor) is rule else None
    except Exception:  # noqa: BLE001 - a class, an upcaster or a guard of the user's: it is raised when it is its turn
        return None


class BatchWait:
    """The wait of one member for more events of a batch.

    Attributes:
        seq: of the first event; 0: none waits.
        end: when it waits no longer, on the system's clock.
    """

    __slots__ = ("box", "end", "seq")

    def __init__(self, box: MemberMailbox) -> None:
        self.box = box
        self.seq = 0
        self.end = 0.0

    def is_on(self, rows: Sequence[LogRow]) -> bool:
        """Say whether the next events of the log, the first of which is of concern, wait for more."""
        first = rows[0]
        rule = self.rule_of(first)
        if rule is None or not rule.within or not self.is_short(rule, rows):
            return False
        scheduler = self.box.ref._scheduler
        now = scheduler.clock.monotonic()
        if self.seq != first.seq:
            self.seq, self.end = first.seq, now + rule.within
            scheduler.call_later(rule.within, self.ring)
        return now < self.end

    def ring(self) -> None:
        """Have the service handle the events that are there."""
        if self.box.ref._state < ENDING:
            self.box.wake()

    def is_short(self, rule: HandlerRule, rows: Sequence[LogRow]) -> bool:
        """Say whether more events could come into a batch: it is not full, and no other event ends it."""
        count = 0
        for row in rows:
            if self.box.concerns(row.type):
                if self.rule_of(row) is not rule:
                    return False
                count += 1
        return count < rule.batch

    def rule_of(self, row: LogRow) -> HandlerRule | None:
        """Return the first rule of an event's class; None if that is not known, or there is none."""
        kind = self.box.log.find_type(row.type)
        rules = () if kind is None else self.box.table.rules_for(kind.cls)
        return rules[0] if rules else None
