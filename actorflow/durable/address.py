"""Address: the part that refs of durable actors have in all processes. Two are equal if they are of one name."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from actorflow.core.refs.ref import ActorRef
from actorflow.core.refs.resolve import NODES
from actorflow.core.system import SYSTEMS

if TYPE_CHECKING:
    from actorflow.core.running.extensions import DurableExtension

ELSEWHERE: Final = -1  # uid of refs whose actor is not in the tree of this system run


class DurableBase(ActorRef[Any]):
    """The base of refs of durable actors in all processes: two are equal if they are of one name."""

    __slots__ = ()

    _is_plain = False
    _key: str  # the path below the system: the name that its rows are found by
    _resolve_stored: ClassVar[Callable[..., Any]]  # remote.remote_ref, which makes refs, puts its own here

    def _to_stored(self) -> tuple[str, Any]:
        kind = self.actor_class
        return "$actor", [self._key, f"{kind.__module__}.{kind.__qualname__}"]

    def __reduce__(self) -> tuple[Any, ...]:
        home = self._home
        return DurableBase._resolve_stored, (home.key, home.first_uid, self.uid, self.path, self.actor_class)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DurableBase):
            return NotImplemented
        return self._key == other._key and self._home.key == other._home.key

    def __hash__(self) -> int:
        return zlib.crc32(self._key.encode())


def key_of(path: str) -> str:
    """Return the path below the system."""
    return path.split("/", 2)[2]


def runtime_at(key: str) -> DurableExtension | None:
    """Return the runtime of a system's durable actors in this process; None if there is none."""
    here = NODES.get(key)
    if here is None:
        return next((system.scheduler.durable for system in list(SYSTEMS) if system.scheduler.key == key), None)
    return cast("DurableExtension | None", here.scheduler.durable)
