"""Selection: which transitions an event takes in a configuration. Appendix D's `selectTransitions`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from actorflow.machine.running.configuration import Candidates, Choice, Move, Regions
from actorflow.machine.running.event import Event
from actorflow.machine.running.pending import remembered_by
from actorflow.machine.running.program import is_raised
from actorflow.machine.running.steps.failures import guarded, name_part

if TYPE_CHECKING:
    from actorflow.machine.running.interpreter import Interpreter


def select(machine: Interpreter, event: Event) -> tuple[Move, ...]:
    """Return the transitions that an event takes: `selectTransitions` of appendix D."""
    configuration = machine._configuration
    candidates = configuration.candidates.get(event.name)
    if candidates is None:
        candidates = machine._program.candidates(configuration, event.name)
    return select_among(machine, candidates, event)


def select_among(machine: Interpreter, candidates: Candidates, event: Event) -> tuple[Move, ...]:
    """Return those of the candidates that are taken together: for each atomic state the first, less those preempted."""
    if not isinstance(candidates, Regions):
        move = _first(machine, candidates, event)
        return () if move is None else (move,)
    asked: dict[Choice, Move | None] = {}  # an ancestor's guard is asked once, not once a region
    found: dict[Move, None] = {}
    for choices in candidates.of_atomic:
        move = _first(machine, choices, event, asked)
        if move is not None:
            found[move] = None
    return machine._program.conflict_free(machine._configuration, list(found), remembered_by(machine))


def _first(
    machine: Interpreter, choices: Iterable[Choice], event: Event, asked: dict[Choice, Move | None] | None = None
) -> Move | None:
    """Return the first that its guard allows."""
    for choice in choices:
        if asked is not None and choice in asked:
            move = asked[choice]
        else:
            move = allowed(machine, choice.move, event)
            if asked is not None:
                asked[choice] = move
        if move is not None:
            return move
    return None


def allowed(machine: Interpreter, move: Move, event: Event) -> Move | None:
    """Return a move if its guard allows it, with the target that is chosen now, if it has none of its own."""
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


def legal(machine: Interpreter) -> tuple[str, ...]:
    """Return the events that some transition of the active states waits for, but for those that the machine raises."""
    chart = machine.chart
    active = chart.in_order(machine._configuration.names)
    patterns = (
        event for name in active for transition in chart.states[name].transitions for event in transition.events
    )
    return tuple(dict.fromkeys(pattern for pattern in patterns if not is_raised(pattern)))
