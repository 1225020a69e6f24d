"""Find an app by ``module:attribute``, and say in one line what stands in the way. Layer 5."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import sys
import traceback
from collections.abc import Iterable
from types import ModuleType

from actorflow.app.app import App
from actorflow.errors import DefinitionError


def load(target: str) -> App:
    """Import the module and return its app.

    Raises:
        DefinitionError: there is no such module or attribute, the module cannot be imported, or it is no `App`.
    """
    module_name, colon, attribute = target.partition(":")
    if not (module_name and colon and attribute):
        raise DefinitionError(f"{target!r} names no app: give module:attribute, such as examples.orders:app")
    if module_name.endswith(".py") or "/" in module_name:
        dotted = module_name.removesuffix(".py").strip("./").replace("/", ".")
        raise DefinitionError(f"{module_name!r} is a file: name the module instead, {dotted}:{attribute}")
    module = _import(module_name)
    try:
        app = getattr(module, attribute)
    except AttributeError:
        apps = [name for name, value in vars(module).items() if isinstance(value, App)]
        hint = _nearest(attribute, apps) or (f"; its apps are {', '.join(apps)}" if apps else "; it holds no af.App")
        raise DefinitionError(f"module {module_name!r} has no {attribute!r}{hint}") from None
    if not isinstance(app, App):
        raise DefinitionError(f"{target} is of type {type(app).__name__}, not an af.App")
    return app


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise DefinitionError(f"no module named {error.name!r} here{_nearest_module(error.name)}") from None
        raise DefinitionError(
            f"module {name!r} cannot be imported: {type(error).__name__}: {error}{_at(error)}"
        ) from error


def _at(error: Exception) -> str:
    """Say where the error was raised; a SyntaxError's text says so itself."""
    frames = traceback.extract_tb(error.__traceback__)
    return "" if isinstance(error, SyntaxError) else f" ({frames[-1].filename}, line {frames[-1].lineno})"


def _nearest_module(name: str) -> str:
    parent, _, last = name.rpartition(".")
    folders: Iterable[str] = sys.modules[parent].__path__ if parent else sys.path[:1]
    beside = [module.name for module in pkgutil.iter_modules(folders)]
    return _nearest(last, beside, prefix=f"{parent}." if parent else "")


def _nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {prefix + near[0]!r}?" if near else ""
