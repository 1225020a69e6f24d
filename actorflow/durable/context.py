"""Context: `self.ctx` of a durable actor. Its effects in a handler are part of the handler's commit."""

from __future__ import annotations

import queue
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from actorflow.core.actors.context import Context, Piped
from actorflow.core.futures.future import Future
from actorflow.core.messages.execution import CURRENT
from actorflow.core.messages.messages import Call
from actorflow.core.messages.reply import Reply
from actorflow.core.refs.timers import Timer
from actorflow.durable.handling.stored_pipes import keep_timer, pipe_stored
from actorflow.durable.handling.unit_of_work import CURE, UnitOfWork
from actorflow.durable.rows.answers import PipedAnswer
from actorflow.durable.rows.payload import pack
from actorflow.durable.rows.records import TimerRow
from actorflow.errors import DefinitionError, Stopping
from actorflow.store.codec import check_size, encode
from actorflow.store.error_json import write_error

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.durable.handling.mailbox import Mailbox
    from actorflow.durable.node.runtime import DurableRuntime


class DurableContext(Context):
    """A context whose timers outlive the process; a promised answer may be kept in the state."""

    __slots__ = ()

    _ref: Any

    def _unit(self, what: str) -> UnitOfWork:
        execution = CURRENT.get()
        if isinstance(execution, UnitOfWork) and execution.box.ref is self._ref:
            if execution.is_abandoned:
                msg = f"this incarnation was abandoned; ctx.{what} is over"
                raise Stopping(msg)
            return execution
        msg = f"ctx.{what} concerns the current message: use it inside a handler of this actor"
        raise DefinitionError(msg)

    @property
    def sender(self) -> ActorRef[Any] | None:
        """The sender of the current message; None if it came from outside of actors."""
        return self._unit("sender").sender

    def stash(self) -> None:
        """Put the current message aside: its row stays where it is, and is handled after `unstash` or a restart."""
        unit = self._unit("stash")
        if unit.effects.entry is None:
            msg = "ctx.stash() without a message: timers, Terminated and piped results cannot wait in the mailbox"
            raise DefinitionError(msg)
        unit.stashed = True
        unit.effects.ending = "kept"
        keep_timer(unit)

    def unstash(self) -> None:
        """Put all stashed messages back to the front of the mailbox, in their old order."""
        self._unit("unstash").unstashes = True

    def reply_later(self) -> Reply:
        """Take over the answer to the current message. It can be kept in `self.state`, and set after a restart."""
        unit = self._unit("reply_later")
        entry = unit.effects.entry
        if entry is None or entry.asker is None:
            return Reply(None, self._ref.path)
        unit.effects.ending = "promised"
        return DurableReply(unit.box.runtime, entry.id)

    def _start_pipe(self, future: Future[Any], piped: Piped, timeout: float | None) -> None:
        """Begin once the message is committed; a pipe that is not an ask of this handler is in memory until then."""
        execution = CURRENT.get()
        if not (isinstance(execution, UnitOfWork) and execution.box.ref is self._ref and not execution.is_over):
            super()._start_pipe(future, piped, timeout)
        elif not pipe_stored(execution, future, PipedAnswer(piped.name, piped.failed, None), timeout):
            execution.after.append(partial(super()._start_pipe, future, piped, timeout))

    def _start_timer(self, delay: float, period: float | None, call: Call) -> Timer:
        box: Mailbox = self._ref._box
        scheduler, execution = self._ref._scheduler, CURRENT.get()
        is_within = isinstance(execution, UnitOfWork) and execution.box is box and not execution.is_over
        unit = cast("UnitOfWork", execution) if is_within else None
        is_once = period is None  # a periodic one goes on for ever, and so is of no conversation
        body = unit.packed(call) if unit is not None and is_once else pack(call, scheduler.payload_limit)
        row = TimerRow(0, scheduler.clock.time() + delay, period, 0, body)
        timer = DurableTimer(box, row)
        if unit is None:
            box.runtime.add_timer(box, row)
            return timer
        if unit.message is box.runtime.START:
            known = next(
                (held for held in box.timers.values() if held.body == row.body and held.period == period), None
            )
            if known is not None:  # it was started in an earlier life, and goes on
                timer._row = known
                return timer
        unit.effects.new_timers.append(row)
        return timer


class DurableTimer(Timer):
    """A timer that is a row: it outlives the incarnation and the process, and fires once for all firings it missed."""

    __slots__ = ("_box", "_row")

    def __init__(self, box: Mailbox, row: TimerRow) -> None:
        self._box = box
        self._row = row
        self.cancelled = False

    def cancel(self) -> bool:
        """Cancel the timer, in a handler of its actor with the commit; True if a firing was still to come."""
        if self.cancelled:
            return False
        self.cancelled = True
        box, row = self._box, self._row
        execution = CURRENT.get()
        if not (isinstance(execution, UnitOfWork) and execution.box is box and not execution.is_over):
            return box.runtime.drop_timer(box, row.id)
        effects = execution.effects
        if row in effects.new_timers:
            effects.new_timers.remove(row)
            return True
        effects.dropped_timers.append(row.id)
        fires = effects.timer is not None and effects.timer.id == row.id and row.period is None
        return row.id in box.timers and not fires

    def __await__(self) -> Any:
        msg = f"{CURE}; and a durable timer's message comes after this one's commit: await af.timer(seconds) instead"
        raise DefinitionError(msg)

    def __repr__(self) -> str:
        return f"<DurableTimer {self._row.id}>"


class DurableReply(Reply):
    """A promised answer that is a row: keep it in `self.state`, and set it in any later handler, or from any thread."""

    __slots__ = ("_number", "_runtime")

    def __init__(self, runtime: DurableRuntime, number: int) -> None:
        self._runtime = runtime
        self._number = number
        self._future = None

    def _to_stored(self) -> tuple[str, Any]:
        return "$reply", self._number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DurableReply) and other._number == self._number

    def __hash__(self) -> int:
        return self._number

    def __reduce__(self) -> tuple[Any, ...]:
        return self._runtime.reply_at, (self._runtime.scheduler.key, self._number)

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits for it."""
        return True

    def set(self, value: object, /) -> None:
        """Answer the caller; in a handler, with its commit."""
        answer = encode(value, "the answer")
        check_size(answer, "the answer", self._runtime.scheduler.payload_limit)
        self._answer(answer, None)

    def fail(self, error: BaseException, /) -> None:
        """Answer the caller with an error; in a handler, with its commit."""
        self._answer(None, write_error(error))

    def _answer(self, value: bytes | None, error: bytes | None) -> None:
        execution = CURRENT.get()
        if isinstance(execution, UnitOfWork) and not execution.is_over and execution.box.runtime is self._runtime:
            if any(number == self._number for number, _, _ in execution.effects.answers):
                raise queue.Full
            execution.effects.answers.append((self._number, value, error))
        else:
            self._runtime.asks.answer_now(self._number, value, error)

    def __del__(self) -> None:
        """Do nothing: it may be in the state."""

    def __repr__(self) -> str:
        return f"<DurableReply {self._number}>"
