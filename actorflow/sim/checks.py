"""Checks: what is to hold in a simulated run: always, eventually, or in some run at least."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass

from actorflow.errors import DefinitionError
from actorflow.sim.calls import refuse_async, refuse_unrun
from actorflow.sim.failure import SimulationFailure
from actorflow.text import reason_of, text_of

Condition = Callable[[], object]


def property_of(check: Condition, name: str | None) -> str:
    """Return the name of a property: the one given, or that of its function, or the text of a lambda.

    Raises:
        DefinitionError: it is no function without arguments, or the name is none.
    """
    if not callable(check):
        raise DefinitionError(f"{text_of(check)} is no check: give a function without arguments")
    refuse_async(check, "a check")
    if name is not None:
        if not isinstance(name, str) or not name.strip():
            raise DefinitionError(f"{text_of(name)} is no name of a property: give a text, or None")
        return name
    given = getattr(check, "__name__", type(check).__name__)
    if given != "<lambda>":
        return str(given)
    try:
        source = inspect.getsource(check).strip()
    except (OSError, TypeError):
        return "a lambda"
    return " ".join(source.split())


@dataclass
class Always:
    """A property that holds after each step."""

    check: Condition
    name: str

    def look(self, now: float) -> None:
        """Look whether the property holds.

        Raises:
            SimulationFailure: it does not.
        """
        try:
            value = self.check()
            if value is not True:
                refuse_unrun(value, f"the check {self.name!r}")
            is_broken = value is not None and not value
        except AssertionError as error:
            raise SimulationFailure(self.name, now, text_of(error, render=str)) from error
        except DefinitionError:
            raise
        except Exception as error:
            raise SimulationFailure(self.name, now, f"the check raised {reason_of(error)}") from error
        if is_broken:
            raise SimulationFailure(self.name, now)


@dataclass
class Eventually:
    """A property that comes to hold within some seconds after the last fault has healed.

    Attributes:
        check: says whether it holds.
        name: of the property.
        within: seconds.
        met: when it first held after that; None: not yet.
    """

    check: Condition
    name: str
    within: float
    met: float | None = None

    def look(self, now: float) -> None:
        """Note whether the property holds now."""
        if self.met is None and holds(self.check):
            self.met = now

    def fail(self, now: float) -> SimulationFailure:
        """Return the error of one that did not come to hold, with the words of its assertion."""
        why = f"it did not come to hold within {self.within:g} s of the last fault"
        try:
            self.check()
        except AssertionError as error:
            said = text_of(error, render=str)
            why += f": {said}" if said else ""
        return SimulationFailure(self.name, now, why)


@dataclass
class Sometimes:
    """A property that holds at some time of some run: that the interesting case was tried at all."""

    check: Condition
    name: str
    met: bool = False

    def look(self) -> None:
        """Note whether the property holds now."""
        if not self.met and holds(self.check):
            self.met = True


def holds(check: Condition) -> bool:
    """Say whether a condition holds; one that asserts, and does not fail, holds."""
    try:
        value = check()
    except AssertionError:
        return False
    refuse_unrun(value, "a check")
    return value is None or bool(value)


def check_within(within: object) -> float:
    """Return the seconds of an `eventually`.

    Raises:
        DefinitionError: they are none.
    """
    if isinstance(within, bool) or not isinstance(within, int | float) or not 0 < within < math.inf:
        raise DefinitionError(f"within={text_of(within)}: give virtual seconds, more than 0")
    return float(within)


def sends(*checks: Always | Eventually | Sometimes) -> DefinitionError:
    """Return the error of a check, one of these, that has sent a message."""
    return DefinitionError(
        "a check sends a message, and would after each step, without end: let it look at actors, by sim.peek(actor), "
        f"and send in sim.at(...).call(...); the checks are {', '.join(text_of(check.name) for check in checks)}"
    )
