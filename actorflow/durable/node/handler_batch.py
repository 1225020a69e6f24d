"""HandlerBatch: the shared commits of a node's durable actors.

A commit is worth many messages. The effects of handlers are collected while others run, and are committed when none is
left to run, at 512 messages, or after 2 ms: on the thread that has nothing else to do, or beside the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from actorflow.core.actors.function_actor import FunctionActor, calling
from actorflow.core.actors.traits import Options, Traits
from actorflow.core.futures.future import Future, patient
from actorflow.core.log import logger
from actorflow.core.refs.ref import ActorRef
from actorflow.core.running.children import system_actor
from actorflow.durable.handling import after_commit
from actorflow.durable.rows import ledger
from actorflow.durable.rows.records import Lost, Twice
from actorflow.errors import OutcomeUnknown, StoreError
from actorflow.text import reason_of

if TYPE_CHECKING:
    from actorflow.core.running.scheduler import Scheduler
    from actorflow.durable.handling.unit_of_work import UnitOfWork
    from actorflow.durable.node.runtime import DurableRuntime
    from actorflow.store.transaction import Durability, Transaction

BATCH: Final = 512  # messages in one commit
BATCH_SECONDS: Final = 0.002


class BlockingTraits(Traits):
    """Traits of an actor that is known to block: it gets a thread beside the others, unless they have nothing to do."""

    __slots__ = ()

    def unlearn(self, seconds: float) -> None:
        """Stay as it is: a quick disk is no reason to hold up others."""


def clerk_of(scheduler: Scheduler, name: str) -> ActorRef[FunctionActor]:
    """Start an actor that does work with the store, one piece after the other."""
    traits = BlockingTraits(FunctionActor, Options())
    traits.blocks = True
    return system_actor(scheduler, traits, name)


def give(clerk: ActorRef[FunctionActor], work: Callable[[], None]) -> None:
    """Have an actor do a piece of work, behind the earlier ones; the work deals with its errors itself."""
    clerk._scheduler.post(clerk, calling(work), None)


class HandlerBatch:
    """Collects the effects of handlers in batches, and commits them."""

    def __init__(self, runtime: DurableRuntime, scheduler: Scheduler) -> None:
        self.runtime = runtime
        self.scheduler = scheduler
        self._units: deque[UnitOfWork] = deque()
        self._is_looking = False
        self._since = 0.0
        self.clerk = clerk_of(scheduler, "store")

    def do(self, work: Callable[[], None]) -> None:
        """Have work with the store done, beside or between the handlers, in order."""
        give(self.clerk, work)

    # --- shared commits ----------------------------------------------------------------------------------------------

    def add(self, unit: UnitOfWork) -> None:
        """Put the effects of a message into the open batch; called where its handler has run."""
        self._units.append(unit)
        if not self._is_looking:  # two threads may both think so, which does no harm
            self._is_looking = True
            self._since = self.scheduler.clock.monotonic()
            self.scheduler.post_work(self.look)

    def look(self) -> None:
        """Close the batch if nobody is left to run, or it is large or old; the holder of the baton calls it."""
        scheduler = self.scheduler
        if (
            not (scheduler.ready or scheduler.inbox)
            or len(self._units) >= BATCH
            or scheduler.clock.monotonic() - self._since > BATCH_SECONDS
        ):
            self._is_looking = False
            self.do(self.commit)
        else:
            scheduler.post_work(self.look)

    def commit(self) -> None:
        """Commit the open batch, and have its actors go on."""
        waiting = self._units
        units = [waiting.popleft() for _ in range(len(waiting))]
        if not units:
            return
        try:
            self._save(units)
            self._send_away(units)
        finally:
            self.scheduler.post_work(partial(self.settle, units))

    def _save(self, units: list[UnitOfWork]) -> None:
        """Commit a batch; a refused unit hears of it, and however this ends, no unit of the batch is left waiting."""
        runtime = self.runtime
        try:
            runtime.store.write(partial(self._save_all, units), durability=self._durability(units))
        except Exception as error:  # noqa: BLE001 - each of them hears of it
            if len(units) == 1 or (isinstance(error, StoreError) and not isinstance(error, (Lost, Twice))):
                refuse(units, error)
            else:
                self._one_by_one(units)
        except BaseException as error:
            refuse(units, StoreError(f"the commit was interrupted by {reason_of(error)}: it may be there"))
            raise

    def _save_all(self, units: list[UnitOfWork], transaction: Transaction) -> None:
        runtime = self.runtime
        ledger.save_all(transaction, runtime, [unit.effects for unit in units], runtime.capacity)

    def _one_by_one(self, units: list[UnitOfWork]) -> None:
        """Commit each for itself: one of them was refused."""
        runtime = self.runtime
        for unit in units:
            work = partial(ledger.save, context=runtime, unit=unit.effects, capacities=runtime.capacity)
            try:
                runtime.store.write(work, durability=self._durability([unit]))
            except Exception as error:  # noqa: BLE001 - it hears of it
                unit.refused = error

    def _durability(self, units: list[UnitOfWork]) -> Durability:
        """Return the durability that the strictest of the units asks for."""
        own = self.runtime.store.durability
        for unit in units:  # most batches are of one, for which a generator takes twice as long
            if (unit.box.durability or own) == "power":
                return "power"
        return "process"

    def _send_away(self, units: list[UnitOfWork]) -> None:
        """Make the sends to other processes: they may wait, and so are nothing for the holder of the baton."""
        for unit in units:
            if unit.refused is None and unit.held:
                unit.send_away([one for one in unit.held if one[0]._is_remote])

    def settle(self, units: list[UnitOfWork]) -> None:
        """Have the actors of a batch go on; the holder of the baton calls it."""
        announce = self.runtime.announce
        for unit in units:
            try:
                if unit.refused is None:
                    for letter in unit.effects.letters:
                        announce(letter)
                    for letter in unit.effects.replies:
                        announce(letter)
                elif isinstance(unit.refused, OutcomeUnknown):
                    self.runtime.doubt(letter.receiver for letter in unit.effects.letters + unit.effects.replies)
                after_commit.settle(unit)
            except Exception as error:  # noqa: BLE001 - the others have to go on
                logger.critical("%r could not go on after a commit; please report it", unit.box.ref, exc_info=True)
                if unit.box.ref._actor is unit.actor:
                    unit.box.crash_soon(error)

    def flushed(self) -> Future[None]:
        """Return a future that is set once the effects now in the batch are committed."""
        done: Future[None] = patient(self.clerk)

        def commit() -> None:
            self.commit()
            self.scheduler.post_work(lambda: done._settle(None, None))

        self.do(commit)
        return done


def refuse(units: list[UnitOfWork], error: Exception) -> None:
    """Note that the effects in a batch are not in the store, or may not be."""
    for unit in units:
        unit.refused = error
