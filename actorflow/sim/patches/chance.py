"""Chance: random numbers in a simulated world come from its seed, in a stream of each actor's own."""

from __future__ import annotations

import os
import random
import uuid
from typing import TYPE_CHECKING, Any, Final

from actorflow.sim.choices.chooser import stream_of
from actorflow.sim.patches.clocks import wall
from actorflow.sim.patches.place import driven
from actorflow.sim.patches.redirect import Attribute, Redirect, original

if TYPE_CHECKING:
    from actorflow.sim.patches.patched import Patch
    from actorflow.sim.patches.place import Here

BEFORE_1970: Final = 0x01B21DD213814000  # of 100 ns, since the Gregorian calendar began
MULTICAST: Final = 1 << 40  # of a node that is no address of a card

SHARED: Final[Any] = vars(random)["_inst"]  # the generator behind the functions of `random`
real_random: Final = original(random.random)
real_getrandbits: Final = original(random.getrandbits)
real_urandom: Final = original(os.urandom)
real_seed: Final[Any] = random.Random.seed
real_module_seed: Final[Any] = random.seed
real_getstate: Final[Any] = random.getstate
real_setstate: Final[Any] = random.setstate
real_uuid1: Final[Any] = uuid.uuid1


def stream(here: Here) -> random.Random:
    """Return the random numbers of the actor whose code runs, or of the test and its clients."""
    execution, world = here.execution, here.world
    ref = None if execution is None else execution.receiver
    if ref is not None:
        return ref._scheduler.random_for(f"random {ref.path}")
    found = world.streams.get("")
    if found is None:
        found = world.streams[""] = stream_of(world.chooser.seed, "random of the test")
    return found


def draw() -> float:
    """Stand in for random.random."""
    here = driven()
    return real_random() if here is None else stream(here).random()


def getrandbits(bits: Any) -> int:
    """Stand in for random.getrandbits."""
    here = driven()
    return real_getrandbits(bits) if here is None else stream(here).getrandbits(bits)


def seed(self: random.Random, a: Any = None, version: int = 2) -> None:
    """Stand in for Random.seed: without an argument it asks the kernel."""
    here = driven() if a is None else None
    real_seed(self, a if here is None else stream(here).getrandbits(64), version)


def module_seed(a: Any = None, version: int = 2) -> None:
    """Stand in for random.seed."""
    here = driven()
    if here is None:
        real_module_seed(a, version)
    else:
        own = stream(here)
        real_seed(own, own.getrandbits(64) if a is None else a, version)


def getstate() -> Any:
    """Stand in for random.getstate."""
    here = driven()
    return real_getstate() if here is None else stream(here).getstate()


def setstate(state: Any) -> None:
    """Stand in for random.setstate."""
    here = driven()
    if here is None:
        real_setstate(state)
    else:
        stream(here).setstate(state)


def urandom(size: Any) -> bytes:
    """Stand in for os.urandom, and with it for `secrets`, SystemRandom and uuid4."""
    here = driven() if isinstance(size, int) and size >= 0 else None
    return real_urandom(size) if here is None else stream(here).randbytes(size)


def uuid1(node: int | None = None, clock_seq: int | None = None) -> uuid.UUID:
    """Stand in for uuid.uuid1: the node is drawn, so that two of one virtual time differ."""
    here = driven()
    if here is None:
        return real_uuid1(node, clock_seq)  # type: ignore[no-any-return]
    own = stream(here)
    ticks = round(wall(here) * 10_000_000) + BEFORE_1970
    sequence = own.getrandbits(14) if clock_seq is None else clock_seq
    node = own.getrandbits(48) | MULTICAST if node is None else node
    high = ((ticks >> 48) & 0x0FFF, (sequence >> 8) & 0x3F)
    return uuid.UUID(
        fields=(ticks & 0xFFFFFFFF, (ticks >> 32) & 0xFFFF, high[0], high[1], sequence & 0xFF, node), version=1
    )


class InStreams(random.Random):
    """The class of the shared generator meanwhile: no half of a pair that `gauss` has drawn passes between actors."""

    @property
    def gauss_next(self) -> Any:
        """The half; none is kept in a simulated world."""
        return vars(self)["gauss_next"] if driven() is None else None

    @gauss_next.setter
    def gauss_next(self, half: Any) -> None:
        if driven() is None:
            vars(self)["gauss_next"] = half


class Shared:
    """The generator behind the functions of `random`, whose methods ask it for its own `random` and `getrandbits`."""

    def on(self) -> None:
        """Have the methods of the generator draw from streams."""
        SHARED.random, SHARED.getrandbits = draw, getrandbits
        SHARED.__class__ = InStreams

    def off(self) -> None:
        """Have the methods of the generator draw from its own state again."""
        SHARED.__class__ = random.Random
        for name in ("random", "getrandbits"):
            vars(SHARED).pop(name, None)


def patches() -> list[Patch]:
    """Return the patches of random numbers."""
    return [
        Redirect(random.random, draw),
        Redirect(random.getrandbits, getrandbits),
        Redirect(os.urandom, urandom),
        Attribute(random.Random, "seed", seed),
        Attribute(random, "seed", module_seed),
        Attribute(random, "getstate", getstate),
        Attribute(random, "setstate", setstate),
        Attribute(uuid, "uuid1", uuid1),
        Shared(),
    ]
