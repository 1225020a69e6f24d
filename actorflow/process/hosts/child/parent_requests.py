"""Requests of the parent to a host, about its guests. The parent's side is `hosted_ref`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actorflow.core.futures.future import Future
from actorflow.core.messages.messages import Stop
from actorflow.core.refs.cell import DEAD
from actorflow.core.refs.ref import ActorRef
from actorflow.core.running.system_task import start_procedure
from actorflow.errors import ActorDeadError
from actorflow.process.hosts.child.guest_ref import GuestBase
from actorflow.process.hosts.child.guests import STEWARDS, Guests, Steward, begin
from actorflow.process.hosts.link.requests import REQUESTS, Request


def spawn(request: Request, *arguments: Any) -> None:
    """Start a guest."""
    STEWARDS[0].cast(Steward.spawn, request, *arguments)


def found(request: Request, uid: int) -> GuestBase | None:
    """Return the guest, or answer that it is dead."""
    ref = request.node.find(uid)
    if not isinstance(ref, GuestBase):
        request.fail(ActorDeadError(f"{request.node.name} has no guest {uid}"))
        return None
    return ref


def start_again(request: Request, uid: int, epoch: int) -> None:
    """Start the next incarnation of a guest."""
    ref = found(request, uid)
    if ref is not None:
        begin(request, ref, epoch, first=False)


def stop(request: Request, uid: int) -> None:
    """End a guest behind its queued messages."""
    ref = request.node.find(uid)
    if ref is None:
        request.answer()
        return
    scheduler = request.node.scheduler
    done: Future[Any] = Future()
    request.answer_with(done)

    def begin() -> None:
        if scheduler.drain is None:
            scheduler.post(ref, Stop(final=True), done)
        else:
            start_procedure(scheduler, scheduler.drain.end_child(ref._parent, ref), done)

    scheduler.post_work(begin)


EXITS: dict[int, Future[Any]] = {}  # that are under way: a guest in its `on_stop` is not found any more


def leave(request: Request, uid: int, restart: bool, seconds: float) -> None:
    """End a guest after its current handler, as a supervisor does; the answer says whether it may be started again."""
    ref = request.node.find(uid)
    if not isinstance(ref, GuestBase):
        ending = EXITS.get(uid)
        if ending is None or not ending._add_waiter(lambda: request.answer(value=False)):
            request.answer(value=False)
        return
    scheduler = request.node.scheduler
    done: Future[Any] = Future()
    EXITS[uid] = done

    def answer() -> None:
        if EXITS.get(uid) is done:
            del EXITS[uid]
        if done._error is not None:
            request.fail(done._error)
        else:
            request.answer(value=ref._state != DEAD)

    done._when_done(answer)

    def begin() -> None:
        ref._parent.leaving = None  # the move that asked for it does not wait any more
        start_procedure(scheduler, ref._parent.stop_child(ref, restart=restart, seconds=seconds), done)

    scheduler.post_work(begin)


def move_out(request: Request, uid: int) -> None:
    """End a guest behind its queued messages, for its parent to start it in another process."""
    _take_out(request, uid, Guests.leave)


def hand_back(request: Request, uid: int) -> None:
    """Take out a guest that waits for its restart, for its parent to start it in another process."""
    _take_out(request, uid, Guests.hand_back)


def _take_out(request: Request, uid: int, way: Callable[[Guests, ActorRef[Any], Request], None]) -> None:
    ref = request.node.find(uid)
    if not isinstance(ref, GuestBase):
        request.answer(value=False)
    else:
        request.node.scheduler.post_work(lambda: way(ref._parent, ref, request))


def bury_guest(request: Request, uid: int) -> None:
    """A guest that waited for its restart gets none."""
    ref = request.node.find(uid)
    if ref is not None:
        request.node.scheduler.post_work(lambda: ref._parent.bury_between(ref))


REQUESTS.update(
    {
        "spawn": spawn,
        "start": start_again,
        "stop": stop,
        "exit": leave,
        "move out": move_out,
        "hand back": hand_back,
        "bury": bury_guest,
    }
)
