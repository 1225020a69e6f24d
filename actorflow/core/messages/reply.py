"""Reply: an answer that a handler gives later."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any

from actorflow.errors import DefinitionError, is_a
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future


class Reply:
    """The answer that a handler promised by `ctx.reply_later()`; any thread may set it, once.

    A reply belongs to the incarnation that made it. At the incarnation's end an unset one gets the crash's cause or
    ActorDeadError; one that is collected unset gets ActorDeadError and a log line, so that no asker hangs.

    >>> import actorflow as af
    >>> class Till(af.Actor):
    ...     def pay(self) -> None:
    ...         self.reply = self.ctx.reply_later()
    ...
    ...     def confirm(self, receipt: str) -> None:
    ...         self.reply.set(receipt)
    >>> with af.ActorSystem("demo") as system:
    ...     till = system.spawn(Till)
    ...     answer = till.call(Till.pay)
    ...     till.cast(Till.confirm, "no. 17")
    ...     answer.get(timeout=10)
    'no. 17'
    """

    __slots__ = ("__weakref__", "_future", "_path")

    def __init__(self, future: Future[Any] | None, path: str) -> None:
        self._future = future
        self._path = path

    @property
    def is_wanted(self) -> bool:
        """Whether a caller waits for the answer; a tell has none."""
        return self._future is not None

    def set(self, value: object, /) -> None:
        """Answer the caller. Does nothing if the message was a tell.

        Raises:
            queue.Full: it was answered before.
        """
        if self._future is not None:
            self._future.set(value)

    def fail(self, error: BaseException, /) -> None:
        """Answer the caller with an error.

        Raises:
            queue.Full: it was answered before.
            DefinitionError: it is no error, but a class of errors, say.
        """
        if not is_a(error, BaseException):
            msg = f"fail({text_of(error)}): give an error, an instance of an Exception"
            raise DefinitionError(msg)
        if self._future is not None and not self._future._settle(None, error):
            raise queue.Full

    def __del__(self) -> None:
        future = self._future
        if future is not None and not future._done:
            from actorflow.core.log import report_lost_reply  # noqa: PLC0415 - a rare path

            report_lost_reply(future, self._path)
