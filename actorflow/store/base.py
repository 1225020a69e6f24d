"""StoreBase: the parts that all stores share: closed once, refused in a fork."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from actorflow.core.clock import SystemClock
from actorflow.core.log import logger
from actorflow.core.messages.execution import check_effect
from actorflow.errors import ActorDeadError, DefinitionError, StoreInUse
from actorflow.store.group_commit import Commits
from actorflow.store.members import Members
from actorflow.store.node import StoreNode
from actorflow.store.system_store import in_use
from actorflow.store.turn import Turn
from actorflow.store.watchers import Watchers
from actorflow.text import reason_of

if TYPE_CHECKING:
    from actorflow.core.clock import Clock
    from actorflow.core.futures.future import Future
    from actorflow.store.neighbours import Neighbours
    from actorflow.store.open_transaction import OpenTransaction
    from actorflow.store.system_store import SystemStore
    from actorflow.store.transaction import Durability, Transaction, Undone, Writer

T = TypeVar("T")
N = TypeVar("N", bound=StoreNode)

_forks = 0  # between the first process and this one; `os.getpid` is a call of the kernel, 0.3 us


def _after_fork() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_after_fork)


class StoreBase(ABC, Generic[N]):
    """A store of this process: closed once, refused in a fork, with one writer and one reader.

    It is a node itself, at first use of `node`; so are the systems on it, each by a `SystemStore`.

    Attributes:
        is_alone: nobody else can be on the database: it is in memory.
        owner: the name of the system that has opened it for itself alone, until that ends.
        systems: the systems that share it.
        side_class: of the sides that they have; None: SystemStore, which most programs do not import.
    """

    dialect: str
    version: int
    found: int
    is_alone = False
    side_class: ClassVar[type[SystemStore] | None] = None
    clock: Clock = SystemClock()
    _commits: Commits
    _neighbours: Neighbours

    def __init__(self, url: str, durability: Durability) -> None:
        self.url = url
        self.durability: Durability = durability
        self.patience = 0.0
        self._forks = _forks
        self._lock = threading.Lock()
        self._reading = Turn()
        self._ended = threading.Event()
        self._watchers = Watchers()
        self._node: N | None = None
        self.owner = ""
        self.systems: weakref.WeakSet[SystemStore] = weakref.WeakSet()
        self.members = Members(self)

    def write(self, work: Callable[[Transaction], T], /, durability: Durability | None = None, order: str = "") -> T:
        """Do a piece of work in a transaction, and return its value once that is committed."""
        check_effect("a write to the store")
        self._check_open()
        value = self._commits.write(work, durability, order)
        self._tidy()
        return value

    def submit(self, work: Callable[[Transaction], T], /, durability: Durability | None = None) -> Future[T]:
        """Do a piece of work; the future is set once it is committed."""
        check_effect("a write to the store")
        self._check_open()
        future = self._commits.submit(work, durability)
        self._tidy()
        return future

    def submit_each(
        self, works: Iterable[Callable[[Transaction], T]], /, durability: Durability | None = None
    ) -> list[Future[T]]:
        """Do pieces of work together in one commit; an error of one undoes that one alone."""
        check_effect("a write to the store")
        self._check_open()
        futures = self._commits.submit_each(works, durability)
        self._tidy()
        return futures

    @property
    def is_held_here(self) -> bool:
        """Say whether this thread has a transaction open, by `hold`."""
        return self._commits.is_held_here

    @property
    def undone(self) -> Undone:
        """The count of the work of this process that was undone."""
        return self._commits.undone

    @property
    def node(self) -> N:
        """This process among the nodes of the database."""
        self._check_open()
        with self._lock:
            if self._node is None:
                self._node = self.admit(self)
            return self._node

    # --- systems -----------------------------------------------------------------------------------------------------

    def enter(self, system: SystemStore) -> None:
        """Have a system on the store; it is not closed before that has ended."""
        with self._lock:
            self._check_open()
            self.systems.add(system)

    def users(self) -> list[tuple[str, bool]]:
        """Return the systems that are on it and have not ended: the name of each, and whether its time is virtual."""
        if self.is_forked:
            return []
        own = [(self.owner, False)] if self.owner else []
        return own + sorted((system.name, system.is_virtual) for system in list(self.systems) if system.is_used)

    def check_admits(self, name: str, *, is_virtual: bool) -> None:
        """Refuse a system if others on the database in this process are in another time.

        Raises:
            DefinitionError: one is.
        """
        self._check_open()
        for other, is_other_virtual in self._neighbours.users():
            if is_other_virtual is not is_virtual:
                msg = (
                    f"system {name!r} is in {kind_of_time(is_virtual)} and system {other!r} on the same store, "
                    f"{self.url}, in {kind_of_time(is_other_virtual)}: the times of their jobs and leases would not "
                    "agree; give each a store of its own, or have both in one time"
                )
                raise DefinitionError(msg)

    def hear(self, notice: Callable[[], object]) -> Callable[[], None]:
        """Have a function called within each commit of others in this process; return a function to end it."""
        return self._neighbours.hear(self, notice)

    def tell_of_commits(self, notice: Callable[[], object] | None) -> None:
        """Have a function called within each commit of this store."""
        self._commits.committed = notice

    def hurry(self) -> None:
        """Wait no more for a server that is lost: the system ends, and closes it."""
        self.patience = 0.0
        self.owner = ""

    @property
    def is_forked(self) -> bool:
        """Whether this process is a fork of the one that opened it, whose connections and locks they are."""
        return self._forks != _forks

    @property
    def is_closed(self) -> bool:
        """Whether the store was closed."""
        return self._ended.is_set()

    def close(self) -> None:
        """End the store; earlier writes are there, and waiting ones are committed.

        Raises:
            StoreInUse: a system that has not ended is on it.
        """
        with self._lock:
            if self._ended.is_set():
                return
            users = self.users()
            if users:
                raise in_use(self.url, [name for name, _ in users])
            self._ended.set()
        if self._forks != _forks:
            return  # in a fork: the connections are the parent's
        with contextlib.ExitStack() as ends:  # all of them, though one is interrupted; the last one is done first
            ends.callback(self._end_commits)
            if self._node is not None:
                ends.callback(self._node.close)
            ends.callback(self._end_watching)
            for system in list(self.systems):
                ends.callback(system.leave, "has ended")

    def _end_commits(self) -> None:
        with self._reading:
            self._commits.close(self._end)

    def _check_open(self) -> None:
        if self._ended.is_set():
            msg = f"the store {self.url} is closed"
            raise ActorDeadError(msg)
        if self._forks != _forks:
            msg = f"the store {self.url} was opened before a fork: open it in this process"
            raise ActorDeadError(msg)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except StoreInUse as refusal:
            if error is None:
                raise
            logger.error("%s; the block has raised %s", refusal, reason_of(error))  # that error goes on

    @abstractmethod
    def read(self, work: Callable[[Transaction], T], /) -> T:
        """Run work that only reads."""

    @abstractmethod
    def hold(self, durability: Durability | None = None) -> OpenTransaction:
        """Open a transaction that this thread ends."""

    @abstractmethod
    def join(self, connection: Any, /) -> Transaction:
        """Return a transaction on a user's own connection."""

    @abstractmethod
    def now(self) -> float:
        """Return the database's time, in seconds since the epoch."""

    @abstractmethod
    def dead(self) -> list[str]:
        """Return the ids of nodes that have died and are not buried yet."""

    @abstractmethod
    def watch(self, notice: Callable[[], object], /) -> Callable[[], None]:
        """Have a function called soon after others commit."""

    @abstractmethod
    def watch_for(self, notice: Callable[[], object], /) -> Callable[[], None]:
        """Have a function called soon after commits of others, also of other systems on this store."""

    @abstractmethod
    def has_written(self) -> bool:
        """Say, within a commit, whether that has changed something since the last one."""

    @abstractmethod
    def admit(self, who: StoreBase[N] | SystemStore) -> N:
        """Register this process, or a system in it, as a node."""

    @abstractmethod
    def _tidy(self) -> None:
        """Do now and then the work that keeps the database small."""

    @abstractmethod
    def _end_watching(self) -> None:
        """End the threads that may still want to write."""

    @abstractmethod
    def _end(self, writer: Writer, /) -> None:
        """Close the connections."""


def kind_of_time(is_virtual: bool) -> str:
    """Return the word for the time of a system."""
    return "virtual time" if is_virtual else "real time"
