"""Checks: the mistakes in a chart, found before it runs.

A way out of a state is any transition that it, or a state around it, has, or one elsewhere that exits it: a state that
only reacts is no trap. Charts from SCXML are not checked so, since the recommendation allows most of it.
"""

from __future__ import annotations

import difflib
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import combinations, islice
from typing import Final, Literal, NamedTuple

from actorflow.errors import DefinitionError
from actorflow.machine.definition.chart import HISTORY, ROOT, Chart, StateNode, Transition
from actorflow.machine.definition.reachability import reachable
from actorflow.text import plural

NAMED: Final = 10  # states of a circle that its text names
MOST: Final = 100  # mistakes told of: the near name of each is looked for among all states, 10 ms in a chart of 2,000


class Problem(NamedTuple):
    """One mistake in a chart: its place, and a text with the cure."""

    place: str
    text: str


class ChartWarning(UserWarning):
    """A chart that was made at run time has mistakes: states that nothing leads to, targets that do not exist."""


def check(chart: Chart, *, loud: Literal["error", "warning"]) -> None:
    """Check a chart; report its mistakes by a warning or an error.

    Raises:
        DefinitionError: with `loud="error"`, one that lists all places; else it is a `ChartWarning`.
    """
    if not (found := problems(chart)):
        return
    error = fail(chart.name, found)
    if loud == "error":
        raise error
    warnings.warn(str(error), ChartWarning, stacklevel=_level_of_user())


def fail(name: str, found: Iterable[Problem]) -> DefinitionError:
    """Make the error that lists mistakes."""
    lines = [f"{place}: {text}" for place, text in found]
    if len(lines) == 1:
        return DefinitionError(lines[0])
    many = f"{len(lines)} mistakes:" if len(lines) <= MOST else f"more than {MOST} mistakes; the first of them:"
    return DefinitionError("\n  ".join([f"{name} has {many}", *lines[:MOST]]))


def _level_of_user() -> int:
    """Return the `stacklevel` of the first caller outside this package."""
    frame, level = sys._getframe(1), 1
    package = "actorflow.machine"
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith(package):
        frame, level = frame.f_back, level + 1
    return level


def problems(chart: Chart, *, whole: bool = True, inherited: Collection[str] = ()) -> list[Problem]:
    """Find the mistakes in a chart, up to one more than are told; each text says the cure.

    Args:
        chart: the chart to check.
        whole: also look for states that nothing leads to or out of; without sense where some transitions are missing.
        inherited: states that need not be in reach: a subclass may do without them.
    """
    reached = reachable(chart) if whole else frozenset()
    circles = _circles(chart)
    found = (
        Problem(place(chart, node), text)
        for node in chart.states.values()
        for texts in (
            *(check_(chart, node) for check_ in CHECKS),
            _endless(circles.get(node.name)),
            _reached(chart, node, reached) if whole and node.name not in inherited else (),
            _way_out(chart, node) if node.name in reached else (),
        )
        for text in texts
    )
    return list(islice(found, MOST + 1))


def place(chart: Chart, node: StateNode) -> str:
    """Name a state within its chart."""
    return f"{chart.name}.{node.name}" if node.name else chart.name


# --- structure --------------------------------------------------------------------------------------------------------


def _initial(chart: Chart, node: StateNode) -> Iterator[str]:
    names = _real_children(chart, node)
    if node.kind == "parallel":
        if node.initial is not None:
            yield "it is parallel, so all in it are entered; leave its initial state out"
        return
    if node.kind != "compound":
        return
    if not names:
        yield "it has no states; add one" if node.name == ROOT else "it is compound without a state in it; add one"
    elif node.initial is None or not node.initial.targets:
        yield f"no initial state; mark one as initial: {', '.join(names)}"
    else:
        yield from _default(chart, node.initial, node.name, "its initial state")


def _history(chart: Chart, node: StateNode) -> Iterator[str]:
    if node.kind not in HISTORY:
        return
    if node.parent == ROOT:
        yield "a history of the whole machine, which is never entered again; put it into the state that it is of"
        return
    parent = chart.states[node.parent]
    if node.initial is not None and node.initial.targets:
        yield from _default(chart, node.initial, node.parent, "its default")
        if node.name in node.initial.targets:
            yield f"its default is itself; name a state within {node.parent!r}"
    elif parent.kind == "parallel" or parent.initial is not None:  # else that is the mistake
        yield f"it has no default; name a state within {node.parent!r}, to be entered before there is a past"


