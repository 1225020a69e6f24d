"""Transaction: the calls open to a piece of work within a commit."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, Final, Literal, Protocol, TypeAlias

from actorflow.errors import StoreError

Durability: TypeAlias = Literal["power", "process"]
Access: TypeAlias = Literal["migrate", "write", "read"]
Row: TypeAlias = tuple[Any, ...]
NEWEST: Final = 2**63 - 1  # above the numbers of all rows: where a look at the newest begins
Parameters: TypeAlias = Mapping[str, Any]
Last: TypeAlias = tuple[tuple[str, ...], Callable[[], object]]


class Undone:
    """The work that one process has undone, as a count: the numbers of its rows are another process's to give.

    Attributes:
        count: how often.
    """

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Transaction(Protocol):
    """An open transaction. Work gets it, runs statements by name, and returns; then it is committed, or undone."""

    def all(self, name: str, parameters: Parameters = ..., /) -> list[Row]:
        """Run a statement, and return its rows."""
        ...

    def one(self, name: str, parameters: Parameters = ..., /) -> Row | None:
        """Run a statement, and return its first row."""
        ...

    def run(self, name: str, parameters: Parameters = ..., /) -> int:
        """Run a statement; return how many rows it changed."""
        ...

    def insert(self, name: str, parameters: Parameters, /) -> int:
        """Run a statement that adds a row, and return its number; 0 if it has added none."""
        ...

    def many(self, name: str, parameters: Iterable[Parameters], /) -> int:
        """Run a statement once for each; return how many rows they changed."""
        ...

    def last(self, key: tuple[str, ...], act: Callable[[], object], /) -> None:
        """Have statements run that lock rows which many processes write: last, and in the order of the keys.

        On a server they run at the end of the shared commit, sorted over all its work, so no two processes can wait for
        each other; on SQLite, which has one lock, at once. An error of theirs undoes this piece of work.
        """
        ...

    def after_commit(self, act: Callable[[], object], /) -> None:
        """Have a function called once this work is committed: messages to others leave then, not before."""
        ...


Work: TypeAlias = Callable[[Transaction], object]


class Writer(Protocol):
    """The one connection of a process that writes, for `group_commit`. Not for several threads at a time.

    Attributes:
        undone: counts its work whose numbers of rows another process may give now.
    """

    undone: Undone

    @property
    def transaction(self) -> Transaction:
        """The transaction that `begin` opens."""
        ...

    def deadline(self) -> float:
        """Return until when work that comes now waits for a store that is lost, in seconds on the monotonic clock."""
        ...

    def is_past(self, deadline: float, /) -> bool:
        """Say whether the store is lost, and the deadline is over."""
        ...

    def wait_until_back(self, deadline: float, /) -> bool:
        """Wait for a store that is lost; False if it was not back by the deadline."""
        ...

    def begin(self, durability: Durability, /) -> None:
        """Open a transaction.

        Raises:
            StoreUnreachable: the store is lost; `wait_until_back` may help.
            StoreError: another process has it for long; its tables or its file have changed.
        """
        ...

    def check(self) -> None:
        """Refuse to go on after an error of the database that the work has hidden.

        Raises:
            StoreError: a statement has failed.
        """
        ...

    def commit(self) -> None:
        """Commit the transaction.

        Raises:
            StoreError: nothing of it is there.
            OutcomeUnknown: nobody knows whether it is there.
        """
        ...

    def is_undone(self, error: StoreError, /) -> bool:
        """Say whether nothing of a transaction is there whose commit has failed."""
        ...

    def abandon(self, threads: Container[int], /) -> Callable[[], object]:
        """Undo the transaction of a hanging thread; its connection works no more in that thread.

        The function returned is called in that thread when it has left.
        """
        ...

    def rollback(self) -> None:
        """Undo the transaction; does nothing if there is none."""
        ...

    def savepoint(self) -> None:
        """Note a place to go back to."""
        ...

    def release(self) -> None:
        """Forget the place."""
        ...

    def rollback_to_savepoint(self) -> None:
        """Go back to the place, and forget it."""
        ...

    def is_open(self) -> bool:
        """Say whether the transaction is still there: some errors undo all of it."""
        ...

    def is_passing(self, error: Exception, /) -> bool:
        """Say whether the same work may well succeed next time: other processes were in its way."""
        ...

    def take_last(self) -> list[Last]:
        """Return the statements to run at the end of the transaction, and forget them."""
        ...

    def take_after_commit(self) -> list[Callable[[], object]]:
        """Return the functions to call after the commit, and forget them."""
        ...
