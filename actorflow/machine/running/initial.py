"""Initial: the states of a machine that starts in a given one.

It serves users who keep the state in a table of their own: as a name, an Enum member, or the names of several regions.
"""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from actorflow.errors import DefinitionError
from actorflow.machine.definition.chart import HISTORY, ROOT, Chart, Transition
from actorflow.machine.running.transition_sets import EntrySet, is_legal
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.machine.rules import State

Initial: TypeAlias = "str | enum.Enum | Iterable[str | enum.Enum | State]"  # a State is a group of itself


class _Start(enum.Enum):
    """The place of a state that was not given; not None, which an empty column of a row holds."""

    OF_CHART = enum.auto()


OF_CHART: Final = _Start.OF_CHART


def names_of(chart: Chart, given: Any) -> frozenset[str]:
    """Return all states that are active with the given ones: those around them, and those entered by default.

    Raises:
        DefinitionError: there is no such state, or they are never active together.
    """
    names = _given(chart, given)
    inner = tuple(name for name in names if not any(chart.is_within(other, name) for other in names))
    entry = EntrySet(chart, {}, {})
    entry.add([Transition(ROOT, targets=inner)])
    active = frozenset(entry.states)
    if not is_legal(chart, active):
        _refuse(chart, given, "these states are never active together; give one state, or one of each region")
    return active


def _given(chart: Chart, given: Any) -> list[str]:
    """Return the names of states in a value that a user gave."""
    if given is None:
        _refuse(chart, given, "None is no state; leave initial out to start where the chart does")
    if isinstance(given, str) and not isinstance(given, enum.Enum) and given not in chart.states:
        parts: Iterable[Any] = given.split("+")  # as `state` shows several regions
    elif isinstance(given, str | enum.Enum):
        parts = [given]
    else:
        try:
            parts = list(given)
        except TypeError:
            _refuse(chart, given, "give a state, its name, or an Enum member")
    names = list(dict.fromkeys(_name(chart, given, part) for part in parts))
    if not names:
        _refuse(chart, given, "give the name of a state")
    return names


def _name(chart: Chart, given: Any, part: Any) -> str:
    """Return the name of one state: an Enum member stands for its name, or for its value if that is a state."""
    names = [part.name, part.value] if isinstance(part, enum.Enum) else [getattr(part, "name", part)]
    known = [name for name in names if isinstance(name, str) and name in chart.states and name != ROOT]
    if not known:
        near = difflib.get_close_matches(text_of(names[-1], render=str), filter(None, chart.states), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"its states are {', '.join(filter(None, chart.states))}"
        _refuse(chart, given, f"there is no such state; {hint}")
    if chart.states[known[0]].kind in HISTORY:
        _refuse(chart, given, "a history is never active; give the state that it stands for")
    return str(known[0])


def _refuse(chart: Chart, given: Any, wrong: str) -> NoReturn:
    raise DefinitionError(f"{chart.name}: initial={text_of(given)}: {wrong}")
