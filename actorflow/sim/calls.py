"""Calls: functions of clients and checks of a simulation, and the words for them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import AsyncGeneratorType, CoroutineType, FunctionType, GeneratorType
from typing import Final

from actorflow.core.refs.ref import ActorRef
from actorflow.errors import DefinitionError
from actorflow.text import stable_text

LONGEST_CALL = 100  # characters of a client's call, in a scenario
UNRUN: Final = (CoroutineType, GeneratorType, AsyncGeneratorType)  # what a call returns that has run nothing yet


def called(function: Callable[[], object]) -> str:
    """Return the words for a client's function; what it sends is added to them."""
    if isinstance(function, functools.partial):
        given = [*map(word_of, function.args), *(f"{key}={word_of(one)}" for key, one in function.keywords.items())]
        return f"call of {getattr(function.func, '__name__', 'a function')}({', '.join(given)})"[:LONGEST_CALL]
    name = getattr(function, "__name__", "<lambda>")
    return "call" if name == "<lambda>" else f"call of {name}"


def word_of(value: object) -> str:
    """Return the words for an argument: functions and classes go by their names, actors by their paths."""
    if isinstance(value, (type, FunctionType)):
        return value.__qualname__
    path = getattr(value, "path", None) if isinstance(value, ActorRef) else None
    return path if isinstance(path, str) else stable_text(value)


def act_once(function: Callable[[], object]) -> None:
    """Call a client's function.

    Raises:
        DefinitionError: it has returned what has not run.
    """
    refuse_unrun(function(), "a client")


def refuse_async(function: Callable[..., object], what: str) -> None:
    """Refuse a function whose call runs none of it: an async one, or one that yields.

    Raises:
        DefinitionError: it is such a one.
    """
    called = inspect.unwrap(function.func if isinstance(function, functools.partial) else function)
    if not inspect.isroutine(called) and not isinstance(called, type):
        called = getattr(called, "__call__", called)  # noqa: B004 - of an object
    if inspect.iscoroutinefunction(called) or inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called):
        raise unrun(f"{what}, {getattr(called, '__qualname__', stable_text(called))},")


def refuse_unrun(value: object, what: str) -> None:
    """Refuse a coroutine or a generator that a call has returned: nothing of it has run, and nobody runs it.

    Raises:
        DefinitionError: it is such a one.
    """
    if isinstance(value, UNRUN):
        if isinstance(value, CoroutineType):
            value.close()  # else Python warns of it, later and elsewhere
        raise unrun(what)


def unrun(what: str) -> DefinitionError:
    """Return the error of a function that would never be run."""
    return DefinitionError(f"{what} is async, or yields, and would never run: give a plain function, that acts at once")
