"""Options: keys of a table that are the arguments of a function, so that files and code have the same words."""

from __future__ import annotations

import difflib
import inspect
from typing import TYPE_CHECKING, Any

from actorflow.errors import ActorflowError, DefinitionError
from actorflow.text import stable_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from actorflow.sim.scenario.lines import TablePlace


def refused(place: TablePlace, key: str, why: str) -> DefinitionError:
    """Return the error of a key."""
    return DefinitionError(f"{place.of(key)}: {why}")


def near(name: str, known: Iterable[str]) -> str:
    """Return the hint for an unknown name: the nearest one, or all."""
    names = list(known)
    found = difflib.get_close_matches(name, names, 1)
    return f"did you mean {found[0]!r}?" if found else f"there are: {', '.join(names)}"


def check_keys(place: TablePlace, given: dict[str, Any], known: Sequence[str]) -> None:
    """Refuse keys that a table does not have.

    Raises:
        DefinitionError: one is unknown; the nearest is named.
    """
    for key in given:
        if key not in known:
            raise refused(place, key, f"unknown key {key!r}; {near(key, known)}")


def parameters_of(function: Callable[..., Any], leave_out: Sequence[str] = ()) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function, by name."""
    found = inspect.signature(function).parameters
    return {name: one for name, one in found.items() if name not in {"self", *leave_out}}


def check_arguments(place: TablePlace, given: dict[str, Any], parameters: dict[str, inspect.Parameter]) -> None:
    """Check that a table has the arguments of a function: no other ones, all that have no default, and their kinds.

    Raises:
        DefinitionError: it has not.
    """
    check_keys(place, given, list(parameters))
    for name, parameter in parameters.items():
        if name not in given and parameter.default is parameter.empty:
            raise refused(place, "", f"{name!r} is missing; its keys are: {', '.join(parameters)}")
        if name in given and isinstance(parameter.default, bool) and not isinstance(given[name], bool):
            raise refused(place, name, f"{name} = {stable_text(given[name])}: give true or false")


def called(place: TablePlace, key: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function for a table; an error that it has with its arguments names the place.

    Raises:
        DefinitionError: the function refuses its arguments.
    """
    try:
        return function(*args, **kwargs)
    except DefinitionError as error:
        if str(error).startswith(place.of("").partition(",")[0]):
            raise  # it names its place itself
        raise refused(place, key, str(error)) from error
    except ActorflowError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise refused(place, key, f"a value is of another kind than it takes: {error}") from error


def as_tuples(value: Any) -> Any:
    """Return a list, in which TOML has several values, as a tuple."""
    return tuple(value) if isinstance(value, list) else value
