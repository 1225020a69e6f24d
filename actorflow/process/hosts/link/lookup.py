"""Lookup: actors of another process: finding one by its path, those below one, and the attributes of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from actorflow.core.refs.pykka_views import attributes_of
from actorflow.errors import ActorDeadError
from actorflow.process.hosts.link.requests import REQUESTS, Request

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future
    from actorflow.core.refs.ref import ActorRef
    from actorflow.process.hosts.link.link import Asker

# Name, path, class, state, messages queued, those below, and its uid if it lives in another process.
Row: TypeAlias = "tuple[str, str, str, int, int, list[Any], int]"


def walk(ref: ActorRef[Any] | None, names: list[str]) -> tuple[ActorRef[Any] | None, list[str]]:
    """Follow names down the tree; returns where that ends, and the names that are left if it is at another process."""
    for index, name in enumerate(names):
        if ref is None or ref._is_remote:
            return ref, names[index:]
        ref = ref._children.find(name) if ref._children is not None else None
    return ref, []


def describe(ref: ActorRef[Any]) -> Row:
    """Describe an actor and those below it that live in this process."""
    children = [describe(child) for child in ref._children or ()]
    queued, uid = len(ref._queue or ()), ref.uid if ref._is_remote else 0
    return ref.name, ref.path, ref.actor_class.__name__, ref._state, queued, children, uid


def ask_host(ref: ActorRef[Any], verb: str, *arguments: Any, future: Asker | None = None) -> Future[Any] | None:
    """Ask the host that holds an actor about it; None if it has none at the moment."""
    from actorflow.process.hosts.link.remote_ref import HostedBase  # noqa: PLC0415 - 3 ms that programs without hosts save

    link = ref._way() if isinstance(ref, HostedBase) else None
    return None if link is None else link.request(link.name, verb, ref.uid, *arguments, future=future)


def find_below(request: Request, uid: int, names: list[str]) -> None:
    """Answer with the actor of these names below one of this process; None if there is none."""
    found, left = walk(request.node.find(uid), names)
    if not left or found is None:
        request.answer(found)
    else:
        pass_on(request, found, "find below", left)


def describe_below(request: Request, uid: int) -> None:
    """Answer with a description."""
    ref = request.node.find(uid)
    if ref is None:
        request.fail(ActorDeadError(f"{request.node.name} has no actor {uid}"))
    elif ref._is_remote:
        pass_on(request, ref, "describe")
    else:
        request.answer(describe(ref))


def introspect(request: Request, uid: int) -> None:
    """Answer with the attributes that a proxy may reach; properties are not run. None if there is no incarnation."""
    ref = request.node.find(uid)
    if ref is not None and ref._is_remote:
        pass_on(request, ref, "introspect")
        return
    actor = ref._actor_weakref() if ref is not None else None
    request.answer(None if actor is None else attributes_of(actor))


def pass_on(request: Request, ref: ActorRef[Any], verb: str, *arguments: Any) -> None:
    """Let the host of that actor answer, which is one of this process's own."""
    from actorflow.process.hosts.link.link import Relay  # noqa: PLC0415 - the app imports this module, but few have hosts

    assert request.number is not None
    if ask_host(ref, verb, *arguments, future=Relay(request.link, request.number)) is None:
        request.answer(None)


REQUESTS.update({"find below": find_below, "describe": describe_below, "introspect": introspect})
