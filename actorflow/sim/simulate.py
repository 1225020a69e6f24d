"""simulate: the search over seeds, as a decorator of tests."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from actorflow.errors import DefinitionError
from actorflow.sim.limits import STEP_LIMIT, TURN_SECONDS, RunLimits, check_limits
from actorflow.sim.search.outcome import TestBody
from actorflow.sim.search.seeds import Search
from actorflow.sim.search.tapes import TapeFolder
from actorflow.sim.search.words import current_test
from actorflow.text import stable_text

F = TypeVar("F", bound=Callable[..., None])
TAPES: Final = "tapes"


def simulate(
    *,
    runs: int = 100,
    first: int = 0,
    tapes: str | os.PathLike[str] | None = TAPES,
    exhaustive: int | None = None,
    step_limit: int = STEP_LIMIT,
    turn_seconds: float | None = TURN_SECONDS,
) -> Callable[[F], F]:
    """Run a test with many seeds; a failure is shrunk, and names the seed that repeats it.

    The test takes a `Simulation` as its first argument, starts an app in it, and calls `run`. pytest's fixtures may
    follow as further arguments. A method of a class of tests has the `Simulation` after `self`.

    >>> import actorflow as af
    >>> class Counter(af.Actor):
    ...     def __init__(self) -> None:
    ...         super().__init__()
    ...         self.n = 0
    ...
    ...     def add(self) -> None:
    ...         self.n += 1
    >>> app = af.App("demo").add(af.child(Counter).options(name="counter"))
    >>> @simulate(runs=20)
    ... def test_counts(sim: Simulation) -> None:
    ...     counter = sim.start(app).find("/demo/counter", Counter)
    ...     counter.cast(Counter.add)
    ...     sim.eventually(lambda: sim.peek(counter).n == 1, within=5)
    ...     sim.run(until=1)
    >>> test_counts()

    Args:
        runs: how many seeds.
        first: the first of them.
        tapes: the folder that keeps the runs that failed, to run them first the next time; beside the test's file, if
            it is no absolute path. None: none are kept.
        exhaustive: instead of seeds, run all orders in which so many choices, or fewer, are not the first: of a small
            scenario, a pass with `exhaustive=2` says that no two delays make it fail. `runs` bounds them: a test that
            has more of them fails.
        step_limit: the steps that a run may take; one that takes more is stuck.
        turn_seconds: seconds of real time that a handler may keep its turn; None: any.

    Raises:
        DefinitionError: an argument makes no sense.
    """
    for name, value in (("runs", runs), ("first", first)):
        if isinstance(value, bool) or not isinstance(value, int) or value < (name == "runs"):
            raise DefinitionError(
                f"simulate({name}={stable_text(value)}): give a whole number, {int(name == 'runs')} or more"
            )
    if exhaustive is not None and (isinstance(exhaustive, bool) or not isinstance(exhaustive, int) or exhaustive < 0):
        raise DefinitionError(f"simulate(exhaustive={stable_text(exhaustive)}): give a whole number, 0 or more")
    check_limits(step_limit, turn_seconds)
    limits = RunLimits(step_limit, turn_seconds)
    if tapes is not None and not isinstance(tapes, str | os.PathLike):
        raise DefinitionError(f"simulate(tapes={stable_text(tapes)}): give a folder, or None")

    def decorate(function: F) -> F:
        parameters = list(inspect.signature(function).parameters.values())
        is_method = bool(parameters) and parameters[0].name == "self"
        if len(parameters) <= is_method:
            raise DefinitionError(f"{function.__qualname__} takes no argument: its first one is the Simulation")
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            raise DefinitionError(
                f"{function.__qualname__} is async, or yields: a test of a simulation is a plain function, which calls "
                "sim.run(until=...)"
            )

        @functools.wraps(function)
        def search(*args: Any, **kwargs: Any) -> None:
            __tracebackhide__ = True
            folder = None if tapes is None else folder_of(function, Path(tapes))
            test = TestBody(function, args[is_method:], kwargs, args[:is_method], limits)
            search_of = Search(test, folder, delays=exhaustive)
            search_of.run(range(first, first + runs))

        search.__signature__ = inspect.Signature(parameters[:is_method] + parameters[is_method + 1 :])  # type: ignore[attr-defined]
        return search  # type: ignore[return-value]

    return decorate


def folder_of(function: Callable[..., Any], folder: Path) -> TapeFolder | None:
    """Return the tapes of a test; None: it is in no file, and there is no place beside it."""
    file = Path(inspect.unwrap(function).__code__.co_filename)
    if not folder.is_absolute():
        if not file.is_file():
            return None
        folder = file.parent / folder
    case = current_test().rsplit("::", 1)[-1]  # with its parameters, if pytest runs it
    own = case if case.partition("[")[0] == function.__name__ else function.__qualname__
    return TapeFolder(folder, f"{file.stem}.{own}")
