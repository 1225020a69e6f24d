"""Unit of work: one message of a durable actor. Its handler's effects on others are held until they are committed.

While the handler runs no transaction is open. At its end the effects go into the open batch of the system; the actor
stays busy until they are committed, and the baton goes on.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.futures.future import Future
from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT, Execution, late_send
from actorflow.core.messages.handlers import dispatch
from actorflow.core.messages.messages import CHANGED, SUSPENDED, Stop
from actorflow.core.refs.cold_fields import must_stop
from actorflow.core.refs.failure import contained, is_contained
from actorflow.core.refs.failure import failed as core_failed
from actorflow.durable.rows.answers import PipedAnswer
from actorflow.durable.rows.payload import Caused, pack, read_sender, unpack, with_cause
from actorflow.durable.rows.records import Effects, Letter, MailRow, TimerRow
from actorflow.durable.rows.state import state_bytes
from actorflow.errors import ActorDeadError, DefinitionError, Stopping, TransitionRefused
from actorflow.store.codec import check_size, encode
from actorflow.store.error_json import write_error
from actorflow.text import plural, text_of

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.durable.handling.mailbox import Mailbox

CURE: Final = (
    "a durable handler cannot wait for an answer: its sends leave after its commit. Have the answer come as a "
    "message: self.ctx.pipe(ref.call(...), self.method), or give the other your self.actor_ref"
)


class Behalf(Execution):
    """Makes the sends of a handler, in its actor's name, once its effects are committed."""

    __slots__ = ("outer",)

    def __init__(self, ref: ActorRef[Any], outer: Execution) -> None:
        self.item = (ref, None, None, None)
        self.scheduler = outer.scheduler
        self.outer = outer

    def wait(self, future: Future[Any], timeout: float | None) -> None:
        """Wait as the thread does."""
        self.outer.wait(future, timeout)


