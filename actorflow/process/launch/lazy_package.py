"""Lazy package: `actorflow` in a process that may never need all of it. Lean: a zygote's first import.

`import actorflow.process.wire` would run `actorflow/__init__.py` first, which imports everything and takes 180 ms. So a
zygote enters a stand-in for the package. The stand-in has the package's path, which is all that imports of modules
below it need. The first look at a name that it does not have (`actorflow.Actor`, `from actorflow import child`) runs
the real `__init__` in it.
"""

from __future__ import annotations

import gc
import sys
from _frozen_importlib import ModuleSpec, _ModuleLockManager  # type: ignore[attr-defined]
from _frozen_importlib_external import SourceFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Module = type(sys)


class Package(Module):  # type: ignore[misc, valid-type]
    """A package whose `__init__` runs at the first look at a name that it defines."""

    def __getattr__(self, name: str) -> Any:
        """Run the real `__init__`, once, and look again."""
        if name.startswith("__") and name != "__all__":  # names that the import system and `inspect` try
            raise AttributeError(name)
        with _ModuleLockManager(self.__name__):  # the import system's own lock, which sees a deadlock of two imports
            if type(self) is Package:
                self._run_init(name)
        return getattr(self, name)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by name, as cloudpickle does with modules; it knows them by their exact type."""
        return __import__, (self.__name__,)

    def _run_init(self, name: str) -> None:
        """Run the real `__init__` in this module; modules already imported keep their identity."""
        if "_running" in self.__dict__:  # an import within __init__ looks for a name that is not there yet
            raise AttributeError(f"partially initialized module {self.__name__!r} has no attribute {name!r}")
        self._running = True
        try:
            self.__spec__.loader.exec_module(self)
        finally:
            del self._running
        self.__class__ = Module  # type: ignore[assignment]


def install(name: str, folder: str) -> None:
    """Enter the stand-in of the package that lies in the folder."""
    file = f"{folder}/__init__.py"
    loader = SourceFileLoader(name, file)
    spec = ModuleSpec(name, loader, origin=file, is_package=True)
    spec.submodule_search_locations = [folder]
    spec.has_location = True
    package = Package(name)
    package.__spec__ = spec
    package.__loader__ = loader
    package.__package__ = name
    package.__file__ = file
    package.__path__ = [folder]
    sys.modules[name] = package


def start() -> None:
    """Run the zygote as the first import of a new interpreter; this folder goes out of the import path again."""
    gc.disable()  # imports make no garbage, and looking takes 0.2 ms
    launch = sys.path.pop(0)
    install("actorflow", launch.rpartition("/")[0].rpartition("/")[0])
    sys.argv[1:], arguments = [], sys.argv[2:]
    from actorflow.process.launch.zygote import main  # noqa: PLC0415 - only now there is a package

    gc.enable()
    main(arguments)
