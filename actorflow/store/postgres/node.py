"""PostgresNode: a process that works on a server has an advisory lock in a session of its own."""

from __future__ import annotations

import os
import secrets
import socket
from typing import TYPE_CHECKING, Any

from actorflow.core.log import logger
from actorflow.errors import ActorDeadError, StoreError

if TYPE_CHECKING:
    from actorflow.store.base import StoreBase
    from actorflow.store.postgres.presence import Presence
    from actorflow.store.postgres.store import PostgresStore
    from actorflow.store.system_store import SystemStore


class PostgresNode:
    """A row in `actorflow.node`, and a lock that the server gives back when the session ends.

    A server that starts again has no locks, nor has one that has ended all sessions, as it does when the process of one
    was killed; its nodes have five seconds to come back before they count as dead.
    """

    def __init__(self, store: PostgresStore, link: Presence, who: StoreBase[PostgresNode] | SystemStore) -> None:
        self.id = secrets.token_hex(8)
        self._store = store
        self._link = link
        started = who.now()
        self.row: dict[str, Any] = {
            "id": self.id,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "boot": "",  # for clocks of a machine; here the server's holds
            "started": started,
            "beat": started,
        }
        link.hold(self.row, store.patience)  # the row is made with it

    def dead(self) -> list[str]:
        """Return the ids of nodes whose locks are free: their processes, machines or networks have failed."""
        rows = self._store.read(lambda transaction: transaction.all("session.dead", {"id": self.id}))
        return [row[0] for row in rows]

    def forget(self, id: str, /) -> None:
        """Do nothing: a dead session has left no lock."""

    keeps_notes = False

    def begin(self, number: int, /) -> None:
        """Do nothing: the others may be on other machines, and a write for each piece of work would cost too much."""

    def end(self, number: int, /) -> None:
        """Do nothing."""

    def begun(self, id: str, /) -> frozenset[int] | None:  # noqa: ARG002
        """Return None: nothing is noted."""
        return None

    def release(self) -> None:
        """Free the lock, and leave the row."""
        self._link.close()

    def close(self) -> None:
        """Leave: the row; the lock goes with the session."""
        try:
            self._store._commits.write(lambda transaction: transaction.run("nodes.remove", {"id": self.id}))
        except (StoreError, ActorDeadError) as error:  # the others see by the lock that it is gone
            logger.warning("Node %s could not remove its row: %s", self.id, error)
        if self._link is not self._store._link:  # the store's own is used until its last commit
            self._link.close()
