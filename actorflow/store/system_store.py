"""SystemStore: an open store as one of the systems on it sees it, each of which is a node of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from actorflow.core.clock import VirtualClock
from actorflow.core.futures.parking_lock import ParkingLock
from actorflow.errors import ActorDeadError, StoreInUse
from actorflow.store.members import Members
from actorflow.store.watchers import Watchers

if TYPE_CHECKING:
    from actorflow.core.clock import Clock
    from actorflow.core.futures.future import Future
    from actorflow.store.base import StoreBase
    from actorflow.store.node import StoreNode
    from actorflow.store.open_transaction import OpenTransaction
    from actorflow.store.transaction import Durability, Transaction, Undone

T = TypeVar("T")


class SystemStore:
    """The store of one system: connections and commits are shared, the node, the clock and the watchers are its own.

    Attributes:
        name: of the system.
        is_owner: the system has opened the store, and closes it at its end; else it only leaves.
        is_virtual: its time is virtual.
    """

    def __init__(
        self,
        shared: StoreBase[Any],
        name: str,
        clock: Clock,
        soon: Callable[[Callable[[], None]], object],
        durability: Durability | None = None,
        *,
        is_owner: bool = False,
    ) -> None:
        """Have a system on a store.

        Args:
            shared: the store that is open.
            name: of the system.
            clock: of the system.
            soon: has a function called in the system, outside of any commit.
            durability: of its writes that ask for none; None: as the store has it.
            is_owner: the system has opened the store, and closes it at its end.
        """
        self.name = name
        self.url = shared.url
        self.dialect = shared.dialect
        self.version = shared.version
        self.found = shared.found
        self.durability: Durability = durability or shared.durability
        self.clock = clock
        self.is_owner = is_owner
        self.members = Members(self)
        self._shared = shared
        self._soon = soon  # has a function called, outside of commits
        self.is_virtual = isinstance(clock, VirtualClock)
        self._is_ending = False
        self._watchers = Watchers()
        self._ends: list[Callable[[], None]] = []  # of what it hears
        self._is_told = False
        self._lock = ParkingLock()
        self._node: StoreNode | None = None
        self._left = ""  # why it is over
        shared.enter(self)

    # --- work --------------------------------------------------------------------------------------------------------

    def write(self, work: Callable[[Transaction], T], /, durability: Durability | None = None, order: str = "") -> T:
        """Do a piece of work in a transaction, and return its value once that is committed."""
        self._check_open()
        return self._shared.write(work, durability or self.durability, order)

    def submit(self, work: Callable[[Transaction], T], /, durability: Durability | None = None) -> Future[T]:
        """Do a piece of work; the future is set once it is committed."""
        self._check_open()
        return self._shared.submit(work, durability or self.durability)

    def submit_each(
        self, works: Iterable[Callable[[Transaction], T]], /, durability: Durability | None = None
    ) -> list[Future[T]]:
        """Do pieces of work together in one commit; an error of one undoes that one alone."""
        self._check_open()
        return self._shared.submit_each(works, durability or self.durability)

    def read(self, work: Callable[[Transaction], T], /) -> T:
        """Run work that only reads: it sees one moment of the database."""
        self._check_open()
        return self._shared.read(work)

    def hold(self, durability: Durability | None = None) -> OpenTransaction:
        """Open a transaction that this thread ends."""
        self._check_open()
        return self._shared.hold(durability or self.durability)

    @property
    def is_held_here(self) -> bool:
        """Say whether this thread has a transaction open, by `hold`."""
        return self._shared.is_held_here

    @property
    def undone(self) -> Undone:
        """The count of the work of this process that was undone."""
        return self._shared.undone

    def join(self, connection: Any, /) -> Transaction:
        """Return a transaction on a user's own connection to the database."""
        self._check_open()
        return self._shared.join(connection)

    def now(self) -> float:
        """Return the store's time, in seconds since the epoch; in virtual time that of the system."""
        return self.clock.time() if self.is_virtual else self._shared.now()

    def hurry(self) -> None:
        """Wait no more for a server that is lost; other systems on the store may go on."""
        self._is_ending = True
        if self.is_owner:
            self._shared.hurry()

    # --- the system among others -------------------------------------------------------------------------------------

    @property
    def node(self) -> StoreNode:
        """This system among the nodes of the database."""
        with self._lock:
            self._check_open()  # here: the end of the system waits for the lock, and gives back a node that was made
            node = self._node
            if node is None:
                node = self._shared.admit(self)
                if self._left:  # it was killed while the store was busy
                    node.release()
                    self._check_open()
                self._node = node
                if self.is_virtual:
                    self.members.joined = self.members.lease_time()
                    self.members.look_for_others(node.id)
            return node

    @property
    def is_alone(self) -> bool:
        """Whether no other node is on the database; on the machine's clock one may come at any time."""
        return self.is_virtual and not self.members.has_others

    def dead(self) -> list[str]:
        """Return the ids of nodes that have died and are not buried yet."""
        return self._shared.dead()

    def watch(self, notice: Callable[[], object], /) -> Callable[[], None]:
        """Have a function called soon after others commit."""
        self._check_open()
        if not self._ends:
            hear = self._shared.hear if self.is_virtual else self._shared.watch_for
            self._ends.append(hear(self._told))
        return self._watchers.add(notice)

    def _told(self) -> None:
        """Have the watchers called outside of the commit that this is told of."""
        if not (self._is_told or self._left):
            self._is_told = True
            self._soon(self._look)

    def _look(self) -> None:
        self._is_told = False
        if self._left or self._shared.is_closed:
            return
        if self._node is not None and self.is_virtual:
            self.members.look_for_others(self._node.id)
        self._watchers.notify()

    # --- the end -----------------------------------------------------------------------------------------------------

    @property
    def is_used(self) -> bool:
        """Whether the system has not come to its end."""
        return not (self._is_ending or self._left or self._shared.is_forked)

    def close(self) -> None:
        """Leave the store; the system that has opened it closes it, too.

        Raises:
            StoreInUse: the system has not ended, and does not end just now.
        """
        if self.is_used:
            raise in_use(self.url, [self.name])
        self.leave("has left it")
        if self.is_owner:
            self._shared.close()

    def leave(self, why: str) -> None:
        """Give the node back, and refuse all later work."""
        with self._lock:
            if self._left:
                return
            self._left = why
        if self._shared.is_forked:
            return  # the node is the parent's
        self._end_hearing()
        if self._node is not None:
            self._node.close()

    def abandon(self) -> None:
        """End as by kill -9: the node's row and all that it owns stay, and its lock is free.

        In virtual time, between two steps: nothing else runs, and the holder of the lock may wait for the store.
        """
        self._left = self._left or "was killed"
        self._end_hearing()
        if self._node is not None:
            self._node.release()
        if self.is_owner:
            self._shared.close()

    def _end_hearing(self) -> None:
        while self._ends:
            self._ends.pop()()

    def _check_open(self) -> None:
        if self._left:
            msg = f"the store {self.url} is closed for this system, which {self._left}"
            raise ActorDeadError(msg)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def in_use(url: str, systems: list[str]) -> StoreInUse:
    """Return the error of a close while systems are on the store."""
    which = f"system {systems[0]!r} is" if len(systems) == 1 else f"systems {', '.join(map(repr, systems))} are"
    return StoreInUse(f"the store {url} stays open, since {which} on it: stop a system before you close its store")
