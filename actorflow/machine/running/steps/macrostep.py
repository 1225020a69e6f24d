"""Macrostep: an event run to completion, with all that charts may have.

Appendix D's `mainEventLoop`, for one external event at a time. Two orders, and two rules for errors:

- "action first": actions, exits, record, listeners, enters. A failed guard, action or exit leaves configuration and
  history as they were. A failed enter leaves the new state in force and raises "error.execution" inside; if nothing
  handles it, it counts as a failure too. The first failure is raised once the event has run to completion.
- "scxml": exits, actions, enters. A block that fails ends, "error.execution" is raised inside, and the step goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from actorflow.errors import DefinitionError, TransitionRefused
from actorflow.machine.running import transition_sets
from actorflow.machine.running.configuration import Choice, Configuration
from actorflow.machine.running.event import Event
from actorflow.machine.running.pending import Pending, PendingTimer, pending_of
from actorflow.machine.running.steps.failures import FAILED, is_own_refusal, log_hidden, name_part, refusal
from actorflow.machine.running.steps.invocations import pass_on, start_children
from actorflow.machine.running.steps.microstep import START, move_to, take, take_in_scxml_order
from actorflow.machine.running.steps.selection import allowed, select, select_among
from actorflow.machine.running.steps.termination import failure_at_end, terminate

if TYPE_CHECKING:
    from actorflow.machine.running.interpreter import Interpreter


STEPS: Final = 10_000  # that one event may cause: a chart that takes more goes round in circles
NOTHING: Final = Event("", kind="internal")  # that eventless transitions are taken at


# --- one event --------------------------------------------------------------------------------------------------------


def start(machine: Interpreter) -> None:
    """Enter the initial configuration."""
    step = machine._program.start

    def begin() -> None:
        if machine._program.scxml:
            take_in_scxml_order(machine, step, START)
            return
        for action in step.actions:
            action(machine.model)
        move_to(machine, step, START, ())

    complete(machine, begin)


def send(machine: Interpreter, event: Event) -> Any:
    """Handle an external event; while another is handled, queue it."""
    if machine._running:
        pending_of(machine).external.append(event)
        return None
    if machine._configuration.final and machine._program.scxml:
        return None  # the session is over, and has run its exit blocks
    return complete(machine, lambda: handle(machine, event))


def go_on(machine: Interpreter, event: Event, choice: Choice | None) -> Any:
    """Handle the rest of an event that needs more than the common step, after its guards have been asked."""
    if choice is not None and choice.move.choose is not None:  # it may yet decline, and the next candidate be asked
        return complete(machine, lambda: handle(machine, event))
    return complete(machine, lambda: _take_chosen(machine, event, choice))


def _take_chosen(machine: Interpreter, event: Event, choice: Choice | None) -> Any:
    machine.event = event
    if machine._pending is not None and machine._pending.children:
        pass_on(machine, event)
    return without_transition(machine, event) if choice is None else take(machine, (choice.move,), event)


def handle(machine: Interpreter, event: Event) -> Any:
    """Select and take transitions for an event; raise if there is none."""
    program = machine._program
    machine.event = event
    timed = not program.seen & 63  # SAMPLE of the interpreter
    begin = time.perf_counter() if timed else 0.0
    if machine._pending is not None and machine._pending.children:
        pass_on(machine, event)
    moves = select(machine, event)
    if not moves:
        return without_transition(machine, event)
    middle = time.perf_counter() if timed else 0.0
    value = take(machine, moves, event)
    if timed:
        program.sampled += 1
        program.validation_time += middle - begin
        program.action_time += time.perf_counter() - middle
    return value


def without_transition(machine: Interpreter, event: Event) -> Any:
    """Defer an event that no transition takes, drop it (SCXML), or refuse it."""
    configuration = machine._configuration
    if any(transition_sets.matches(pattern, event.name) for pattern in configuration.defers):
        event.waits = True
        pending_of(machine).deferred.append(event)
        return None
    if machine._program.scxml:
        return None
    if event.kind == "platform":
        _unhandled(machine, event)
        return None
    machine._program.refused += 1
    raise refusal(machine, event)


def raise_event(machine: Interpreter, event: Event) -> None:
    """Queue an internal event; outside of a step it is handled at once, and refused if nothing takes it."""
    pending = pending_of(machine)
    if machine._running or not machine._configuration.names:  # before the start, it waits for that
        pending.internal.append(event)
    else:
        complete(machine, lambda: handle(machine, event))


def advance(machine: Interpreter) -> int:
    """Fire the timers that are due, the first one first; return how many."""
    fired = 0
    pending = machine._pending
    while pending is not None and pending.timers and not machine._running:
        first = min(pending.timers.values(), key=lambda one: one.due)
        if first.due > machine._platform.time():
            break
        if fired == STEPS:
            msg = f"{machine.chart.name} fired {fired:,} timers without an end: {first.key!r} starts itself again"
            raise DefinitionError(msg)
        fired += 1
        machine._fire(first)
    return fired


def fire(machine: Interpreter, due: PendingTimer) -> Any:
    """A timer is due: send its event, or take the transition of the state that has timed out."""
    pending = machine._pending
    if pending is None or pending.timers.get(due.key) is not due:
        return None  # it was cancelled, or replaced
    del pending.timers[due.key]
    if due.event is not None:
        return machine.send_event(due.event)
    assert isinstance(due.key, tuple)
    return time_out(machine, *due.key)


def time_out(machine: Interpreter, name: str, place: int) -> Any:
    """Take the transition at that place of an active state: its time is up."""
    move = machine._program.moves_of(name)[place]
    event = Event(move.transition.actions[0].name if move.transition.actions else f"after.{name}", kind="platform")

    def begin() -> Any:
        machine.event = event
        taken = allowed(machine, move, event)
        return None if taken is None else take(machine, (taken,), event)

    return complete(machine, begin)


# --- to completion ----------------------------------------------------------------------------------------------------


def complete(machine: Interpreter, begin: Callable[[], Any]) -> Any:
    """Begin a macrostep, and go on until nothing is left to do; first finish one that was interrupted."""
    was_interrupted = machine._running is None
    try:
        machine._running = True
        failure = _finish_interrupted(machine) if was_interrupted else None
        value = _complete(machine, begin, failure)
        machine._running = False
        machine.event = None
    except BaseException as error:
        machine._running = None  # at once: another signal may come in the next line
        machine.event = None
        if isinstance(error, Exception):
            machine._running = False
        raise
    return value


def _finish_interrupted(machine: Interpreter) -> Exception | None:
    """Handle the events that an interrupted one has raised, and all else that follows from it; return the failure."""
    if not machine._configuration.names:  # it was the start, which may be tried again
        return None
    return _finish(machine, machine._program.nowhere)  # deferred events are looked at once more: they may fit now


def _complete(machine: Interpreter, begin: Callable[[], Any], earlier: Exception | None) -> Any:
    before = machine._configuration
    failure: Exception | None = None
    value = None
    try:
        value = begin()
    except Exception as error:  # noqa: BLE001 - the step is finished, and the error raised then
        failure = error
    later = _finish(machine, before)
    if failure is None:
        failure = later
    else:
        log_hidden(machine, later, failure)
    if earlier is not None:
        log_hidden(machine, failure, earlier)
        failure = earlier
    if failure is not None:
        if not is_own_refusal(machine, failure):
            machine._program.failed += 1
        raise failure
    return value


def settle(machine: Interpreter, before: Configuration) -> None:
    """Take the steps that follow a common step, and raise the first failure."""
    failure = _finish(machine, before)
    if failure is not None:
        raise failure


def break_off(machine: Interpreter, before: Configuration, error: BaseException, part: str, event: str) -> None:
    """Handle the events that a common step has sent or raised before it failed.

    After an interruption, such as Ctrl-C, that is left to the next event: the user has asked for an end.
    """
    if not isinstance(error, Exception):
        return
    machine._running = True
    try:
        if part:
            name_part(machine, error, part, event)
        machine._program.failed += 1
        if machine._pending is not None:
            log_hidden(machine, _finish(machine, before), error)
    except BaseException:
        machine._running = None
        raise
    machine._running = False


def _finish(machine: Interpreter, before: Configuration) -> Exception | None:
    """Take the steps that follow: eventless transitions, raised events, deferred ones, and those sent meanwhile."""
    failure = _settle(machine)
    pending = machine._pending
    if pending is None:
        return failure
    while True:
        if pending.deferred and machine._configuration.names != before.names:
            before = machine._configuration
            recalled = list(pending.deferred)
            pending.deferred.clear()
            pending.external.extendleft(reversed(recalled))
        if not pending.external:
            return failure
        later = _handle_later(machine, pending.external.popleft())
        if failure is None:
            failure = later
        else:
            log_hidden(machine, later, failure)


def _handle_later(machine: Interpreter, event: Event) -> Exception | None:
    """Handle an event that had to wait; return its error, unless somebody else hears of it."""
    value, error = None, None
    event.waits = False
    try:
        value = handle(machine, event)
    except Exception as raised:  # noqa: BLE001 - it goes to the caller
        error = raised
    later = _settle(machine)
    error = error or later
    if event.waits:
        return None
    if event.answer is not None:
        _answer(event, value, error)
    elif isinstance(error, TransitionRefused):
        machine._platform.refused(event, error)
    else:
        return error
    return None


def _answer(event: Event, value: Any, error: Exception | None) -> None:
    """Tell the caller of a deferred event; once, so that the frames in the error's traceback do not keep it alive."""
    answer, event.answer = event.answer, None
    assert answer is not None
    answer(value, error)


