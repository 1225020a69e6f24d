"""Event: a fact as a dataclass or msgspec Struct, known by a name and a version; upcasters read older versions."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import uuid
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias, TypeVar, overload

import msgspec

from actorflow.core.importable import module_of
from actorflow.errors import DefinitionError, PayloadError
from actorflow.events.topics import check_topic
from actorflow.events.unreadable import UnknownEvent, UpcastFailed
from actorflow.store.classes import find_imported, rebuilt
from actorflow.store.codec import decode, encode_fields, unreadable
from actorflow.text import reason_of, text_of

C = TypeVar("C", bound=type[Any])
U = TypeVar("U", bound=Callable[[dict[str, Any]], dict[str, Any]])

Upcaster: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]

MARK: Final = "__event_type__"  # in the class itself, so that it goes along with a class that is pickled by value


@dataclasses.dataclass(frozen=True, slots=True)
class EventType:
    """The declaration of a class of events.

    Attributes:
        name: the topic, by which it is stored and matched: `module.qualname`, unless it was given another.
        version: of the fields, from 1.
        key: the field whose value orders events; None: they have no order.
        cls: the class.
        undo: the class of the event that says that its work was undone; False: there is nothing to undo.
        failure: it says that a conversation failed: the work before it is to be undone.
        external: it is also published or heard outside of the services, where their annotations do not tell of it.
    """

    name: str
    version: int
    key: str | None
    cls: type[Any]
    undo: type[Any] | Literal[False] | None = None
    failure: bool = False
    external: bool = False

    @staticmethod
    def of(kind: type[Any]) -> EventType:
        """Return the type of a class of events, declared or not.

        Raises:
            DefinitionError: the class is neither a dataclass nor a Struct.
        """
        declared: EventType | None = kind.__dict__.get(MARK)
        return declared if declared is not None else undeclared(kind)  # type: ignore[arg-type]  # a class has a hash

    @staticmethod
    def by_name(name: str) -> EventType | None:
        """Return the type of a name, among those declared and the classes of imported modules; None: there is none."""
        declared = DECLARED_EVENTS.get(name)
        if declared is not None:
            return declared
        cls = find_imported(name)
        return EventType.of(cls) if cls is not None and is_event_class(cls) else None

    def key_of(self, event: object) -> str | None:
        """Return the key of an event of this type, as text; None: it has none.

        Raises:
            DefinitionError: the field holds something else than a text, a whole number or a UUID.
        """
        return None if self.key is None else text_key(getattr(event, self.key), f"{self.name}.{self.key}")


DECLARED_EVENTS: Final[dict[str, EventType]] = {}
UPCASTERS: Final[dict[tuple[str, int], Upcaster]] = {}  # by name, and the version that they read


def is_event_class(cls: object) -> bool:
    """Say whether objects of a class can be events."""
    if not isinstance(cls, type):
        return False
    return (dataclasses.is_dataclass(cls) or issubclass(cls, msgspec.Struct)) and cls is not msgspec.Struct


def check_event_class(cls: object, where: str) -> type[Any]:
    """Return a class of events.

    Raises:
        DefinitionError: it is something else.
    """
    if not is_event_class(cls):
        shown = cls.__qualname__ if isinstance(cls, type) else text_of(cls)
        msg = f"{where}: {shown} is no event: an event is a dataclass or a msgspec.Struct"
        if isinstance(cls, type) and issubclass(cls, type):
            msg += "; publish an object, not its class"
        raise DefinitionError(msg)
    return cls  # type: ignore[return-value]


@functools.lru_cache(1024)
def undeclared(cls: type[Any]) -> EventType:
    """Return the type of a class without `@af.event`; all but name and version is that of the class above it."""
    check_event_class(cls, "events")
    name = f"{module_of(cls)}.{cls.__qualname__}"
    for base in cls.__mro__:
        declared: EventType | None = base.__dict__.get(MARK)
        if declared is not None:
            return dataclasses.replace(declared, name=name, version=1, cls=cls)
    return EventType(name, 1, None, cls)


def text_key(key: object, what: str) -> str | None:
    """Return a key as text.

    Raises:
        DefinitionError: it is neither a text, nor a whole number, nor a UUID.
    """
    kind = type(key)
    if kind is str or key is None:
        return key  # type: ignore[return-value]
    if kind is int or kind is uuid.UUID:
        return str(key)
    msg = f"{what} is {text_of(key)}: a key is a text, a whole number or a UUID"
    raise DefinitionError(msg)


# --- declarations ----------------------------------------------------------------------------------------------------


@overload
def event(cls: C, /) -> C: ...
@overload
def event(
    *,
    name: str | None = None,
    version: int = 1,
    key: str | None = None,
    undo: type[Any] | Literal[False] | None = None,
    failure: bool | None = None,
    external: bool | None = None,
) -> Callable[[C], C]: ...
def event(
    cls: Any = None,
    /,
    *,
    name: str | None = None,
    version: int = 1,
    key: str | None = None,
    undo: type[Any] | Literal[False] | None = None,
    failure: bool | None = None,
    external: bool | None = None,
) -> Any:
    """Declare a dataclass or a msgspec Struct an event, with a name that outlives its place in the code.

    Any dataclass or Struct can be published. One that is stored should have a name, since its module may change.

    Args:
        cls: the class, if it needs no options.
        name: the topic, such as "orders.placed"; `module.qualname` without it.
        version: of the fields: raise it when they change, and say by `@af.upcast` how older events are read.
        key: the field whose value orders events: those of one key are handled in order.
        undo: the class of the event that says that the work behind this one was undone; False if there is nothing to
            undo. `actorflow check` reports work that a failure leaves behind.
        failure: it says that a conversation failed, so that the work before it is to be undone.
        external: it is published, or heard, outside of the services, such as by another program: `actorflow check`
            misses no publisher and no handler of it.

    Raises:
        DefinitionError: it is neither a dataclass nor a Struct, an option makes no sense, or the name is taken.

    >>> import actorflow as af
    >>> from dataclasses import dataclass
    >>> @af.event(name="orders.placed", key="order")
    ... @dataclass(frozen=True)
    ... class Placed:
    ...     order: str
    """
    if cls is not None:
        return declare(cls, None, 1, None)
    roles = roles_of(undo, failure, external)
    return lambda given: declare(given, name, version, key, **roles)


def roles_of(undo: object, failure: object, external: object) -> dict[str, Any]:
    """Return those options that were given about the place of an event among the others.

    Raises:
        DefinitionError: one of them makes no sense.
    """
    given = {name: value for name, value in (("failure", failure), ("external", external)) if value is not None}
    for name, value in given.items():
        if type(value) is not bool:
            msg = f"@af.event: {name}={text_of(value)}: give True or False"
            raise DefinitionError(msg)
    if undo is None:
        return given
    if undo is not False and not is_event_class(undo):
        msg = f"@af.event: undo={text_of(undo)}: give the class of the event of its undo, or False if it needs none"
        raise DefinitionError(msg)
    return {**given, "undo": undo}


def declare(cls: Any, name: str | None, version: int, key: str | None, **roles: Any) -> Any:
    """Note the declaration of a class, and return the class."""
    if isinstance(cls, type) and not is_event_class(cls):
        msg = f"@af.event on {cls.__qualname__}: put it above @dataclass, or derive the class from msgspec.Struct"
        raise DefinitionError(msg)
    check_event_class(cls, "@af.event")
    where = f"@af.event on {cls.__qualname__}"
    if name is not None:
        check_topic(name, f"{where}: name")
    if type(version) is not int or version < 1:
        msg = f"{where}: version={text_of(version)}: give a whole number from 1"
        raise DefinitionError(msg)
    if key is not None and key not in field_names(cls):
        msg = f"{where}: key={text_of(key)}: it has no such field; its fields are {', '.join(field_names(cls))}"
        raise DefinitionError(msg)
    above = undeclared(cls)
    declared = dataclasses.replace(above, name=name or above.name, version=version, key=key or above.key, **roles)
    other = DECLARED_EVENTS.get(declared.name)
    if other is not None and not same_class(other.cls, cls):
        msg = (
            f"{where}: {other.cls.__module__}.{other.cls.__qualname__} is named {declared.name!r} already: give one of "
            "them another name"
        )
        raise DefinitionError(msg)
    setattr(cls, MARK, declared)
    DECLARED_EVENTS[declared.name] = declared
    return cls


def same_class(one: type[Any], other: type[Any]) -> bool:
    """Say whether two classes come from the same lines: a module that is loaded again, or a notebook cell."""
    return module_of(one) == module_of(other) and one.__qualname__ == other.__qualname__


def field_names(cls: type[Any]) -> tuple[str, ...]:
    """Return the names of the fields of a dataclass or Struct."""
    if dataclasses.is_dataclass(cls):
        return tuple(field.name for field in dataclasses.fields(cls))
    return tuple(cls.__struct_fields__)


def upcast(cls: type[Any], /, *, version: int) -> Callable[[U], U]:
    """Declare a function that turns the fields of an older version of an event into those of the next.

    Args:
        cls: the class of the event as it is now.
        version: the version that the function reads; it returns the fields of the version after it.

    Raises:
        DefinitionError: the class is not that old, or has an upcaster of this version.

    >>> import actorflow as af
    >>> from dataclasses import dataclass
    >>> @af.event(name="orders.paid", version=2)
    ... @dataclass
    ... class Paid:
    ...     order: str
    ...     cents: int
    >>> @af.upcast(Paid, version=1)
    ... def cents(fields: dict) -> dict:
    ...     return {"order": fields["order"], "cents": fields["euros"] * 100}
    """
    declared = EventType.of(check_event_class(cls, "@af.upcast"))
    where = f"@af.upcast({cls.__qualname__}, version={text_of(version)})"
    if type(version) is not int or not 1 <= version < declared.version:
        msg = f"{where}: {declared.name} is at version {declared.version}: an upcaster reads a version below that"
        raise DefinitionError(msg)

    def add(function: U) -> U:
        if not callable(function) or inspect.iscoroutinefunction(function):
            msg = f"{where}: give a plain function from the older fields to the next"
            raise DefinitionError(msg)
        other = UPCASTERS.get((declared.name, version))
        if other is not None and not (
            module_of(other) == module_of(function) and other.__qualname__ == function.__qualname__
        ):
            msg = f"{where}: {other.__qualname__} reads this version already"
            raise DefinitionError(msg)
        UPCASTERS[declared.name, version] = function
        return function

    return add


# --- stored form -----------------------------------------------------------------------------------------------------


def encode_event(event: object) -> tuple[str, int, bytes]:
    """Return the name and version of an event, and its fields as JSON.

    Raises:
        PayloadError: it is no event, or a field cannot be stored.
    """
    cls = type(event)
    try:
        declared = EventType.of(cls)
    except DefinitionError as error:
        raise PayloadError(str(error)) from error
    return declared.name, declared.version, encode_fields(event, cls.__qualname__)


def decode_event(name: str, version: int, body: bytes) -> Any:
    """Return the event of a stored name and version; older ones go through the upcasters, one after the other.

    Its constructor and `__post_init__` are not run again.

    Raises:
        UnknownEvent: no class has this name here, or it is older than the event.
        UpcastFailed: an upcaster is missing, or raised, or the fields that it made are not those of the class.
        PayloadError: the data is damaged, or a field is of a class that is not known here.
    """
    declared = EventType.by_name(name)
    if declared is None or version > declared.version:
        raise UnknownEvent(name, version, 0 if declared is None else declared.version)
    fields = decode(body)
    if type(fields) is not dict:
        msg = f"a stored {name} is no object of fields"
        raise PayloadError(msg)
    for step in range(version, declared.version):
        fields = upcast_once(declared, step, fields)
    try:
        return rebuilt(declared.cls, fields)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a class may raise anything when it is made
        if version < declared.version:
            raise UpcastFailed(name, version, f"its fields are not those of the class: {reason_of(error)}") from error
        raise error if type(error) is PayloadError else unreadable(f"a stored {name} cannot be read", error) from error


def upcast_once(declared: EventType, version: int, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the next version.

    Raises:
        UpcastFailed: there is no upcaster, or it raised, or returned no dict of fields.
    """
    function = UPCASTERS.get((declared.name, version))
    if function is None:
        cure = f"declare one: @af.upcast({declared.cls.__qualname__}, version={version})"
        raise UpcastFailed(declared.name, version, f"there is no upcaster; {cure}")
    try:
        made = function(fields)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # user code, which may raise anything
        raise UpcastFailed(declared.name, version, reason_of(error)) from error
    if type(made) is not dict or not all(type(name) is str for name in made):
        raise UpcastFailed(declared.name, version, f"it returned {text_of(made)}, no dict of fields")
    return made
