"""Checks: what is to hold in a simulated run: always, eventually, or in some run at least."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass

from actorflow.errors import DefinitionError
from actorflow.sim.calls import refuse_async, refuse_unrun
from actorflow.sim.failure import SimulationFailure
from actorflow.sim.verdicts import says_nothing
from actorflow.text import reason_of, stable_text

Condition = Callable[[], object]


def property_of(check: Condition, name: str | None) -> str:
    """Return the name of a property: the one given, or that of its function, or the text of a lambda.

    Raises:
        DefinitionError: it is no function without arguments, or the name is none.
    """
    if not callable(check):
        raise DefinitionError(f"{stable_text(check)} is no check: give a function without arguments")
    refuse_async(check, "a check")
    if name is not None:
        if not isinstance(name, str) or not name.strip():
            raise DefinitionError(f"{stable_text(name)} is no name of a property: give a text, or None")
        return name
    while isinstance(check, functools.partial):
        check = check.func
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
            raise SimulationFailure(self.name, now, stable_text(error, render=str)) from error
        except DefinitionError:
            raise
        except Exception as error:
            if says_nothing(error):
                raise
            raise SimulationFailure(self.name, now, f"the check raised {reason_of(error)}") from error
        if is_broken:
            raise SimulationFailure(self.name, now)


@dataclass
class Eventually:
    """A property that comes to hold once nothing disturbs the app any more, and does so again if it ceases to hold.

    Attributes:
        check: says whether it holds.
        name: of the property.
        within: seconds for which it may fail to hold at a time.
        since: when it was first seen not to hold, of the present time without; None: it holds, as far as is known.
        has_held: it held before that, after the last disturbance.
    """

    check: Condition
    name: str
    within: float
    since: float | None = None
    has_held: bool = False

    @property
    def deadline(self) -> float:
        """Virtual seconds at which it has to hold again."""
        return math.inf if self.since is None else self.since + self.within

    def reset(self) -> None:
        """Forget all looks so far: a fault or a client event is still to come."""
        self.since, self.has_held = None, False

    def look(self, now: float) -> None:
        """Note whether the property holds now.

        Raises:
            SimulationFailure: it has not held for too long.
        """
        if now > self.deadline:
            raise self.fail()
        try:
            is_met = holds(self.check)
        except DefinitionError:
            raise
        except Exception as error:
            if says_nothing(error):
                raise
            is_met = False  # an actor that is down has nothing to look at; `fail` tells the last error
        if is_met:
            self.since, self.has_held = None, True
        elif self.since is None:
            self.since = now

    def fail(self) -> SimulationFailure:
        """Return the error of one that did not come to hold, with the words of its assertion."""
        if self.has_held:
            why = f"it ceased to hold at {self.since:g} s, and did not come to hold again within {self.within:g} s"
        else:
            why = f"it did not come to hold within {self.within:g} s of the last fault and the last client event"
        try:
            self.check()
        except AssertionError as error:
            said = stable_text(error, render=str)
            why += f": {said}" if said else ""
        except Exception as error:  # noqa: BLE001 - the words for it
            why += f": the check raises {reason_of(error)}"
        return SimulationFailure(self.name, self.deadline, why)


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
        raise DefinitionError(f"within={stable_text(within)}: give virtual seconds, more than 0")
    return float(within)


def sends(*checks: Always | Eventually | Sometimes) -> DefinitionError:
    """Return the error of a check, one of these, that has sent a message."""
    return DefinitionError(
        "a check sends a message, and would after each step, without end: let it look at actors, by sim.peek(actor), "
        f"and send in sim.at(...).call(...); the checks are {', '.join(stable_text(check.name) for check in checks)}"
    )
