"""Store faults: declares those of the store of a simulation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Self

from actorflow.errors import DefinitionError
from actorflow.sim.faults.fault import Fault
from actorflow.sim.world.link import is_number
from actorflow.text import stable_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.sim.simulation import Simulation
    from actorflow.sim.world.network import Active
    from actorflow.sim.world.store import SimStore


class StoreFaults:
    """The faults of the store that can be declared at a time of a simulated run."""

    _sim: Simulation
    time: float

    def disk_full(self, *, heal: float) -> Self:
        """Have no commit find room for a while: writes fail with StoreError and are undone; reads go on.

        Raises:
            DefinitionError: no app was started, or `heal` is no time.
        """
        store = self._store("disk_full")
        return self._on_store("disk full", heal, store.full)

    def busy(self, *, heal: float) -> Self:
        """Have another program keep the store for itself for a while: writes wait, and fail after 30 s of that.

        Raises:
            DefinitionError: no app was started, or `heal` is no time.
        """
        store = self._store("busy")
        return self._on_store("store busy", heal, store.busy, healed=store.let_go)

    def slow_commits(self, seconds: float, *, heal: float) -> Self:
        """Have each write take some virtual seconds for a while.

        Raises:
            DefinitionError: no app was started, or one of the times is none.
        """
        store = self._store("slow_commits")
        check_seconds("seconds", seconds)
        return self._on_store(f"commits take {seconds:g} s", heal, store.slow, amount=seconds)

    def commit_unknown(self, part: float = 1.0, *, heal: float) -> Self:
        """Have nobody know of a part of the commits whether they are there: half of them are.

        The caller gets OutcomeUnknown, as after the loss of a server in the midst of a commit.

        Raises:
            DefinitionError: no app was started, the part is not from 0 to 1, or `heal` is no time.
        """
        store = self._store("commit_unknown")
        if not is_number(part) or not 0 <= part <= 1:
            raise DefinitionError(f"commit_unknown({stable_text(part)}): give a part of the commits, from 0 to 1")
        return self._on_store(f"{part:.0%} of commits unknown", heal, store.unknown, amount=part)

    def lost_commits(self, *, down: float = 0.0) -> Self:
        """Cut the power of the machine that the store and all nodes are on; they start again after `down` seconds.

        Commits of durability "process" are lost, one or more: those that came after the last one of durability
        "power". One of durability "power" is never lost.

        Raises:
            DefinitionError: no app was started, or `down` is no time.
        """
        store = self._store("lost_commits")
        check_seconds("down", down)
        sim = self._sim

        def act(fault: Fault) -> None:
            fault.touched = True
            lives = [(node, node.kill()) for node in sim.nodes]
            store.cut_power()
            store.cuts -= 1

            def start_again() -> None:
                for node, life in lives:
                    sim.restart(node, life)

            sim.later(down, start_again)

        store.cuts += 1
        sim.add(Fault("lost commits", "power cut", self.time, self.time + down, act))
        return self

    def _store(self, name: str) -> SimStore:
        store = self._sim.store
        if store is None:
            raise DefinitionError(f"{name}: start an app first, whose store it is")
        return store

    def _on_store(
        self,
        text: str,
        heal: float,
        faults: list[Active],
        *,
        amount: float = 0.0,
        healed: Callable[[], object] = lambda: None,
    ) -> Self:
        check_lasting("heal", heal)

        def end(fault: Fault) -> None:
            faults.remove(fault)
            healed()

        self._sim.add(Fault("store", text, self.time, self.time + heal, faults.append, end, amount))
        return self


def check_seconds(name: str, seconds: Any) -> None:
    """Refuse a value that is no virtual time.

    Raises:
        DefinitionError: it is none.
    """
    if not is_number(seconds) or not 0 <= seconds < math.inf:
        raise DefinitionError(f"{name}={stable_text(seconds)}: give virtual seconds, 0 or more")


def check_lasting(name: str, seconds: Any) -> None:
    """Refuse a value that is no virtual time in which something happens: a fault that heals as it begins never would.

    Raises:
        DefinitionError: it is none.
    """
    check_seconds(name, seconds)
    if seconds == 0:
        raise DefinitionError(f"{name}=0: give virtual seconds, more than 0")
