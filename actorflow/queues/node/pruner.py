"""Pruner: removes jobs that a queue's store has kept long enough, and expired ones, in parts.

It is an actor of its own beside the claimer, and no job waits for it; between two parts others write.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from actorflow.core.actors.actor import Actor
from actorflow.queues import ledger

if TYPE_CHECKING:
    from actorflow.queues.node.local_queue import LocalQueue

FEW: Final = ledger.BATCH // 10  # old keys among those of a part: with fewer, the rest can wait for the next look


class Pruner(Actor):
    """Removes jobs whose retention is over, and the rows of idle keys."""

    def __init__(self, local: LocalQueue) -> None:
        super().__init__()
        self.local = local
        self.at = ledger.FIRST_KEY  # from there on the keys are looked at, and then from the first one again

    def remove(self) -> None:
        """Remove a part, and the next one behind the messages in the mailbox, until little is left."""
        local = self.local
        if local.closed or local.scheduler.draining:
            return
        try:
            jobs = local.store.write(partial(ledger.prune, now=local.now()), durability="process")
            goes_on = jobs == ledger.BATCH or self.remove_keys() > FEW
        except Exception as error:  # noqa: BLE001 - the store is gone for now; it is done with the next look
            local.upkeep.report_failure("old rows", error, "Queue %s: the store failed, old rows are removed later: %s")
            return
        local.upkeep.report_success("old rows")
        if goes_on:
            self.actor_ref.cast(Pruner.remove)

    def remove_keys(self) -> int:
        """Remove the rows of keys that are idle, with their buckets full; return how many."""
        local, begin = self.local, self.at
        keys = local.store.read(partial(ledger.keys_after, begin=begin))
        self.at = keys[-1] if len(keys) == ledger.BATCH else ledger.FIRST_KEY
        if not keys:
            return 0
        work = partial(ledger.prune_keys, begin=begin, end=keys[-1], now=local.now())
        return local.store.write(work, durability="process")

    def expire(self) -> None:
        """Cancel jobs that have expired, a part at a time."""
        try:
            if self.local.upkeep.expire():
                self.actor_ref.cast(Pruner.expire)
            self.local.upkeep.report_success("expired jobs")
        except Exception as error:  # noqa: BLE001 - the store is gone for now; the claimer looks again
            text = "Queue %s: the store failed, expired jobs are cancelled later: %s"
            self.local.upkeep.report_failure("expired jobs", error, text)