class UnitOfWork(Execution):
    """The place where the handler of one message runs, as `CURRENT` has it; it collects the effects to commit.

    Attributes:
        box: the actor's mailbox.
        outer: the thread, or the coroutine, that it runs on.
        held: sends to ordinary actors; they leave after the commit, in this order.
        after: the other calls to make then.
        run: runs the message, if it is in memory only.
        is_machine_timer: the message is a timer of a machine: such a one is part of the state, and no row.
        failure: why it failed; None so far.
        pause: seconds until the next try.
        upto: the number up to which rows are to be handled before items queued behind them.
    """

    __slots__ = (
        "actor",
        "after",
        "attempt",
        "box",
        "effects",
        "failure",
        "held",
        "is_machine_timer",
        "is_over",
        "message",
        "outer",
        "pause",
        "run",
        "sender",
        "stashed",
        "suspends",
        "unstashes",
        "upto",
    )

    holds = True

    def __init__(
        self, box: Mailbox, message: Any, *, entry: MailRow | None = None, timer: TimerRow | None = None
    ) -> None:
        outer = CURRENT.get()
        assert outer is not None
        self.box = box
        self.outer = outer
        self.actor = box.ref._actor
        self.message = message
        self.item = (None, message, None, None)  # type: ignore[assignment]  # no actor: sends come to `hold`
        self.left = None
        self.scheduler = box.ref._scheduler
        self.suspends = False
        self.effects = Effects(box.name, box.node, box.epoch, None, entry=entry, timer=timer)
        self.sender: ActorRef[Any] | None = None
        self.held: list[tuple[ActorRef[Any], Any, Future[Any] | None]] = []
        self.after: list[Callable[[], object]] = []
        self.run: Callable[[], Any] | None = None
        self.attempt = 0
        self.failure: BaseException | None = None
        self.pause: float | None = None
        self.stashed = self.unstashes = self.is_over = self.is_machine_timer = False
        self.upto = 0

    # --- effects of the handler --------------------------------------------------------------------------------------

    @property
    def is_abandoned(self) -> bool:
        """Whether the incarnation whose handler runs here was abandoned."""
        return self.outer.is_abandoned

    @property
    def receiver(self) -> ActorRef[Any] | None:
        """The actor; None once it was abandoned."""
        return self.box.ref if not self.is_abandoned else None

    def hold(self, ref: ActorRef[Any], message: Any, future: Future[Any] | None) -> None:
        """Keep a send until the commit; one to a durable actor of the same store is part of it."""
        if self.is_abandoned and not self.is_over:
            raise late_send()
        if self.is_over:  # an asyncio task that outlived its handler
            self.send(ref, message, future, self.outer)
        elif type(message) is not Stop and self.box.runtime.keeps(ref):
            box = self.box
            asker = box.node if future is not None else None
            letter = Letter(ref._key, self.packed(message), box.address, asker, future)  # type: ignore[attr-defined]
            self.effects.letters.append(letter)
        else:
            self.held.append((ref, message, future))

    def packed(self, message: Any) -> bytes:
        """Return a message as it is stored, with the event that is its cause, if there is one."""
        body, cause = pack(message, self.scheduler.payload_limit), self.item[1]
        return with_cause(body, cause) if type(cause) is Caused else body

    def send(self, ref: ActorRef[Any], message: Any, future: Future[Any] | None, outer: Execution) -> None:
        """Send in the actor's name, and hold nothing."""
        if not ref._is_remote:
            ref._arrive(message, future, self.box.ref)
            return
        token = CURRENT.set(Behalf(self.box.ref, outer))
        try:
            ref._send(message, future)
        finally:
            CURRENT.reset(token)

    def send_away(self, held: list[tuple[ActorRef[Any], Any, Future[Any] | None]]) -> None:
        """Make the held sends: to other processes they may wait, and so are nothing for the holder of the baton."""
        outer = CURRENT.get()
        assert outer is not None
        for ref, message, future in held:
            try:
                self.send(ref, message, future, outer)
            except BaseException as raised:  # noqa: BLE001 - it pickles the user's objects, and the others have to leave
                error = contained(self.box.ref, raised)
                if future is not None:
                    future._settle(None, error)
                else:
                    self.undelivered(ref, message, error)

    def undelivered(self, ref: ActorRef[Any], message: Any, error: BaseException) -> None:
        """Make a message a dead letter that could not be sent."""
        events = self.scheduler.events
        self.scheduler.post_work(lambda: events.dead_letter(ref, message, self.box.ref, error))

    def wait(self, future: Future[Any], timeout: float | None) -> None:
        """Wait for an event that is no answer: the end of a sleep, of a task, of a spawn.

        Raises:
            DefinitionError: the future is an answer.
        """
        if is_answer(future):
            raise DefinitionError(CURE)
        self.outer.wait(future, timeout)

    # --- its end -----------------------------------------------------------------------------------------------------

    def perform(self, run: Callable[[], Any]) -> Any:
        """Run the handler; return the scheduler's next step: SUSPENDED until the commit."""
        token = CURRENT.set(self)
        try:
            result = run()
        except BaseException as error:  # noqa: BLE001 - each kind has its own rule
            CURRENT.reset(token)
            return self.failed(error)
        CURRENT.reset(token)
        if type(result) is CoroutineType:
            return self.drive(result)
        return SUSPENDED if result is SUSPENDED else self.succeeded(result)  # it runs in another process

    def run_row(self) -> Any:
        """Run the message of a row, or of a timer."""
        effects = self.effects
        row = effects.entry or effects.timer
        assert row is not None
        runtime = self.box.runtime
        message = unpack(runtime, row.body)
        if type(message) is Caused:
            self.item = (None, message, None, None)  # type: ignore[assignment]  # so that what it sends has the cause, too
            message = message.message
        self.message = message
        if row.sender is not None:
            self.sender = read_sender(runtime, row.sender)
        return self.dispatch(message)

    def dispatch(self, message: Any) -> Any:
        """Run a message's handler."""
        if self.scheduler.load is not None:
            self.scheduler.load.begin(self.box.ref, message)
        return dispatch(self.box.ref, message)

    async def drive(self, coro: Coroutine[Any, Any, Any]) -> Any:
        """Run an `async def` handler."""
        try:
            value = await steps(self, coro)
        except BaseException as error:  # noqa: BLE001 - each kind has its own rule
            return self.failed(error)
        return self.succeeded(value)

    def succeeded(self, value: Any) -> Any:
        """Put the effects into the open batch."""
        if self.is_abandoned:
            return self.abandoned()
        effects = self.effects
        try:
            effects.state = self.state_bytes()
            if effects.entry is not None and effects.entry.asker is not None and effects.ending == "done":
                effects.answer = encode(value, "the answer")
            limit = self.scheduler.payload_limit
            if effects.state is not None and len(effects.state) > limit:  # the path of an actor takes 0.5 us
                check_size(effects.state, f"the state of {self.box.ref.path}", limit)
            check_size(effects.answer, "the answer", limit)
        except BaseException as error:  # noqa: BLE001 - users' code runs there: a failure like any other in the handler
            return self.failed(error)
        return self.submit()

    def submit(self) -> Any:
        """Hand the effects to whoever commits them."""
        raise NotImplementedError

    def state_bytes(self) -> bytes:
        """Return the actor's state as it is stored.

        Raises:
            PayloadError: a part of it cannot be stored.
        """
        return state_bytes(self.actor)

    def abandoned(self) -> None:
        """Drop everything: the actor has gone on without this handler."""
        self.is_over = True
        self.drop_sends()

    def failed(self, error: BaseException) -> Any:
        """Roll back, and answer the caller; or try again, or give up."""
        if self.is_abandoned:
            logger.info("An abandoned handler ended with %r", error)
            return self.abandoned()
        box, effects = self.box, self.effects
        refusal = self.is_refusal(error)
        if not refusal:
            box.roll_back()
        self.drop_sends()
        self.effects = Effects(box.name, box.node, box.epoch, box.stored, entry=effects.entry, timer=effects.timer)
        self.effects.timer_due = effects.timer_due
        if isinstance(error, Stopping) and must_stop(box.ref):
            box.put_back(effects.entry)
            return CHANGED
        if not is_contained(error):  # KeyboardInterrupt drains, any other is pykka's rule; the row stays
            box.put_back(effects.entry)
            return core_failed(self.scheduler, self.outer, error, None) or CHANGED
        self.failure = error
        entry = effects.entry
        if entry is not None and entry.asker is not None:
            logger.info("Exception returned from %s to caller:", box.ref, exc_info=error)
            self.effects.error = write_error(error)
        elif refusal:
            if (row := self.timer_of_answer()) is not None:  # it has come, if in vain
                self.effects.dropped_timers.append(row)
            self.after.append(lambda: self.dead_letter(error))
        else:
            self.count(error)
        return self.submit()

    def timer_of_answer(self) -> int | None:
        """Return the number of the timer that ends the wait for the answer that is handled; None if it is none."""
        message = self.message
        return message.timer_in(self.box.timers) if type(message) is PipedAnswer else None

    def end_in_vain(self) -> None:
        """Make the message a dead letter; with it ends the timer of an answer whose timeout no method would hear of."""
        self.effects.ending = "dead"
        if type(self.message) is PipedAnswer and self.message.failed is None:
            row = self.timer_of_answer()
            if row is not None:
                self.effects.dropped_timers.append(row)

    def is_refusal(self, error: BaseException) -> bool:
        """Say whether an error is the refusal of a machine, which is as it was."""
        return isinstance(error, TransitionRefused) and error.refused_by == id(self.actor)

    def count(self, error: BaseException) -> None:
        """Count a failed try, and decide on the next step: another try, a dead letter or a crash."""
        box, effects = self.box, self.effects
        tried: Any = effects.entry or effects.timer or self
        tried.attempt += 1
        timed = box.timed
        rng = self.scheduler.random_for(f"{box.ref.path} retry")
        pause = (box.retry if timed is None else timed).pause(tried.attempt, error, rng)
        effects.error = write_error(error)
        if pause is not None:
            if timed is not None:
                effects.error = timed.stored(effects.error)
            effects.ending = "again"
            self.pause = pause
            text = "%s failed on %s (try %d), rolled back; again in %.3g s"
            logger.warning(text, box.ref, text_of(self.message), tried.attempt, pause, exc_info=error)
            return
        self.end_in_vain()
        text = "%s failed on %s %s, rolled back; it is a dead letter"
        logger.error(text, box.ref, text_of(self.message), plural(tried.attempt, "time"), exc_info=error)
        self.after.append(lambda: self.dead_letter(error))

    def dead_letter(self, error: BaseException) -> None:
        """Publish the message as a dead letter."""
        self.scheduler.events.dead_letter(self.box.ref, self.message, self.sender, error)

    def drop_sends(self) -> None:
        """Forget the held sends; the waits for answers to them hear so."""
        for letter in self.effects.letters:  # their commit may have failed after they were numbered
            if letter.future is not None and self.box.runtime.asks.get(letter.number) is letter.future:
                self.box.runtime.asks.take(letter.number)
        futures = [future for _, _, future in self.held] + [letter.future for letter in self.effects.letters]
        for future in futures:
            if future is not None:
                future._settle(None, ActorDeadError(f"it was not sent: the handler of {self.box.ref.path} failed"))
        self.held.clear()
        self.after.clear()
        self.stashed = self.unstashes = False


def is_answer(future: Future[Any]) -> bool:
    """Say whether an actor is to set the future, for an ask."""
    return any(one._target is not None and not one._patient for one in future._awaited() if not one._done)


@types.coroutine
def steps(unit: UnitOfWork, coro: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Drive a handler's coroutine within its unit; each step is part of it, the waits between are not."""
    unit.outer = outer = CURRENT.get()  # type: ignore[assignment]
    unit.suspends = outer is not None and outer.suspends
    error: BaseException | None = None
    while True:
        token = CURRENT.set(unit)
        try:
            awaited = coro.send(None) if error is None else coro.throw(error)
        except StopIteration as stop:
            return stop.value
        finally:
            CURRENT.reset(token)
        error = None
        if isinstance(awaited, Future) and is_answer(awaited):
            error = DefinitionError(CURE)
            continue
        try:
            yield awaited
        except GeneratorExit:
            coro.close()
            raise
        except BaseException as raised:  # noqa: BLE001 - it is the handler's
            error = raised
