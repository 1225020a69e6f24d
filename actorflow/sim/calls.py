"""Calls: the words for the functions that clients of a simulation call."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType

from actorflow.core.refs.ref import ActorRef
from actorflow.text import text_of

LONGEST_CALL = 100  # characters of a client's call, in a scenario


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
    return path if isinstance(path, str) else text_of(value)
