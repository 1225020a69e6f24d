"""Ownership: which node has which durable actor: names are taken, waited for, and given back."""

from __future__ import annotations

from functools import partial
from itertools import chain
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT
from actorflow.core.messages.handlers import handles
from actorflow.durable.handling import machine_timers
from actorflow.durable.handling.after_commit import StoredUnit
from actorflow.durable.handling.runtime_messages import RowsArrived
from actorflow.durable.handling.unit_of_work import steps
from actorflow.durable.rows import ledger
from actorflow.durable.rows.ledger import OwnedActor
from actorflow.durable.rows.records import Lost
from actorflow.errors import PayloadError, StoreError
from actorflow.store.codec import check_size
from actorflow.text import reason_of

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from actorflow.durable.handling.mailbox import Mailbox
    from actorflow.durable.node.runtime import DurableRuntime
    from actorflow.durable.ref import DurableRef
    from actorflow.errors import ActorDeadError
    from actorflow.store.transaction import Transaction

WHOLE_SECONDS: Final = 30.0  # between two looks at all names that are waited for, should there be no sign of a change
NAMES: Final = 1000  # that one statement looks at
PART: Final = 64  # actors that are taken in one transaction: own commits wait for it


class TakeOver:
    """Begins an actor here that another node had."""

    def __repr__(self) -> str:
        return "TakeOver()"


