"""Loading: finds an app, or another object, by ``module:attribute``, and says in one line why it cannot."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, TypeVar

from actorflow.app.app import App
from actorflow.errors import ActorflowError, DefinitionError
from actorflow.text import LONGEST_ERROR, reason_of

T = TypeVar("T")


def load(target: str) -> App:
    """Import the module and return its app.

    Raises:
        DefinitionError: there is no such module or attribute, the module cannot be imported, or it is no `App`.
    """
    return find(
        target, lambda value: value if isinstance(value, App) else None, "app", "an af.App", "examples.orders:app"
    )


def find(target: str, as_wanted: Callable[[Any], T | None], noun: str, wanted: str, example: str) -> T:
    """Import the module and return the object that its attribute is, or stands for.

    Args:
        target: ``module:attribute``.
        as_wanted: returns the wanted part of a value, None if the value is something else.
        noun: its name in errors: "app".
        wanted: its kind in errors: "an af.App".
        example: a target that can be found.

    Raises:
        DefinitionError: there is no such module or attribute, the module cannot be imported, or it is something else.
    """
    module_name, colon, attribute = target.partition(":")
    if not (module_name and colon and attribute):
        raise DefinitionError(f"{target!r} names no {noun}: give module:attribute, such as {example}")
    if module_name.endswith(".py") or "/" in module_name:
        dotted = module_name.removesuffix(".py").strip("./").replace("/", ".")
        raise DefinitionError(f"{module_name!r} is a file: name the module instead, {dotted}:{attribute}")
    module = _import(module_name)
    try:
        value = getattr(module, attribute)
        found = as_wanted(value)
    except ActorflowError:
        raise
    except AttributeError:
        there = [name for name, value in vars(module).items() if _is_wanted(value, as_wanted)]
        none = f"; its {noun}s are {', '.join(there)}" if there else f"; it holds no {wanted.partition(' ')[2]}"
        raise DefinitionError(
            f"module {module_name!r} has no {attribute!r}{_nearest(attribute, there) or none}"
        ) from None
    except Exception as error:
        raise DefinitionError(f"{target} cannot be read: {reason_of(error, LONGEST_ERROR)}{_at(error)}") from error
    if found is None:
        raise DefinitionError(f"{target} is of type {type(value).__name__}, not {wanted}")
    return found


def _is_wanted(value: Any, as_wanted: Callable[[Any], Any]) -> bool:
    try:
        return as_wanted(value) is not None
    except Exception:  # noqa: BLE001 - it would be, were it not broken, or is a proxy of who knows what: nothing to offer
        return False


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except SystemExit as error:
        if error.code:
            raise  # it has said why
        msg = f"module {name!r} ended the program when it was imported{_at(error)}: guard that by __name__"
        raise DefinitionError(msg) from None
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise DefinitionError(f"no module named {error.name!r} here{_nearest_module(error.name)}") from None
        raise DefinitionError(
            f"module {name!r} cannot be imported: {reason_of(error, LONGEST_ERROR)}{_at(error)}"
        ) from error


def _at(error: BaseException) -> str:
    """Say where the error was raised; a SyntaxError's text says so itself."""
    frames = traceback.extract_tb(error.__traceback__)
    return "" if isinstance(error, SyntaxError) else f" ({frames[-1].filename}, line {frames[-1].lineno})"


def _nearest_module(name: str) -> str:
    parent, _, last = name.rpartition(".")
    folders: Iterable[str] = getattr(sys.modules.get(parent), "__path__", ()) if parent else sys.path[:1]
    beside = [module.name for module in pkgutil.iter_modules(folders)]
    return _nearest(last, beside, prefix=f"{parent}." if parent else "")


def _nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {prefix + near[0]!r}?" if near else ""
