"""After the commit of a message: the steps that follow; the holder of the baton takes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from actorflow.core.log import logger
from actorflow.core.outage import Outage
from actorflow.durable.handling.mailbox import STORE_SECONDS
from actorflow.durable.handling.runtime_messages import MessageInMemory, RowsArrived, TimerFired
from actorflow.durable.rows.records import Lost, TimerRow, Twice
from actorflow.errors import MailboxFull, StoreError
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.durable.handling.unit_of_work import UnitOfWork


def settle(unit: UnitOfWork) -> None:
    """Go on after a message: its effects are committed, or were refused."""
    box = unit.box
    alive = box.ref._actor is unit.actor and unit.actor is not None
    if unit.refused is not None:
        not_committed(unit, unit.refused, alive=alive)
        return
    effects = unit.effects
    box.go_on_with_store()
    if alive:
        box.stored = effects.state
    follow_up(unit)
    if box.room:
        box.room.admit()
    if not alive:
        return
    if effects.timer is not None:
        end_timer(unit, effects.timer)
    if unit.is_machine_timer:
        box.failures = unit.attempt if unit.failure is not None else 0
    if effects.entry is not None and effects.ending == "again":
        box.put_back(effects.entry)
    if effects.entry is not None and unit.stashed:
        box.stash.append(effects.entry)
    if unit.unstashes and box.stash:
        unit.upto = max(unit.upto, box.stash[-1].id)
        box.rows.extendleft(sorted(box.stash, key=lambda entry: -entry.id))
        box.stash.clear()
    go_on(unit)


def follow_up(unit: UnitOfWork) -> None:
    """Let the held sends leave, answer the callers on this node, start and end timers."""
    box, effects, ref = unit.box, unit.effects, unit.box.ref
    for receiver, message, future in unit.held:
        if not receiver._is_remote:
            quietly(partial(receiver._arrive, message, future, ref))
    for act in unit.after:
        quietly(act)
    entry = effects.entry
    if entry is not None and effects.ending in ("done", "dead") and entry.asker is not None:
        box.runtime.asks.answer(entry.id, effects.answer, effects.error, unit.failure)
    for number, value, error in effects.answers:
        box.runtime.asks.answer(number, value, error, None)
    if ref._actor is unit.actor:
        for row in effects.new_timers:
            box.timers.arm(row)
        for id_ in effects.dropped_timers:
            box.timers.disarm(id_)
        for id_, due in effects.moved_timers:
            box.timers.move(id_, due)


def quietly(act: Callable[[], object]) -> None:
    """Do one of the things that follow a commit; an error of one keeps neither the others nor the actor."""
    try:
        act()
    except Exception:  # noqa: BLE001 - the commit stands
        logger.exception("After the commit of a message, %s failed", text_of(act))


def end_timer(unit: UnitOfWork, row: TimerRow) -> None:
    """Set the next time of a timer that fired."""
    effects, timers = unit.effects, unit.box.timers
    if effects.ending == "again" or not timers.disarm(row.id):
        return
    if effects.timer_due is not None and row.id not in effects.dropped_timers:
        crashes = row.crashes_after(effects.ending)
        timers.arm(TimerRow(row.id, effects.timer_due, row.period, 0, row.body, crashes))


def go_on(unit: UnitOfWork) -> None:
    """Let the actor handle its next message, after the pause between two tries if it failed."""
    box, ref, effects = unit.box, unit.box.ref, unit.effects
    front: list[Any] = [RowsArrived(unit.upto)] if box.is_doubtful or box.has_more(unit.upto) else []
    if effects.ending == "again" and effects.timer is not None:
        front.insert(0, TimerFired(effects.timer))
    if unit.is_machine_timer:  # the stored state has it still, so it fires again by itself
        if effects.ending == "dead":
            assert unit.failure is not None
            box.crash_soon(unit.failure)
            return
    elif effects.ending == "again" and unit.run is not None:
        front.insert(0, MessageInMemory(unit.run, unit.message, unit.attempt))
    if front:
        ref._put_back(deque([(ref, message, None, None) for message in front]))
    box.pause(unit.pause)


def not_committed(unit: UnitOfWork, error: Exception, *, alive: bool) -> None:
    """Deal with effects that are not in the store."""
    unit.drop_sends()
    box = unit.box
    if not alive:
        return
    if isinstance(error, Lost):
        box.give_away(error)
        box.crash_soon(error)
        return
    if not isinstance(error, (StoreError, MailboxFull)):  # it cannot be written, now or later: a failure like any other
        unit.refused, unit.is_over = None, False
        unit.failed(error)
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
        box.report_failure(text, box.ref, text_of(unit.message), STORE_SECONDS, error)
        pause = STORE_SECONDS
    box.is_doubtful = True
    unit.failure = error
    unit.pause = pause
    unit.effects.ending = "again"
    box.put_back(unit.effects.entry)
    go_on(unit)
