"""Arguments: a check that they fit the constructor of an actor class. Its error names the cure."""

from __future__ import annotations

import difflib
import functools
import inspect
from typing import Any

from actorflow.core.actors.traits import OPTION_NAMES
from actorflow.errors import DefinitionError


class Constructor:
    """Names the method that makes an actor instead of `__init__`; the first of its positional arguments.

    So `spawn(Order.restore, snapshot)` is a recipe like any other: it pickles, and restarts begin with it again.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> tuple[Any, ...]:
        return Constructor, (self.name,)

    def __repr__(self) -> str:
        return self.name


@functools.lru_cache(maxsize=1024)
def signature_of(actor_class: Any) -> inspect.Signature:
    """Return the signature of the constructor of a class."""
    return inspect.signature(actor_class)


def check_arguments(actor_class: type[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise a DefinitionError if the constructor does not take these arguments."""
    make: Any = actor_class
    if args and isinstance(args[0], Constructor):
        make, args = getattr(actor_class, args[0].name), args[1:]
    signature = signature_of(make)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as mismatch:
        own = getattr(actor_class, "_argument_hints", {})
        hints = [hint for name in kwargs if (hint := hint_for(name, signature, own))]
        text = "; ".join([f"{actor_class.__name__}(...): {mismatch}", *hints])
        raise DefinitionError(text) from mismatch


def hint_for(name: str, signature: inspect.Signature, own: dict[str, str]) -> str:
    """Return the cure for a keyword that the constructor does not have; `own` are those that its class knows."""
    if name in signature.parameters:
        return ""
    if name in own:
        return own[name]
    if name in OPTION_NAMES:
        return f"{name!r} is an option: write .options({name}=...)"
    near = difflib.get_close_matches(name, list(signature.parameters), n=1)
    return f"did you mean {near[0]!r}?" if near else ""
