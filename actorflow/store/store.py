"""Store: the interface of a database for other layers.

All writes of a process go through one connection (`group_commit`), reads through others. Nothing in here knows queues,
actors or workflows: they bring statements of their own, in the dialects' SQL files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeVar

from actorflow.core.actors.traits import check_choice, check_type
from actorflow.errors import DefinitionError
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.clock import Clock
    from actorflow.core.futures.future import Future
    from actorflow.store.members import Members
    from actorflow.store.node import StoreNode
    from actorflow.store.open_transaction import OpenTransaction
    from actorflow.store.transaction import Access, Durability, Transaction, Undone

T = TypeVar("T")

PATIENCE_SECONDS: Final = 1.5


class Store(Protocol):
    """A database that is open. `close` ends it; all methods may be called from any thread.

    Attributes:
        url: the URL by which it was opened.
        dialect: "sqlite" or "postgres".
        version: of the tables that this program knows.
        found: the version that the tables had when it was opened; 0 without any.
        durability: the durability of a write that asks for none.
        clock: the clock that `now` asks, where the database has none of its own.
        members: the processes that work on the database, living and dead.
        is_alone: nobody else is on the database, so nothing has to be looked for.
    """

    url: str
    dialect: str
    version: int
    found: int
    clock: Clock
    durability: Durability
    members: Members

    @property
    def is_alone(self) -> bool:
        """Whether nobody else is on the database."""
        ...

    def write(self, work: Callable[[Transaction], T], /, durability: Durability | None = None, order: str = "") -> T:
        """Do a piece of work in a transaction, and return its value once that is committed.

        Work of several threads shares a commit; an error of one piece undoes that piece alone. Work is run in any
        thread, must be quick, and may use nothing but the transaction. It is run once; on PostgreSQL again, if the
        server has undone it because of a clash with another process.

        Args:
            work: the function to run in the transaction.
            durability: how long it has to last; None: as the store does.
            order: the rows that it locks from its first statement on, by a name that all processes use: of work that
                shares a commit, the one with the smaller name is done first, so that two processes cannot wait for each
                other.

        Raises:
            StoreError: the database failed; nothing of the work is there.
            Exception: the error of the work.
        """
        ...

    def submit(self, work: Callable[[Transaction], T], /, durability: Durability | None = None) -> Future[T]:
        """Do a piece of work like `write`; the future is set once it is committed."""
        ...

    def submit_each(
        self, works: Iterable[Callable[[Transaction], T]], /, durability: Durability | None = None
    ) -> list[Future[T]]:
        """Do pieces of work like `write`, together in one commit; an error of one undoes that one alone.

        The value or the error of each is in its future.
        """
        ...

    def read(self, work: Callable[[Transaction], T], /) -> T:
        """Run work that only reads: it sees one moment of the database, and does not wait for writers."""
        ...

    def watch(self, notice: Callable[[], object], /) -> Callable[[], None]:
        """Have a function called soon after other processes commit; return a function to end it.

        The call is made from a thread of the store. It is a hint that something may have changed, 20 ms late at most on
        SQLite.
        """
        ...

    @property
    def node(self) -> StoreNode:
        """This process among the nodes of the database; registered at first use."""
        ...

    def dead(self) -> list[str]:
        """Return the ids of nodes that have died and are not buried yet; the caller need be no node."""
        ...

    def hold(self, durability: Durability | None = None) -> OpenTransaction:
        """Open a transaction that this thread ends, by `commit` or `rollback`; its writes meanwhile are part of it."""
        ...

    @property
    def is_held_here(self) -> bool:
        """Whether this thread has a transaction open, by `hold`: its writes are not committed yet."""
        ...

    @property
    def undone(self) -> Undone:
        """The count of the work of this process that was undone, and whose numbers of rows another one may give now."""
        ...

    def join(self, connection: Any, /) -> Transaction:
        """Return a transaction on a user's own connection to the database, which the user commits.

        Raises:
            DefinitionError: it is no connection to this database, or has no transaction.
        """
        ...

    def now(self) -> float:
        """Return the store's time, in seconds since the epoch: of the server, where there is one."""
        ...

    def hurry(self) -> None:
        """Wait no more for a server that is lost, as the system ends; it may be closed from now on."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def close(self) -> None:
        """End the store. Earlier writes are there; those that wait for a commit are committed.

        Raises:
            StoreInUse: a system that has not ended is on it.
        """
        ...


def check_url(url: str) -> None:
    """Refuse a URL of no kind of store.

    Raises:
        DefinitionError: it is none.
    """
    is_file = url.startswith("sqlite:///") and len(url) > len("sqlite:///")
    if not (is_file or url == "memory:" or url.startswith(("postgresql://", "postgres://"))):
        raise DefinitionError(wrong_url(url))


def wrong_url(url: str) -> str:
    """Say which URLs there are."""
    from actorflow.store.postgres.driver import shown  # noqa: PLC0415 - one dialect is enough

    return f"store={shown(url)!r}: give 'memory:', 'sqlite:///file.db' or 'postgresql://user@host/database'"


def open_store(
    url: str = "memory:",
    *,
    durability: Durability = "power",
    access: Access = "migrate",
    waits: Callable[[], bool] = lambda: False,
    patience: float = PATIENCE_SECONDS,
) -> Store:
    """Open a database by its URL; a file, and the tables, are made at first use.

    Args:
        url: "memory:" (ends with the process), "sqlite:///shop.db" (four slashes for an absolute path) or
            "postgresql://user@host/database".
        durability: "power": a commit outlives a power cut; "process": it outlives kill -9, and is much faster.
        access: "migrate" makes the tables, and brings older ones up to date; "write" and "read" refuse older ones, as
            other programs may be at work on them, and "read" writes nothing.
        waits: asked before each further try to reach a server that is not there yet, whether to wait for it.
        patience: seconds that work waits for a server that is known to be lost.

    >>> store = open_store()
    >>> store.write(lambda transaction: transaction.one("nodes.others", {"id": ""}))
    >>> store.close()

    Raises:
        DefinitionError: a URL that makes no sense, or a missing package.
        StoreError: the database cannot be opened.
    """
    if not isinstance(url, str):
        raise DefinitionError(wrong_url(text_of(url)))
    check_type("patience", patience, int | float)
    if not patience >= 0:
        raise DefinitionError(f"patience={patience}: seconds, not negative")
    check_choice("durability", durability, ("power", "process"))
    check_choice("access", access, ("migrate", "write", "read"))
    if url == "memory:":
        from actorflow.store.sqlite.store import SqliteStore  # noqa: PLC0415 - one dialect is enough

        return SqliteStore(url, ":memory:", durability, "migrate")
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        from actorflow.store.sqlite.store import SqliteStore  # noqa: PLC0415 - one dialect is enough

        return SqliteStore(url, url.removeprefix("sqlite:///"), durability, access)
    if url.startswith(("postgresql://", "postgres://")):
        from actorflow.store.postgres.store import PostgresStore  # noqa: PLC0415 - psycopg is an extra

        return PostgresStore(url, durability, access, waits, patience)
    raise DefinitionError(wrong_url(url))
