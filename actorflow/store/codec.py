"""Codec: values as JSON that names their types. Never pickle, and no name in it is imported.

Plain data is plain JSON. A value that JSON would change carries a tag: a tuple is `{"$tuple": [...]}`, a dataclass
`{"$type": "shop.Order", "fields": {...}}`. So a value that is written comes back as it was, whatever annotations say,
or is refused when it is written.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import math
import pathlib
import types
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any, Final

import msgspec

from actorflow.core.actors.actor import Actor
from actorflow.core.importable import module_of
from actorflow.core.refs.resolve import resolve
from actorflow.errors import PayloadError
from actorflow.store.classes import find_imported, is_named_tuple, known, named_tuple, rebuilt
from actorflow.text import reason_of

ATOMS: Final = frozenset({type(None), bool, str})
BIGGEST: Final = 2**63 - 1  # the range of integers in JSON readers and databases
DEEPEST: Final = 200

encode_json = msgspec.json.Encoder().encode
decode_json = msgspec.json.Decoder().decode

# Types that a text stands for: how it is made, and read.
TEXTS: Final[dict[type, tuple[str, Callable[[Any], str], Callable[[str], Any]]]] = {
    bytes: (
        "$bytes",
        lambda value: base64.b64encode(value).decode(),
        lambda text: base64.b64decode(text, validate=True),
    ),
    dt.date: ("$date", dt.date.isoformat, dt.date.fromisoformat),
    dt.timedelta: ("$timedelta", lambda value: repr(_microseconds(value)), lambda text: _timedelta(int(text))),
    decimal.Decimal: ("$decimal", str, decimal.Decimal),
    uuid.UUID: ("$uuid", str, uuid.UUID),
    pathlib.PosixPath: ("$path", str, pathlib.Path),
    pathlib.PurePosixPath: ("$purepath", str, pathlib.PurePosixPath),
    pathlib.PureWindowsPath: ("$winpath", str, pathlib.PureWindowsPath),
    complex: ("$complex", repr, complex),
}
LISTS: Final[dict[type, tuple[str, Callable[[list[Any]], Any]]]] = {
    tuple: ("$tuple", tuple),
    set: ("$set", set),
    frozenset: ("$frozenset", frozenset),
}
# A dataclass that is one of them too has contents of which its fields say nothing.
CONTENTS: Final = (list, tuple, set, frozenset, dict, str, bytes, bytearray, int, float, complex)
TIMES: Final[dict[type, tuple[str, Callable[[str], Any]]]] = {
    dt.datetime: ("$datetime", dt.datetime.fromisoformat),
    dt.time: ("$time", dt.time.fromisoformat),
}
READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "$int": int,
    "$float": float,
    "$ref": lambda address: ref_at(*address),  # of an actor of this system run; else it is dead
    **{tag: read for tag, _, read in TEXTS.values()},
}
LIST_READERS: Final = dict(LISTS.values())
TIME_READERS: Final = dict(TIMES.values())


def encode(value: object, what: str = "value") -> bytes:
    """Return a value as JSON.

    Builtins, dataclasses, msgspec Structs, NamedTuples, enums, dates and times, Decimal, UUID, paths and refs of
    actors, in lists, tuples, sets and dicts of these. The decoded value is equal to the original, and of the same
    types.

    Raises:
        PayloadError: a part of the value is of another type; the text names its path, beginning with `what`.

    >>> encode({"size": (3, 4)})
    b'{"size":{"$tuple":[3,4]}}'
    """
    try:
        kind = type(value)
        if kind in ATOMS or (kind is int and -BIGGEST <= value <= BIGGEST):  # type: ignore[operator]
            return encode_json(value)
        return encode_json(value if is_plain(value, 0) else to_plain(value, what, 0))
    except (PayloadError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a property, a metaclass or another thread that fills a list may raise anything
        raise unreadable(f"{what} cannot be stored", error) from error


def encode_call(args: tuple[Any, ...], kwargs: dict[str, Any], what: str) -> tuple[bytes, bool]:
    """Return the arguments of a call, as `encode` does of a list of both, and whether nobody can change them.

    Numbers and texts alone take half the time.

    >>> encode_call((3,), {}, "arguments")
    (b'[[3],{}]', True)
    """
    if not kwargs:
        for item in args:
            kind = type(item)
            if kind not in ATOMS and not (kind is int and -BIGGEST <= item <= BIGGEST):
                break
        else:
            try:
                return encode_json((args, kwargs)), True
            except ValueError:  # a text that is no UTF-8: `encode` says so
                pass
    return encode([list(args), kwargs], what), False


def encode_fields(value: object, what: str = "value") -> bytes:
    """Return the fields of a dataclass or Struct as JSON, without the name of its class.

    Raises:
        PayloadError: a field cannot be stored; the text names its path, beginning with `what`.
    """
    kind = type(value)
    try:
        names = _names_in_dict(kind)  # type: ignore[arg-type]  # a class has a hash
        if names is not None and list(own := value.__dict__) == names and is_plain(own, 0):
            return encode_json(own)
        return encode_json(_plain_fields(value, kind, what, 0))
    except (PayloadError, KeyboardInterrupt):
        raise
    except BaseException as error:  # as in `encode`
        raise unreadable(f"{what} cannot be stored", error) from error


def check_size(data: bytes | None, what: str, limit: int) -> None:
    """Refuse data that is too big for a store.

    Raises:
        PayloadError: the data is over the limit, which the text names.
    """
    if data is not None and len(data) > limit:
        raise too_big(what, len(data), limit)


def too_big(what: str, size: int, limit: int) -> PayloadError:
    """Return the text about a value that is over the limit."""
    return PayloadError(
        f"{what}: {size / 1e6:.1f} MB, over Settings(payload_limit=) of {limit / 1e6:.1f} MB: "
        "store it in a file, and its path here"
    )


def decode(data: bytes, find: Callable[[str], type | None] | None = None) -> Any:
    """Return the value that was encoded.

    Args:
        data: JSON as `encode` returns it.
        find: looks a class up by its name; without it, among those of imported modules.

    Raises:
        PayloadError: the data is damaged, or of a class that is not known here.

    >>> decode(b'{"size":{"$tuple":[3,4]}}')
    {'size': (3, 4)}
    """
    try:
        plain = decode_json(data)
        return from_plain(plain, find or find_imported) if b'"$' in data else plain
    except (PayloadError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a class may raise anything when it is made
        raise unreadable("a stored value cannot be read", error) from error


def unreadable(problem: str, error: BaseException) -> PayloadError:
    """Return the PayloadError for a value whose own code has raised."""
    return PayloadError(f"{problem}: {reason_of(error, 1000)}")


# --- writing ---------------------------------------------------------------------------------------------------------


def is_plain(value: Any, depth: int) -> bool:
    """Say whether JSON has a value as it is: a tenth of the time of a copy, and most values are."""
    kind = type(value)
    if kind in ATOMS:
        return True
    if kind is int:
        return -BIGGEST <= value <= BIGGEST  # type: ignore[no-any-return]
    if kind is float:
        return math.isfinite(value)
    if depth > DEEPEST:
        return False
    if kind is dict:
        if not has_names(value):
            return False
        value = value.values()
    elif kind is not list:
        return False
    for item in value:
        kind = type(item)
        if kind in ATOMS or (kind is int and -BIGGEST <= item <= BIGGEST):
            continue  # here too: a call is dearer than all of this
        if not is_plain(item, depth + 1):
            return False
    return True


def to_plain(value: Any, path: str, depth: int) -> Any:
    """Return a value in JSON's own types, tagged where JSON would change it."""
    kind = type(value)
    if kind in ATOMS:
        return value
    if kind is int:
        return value if -BIGGEST <= value <= BIGGEST else {"$int": str(value)}
    if kind is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    if depth > DEEPEST:
        msg = f"{path[:200]}... is nested more than {DEEPEST} deep, or contains itself"
        raise PayloadError(msg)
    if kind is list:
        return [to_plain(item, f"{path}[{place}]", depth + 1) for place, item in enumerate(value)]
    if kind is dict:
        return _dict(value, path, depth)
    if kind in LISTS:
        items = [to_plain(item, f"{path}[{place}]", depth + 1) for place, item in enumerate(value)]
        return {LISTS[kind][0]: items if kind is tuple else sorted(items, key=encode_json)}  # one set, one text
    if kind in TEXTS:
        tag, write, _ = TEXTS[kind]
        return {tag: write(value)}
    if kind in TIMES:
        return {TIMES[kind][0]: _time(value, path)}
    names = _names_in_dict(kind)  # type: ignore[arg-type]  # a class has a hash
    if names is not None and list(own := value.__dict__) == names and is_plain(own, depth):
        return {"$type": name_of(kind, path), "fields": own}  # most states: 2 us where the way below takes 3.5
    if isinstance(value, enum.Flag):
        return {"$flag": [name_of(kind, path), value.value]}
    if isinstance(value, enum.Enum):
        return {"$enum": [name_of(kind, path), value.name]}
    to_stored = getattr(kind, "_to_stored", None)
    if to_stored is not None:  # refs, and what else the engine hands out
        tag, plain = to_stored(value)
        return {tag: plain}
    return _fields(value, kind, path, depth)


