"""Stored pipes: asks of a durable handler to other durable actors, whose answers come as rows of its mailbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT
from actorflow.core.messages.handlers import handles
from actorflow.durable.handling.unit_of_work import UnitOfWork
from actorflow.durable.rows.answers import AnswerAddress, PipedAnswer
from actorflow.durable.rows.payload import read_failure
from actorflow.durable.rows.records import TimerRow
from actorflow.errors import AskTimeout, DefinitionError
from actorflow.store.error_json import write_error

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future


def pipe_stored(unit: UnitOfWork, future: Future[Any], answer: PipedAnswer, timeout: float | None) -> bool:
    """Have the answer to an ask of this handler come as a message; False if the future is another one, or is used.

    The message is put by the commit of the one who answers. A timeout is a timer of the asker, which the answer ends
    in the commit that handles it: if the timer is gone when the answer comes, the actor has heard of the timeout.
    """
    letter = next((letter for letter in reversed(unit.effects.letters) if letter.future is future), None)
    if letter is None or future._heard or future._wakes:
        return False
    if timeout is not None:
        bits = unit.scheduler.random_for(f"{unit.box.ref.path} pipe").getrandbits(64)
        answer.token = f"{unit.box.epoch}-{bits:x}"  # in virtual time, each life of an actor draws the same numbers
        due = unit.scheduler.clock.time() + timeout
        unit.effects.new_timers.append(TimerRow(0, due, None, 0, body_of_timeout(unit, answer, timeout)))
    letter.asker, letter.future = AnswerAddress(unit.box.name, answer.rest).text, None
    future._heard = True  # so that nobody is told that its error was not asked for
    msg = "its answer comes to the method that it was piped to: a future of a durable handler is piped once, at last"
    future._settle(None, DefinitionError(msg))
    return True


def body_of_timeout(unit: UnitOfWork, answer: PipedAnswer, timeout: float) -> bytes:
    """Return the message of the timer that ends the wait for an answer: an error that waits for no timer itself."""
    error = write_error(AskTimeout(f"no answer came in {timeout:g} s"))
    late = PipedAnswer(answer.name, answer.failed, None, answer.token, error)
    return unit.packed(late)


@handles(PipedAnswer)
def run_piped_answer(ref: Any, answer: PipedAnswer) -> Any:
    """Call the method that an answer was piped to."""
    unit = CURRENT.get()
    assert isinstance(unit, UnitOfWork)
    if answer.token is not None:
        row = answer.timer_in(ref._box.timers)
        if row is None:
            logger.info("%s: the answer for %s() came after its timeout, and is dropped", ref, answer.name)
            return None
        unit.effects.dropped_timers.append(row)
    if answer.error is None:
        return ref._actor._perform_named(answer.name, (answer.value,), {})
    error = read_failure(answer.error)
    if answer.failed is None:
        raise error
    return ref._actor._perform_named(answer.failed, (error,), {})


def keep_timer(unit: UnitOfWork) -> None:
    """Let the timer of an answer go on that is put aside: no method has handled it."""
    row = unit.timer_of_answer()
    if row in unit.effects.dropped_timers:
        unit.effects.dropped_timers.remove(row)
