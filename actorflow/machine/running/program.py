"""Program: a chart ready to run on models of one class. Shared by all instances, and filled as they run.

The effect of an event in a configuration is the same each time, up to guards and history. So each configuration keeps
its candidates by event, and each step (the states exited and entered, and the functions to call) is worked out once. An
instance only has to call guards, and then functions in a row.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable
from typing import Final

from actorflow.errors import DefinitionError
from actorflow.machine.definition.chart import HISTORY, ROOT, Chart, Hook, Invoke, Transition
from actorflow.machine.definition.direct import action_of
from actorflow.machine.definition.hooks import not_plain, wants_event
from actorflow.machine.definition.reachability import check_inside, check_targets
from actorflow.machine.running import transition_sets
from actorflow.machine.running.configuration import (
    Candidates,
    Change,
    ChartStep,
    Configuration,
    EventHook,
    Function,
    Move,
    StateHook,
    WaitingMoves,
)
from actorflow.text import text_of

KEPT: Final = 1000  # names of events, for each configuration
REMEMBERED: Final = 100_000  # active states in kept configurations and steps, 60 B each; 20 regions have a million
OVERHEAD: Final = 10  # of a configuration or step, in active states


class Program:
    """A chart bound to a class of models: hooks that are names are methods of it.

    Raises:
        DefinitionError: the chart names a method that the class does not have, or a target that is no state.
    """

    __slots__ = (  # more than 30 attributes in a dict would cost each event 20 ns
        "_bit_of",
        "_changes",
        "_configurations",
        "_functions",
        "_limit",
        "_lock",
        "_moves",
        "_order",
        "_room",
        "_room_of_changes",
        "_waiting",
        "_within",
        "action_time",
        "adopts",
        "begun",
        "called",
        "chart",
        "deferring",
        "eventless",
        "events",
        "failed",
        "finals",
        "has_deferred",
        "has_forwarded",
        "hooks",
        "model_class",
        "nowhere",
        "refused",
        "sampled",
        "scxml",
        "seen",
        "start",
        "validation_time",
    )

    def __init__(self, chart: Chart, model_class: type) -> None:
        check_targets(chart)
        check_inside(chart)
        self.chart = chart
        self.model_class = model_class
        self.scxml = chart.order == "scxml"
        self.adopts = hasattr(model_class, "_adopt")  # its models have methods that ask for the interpreter
        self.seen = self.refused = self.failed = 0  # events; of one in 64 the times are taken
        self.sampled = 0
        self.validation_time = self.action_time = 0.0  # seconds, of the sampled ones
        self._lock = threading.RLock()
        self._functions: dict[str, Function] = {}
        self._order = tuple(chart.states)
        self._bit_of = {name: 1 << number for number, name in enumerate(self._order)}
        self._configurations: dict[int, Configuration] = {}
        self._room = self._room_of_changes = self._limit = max(REMEMBERED, 100 * len(chart.states))
        self._moves = {
            name: tuple(Move(self, transition, (name, place)) for place, transition in enumerate(node.transitions))
            for name, node in chart.states.items()
        }
        self._changes: dict[tuple[Move, int], Change] = {}  # by the states active within the move's domain
        self._within: dict[str, int] = {}
        self._waiting: dict[str, WaitingMoves] = {}
        self.eventless = WaitingMoves(self, lambda transition: not transition.events and transition.after is None)
        self.finals = self.bits(name for name in chart.states[ROOT].children if chart.states[name].kind == "final")
        self.deferring = self.bits(name for name, node in chart.states.items() if node.defer)
        self.events = frozenset(chart.events)
        self.called = called_of(chart)
        self.hooks = hooks_of(chart) - self.called.keys()  # methods that are neither events nor for callers
        self.has_deferred = any(node.defer for node in chart.states.values())
        self.has_forwarded = any(invoke.autoforward for node in chart.states.values() for invoke in node.invoke)
        for node in chart.states.values():  # all names are looked up now, not when a state is first entered
            self.functions((*node.enter, *node.exit, *(node.initial.actions if node.initial else ())))
            self.function(node.donedata)
        self.nowhere = self.configuration(frozenset())
        root = chart.states[ROOT]
        initial = root.initial or Transition(ROOT)
        self.start = start = self.step(self.nowhere, (Move(self, initial, (ROOT, 0)),), {})
        self.begun = start.target if start.plain and not start.enters else None  # nothing runs at a start

    # --- functions ---------------------------------------------------------------------------------------------------

    def function(self, hook: Hook | None) -> Function | None:
        """Return the function behind a hook, to be called with the model first."""
        if hook is None:
            return None
        if hook.function is not None:
            return hook.function
        known = self._functions.get(hook.name)
        return known if known is not None else self._functions.setdefault(hook.name, self._method(hook.name))

    def _method(self, name: str) -> Function:
        function: Function | None = action_of(getattr(self.model_class, name, None))
        if not callable(function):
            msg = (
                f"chart {self.chart.name!r} names {name!r}, and {self.model_class.__name__} has no such method: "
                "add it, or give the function itself"
            )
            raise DefinitionError(msg)
        if wrong := not_plain(function):
            msg = f"chart {self.chart.name!r} names {name!r} of {self.model_class.__name__}: {wrong}"
            raise DefinitionError(msg)
        return function

    def state_hooks(self, hooks: Iterable[Hook]) -> tuple[StateHook, ...]:
        """Return the functions behind the hooks at enter or exit; a document has its own way to the event."""
        functions = self.functions(hooks)
        if self.scxml:
            return functions
        return tuple(EventHook(function) if wants_event(function) else function for function in functions)

    def functions(self, hooks: Iterable[Hook]) -> tuple[Function, ...]:
        """Return the functions behind hooks."""
        return tuple(function for hook in hooks if (function := self.function(hook)) is not None)

    def moves_of(self, name: str) -> tuple[Move, ...]:
        """Return a state's transitions, in document order."""
        return self._moves[name]

    def timeouts_of(self, name: str) -> tuple[Move, ...]:
        """Return a state's transitions that are taken after some time."""
        return tuple(move for move in self._moves[name] if move.transition.after is not None)

    def invokes_of(self, name: str) -> tuple[Invoke, ...]:
        """Return the children that a state invokes."""
        return self.chart.states[name].invoke

    def done_events(self, name: str, active: frozenset[str]) -> tuple[tuple[str, Function | None], ...]:
        """Return the done events of a final state, with the functions for their data; appendix D, `enterStates`."""
        data = self.function(self.chart.states[name].donedata)
        done = transition_sets.completed(self.chart, active, name)
        return tuple((f"done.state.{each}", None if number else data) for number, each in enumerate(done))

    # --- configurations and steps ------------------------------------------------------------------------------------

    def bits(self, names: Iterable[str]) -> int:
        """Return states as bits."""
        found = 0
        for name in names:
            found |= self._bit_of[name]
        return found

    def names(self, bits: int) -> list[str]:
        """Return the names of states that are given as bits, in document order."""
        found = []
        while bits:
            lowest = bits & -bits
            found.append(self._order[lowest.bit_length() - 1])
            bits ^= lowest
        return found

    def within(self, name: str) -> int:
        """Return all states within a state, as bits."""
        known = self._within.get(name)
        if known is None:
            known = self._within[name] = self.bits(transition_sets.within(self.chart, name))
        return known

    def defers_of(self, bits: int) -> tuple[str, ...]:
        """Return the patterns of the events that these states defer."""
        states = self.chart.states
        return tuple(pattern for name in self.names(bits & self.deferring) for pattern in states[name].defer)

    def configuration(self, names: frozenset[str]) -> Configuration:
        """Return the object for a set of states."""
        return self._configuration(self.bits(names))

    def _configuration(self, bits: int, leaves: tuple[str, ...] | None = None) -> Configuration:
        """Return the object for a set of states; of one that has its atomic states, they need not be looked for."""
        known = self._configurations.get(bits)
        if known is not None:
            return known
        if leaves is None:
            leaves = tuple(name for name in self.names(bits) if transition_sets.is_atomic(self.chart, name))
        with self._lock:
            known = self._configurations.get(bits)
            if known is None:
                self._make_room(bits.bit_count())
                known = self._configurations[bits] = Configuration(self, bits, leaves)
            return known

    def _make_room(self, states: int) -> None:
        """Forget all configurations if they and their steps have become too many; machines keep those they are in."""
        self._room -= states + OVERHEAD
        if self._room > 0:
            return
        self._room = self._limit
        for known in self._configurations.values():
            known.candidates.clear()  # else what is forgotten would hold itself, step by step
            known.steps.clear()
            known.together.clear()
        self._configurations.clear()

    def _keep_change(self, key: tuple[Move, int], change: Change) -> None:
        """Keep the effect of a move; forget all of them if they have become too many."""
        with self._lock:
            self._room_of_changes -= key[1].bit_count() + OVERHEAD
            if self._room_of_changes <= 0:
                self._room_of_changes = self._limit
                self._changes.clear()
            self._changes[key] = change

    def candidates(self, configuration: Configuration, event: str) -> Candidates:
        """Return the transitions that may take an event, and keep them, unless too many names come: by a wildcard."""
        waiting = self._waiting.get(event)
        if waiting is None:
            if not isinstance(event, str):
                msg = f"{self.chart.name}: {text_of(event)} is no event's name: give a str, or an Event to send_event"
                raise DefinitionError(msg)
            waiting = WaitingMoves(
                self, lambda transition: any(transition_sets.matches(one, event) for one in transition.events)
            )
            if len(self._waiting) < KEPT:
                self._waiting[event] = waiting
        found = waiting.candidates(self, configuration)
        if len(configuration.candidates) < KEPT:
            configuration.candidates[event] = found
        return found

    def step(
        self, configuration: Configuration, moves: tuple[Move, ...], remembered: transition_sets.Remembered
    ) -> ChartStep:
        """Return the step that the moves make together, none of them preempted; worked out at first need."""
        known = configuration.steps.get(moves)
        if isinstance(known, ChartStep):
            return known
        if known is not None:
            consulted, steps = known
            step = steps.get(tuple(remembered.get(name) for name in consulted))
            if step is not None:
                return step  # type: ignore[no-any-return]
        with self._lock:
            self._make_room(configuration.bits.bit_count())
        return self._local_step(configuration, moves) or self._any_step(configuration, moves, remembered)

    def _local_step(self, configuration: Configuration, moves: tuple[Move, ...]) -> ChartStep | None:
        """Return the step of a move whose effect is known for this state of its domain, beside other states."""
        if len(moves) != 1 or not moves[0].domain:
            return None
        change = self._changes.get((moves[0], self.within(moves[0].domain) & configuration.bits))
        if change is None:
            return None
        step = configuration.steps[moves] = self._joined(configuration, moves, change)
        return step

    def _any_step(
        self, configuration: Configuration, moves: tuple[Move, ...], remembered: transition_sets.Remembered
    ) -> ChartStep:
        """Work a step out by appendix D."""
        transitions = [move.transition for move in moves]
        exits = transition_sets.ExitSet(self.chart, configuration.names, transitions, remembered)
        # A history that is a target may be of what is left just now, as in appendix D: exits come first there.
        entry = transition_sets.EntrySet(self.chart, remembered, {**remembered, **exits.remembered})
        entry.add(transitions)
        change = Change(self, configuration.names, moves, exits, entry)
        if change.is_local:
            self._keep_change((moves[0], self.within(moves[0].domain) & configuration.bits), change)
        step = self._joined(configuration, moves, change)
        if not entry.consulted:
            configuration.steps[moves] = step
        else:
            _, steps = configuration.steps.setdefault(moves, (tuple(dict.fromkeys(entry.consulted)), {}))
            steps[tuple(remembered.get(name) for name in dict.fromkeys(entry.consulted))] = step
        return step

    def _joined(self, source: Configuration, moves: tuple[Move, ...], change: Change) -> ChartStep:
        """Return the step of a change from a configuration."""
        bits = source.bits ^ change.flipped
        leaves = change.leaves_after(source.leaves) if change.is_local else None
        return ChartStep(source, self._configuration(bits, leaves), moves, change)

    def prepare(self, configuration: Configuration, event: str) -> Candidates:
        """Return the candidates of an event in a new configuration, with the step of a lone one if it is known."""
        found = self.candidates(configuration, event)
        if isinstance(found, tuple) and len(found) == 1:
            with self._lock:
                self._make_room(configuration.bits.bit_count())
            found[0].step = self._local_step(configuration, (found[0].move,))
        return found

    def is_fixed(self, step: ChartStep) -> bool:
        """Say whether the step does not depend on the contents of history states."""
        return step.source.steps.get(step.moves) is step

    def chosen(self, move: Move, target: str) -> Move:
        """Return a move as it is with a target that was chosen as it is taken."""
        key = (move, target)
        known = self.nowhere.steps.get(key)
        if known is None:
            if target not in self.chart.states or target == ROOT:
                msg = f"{move.transition.source!r} chose {target!r}, which is no state of chart {self.chart.name!r}"
                raise DefinitionError(msg)
            transition = dataclasses.replace(move.transition, targets=(target,), choose=None)
            known = self.nowhere.steps[key] = Move(self, transition, move.key)
        return known

    def conflict_free(
        self, configuration: Configuration, moves: list[Move], remembered: transition_sets.Remembered
    ) -> tuple[Move, ...]:
        """Drop moves that others preempt."""
        if len(moves) < 2:
            return tuple(moves)
        key = tuple(moves)
        known = configuration.together.get(key)
        if known is None:
            by_transition = {id(move.transition): move for move in moves}
            transitions = [move.transition for move in moves]
            kept = transition_sets.without_conflicts(self.chart, configuration.names, transitions, remembered)
            known = tuple(by_transition[id(transition)] for transition in kept)
            targets = (target for transition in transitions for target in transition.targets)
            if not any(self.chart.states[target].kind in HISTORY for target in targets):
                with self._lock:
                    self._make_room(configuration.bits.bit_count())
                configuration.together[key] = known
        return known


