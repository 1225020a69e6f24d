"""Classes: finds the classes of stored values among the imported ones, and makes their objects again."""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Callable
from typing import Any, Final

import msgspec

from actorflow.core.importable import module_named
from actorflow.errors import PayloadError
from actorflow.text import plural


def rebuilt(kind: type, fields: dict[str, Any]) -> Any:
    """Make an object of its fields as they were: its constructor and `__post_init__` are not run again.

    Fields that the class does not have any more are left out, new ones get their defaults.
    """
    if not dataclasses.is_dataclass(kind):
        names: tuple[str, ...] = kind.__struct_fields__  # type: ignore[attr-defined]
        return struct_of(kind, {name: item for name, item in fields.items() if name in names})
    value = kind.__new__(kind, *fields.get("args", ())) if issubclass(kind, BaseException) else kind.__new__(kind)
    for name, field in fields_of(kind):
        item = fields[name] if name in fields else default_of(field, kind)
        object.__setattr__(value, name, item)  # also of a frozen one
    return value


@functools.lru_cache(1024)
def fields_of(kind: type) -> tuple[tuple[str, dataclasses.Field[Any]], ...]:
    """Return the fields of a dataclass with their names: `dataclasses.fields` takes longer than all the rest."""
    return tuple((field.name, field) for field in dataclasses.fields(kind))


def default_of(field: dataclasses.Field[Any], kind: type) -> Any:
    """Return the default of a field that was added to a class after an object was stored.

    Raises:
        PayloadError: it has none.
    """
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    msg = f"a stored {kind.__qualname__} has no {field.name!r}: give the new field a default"
    raise PayloadError(msg)


def struct_of(kind: type, fields: dict[str, Any]) -> Any:
    """Make a Struct of its fields; msgspec runs `__post_init__` always, so one with it is made of a class without."""
    if not hasattr(kind, "__post_init__"):
        return kind(**fields)
    value = without_post_init(kind)(**fields)
    object.__dict__["__class__"].__set__(value, kind)
    return value


@functools.lru_cache(256)
def without_post_init(kind: type) -> type:
    """Return a Struct that is laid out as another, but does nothing after it is made."""
    return msgspec.defstruct(kind.__name__, [], bases=(kind,), namespace={"__post_init__": lambda _: None})


def named_tuple(kind: type, items: list[Any]) -> Any:
    """Make a NamedTuple; fields that are new get their defaults."""
    names: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]
    defaults: dict[str, Any] = kind._field_defaults  # type: ignore[attr-defined]
    if len(items) > len(names) or any(name not in defaults for name in names[len(items) :]):
        has = plural(len(items), "item")
        msg = f"a stored {kind.__qualname__} has {has}, not {len(names)}: give new fields a default"
        raise PayloadError(msg)
    return tuple.__new__(kind, items + [defaults[name] for name in names[len(items) :]])


class UnknownClass(PayloadError):
    """A stored value is of a class that this process does not know; another process, or a newer program, may.

    Attributes:
        kind: name of the class.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(
            f"a stored value is of {kind!r}, which is not known here: import its module, or give the class to app.add()"
        )

    def __reduce__(self) -> tuple[type[UnknownClass], tuple[str]]:
        """Pickle by the name, since `args` holds the text."""
        return type(self), (self.kind,)


def known(name: str, find: Callable[[str], type | None]) -> type:
    """Return a class that holds data, by its name.

    Raises:
        UnknownClass: it is not known here.
    """
    kind = find(name)
    if kind is None or not holds_data(kind):
        raise UnknownClass(name)
    return kind


# Where classes of ours have gone that older rows name.
OF_DEFINITION: Final = ("builder", "chart", "checks", "direct", "draft", "hooks", "reachability")  # machine/definition
OF_RUNNING: Final = (  # machine/running
    "configuration",
    "event",
    "initial",
    "interpreter",
    "paths",
    "pending",
    "platform",
    "program",
    "snapshot",
    "stats",
    "steps",
    "transition_sets",
)
MOVED: Final = {
    "actorflow.core.messages.": "actorflow.core.messages.messages.",
    "actorflow.machine.event.Record": "actorflow.core.messages.messages.Record",
    "actorflow.queue.listeners.": "actorflow.queues.events.",
    "actorflow.queue.": "actorflow.queues.",
    "actorflow.workflow.": "actorflow.tasks.",
    **{f"actorflow.machine.{name}.": f"actorflow.machine.definition.{name}." for name in OF_DEFINITION},
    **{f"actorflow.machine.{name}.": f"actorflow.machine.running.{name}." for name in OF_RUNNING},
}


DECLARED: Final[dict[str, type]] = {}  # classes given to an App, which may be at no place that their name leads to


def is_known(name: str) -> bool:
    """Say whether this process can make values of a class."""
    kind = find_imported(name)
    return kind is not None and holds_data(kind)


def holds_data(kind: type) -> bool:
    """Say whether values of a class can be stored."""
    return dataclasses.is_dataclass(kind) or is_named_tuple(kind) or issubclass(kind, (msgspec.Struct, enum.Enum))


def is_named_tuple(kind: type) -> bool:
    """Say whether a class is a NamedTuple."""
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


def find_imported(name: str) -> type | None:
    """Look a class up among those of imported modules; nothing is imported. One of ours may have moved since."""
    found = find_by(name)
    if found is None:
        now = next((new + name.removeprefix(old) for old, new in MOVED.items() if name.startswith(old)), None)
        found = DECLARED.get(name) if now is None else find_by(now)
    return found


def find_by(name: str) -> type | None:
    """Look a class up by its module and name."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        found: Any = module_named(".".join(parts[:length]))
        for part in parts[length:]:
            found = getattr(found, "__dict__", {}).get(part)  # not getattr: a module may import the name
        if isinstance(found, type):
            return found
    return None
