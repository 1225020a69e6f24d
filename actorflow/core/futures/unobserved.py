"""UnobservedFuture: errors of requests to state machines that nobody looks at, which become dead letters.

A machine's `call` and `send` are often sent for their effect, and their futures dropped; a refusal would go unseen.
Only a request that failed pays: its future changes its class to one that is missed when it is collected.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from actorflow.core.futures.future import Future
from actorflow.errors import ActorDeadError, TransitionRefused, is_a

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.core.refs.ref import ActorRef


class UnobservedFuture(Future[Any]):
    """A future with an error that becomes a dead letter, if the future is collected before its error was asked for."""

    __slots__ = ()

    _letter: tuple[ActorRef[Any], Any, ActorRef[Any] | None]

    def _add_waiter(self, wake: Callable[[], Any]) -> bool:
        self._heard = True
        return super()._add_waiter(wake)

    def __del__(self) -> None:
        error = self._error
        if self._heard or error is None or sys.is_finalizing():
            return
        ref, message, sender = self._letter
        ref._home.report_unread(ref, message, sender, error)


def fail(
    ref: ActorRef[Any], message: Any, future: Future[Any], sender: ActorRef[Any] | None, error: BaseException
) -> None:
    """Answer a request with an error; one to a state machine that nobody reads is a dead letter."""
    if (future.__class__ is Future or future._becomes_unread) and ref._traits.is_machine:
        future._letter = (ref, message, sender)  # type: ignore[attr-defined]
        future.__class__ = UnobservedFuture
        if is_a(error, ActorDeadError, TransitionRefused):
            error.__traceback__ = None  # our frames only, and they hold the future: no cycle
        if future._wakes:  # somebody waits for it
            future._heard = True
    future._settle(None, error)
