"""Handlers: the methods under `@af.on`, and the table in which a class of services has them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Final, Protocol, TypeVar, overload

from actorflow.errors import DefinitionError
from actorflow.events.event import EventType
from actorflow.events.hints import (
    accepted_of,
    check_batch,
    check_events,
    check_guard,
    event_parameter,
    listed,
    published_of,
    resolved,
    takes,
)
from actorflow.events.topics import compiled, matches
from actorflow.text import text_of

E1 = TypeVar("E1")
E2 = TypeVar("E2")
E3 = TypeVar("E3")
E4 = TypeVar("E4")
S = TypeVar("S")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

MARKS: Final = "__handles_events__"
TABLE: Final = "_handler_table"  # in the class itself, so that it goes along with a class that is pickled by value
NO_NAMES: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class OnMark:
    """One `@af.on` above a method.

    Attributes:
        events: classes of events.
        patterns: patterns of their names.
        when: the guard.
        batch: the most events of one call; 0: it takes one event, not a list.
        within: seconds that a batch waits for more events.
    """

    events: tuple[type[Any], ...]
    patterns: tuple[str, ...]
    when: Callable[[Any, Any], Any] | None
    batch: int = 0
    within: float = 0.0


@dataclass(frozen=True, slots=True)
class HandlerRule:
    """One way into a handler, as the table of its class has it.

    Attributes:
        name: the method; an override in a subclass is respected.
        events: the classes of events that it is for; those of their subclasses, too.
        patterns: the patterns of names that it is for.
        when: called with the service and the event, says whether the handler is to run.
        accepts: the classes that its parameter takes; none: any.
        published: the classes of events that it returns or yields.
        many: it gives an iterator of events, not one.
        optional: it may publish none.
        is_async: it is an `async def`.
        is_plain: it is a plain method of one event without a guard, and no event of a machine.
        batch: the most events that it takes at once, in a list; 0: it takes one.
        within: seconds that a batch waits for more events.
    """

    name: str
    events: tuple[type[Any], ...]
    patterns: tuple[str, ...]
    when: Callable[[Any, Any], Any] | None
    accepts: tuple[type[Any], ...]
    published: tuple[type[Any], ...]
    many: bool
    optional: bool
    is_async: bool
    is_plain: bool
    batch: int = 0
    within: float = 0.0

    def given(self, event: object) -> object:
        """Return the argument of the handler for one event."""
        return [event] if self.batch else event


class HandlerTable:
    """The rules of a class of services, in the order in which they are asked: the class's own, then its bases'.

    Attributes:
        rules: all of them.
        events: the classes of events that they are for.
        patterns: the patterns of names that they are for.
        published: the classes of events that they publish.
        most: the size of the largest batch; 0: there are none.
        plain: the handlers of classes of events for which there is one alone, without a guard, and not async; filled as
            events come, and emptied by each service that starts, as a test may have put another method in place.
    """

    __slots__ = ("_chosen", "events", "most", "patterns", "plain", "published", "rules")

    def __init__(self, rules: tuple[HandlerRule, ...]) -> None:
        self.rules = rules
        self.events = unique(cls for rule in rules for cls in rule.events)
        self.patterns = unique(pattern for rule in rules for pattern in rule.patterns)
        self.published = unique(cls for rule in rules for cls in rule.published)
        self.most = max((rule.batch for rule in rules), default=0)
        self.plain: dict[type[Any], Callable[[Any, Any], Any]] = {}
        self._chosen: dict[type[Any], tuple[HandlerRule, ...]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return HandlerTable, (self.rules,)

    def rules_for(self, cls: type[Any]) -> tuple[HandlerRule, ...]:
        """Return the rules that are asked about events of a class: for it, for its bases, for patterns of its name."""
        chosen = self._chosen.get(cls)
        if chosen is None:
            chosen = self._chosen[cls] = unique(self._rules_for(cls))
        return chosen

    def _rules_for(self, cls: type[Any]) -> Iterator[HandlerRule]:
        for base in cls.__mro__:
            for rule in self.rules:
                if base in rule.events:
                    yield rule
        if any(rule.patterns for rule in self.rules):
            name = EventType.of(cls).name
            for rule in self.rules:
                if takes(rule.accepts, cls) and any(matches(pattern, name) for pattern in rule.patterns):
                    yield rule

    def find(self, event: object, service: object) -> HandlerRule | None:
        """Return the first rule for an event whose guard says yes; None: there is none."""
        for rule in self.rules_for(type(event)):
            if rule.when is None or rule.when(service, event):
                return rule
        return None


T = TypeVar("T")


def unique(items: Iterator[T]) -> tuple[T, ...]:
    """Return items without repetitions, in their order."""
    return tuple(dict.fromkeys(items))


# --- declaration -----------------------------------------------------------------------------------------------------


class HandlerOf(Protocol[E1]):
    """A decorator for methods that take an event."""

    def __call__(self, function: Callable[[S, E1], R], /) -> Callable[[S, E1], R]:
        """Return the method unchanged."""
        ...


@overload
def on(event: type[E1], /, *, when: Callable[[Any, E1], Any] | None = None) -> HandlerOf[E1]: ...
@overload
def on(
    event: type[E1], event2: type[E2], /, *, when: Callable[[Any, E1 | E2], Any] | None = None
) -> HandlerOf[E1 | E2]: ...
@overload
def on(
    event: type[E1], event2: type[E2], event3: type[E3], /, *, when: Callable[[Any, E1 | E2 | E3], Any] | None = None
) -> HandlerOf[E1 | E2 | E3]: ...
@overload
def on(
    event: type[E1],
    event2: type[E2],
    event3: type[E3],
    event4: type[E4],
    /,
    *more: type[Any],
    when: Callable[[Any, Any], Any] | None = None,
) -> Callable[[F], F]: ...
@overload
def on(pattern: str, /, *patterns: str, when: Callable[[Any, Any], Any] | None = None) -> Callable[[F], F]: ...
@overload
def on(event: type[E1], /, *, batch: int, within: float = 0.0) -> HandlerOf[list[E1]]: ...
@overload
def on(event: type[E1], event2: type[E2], /, *, batch: int, within: float = 0.0) -> HandlerOf[list[E1 | E2]]: ...
@overload
def on(
    event: type[E1], event2: type[E2], event3: type[E3], /, *, batch: int, within: float = 0.0
) -> HandlerOf[list[E1 | E2 | E3]]: ...
@overload
def on(
    event: type[E1],
    event2: type[E2],
    event3: type[E3],
    event4: type[E4],
    /,
    *more: type[Any],
    batch: int,
    within: float = 0.0,
) -> Callable[[F], F]: ...
@overload
def on(pattern: str, /, *patterns: str, batch: int, within: float = 0.0) -> Callable[[F], F]: ...
def on(
    *events: Any, when: Callable[[Any, Any], Any] | None = None, batch: int | None = None, within: float = 0.0
) -> Any:
    """Have a method of a service handle events: of these classes and their subclasses, or of names that fit a pattern.

    The annotations of the method name the events that it takes and publishes: an event that it returns is published,
    and each that it yields; None is nothing. Of several handlers for one event the first runs whose guard says yes: one
    for its class before one for a base class, and these before one for a pattern.

    Args:
        events: classes of events, or patterns: "orders.*" is one part of a name, "orders.**" one or more.
        when: the guard, called with the service and the event: the handler runs if it says yes.
        batch: the handler takes a list of so many events at most, from 1 to 1,000: those that are there, in order, up
            to the first that another handler takes. A durable service commits them at once; if that fails, they come
            one by one. A service that is not durable gets each in a list of its own.
        within: seconds that fewer events wait for more, in a durable service.

    Raises:
        DefinitionError: one of them is no class of events and no pattern, the guard is no function of two arguments, or
            an option makes no sense.
    """
    where = "@af.on"
    if not events or any(isinstance(given, FunctionType) for given in events):
        msg = "@af.on needs the events: @af.on(Placed), @af.on(Placed, Paid) or @af.on('orders.*')"
        raise DefinitionError(msg)
    patterns = tuple(given for given in events if isinstance(given, str))
    classes = tuple(given for given in events if not isinstance(given, str))
    check_events(classes, where)
    for pattern in patterns:
        compiled(pattern)
    check_guard(when, where)
    check_batch(when, batch, within, where)

    def mark(function: Any) -> Any:
        if not isinstance(function, FunctionType):
            msg = f"@af.on stands above a method, next to its def; {text_of(function)} is none"
            raise DefinitionError(msg)
        earlier: tuple[OnMark, ...] = getattr(function, MARKS, ())
        setattr(function, MARKS, (OnMark(classes, patterns, when, batch or 0, within), *earlier))
        return function

    return mark


# --- the table of a class --------------------------------------------------------------------------------------------


def handlers_of(cls: type[Any], scope: Mapping[str, Any] = NO_NAMES) -> HandlerTable:
    """Return the table of a class of services; it is made once.

    Args:
        cls: the class.
        scope: names for annotations that the module of a handler does not have.

    Raises:
        DefinitionError: a handler's annotations are missing, or name what is no event or is not defined; or a handler
            never runs, since one above takes its events.
    """
    table: HandlerTable | None = cls.__dict__.get(TABLE)
    if table is None:
        try:
            table = made_table(cls, scope)
        except NameError as error:
            msg = f"{cls.__qualname__}: an annotation of a handler cannot be read: {error}: define it in the module"
            raise DefinitionError(msg) from error
        keep(cls, table)
    return table


def keep(cls: type[Any], table: HandlerTable) -> None:
    """Put a table into its class, with the part of it that each event is looked up in."""
    setattr(cls, TABLE, table)
    cls._plain_handlers = table.plain


def try_handlers(cls: type[Any], scope: Mapping[str, Any]) -> None:
    """Make the table of a class that is being defined, unless an annotation names something that comes later."""
    try:
        keep(cls, made_table(cls, scope))
    except NameError:
        return


def made_table(cls: type[Any], scope: Mapping[str, Any]) -> HandlerTable:
    """Return a new table of the handlers of a class.

    Raises:
        NameError: an annotation names something that is not defined yet.
    """
    rules = tuple(rule for name, marks in marked(cls).items() for rule in rules_of(cls, name, marks, scope))
    check_reachable(cls, rules)
    return HandlerTable(rules)


def marked(cls: type[Any]) -> dict[str, tuple[OnMark, ...]]:
    """Return the marks of a class's handlers by name, its own first; an override without marks keeps those above."""
    found: dict[str, tuple[OnMark, ...]] = {}
    for base in cls.__mro__:
        for name, member in vars(base).items():
            marks = getattr(member, MARKS, ()) if isinstance(member, FunctionType) else ()
            if marks and name not in found:
                found[name] = marks
    return found