def _default(chart: Chart, initial: Transition, outer: str, what: str) -> Iterator[str]:
    """Check an initial transition, whose targets are to be within a state."""
    for target in initial.targets:
        if target not in chart.states or target == ROOT:
            yield f"{what} {target!r} does not exist{_nearest(chart, target)}"
        elif not chart.is_within(target, outer):
            yield f"{what} {target!r} is outside of {outer!r}; name a state within it"
    yield from _apart(chart, initial, f"{what} is several")


def _final(chart: Chart, node: StateNode) -> Iterator[str]:
    if node.kind == "final":
        if node.transitions:
            yield "it is final and has transitions, which are never taken; make it an ordinary state or leave them out"
        if node.children:
            yield f"it is final and has states in it, {', '.join(node.children)}; make it an ordinary state"
        if node.defer or node.invoke:
            yield "it is final, so it neither defers nor invokes; leave that out"
        if chart.states[node.parent].kind == "parallel":
            yield f"a region of {node.parent!r} cannot be final by itself; put it into a region"
    elif node.donedata is not None:
        yield "it has donedata but is not final; make it final or leave that out"


def _pseudo(_: Chart, node: StateNode) -> Iterator[str]:
    if node.kind in HISTORY and (
        node.children or node.transitions or node.enter or node.exit or node.defer or node.invoke
    ):
        yield "a history has nothing but a default, as it is never active; move the rest to the state around it"
    if node.kind == "atomic" and node.children:
        yield "it is atomic and has states in it; make it compound"


def _regions(chart: Chart, node: StateNode) -> Iterator[str]:
    if node.kind == "parallel" and not _real_children(chart, node):
        yield "it is parallel and has no regions; add states to it"


# --- transitions ------------------------------------------------------------------------------------------------------


def _targets(chart: Chart, node: StateNode) -> Iterator[str]:
    for transition in node.transitions:
        what = _told(transition)
        for target in transition.targets:
            if target not in chart.states or target == ROOT:
                yield f"the target {target!r} of {what} does not exist{_nearest(chart, target)}"
        yield from _apart(chart, transition, f"{what} has targets")
        inside = [target for target in transition.targets if target in chart.states]
        if transition.internal and not all(chart.is_within(target, node.name) for target in inside):
            yield f"{what} is internal but goes to a state outside; leave internal out, or the target to stay"
        if transition.after is not None and transition.after < 0:
            yield f"{what} is a negative time; give 0 or more seconds"


def _apart(chart: Chart, transition: Transition, what: str) -> Iterator[str]:
    """Yield the first two targets that cannot be active together."""
    known = [target for target in dict.fromkeys(transition.targets) if target in chart.states and target != ROOT]
    for one, other in combinations(known, 2):
        if chart.is_within(one, other) or chart.is_within(other, one):
            continue
        around = {outer.name for outer in chart.ancestors(other)}
        common = next(outer for outer in chart.ancestors(one) if outer.name in around)
        if common.kind != "parallel":
            yield f"{what} {one!r} and {other!r}, which are never active together; keep one, or put them into regions"
            return


def _choices(_: Chart, node: StateNode) -> Iterator[str]:
    """Find transitions that an earlier one, without a guard, always forestalls."""
    taken: defaultdict[float | None, list[str]] = defaultdict(list)  # patterns by time; eventless is ""
    for transition in node.transitions:
        patterns = transition.events or ("",)
        before = taken[transition.after]
        for pattern in patterns:
            if any(covers(earlier, pattern) for earlier in before):
                what = _told(transition, pattern)
                yield (
                    f"{what} is never taken{_where(transition)}: one without a guard comes before; "
                    "give that a guard, or leave one out"
                )
        if transition.guard is None and transition.choose is None:
            before += patterns


def _circles(chart: Chart) -> dict[str, list[str]]:
    """Return the states that go round for ever, each with its circle from it on, cut short.

    In each of them an eventless transition without a guard is the first. Each state is looked at once: a chain of
    thousands is an ordinary chart.
    """
    circles: dict[str, list[str]] = {}
    walks: dict[str, str] = {}  # by state: where the walk began that came there first
    for start in chart.states:
        name: str | None = start
        path: list[str] = []
        while name is not None and name in chart.states and name not in walks:
            walks[name] = start
            path.append(name)
            name = _forced(chart.states[name])
        if name is not None and walks.get(name) == start:
            circle = path[path.index(name) :]
            twice = circle * 2
            circles |= {each: twice[at : at + min(len(circle), NAMED)] for at, each in enumerate(circle)}
    return circles


