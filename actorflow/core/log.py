"""Log: lines of the runtime, worded as pykka words them.

A handler or filter of the user's that raises, of any class, loses no more than its own line: the runtime logs in the
midst of its work.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

from actorflow.errors import ActorDeadError, is_a

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future


class ContainedLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger that never raises; an error of a handler is printed to stderr, as `logging` itself does.

    Only a Ctrl-C in the main thread goes through, since it concerns the whole program.
    """

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a line."""
        try:
            if self.logger.isEnabledFor(level):
                self.logger.log(level, msg, *args, stacklevel=2, **kwargs)
        except BaseException as error:
            if is_a(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise
            complain(msg)


def complain(msg: object) -> None:
    """Print the error that a handler of log records has just raised, if there is a place to print to."""
    if logging.raiseExceptions and sys.stderr is not None:
        with contextlib.suppress(BaseException):  # a stream that is closed, an error without a text
            sys.stderr.write(f"actorflow: the line {msg!r} could not be logged:\n{traceback.format_exc()}")


logger = ContainedLogger(logging.getLogger("actorflow"))
logger.logger.addHandler(logging.NullHandler())


def report_lost_reply(future: Future[Any], path: str) -> None:
    """Say that a Reply was thrown away unset, and answer its asker: in this order, or he may look before it is said."""
    try:
        logger.warning("A Reply of %s was collected unset; its asker gets ActorDeadError", path)
    finally:
        future._settle(None, ActorDeadError(f"{path} dropped its Reply without an answer"))
