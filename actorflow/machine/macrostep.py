"""Macrostep: an event run to completion, with all that charts may have. Layer 3.

The main loop of the SCXML recommendation, appendix D, for one external event at a time. Functions on an interpreter:
its own methods are the common step and what users call. Two orders, and two rules for errors:

- "action first": actions, exits, record, listeners, enters. A failed guard, action or exit leaves configuration and
  history as they were. A failed enter leaves the new state in force and raises "error.execution" inside; if nothing
  handles it, it counts as a failure too. The first failure is raised once the event has run to completion.
- "scxml": exits, actions, enters. A block that fails ends, "error.execution" is raised inside, and the step goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.log import logger
from actorflow.errors import DefinitionError, TransitionRefused
from actorflow.machine import sets
from actorflow.machine.event import Event
from actorflow.machine.pending import Due, Pending, TimerKey
from actorflow.machine.program import Choice, Configuration, Entered, Move, Regions, Step

if TYPE_CHECKING:
    from actorflow.machine.interpreter import Interpreter

STEPS: Final = 10_000  # that one event may cause: a chart that takes more goes round in circles
START: Final = Event("start", kind="platform")
FAILED: Final = "error.execution"


# --- one event -------------------------------------------------------------------------------------------------------


def send(machine: Interpreter, event: Event) -> Any:
    """Handle an external event; while another is handled, queue it."""
    if machine._running:
        pending_of(machine).external.append(event)
        return None
    if machine._configuration.final and machine._program.scxml:
        return None  # the session is over, and has run its exit blocks
    return complete(machine, lambda: handle(machine, event))


def go_on(machine: Interpreter, event: Event, choice: Choice | None) -> Any:
    """Go on with an event whose guards have been asked, and which takes more than the common step."""
    if choice is not None and choice.move.choose is not None:  # it may yet decline, and the next candidate be asked
        return complete(machine, lambda: handle(machine, event))
    return complete(machine, lambda: _take_chosen(machine, event, choice))


def _take_chosen(machine: Interpreter, event: Event, choice: Choice | None) -> Any:
    machine.event = event
    if machine._pending is not None and machine._pending.children:
        _pass_on(machine, event)
    return without_transition(machine, event) if choice is None else take(machine, (choice.move,), event)


def fail(machine: Interpreter, before: Configuration, error: Exception) -> None:
    """The common step raised: what it has sent or raised until then is handled all the same."""
    machine._program.failed += 1
    if machine._pending is not None:
        _say(machine, _finish(machine, before), error)


def name_part(machine: Interpreter, error: Exception, part: str, event: str) -> None:
    """Say in a user's error which part of a transition has failed."""
    at = f"at event {event!r}" if event else "without an event"
    note = f"{machine.chart.name}: {part} failed, {at}, in state {machine.state!r}"
    if note not in getattr(error, "__notes__", ()):  # one object may be raised again and again
        error.add_note(note)


def _say(machine: Interpreter, other: Exception | None, raised: Exception) -> None:
    """Log a failure that another one hides: only one can be raised."""
    if other is not None and other is not raised:
        logger.error("One event failed twice in %s; this is the second time:", machine.chart.name, exc_info=other)


def start(machine: Interpreter) -> None:
    """Enter the initial configuration."""
    step = machine._program.start

    def begin() -> None:
        if machine._program.scxml:
            _take_scxml(machine, step, START)
            return
        for action in step.actions:
            action(machine.model)
        move_to(machine, step, START, ())

    complete(machine, begin)


def complete(machine: Interpreter, begin: Callable[[], Any]) -> Any:
    """Begin a macrostep, and go on until nothing is left to do."""
    machine._running = True
    try:
        return _complete(machine, begin)
    finally:
        machine._running = False
        machine.event = None


def _complete(machine: Interpreter, begin: Callable[[], Any]) -> Any:
    before = machine._configuration
    failure: Exception | None = None
    value = None
    try:
        value = begin()
    except Exception as error:  # noqa: BLE001 - what was begun is finished, and the error raised then
        failure = error
    later = _finish(machine, before)
    if failure is None:
        failure = later
    else:
        _say(machine, later, failure)
    if failure is not None:
        if not _is_refusal(machine, failure):
            machine._program.failed += 1
        raise failure
    return value


def _is_refusal(machine: Interpreter, error: Exception) -> bool:
    """Say whether it is this machine that has refused: an action may have asked another one."""
    return isinstance(error, TransitionRefused) and error.refused_by == id(machine._platform.owner)


def _finish(machine: Interpreter, before: Configuration) -> Exception | None:
    """Take what follows: eventless transitions, raised events, deferred ones, and those sent meanwhile."""
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
            _say(machine, later, failure)