def has_names(value: dict[Any, Any]) -> bool:
    """Say whether the keys of a dict can be names in JSON: none of them could be taken for a tag."""
    for key in value:  # noqa: SIM110 - a generator takes twice as long
        if type(key) is not str or key.startswith("$"):
            return False
    return True


def _dict(value: dict[Any, Any], path: str, depth: int) -> Any:
    if has_names(value):
        return {key: to_plain(item, f"{path}[{key!r}]", depth + 1) for key, item in value.items()}
    pairs = [
        [to_plain(key, f"a key of {path}", depth + 1), to_plain(item, f"{path}[{shown_key(key)}]", depth + 1)]
        for key, item in value.items()
    ]
    return {"$dict": pairs}


def shown_key(key: Any) -> str:
    """Return a key as it stands in a path: of a user's class its name only, as its `__repr__` may raise."""
    return repr(key) if type(key) in ATOMS or type(key) is int else f"<{type(key).__name__}>"


def _time(value: dt.datetime | dt.time, path: str) -> Any:
    """Return a time as text; for a named zone the name, since its offset depends on the day."""
    zone = value.tzinfo
    if zone is None or type(zone) is dt.timezone:
        return value.isoformat()
    key = getattr(zone, "key", None)
    if type(zone) is not zoneinfo.ZoneInfo or key is None:
        msg = f"{path} has the time zone {zone!r}, which cannot be stored: use datetime.timezone or zoneinfo.ZoneInfo"
        raise PayloadError(msg)
    return [value.replace(tzinfo=None).isoformat(), key, value.fold]


