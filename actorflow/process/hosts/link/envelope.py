"""Parcel: the envelope of a message on its way through this process, which only its receiver's unpickles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.process.hosts.link.link import Asker


class Parcel:
    """A pickled message that waits for its host: while it starts, or starts again."""

    __slots__ = ("buffers", "data", "future", "sender")

    def __init__(self, data: bytes, buffers: Any, future: Asker | None, sender: ActorRef[Any] | None) -> None:
        self.data = data
        self.buffers = buffers
        self.future = future
        self.sender = sender
