"""Log records of a child on their way to its parent. Lean: children import it first."""

from __future__ import annotations

from actorflow.process.imports import when_loaded
from actorflow.process.pickling import TEXT, dumps

TYPE_CHECKING = False  # checkers take it for true; `typing` takes 5 ms to import
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable


def forward_records(send: Callable[[bytes], object], levels: dict[str, int]) -> None:
    """Have the records of all loggers sent. `logging` need not be imported yet: its first import sets this up.

    Args:
        send: the function that takes a record.
        levels: the levels of the parent's loggers by name, "" being the root; so that records it would drop are not
            sent.
    """
    when_loaded("logging", lambda: install(send, levels))


def install(
    send: Callable[[bytes], object],
    levels: dict[str, int],
    mark: Callable[[logging.LogRecord], object] = lambda _record: None,
) -> None:
    """Replace the handlers of the root logger; `mark` may add to each record."""
    import logging  # noqa: PLC0415 - it is loaded already

    class Forward(logging.Handler):
        """Sends records to the parent."""

        def emit(self, record: logging.LogRecord) -> None:
            """Send a record; an error in that is printed, as by any handler: the code that logs does not get it."""
            try:
                mark(record)
                data = pack(record)
            except Exception:  # noqa: BLE001 - user code
                self.handleError(record)
                return
            try:
                send(data)
            except OSError:  # this is a process that the task has forked: it is no part of the system
                if logging.lastResort is not None:
                    logging.lastResort.handle(record)  # on the error output, as of a program without a set-up

    def pack(record: logging.LogRecord) -> bytes:
        """Pickle a record, its arguments and its traceback as text."""
        fields = dict(record.__dict__, msg=record.getMessage(), args=None, exc_info=None)
        if record.exc_info:
            fields["exc_text"] = logging.Formatter().formatException(record.exc_info)
        try:
            return dumps(fields)[0]
        except BaseException:  # noqa: BLE001 - a user's attribute does not travel; the rest does
            plain = {key: value for key, value in fields.items() if isinstance(value, str | int | float)}
            return dumps({key: value[:TEXT] if isinstance(value, str) else value for key, value in plain.items()})[0]

    logging.root.handlers[:] = [Forward()]
    for name, level in levels.items():
        logging.getLogger(name or None).setLevel(level)
