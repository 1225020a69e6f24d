"""StoreBase: the parts that all stores share: closed once, refused in a fork."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Generic, TypeVar

from actorflow.errors import ActorDeadError
from actorflow.store.group_commit import Commits
from actorflow.store.members import Members
from actorflow.store.node import StoreNode
from actorflow.store.turn import Turn
from actorflow.store.watchers import Watchers

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future
    from actorflow.store.transaction import Durability, Transaction, Writer

T = TypeVar("T")
N = TypeVar("N", bound=StoreNode)

_forks = 0  # between the first process and this one; `os.getpid` is a call of the kernel, 0.3 us


def _after_fork() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_after_fork)


class StoreBase(ABC, Generic[N]):
    """A store of this process: closed once, refused in a fork, with one writer and one reader."""

    _commits: Commits

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
        self.members = Members(self)  # type: ignore[arg-type]  # the dialects have the rest of it

    def write(self, work: Callable[[Transaction], T], /, durability: Durability | None = None, order: str = "") -> T:
        """Do a piece of work in a transaction, and return its value once that is committed."""
        self._check_open()
        value = self._commits.write(work, durability, order)
        self._tidy()
        return value

    def submit(self, work: Callable[[Transaction], T], /, durability: Durability | None = None) -> Future[T]:
        """Do a piece of work; the future is set once it is committed."""
        self._check_open()
        future = self._commits.submit(work, durability)
        self._tidy()
        return future

    def submit_each(
        self, works: Iterable[Callable[[Transaction], T]], /, durability: Durability | None = None
    ) -> list[Future[T]]:
        """Do pieces of work together in one commit; an error of one undoes that one alone."""
        self._check_open()
        futures = self._commits.submit_each(works, durability)
        self._tidy()
        return futures

    @property
    def is_held_here(self) -> bool:
        """Say whether this thread has a transaction open, by `hold`."""
        return self._commits.is_held_here

    @property
    def node(self) -> N:
        """This process among the nodes of the database."""
        self._check_open()
        with self._lock:
            if self._node is None:
                self._node = self._make_node()
            return self._node

    def close(self) -> None:
        """End the store; earlier writes are there, and waiting ones are committed."""
        with self._lock:
            if self._ended.is_set():
                return
            self._ended.set()
        if self._forks != _forks:
            return  # in a fork: the connections are the parent's
        self._end_watching()
        if self._node is not None:
            self._node.close()
        with self._reading:
            self._commits.close(self._end)

    def _check_open(self) -> None:
        if self._ended.is_set():
            msg = f"the store {self.url} is closed"
            raise ActorDeadError(msg)
        if self._forks != _forks:
            msg = f"the store {self.url} was opened before a fork: open it in this process"
            raise ActorDeadError(msg)

    @abstractmethod
    def _make_node(self) -> N:
        """Register this process."""

    @abstractmethod
    def _tidy(self) -> None:
        """Do now and then the work that keeps the database small."""

    @abstractmethod
    def _end_watching(self) -> None:
        """End the threads that may still want to write."""

    @abstractmethod
    def _end(self, writer: Writer, /) -> None:
        """Close the connections."""
