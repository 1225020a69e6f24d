"""Records: log records of a child on their way to its parent. Layer 2. Lean: children import it first."""

from __future__ import annotations

import sys

from actorflow.process.payload import TEXT, dumps

TYPE_CHECKING = False  # checkers take it for true; `typing` takes 5 ms to import
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from typing import Any


def forward_records(send: Callable[[bytes], object], levels: dict[str, int]) -> None:
    """Have the records of all loggers sent. `logging` need not be there yet: the first import of it sets this up.

    Args:
        send: what takes a record.
        levels: the levels of the parent's loggers by name, "" being the root; so that what it would drop is not sent.
    """
    if "logging" in sys.modules:
        install(send, levels)
    else:
        sys.meta_path.insert(0, Finder(lambda: install(send, levels)))  # pyright: ignore[reportArgumentType]


def install(
    send: Callable[[bytes], object],
    levels: dict[str, int],
    mark: Callable[[logging.LogRecord], object] = lambda _record: None,
) -> None:
    """Replace the handlers of the root logger; `mark` may add to each record."""
    import logging  # noqa: PLC0415 - it is loaded already

    class Forward(logging.Handler):
        """Sends records."""

        def emit(self, record: logging.LogRecord) -> None:
            """Send one, its arguments and its traceback as text."""
            mark(record)
            fields = dict(record.__dict__, msg=record.getMessage(), args=None, exc_info=None)
            if record.exc_info:
                fields["exc_text"] = logging.Formatter().formatException(record.exc_info)
            try:
                data = dumps(fields)[0]
            except Exception:  # noqa: BLE001 - what a user has put on it does not travel; the rest does
                plain = {key: value for key, value in fields.items() if isinstance(value, str | int | float)}
                data = dumps({key: value[:TEXT] if isinstance(value, str) else value for key, value in plain.items()})[
                    0
                ]
            try:
                send(data)
            except OSError:  # the parent has gone, or this is a process that the task has forked
                return

    logging.root.handlers[:] = [Forward()]
    for name, level in levels.items():
        logging.getLogger(name or None).setLevel(level)


class Finder:
    """An import hook that is called back once `logging` is loaded, and then is gone."""

    def __init__(self, loaded: Callable[[], object]) -> None:
        self.loaded = loaded

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Let the others find it, and have its loader call back."""
        if name != "logging":
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