def rules_of(cls: type[Any], name: str, marks: tuple[OnMark, ...], scope: Mapping[str, Any]) -> Iterator[HandlerRule]:
    """Return the rules of one handler, checked against its annotations."""
    function = inspect.getattr_static(cls, name)
    where = f"handler {cls.__qualname__}.{name}"
    if not isinstance(function, FunctionType):
        msg = f"{where} is overridden by {text_of(function)}, which is no method"
        raise DefinitionError(msg)
    parameter = event_parameter(function, where)
    annotated = getattr(inspect.unwrap(function), "__annotations__", {})
    for needed in (parameter, "return"):
        if needed not in annotated:
            what = f"of its parameter {needed!r}" if needed != "return" else "of what it returns: -> None for nothing"
            msg = f"{where} has no annotation {what}; they say which events it takes and publishes"
            raise DefinitionError(msg)
    hints = resolved(function, scope)
    takes_list = check_alike(marks, is_machine=getattr(cls, "_is_machine", False), where=where)
    hint = listed(hints[parameter], where, parameter) if takes_list else hints[parameter]
    accepts = accepted_of(hint)
    published, many, optional = published_of(function, hints["return"], where)
    is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    is_event = getattr(cls, "_is_machine", False)
    for mark in marks:
        for event in mark.events:
            if not takes(accepts, event):
                taken = " | ".join(taken.__qualname__ for taken in accepts)
                msg = f"{where} is @af.on({event.__qualname__}), but its parameter {parameter!r} takes {taken}"
                if list in accepts:
                    msg += f": a handler of several events is @af.on({event.__qualname__}, batch=100)"
                raise DefinitionError(msg)
        is_plain = not (is_async or is_event or mark.when or mark.batch)
        yield HandlerRule(
            name,
            mark.events,
            mark.patterns,
            mark.when,
            accepts,
            published,
            many,
            optional,
            is_async,
            is_plain,
            mark.batch,
            mark.within,
        )


