"""Imports: hooks to run on a module once it is loaded, if it ever is. Lean: children import it first."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # checkers take it for true; `typing` takes 5 ms to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def when_loaded(module: str, act: Callable[[], object]) -> None:
    """Call a function now if a module is loaded, else right after its first import."""
    if module in sys.modules:
        act()
    else:
        sys.meta_path.insert(0, Finder(module, act))  # pyright: ignore[reportArgumentType]


class Finder:
    """An import hook that is called back once a module is loaded, and then is gone."""

    def __init__(self, module: str, loaded: Callable[[], object]) -> None:
        self.module = module
        self.loaded = loaded

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Let the others find it, and have its loader call back."""
        if name != self.module:
            return None
        sys.meta_path.remove(self)  # pyright: ignore[reportArgumentType]
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                loader: Any = spec.loader
                loader.exec_module = self.call_after(loader.exec_module)
                return spec
        return None

    def call_after(self, execute: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return the function with the call back behind it."""

        def exec_module(module: Any) -> None:
            execute(module)
            self.loaded()

        return exec_module