def _fields(value: Any, kind: type, path: str, depth: int) -> Any:
    if is_named_tuple(kind):
        check_fields_hold_all(value, [], path)
        items = [to_plain(item, f"{path}[{place}]", depth + 1) for place, item in enumerate(value)]
        return {"$named": [name_of(kind, path), items]}
    fields = _plain_fields(value, kind, path, depth)
    return {"$type": name_of(kind, path), "fields": fields}


def _plain_fields(value: Any, kind: type, path: str, depth: int) -> dict[str, Any]:
    if dataclasses.is_dataclass(kind):
        names = _names_of_fields(kind)
        if names is None:
            msg = f"{path} is {name_of(kind, path)}, which holds more than its fields: make that a field"
            raise PayloadError(msg)
    elif issubclass(kind, msgspec.Struct):
        names = list(kind.__struct_fields__)
    else:
        msg = (
            f"{path} is {kind.__module__}.{kind.__qualname__}, which cannot be stored: use a dataclass, a "
            "msgspec.Struct or builtins, or store the values it is made from"
        )
        raise PayloadError(msg)
    check_fields_hold_all(value, names, path)
    return {name: to_plain(_attribute(value, name, path), f"{path}.{name}", depth + 1) for name in names}


@functools.lru_cache(1024)
def _names_of_fields(kind: type[Any]) -> list[str] | None:
    """Return the names of a dataclass's fields, which never change; 3 us without the cache.

    None if it holds more than that, as one that is a list too. An exception's `args` count as a field.
    """
    if issubclass(kind, CONTENTS):
        return None
    names = [field.name for field in dataclasses.fields(kind)]
    return [*names, "args"] if issubclass(kind, BaseException) and "args" not in names else names


@functools.lru_cache(1024)
def _names_in_dict(kind: type[Any]) -> list[str] | None:
    """Return the names of the fields of a dataclass if the `__dict__` of an instance is all there is to it."""
    if not dataclasses.is_dataclass(kind) or slots_beside_fields(kind) or hasattr(kind, "_to_stored"):
        return None
    names = _names_of_fields(kind)
    if names is None or kind.__getattribute__ is not object.__getattribute__:
        return None
    found = [vars(one)[name] for one in kind.__mro__ for name in names if name in vars(one)]
    return None if any(hasattr(type(one), "__set__") for one in found) else names  # a property, or a slot


