"""Hints: the annotations of a handler, which say the events that it takes and those that it publishes."""

from __future__ import annotations

import collections.abc
import inspect
import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from actorflow.errors import DefinitionError
from actorflow.events.event import check_event_class, is_event_class
from actorflow.text import text_of

ABC: Final = collections.abc
MANY: Final = frozenset({ABC.Iterator, ABC.Iterable, ABC.Generator})
ASYNC_MANY: Final = frozenset({ABC.AsyncIterator, ABC.AsyncIterable, ABC.AsyncGenerator})
AWAITED: Final = frozenset({ABC.Awaitable, ABC.Coroutine})
NOTHING: Final = (type(None), typing.NoReturn, typing.Never)
ANYTHING: Final = (object, Any)
LISTS: Final = (list, ABC.Sequence, ABC.Collection, ABC.Iterable)
MOST: Final = 1000  # events of one batch: as many as a service sets aside


def resolved(function: Callable[..., Any], scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the annotations of a function as objects; `scope` has names that its module does not.

    Raises:
        NameError: one of them names a thing that is not defined, or not yet.
    """
    try:
        return typing.get_type_hints(function)
    except NameError:
        if not scope:
            raise
        return typing.get_type_hints(function, localns=dict(scope))


def parts_of(hint: Any) -> Iterator[Any]:
    """Return the members of a union, also within unions and aliases; any other annotation is its only member."""
    if hasattr(hint, "__value__"):  # `type Answer = Paid | Refused` of Python 3.12
        yield from parts_of(hint.__value__)
    elif typing.get_origin(hint) in {typing.Union, types.UnionType}:
        for part in typing.get_args(hint):
            yield from parts_of(part)
    else:
        yield hint


class Published(NamedTuple):
    """The events that a handler publishes, by its annotation.

    Attributes:
        events: their classes.
        many: it gives an iterator of them, not one.
        optional: it may publish none.
    """

    events: tuple[type[Any], ...]
    many: bool
    optional: bool


def published_of(function: Callable[..., Any], hint: Any, where: str) -> Published:
    """Return the events that a handler publishes.

    Raises:
        DefinitionError: the annotation names something that is no event, or not what the function is.
    """
    while hasattr(hint, "__value__"):
        hint = hint.__value__
    if typing.get_origin(hint) in AWAITED and typing.get_args(hint):
        hint = typing.get_args(hint)[-1]
    origin = typing.get_origin(hint) or hint
    many = origin in MANY or origin in ASYNC_MANY
    yields = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    if many and not typing.get_args(hint):
        msg = f"{where} returns {hint.__name__}: say of which events, such as Iterator[Paid | Refused]"
        raise DefinitionError(msg)
    if yields and not many:
        kind = "AsyncIterator" if inspect.isasyncgenfunction(function) else "Iterator"
        msg = f"{where} yields, but its annotation is no iterator: write -> {kind}[...] with the events it yields"
        raise DefinitionError(msg)
    given = typing.get_args(hint)[0] if many else hint
    classes: list[type[Any]] = []
    for part in parts_of(given):
        if part in NOTHING:
            continue
        part = typing.get_origin(part) or part  # noqa: PLW2901 - Changed of Changed[int]
        if not is_event_class(part):
            shown = part.__qualname__ if isinstance(part, type) else text_of(part)
            msg = (
                f"{where} returns {shown}, which is no event: what a handler returns is published, so it returns "
                "dataclasses or msgspec Structs, or None; several are yielded, -> Iterator[...]"
            )
            raise DefinitionError(msg)
        if part not in classes:
            classes.append(part)
    return Published(tuple(classes), many, many or any(part in NOTHING for part in parts_of(given)))


def accepted_of(hint: Any) -> tuple[type[Any], ...]:
    """Return the classes that a parameter takes; none: any object."""
    classes: list[type[Any]] = []
    for part in parts_of(hint):
        origin = typing.get_origin(part) or part
        if origin in ANYTHING or not isinstance(origin, type):
            return ()
        classes.append(origin)
    return tuple(classes)


def takes(accepted: tuple[type[Any], ...], cls: type[Any]) -> bool:
    """Say whether a parameter takes objects of a class."""
    if not accepted:
        return True
    try:
        return issubclass(cls, accepted)
    except TypeError:  # a protocol that cannot be asked
        return True


def event_parameter(function: Callable[..., Any], where: str) -> str:
    """Return the name of the parameter that takes the event.

    Raises:
        DefinitionError: the function cannot be called with `self` and an event.
    """
    signature = inspect.signature(function)
    try:
        signature.bind(None, None)
    except TypeError as mismatch:
        msg = f"{where}{signature} takes other arguments than (self, event)"
        raise DefinitionError(msg) from mismatch
    parameters = list(signature.parameters.values())
    return parameters[min(1, len(parameters) - 1)].name


def check_guard(when: object, where: str) -> None:
    """Refuse a guard that cannot be called with the service and an event.

    Raises:
        DefinitionError: it is no function of two arguments, or an async one.
    """
    if when is None:
        return
    if not callable(when) or inspect.iscoroutinefunction(when):
        msg = f"{where}: when={text_of(when)}: give a plain function of the service and the event"
        raise DefinitionError(msg)
    try:
        inspect.signature(when).bind(None, None)
    except ValueError:  # of C, which has no signature
        return
    except TypeError as mismatch:
        msg = f"{where}: when={text_of(when)} takes other arguments than the service and the event"
        raise DefinitionError(msg) from mismatch


def check_batch(when: object, batch: object, within: object, where: str) -> None:
    """Refuse options of a handler of several events that make no sense.

    Raises:
        DefinitionError: a size that is no number from 1 to 1,000, a wait that is no time, or a guard.
    """
    if batch is None:
        if within != 0.0:
            msg = f"{where}: within={text_of(within)} is how long a batch waits for more events: give batch=, too"
            raise DefinitionError(msg)
        return
    if isinstance(batch, bool) or not isinstance(batch, int) or not 1 <= batch <= MOST:
        msg = f"{where}: batch={text_of(batch)}: give the most events of one call, from 1 to {MOST:,}"
        raise DefinitionError(msg)
    is_time = isinstance(within, int | float) and not isinstance(within, bool)
    if not is_time or not 0 <= within < math.inf:  # type: ignore[operator]
        msg = f"{where}: within={text_of(within)}: give seconds, not negative"
        raise DefinitionError(msg)
    if when is not None:
        msg = f"{where}: a handler with batch= has no guard: leave out in the handler what it is not for"
        raise DefinitionError(msg)


def listed(hint: Any, where: str, parameter: str) -> Any:
    """Return the annotation of the events in that of a list.

    Raises:
        DefinitionError: it is of one event.
    """
    while hasattr(hint, "__value__"):
        hint = hint.__value__
    if hint in ANYTHING:
        return hint
    if (typing.get_origin(hint) or hint) not in LISTS:
        shown = hint.__qualname__ if isinstance(hint, type) else text_of(hint)
        msg = (
            f"{where} has batch=, so it takes a list of events, but its parameter {parameter!r} is annotated with "
            f"{shown}: write list[{shown}]"
        )
        raise DefinitionError(msg)
    given = typing.get_args(hint)
    if not given:
        msg = f"{where}: its parameter {parameter!r} is a list: say of which events, such as list[Placed | Paid]"
        raise DefinitionError(msg)
    return given[0]


def check_events(events: tuple[object, ...], where: str) -> None:
    """Refuse objects that are no classes of events.

    Raises:
        DefinitionError: one of them is something else.
    """
    for cls in events:
        check_event_class(cls, where)