def check_alike(marks: tuple[OnMark, ...], *, is_machine: bool, where: str) -> bool:
    """Say whether a handler takes a list of events.

    Raises:
        DefinitionError: by one of its marks it does, and by another it does not; or it is an event of a machine.
    """
    takes_list = bool(marks[0].batch)
    if any(bool(mark.batch) != takes_list for mark in marks):
        msg = f"{where} takes a list of events by one @af.on(), and one event by another: give all of them batch="
        raise DefinitionError(msg)
    if takes_list and is_machine:
        msg = f"{where} is an event of a state machine, which takes one at a time: leave batch= out"
        raise DefinitionError(msg)
    return takes_list


def check_reachable(cls: type[Any], rules: tuple[HandlerRule, ...]) -> None:
    """Refuse a handler for a class or a pattern that one above takes without a guard.

    Raises:
        DefinitionError: there is one.
    """
    taken: dict[Any, str] = {}
    for rule in rules:
        for key in (*rule.events, *rule.patterns):
            if key in taken:
                shown = key.__qualname__ if isinstance(key, type) else text_of(key)
                msg = (
                    f"{cls.__qualname__} has two handlers for {shown}: {taken[key]} and {rule.name}, which never runs: "
                    "give the first a guard, @af.on(..., when=...), or do both in one"
                )
                raise DefinitionError(msg)
            if rule.when is None and not (rule.accepts and key in rule.patterns):
                taken[key] = rule.name
