"""Importable names: those under which other programs find the definitions of a program.

The module run by `python -m shop` is named `__main__`, but is `shop` for every importer.
"""

from __future__ import annotations

import sys
from types import FunctionType
from typing import Any


def module_of(thing: Any) -> str:
    """Return the name of the module of a function or class, as others import it; of a script it is `__main__`."""
    name: str = thing.__module__
    if name != "__main__":
        return name
    main = sys.modules["__main__"]
    if isinstance(thing, FunctionType):
        is_here = thing.__globals__ is main.__dict__
    else:
        is_here = main.__dict__.get(thing.__qualname__.partition(".")[0]) is not None
    spec = getattr(main, "__spec__", None)
    return spec.name if is_here and spec is not None else name


def module_named(name: str) -> Any:
    """Return an imported module by the name that `module_of` gives; None if it is not imported."""
    module = sys.modules.get(name)
    if module is None:
        main = sys.modules["__main__"]
        if name == getattr(getattr(main, "__spec__", None), "name", None):
            return main
    return module
