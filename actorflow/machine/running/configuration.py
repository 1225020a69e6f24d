"""Configuration: a set of active states, and the effects of events in it, worked out once. A `Program` makes them.

The effect of a transition does not depend on the states active beside it: it is worked out once for the states active
within its domain, the state in which it happens. So a chart of many regions, whose configurations hardly come again,
pays for the changes in a region and not for all regions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from actorflow.machine.definition.chart import HISTORY, ROOT, Chart, Transition
from actorflow.machine.running import transition_sets

if TYPE_CHECKING:
    from actorflow.machine.running.program import Program

Function: TypeAlias = Callable[..., Any]


class EventHook:
    """A hook of a state that gets the event, too; steps with one are not the common ones."""

    __slots__ = ("function",)

    def __init__(self, function: Function) -> None:
        self.function = function


StateHook: TypeAlias = Any  # a function or an EventHook: of the latter the common path has none


def has_event_hook(hooks: Iterable[StateHook]) -> bool:
    """Say whether one of the hooks gets the event."""
    return any(isinstance(hook, EventHook) for hook in hooks)


class Move:
    """A transition with its functions."""

    __slots__ = ("actions", "choose", "domain", "guard", "key", "transition")

    def __init__(self, program: Program, transition: Transition, key: tuple[str, int]) -> None:
        self.transition = transition
        self.key = key  # its source, and its place there: its name in a snapshot
        self.guard = program.function(transition.guard)
        self.actions = program.functions(transition.actions)
        self.choose = program.function(transition.choose)
        self.domain = domain_of(program.chart, transition)


def domain_of(chart: Chart, transition: Transition) -> str:
    """Return the state within which a transition always happens; "" if that is the root, or depends on a history."""
    targets = transition.targets
    if not targets or any(name not in chart.states or chart.states[name].kind in HISTORY for name in targets):
        return ROOT
    return transition_sets.domain(chart, transition, {})


class Entered:
    """The calls and timers of one state that a step enters."""

    __slots__ = ("actions", "done", "hooks", "invokes", "name", "timeouts")

    def __init__(self, program: Program, name: str, defaults: Iterable[Transition], active: frozenset[str]) -> None:
        node = program.chart.states[name]
        self.name = name
        self.hooks = program.state_hooks(node.enter)
        self.actions = tuple(function for default in defaults for function in program.functions(default.actions))
        self.timeouts = program.timeouts_of(name)
        self.invokes = node.invoke
        self.done = program.done_events(name, active) if node.kind == "final" else ()

    def is_plain(self) -> bool:
        """Say whether the entry of the state does no more than call functions."""
        return not (self.actions or self.timeouts or self.invokes or self.done or has_event_hook(self.hooks))


class Change:
    """The effect of moves: a step without its two ends.

    Attributes:
        flipped: states that are active either before or after it, and not both times, as bits.
        plain: it has no more than functions to call.
        is_local: it does not depend on states outside of the domain of its only move.
    """

    __slots__ = (
        "actions",
        "entered",
        "enters",
        "exits",
        "flipped",
        "is_local",
        "leaves",
        "left",
        "left_leaves",
        "plain",
        "remembered",
    )

    def __init__(
        self,
        program: Program,
        names: frozenset[str],
        moves: tuple[Move, ...],
        exits: transition_sets.ExitSet,
        entry: transition_sets.EntrySet,
    ) -> None:
        chart = program.chart
        self.flipped = program.bits(names ^ ((names - exits.states) | entry.states))
        self.actions = tuple(function for move in moves for function in move.actions)
        self.left = exits.in_order
        self.exits = tuple(hook for name in self.left for hook in program.state_hooks(chart.states[name].exit))
        active = names - exits.states  # as it grows: a parallel state is done with the last of its regions, once
        order = chart.in_order(entry.states)
        self.entered = tuple(
            Entered(program, name, entry.defaults.get(name, ()), active := active | {name}) for name in order
        )
        self.enters = tuple(hook for entered in self.entered for hook in entered.hooks)
        self.remembered = exits.remembered
        holds = has_event_hook(self.exits) or any(
            program.timeouts_of(name) or chart.states[name].invoke for name in self.left
        )
        self.plain = not (
            program.scxml
            or program.has_deferred
            or program.has_forwarded
            or holds
            or self.remembered
            or not all(one.is_plain() for one in self.entered)
        )
        self.leaves = tuple(name for name in order if transition_sets.is_atomic(chart, name))
        self.left_leaves = tuple(name for name in reversed(self.left) if transition_sets.is_atomic(chart, name))
        inside = program.within(moves[0].domain) if len(moves) == 1 and moves[0].domain else 0
        self.is_local = (
            not program.bits(entry.states) & ~inside
            and bool(self.left_leaves)
            and not entry.consulted
            and not any(one.done for one in self.entered)
        )

    def leaves_after(self, leaves: tuple[str, ...]) -> tuple[str, ...]:
        """Return the atomic states after a local change: those within one state are neighbours in document order."""
        place = leaves.index(self.left_leaves[0])
        return (*leaves[:place], *self.leaves, *leaves[place + len(self.left_leaves) :])


class ChartStep:
    """The way from one configuration to another, by one or several moves."""

    __slots__ = ("actions", "entered", "enters", "exits", "left", "moves", "plain", "remembered", "source", "target")

    def __init__(self, source: Configuration, target: Configuration, moves: tuple[Move, ...], change: Change) -> None:
        self.source = source
        self.target = target
        self.moves = moves
        self.actions = change.actions
        self.left = change.left
        self.exits = change.exits
        self.entered = change.entered
        self.enters = change.enters
        self.remembered = change.remembered
        self.plain = change.plain and not (target.eventless or target.final)

    @property
    def is_quiet(self) -> bool:
        """Say whether the step does nothing but change the configuration."""
        return self.plain and not (self.actions or self.exits or self.enters)


class Choice:
    """A candidate in a configuration, taken if its guard allows. `step` is set once it is known to be fixed."""

    __slots__ = ("guard", "move", "step")

    def __init__(self, move: Move) -> None:
        self.move = move
        self.guard = move.guard
        self.step: ChartStep | None = None


Candidates: TypeAlias = "tuple[Choice, ...] | Regions"


class Regions:
    """Candidates for an event that several regions wait for: for each atomic state, its own in order."""

    __slots__ = ("of_atomic",)

    def __init__(self, of_atomic: list[tuple[Choice, ...]]) -> None:
        self.of_atomic = of_atomic


class WaitingMoves:
    """The moves that some event may take, by the states that they belong to; for the eventless ones too."""

    __slots__ = ("_bits", "_moves", "_of_atomic")

    def __init__(self, program: Program, wanted: Callable[[Transition], bool]) -> None:
        self._moves: dict[str, tuple[Move, ...]] = {}
        for name in program.chart.states:
            if found := tuple(move for move in program.moves_of(name) if wanted(move.transition)):
                self._moves[name] = found
        self._bits = program.bits(self._moves)
        # only states without others in them have any, so each stands for itself
        self._of_atomic = all(transition_sets.is_atomic(program.chart, name) for name in self._moves)

    def candidates(self, program: Program, configuration: Configuration) -> Candidates:
        """Return the candidates in a configuration: for each atomic state, inner ones first."""
        active = self._bits & configuration.bits
        if not active:
            return ()
        if self._of_atomic:
            found = [tuple(map(Choice, self._moves[leaf])) for leaf in program.names(active)]
        else:
            found = self._of_leaves(program, configuration)
        if len(found) == 1 and not program.scxml:  # the common step is not SCXML's
            return found[0]
        return Regions(found)

    def _of_leaves(self, program: Program, configuration: Configuration) -> list[tuple[Choice, ...]]:
        choices: dict[Move, Choice] = {}
        found: dict[tuple[Choice, ...], None] = {}
        for leaf in configuration.leaves:
            own = tuple(
                choices.setdefault(move, Choice(move))
                for owner in (leaf, *(node.name for node in program.chart.ancestors(leaf)))
                for move in self._moves.get(owner, ())
            )
            if own:
                found[own] = None
        return list(found)


class Configuration:
    """A set of active states, of which there is one object a program, and the effects of events in it.

    Attributes:
        bits: the states, each as the bit of its place in document order: a set of 100 names takes 8 kB.
        leaves: the atomic ones, in document order.
    """

    __slots__ = (
        "_names",
        "bits",
        "candidates",
        "defers",
        "eventless",
        "final",
        "leaves",
        "program",
        "state",
        "steps",
        "together",
    )

    def __init__(self, program: Program, bits: int, leaves: tuple[str, ...]) -> None:
        self._names: frozenset[str] | None = None
        self.program = program
        self.bits = bits
        self.leaves = leaves
        self.state = "+".join(leaves)
        self.final = bits & program.finals != 0
        self.defers = program.defers_of(bits) if bits & program.deferring else ()
        self.candidates: dict[str, Candidates] = {}
        self.steps: dict[Any, Any] = {}
        self.together: dict[tuple[Move, ...], tuple[Move, ...]] = {}  # moves of regions, less those preempted
        self.eventless = program.eventless.candidates(program, self)

    @property
    def names(self) -> frozenset[str]:
        """The states by name."""
        if self._names is None:
            self._names = frozenset(self.program.names(self.bits))
        return self._names