def _attribute(value: Any, name: str, path: str) -> Any:
    try:
        return getattr(value, name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        cure = " (a field that was never set?)" if isinstance(error, AttributeError) else ""
        raise unreadable(f"{path}.{name} cannot be read{cure}", error) from error


def check_fields_hold_all(value: Any, names: list[str], path: str) -> None:
    """Refuse a dataclass with attributes beside its fields: `__post_init__` is not run when it is read.

    Raises:
        PayloadError: there is one; a `functools.cached_property` is none, as it is made anew.
    """
    for name in slots_beside_fields(type(value)):  # type: ignore[arg-type]  # a class has a hash
        if hasattr(value, name):
            msg = f"{path}.{name} is a slot and no field, so it would be lost: declare it as a field"
            raise PayloadError(msg)
    own = getattr(value, "__dict__", None)
    if not own or list(own) == names or own.keys() <= set(names):
        return
    for name in own:
        is_made_anew = isinstance(getattr(type(value), name, None), functools.cached_property)
        if name not in names and not is_made_anew and not name.startswith("__"):
            msg = (
                f"{path}.{name} is no field, so it would be lost: declare it, `{name}: ... = field(init=False)`, or "
                "make it by functools.cached_property"
            )
            raise PayloadError(msg)


@functools.lru_cache(256)
def slots_beside_fields(kind: type) -> tuple[str, ...]:
    """Return the slots of a class that are not fields of it."""
    fields = getattr(kind, "__dataclass_fields__", ()) or getattr(kind, "__struct_fields__", ())
    slots = [
        name
        for one in kind.__mro__
        if "__slots__" in vars(one)
        for name, found in vars(one).items()
        if isinstance(found, types.MemberDescriptorType) and name not in fields and not name.startswith("__")
    ]
    return tuple(slots)


def name_of(kind: type, path: str = "") -> str:
    """Return the name by which a class is stored."""
    name = f"{module_of(kind)}.{kind.__qualname__}"
    if "<locals>" in name:
        msg = f"{path or name} is of {name}, a class in a function, which others cannot find: define it in a module"
        raise PayloadError(msg)
    return name


# --- reading ---------------------------------------------------------------------------------------------------------


def from_plain(value: Any, find: Callable[[str], type | None]) -> Any:
    """Return the value that JSON's own types stand for."""
    kind = type(value)
    if kind is list:
        return [from_plain(item, find) for item in value]
    if kind is not dict:
        return value
    tag = next(iter(value), "")
    if not tag.startswith("$"):
        return {key: from_plain(item, find) for key, item in value.items()}
    inner = value[tag]
    if tag in READERS:
        return READERS[tag](inner)
    if tag in LIST_READERS:
        return LIST_READERS[tag]([from_plain(item, find) for item in inner])
    if tag in TIME_READERS:
        if type(inner) is not list:
            return TIME_READERS[tag](inner)
        text, key, fold = inner
        return TIME_READERS[tag](text).replace(tzinfo=zoneinfo.ZoneInfo(key), fold=fold)
    if tag == "$dict":
        return {from_plain(key, find): from_plain(item, find) for key, item in inner}
    if tag == "$named":
        return named_tuple(known(inner[0], find), [from_plain(item, find) for item in inner[1]])
    if tag == "$enum":
        return known(inner[0], find)[inner[1]]  # type: ignore[index]
    if tag == "$flag":
        return known(inner[0], find)(inner[1])
    if tag == "$type":
        fields = {name: from_plain(item, find) for name, item in value["fields"].items()}
        return rebuilt(known(inner, find), fields)
    msg = f"a stored value has the tag {tag!r}, which this actorflow does not know"
    raise PayloadError(msg)


def ref_at(key: str, node: str, first_uid: int, uid: int, path: str, class_name: str) -> Any:
    """Return the ref behind a stored address."""
    kind = find_imported(class_name)
    is_actor = isinstance(kind, type) and issubclass(kind, Actor)
    return resolve(key, node, first_uid, uid, path, kind if is_actor else Actor)  # type: ignore[arg-type]


def _microseconds(value: dt.timedelta) -> int:
    return (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds


def _timedelta(microseconds: int) -> dt.timedelta:
    return dt.timedelta(microseconds=microseconds)