def _handle_later(machine: Interpreter, event: Event) -> Exception | None:
    """Handle an event that had to wait; return its error, unless somebody else hears of it."""
    value, error = None, None
    event.waits = False
    try:
        value = handle(machine, event)
    except Exception as raised:  # noqa: BLE001 - it goes to who waits for it
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
    """Tell who waits for a deferred event; once, so that the frames in the error's traceback do not keep him."""
    answer, event.answer = event.answer, None
    assert answer is not None
    answer(value, error)


def handle(machine: Interpreter, event: Event) -> Any:
    """Select and take transitions for an event; raise if there is none."""
    program = machine._program
    machine.event = event
    timed = not program.seen & 63  # SAMPLE of the interpreter
    begin = time.perf_counter() if timed else 0.0
    if machine._pending is not None and machine._pending.children:
        _pass_on(machine, event)
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


def _pass_on(machine: Interpreter, event: Event) -> None:
    """Do for an external event what invoked children want: finalize, autoforward (appendix D, `mainEventLoop`)."""
    for invoke, child in list(pending_of(machine).children.values()):
        if invoke.finalize is not None and invoke.id == event.invokeid:
            function = machine._program.function(invoke.finalize)
            assert function is not None
            guarded(machine, function, event.args)
        if invoke.autoforward and invoke.id != event.invokeid:
            machine._platform.forward(child, event)


def without_transition(machine: Interpreter, event: Event) -> Any:
    """Defer an event that no transition takes, drop it (SCXML), or refuse it."""
    configuration = machine._configuration
    if any(sets.matches(pattern, event.name) for pattern in configuration.defers):
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


def refusal(machine: Interpreter, event: Event) -> TransitionRefused:
    """Return the error of an event that no transition takes."""
    error = TransitionRefused(machine.state, event.name, machine.legal, machine.chart.name)
    error.refused_by = id(machine._platform.owner)
    return error


def raise_event(machine: Interpreter, event: Event) -> None:
    """Queue an internal event; outside of a step it is handled at once, and refused if nothing takes it."""
    pending = pending_of(machine)
    if machine._running or not machine._configuration.names:  # before the start, it waits for that
        pending.internal.append(event)
    else:
        complete(machine, lambda: handle(machine, event))


def may(machine: Interpreter, event: Event) -> bool:
    """Say whether something would be taken."""
    return bool(select(machine, event))


# --- what follows ----------------------------------------------------------------------------------------------------


def settle(machine: Interpreter, before: Configuration) -> None:
    """After a common step: take what follows from it, and raise the first failure."""
    failure = _finish(machine, before)
    if failure is not None:
        raise failure


def _settle(machine: Interpreter) -> Exception | None:
    """Take eventless transitions, then internal events, until there are none; then start children."""
    failure: Exception | None = None
    restless = True  # an eventless transition that failed is not tried again for this event
    for _ in range(STEPS):
        configuration = machine._configuration
        pending = machine._pending
        if configuration.final:
            failure = failure or _failed_last(machine)
            _end(machine)
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


def _failed_last(machine: Interpreter) -> Exception | None:
    """Return the error of an enter of the final state: nothing can handle it any more."""
    if machine._program.scxml or machine._pending is None:
        return None
    errors = (event.data for event in machine._pending.internal if event.name == FAILED)
    return next((error for error in errors if isinstance(error, Exception)), None)


def _take_eventless(machine: Interpreter) -> bool:
    moves = _select(machine, machine._configuration.eventless, NOTHING)
    if moves:
        take(machine, moves, NOTHING)
    return bool(moves)


NOTHING: Final = Event("", kind="internal")


def _take_internal(machine: Interpreter, pending: Pending) -> bool:
    """Handle the next internal event, or start what entered states invoke; False if there is nothing to do."""
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
        return _start_children(machine, pending)
    return False


def _unhandled(machine: Interpreter, event: Event) -> None:
    """No transition takes an internal event: an error is a failure, a raised event is refused, others are dropped."""
    if event.name == FAILED and isinstance(event.data, Exception):
        raise event.data
    if event.kind == "internal":
        machine._program.refused += 1
        machine._platform.refused(event, refusal(machine, event))


# --- selection -------------------------------------------------------------------------------------------------------


def select(machine: Interpreter, event: Event) -> tuple[Move, ...]:
    """Return the transitions that an event takes: `selectTransitions` of appendix D."""
    configuration = machine._configuration
    candidates = configuration.candidates.get(event.name)
    if candidates is None:
        candidates = machine._program.candidates(configuration, event.name)
    return _select(machine, candidates, event)


