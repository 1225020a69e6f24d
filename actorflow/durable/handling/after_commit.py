"""After the commit of a message: the steps that follow; the holder of the baton takes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.log import logger
from actorflow.core.messages.execution import late_send
from actorflow.core.messages.messages import SUSPENDED
from actorflow.core.outage import Outage
from actorflow.durable.handling.runtime_messages import MessageInMemory, RowsArrived, TimerFired
from actorflow.durable.handling.unit_of_work import UnitOfWork
from actorflow.durable.rows import ledger
from actorflow.durable.rows.records import Lost, TimerRow, Twice
from actorflow.errors import MailboxFull, OutcomeUnknown, StoreError
from actorflow.store.commit_batch import BatchMember
from actorflow.text import text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.store.transaction import Durability, Transaction

STORE_SECONDS: Final = 1.0  # between two tries when the store fails


class StoredUnit(UnitOfWork, BatchMember):
    """A unit of work that this process commits: one member of a batch, whose effects are rows."""

    __slots__ = ()

    @property
    def durability(self) -> Durability | None:
        """How long the commit has to last; None: as the store does."""
        return self.effects.durability or self.box.durability

    def commits_to(self, store: object) -> bool:
        """Say whether the effects of the handler are to be a commit of this store."""
        return self.box.runtime.store is store and not self.is_over

    def also(
        self,
        work: Callable[[Transaction], object],
        after: Callable[[], object],
        durability: Durability | None = None,
    ) -> None:
        """Add a piece of work of an upper layer to the commit: see `Execution.also`."""
        if self.is_abandoned:
            raise late_send()
        effects = self.effects
        effects.also = (*effects.also, (work, after))
        if (durability or self.box.runtime.store.durability) == "power":
            effects.durability = "power"

    def submit(self) -> Any:
        """Hand the unit to the batch."""
        self.is_over = True
        self.effects.next = self.next_number()
        self.box.runtime.batch.add(self)
        return SUSPENDED

    def next_number(self) -> int:
        """Return the row that the actor handles next, or from where on it looks for one."""
        box, entry = self.box, self.effects.entry
        if entry is not None and self.effects.ending == "again":
            return entry.id
        if self.unstashes and box.stash:
            return min(stashed.id for stashed in box.stash)
        return box.rows[0].id if box.rows else box.last + 1

    # --- the commit --------------------------------------------------------------------------------------------------

    def write(self, transaction: Transaction) -> None:
        """Write the effects."""
        runtime = self.box.runtime
        ledger.save(transaction, runtime, self.effects, runtime.capacity)

    @classmethod
    def write_all(cls, members: Sequence[StoredUnit], transaction: Transaction) -> None:
        """Write the effects of many messages."""
        runtime = members[0].box.runtime
        ledger.save_all(transaction, runtime, [unit.effects for unit in members], runtime.capacity)

    def leave(self) -> None:
        """Tell upper layers, and make the sends to other processes: these may wait, unlike the holder of the baton."""
        for _, after in self.effects.also:
            quietly(after)
        if self.held:
            self.send_away([one for one in self.held if one[0]._is_remote])

    # --- after it ----------------------------------------------------------------------------------------------------

    def settle(self, error: Exception | None) -> None:
        """Go on after a message: its effects are committed, or were refused."""
        try:
            self.committed() if error is None else self.not_committed(error)
        except Exception as raised:
            if self.is_alive:
                self.box.crash_soon(raised)
            raise

    @property
    def is_alive(self) -> bool:
        """Whether the incarnation is there that handled the message."""
        return self.actor is not None and self.box.ref._actor is self.actor

    def committed(self) -> None:
        """Go on after the commit."""
        box, effects, alive = self.box, self.effects, self.is_alive
        for letter in (*effects.letters, *effects.replies):
            box.runtime.announce(letter)
        if box.is_hindered:
            box.go_on_with_store()
        if alive:
            box.stored = effects.state
        self.follow_up()
        if box.room:
            box.room.admit()
        if not alive:
            return
        if effects.timer is not None:
            self.end_timer(effects.timer)
        if self.is_machine_timer:
            box.failures = self.attempt if self.failure is not None else 0
        if effects.entry is not None and effects.ending == "again":
            box.put_back(effects.entry)
        if effects.entry is not None and self.stashed:
            box.stash.append(effects.entry)
        if self.unstashes and box.stash:
            self.upto = max(self.upto, box.stash[-1].id)
            box.rows.extendleft(sorted(box.stash, key=lambda entry: -entry.id))
            box.stash.clear()
        self.go_on()

    def follow_up(self) -> None:
        """Let the held sends leave, answer the callers on this node, start and end timers."""
        box, effects, ref = self.box, self.effects, self.box.ref
        for receiver, message, future in self.held:
            if not receiver._is_remote:
                quietly(partial(receiver._arrive, message, future, ref))
        for act in self.after:
            quietly(act)
        entry = effects.entry
        if entry is not None and effects.ending in ("done", "dead") and entry.asker is not None:
            box.runtime.asks.answer(entry.id, effects.answer, effects.error, self.failure)
        for number, value, error in effects.answers:
            box.runtime.asks.answer(number, value, error, None)
        if ref._actor is self.actor:
            for row in effects.new_timers:
                box.timers.arm(row)
            for id_ in effects.dropped_timers:
                box.timers.disarm(id_)
            for id_, due in effects.moved_timers:
                box.timers.move(id_, due)

    def end_timer(self, row: TimerRow) -> None:
        """Set the next time of a timer that fired."""
        effects, timers = self.effects, self.box.timers
        if effects.ending == "again" or not timers.disarm(row.id):
            return
        if effects.timer_due is not None and row.id not in effects.dropped_timers:
            crashes = row.crashes_after(effects.ending)
            timers.arm(TimerRow(row.id, effects.timer_due, row.period, 0, row.body, crashes))

    def go_on(self) -> None:
        """Let the actor handle its next message, after the pause between two tries if it failed."""
        box, ref, effects = self.box, self.box.ref, self.effects
        front: list[Any] = [RowsArrived(self.upto)] if box.is_doubtful or box.has_more(self.upto) else []
        if effects.ending == "again" and effects.timer is not None:
            front.insert(0, TimerFired(effects.timer))
        if self.is_machine_timer:  # the stored state has it still, so it fires again by itself
            if effects.ending == "dead":
                assert self.failure is not None
                box.crash_soon(self.failure)
                return
        elif effects.ending == "again" and self.run is not None:
            front.insert(0, MessageInMemory(self.run, self.message, self.attempt))
        if front:
            ref._put_back(deque([(ref, message, None, None) for message in front]))
        box.pause(self.pause)

    def not_committed(self, error: Exception) -> None:
        """Deal with effects that are not in the store."""
        box, effects = self.box, self.effects
        if isinstance(error, OutcomeUnknown):
            box.runtime.doubt(letter.receiver for letter in effects.letters + effects.replies)
        self.drop_sends()
        if not self.is_alive:
            return
        if isinstance(error, Lost):
            box.give_away(error)
            box.crash_soon(error)
            return
        if not isinstance(error, (StoreError, MailboxFull)):  # it cannot be written, now or later: like any failure
            self.is_over = False
            self.failed(error)
            return
        if isinstance(error, Twice):
            logger.warning("%s: %s; the second handling is dropped", box.ref, error)
            pause = None
        elif isinstance(error, MailboxFull):
            box.full = box.full or Outage(box.ref._scheduler.clock)
            box.full.note(logger.warning, "%s: %s; rolled back, tried again", box.ref, error)
            pause = STORE_SECONDS
        else:
            text = "%s: the outcome of %s could not be stored; rolled back, tried again in %.3g s: %s"
            box.report_failure(text, box.ref, text_of(self.message), STORE_SECONDS, error)
            pause = STORE_SECONDS
        box.is_doubtful = True
        self.failure = error
        self.pause = pause
        self.effects.ending = "again"
        box.put_back(self.effects.entry)
        self.go_on()


def quietly(act: Callable[[], object]) -> None:
    """Do one of the things that follow a commit; an error of one keeps neither the others nor the actor."""
    try:
        act()
    except Exception:  # noqa: BLE001 - the commit stands
        logger.exception("After the commit of a message, %s failed", text_of(act))
