"""Members: the processes that work on a store, as one of them sees the others.

A node beats, looks for nodes that have died, and takes over the jobs, actors and other registered kinds that each has
left, all in one transaction, which ends with the dead node's row. Each store has one object for that, and each owner of
lasting rows on the store calls `look` now and then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from actorflow.core.log import logger
from actorflow.core.outage import Outage
from actorflow.errors import ActorDeadError, OutcomeUnknown, StoreError

if TYPE_CHECKING:
    from actorflow.store.store import Store
    from actorflow.store.transaction import Row, Transaction

PERIOD_SECONDS: Final = 0.25  # between two looks for nodes that have died
BEAT_SECONDS: Final = 5.0
LEASE_SECONDS: Final = 30.0  # without a beat, after which a node that holds its lock counts as cut off
AGAIN_SECONDS: Final = 10.0  # until a burial that failed is tried again

# What a take-over does once it is committed; what it does in the transaction; how it prepares for the death of a node.
After: TypeAlias = Callable[[], object]
Inheriting: TypeAlias = "Callable[[Transaction], After | None]"
Heir: TypeAlias = "Callable[[str], Inheriting | None]"


class Members:
    """The processes on a store: beats for this one, and buries those that have died.

    Attributes:
        dead: ids of the nodes that the last look found dead, and could not bury yet.
        buried: how many nodes this process has buried.
        has_others: other nodes had a row at the last look; kept by systems in virtual time.
        joined: the time of beats at which this node came; kept by systems in virtual time.
    """

    def __init__(self, store: Store) -> None:
        self.dead: frozenset[str] = frozenset()
        self.buried = 0
        self.has_others = False
        self.joined = float("-inf")
        self._store = store
        self._heirs: dict[str, Heir] = {}
        self._turn = threading.Lock()  # one look at a time; other callers do not wait for it
        self._looked = self._beaten = float("-inf")
        self._failed: dict[str, float] = {}  # when a burial failed
        self._burials = Outage(store.clock)

    def register(self, kind: str, heir: Heir) -> None:
        """Register the function that takes over the rows of one kind that dead nodes leave, in place of an earlier one.

        It is called with the id of a node, outside of a transaction, and returns None if the node has left nothing.
        Else it returns a function to call in the transaction of the burial, which may return another for after the
        commit.
        """
        self._heirs[kind] = heir

    def lease_time(self) -> float:
        """Return the time of beats and leases: nobody sets it, unlike a clock on the wall, and all nodes share it."""
        return self._store.now() if self._store.dialect == "postgres" else self._store.clock.monotonic()

    def is_living(self, row: Row | None) -> bool:
        """Say whether a node, by its row, is at work: it holds its lock, and has beaten within the lease."""
        if row is None or row[0] in self.dead:
            return False
        return bool(row[5] >= self.lease_time() - LEASE_SECONDS) or not self.has_waited()

    def has_waited(self) -> bool:
        """Say whether this node has been here for a lease: in virtual time those that were alone begin to beat then."""
        return self.lease_time() >= self.joined + LEASE_SECONDS

    def look(self) -> None:
        """Write this node's beat if it is due, and bury dead nodes; a second call within a period does nothing.

        Raises:
            StoreError: the database failed.
        """
        if not self._turn.acquire(blocking=False):
            return
        try:
            now = self._store.clock.monotonic()
            if now - self._looked < PERIOD_SECONDS / 2:
                return
            self._looked = now
            if now - self._beaten >= BEAT_SECONDS:
                self.beat()
            self.bury_dead()
            if self.has_others:
                self.look_for_others(self._store.node.id)
        finally:
            self._turn.release()

    def beat(self) -> None:
        """Say that this node lives; if others have taken it for dead, it joins again."""
        store, node = self._store, self._store.node
        beat = self.lease_time()

        def work(transaction: Transaction) -> bool:
            if transaction.run("nodes.beat", {"id": node.id, "beat": beat}):
                return True
            transaction.run("nodes.join", {**node.row, "beat": beat})
            return False

        if not store.write(work, durability="process"):
            logger.warning("Node %s was taken for dead by another process, and has joined again", node.id)
        self._beaten = store.clock.monotonic()

    def bury_dead(self) -> None:
        """Take over from each dead node in a transaction of its own: one that fails does not affect the others."""
        now = self._store.clock.monotonic()
        for id_ in sorted(self.find_dead()):
            if now - self._failed.get(id_, float("-inf")) < AGAIN_SECONDS:
                continue
            try:
                self.bury(id_)
            except (StoreError, ActorDeadError):  # it is the store's, and so of all of them
                raise
            except Exception:  # noqa: BLE001 - the other dead have left something too
                self._failed[id_] = now
                text = "Node %s has died, and its jobs could not be taken over; next try in 10 s"
                self._burials.note(logger.exception, text, id_)

    def look_for_others(self, node: str) -> None:
        """Note whether there are nodes other than this one."""
        self.has_others = bool(self._store.read(lambda transaction: transaction.all("nodes.others", {"id": node})))

    def find_dead(self) -> frozenset[str]:
        """Look which nodes have died, and return their ids."""
        self.dead = frozenset(self._store.node.dead())
        return self.dead

    def bury(self, node: str) -> None:
        """Take over the work that a dead node has left, and remove the node.

        Raises:
            StoreError: the database failed.
        """
        prepared = [heir(node) for heir in self._heirs.values()]
        after: list[After | None] = []

        def work(transaction: Transaction) -> None:
            after[:] = [act(transaction) for act in prepared if act is not None]
            transaction.run("nodes.remove", {"id": node})

        try:
            self._store.write(work)
        except OutcomeUnknown:  # it may be there: then this is not said a second time
            self._follow(after)
            raise
        self._store.node.forget(node)
        self.dead -= {node}
        self._failed.pop(node, None)
        self.buried += 1
        self._follow(after)

    def _follow(self, after: list[After | None]) -> None:
        for act in after:
            try:
                if act is not None:
                    act()
            except Exception:  # noqa: BLE001 - the burial stands
                logger.exception("After the burial of a node, %r failed", act)
