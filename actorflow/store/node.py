"""Node: a process that works on a store, and how the others see that it has died.

A node holds a lock of the kernel's as long as it lives, so any death of it shows at once; no heartbeat is awaited. The
lock is a dialect's: of a file beside the database, or of a PostgreSQL session.
"""

from __future__ import annotations

from typing import Any, Protocol


class StoreNode(Protocol):
    """This process among the nodes of a store.

    Attributes:
        id: unique, and never used again: a process that starts anew is another node.
        row: the node as the others read it.
    """

    id: str
    row: dict[str, Any]

    def dead(self) -> list[str]:
        """Return the ids of nodes that have died and are not buried yet."""
        ...

    def forget(self, id: str, /) -> None:
        """Take a dead node's lock away, when its work was taken over and its row is gone."""
        ...

    @property
    def keeps_notes(self) -> bool:
        """Whether the node's notes of begun work can be read once it has died."""
        ...

    def begin(self, number: int, /) -> None:
        """Note, for the node that buries this one, that a piece of work begins here."""
        ...

    def end(self, number: int, /) -> None:
        """Forget a piece of work, once its outcome is committed."""
        ...

    def begun(self, id: str, /) -> frozenset[int] | None:
        """Return the work that a node had begun when it died; None where that cannot be known."""
        ...

    def release(self) -> None:
        """Free the lock, and leave the row: as if the process had died."""
        ...

    def close(self) -> None:
        """Leave: remove the row, and give the lock back."""
        ...
