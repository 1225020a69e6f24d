"""Requests of child processes to the one with the store. They run in the thread that reads the link."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from actorflow.core.futures.future import Future
from actorflow.core.messages.messages import Stop
from actorflow.durable.handling.runtime_messages import GuestMessage
from actorflow.process.hosts.link.remote_ref import HostedBase
from actorflow.process.hosts.link.requests import REQUESTS, Request

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.durable.node.runtime import DurableRuntime
    from actorflow.durable.ref import DurableRef
    from actorflow.durable.rows.records import TimerRow
    from actorflow.machine.running.pending import TimerKey


def runtime_of(request: Request) -> DurableRuntime:
    """Return the durable actors of the system that a child belongs to."""
    return cast("DurableRuntime", request.node.scheduler.durable)


def send(request: Request, key: str, cls: type[Any], message: Any, sender: ActorRef[Any] | None) -> None:
    """Put a message into the mailbox of an actor that is not in the tree of this system run."""
    future: Future[Any] | None = None
    if request.number is not None:
        future = Future()
        request.answer_with(future)
    runtime = runtime_of(request)
    runtime.put_later(cast("DurableRef", runtime.ref_of(key, cls)), message, future, sender)


def own(request: Request, uid: int, epoch: int, number: int, timer: tuple[TimerKey, int] | None, text: str) -> None:
    """A guest has a message of its process: a timer of a machine, a piped result, a Terminated."""
    ref = request.node.find(uid)
    if ref is not None:
        ref._scheduler.post(ref, GuestMessage(epoch, number, text, timer), None)


def stop(request: Request, uid: int, epoch: int, final: bool) -> None:
    """End a guest at its own wish, behind the messages in its mailbox."""
    ref = request.node.find(uid)
    if isinstance(ref, HostedBase) and ref._epoch == epoch:
        ref._scheduler.post(ref, Stop(final=final, actor=None if final else ref._actor), None)


def do(request: Request, work: Callable[[], Any]) -> None:
    """Do a piece of work with the store, and answer with its result."""

    def act() -> None:
        try:
            request.answer(work())
        except Exception as error:  # noqa: BLE001 - it is the asker's
            request.fail(error)

    runtime_of(request).batch.do(act)


def answer(request: Request, number: int, value: bytes | None, error: bytes | None) -> None:
    """Set a promised answer."""
    do(request, lambda: runtime_of(request).asks.answer_now(number, value, error))


def add_timer(request: Request, uid: int, row: TimerRow) -> None:
    """Commit a timer, and answer with its number."""

    def add() -> int:
        ref = cast("DurableRef", request.node.find(uid))
        ref._runtime.add_timer(ref._box, row)
        return row.id

    do(request, add)


def drop_timer(request: Request, uid: int, id: int) -> None:
    """Commit the end of a timer."""

    def drop() -> bool:
        ref = cast("DurableRef", request.node.find(uid))
        return bool(ref._runtime.drop_timer(ref._box, id))

    do(request, drop)


REQUESTS.update(
    {
        "durable send": send,
        "durable own": own,
        "durable stop": stop,
        "durable answer": answer,
        "durable timer": add_timer,
        "durable timer ends": drop_timer,
    }
)
