"""WaitingCode: the plain code of runs that waits, each with a thread: the one that has waited longest is unloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actorflow.core.log import logger

if TYPE_CHECKING:
    from actorflow.workflows.body.sync_body import SyncBody

THREADS: Final = 128  # of plain code that waits; more is unloaded. Others begin or leave: 10,000 runs have some 180


class WaitingCode:
    """The plain code that waits in this process, in the order in which it began to."""

    def __init__(self) -> None:
        self._bodies: dict[SyncBody, None] = {}
        self._unwilling: set[str] = set()  # runs whose code has caught Unload

    def begins(self, body: SyncBody) -> None:
        """Note that plain code waits; if too many do, the one that has waited longest is unloaded."""
        bodies = self._bodies
        bodies[body] = None
        if len(bodies) > THREADS:
            for oldest in list(bodies):
                if oldest is not body and not (
                    oldest.is_unsettled or oldest.is_over or oldest.run.name in self._unwilling
                ):
                    oldest.unload()
                    return

    def ends(self, body: SyncBody) -> None:
        """Note that plain code goes on."""
        self._bodies.pop(body, None)

    def refuses(self, body: SyncBody) -> None:
        """Report code that goes on after Unload, and have it unloaded no more."""
        logger.warning(
            "Run %s: its code has caught Unload, which is to pass (by a bare except, or BaseException): it keeps its "
            "thread from now on",
            body.run.name,
        )
        self._unwilling.add(body.run.name)
