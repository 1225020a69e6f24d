"""Microstep: transitions taken together, from one configuration to the next. Appendix D's `microstep`.

The effect of a function's error on it, in either order of its parts, is described in `macrostep`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actorflow.machine.running.configuration import ChartStep, Configuration, Entered, EventHook, Move
from actorflow.machine.running.event import Event
from actorflow.machine.running.pending import pending_of, remembered_by
from actorflow.machine.running.steps.failures import guarded, name_part
from actorflow.machine.running.steps.invocations import end_children_of
from actorflow.machine.running.steps.timers import cancel_timer, start_timer

if TYPE_CHECKING:
    from actorflow.machine.running.interpreter import Interpreter


WIDE: Final = 8  # states left and entered for which a step counts once more: it takes as long as many steps
START: Final = Event("start", kind="platform")


def take(machine: Interpreter, moves: tuple[Move, ...], event: Event) -> Any:
    """Take transitions together: `microstep` of appendix D. Returns the result of the last action."""
    if not moves:
        return None
    source = machine._configuration
    program = machine._program
    step = program.step(source, moves, remembered_by(machine))
    if len(moves) == 1 and moves[0].transition.choose is None and program.is_fixed(step):
        _keep(source, event, step)
    if program.scxml:
        return take_in_scxml_order(machine, step, event)
    value = None
    part = "an action"
    try:
        for action in step.actions:
            value = action(machine.model, *event.args, **event.kwargs)
        part = "an exit hook"
        for hook in step.exits:
            if isinstance(hook, EventHook):
                hook.function(machine.model, machine.event or event)
            else:
                hook(machine.model)
    except Exception as error:
        name_part(machine, error, part, event.name)
        raise
    move_to(machine, step, event, (*event.args, event.kwargs) if event.kwargs else event.args)
    return value


def _keep(source: Configuration, event: Event, step: ChartStep) -> None:
    """Let the common path know the step: it is always the same."""
    choices = source.candidates.get(event.name)
    if isinstance(choices, tuple):
        for choice in choices:
            if choice.move is step.moves[0]:
                choice.step = step


def move_to(machine: Interpreter, step: ChartStep, event: Event, data: tuple[Any, ...]) -> None:
    """Make the target the configuration: end timers and children, record, tell the listeners, and enter."""
    _leave(machine, step)
    machine._configuration = step.target
    if event is not START and (machine._records or machine._listeners):
        machine._note(step.source, step.target, event.name or None, data)
    _enter(machine, step, event)


def _enter(machine: Interpreter, step: ChartStep, event: Event, active: set[str] | None = None) -> None:
    """Enter the states of a step, one by one; `active` gets their names."""
    part = "an enter hook" if active is None else ""
    left = list(reversed(step.entered))
    try:
        while left:
            entered = left[-1]
            if active is not None:
                active.add(entered.name)
            for hook in entered.hooks:
                if isinstance(hook, EventHook):
                    guarded(machine, hook.function, (machine.event or event,), part, event.name)
                else:
                    guarded(machine, hook, (), part, event.name)
            for action in entered.actions:
                guarded(machine, action, ())
            _begin_what_lives_in(machine, entered)
            left.pop()
            for name, data in entered.done:
                args = () if data is None else (guarded(machine, data, ()),)
                pending_of(machine).internal.append(Event(name, args, kind="platform"))
    finally:
        for entered in reversed(left):  # Ctrl-C in a hook: the states are in force, and so are their timeouts
            _begin_what_lives_in(machine, entered)


def enter_plainly(machine: Interpreter, step: ChartStep, event: str) -> None:
    """Run the hooks of a common step, which enters states that have nothing else."""
    for hook in step.enters:
        guarded(machine, hook, (), "an enter hook", event)


def _leave(machine: Interpreter, step: ChartStep) -> None:
    """Update the history states, cancel the timeouts of the states that are left, and end their children."""
    if step.remembered:
        pending_of(machine).remembered.update(step.remembered)
    for name in step.left:
        _end_what_lives_in(machine, name)


def _begin_what_lives_in(machine: Interpreter, entered: Entered) -> None:
    """Start the timeouts of a state, and note its children, which start at the end of the macrostep."""
    for move in entered.timeouts:
        assert move.transition.after is not None
        start_timer(machine, move.key, move.transition.after, None)
    if entered.invokes:
        pending_of(machine).invoking += [(entered.name, invoke) for invoke in entered.invokes]


def _end_what_lives_in(machine: Interpreter, name: str) -> None:
    if machine._pending is None:
        return
    program = machine._program
    for move in program.timeouts_of(name):
        cancel_timer(machine, move.key)
    if program.invokes_of(name):
        end_children_of(machine, name)


def take_in_scxml_order(machine: Interpreter, step: ChartStep, event: Event) -> None:
    """Exit, act, enter; `In` sees each change as it comes."""
    pending = pending_of(machine)
    program = machine._program
    states = program.chart.states
    pending.remembered.update(step.remembered)
    pending.work += (len(step.left) + len(step.entered)) // WIDE
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
        _enter(machine, step, event, active)
    finally:
        pending.active = None
        machine._configuration = step.target
