"""OpenTransaction: a transaction that is open until its thread ends it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actorflow.store.group_commit import Commits
    from actorflow.store.transaction import Durability, Transaction


class OpenTransaction:
    """A transaction that stays open; meanwhile all other writes of the process wait, on SQLite those of all processes.

    Attributes:
        connection: of the database's own package: `sqlite3` or `psycopg`.
        is_abandoned: it was undone from outside.
    """

    def __init__(self, commits: Commits, connection: Callable[[], Any], durability: Durability) -> None:
        self._commits = commits
        self._thread = threading.get_ident()
        self._is_over = False
        self.is_abandoned = False
        self._transaction = commits.hold(durability)
        self.connection = connection()  # now: one that was lost is another after `hold`

    @property
    def transaction(self) -> Transaction:
        """The open transaction, for statements by name.

        Raises:
            StoreError: the user of the connection has ended it.
        """
        self._commits.check_held()
        return self._transaction

    def abandon(self) -> bool:
        """Undo the transaction from another thread, as its own hangs; False if it is over, or is just being committed.

        Later writes of its thread to the store are refused, until the thread has left the transaction.
        """
        if not self._is_over and self._commits.abandon(self._thread):
            self.is_abandoned = True
        return self.is_abandoned

    @property
    def is_open(self) -> bool:
        """Whether the thread that opened the transaction still has it."""
        return not (self._is_over or self.is_abandoned)

    def commit(self) -> None:
        """Commit the transaction.

        Raises:
            StoreError: the database failed; or the user of the connection has ended it, or it was given up.
        """
        self._is_over = True
        self._commits.let_go(commit=True)

    def rollback(self) -> None:
        """Undo the transaction; does nothing if it is over."""
        self._is_over = True
        self._commits.let_go(commit=False)
