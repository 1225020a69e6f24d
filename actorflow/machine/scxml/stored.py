"""Values of variables as a snapshot keeps them: builtins with text as keys, and a form for `undefined`."""

from __future__ import annotations

from typing import Any, Final

from actorflow.errors import PayloadError
from actorflow.machine.running.snapshot import copied
from actorflow.machine.scxml.ecma.values import UNDEFINED

UNDEFINED_FORM: Final = {"$": "undefined"}


def plain(value: Any) -> Any:
    """Return a value as a snapshot keeps it.

    >>> plain({"a": [UNDEFINED], 1: None})
    {'$': [['a', [{'$': 'undefined'}]], [1, None]]}
    """
    if value is UNDEFINED:
        return dict(UNDEFINED_FORM)
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value) and "$" not in value:
            return {key: plain(item) for key, item in value.items()}
        return {"$": [[key, plain(item)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value)
    return value


def data_of(value: Any, missing: Any) -> Any:
    """Return the value that was kept; `missing` stands for undefined.

    >>> data_of({"$": [["a", [{"$": "undefined"}]], [1, None]]}, UNDEFINED)
    {'a': [undefined], 1: None}
    """
    if value == UNDEFINED_FORM:
        return missing
    if isinstance(value, dict):
        pairs = value["$"] if "$" in value else value.items()
        return {key: data_of(item, missing) for key, item in pairs}
    if isinstance(value, list | tuple):
        return type(value)(data_of(item, missing) for item in value)
    return value


def kept(name: str, value: Any) -> Any:
    """Return a variable's value as a snapshot keeps it.

    Raises:
        PayloadError: it contains itself, or something that is no builtin.
    """
    try:
        return copied(plain(value), f"the variable {name!r}")
    except RecursionError:
        raise PayloadError(f"the variable {name!r} contains itself, or is nested too deep for a snapshot") from None