class Ownership:
    """The ownership of durable actors, as far as one node is concerned.

    Attributes:
        standbys: mailboxes of actors that are other nodes', and wait for their end, by name.
    """

    def __init__(self, runtime: DurableRuntime) -> None:
        self.runtime = runtime
        self.standbys: dict[str, Mailbox] = {}
        self._of_others: frozenset[str] = frozenset()  # the nodes that have them, as of the last look at all names
        self._left_free = False  # one was free, and was left to another node
        self._releases: object = None  # how many there were on the store by then
        self._whole_look = float("-inf")  # when to look at all of them in any case; a new name has it done soon

    def start(self, ref: DurableRef) -> Any:
        """Begin an incarnation: load the stored state, and run `on_start` as its first commit.

        If another node has the actor, wait for its end; until then the ref sends to the actor there.

        Raises:
            StoreError: the store failed.
        """
        box: Mailbox = ref._box
        owned = box.taken or self._own(box)
        box.taken = None
        if owned is None:
            self.standbys[box.name] = box
            self._whole_look = float("-inf")
            self.runtime.housekeeping.start()
            logger.info("%s belongs to another node; taken over when that node ends", ref)
            return None
        self.standbys.pop(box.name, None)
        try:
            box.load(owned)
        except StoreError:  # it can be read another time: the supervisor starts the actor again
            raise
        except Exception as error:  # noqa: BLE001 - a class may raise anything when it is made
            return self._stand_aside(box, owned, error)
        box.aside = None
        unit = box.unit_class(box, self.runtime.START)
        actor: Any = ref._actor
        token = CURRENT.set(unit)
        try:
            result = actor._run_on_start()
        finally:
            CURRENT.reset(token)
        if type(result) is CoroutineType:
            return self._started_later(unit, owned, result)
        self._started(unit, owned)
        return None

    def _stand_aside(self, box: Mailbox, owned: OwnedActor, error: Exception) -> None:
        """Leave an actor alone whose state cannot be read here: to start it again and again would end the system.

        A process that can read it may have the actor; its messages stay. The spawn of an actor that nothing restarts
        raises the error.

        Raises:
            Exception: nothing would restart the actor.
        """
        box.is_owner = False
        box.timers.disarm_all()
        self._release(box.name, owned.epoch)
        ref = box.ref
        if not ref._parent.will_restart(ref, error):
            raise error
        text = (
            "%s: its stored state cannot be read here, so it handles nothing, and its messages stay. Import the "
            "modules of its classes, or delete its state by `actorflow store actors delete`, and start it again: %s"
        )
        logger.error(text, ref, reason_of(error))
        box.aside = PayloadError(f"{ref.path} handles nothing, as its stored state cannot be read here: {error}")
        self.answer_all(box, box.aside)

    async def _started_later(self, unit: StoredUnit, owned: OwnedActor, coro: Coroutine[Any, Any, Any]) -> None:
        await steps(unit, coro)
        self._started(unit, owned)

    def _started(self, unit: StoredUnit, owned: OwnedActor) -> None:
        """Commit the effects of `on_start`."""
        runtime, box, effects = self.runtime, unit.box, unit.effects
        unit.is_over = True
        effects.state = unit.state_bytes()
        check_size(effects.state, f"the state of {box.ref.path}", runtime.scheduler.payload_limit)
        effects.next = owned.next
        if effects.state != owned.state or effects.has_more_than_state:  # most are unchanged
            work = partial(ledger.save, context=runtime, unit=effects, capacities=runtime.capacity)
            with runtime.doubting(letter.receiver for letter in chain(effects.letters, effects.replies)):
                runtime.store.write(work, durability=unit.durability)
        box.stored = effects.state

        def begin() -> None:
            box.timers.arm_all([row for row in owned.timers if row.id in box.timers])
            unit.follow_up()
            for letter in chain(effects.letters, effects.replies):
                runtime.announce(letter)

        unit.leave()
        runtime.scheduler.post_work(begin)
        runtime.scheduler.post(box.ref, RowsArrived(max(owned.newest, box.heard)), None)

    def load_again(self, box: Mailbox) -> None:
        """Begin anew with the stored state: after an error it is not known whether a commit is there.

        Raises:
            Lost: another node has the actor.
        """
        owned = self._own(box)
        if owned is None:
            msg = f"{box.name} was taken over by another node"
            raise Lost(msg)
        runtime = self.runtime
        box.load(owned, again=True)
        mine = runtime.asks.of(box.name)
        left = runtime.store.read(lambda tx: [number for number in mine if tx.one("actors.exists", {"id": number})])
        msg = f"{box.name} has handled the message, but the store failed just then: its answer is lost"
        runtime.asks.end(set(mine) - set(left), StoreError(msg))
        runtime.scheduler.post_work(lambda: box.timers.arm_all(owned.timers))
        runtime.scheduler.post(box.ref, RowsArrived(owned.newest), None)

    def _own(self, box: Mailbox) -> OwnedActor | None:
        """Make an actor this node's; None if another node that lives has it."""
        runtime, members = self.runtime, self.runtime.store.members
        known = members.dead
        owned = runtime.store.write(partial(self._own_one, box), durability=box.durability)
        if owned is None and not members.find_dead() <= known:
            owned = runtime.store.write(partial(self._own_one, box), durability=box.durability)
        return owned

    def _own_one(self, box: Mailbox, transaction: Transaction) -> OwnedActor | None:
        members = self.runtime.store.members

        def is_living(node: str) -> bool:
            return members.is_living(transaction.one("nodes.get", {"id": node}))

        return ledger.own(
            transaction,
            box.name,
            self.runtime.node,
            self.runtime.now(),
            is_living,
            (box.capacity, box.ref._traits.options.overflow if box.capacity is not None else None),
            machine_timers.suspect if box.is_machine else None,
        )

    # --- actors of other nodes ---------------------------------------------------------------------------------------

    def look(self) -> None:
        """Take over the actors that are waited for and whose owners have ended.

        As long as no actor was released, and the nodes that have them live, none can be free: then these two questions
        are all that is asked, whatever their number.
        """
        store = self.runtime.store
        releases, rows = store.read(lambda tx: (tx.one("actors.releases"), tx.all("nodes.others", {"id": ""})))
        living = frozenset(row[0] for row in rows if store.members.is_living(row))
        now = self.runtime.scheduler.clock.monotonic()
        is_same = releases == self._releases and self._of_others <= living
        if is_same and not self._left_free and now < self._whole_look:
            return
        self._whole_look = now + WHOLE_SECONDS
        self._left_free = False
        try:
            self._of_others = self._look_at_all(list(self.standbys), living)
        except BaseException:
            self._whole_look = now
            raise
        self._releases = releases

    def _look_at_all(self, names: list[str], living: frozenset[str]) -> frozenset[str]:
        """Take over those that are free; return the nodes that have the others."""
        runtime = self.runtime
        others: set[str] = set()
        free: list[str] = []
        for place in range(0, len(names), NAMES):
            ownership = runtime.store.read(partial(ledger.owners_of, names=names[place : place + NAMES]))
            for name in names[place : place + NAMES]:
                owner = ownership.get(name)
                if owner is None or owner == runtime.node or owner not in living:
                    box = self.standbys.get(name)
                    if box is None or box.wants_to_own:
                        free.append(name)
                    else:
                        self._left_free = True
                else:
                    others.add(owner)
        free.sort()  # all processes lock the rows in one order, so no two wait for each other
        for place in range(0, len(free), PART):
            self._take([box for name in free[place : place + PART] if (box := self.standbys.get(name)) is not None])
        return frozenset(others)

    def _take(self, boxes: list[Mailbox]) -> None:
        """Take over some actors in one transaction, and have them begin."""
        try:
            taken = self.runtime.store.write(lambda transaction: [self._own_one(box, transaction) for box in boxes])
        except StoreError:
            raise
        except Exception:  # noqa: BLE001 - the row of one is damaged: it hears so itself
            taken = [None] * len(boxes)
            boxes_to_start = boxes
        else:
            boxes_to_start = [box for box, owned in zip(boxes, taken, strict=True) if owned is not None]
        for box, owned in zip(boxes, taken, strict=True):
            box.taken = owned
        for box in boxes_to_start:
            if self.standbys.pop(box.name, None) is box:
                self.runtime.scheduler.post(box.ref, TakeOver(), None)
            else:  # it was stopped meanwhile
                self._let_go(box)

    def hand_over(self, box: Mailbox) -> None:
        """Leave an actor to another node, and stand by."""
        self._release(box.name, box.epoch)
        self.standbys[box.name] = box
        self.runtime.housekeeping.start()

    def forget(self, box: Mailbox, error: ActorDeadError) -> None:
        """Answer the callers of an actor that ended here, and let other nodes have it."""
        if self.runtime.boxes.get(box.name) is box:
            del self.runtime.boxes[box.name]
        self.standbys.pop(box.name, None)
        self.answer_all(box, error)
        if box.is_owner:
            box.is_owner = False
            self._release(box.name, box.epoch)
        self._let_go(box)

    def answer_all(self, box: Mailbox, error: Exception) -> None:
        """Answer the callers of an actor on this node."""
        asks = self.runtime.asks
        asks.end(asks.of(box.name), error)

    def _let_go(self, box: Mailbox) -> None:
        """Release an actor that was taken over for one that has ended before it could begin."""
        taken, box.taken = box.taken, None
        if taken is not None:
            self._release(box.name, taken.epoch)

    def _release(self, name: str, epoch: int) -> None:
        runtime = self.runtime

        def release() -> None:
            work = partial(ledger.release, name=name, node=runtime.node, epoch=epoch)
            try:
                runtime.store.write(work, durability="process")
            except StoreError as error:
                logger.warning("%s could not be released; other nodes get it when this process ends: %s", name, error)

        runtime.batch.do(release)


@handles(TakeOver, silent=True)
def run_take_over(ref: DurableRef, _message: TakeOver) -> Any:
    """Begin, if the actor did not yet."""
    if ref._box.is_owner:
        return None
    return ref._runtime.ownership.start(ref)