def _select(machine: Interpreter, candidates: Any, event: Event) -> tuple[Move, ...]:
    if not isinstance(candidates, Regions):
        move = _first(machine, candidates, event)
        return () if move is None else (move,)
    asked: dict[Choice, Move | None] = {}  # an ancestor's guard is asked once, not once a region
    found: dict[Move, None] = {}
    for choices in candidates.of_atomic:
        move = _first(machine, choices, event, asked)
        if move is not None:
            found[move] = None
    return machine._program.conflict_free(machine._configuration, list(found), _remembered(machine))


def _first(
    machine: Interpreter, choices: Iterable[Choice], event: Event, asked: dict[Choice, Move | None] | None = None
) -> Move | None:
    """Return the first that its guard allows."""
    for choice in choices:
        if asked is not None and choice in asked:
            move = asked[choice]
        else:
            move = _allowed(machine, choice.move, event)
            if asked is not None:
                asked[choice] = move
        if move is not None:
            return move
    return None


def _allowed(machine: Interpreter, move: Move, event: Event) -> Move | None:
    guard = move.guard
    if guard is not None:
        if not machine._program.scxml:
            try:
                if not guard(machine.model, *event.args, **event.kwargs):
                    return None
            except Exception as error:
                name_part(machine, error, "a guard", event.name)
                raise
        elif not guarded(machine, guard, event.args):
            return None
    if move.choose is None:
        return move
    target = move.choose(machine.model, event)
    return None if target is None else machine._program.chosen(move, target)


# --- steps -----------------------------------------------------------------------------------------------------------


def take(machine: Interpreter, moves: tuple[Move, ...], event: Event) -> Any:
    """Take transitions together: `microstep` of appendix D. Returns what the last action returned."""
    if not moves:
        return None
    source = machine._configuration
    program = machine._program
    step = program.step(source, moves, _remembered(machine))
    if len(moves) == 1 and moves[0].transition.choose is None and program.is_fixed(step):
        _keep(source, event, step)
    if program.scxml:
        return _take_scxml(machine, step, event)
    value = None
    part = "an action"
    try:
        for action in step.actions:
            value = action(machine.model, *event.args, **event.kwargs)
        part = "an exit hook"
        for hook in step.exits:
            hook(machine.model)
    except Exception as error:
        name_part(machine, error, part, event.name)
        raise
    move_to(machine, step, event, (*event.args, event.kwargs) if event.kwargs else event.args)
    return value


def _keep(source: Configuration, event: Event, step: Step) -> None:
    """Let the common path know the step: it is always the same."""
    choices = source.candidates.get(event.name)
    if isinstance(choices, tuple):
        for choice in choices:
            if choice.move is step.moves[0]:
                choice.step = step


def move_to(machine: Interpreter, step: Step, event: Event, data: tuple[Any, ...]) -> None:
    """Make the target the configuration: end what ends, record, tell the listeners, and enter."""
    _leave(machine, step)
    machine._configuration = step.target
    if event is not START and (machine._records or machine._listeners):
        machine._note(step.source, step.target, event.name or None, data)
    for entered in step.entered:
        for hook in entered.hooks:
            guarded(machine, hook, (), "an enter hook", event.name)
        _entered(machine, entered)


def enter_plainly(machine: Interpreter, step: Step, event: str) -> None:
    """Run the hooks of a common step, which enters states that have nothing else."""
    for hook in step.enters:
        guarded(machine, hook, (), "an enter hook", event)


def _leave(machine: Interpreter, step: Step) -> None:
    """Update the history states, cancel the timeouts of the states that are left, and end their children."""
    if step.remembered:
        pending_of(machine).remembered.update(step.remembered)
    for name in step.left:
        _end_what_lives_in(machine, name)


def _end_what_lives_in(machine: Interpreter, name: str) -> None:
    pending = machine._pending
    if pending is None:
        return
    for move in machine._program.timeouts_of(name):
        cancel_timer(machine, move.key)
    for invoke in machine._program.invokes_of(name):
        _, child = pending.children.pop((name, invoke.id), (None, None))
        if child is not None:
            machine._platform.end_child(child)
    pending.invoking = [one for one in pending.invoking if one[0] != name]


def _entered(machine: Interpreter, entered: Entered) -> None:
    """Do what follows a state's own hooks: default actions, timeouts, done events."""
    for action in entered.actions:
        guarded(machine, action, ())
    for move in entered.timeouts:
        assert move.transition.after is not None
        start_timer(machine, move.key, move.transition.after, None)
    if entered.invokes:
        pending_of(machine).invoking += [(entered.name, invoke) for invoke in entered.invokes]
    for name, data in entered.done:
        args = () if data is None else (guarded(machine, data, ()),)
        pending_of(machine).internal.append(Event(name, args, kind="platform"))


