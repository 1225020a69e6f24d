"""By value: cloudpickle, with the text of functions that are in no file. Imported at first need: 27 ms."""

from __future__ import annotations

import io
from types import CodeType
from typing import TYPE_CHECKING, Any, Final

import cloudpickle

from actorflow.process import sources

if TYPE_CHECKING:
    from collections.abc import Callable
    from pickle import PickleBuffer


NAMELESS: Final = "<dynamic-code>"


class ByValue(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
    """Pickles functions and classes that no import would find, and notes which files their code names."""

    def __init__(self, file: io.BytesIO, protocol: int, keep: Callable[[PickleBuffer], Any] | None) -> None:
        super().__init__(file, protocol, buffer_callback=keep)
        self.files: set[str] = set()

    def reducer_override(self, obj: Any) -> Any:
        """Reduce an object as cloudpickle does, but leave code the name of its file: tracebacks read there."""
        if obj.__class__ is not CodeType:
            return super().reducer_override(obj)
        self.files.add(obj.co_filename)
        reduced: tuple[Any, Any] = self.dispatch_table[CodeType](obj)  # pyright: ignore[reportAssignmentType]
        make, args = reduced
        # A copy of its own each time: then equal functions give equal pickles, which the pool knows them by.
        return make, tuple(["".join(obj.co_filename) if is_nameless(arg) else arg for arg in args])


def is_nameless(arg: Any) -> bool:
    """Say whether that is cloudpickle's stand-in for the name of a file."""
    return arg.__class__ is str and arg == NAMELESS


def dumps_by_value(obj: Any, protocol: int, keep: Callable[[PickleBuffer], Any] | None = None) -> bytes:
    """Pickle an object; raise the errors of its classes."""
    with io.BytesIO() as file:
        pickler = ByValue(file, protocol, keep)
        pickler.dump(obj)
        data = file.getvalue()
    texts = sources.read(pickler.files)
    return sources.in_front(data, texts) if texts else data
