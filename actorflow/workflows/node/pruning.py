"""Pruning: the actor that removes runs which were kept their time, in parts, between which others write."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from actorflow.core.actors.actor import Actor
from actorflow.errors import StoreError
from actorflow.workflows.rows import keeping

if TYPE_CHECKING:
    from actorflow.workflows.node.run_node import RunNode


class RunPruner(Actor):
    """Removes the rows of runs whose time is over; no run waits for it."""

    def __init__(self, node: RunNode) -> None:
        super().__init__()
        self.node = node

    def remove(self) -> None:
        """Remove a part, and the next one behind the messages in the mailbox, until none is left."""
        node = self.node
        if node.is_closed or node.scheduler.draining:
            return
        work = partial(keeping.remove, now=node.now(), keep_ids=node.keep_ids)
        try:
            if not node.store.read(lambda tx: tx.one("runs.expired", {"now": node.now(), "limit": 1})):
                return
            count = node.store.write(work, durability="process")
        except StoreError as error:
            node.report_failure_of_claim(error)
            return
        if count:
            self.actor_ref.cast(RunPruner.remove)
