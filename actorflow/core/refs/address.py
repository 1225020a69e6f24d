"""Address: the system, path and uid that identify an actor in all processes."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import pykka

if TYPE_CHECKING:
    from actorflow.core.actors.traits import Traits
    from actorflow.core.refs.home import Home, Lineage
    from actorflow.core.refs.ref import ActorRef


class Address(pykka.ActorRef[Any]):
    """The part of a ref that pickles. Addresses are equal if they name the same actor, in any of its incarnations."""

    __slots__ = ("_home", "_name", "_parent", "_traits", "uid")

    _home: Home
    _name: str | None
    _parent: Lineage
    _traits: Traits
    uid: int

    _resolve: ClassVar[Callable[..., Any]]  # core.refs.resolve, which makes refs, puts its own here

    @property
    def name(self) -> str:
        """Last part of the path: the name it was spawned with, or its class and a number."""
        if self._name is None:
            return f"{self.actor_class.__name__.lower()}-{self._number()}"
        return self._name

    def _number(self) -> int:
        """Return the actor's number in its system; the same in all processes, and in each run of a seed."""
        return self.uid - self._home.first_uid

    @property
    def path(self) -> str:
        """The actor's place in the tree: system, parents and name, as in `/demo/sales/order-7`."""
        return f"{self._parent.path}/{self.name}"

    @property
    def parent(self) -> ActorRef[Any] | None:
        """The ref of the parent, or None directly under the system."""
        return self._parent.owner

    @property
    def actor_class(self) -> type[Any]:  # type: ignore[override]
        """Class of the actor."""
        return self._traits.actor_class

    @property
    def actor_urn(self) -> str:  # type: ignore[override]
        """pykka's unique name, an uuid4 URN; made when it is read."""
        digest = hashlib.blake2b(f"{self._home.key}/{self._number()}".encode(), digest_size=16).digest()
        return uuid.UUID(bytes=digest, version=4).urn

    def __repr__(self) -> str:
        return f"<ActorRef for {self}>"

    def __str__(self) -> str:
        return f"{self.actor_class.__name__} ({self.path} {self.actor_urn})"

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Address):
            return NotImplemented
        return self.uid == other.uid and self._home.key == other._home.key

    def __hash__(self) -> int:
        return self._number()  # the same in each run of a seed, so sets iterate alike

    def __reduce__(self) -> tuple[Any, ...]:
        home = self._home
        return Address._resolve, (home.key, home.node, home.first_uid, self.uid, self.path, self.actor_class)

    def _to_stored(self) -> tuple[str, Any]:
        """Return the tag and the plain data that stand for the ref in a store; `ref_at` reads them."""
        *address, kind = self.__reduce__()[1]
        return "$ref", [*address, f"{kind.__module__}.{kind.__qualname__}"]
