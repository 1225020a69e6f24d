"""Ref table: the container behind `pykka.ActorRegistry`, made a dict.

pykka keeps its refs in a list: a stop at 10,000 actors searches it for 87 us. The container looks like that list to
pykka's own code, holds the refs of both kinds in start order, and finds ours by uid.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from typing import Any

import pykka


class RefTable:
    """An ordered set of refs with the part of list's interface that `pykka.ActorRegistry` uses."""

    def __init__(self) -> None:
        self.by_uid: dict[int, pykka.ActorRef[Any]] = {}
        self.uids = itertools.count(1)
        self._foreign: dict[int, int] = {}  # id(ref) -> uid, for refs of ThreadingActor

    def append(self, ref: pykka.ActorRef[Any]) -> None:
        """Add a ref at the end."""
        uid = getattr(ref, "uid", None)
        if uid is None:
            uid = self._foreign[id(ref)] = next(self.uids)
        self.by_uid[uid] = ref

    def remove(self, ref: pykka.ActorRef[Any]) -> None:
        """Take a ref out; ValueError if it is not there."""
        uid = getattr(ref, "uid", None) or self._foreign.pop(id(ref), None)
        if uid is None or self.by_uid.pop(uid, None) is None:
            msg = f"{ref} is not in the registry"
            raise ValueError(msg)

    def __contains__(self, ref: object) -> bool:
        uid = getattr(ref, "uid", None) or self._foreign.get(id(ref))
        return uid in self.by_uid

    def __iter__(self) -> Iterator[pykka.ActorRef[Any]]:
        return iter(self[:])

    def __len__(self) -> int:
        return len(self.by_uid)

    def __getitem__(self, index: Any) -> Any:
        while True:
            try:
                return list(self.by_uid.values())[index]
            except RuntimeError:  # a finaliser changed the dict while it was copied
                continue


def install() -> RefTable:
    """Put the table into pykka's registry, once; if pykka changed inside, leave it alone and keep our own."""
    held: Any = pykka.ActorRegistry._actor_refs
    if isinstance(held, RefTable):
        return held
    table = RefTable()
    if type(held) is list:
        with pykka.ActorRegistry._actor_refs_lock:
            for ref in held:
                table.append(ref)
            pykka.ActorRegistry._actor_refs = table  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    else:
        warnings.warn("pykka's registry is not as expected: actorflow's actors are not in it", stacklevel=2)
    return table


REFS = install()