def _endless(circle: list[str] | None) -> Iterator[str]:
    """Say of a state that it is in a circle of transitions that nothing ends."""
    if circle:
        where = " and ".join(map(repr, circle)) if len(circle) > 1 else "it"
        yield f"eventless transitions without a guard go round in {where} for ever; give one a guard"


def _forced(node: StateNode) -> str | None:
    """Return the states that a state certainly leads to: itself, if it stays."""
    first = next((each for each in node.transitions if not each.events and each.after is None), None)
    if first is None or first.guard is not None or first.choose is not None or len(first.targets) > 1:
        return None
    return first.targets[0] if first.targets else node.name


# --- the whole --------------------------------------------------------------------------------------------------------


def _reached(chart: Chart, node: StateNode, reached: frozenset[str]) -> Iterator[str]:
    parent = chart.states[node.parent]
    if parent.name not in reached or (parent.kind == "compound" and parent.initial is None):
        return  # that is the mistake, and said there
    if node.name not in reached:
        yield "nothing leads to it; make it the target of a transition, or leave it out"


def _way_out(chart: Chart, node: StateNode) -> Iterator[str]:
    if node.kind != "atomic" or node.transitions:
        return
    around = list(chart.ancestors(node.name))
    if any(outer.transitions for outer in around):
        return
    if any(_left_from_within(chart, outer) for outer in around if outer.kind == "parallel"):
        return
    yield "no way out of it, and it is not final; give it a transition, or make it final"


def _left_from_within(chart: Chart, outer: StateNode) -> bool:
    """Say whether a transition of some region exits all of them."""
    return any(
        transition.choose is not None
        or any(target in chart.states and not chart.is_within(target, outer.name) for target in transition.targets)
        for node in chart.descendants(outer.name)
        for transition in node.transitions
    )


def _events(chart: Chart, node: StateNode) -> Iterator[str]:
    waited = {event for transition in chart.transitions for event in transition.events} if node.defer else set()
    for event in node.defer:
        if not any(covers(event, other) or covers(other, event) for other in waited):
            yield f"it defers {event!r}, an event that no transition waits for{_similar(event, waited)}"
    for transition in node.transitions:
        for event in transition.events:
            yield from _platform_event(chart, event)


def _platform_event(chart: Chart, event: str) -> Iterator[str]:
    """Check the name in an event that only the machine itself raises."""
    if name := _named_in(event, "done.state."):
        state = chart.states.get(name)
        if state is None:
            yield f"it waits for {event!r}, but there is no such state{_nearest(chart, name)}"
        elif state.kind not in ("compound", "parallel"):
            yield f"it waits for {event!r}, but {name!r} has no states in it and is never done; wait for one that has"
    elif name := _named_in(event, "done.invoke."):
        ids = {invoke.id for other in chart.states.values() for invoke in other.invoke}
        if not any(covers(name, id_) for id_ in ids):
            yield f"it waits for {event!r}, but nothing is invoked under that id{_similar(name, ids)}"


CHECKS: Final[tuple[Callable[[Chart, StateNode], Iterator[str]], ...]] = (
    _initial,
    _history,
    _regions,
    _final,
    _pseudo,
    _targets,
    _choices,
    _events,
)

# --- words ------------------------------------------------------------------------------------------------------------


def covers(pattern: str, event: str) -> bool:
    """Say whether a pattern matches all that another pattern, or an event, does."""
    pattern, event = pattern.removesuffix(".*"), event.removesuffix(".*")
    if not pattern or not event:
        return pattern == event
    return pattern in ("*", event) or event.startswith(f"{pattern}.")


def _real_children(chart: Chart, node: StateNode) -> list[str]:
    return [name for name in node.children if chart.states[name].kind not in HISTORY]


def _named_in(event: str, prefix: str) -> str:
    name = event.removesuffix(".*")
    return name.removeprefix(prefix) if name.startswith(prefix) and "*" not in name else ""


def _told(transition: Transition, event: str | None = None) -> str:
    """Name a transition by its trigger."""
    event = " ".join(transition.events) if event is None else event
    if event:
        return f"event {event!r}"
    if transition.after is None:
        return "its eventless transition"
    return f"after {plural(float(transition.after), 'second')}"


def _where(transition: Transition) -> str:
    return f" to {', '.join(map(repr, transition.targets))}" if transition.targets else ""


def _nearest(chart: Chart, name: str) -> str:
    return _similar(name, (state for state in chart.states if state != ROOT))


def _similar(name: str, known: Iterable[str]) -> str:
    """Return the cure for a name that is not known."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(sorted(known)) or 'none'}"
