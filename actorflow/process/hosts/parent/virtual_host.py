"""Virtual hosts: hosts on a virtual clock.

There all processes are one, but messages to a hosted actor and its answers are pickled all the same: a test sees that a
message does not survive the way, or that sender and receiver do not share it.
"""

from __future__ import annotations

from typing import Any

from actorflow.core.futures.future import Future
from actorflow.core.refs.bounded_mailbox import BoundedRef
from actorflow.core.refs.ref import ActorRef
from actorflow.process.pickling import dump_error, dumps, load_error, loads


def copied(value: Any, what: str = "the message") -> Any:
    """Return the copy that another process would get."""
    return loads(*dumps(value, what))


class CopiedFuture(Future[Any]):
    """The answer of another process on a virtual clock, copied by pickle."""

    __slots__ = ()

    def _settle(self, value: Any, error: BaseException | None) -> bool:
        if error is None:
            try:
                value = copied(value, "the answer")
            except Exception as failure:  # noqa: BLE001 - PayloadError, or user code that failed: the asker's
                error = failure
        else:
            error = load_error(dump_error(error))
        return super()._settle(None if error is not None else value, error)


class CopyingBase(ActorRef[Any]):
    """The base of refs on a virtual clock: each incarnation gets its own copy of the arguments."""

    __slots__ = ()

    _future_class = CopiedFuture

    def _arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        what = f"an argument of {self.actor_class.__name__}"
        return tuple(copied(arg, what) for arg in args), {key: copied(arg, what) for key, arg in kwargs.items()}


class VirtualHostedRef(CopyingBase):
    """A ref whose messages and answers are copied by pickle."""

    __slots__ = ()

    def tell(self, message: Any) -> None:
        """Send a copy."""
        super().tell(copied(message))

    def _send(self, message: Any, future: Any) -> None:
        super()._send(copied(message), future)


class BoundedVirtualHostedRef(CopyingBase, BoundedRef):
    """A pickled ref with a bounded mailbox, whose `tell` is a `_send`."""

    __slots__ = ()

    def _send(self, message: Any, future: Any) -> None:
        super()._send(copied(message), future)
