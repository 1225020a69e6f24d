"""Owners: which node has which durable actor: names are taken, waited for, and given back. Layer 3."""

from __future__ import annotations

from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.actor import HANDLERS
from actorflow.core.burial import SILENT
from actorflow.core.current import CURRENT
from actorflow.core.log import logger
from actorflow.durable import ledger, timeouts
from actorflow.durable.ledger import Owned
from actorflow.durable.settling import follow_up
from actorflow.durable.signs import Mail
from actorflow.durable.unit import Unit, steps
from actorflow.errors import StoreError
from actorflow.store.codec import check_size

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from actorflow.durable.mailbox import Mailbox
    from actorflow.durable.ref import DurableRef
    from actorflow.durable.registry import Registry
    from actorflow.errors import ActorDeadError
    from actorflow.store.transaction import Transaction

LEASE_SECONDS: Final = 30.0  # without a beat, after which an owner that holds its lock counts as cut off


class TakeOver:
    """Has an actor that was another node's begin here."""

    def __repr__(self) -> str:
        return "TakeOver()"


class Owners:
    """See the module; what one node has to do with it.

    Attributes:
        standbys: mailboxes of actors that are other nodes', and wait for their end, by name.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.standbys: dict[str, Mailbox] = {}

    def start(self, ref: DurableRef) -> Any:
        """Begin an incarnation: load what is stored, and run `on_start` as its first commit.

        If another node has the actor, wait for its end; until then the ref sends to where it is.
        """
        box: Mailbox = ref._box
        owned = self._own(box)
        if owned is None:
            self.standbys[box.name] = box
            self.registry.keeper.start_looking()
            logger.info("%s is another node's; taken over when that ends", ref)
            return None
        self.standbys.pop(box.name, None)
        box.load(owned)
        unit = Unit(box, self.registry.START)
        actor: Any = ref._actor
        token = CURRENT.set(unit)
        try:
            result = actor._run_on_start()
        finally:
            CURRENT.reset(token)
        if result.__class__ is CoroutineType:
            return self._started_later(unit, owned, result)
        self._started(unit, owned)
        return None

    async def _started_later(self, unit: Unit, owned: Owned, coro: Coroutine[Any, Any, Any]) -> None:
        await steps(unit, coro)
        self._started(unit, owned)

    def _started(self, unit: Unit, owned: Owned) -> None:
        """Commit what `on_start` has done."""
        registry, box, effects = self.registry, unit.box, unit.effects
        unit.is_over = True
        effects.state = box.state_bytes()
        check_size(effects.state, f"the state of {box.ref.path}", registry.scheduler.payload_limit)
        effects.next = owned.next
        work = partial(ledger.save, desk=registry, unit=effects, capacities=registry.capacity)
        registry.store.write(work, durability=box.durability)
        box.stored = effects.state

        def begin() -> None:
            box.timers.arm_all([row for row in owned.timers if row.id in box.timers])
            follow_up(unit)
            for letter in effects.letters:
                registry.announce(letter)

        registry.scheduler.post_work(begin)
        registry.scheduler.post(box.ref, Mail(owned.newest), None)

    def load_again(self, box: Mailbox) -> None:
        """Begin anew with what is stored: after an error nobody knows whether a commit is there.

        Raises:
            Lost: another node has the actor.
        """
        owned = self._own(box)
        if owned is None:
            msg = f"{box.name} was taken over by another node"
            raise ledger.Lost(msg)
        registry = self.registry
        box.load(owned, again=True)
        mine = [number for number, (name, _) in list(registry.asks.items()) if name == box.name]
        left = registry.store.read(lambda tx: [number for number in mine if tx.one("actors.exists", {"id": number})])
        for number in set(mine) - set(left):
            _, future = registry.asks.pop(number, (None, None))
            if future is not None:
                msg = f"{box.name} has handled the message, but the store failed just then: its answer is lost"
                future._settle(None, StoreError(msg))
        registry.scheduler.post_work(lambda: box.timers.arm_all(owned.timers))
        registry.scheduler.post(box.ref, Mail(owned.newest), None)

    def _own(self, box: Mailbox) -> Owned | None:
        def attempt(dead: list[str]) -> Owned | None:
            stale = self.registry.lease_time() - LEASE_SECONDS

            def is_living(transaction: Transaction, node: str) -> bool:
                return ledger.is_living(transaction.one("nodes.get", {"id": node}), dead, stale)

            work = partial(
                ledger.own,
                name=box.name,
                node=self.registry.node,
                now=self.registry.now(),
                is_living=is_living,
                suspect=timeouts.suspect if box.is_machine else None,
            )
            return self.registry.store.write(work, durability=box.durability)

        return attempt([]) or attempt(self.registry.store.node.dead())

    def look(self) -> None:
        """Take over the actors that are waited for and whose owners have ended."""
        dead = set(self.registry.store.node.dead())
        stale = self.registry.lease_time() - LEASE_SECONDS
        for name, box in list(self.standbys.items()):

            def is_free(transaction: Transaction, name: str = name) -> bool:
                row = transaction.one("actors.get", {"name": name})
                owner = row[1] if row is not None else None
                if owner is None or owner == self.registry.node:
                    return True
                return not ledger.is_living(transaction.one("nodes.get", {"id": owner}), dead, stale)

            if self.registry.store.read(is_free):
                self.standbys.pop(name, None)
                self.registry.scheduler.post(box.ref, TakeOver(), None)

    def forget(self, box: Mailbox, error: ActorDeadError) -> None:
        """An actor ended here: answer who asked, and let other nodes have it."""
        if self.registry.boxes.get(box.name) is box:
            del self.registry.boxes[box.name]
        self.standbys.pop(box.name, None)
        for number, (name, future) in list(self.registry.asks.items()) if self.registry.asks else ():
            if name == box.name:
                self.registry.asks.pop(number, None)
                future._settle(None, error)
        if box.is_owner:
            box.is_owner = False
            values = {"name": box.name, "owner": box.node, "epoch": box.epoch}
            self.registry.keeper.do(partial(self._release, values))

    def _release(self, values: dict[str, Any]) -> None:
        try:
            self.registry.store.write(lambda tx: tx.run("actors.release", values), durability="process")
        except StoreError as error:
            logger.warning("%s could not be released; others get it when this process ends: %s", values["name"], error)


def run_take_over(ref: Any, _message: TakeOver) -> Any:
    """Begin, if the actor did not yet."""
    if ref._box.is_owner:
        return None
    return ref._registry.owners.start(ref)


HANDLERS[TakeOver] = run_take_over
SILENT.add(TakeOver)
