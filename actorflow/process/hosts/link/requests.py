"""Requests: those that one process's runtime makes of another's.

Those here are understood by every node; `hosts.child.parent_requests` adds those for hosts only, and
`hosts.parent.envoy` the news from hosts to their parent. They run in the thread that reads the link, so they are short
and never wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actorflow.core.futures.future import Future
from actorflow.core.refs.cell import DEAD
from actorflow.core.refs.termination import notify_end
from actorflow.process.pickling import dump_error, load_error

if TYPE_CHECKING:
    from actorflow.process.hosts.link.link import HostLink
    from actorflow.process.hosts.link.node import ProcessNode


class Request:
    """One request: where it came in, and its answer, if one is wanted."""

    __slots__ = ("link", "node", "number")

    def __init__(self, node: ProcessNode, link: HostLink, number: int | None) -> None:
        self.node = node
        self.link = link
        self.number = number

    def answer(self, value: Any = None) -> None:
        """Answer the request; from any thread, once."""
        if self.number is not None:
            self.link.answer(self.number, value)

    def answer_with(self, future: Future[Any]) -> None:
        """Answer the request with the value or error of the future."""

        def settle() -> None:
            if self.number is not None:
                self.link.reply(self.number, future._value, future._error)

        future._when_done(settle)

    def fail(self, error: BaseException) -> None:
        """Answer the request with an error."""
        if self.number is not None:
            self.link.fail(self.number, error)


def alive(request: Request, uid: int) -> None:
    """Say whether an actor of this process lives."""
    ref = request.node.find(uid)
    request.answer(ref is not None and ref.is_alive())


def end(request: Request, uid: int) -> None:
    """Answer at the actor's end, with the reason; at once if it is dead."""
    ref = request.node.find(uid)
    if ref is None:
        request.answer(None)
        return
    ended: Future[Any] = Future()

    def answer() -> None:
        cause = ref._cold.cause if ref._state == DEAD and ref._cold is not None else None
        request.answer(None if cause is None else Reason(dump_error(cause)))

    ended._when_done(answer)
    scheduler = request.node.scheduler
    scheduler.post_work(lambda: notify_end(ref, ended))


class Reason:
    """Carries an error as a value; it unpickles to the error."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __reduce__(self) -> tuple[Any, ...]:
        return load_error, (self.data,)


REQUESTS: dict[str, Callable[..., None]] = {"alive": alive, "end": end}
