"""Virtual hosts: hosts on a virtual clock.

There all processes are one, but messages from one host to another, or to the system's own process and back, are pickled
all the same: a test sees that a message or an answer does not survive the way, or that sender and receiver do not share
it. An actor is in the host of its parent, unless it has one of its own.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from actorflow.core.futures.future import Future
from actorflow.core.messages.execution import CURRENT
from actorflow.core.refs.bounded_mailbox import BoundedRef
from actorflow.core.refs.ref import ActorRef
from actorflow.process.pickling import dump_error, dumps, load_error, loads


def copied(value: Any, what: str = "the message") -> Any:
    """Return the copy that another process would get."""
    return loads(*dumps(value, what))


def host_of(ref: ActorRef[Any] | None) -> object:
    """Return the virtual host of an actor; None is the system's own process."""
    return getattr(ref, "_virtual_host", None)


def own_host(ref: ActorRef[Any]) -> object:
    """Return the host that an actor begins in: its own if it has one, or else that of its parent."""
    outer = host_of(ref._parent.owner)
    process = ref._traits.options.host
    if process is None:
        return outer
    name = getattr(process, "name", None)
    return outer, ref.uid if name is None else name


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
    """The base of refs on a virtual clock, which copy messages that go from one host to another."""

    _is_plain = False

    __slots__ = ()

    _virtual_host: object

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._virtual_host = own_host(self)

    def _is_near(self) -> bool:
        """Say whether the actor whose handler runs here is in the same host."""
        execution = CURRENT.get()
        return host_of(execution.receiver if execution is not None else None) == self._virtual_host

    def _future_for(self, target: ActorRef[Any]) -> Future[Any]:
        return Future(target) if self._is_near() else CopiedFuture(target)

    _future_class: ClassVar[Any] = _future_for

    def _send(self, message: Any, future: Future[Any] | None) -> None:
        super()._send(message if self._is_near() else copied(message), future)

    def _across(self, error: BaseException, other: ActorRef[Any] | None) -> BaseException:
        return error if host_of(other) == self._virtual_host else load_error(dump_error(error))

    def _close(self, cause: BaseException | None) -> None:
        super()._close(cause)
        if self._name is None:  # no other actor will have this path
            self._scheduler.streams.pop(self.path, None)  # type: ignore[attr-defined]

    def _arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments as an incarnation gets them: in a host of its own, a copy each time."""
        if self._traits.options.host is None:
            return super()._arguments(args, kwargs)
        return copied_arguments(self, args, kwargs)


def copied_arguments(
    ref: ActorRef[Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return a copy of an actor's arguments."""
    what = f"an argument of {ref.actor_class.__name__}"
    return tuple(copied(arg, what) for arg in args), {key: copied(arg, what) for key, arg in kwargs.items()}


class VirtualRef(CopyingBase):
    """A ref on a virtual clock."""

    __slots__ = ("_virtual_host",)

    def tell(self, message: Any) -> None:
        """Send a message; a copy, if it goes to another host."""
        super().tell(message if self._is_near() else copied(message))


class BoundedVirtualRef(CopyingBase, BoundedRef):
    """A ref with a bounded mailbox on a virtual clock; its `tell` is a `_send`."""

    __slots__ = ("_virtual_host",)


VIRTUAL_KINDS: Final = (VirtualRef, BoundedVirtualRef)
