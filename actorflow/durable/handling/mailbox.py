"""Mailbox: the rows that wait for one durable actor: their order, tries and stash.

Memory holds a window on the rows: it is read anew after each start, and nothing is lost with it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

from actorflow.core.futures.wait_graph import dead_before
from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT
from actorflow.core.messages.handlers import handles
from actorflow.core.messages.messages import CHANGED, SUSPENDED
from actorflow.core.outage import Outage
from actorflow.core.refs.bounded_mailbox import Room
from actorflow.core.refs.cold_fields import must_stop
from actorflow.core.refs.failure import crashed
from actorflow.core.refs.timers import Timer
from actorflow.core.running import lifecycle
from actorflow.durable.handling import machine_timers
from actorflow.durable.handling.after_commit import STORE_SECONDS, StoredUnit
from actorflow.durable.handling.runtime_messages import CrashNow, MessageInMemory, Pause, RowsArrived, TimerFired
from actorflow.durable.handling.timed_tries import TimedTries
from actorflow.durable.handling.timers import Timers
from actorflow.durable.rows import ledger
from actorflow.durable.rows.ledger import OwnedActor
from actorflow.durable.rows.payload import Caused, read, unpack
from actorflow.durable.rows.records import KILLS, Lost, MailRow, TimerRow
from actorflow.durable.rows.state import is_machine, put_state
from actorflow.errors import ActorDeadError, HostDied, PayloadError, StoreError, TaskTimeout
from actorflow.store.codec import encode
from actorflow.store.error_json import write_error
from actorflow.tasks.retry import Retry
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.actors.traits import Durability, Retries
    from actorflow.core.refs.ref import ActorRef
    from actorflow.durable.node.runtime import DurableRuntime
    from actorflow.durable.ref import DurableRef

WINDOW: Final = 64  # rows that are read at once
DEFAULT: Final = Retry(5)
TOO_LATE: Final = "no other try of it may begin by now, as Retry(within=) says"
Item: TypeAlias = MailRow | TimerRow | MessageInMemory


class Mailbox:
    """The window on the rows of one actor. Its handlers touch it, or the holder of the baton while none runs."""

    unit_class: ClassVar[type[StoredUnit]] = StoredUnit

    def __init__(self, runtime: DurableRuntime, ref: ActorRef[Any], name: str) -> None:
        options = ref._traits.options
        self.runtime = runtime
        self.ref = ref
        self.name = name
        self.node = ""
        self.capacity = options.capacity
        self.durability: Durability | None = options.durability
        self.retry: Retries = options.retry if options.retry is not None else DEFAULT
        has_time = isinstance(self.retry, Retry) and self.retry.within is not None
        self.timed = TimedTries(self, self.retry) if has_time else None  # type: ignore[arg-type]
        self.is_machine = is_machine(ref.actor_class)
        self.address = encode(ref)
        self.epoch = 0
        self.is_owner = False
        self.taken: OwnedActor | None = None  # it was taken over, and has not begun
        self.aside: PayloadError | None = None  # its state cannot be read here, so it handles nothing
        self.heard = 0  # the number up to which there was mail while it was not this node's
        self.stored: bytes | None = None
        self.is_doubtful = False  # after an error: the row may be newer than `stored`
        self.is_hindered = False  # the store failed when it was last asked for this actor
        self.full: Outage | None = None  # mailboxes of others have no room for what it sends
        self.failures = 0  # of a machine's timers, in a row
        self.last = 0  # the number up to which rows are, or were, in memory
        self.chain: tuple[int, int] = (-1, 0)  # of its last row: how many gaps there were, and its number
        self.handed = 0  # rows on their way here in the run queue
        self.rows: deque[MailRow] = deque()
        self.stash: list[MailRow] = []
        self.timers = Timers(ref)
        self.room = Room()  # senders that wait

    # --- state -------------------------------------------------------------------------------------------------------

    def load(self, owned: OwnedActor, *, again: bool = False) -> None:
        """Take over the stored state and rows: at the start of an incarnation, or in the midst of one."""
        self.node = self.runtime.node
        self.epoch = owned.epoch
        self.is_owner = True
        self.last = 0
        self.rows.clear()
        self.stash.clear()
        self.failures = 0
        self.is_doubtful = False
        self.timers.load(owned.timers)
        self.stored = owned.state
        if owned.state is not None:
            self.put_state(owned.state, again=again)

    def put_state(self, stored: bytes, *, again: bool) -> None:
        """Give the actor a stored state; `again`: it has had that before."""
        put_state(self.ref._actor, read(self.runtime, stored), again=again)

    def roll_back(self) -> None:
        """Give the actor its stored state back."""
        if self.stored is not None:  # else its start failed, and it ends
            self.put_state(self.stored, again=True)

    def restore(self, state: bytes) -> None:
        """Make a machine another one than it is."""
        self.stored = state
        self.put_state(state, again=True)

    # --- messages ----------------------------------------------------------------------------------------------------

    def hear(self, mail: RowsArrived) -> None:
        """Have the actor look at rows that have come."""
        self.ref._scheduler.post(self.ref, mail, None)

    @property
    def is_reachable(self) -> bool:
        """Whether handlers can run: not so while a guest is gone, whose end is about to be heard of."""
        return True

    @property
    def wants_to_own(self) -> bool:
        """Whether this node is to take the actor, if it is free."""
        return True

    def handle(self, find: Callable[[Any], Item | None], arrived: Any) -> Any:
        """Handle a row, a timer that is due, or a message in memory: all go this way.

        Args:
            find: reads the state anew if that is in doubt, and returns the item; None if there is none to handle.
            arrived: what stands for it in the run queue, and is put back there when the store fails.
        """
        if not self.is_reachable:
            return None
        try:
            item = find(arrived)
            if item is None:
                return None
            if 0 < item.crashes < KILLS:  # a process may have died on it: should this one, that shows
                item.note_begin(self)
            is_late = self.timed is not None and not self.timed.begin(item)
        except Lost as error:
            return self.lost(error)
        except StoreError as error:
            return self.wait_for_store(arrived, error)
        unit = self.unit_for(item)
        if self.rows and self.rows[0] is item:
            self.rows.popleft()  # only here, since a signal may come before: the unit has it now
        unit.upto = arrived.upto
        if item.crashes >= KILLS and (poison := self.taken_out(unit, item)) is not None:
            return self.give_up(unit, poison, HostDied(f"{poison.crashes} processes have died on it"))
        if is_late and not isinstance(item, MessageInMemory):
            return self.give_up(unit, item, TaskTimeout(TOO_LATE), None if self.timed is None else self.timed.error)
        return unit.perform(unit.run or unit.run_row)

    def unit_for(self, item: Item) -> StoredUnit:
        """Return a new unit of work for an item."""
        if type(item) is MailRow:
            return self.unit_class(self, None, entry=item)
        if isinstance(item, MessageInMemory):
            unit = self.unit_class(self, item.message)
            unit.run = item.run
            unit.is_machine_timer = item.timer is not None
            unit.attempt = self.failures if unit.is_machine_timer else item.attempt
            return unit
        assert isinstance(item, TimerRow)
        unit = self.unit_class(self, None, timer=item)
        unit.effects.timer_due = item.next_due(self.ref._scheduler.clock.time())
        return unit

    def next_row(self, mail: RowsArrived) -> MailRow | None:
        """Return the next row."""
        if not self.is_owner:
            self.heard = max(self.heard, mail.upto)
            self.handed -= mail.entry is not None
            return None
        if self.is_doubtful:
            self.refresh()
        self.take(mail)
        if self.rows:
            return self.rows[0]
        self.go_on_with_store()
        return None

    def due_timer(self, due: TimerFired) -> TimerRow | None:
        """Return the row of a timer that has fired; if the state is read anew its timers fire anew."""
        row = due.row
        return row if self.is_owner and row.id in self.timers and not self.refresh() else None

    def in_memory(self, item: MessageInMemory) -> MessageInMemory | None:
        """Return a message in memory; if the state of a machine is read anew its timers fire anew."""
        return None if self.refresh() and item.timer is not None else item

    def write_soon(self, statement: str, values: dict[str, Any]) -> int:
        """Commit a write that need not outlive the machine, only this process; return how many rows there are.

        Raises:
            StoreError: the write is not there.
        """
        return self.runtime.store.write(lambda tx: tx.run(statement, values), durability="process")

    def save(self, state: bytes) -> None:
        """Commit the known state of a machine's timers, while it handles nothing.

        Raises:
            Lost: another node has the actor.
            StoreError: the write is not there.
        """
        following = self.rows[0].id if self.rows else self.last + 1
        fence = {"name": self.name, "owner": self.node, "epoch": self.epoch}
        if not self.write_soon("actors.save", {**fence, "state": state, "next": following}):
            msg = f"{self.name} was taken over by another node"
            raise Lost(msg)

    def lost(self, error: Lost) -> Any:
        """End the incarnation: another node has the actor."""
        self.give_away(error)
        return self.crash(error)

    def give_away(self, error: Lost) -> None:
        """Handle nothing more: another node has the actor."""
        logger.error("%s: %s; the work of its last message is dropped", self.ref, error)
        self.is_owner = False

    def crash(self, error: BaseException) -> Any:
        """End the incarnation as a crash does; a handler's outcome."""
        return crashed(self.ref, None, error)

    def crash_soon(self, error: BaseException) -> None:
        """Do the same, for the holder of the baton, which runs nothing of the user's."""
        ref = self.ref
        ref._put_back(deque([(ref, CrashNow(error, ref._actor), None, None)]))
        lifecycle.finished(ref, CHANGED)

    def refresh(self) -> bool:
        """Read the state anew if a commit's end is not known; say whether it was so.

        Raises:
            Lost: another node has the actor.
            StoreError: it cannot be read.
        """
        if not self.is_doubtful:
            return False
        self.runtime.ownership.load_again(self)
        return True

    def wait_for_store(self, message: Any, error: StoreError) -> Any:
        """Handle a message of the run queue again in a second."""
        text = "%s: the store cannot be read, tried again in %.3g s: %s"
        self.report_failure(text, self.ref, STORE_SECONDS, error)

        def wait() -> None:
            self.ref._put_back(deque([(self.ref, message, None, None)]))
            self.pause(STORE_SECONDS)

        self.ref._scheduler.post_work(wait)
        return SUSPENDED

    def report_failure(self, text: str, *values: object) -> None:
        """Log that the store has failed: once for all actors that it hinders, and ever more rarely while it does."""
        self.is_hindered = True
        self.runtime.outage.note(logger.error, text, *values)

    def go_on_with_store(self) -> None:
        """Log that the store works again, if it has failed."""
        if self.is_hindered:
            self.is_hindered = False
            self.runtime.outage.over(logger.warning, "%s: the store works again", self.ref)

    def taken_out(self, unit: StoredUnit, item: Item) -> MailRow | TimerRow | None:
        """Return a message that has killed too often as a row, and the unit without it; None if it is there no more."""
        if not isinstance(item, MessageInMemory):
            return item
        assert item.timer is not None
        left = machine_timers.without(self.stored, item.timer[0]) if self.stored is not None else None
        if left is None:  # it was cancelled meanwhile
            return None
        state, unit.effects.timer = left
        unit.is_machine_timer = False
        self.restore(state)
        return unit.effects.timer

    def give_up(self, unit: StoredUnit, poison: MailRow | TimerRow, error: Exception, last: bytes | None = None) -> Any:
        """Make a message, or a timer's, a dead letter without another try; `last` is the error of the one before."""
        unit.failure = error
        unit.effects.state = self.stored
        unit.effects.error = last or write_error(error)
        try:
            message = unpack(self.runtime, poison.body)
            unit.message = message.message if type(message) is Caused else message
        except Exception:  # noqa: BLE001 - it is dead in any case
            unit.message = poison.body
        unit.end_in_vain()
        logger.error("%s: %s is a dead letter: %s", self.ref, text_of(unit.message), error)
        unit.after.append(lambda: unit.dead_letter(error))
        return unit.submit()

    def take(self, mail: RowsArrived) -> None:
        """Have the next rows in memory: the one that came along, if it is the next, or those in the store."""
        entry, mail.entry = mail.entry, None
        if entry is not None:
            self.handed -= 1
            if self.last == mail.after:
                self.rows.append(entry)
                self.last = entry.id
        if not self.rows and self.last < mail.upto:
            self.fetch(mail.upto)

    def fetch(self, upto: int) -> None:
        """Read rows that came in."""
        found = self.runtime.store.read(lambda tx: ledger.fetch(tx, self.name, self.last, WINDOW))
        self.rows.extend(found)
        if found:
            self.last = found[-1].id
        if len(found) < WINDOW and upto < math.inf:
            self.last = max(self.last, upto)

    def has_more(self, upto: int) -> bool:
        """Say whether there may be rows up to a number that are not handled."""
        return self.rows[0].id <= upto if self.rows else self.last < upto

    def put_back(self, entry: MailRow | None) -> None:
        """Have a row handled again, before all others."""
        if entry is not None:
            self.rows.appendleft(entry)

    def within(self, run: Callable[[], Any]) -> Any:
        """Run the current message, one of the runtime's own."""
        execution = CURRENT.get()
        assert execution is not None
        message = execution.item[1]
        timer = machine_timers.timer_of(message) if self.is_machine and type(message) is Timer else None
        return self.handle(self.in_memory, MessageInMemory(run, message, timer=timer))

    def pause(self, seconds: float | None) -> None:
        """Go on in so many seconds; at once if the actor is to stop."""
        ref = self.ref
        if seconds is None or must_stop(ref):
            lifecycle.finished(ref, CHANGED)
            return
        scheduler = ref._scheduler
        due = scheduler.clock.monotonic() + seconds
        ref._waiting = pause = Pause(self, due)
        scheduler.add_timer(due, pause.end)

    # --- the end -----------------------------------------------------------------------------------------------------

    def close(self, cause: BaseException | None) -> None:
        """Answer the callers on this node, as the actor is dead. Its rows stay for the next one to spawn it."""
        self.timers.disarm_all()
        self.room.close()
        error: ActorDeadError = dead_before(self.ref, cause)
        error.add_note("the message stays in the store, and is handled when the actor is spawned again")
        self.runtime.ownership.forget(self, error)


@handles(RowsArrived, silent=True)
def run_mail(ref: Any, mail: RowsArrived) -> Any:
    """Handle the next row of a durable mailbox."""
    box: Mailbox = ref._box
    return box.handle(box.next_row, mail)


@handles(TimerFired, silent=True)
def run_due(ref: DurableRef, due: TimerFired) -> Any:
    """Handle a timer of a durable actor."""
    box: Mailbox = ref._box
    return box.handle(box.due_timer, due)


@handles(MessageInMemory, silent=True)
def run_again(ref: DurableRef, again: MessageInMemory) -> Any:
    """Try a message of the runtime's own again."""
    box: Mailbox = ref._box
    return box.handle(box.in_memory, again)
