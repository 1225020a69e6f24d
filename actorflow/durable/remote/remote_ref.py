"""Refs of durable actors in child processes, which have no store: the parent writes their sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.core.refs.ref import ActorRef
from actorflow.core.refs.resolve import NODES, Gone, gone_ref, ref_here
from actorflow.durable.address import ELSEWHERE, DurableBase, key_of, runtime_at
from actorflow.durable.rows.payload import Caused
from actorflow.process.hosts.link.reader import RemoteFuture
from actorflow.process.hosts.link.remote_ref import Elsewhere, RemoteRef, held, sender_of_this
from actorflow.tasks.cause import cause_here

if TYPE_CHECKING:
    from actorflow.core.actors.traits import Traits
    from actorflow.core.futures.future import Future


class DurableRemoteRef(DurableBase, RemoteRef):
    """The ref of a durable actor in a child process that does not have it."""

    __slots__ = ("_key",)

    def __init__(self, uid: int, elsewhere: Elsewhere, traits: Traits, name: str | None) -> None:
        super().__init__(uid, elsewhere, traits, name)
        self._key = key_of(self.path)

    def tell(self, message: Any) -> None:
        """Send a message; its row is committed in the parent's process, soon after this returns."""
        if self.uid != ELSEWHERE:
            super().tell(message)
        elif not held(self, message, None):
            self._send_by_name("note", message)

    def _send(self, message: Any, future: Future[Any] | None) -> None:
        if self.uid != ELSEWHERE:
            super()._send(message, future)
        elif held(self, message, future):
            return
        elif future is None:
            self._send_by_name("note", message)
        else:
            if isinstance(future, RemoteFuture):
                future.link = self._home.way(self)
            self._send_by_name("request", message, future=future)

    def _send_by_name(self, how: str, message: Any, **options: Future[Any]) -> None:
        elsewhere, cause = self._home, cause_here()
        if cause is not None and cause.id is not None:
            message = Caused(message, cause.correlation, cause.id)
        address = (self._key, self.actor_class)
        getattr(elsewhere.way(self), how)(
            elsewhere.node, "durable send", *address, message, sender_of_this(), **options
        )


def resolve_stored(key: str, first_uid: int, uid: int, path: str, cls: type[Any]) -> ActorRef[Any]:
    """Return the ref behind a pickled address."""
    ref = ref_here(key, uid)
    if ref is not None:
        return ref
    parent, _, name = path.rpartition("/")
    here = NODES.get(key)
    if here is not None and here.name:
        return DurableRemoteRef(uid, Elsewhere(here, "", first_uid, parent), cls._traits, name)
    runtime = runtime_at(key)
    if runtime is None:
        return gone_ref(Gone(key, first_uid, parent), uid, cls, name)
    known: ActorRef[Any] = runtime.ref_of(key_of(path), cls)
    return known


DurableBase._resolve_stored = staticmethod(resolve_stored)
