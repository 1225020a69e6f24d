"""Paths: the shortest series of events to each state of a chart. For tests, and to see the reach of a chart.

Two searches, both breadth first. Without a model only the structure is known: a guarded transition may be taken or not,
so both are followed. With models, each path is really run, guards, actions and timeouts included.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias

from actorflow.core.log import logger
from actorflow.errors import TransitionRefused
from actorflow.machine.definition.chart import HISTORY, ROOT, Chart, Transition
from actorflow.machine.running import transition_sets
from actorflow.machine.running.interpreter import Interpreter
from actorflow.machine.running.platform import Alone

if TYPE_CHECKING:
    from actorflow.machine.definition.chart import Invoke
    from actorflow.machine.running.event import Event

Step: TypeAlias = tuple[str | None, tuple[Any, ...]]
Path: TypeAlias = list[Step]

LIMIT: Final = 2000  # situations; models replay each path: 2,000 in a row took 0.9 s, without models 0.5 s


def shortest_paths(
    chart: Chart,
    model_factory: Callable[[], Any] | None = None,
    events: Mapping[str, Iterable[tuple[Any, ...]]] | None = None,
    *,
    limit: int = LIMIT,
) -> dict[str, Path]:
    """Find the shortest path to each state.

    A path is a list of (event, arguments); (None, (seconds,)) is so much time without an event. States that no path
    leads to are left out. So are those beyond the limit; the log says so.

    Without a model, guards may pass or not, events that actions raise are unknown, none is deferred, and a transition
    that chooses its target is not followed. With models, two situations are the same if their states, histories,
    timers, deferred events and the `repr` of the models' public attributes are; children are not started.

    Args:
        chart: the chart to search.
        model_factory: makes a new model, for each path that is tried.
        events: names of events, each with tuples of arguments to try; by default those that the chart names, without
            arguments. Without a model, only the first tuple counts.
        limit: how many situations to look at.

    Raises:
        Exception: the error of a model, with the path to it as a note.

    >>> from actorflow.machine.definition.chart import StateNode, Transition
    >>> root = StateNode("", "compound", children=("off", "on"), initial=Transition("", targets=("off",)))
    >>> off = StateNode("off", transitions=(Transition("off", ("press",), ("on",)),))
    >>> shortest_paths(Chart("lamp", {"": root, "off": off, "on": StateNode("on")}))
    {'off': [], 'on': [('press', ())]}
    """
    concrete = {name: list(tuples) for name, tuples in events.items()} if events is not None else _events(chart)
    search: _Search = _Structure(chart, concrete) if model_factory is None else _Runs(chart, concrete, model_factory)
    wanted = {name for name, node in chart.states.items() if name != ROOT and node.kind not in HISTORY}
    paths: dict[str, Path] = {}
    seen: set[Any] = set()
    line: deque[tuple[Any, Path]] = deque([(search.start(), [])])
    while line and len(paths) < len(wanted):
        situation, path = line.popleft()
        key = search.key(situation)
        if key in seen:
            continue
        if len(seen) >= limit:
            missing = ", ".join(sorted(wanted - paths.keys()))
            logger.warning("Paths of %s: %d situations seen, no path yet to: %s", chart.name, limit, missing)
            break
        seen.add(key)
        for name in chart.in_order(search.active(situation)):
            paths.setdefault(name, path)
        for step, after in search.steps(situation, path):
            if step is None:  # a step that comes by itself is no step of the path, so it goes first
                line.appendleft((after, path))
            else:
                line.append((after, [*path, step]))
    return paths


def _events(chart: Chart) -> dict[str, list[tuple[Any, ...]]]:
    """Make events of the chart's patterns, without those that follow by themselves when a state is done."""
    names = (pattern.removesuffix(".*").removesuffix(".") for pattern in sorted(chart.events))
    return {name: [()] for name in names if not transition_sets.matches("done.state", name)}


class _Search(Protocol):
    """The base of both searches."""

    def start(self) -> Any:
        """Return the situation to begin with."""
        ...

    def key(self, situation: Any, /) -> Any:
        """Return a key; two situations are the same if theirs are equal."""
        ...

    def active(self, situation: Any, /) -> Iterable[str]:
        """Return the active states."""
        ...

    def steps(self, situation: Any, path: Path, /) -> Iterator[tuple[Step | None, Any]]:
        """Go through the next steps: each with None if it comes by itself, and the situation after it."""
        ...


def public_attributes(model: Any) -> str:
    """Return the attributes of a model as text, to see whether they have changed; not those that start with "_"."""
    return repr({name: value for name, value in getattr(model, "__dict__", {}).items() if not name.startswith("_")})


# --- without a model -------------------------------------------------------------------------------------------------


class _Here(NamedTuple):
    names: frozenset[str]
    remembered: tuple[tuple[str, tuple[str, ...]], ...]
    raised: tuple[str, ...]  # done events that are not handled yet


