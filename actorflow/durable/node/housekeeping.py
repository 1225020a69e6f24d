"""Housekeeping: a node's regular work for all its durable actors.

It has an actor of its own for it, beside the one that commits: no message waits for a look at other nodes' actors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from actorflow.core.log import logger
from actorflow.core.outage import Outage
from actorflow.durable.rows import ledger
from actorflow.errors import ActorDeadError, StoreError
from actorflow.store.clerk import clerk_of, give
from actorflow.store.members import BEAT_SECONDS

if TYPE_CHECKING:
    from actorflow.core.refs.timers import TimerEntry
    from actorflow.core.running.scheduler import Scheduler
    from actorflow.durable.node.runtime import DurableRuntime

LOOK_SECONDS: Final = 0.5  # while names are waited for
PRUNE_SECONDS: Final = 60.0


class Housekeeping:
    """Does the regular work of one system, in an actor of its own."""

    def __init__(self, runtime: DurableRuntime, scheduler: Scheduler) -> None:
        self._runtime = runtime
        self._scheduler = scheduler
        self._clerk = clerk_of(scheduler, "housekeeping")
        self._queued: set[str] = set()
        self._pruned = scheduler.clock.monotonic() - PRUNE_SECONDS
        self._timer: TimerEntry | None = None
        self._due = float("inf")
        self._outages: dict[str, Outage] = {}

    def do(self, name: str, act: Callable[[], object]) -> None:
        """Have a piece of work done soon; work that is queued already, by its name, is done once."""
        if name in self._queued:
            return
        self._queued.add(name)

        def run() -> None:
            self._queued.discard(name)  # first: news that come meanwhile may have been missed
            self._contained(name, act)

        give(self._clerk, run)

    def _contained(self, name: str, act: Callable[[], object]) -> None:
        """Do a piece of work; its failure is no other's."""
        try:
            act()
        except ActorDeadError:
            logger.debug("The store was closed before %s", name)
        except StoreError as error:
            self._outage(name).note(logger.error, "The store failed at %s, tried again soon: %s", name, error)
        except Exception:  # noqa: BLE001 - the rest has to go on
            self._outage(name).note(logger.exception, "%s failed, tried again soon", name)
        else:
            if name in self._outages:
                self._outage(name).over(logger.warning, "%s: it works again", name)

    def _outage(self, name: str) -> Outage:
        if name not in self._outages:
            self._outages[name] = Outage(self._scheduler.clock)
        return self._outages[name]

    # --- now and then ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Look around from now on; in virtual time only while there are others on the store."""
        if not self._is_needless():
            self._scheduler.post_work(self._look_later)

    def _is_needless(self) -> bool:
        return self._scheduler.is_virtual and self._runtime.store.is_alone

    def _look_later(self) -> None:
        """Look again soon if names are waited for; else only so often that this node is not given up."""
        scheduler = self._scheduler
        if self._is_needless():
            return
        seconds = LOOK_SECONDS if self._runtime.ownership.standbys else BEAT_SECONDS
        due = scheduler.clock.monotonic() + seconds
        if self._timer is not None:
            if self._due <= due:
                return
            scheduler.timers.cancel(self._timer)
        self._due = due
        self._timer = scheduler.add_timer(due, self._look)

    def _look(self) -> None:
        self._timer = None
        self.do("a look around", self.look_around)

    def look_around(self) -> None:
        """Show that this node lives, take over actors that are waited for, and delete rows kept long enough."""
        runtime = self._runtime
        try:
            self._contained("a look at other nodes", runtime.store.members.look)
            if runtime.ownership.standbys:
                self._contained("a look at actors of other nodes", runtime.ownership.look)
            if runtime.asks:
                self._contained("a look for answers", runtime.asks.fetch)
            if runtime.asks.dropped:
                self._contained("the end of asks", runtime.asks.forget_dropped)
            now = self._scheduler.clock.monotonic()
            if now - self._pruned > PRUNE_SECONDS:
                self._pruned = now
                self._contained("the removal of old rows", self.prune)
        finally:
            self._scheduler.post_work(self._look_later)

    def prune(self) -> None:
        """Delete rows that were kept long enough, in parts, until none is left: they may come fast."""
        runtime = self._runtime
        while not runtime.is_closed and runtime.store.write(
            lambda transaction: ledger.prune(transaction, runtime.now()), durability="process"
        ):
            pass
        if runtime.log is not None and not runtime.is_closed:
            runtime.log.upkeep.prune()
