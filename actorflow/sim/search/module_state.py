"""Module state: the names of modules whose values a search changes; its seeds and simulated hosts share them.

A look takes no copy and calls no code of the user's: it notes which object a name has, how large that is, and which
objects are in it. 1 ms for 1,000 names.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final, TypeAlias

from actorflow.core.drivers.unwinding import PACKAGES
from actorflow.sim.world.host import OWN_CODE
from actorflow.sim.world.scheduler import is_callers

Look: TypeAlias = "dict[str, tuple[Any, ...]]"
CONTAINERS: Final[tuple[Any, ...]] = (dict, list, set)
SEEN: Final = 100  # objects of a container that are compared
VALUES: Final = (int, float, str, bytes, tuple, frozenset, type(None))
CACHE: Final[Any] = functools._lru_cache_wrapper


def users_modules() -> Iterator[ModuleType]:
    """Return the modules of the user's own: not those of the library, of installed packages and of the runtime."""
    for module in list(sys.modules.values()):
        if type(module) is ModuleType:
            file = vars(module).get("__file__")
            if isinstance(file, str) and is_callers(file) and not any(map(file.__contains__, PACKAGES)):
                yield module


def look() -> Look:
    """Return the present values of all names, in a form that can be compared."""
    seen: Look = {}
    for module in users_modules():
        for name, value in list(vars(module).items()):
            if not name.startswith("__"):
                note(seen, f"{module.__name__}.{name}", value, module.__name__)
    return seen


def note(seen: Look, name: str, value: Any, module: str) -> None:
    """Note one name, and the attributes of a class or an object of its module."""
    kind = type(value)
    own = content_of(value)
    if own is not None:
        seen[name] = own
    elif kind is itertools.count:
        seen[name] = (repr(value),)
    elif kind is CACHE:
        seen[name] = (value.cache_info().currsize,)
    elif issubclass(kind, type):
        values = type.__getattribute__(value, "__dict__")
        if module_of(values) == module:
            left_out = names_of_runtime(value)
            attributes(
                seen, name, {key: one for key, one in values.items() if type(key) is str and key not in left_out}
            )
    elif module_of(type.__getattribute__(kind, "__dict__")) == module:
        seen[name] = (id(value),)
        with contextlib.suppress(AttributeError):
            attributes(seen, name, object.__getattribute__(value, "__dict__"))


def attributes(seen: Look, name: str, values: Any) -> None:
    """Note the attributes of a class or an object."""
    for key, value in list(values.items()):
        own = None if type(key) is not str or key.startswith("__") else content_of(value)
        if own is not None:
            seen[f"{name}.{key}"] = own


def names_of_runtime(kind: type[Any]) -> set[str]:
    """Return the private names of a user's class that are the runtime's, such as that of the table of its handlers."""
    tables = [type.__getattribute__(base, "__dict__") for base in type.__getattribute__(kind, "__mro__")]
    runtimes = [table for table in tables if module_of(table).startswith(OWN_CODE)]
    return {name for table in runtimes for name in table if type(name) is str and name.startswith("_")}


def module_of(table: Any) -> str:
    """Return the name of the module of a class, of which this is the `__dict__`; "" if it is no text."""
    module = table.get("__module__")
    return module if type(module) is str else ""


def content_of(value: Any) -> tuple[Any, ...] | None:
    """Return the identity of a value and of those in it; None: it is of no kind that is compared."""
    kind = type(value)
    for base in CONTAINERS:
        if issubclass(kind, base):  # a class of the user's may have methods of its own
            inner = dict.values(value) if base is dict else base.__iter__(value)
            return id(value), base.__len__(value), tuple(map(id, itertools.islice(inner, SEEN)))
    return (id(value),) if issubclass(kind, VALUES) else None


def changed(before: Look, after: Look) -> list[str]:
    """Return the names whose values are other ones, sorted; those of modules that came later count as unchanged."""
    return sorted(name for name, value in after.items() if before.get(name, value) != value)