class _Structure:
    def __init__(self, chart: Chart, events: dict[str, list[tuple[Any, ...]]]) -> None:
        self.chart = chart
        self.events = events

    def start(self) -> _Here:
        initial = self.chart.states[ROOT].initial
        return self._after(_Here(frozenset(), (), ()), () if initial is None else (initial,))

    def key(self, here: _Here) -> _Here:
        return here

    def active(self, here: _Here) -> frozenset[str]:
        return here.names

    def steps(self, here: _Here, _path: Path) -> Iterator[tuple[Step | None, _Here]]:
        states = self.chart.states
        if any(states[name].kind == "final" and states[name].parent == ROOT for name in here.names):
            return
        restless = False
        for taken in self._selections(here, lambda transition: not transition.events and transition.after is None):
            if taken:
                yield None, self._after(here, taken)
            restless |= not taken
        if not restless:
            return  # an eventless transition without a guard is always taken
        if here.raised:
            rest = here._replace(raised=here.raised[1:])
            for taken in self._selections(here, _waits_for(here.raised[0])):
                yield None, self._after(rest, taken)
            return
        for event, tuples in self.events.items():
            for taken in self._selections(here, _waits_for(event)):
                if taken and tuples:
                    yield (event, tuples[0]), self._after(here, taken)
        for transition in self.chart.transitions:
            if transition.after is not None and transition.source in here.names:
                yield (None, (transition.after,)), self._after(here, (transition,))

    def _selections(self, here: _Here, wanted: Callable[[Transition], bool]) -> Iterator[tuple[Transition, ...]]:
        """Go through the sets of transitions that may be taken together, depending on guards; one may be empty."""
        options = [
            self._options(name, wanted)
            for name in self.chart.in_order(here.names)
            if transition_sets.is_atomic(self.chart, name)
        ]
        known = set()
        for choice in itertools.islice(itertools.product(*options), LIMIT):
            moves = tuple(dict.fromkeys(transition for transition in choice if transition is not None))
            if moves not in known:
                known.add(moves)
                yield tuple(transition_sets.without_conflicts(self.chart, here.names, moves, dict(here.remembered)))

    def _options(self, name: str, wanted: Callable[[Transition], bool]) -> list[Transition | None]:
        """List the transitions that an atomic state may take: each that has a guard, up to the first that has none."""
        options: list[Transition | None] = []
        for owner in (self.chart.states[name], *self.chart.ancestors(name)):
            for transition in owner.transitions:
                if wanted(transition) and transition.choose is None:
                    options.append(transition)
                    if transition.guard is None:
                        return options
        return [*options, None]

    def _after(self, here: _Here, moves: tuple[Transition, ...]) -> _Here:
        chart, remembered = self.chart, dict(here.remembered)
        exits = transition_sets.ExitSet(chart, here.names, moves, remembered)
        entry = transition_sets.EntrySet(chart, remembered, remembered | exits.remembered)
        entry.add(moves)
        remembered |= exits.remembered
        names = (here.names - exits.states) | entry.states
        done = tuple(self._done(chart.in_order(entry.states), names))
        return _Here(frozenset(names), tuple(sorted(remembered.items())), here.raised + done)

    def _done(self, entered: Iterable[str], names: frozenset[str]) -> Iterator[str]:
        for name in entered:
            if self.chart.states[name].kind == "final":
                yield from (f"done.state.{state}" for state in transition_sets.completed(self.chart, names, name))


def _waits_for(event: str) -> Callable[[Transition], bool]:
    return lambda transition: any(transition_sets.matches(pattern, event) for pattern in transition.events)


# --- with models -----------------------------------------------------------------------------------------------------


class _Clock(Alone):
    """A platform whose time passes when it is set; invoked children are not started."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def start_child(self, _interpreter: Interpreter, _invoke: Invoke, /) -> None:
        return None

    def refused(self, _event: Event, _error: Exception, /) -> None:
        return None


class _Run(NamedTuple):
    machine: Interpreter
    clock: _Clock


class _Runs:
    def __init__(self, chart: Chart, events: dict[str, list[tuple[Any, ...]]], factory: Callable[[], Any]) -> None:
        self.chart = chart
        self.events = events
        self.factory = factory

    def start(self) -> _Run:
        run = self._replay([])
        assert run is not None
        return run

    def key(self, run: _Run) -> Any:
        pending = run.machine._pending
        public = public_attributes(run.machine.model)
        if pending is None:
            return run.machine.configuration, public
        timers = frozenset((key, round(due.due - run.clock.now, 6)) for key, due in pending.timers.items())
        return (
            run.machine.configuration,
            public,
            timers,
            repr(pending.deferred),
            repr(sorted(pending.remembered.items())),
        )

    def active(self, run: _Run) -> frozenset[str]:
        return run.machine.configuration

    def steps(self, run: _Run, path: Path) -> Iterator[tuple[Step | None, _Run]]:
        if run.machine.done:
            return
        legal = run.machine.legal
        steps: list[Step] = [
            (event, args)
            for event, tuples in self.events.items()
            if any(transition_sets.matches(pattern, event) for pattern in legal)
            for args in tuples
        ]
        if run.machine.due is not None:
            steps.append((None, (run.machine.due - run.clock.now,)))
        for step in steps:
            if (after := self._replay([*path, step])) is not None:
                yield step, after

    def _replay(self, path: Path) -> _Run | None:
        """Go a path with a new model; None if its last event is refused."""
        clock = _Clock()
        try:
            machine = Interpreter(self.chart, self.factory(), platform=clock, history=0)
            for event, args in path:
                if event is not None:
                    machine.send(event, *args)
                elif machine.due is not None:
                    clock.now = machine.due
                    machine.advance()
        except TransitionRefused:
            return None
        except Exception as error:
            error.add_note(f"on the path {path} of {self.chart.name}")
            raise
        return _Run(machine, clock)
