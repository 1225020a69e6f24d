"""Program: a chart ready to run on models of one class. Layer 3. Shared by all instances, and filled as they run.

What an event does in a configuration is the same each time, up to guards and history. So each configuration keeps its
candidates by event, and each step (what is exited and entered, and the functions to call) is worked out once. What is
left for an instance is to call guards, and then functions in a row.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

from actorflow.errors import DefinitionError
from actorflow.machine import sets
from actorflow.machine.chart import HISTORY, ROOT, Chart, Hook, Invoke, Transition
from actorflow.machine.direct import action_of
from actorflow.machine.hooks import not_plain, wants_event

Function: TypeAlias = Callable[..., Any]

KEPT: Final = 1000  # names of events, for each configuration
REMEMBERED: Final = 100_000  # active states in kept configurations and steps, 60 B each; 20 regions have a million
OVERHEAD: Final = 10  # of a configuration or step, in active states


class EventHook:
    """A hook of a state that gets the event, too; steps with one are not the common ones."""

    __slots__ = ("function",)

    def __init__(self, function: Function) -> None:
        self.function = function


StateHook: TypeAlias = Any  # a function or an EventHook: of the latter the common path has none


class Move:
    """A transition with its functions."""

    __slots__ = ("actions", "choose", "guard", "key", "transition")

    def __init__(self, program: Program, transition: Transition, key: tuple[str, int]) -> None:
        self.transition = transition
        self.key = key  # its source, and its place there: what a snapshot calls it
        self.guard = program.function(transition.guard)
        self.actions = program.functions(transition.actions)
        self.choose = program.function(transition.choose)


class Entered:
    """What is to be done for one state that a step enters."""

    __slots__ = ("actions", "defers", "done", "hooks", "invokes", "name", "timeouts")

    def __init__(self, program: Program, name: str, defaults: Iterable[Transition], active: frozenset[str]) -> None:
        node = program.chart.states[name]
        self.name = name
        self.hooks = program.state_hooks(node.enter)
        self.actions = tuple(function for default in defaults for function in program.functions(default.actions))
        self.timeouts = program.timeouts_of(name)
        self.invokes = node.invoke
        self.done = program.done_events(name, active) if node.kind == "final" else ()

    def is_plain(self) -> bool:
        """Say whether it has no more than functions to call."""
        return not (self.actions or self.timeouts or self.invokes or self.done or has_event_hook(self.hooks))


class Step:
    """From one configuration to another, by one or several moves."""

    __slots__ = ("actions", "entered", "enters", "exits", "left", "moves", "plain", "remembered", "source", "target")

    def __init__(
        self, program: Program, source: Configuration, moves: tuple[Move, ...], exits: sets.Exit, entry: sets.Entry
    ) -> None:
        chart = program.chart
        names = (source.names - exits.states) | entry.states
        self.source = source
        self.target = program.configuration(names)
        self.moves = moves
        self.actions = tuple(function for move in moves for function in move.actions)
        self.left = exits.in_order
        self.exits = tuple(hook for name in self.left for hook in program.state_hooks(chart.states[name].exit))
        active = source.names - exits.states  # as it grows: a parallel state is done with the last of its regions, once
        self.entered = tuple(
            Entered(program, name, entry.defaults.get(name, ()), active := active | {name})
            for name in chart.in_order(entry.states)
        )
        self.enters = tuple(hook for entered in self.entered for hook in entered.hooks)
        self.remembered = exits.remembered
        holds = has_event_hook(self.exits) or any(
            program.timeouts_of(name) or chart.states[name].invoke for name in self.left
        )
        restless = self.target.eventless or self.target.final or program.has_deferred or program.has_forwarded
        self.plain = not (holds or restless or self.remembered or not all(one.is_plain() for one in self.entered)) and (
            chart.order == "action first"
        )

    @property
    def is_quiet(self) -> bool:
        """Say whether it does nothing but change the configuration."""
        return self.plain and not (self.actions or self.exits or self.enters)


class Choice:
    """A candidate in a configuration, taken if its guard allows. `step` is set once it is known to be fixed."""

    __slots__ = ("guard", "move", "step")

    def __init__(self, move: Move) -> None:
        self.move = move
        self.guard = move.guard
        self.step: Step | None = None


Candidates: TypeAlias = "tuple[Choice, ...] | Regions"


class Regions:
    """Candidates for an event that several regions wait for: for each atomic state, its own in order."""

    __slots__ = ("of_atomic",)

    def __init__(self, of_atomic: list[tuple[Choice, ...]]) -> None:
        self.of_atomic = of_atomic


class Configuration:
    """A set of active states, of which there is one object a program, and what events do in it."""

    __slots__ = ("candidates", "defers", "eventless", "final", "names", "state", "steps", "together")

    def __init__(self, program: Program, names: frozenset[str]) -> None:
        chart = program.chart
        self.names = names
        self.state = "+".join(name for name in chart.in_order(names) if sets.is_atomic(chart, name))
        self.final = any(chart.states[name].kind == "final" and chart.states[name].parent == ROOT for name in names)
        self.defers = tuple(pattern for name in chart.in_order(names) for pattern in chart.states[name].defer)
        self.candidates: dict[str, Candidates] = {}
        self.steps: dict[Any, Any] = {}
        self.together: dict[tuple[Move, ...], tuple[Move, ...]] = {}  # moves of regions, less those preempted
        self.eventless = program.select(self, lambda transition: not transition.events and transition.after is None)


class Program:
    """A chart bound to a class of models: hooks that are names are methods of it.

    Raises:
        DefinitionError: the chart names a method that the class does not have.
    """

    def __init__(self, chart: Chart, model_class: type) -> None:
        self.chart = chart
        self.model_class = model_class
        self.scxml = chart.order == "scxml"
        self.adopts = hasattr(model_class, "_adopt")  # its models have methods that ask for the interpreter
        self.seen = self.refused = self.failed = 0  # events; of one in 64 the times are taken
        self.sampled = 0
        self.validation_time = self.action_time = 0.0  # seconds, of the sampled ones
        self._lock = threading.RLock()
        self._functions: dict[str, Function] = {}
        self._configurations: dict[frozenset[str], Configuration] = {}
        self._room = self._limit = max(REMEMBERED, 100 * len(chart.states))
        self._moves = {
            name: tuple(Move(self, transition, (name, place)) for place, transition in enumerate(node.transitions))
            for name, node in chart.states.items()
        }
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
        self.start = self.step(self.nowhere, (Move(self, initial, (ROOT, 0)),), {})

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
        """Return the functions behind what runs at enter or exit; a document has its own way to the event."""
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
        """Return what a state invokes."""
        return self.chart.states[name].invoke

    def done_events(self, name: str, active: frozenset[str]) -> tuple[tuple[str, Function | None], ...]:
        """Return the events that follow from a final state, with what makes their data; appendix D, `enterStates`."""
        data = self.function(self.chart.states[name].donedata)
        done = sets.completed(self.chart, active, name)
        return tuple((f"done.state.{each}", None if number else data) for number, each in enumerate(done))

    # --- configurations and steps ------------------------------------------------------------------------------------

    def configuration(self, names: frozenset[str]) -> Configuration:
        """Return the object for a set of states."""
        with self._lock:
            known = self._configurations.get(names)
            if known is None:
                self._make_room(names)
                known = self._configurations[names] = Configuration(self, names)
            return known

    def _make_room(self, names: frozenset[str]) -> None:
        """Forget all configurations if they and their steps have become too many; machines keep those they are in."""
        self._room -= len(names) + OVERHEAD
        if self._room > 0:
            return
        self._room = self._limit
        for known in self._configurations.values():
            known.candidates.clear()  # else what is forgotten would hold itself, step by step
            known.steps.clear()
            known.together.clear()
        self._configurations.clear()

    def candidates(self, configuration: Configuration, event: str) -> Candidates:
        """Return who may take an event, and keep it, unless there are very many names: of a wildcard, say."""

        def waits(transition: Transition) -> bool:
            return any(sets.matches(pattern, event) for pattern in transition.events)

        found = self.select(configuration, waits)
        if len(configuration.candidates) < KEPT:
            configuration.candidates[event] = found
        return found

    def select(self, configuration: Configuration, wanted: Callable[[Transition], bool]) -> Candidates:
        """Return the candidates among the transitions of a configuration: for each atomic state, inner ones first."""
        choices: dict[Move, Choice] = {}
        chart = self.chart
        of_atomic: dict[tuple[Choice, ...], None] = {}
        for name in chart.in_order(configuration.names):
            if not sets.is_atomic(chart, name):
                continue
            found = [
                choices.setdefault(move, Choice(move))
                for owner in (name, *(node.name for node in chart.ancestors(name)))
                for move in self._moves[owner]
                if wanted(move.transition)
            ]
            if found:
                of_atomic[tuple(found)] = None
        if len(of_atomic) == 1 and not self.scxml:  # the common step is not SCXML's
            return next(iter(of_atomic))
        return Regions(list(of_atomic)) if of_atomic else ()

    def step(self, configuration: Configuration, moves: tuple[Move, ...], remembered: sets.Remembered) -> Step:
        """Return the step that the moves make together, none of them preempted; worked out at first need."""
        known = configuration.steps.get(moves)
        if isinstance(known, Step):
            return known
        if known is not None:
            consulted, steps = known
            step = steps.get(tuple(remembered.get(name) for name in consulted))
            if step is not None:
                return step  # type: ignore[no-any-return]
        with self._lock:
            self._make_room(configuration.names)
        transitions = [move.transition for move in moves]
        exits = sets.Exit(self.chart, configuration.names, transitions, remembered)
        # A history that is a target may be of what is left just now, as in appendix D: exits come first there.
        entry = sets.Entry(self.chart, remembered, {**remembered, **exits.remembered})
        entry.add(transitions)
        step = Step(self, configuration, moves, exits, entry)
        if not entry.consulted:
            configuration.steps[moves] = step
        else:
            _, steps = configuration.steps.setdefault(moves, (tuple(dict.fromkeys(entry.consulted)), {}))
            steps[tuple(remembered.get(name) for name in dict.fromkeys(entry.consulted))] = step
        return step

    def is_fixed(self, step: Step) -> bool:
        """Say whether the step is the same whatever the history states hold."""
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
        self, configuration: Configuration, moves: list[Move], remembered: sets.Remembered
    ) -> tuple[Move, ...]:
        """Drop moves that others preempt."""
        if len(moves) < 2:
            return tuple(moves)
        key = tuple(moves)
        known = configuration.together.get(key)
        if known is None:
            by_transition = {id(move.transition): move for move in moves}
            transitions = [move.transition for move in moves]
            kept = sets.without_conflicts(self.chart, configuration.names, transitions, remembered)
            known = tuple(by_transition[id(transition)] for transition in kept)
            targets = (target for transition in transitions for target in transition.targets)
            if not any(self.chart.states[target].kind in HISTORY for target in targets):
                with self._lock:
                    self._make_room(configuration.names)
                configuration.together[key] = known
        return known


def hooks_of(chart: Chart) -> frozenset[str]:
    """Return the names of what runs at enter and exit, and of the actions of what is no event."""
    hooks: list[Hook] = []
    for node in chart.states.values():
        hooks += [*node.enter, *node.exit, *((node.donedata,) if node.donedata else ())]
        hooks += [invoke.finalize for invoke in node.invoke if invoke.finalize]
        hooks += node.initial.actions if node.initial else ()
        hooks += [action for transition in node.transitions for action in transition.actions]
    return frozenset(hook.name for hook in hooks)


def has_event_hook(hooks: Iterable[StateHook]) -> bool:
    """Say whether one of the hooks gets the event."""
    return any(isinstance(hook, EventHook) for hook in hooks)


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
    """Return the events that each method handles, less patterns and what only the machine itself raises."""
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
