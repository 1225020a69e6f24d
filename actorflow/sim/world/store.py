"""Store: the one store of all nodes of a simulation, in memory, and its faults."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actorflow.core.futures.future import Future
from actorflow.core.messages.execution import CURRENT
from actorflow.core.refs.timers import Sleep
from actorflow.errors import AskTimeout, OutcomeUnknown, StoreError
from actorflow.sim.world.network import touch
from actorflow.store.sqlite.connection import BUSY_SECONDS, SqliteWriter, store_error
from actorflow.store.sqlite.store import SqliteStore
from actorflow.store.system_store import SystemStore

if TYPE_CHECKING:
    from actorflow.sim.world.network import Active
    from actorflow.sim.world.scheduler import SimWorld
    from actorflow.store.open_transaction import OpenTransaction
    from actorflow.store.transaction import Durability, Transaction

T = TypeVar("T")

SNAPSHOTS: Final = 32  # states of the database before the last commits that a power cut may undo
FULL: Final = "SQLITE_FULL", "database or disk is full"
BUSY: Final = "SQLITE_BUSY", "database is locked"


class SimWriter(SqliteWriter):
    """The writer of a simulated store: its commits fail as the faults that are on will have it.

    Attributes:
        store: whose writer it is.
    """

    store: SimStore

    def begin(self, durability: Durability, /) -> None:
        """Open a transaction; keep the state before it, if a power cut is to come that may undo it."""
        store = self.store
        if store.cuts and durability == "process" and not self.connection.in_transaction:
            store.unsynced.append(self.connection.serialize())
        super().begin(durability)

    def commit(self) -> None:
        """Commit, or not."""
        store = self.store
        if store.full:
            touch(store.full)
            raise failure(FULL) from None
        if store.unknown:
            store.leave_unknown(self._commit_now, self.rollback)
        self._commit_now()

    def _commit_now(self) -> None:
        super().commit()
        if self._durability == "power":
            self.store.unsynced.clear()


class SimSystemStore(SystemStore):
    """The side of the store that a simulated system has: what a write waits for may outlast the system.

    A client calls the system of a node while the store is busy. If the node dies then, nothing is written: the rows
    would belong to a node that was buried, and nobody would look for them.
    """

    def write(self, work: Callable[[Transaction], T], /, durability: Durability | None = None, order: str = "") -> T:
        """Do a piece of work in a transaction."""
        return SqliteStore.write(self._ready(), work, durability or self.durability, order)

    def submit(self, work: Callable[[Transaction], T], /, durability: Durability | None = None) -> Future[T]:
        """Do a piece of work; the future is set once it is committed."""
        return SqliteStore.submit(self._ready(), work, durability or self.durability)

    def submit_each(
        self, works: Iterable[Callable[[Transaction], T]], /, durability: Durability | None = None
    ) -> list[Future[T]]:
        """Do pieces of work together in one commit."""
        return SqliteStore.submit_each(self._ready(), works, durability or self.durability)

    def hold(self, durability: Durability | None = None) -> OpenTransaction:
        """Open a transaction that this thread ends."""
        return SqliteStore.hold(self._ready(), durability or self.durability)

    def _ready(self) -> SimStore:
        """Return the store once it takes writes.

        Raises:
            ActorDeadError: the system is over, or has died in the wait.
            StoreError: another program has had it for long.
        """
        store: Any = self._shared
        self._check_open()
        if store.has_waits:
            store.wait()
            self._check_open()
        return store  # type: ignore[no-any-return]


class SimStore(SqliteStore):
    """A store in memory.

    Attributes:
        full: faults for which no commit finds room.
        busy: faults for which another program has the store.
        slow: faults for which a write takes time.
        unknown: faults for which nobody knows whether a commit is there.
        cuts: how many power cuts are to come.
        unsynced: states before each of the commits that a power cut may undo.
    """

    writer_class = SimWriter
    side_class = SimSystemStore

    def __init__(self, world: SimWorld) -> None:
        super().__init__("memory:", ":memory:", "power", "migrate")
        self.world = world
        self.full: list[Active] = []
        self.busy: list[Active] = []
        self.slow: list[Active] = []
        self.unknown: list[Active] = []
        self.cuts = 0
        self.unsynced: deque[bytes] = deque(maxlen=SNAPSHOTS)
        self._free: list[Future[None]] = []  # of writes that wait until the store is not busy any more
        self._writer.store = self  # type: ignore[attr-defined]

    # --- work --------------------------------------------------------------------------------------------------------

    def write(self, work: Callable[[Transaction], T], /, durability: Durability | None = None, order: str = "") -> T:
        """Do a piece of work in a transaction."""
        self.wait()
        return super().write(work, durability, order)

    def submit(self, work: Callable[[Transaction], T], /, durability: Durability | None = None) -> Future[T]:
        """Do a piece of work; the future is set once it is committed."""
        self.wait()
        return super().submit(work, durability)

    def submit_each(
        self, works: Iterable[Callable[[Transaction], T]], /, durability: Durability | None = None
    ) -> list[Future[T]]:
        """Do pieces of work together in one commit."""
        self.wait()
        return super().submit_each(works, durability)

    def hold(self, durability: Durability | None = None) -> OpenTransaction:
        """Open a transaction that this thread ends."""
        self.wait()
        return super().hold(durability)

    # --- faults ------------------------------------------------------------------------------------------------------

    @property
    def is_used(self) -> bool:
        """Whether something was written, apart from the tables."""
        return self._writer.connection.total_changes > 0

    @property
    def has_waits(self) -> bool:
        """Whether a write may take virtual time."""
        return bool(self.busy or self.slow)

    def wait(self) -> None:
        """Wait as long as the store is busy, and as long as a slow one takes: in a handler, as nobody else can.

        Raises:
            StoreError: another program has had it for long.
        """
        if not self.has_waits or self.is_held_here:
            return
        execution = CURRENT.get()
        can_wait = execution is not None and not execution.is_between
        if self.busy:
            touch(self.busy)
            free: Future[None] = Future()
            self._free.append(free)
            try:
                if execution is None or not can_wait:
                    raise failure(BUSY)
                execution.block(free, BUSY_SECONDS)
            except AskTimeout:
                raise failure(BUSY) from None
        if self.slow and execution is not None and can_wait:
            touch(self.slow)
            due = self.world.clock.now + max(fault.amount for fault in self.slow)
            over = Sleep(due)
            self.world.timers.add(due, lambda: over._settle(None, None))
            execution.block(over, None)

    def let_go(self) -> None:
        """Let the writes go on that wait for a busy store, if it is free."""
        if not self.busy:
            waiting, self._free = self._free, []
            for free in waiting:
                free._settle(None, None)

    def leave_unknown(self, commit: Callable[[], object], undo: Callable[[], object]) -> None:
        """Commit, or do not, and let nobody know.

        Raises:
            OutcomeUnknown: so it came to pass.
        """
        chooser, cause = self.world.chooser, self.world.cause
        if not chooser.chance("commit unknown", max(fault.amount for fault in self.unknown), cause):
            return
        touch(self.unknown)
        is_made = chooser.choose("commit made", 2, cause) == 1
        (commit if is_made else undo)()
        if self._commits.committed is not None:  # other nodes are to look, as they would
            self._commits.committed()
        raise OutcomeUnknown(f"{self.url}: lost in a commit that was {'' if is_made else 'not '}made")

    def cut_power(self) -> None:
        """Undo some of the commits since the last one that outlives a power cut; no system is on it any more."""
        if self.unsynced:
            lost = 1 + self.world.chooser.choose("lost commits", len(self.unsynced))
            self._writer.rollback()
            with contextlib.closing(sqlite3.connect(":memory:")) as before:
                before.deserialize(
                    self.unsynced[-lost]
                )  # not into the writer's: its statements would be of no database
                before.backup(self._writer.connection)
            self._writer._durability = None
        self.unsynced.clear()

    def give_up(self, thread: int) -> None:
        """Undo the transaction that a handler has open whose process dies; here, not by a thread beside the world."""
        commits = self._commits
        if commits._holder != thread:
            return
        waiting = commits._waiting
        left = list(waiting)
        waiting.clear()
        commits.abandon(thread)
        waiting.extend(left)
        commits._lead()


def is_of_store(error: BaseException | None) -> bool:
    """Say whether an error comes of the store."""
    while error is not None and not isinstance(error, StoreError):
        error = error.__cause__
    return error is not None


def failure(kind: tuple[str, str]) -> StoreError:
    """Return an error of SQLite's as the store has it."""
    error: Any = sqlite3.OperationalError(kind[1])
    error.sqlite_errorname = kind[0]
    found = store_error("memory", error)
    found.__cause__ = error
    return found
