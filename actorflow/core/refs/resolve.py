"""Resolve: the ref behind a pickled address, and refs of actors that are not in this process, or never lived."""

from __future__ import annotations

from typing import Any, Final

from actorflow.core.futures.future import Future
from actorflow.core.messages.ref_table import REFS
from actorflow.core.refs.address import Address
from actorflow.core.refs.cell import DEAD
from actorflow.core.refs.ref import ActorRef


class Gone:
    """Stands for the scheduler and the parent of a ref whose actor is not in this process, or never lived."""

    node = ""
    ask_timeout = None
    is_virtual = False
    owner = None

    def __init__(self, key: str, first_uid: int = 0, path: str = "/unstarted") -> None:
        self.key = key
        self.first_uid = first_uid
        self.path = path

    def check_usable(self) -> None:
        """Do nothing: the ref is dead."""

    def watch(self, watcher: ActorRef[Any], ref: ActorRef[Any], actor: Any) -> None:
        """Have the watcher told that the actor is dead."""
        watcher._scheduler.watch(watcher, ref, actor)

    def end_of(self, _ref: ActorRef[Any]) -> Future[Any]:
        """Return a future that is set."""
        future: Future[Any] = Future()
        future._settle(None, None)
        return future

    def report_unread(
        self, ref: ActorRef[Any], message: Any, sender: ActorRef[Any] | None, error: BaseException
    ) -> None:
        """Do nothing: no system would hear of it."""

    def post(self, _ref: Any, _message: Any, future: Future[Any] | None) -> None:
        """Take a stop that an actor asks for which was never started, as pykka does, or which is dead."""
        if future is not None:
            future._settle(value=False, error=None)


UNSTARTED: Final = "unstarted"


def unstarted(cls: type[Any]) -> ActorRef[Any]:
    """Return the ref of an actor that was made by hand and never started."""
    return gone_ref(Gone(UNSTARTED), next(REFS.uids), cls, None)


def gone_ref(gone: Gone, uid: int, cls: type[Any], name: str | None) -> ActorRef[Any]:
    """Return a dead ref."""
    ref: ActorRef[Any] = ActorRef(uid, gone, gone, cls._traits, name)
    ref._state = DEAD
    return ref


# System key -> how to reach actors of that system in other processes; filled by actorflow.process.hosts.
NODES: dict[str, Any] = {}


def ref_here(key: str, uid: int) -> ActorRef[Any] | None:
    """Return the ref of an actor of this process, in the system of that key."""
    ref = REFS.by_uid.get(uid)
    return ref if isinstance(ref, ActorRef) and ref._home.key == key else None


def resolve(key: str, node: str, first_uid: int, uid: int, path: str, cls: type[Any]) -> ActorRef[Any]:
    """Return the ref behind a pickled address; a dead one if the actor lives nowhere that this process knows of."""
    ref = ref_here(key, uid)
    if ref is not None:
        return ref
    here = NODES.get(key)
    if here is not None and here.name != node:
        remote: ActorRef[Any] = here.ref_to(node, first_uid, uid, path, cls)
        return remote
    parent, _, name = path.rpartition("/")
    return gone_ref(Gone(key, first_uid, parent), uid, cls, name)


Address._resolve = staticmethod(resolve)