def guarded(
    machine: Interpreter, function: Callable[..., Any], args: tuple[Any, ...], part: str = "", event: str = ""
) -> Any:
    """Call a function of the user's; its error becomes the event "error.execution"."""
    try:
        return function(machine.model, *args)
    except Exception as error:  # noqa: BLE001 - the chart may handle it
        if part:
            name_part(machine, error, part, event)
        pending_of(machine).internal.append(Event(FAILED, (error,), kind="platform"))
        return None


def _take_scxml(machine: Interpreter, step: Step, event: Event) -> None:
    """Exit, act, enter; `In` sees each change as it comes."""
    pending = pending_of(machine)
    program = machine._program
    states = program.chart.states
    pending.remembered.update(step.remembered)
    pending.active = active = set(step.source.names)
    try:
        for name in step.left:
            for hook in program.functions(states[name].exit):
                guarded(machine, hook, ())
            _end_what_lives_in(machine, name)
            active.discard(name)
        for action in step.actions:
            guarded(machine, action, event.args)
        if event is not START and (machine._records or machine._listeners):
            machine._note(step.source, step.target, event.name or None, event.args)
        for entered in step.entered:
            active.add(entered.name)
            for hook in entered.hooks:
                guarded(machine, hook, ())
            _entered(machine, entered)
    finally:
        pending.active = None
        machine._configuration = step.target


# --- children, timers, the end ---------------------------------------------------------------------------------------


def _start_children(machine: Interpreter, pending: Pending) -> bool:
    """Start what the states invoke that were entered and not left again: at the end of a macrostep."""
    invoking, pending.invoking = pending.invoking, []
    for name, invoke in invoking:
        try:
            child = machine._platform.start_child(machine, invoke)
        except Exception as error:  # noqa: BLE001 - the chart may handle it
            pending.internal.append(Event(FAILED, (error,), kind="platform", invokeid=invoke.id))
        else:
            pending.children[name, invoke.id] = (invoke, child)
    return bool(pending.internal)


def drop_child(machine: Interpreter, child: Any) -> None:
    """Forget a child that has ended, and see to its end."""
    children = pending_of(machine).children
    for key, (_, token) in list(children.items()):
        if token == child:
            del children[key]
            machine._platform.end_child(child)


def start_timer(machine: Interpreter, key: TimerKey, seconds: float, event: Event | None) -> None:
    """Start a timer."""
    add_timer(machine, Due(key, machine._platform.time() + seconds, event), seconds)


def add_timer(machine: Interpreter, due: Due, seconds: float) -> None:
    """Start a timer that may have run before, in a snapshot."""
    pending_of(machine).timers[due.key] = due
    due.cancel = machine._platform.add_timer(seconds, partial(fire, machine, due))


def cancel_timer(machine: Interpreter, key: TimerKey) -> bool:
    """Cancel a timer; True if there was one."""
    due = None if machine._pending is None else machine._pending.timers.pop(key, None)
    if due is not None and due.cancel is not None:
        due.cancel()
    return due is not None


def fire(machine: Interpreter, due: Due) -> Any:
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
        allowed = _allowed(machine, move, event)
        return None if allowed is None else take(machine, (allowed,), event)

    return complete(machine, begin)


def _end(machine: Interpreter) -> None:
    """A final state at the top is reached: no timers, no children, nothing waits. SCXML exits what is active."""
    pending = machine._pending
    if machine._program.scxml:
        chart = machine.chart
        for name in reversed(chart.in_order(machine._configuration.names)):
            for hook in machine._program.functions(chart.states[name].exit):
                guarded(machine, hook, ())
    if pending is None:
        return
    if machine._program.scxml:
        pending.external.clear()
    for key in list(pending.timers):
        cancel_timer(machine, key)
    children, pending.children = pending.children, {}
    for _, child in children.values():
        machine._platform.end_child(child)
    pending.internal.clear()
    pending.invoking.clear()


def donedata(machine: Interpreter) -> Any:
    """Ask the active final state at the top for its data."""
    chart = machine.chart
    for name in machine._configuration.names:
        node = chart.states[name]
        if node.kind == "final" and node.parent == "" and node.donedata is not None:
            function = machine._program.function(node.donedata)
            assert function is not None
            return function(machine.model)
    return None


def pending_of(machine: Interpreter) -> Pending:
    """Return what few instances have; it is made at first need."""
    if machine._pending is None:
        machine._pending = Pending()
    return machine._pending


def _remembered(machine: Interpreter) -> sets.Remembered:
    return {} if machine._pending is None else machine._pending.remembered
