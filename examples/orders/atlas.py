"""The atlas, an actor in a process of its own, and the planner, which goes from a package's items to its route.

How the loss of a process is made good
--------------------------------------
*The atlas's.* One option (`host=af.Process(...)`) puts this actor into a child process. When that dies, all that the
atlas had surveyed dies with it. Its supervisor starts the next atlas, under the same ref; who waits for an answer gets
`HostDied`, and asks again. Questions that come while there is no process wait for the next one.

*A worker's.* The pool replaces it. A route that may have been under way is planned again (`retries=`): that is safe, as
planning has no effect but its result.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass

import actorflow as af

from .route import Place, Route, plan

DEPOT: Place = (0.5, 0.5)

# What all child processes of this example are forked from has imported this module: then a new one is there at once.
PROCESS = af.Process(preload=[__name__])


def survey(item: str) -> Place:
    """Find out where an item goes to. That depends on its name only, so it is the same at each survey."""
    chance = random.Random(item)
    return chance.random(), chance.random()


class Atlas(af.Actor, host=PROCESS):
    """Knows the places that it has surveyed."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, Place] = {}

    def places(self, items: Sequence[str]) -> list[Place]:
        """Return where a van with these items stops, the depot first."""
        for item in items:
            if item not in self.known:
                self.known[item] = survey(item)
        return [DEPOT, *(self.known[item] for item in items)]

    def pid(self) -> int:
        """Return the number of its process."""
        return os.getpid()


@dataclass(frozen=True)
class Planner:
    """What a package needs to get its route: the atlas, and the pool."""

    atlas: af.ActorRef[Atlas]
    pool: af.ProcessPool

    async def route(self, package: str, items: Sequence[str]) -> Route:
        """Ask the atlas for the places, and the pool for the route."""
        return await self.pool.submit(plan, await self.places(items), seed=package)

    async def places(self, items: Sequence[str]) -> list[Place]:
        """Ask the atlas, as often as its process dies over it."""
        while True:
            try:
                return await self.atlas.call(Atlas.places, items)
            except af.HostDied:
                continue