def hooks_of(chart: Chart) -> frozenset[str]:
    """Return the names of hooks at enter and exit, and of the actions of transitions without an event."""
    hooks: list[Hook] = []
    for node in chart.states.values():
        hooks += [*node.enter, *node.exit, *((node.donedata,) if node.donedata else ())]
        hooks += [invoke.finalize for invoke in node.invoke if invoke.finalize]
        hooks += node.initial.actions if node.initial else ()
        hooks += [action for transition in node.transitions for action in transition.actions]
    return frozenset(hook.name for hook in hooks)


def called_of(chart: Chart) -> dict[str, str]:
    """Return which event a call by name is: of an event the name itself, of a method its event, if it has one only.

    A method that handles an event of another name is called by its own: ``ref.call(Motor.halt)`` is the event "stop".
    """
    own = events_of_methods(chart)
    called = {event: event for event in chart.events}
    for method, events in own.items():
        if method not in events and len(events) == 1:
            called[method] = events[0]
    return called


def events_of_methods(chart: Chart) -> dict[str, tuple[str, ...]]:
    """Return the events that each method handles, less patterns and those that only the machine itself raises."""
    found: dict[str, dict[str, None]] = {}
    for transition in chart.transitions:
        for action in transition.actions:
            if action.function is None:
                names = (event for event in transition.events if "*" not in event and not is_raised(event))
                found.setdefault(action.name, {}).update(dict.fromkeys(names))
    return {method: tuple(events) for method, events in found.items()}


def is_raised(event: str) -> bool:
    """Say whether an event is one that nobody sends: the machine itself raises it."""
    return event.startswith(("done.state.", "done.invoke.", "error.")) or event == "error"