# --- later steps ------------------------------------------------------------------------------------------------------


def _settle(machine: Interpreter) -> Exception | None:
    """Take eventless transitions, then internal events, until there are none; then start children."""
    failure: Exception | None = None
    restless = True  # an eventless transition that failed is not tried again for this event
    left = STEPS
    while left > 0:
        configuration = machine._configuration
        pending = machine._pending
        left -= 1
        if pending is not None:
            left -= pending.work
            pending.work = 0
        if configuration.final:
            failure = failure or failure_at_end(machine)
            terminate(machine)
            return failure
        try:
            if restless and configuration.eventless:
                restless = False
                if _take_eventless(machine):
                    restless = True
                    continue
                restless = True
            if pending is None or not _take_internal(machine, pending):
                return failure
        except Exception as error:  # noqa: BLE001 - raised once the event has run to completion
            failure = failure or error
    msg = (
        f"{machine.chart.name} took {STEPS:,} steps for one event and is in {machine.state!r}: it goes round in circles"
    )
    if machine._pending is not None:
        machine._pending.internal.clear()  # or the next event would go round too
    return failure or DefinitionError(msg)


def _take_eventless(machine: Interpreter) -> bool:
    moves = select_among(machine, machine._configuration.eventless, NOTHING)
    if moves:
        take(machine, moves, NOTHING)
    return bool(moves)


def _take_internal(machine: Interpreter, pending: Pending) -> bool:
    """Handle the next internal event, or start the children of entered states; False if there is nothing to do."""
    if pending.internal:
        event = pending.internal.popleft()
        machine.event = event
        moves = select(machine, event)
        if moves:
            take(machine, moves, event)
        elif not machine._program.scxml:
            _unhandled(machine, event)
        return True
    if pending.invoking:
        return start_children(machine, pending)
    return False


def _unhandled(machine: Interpreter, event: Event) -> None:
    """No transition takes an internal event: an error is a failure, a raised event is refused, others are dropped."""
    if event.name == FAILED and isinstance(event.data, Exception):
        raise event.data
    if event.kind == "internal":
        machine._program.refused += 1
        machine._platform.refused(event, refusal(machine, event))
