"""DurableRuntime: the durable actors of one system: sends to them, answers, and news of other nodes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.actors.actor import Actor
from actorflow.core.futures.future import Future
from actorflow.core.log import logger
from actorflow.core.messages.messages import Start
from actorflow.core.outage import Outage
from actorflow.core.refs.bounded_mailbox import Place, Room
from actorflow.core.refs.cell import DEAD, ENDING
from actorflow.core.refs.ref import ActorRef
from actorflow.durable.context import DurableReply
from actorflow.durable.handling.mailbox import Mailbox
from actorflow.durable.handling.runtime_messages import RowsArrived
from actorflow.durable.node.housekeeping import Housekeeping
from actorflow.durable.node.open_asks import OpenAsks
from actorflow.durable.node.ownership import Ownership
from actorflow.durable.ref import DurableRef
from actorflow.durable.remote import (
    parent_requests,  # noqa: F401 - it adds the requests of child processes
    remote_ref,  # noqa: F401 - it has what unpickles a ref
)
from actorflow.durable.rows import ledger
from actorflow.durable.rows.answers import RUN
from actorflow.durable.rows.payload import Caused, pack, with_cause
from actorflow.durable.rows.records import Letter, MailRow, TimerRow
from actorflow.errors import ActorDeadError, ActorflowError, AskTimeout, MailboxFull, OutcomeUnknown
from actorflow.store.classes import find_imported
from actorflow.store.codec import encode
from actorflow.store.commit_batch import batch_of
from actorflow.tasks.cause import Cause, cause_here

if TYPE_CHECKING:
    from actorflow.core.running.scheduler import Scheduler
    from actorflow.store.store import Store

HANDED: Final = 1000  # messages that an actor is given without a look into the store; more wait there
ROOM_SECONDS: Final = 1.0  # between two looks whether a full mailbox has room
OVERLAP: Final = {"sqlite": 0, "postgres": 1000}  # numbers may become visible out of order on a server


class DurableRuntime(ledger.LedgerContext):
    """The durable actors of one system in this process.

    Attributes:
        hear_of_runs: called when a run that is not loaded here may have got mail.
        log: the event log of the store, as this process has it; None until something of it is used.
    """

    START: Final = Start()  # the message of the handler of `on_start`

    def __init__(self, scheduler: Scheduler, store: Store) -> None:
        self.asks = OpenAsks(self)
        super().__init__(scheduler.clock.time)
        self.scheduler = scheduler
        self.store = store
        self.boxes: dict[str, Mailbox] = {}
        self.hear_of_runs: Callable[[], object] = lambda: None
        self.log: Any = None
        self.node = store.node.id
        self.batch = batch_of(scheduler, store)
        self.housekeeping = Housekeeping(self, scheduler)
        self.ownership = Ownership(self)
        self._last_number = self._gaps = 0
        self._undone = store.undone
        self._undone_before = self._undone.count  # the last number was given
        self._own_since = 1  # from this number to the last one this process has put all rows of the store
        self.in_a_row = store.dialect == "sqlite"
        self._news_lock = threading.Lock()
        self.is_closed = False
        self._rooms = Room()  # senders that wait, in mailboxes of other nodes
        self._seen = self._newest()
        self.outage = Outage(scheduler.clock)  # of the store, as the actors feel it
        self._unread = Outage(scheduler.clock)
        self._unwatch = store.watch(self.look)
        self.housekeeping.start()

    def _newest(self) -> int:
        row = self.store.read(lambda tx: tx.one("actors.newest"))
        return int(row[0]) if row is not None and row[0] is not None else 0

    # --- addresses ---------------------------------------------------------------------------------------------------

    def keeps(self, ref: ActorRef[Any]) -> bool:
        """Say whether an actor's rows are in this store."""
        return isinstance(ref, DurableRef) and ref._runtime is self

    def capacity(self, name: str) -> int | None:
        """Return how many messages an actor's mailbox holds; ELSEWHERE if that is in its row."""
        box = self.boxes.get(name)
        return box.capacity if box is not None else ledger.ELSEWHERE

    def ref_to(self, address: tuple[str, str]) -> ActorRef[Any]:
        """Return the ref behind a stored address."""
        name, class_name = address
        box = self.boxes.get(name)
        if box is not None and box.ref._state != DEAD:
            return box.ref
        kind = find_imported(class_name)
        is_actor = isinstance(kind, type) and issubclass(kind, Actor)
        return self.ref_of(name, kind if is_actor else Actor)  # type: ignore[arg-type]

    def ref_of(self, name: str, cls: type[Any]) -> ActorRef[Any]:
        """Return the ref of the durable actor of a name; its class is known better if it was spawned here."""
        box = self.boxes.get(name)
        if box is not None and box.ref._state != DEAD:
            return box.ref
        return DurableRef.elsewhere(self, name, cls)

    @property
    def reply_at(self) -> Callable[[str, int], Any]:
        """The function that makes a pickled reply again, here or in a child process."""
        from actorflow.durable.remote.guest import reply_at  # noqa: PLC0415 - most programs have no hosts

        return reply_at

    def reply_to(self, number: int) -> DurableReply:
        """Return the promised answer of a message."""
        return DurableReply(self, number)

    # --- sends from outside of durable handlers ----------------------------------------------------------------------

    def put(
        self,
        ref: DurableRef,
        message: Any,
        future: Future[Any] | None,
        sender: ActorRef[Any] | None,
        id: str | None = None,
    ) -> bool:
        """Commit a message; waits for room, if the mailbox is bounded and blocks.

        Returns:
            False if a message of that id came in the last week: then nothing is done.
        """
        letter = self._letter(ref, message, future, sender, cause_here())
        box = self.boxes.get(ref._key)
        if future is not None and box is not None and box.aside is not None:
            raise box.aside
        if box is None:
            return self._put_elsewhere(ref, letter, id)
        if box.capacity is None:
            return self._commit(box, letter, None, id)
        while True:
            place = Place(ref)
            box.room.join(place)
            try:
                taken = self._commit(box, letter, box.capacity, id)
            except MailboxFull:
                if ref._traits.options.overflow != "block":
                    raise
                with contextlib.suppress(AskTimeout):
                    place.get(timeout=ROOM_SECONDS)
            else:
                if place._done:
                    box.room.admit()  # it was let in without need: another one may go
                return taken
            finally:
                box.room.leave(place)
            if ref._state >= ENDING:
                raise ref._dead()

    def _put_elsewhere(self, ref: DurableRef, letter: Letter, id: str | None) -> bool:
        """Commit a message to an actor of another node; waits for room, if its mailbox is bounded and blocks."""
        name = ref._key
        while True:
            try:
                taken = self._commit(None, letter, ledger.ELSEWHERE, id)
                ref._was_owned = letter.is_owned
                return taken
            except MailboxFull:
                if self._overflow(ref, None) == "fail":
                    raise
            with contextlib.suppress(AskTimeout):
                self._rooms.wait(Place(ref), lambda: None, ROOM_SECONDS)
            if self.is_closed:
                raise ActorDeadError(f"{name}: this system has ended while its mailbox was full")

    def _overflow(self, ref: DurableRef, box: Mailbox | None) -> str:
        """Return the effect of a message to a full mailbox: "block" or "fail"."""
        if box is not None:
            return ref._traits.options.overflow
        _, overflow = self.store.read(lambda tx: ledger.bounds(tx, [ref._key])).get(ref._key, (0, "block"))
        return overflow

    def _letter(
        self,
        ref: DurableRef,
        message: Any,
        future: Future[Any] | None,
        sender: ActorRef[Any] | None,
        cause: Cause | None,
    ) -> Letter:
        asker = self.node if future is not None else None
        body = with_cause(pack(message, self.scheduler.payload_limit), cause)
        return Letter(ref._key, body, encode(sender) if sender is not None else None, asker, future)

    def _commit(self, box: Mailbox | None, letter: Letter, capacity: int | None, id: str | None = None) -> bool:
        if id is None:
            work = partial(ledger.put, context=self, letter=letter, capacity=capacity)
        else:
            work = partial(ledger.put_once, context=self, letter=letter, id=id, capacity=capacity)
        try:
            self.store.write(work, durability=box.durability if box is not None else None)
        except BaseException as error:
            if isinstance(error, OutcomeUnknown):
                self.doubt([letter.receiver])
            self.asks.take(letter.number)
            raise
        if letter.is_put:
            self.announce(letter)
        return letter.is_put

    def put_later(
        self, ref: DurableRef, message: Any, future: Future[Any] | None, sender: ActorRef[Any] | None
    ) -> None:
        """Commit a message soon, in order; errors are the asker's, or make it a dead letter.

        Nobody can wait for room here, so a full mailbox that would block takes it all the same.
        """
        cause = cause_here()
        if type(message) is Caused:  # of a child process
            cause, message = Cause(message.correlation, message.id), message.message

        def put() -> None:
            try:
                box = self.boxes.get(ref._key)
                letter = self._letter(ref, message, future, sender, cause)
                try:
                    self._commit(box, letter, self.capacity(ref._key))
                except MailboxFull:
                    if self._overflow(ref, box) == "fail":
                        raise
                    self._commit(box, letter, None)
            except ActorflowError as error:
                if future is not None:
                    future._settle(None, error)
                else:
                    events, reason = self.scheduler.events, error
                    self.scheduler.post_work(lambda: events.dead_letter(ref, message, sender, reason))

        self.batch.do(put)

    def numbered(self, letter: Letter, number: int) -> None:
        """Note the number of a row, and which row of its receiver comes right before it.

        As long as all rows of the store are put by this process their numbers have no gaps; one tells of another
        process, or of a commit that was undone, and then the receivers look into the store once.
        """
        if letter.future is not None:  # here, not after the commit: the answer may come before that is told
            self.asks.put(letter, number)
        letter.number = number
        undone = self._undone.count
        if number != self._last_number + 1 or undone != self._undone_before:  # that may be another process's by now
            self._gaps += 1
            self._own_since = number
            self._undone_before = undone
        self._last_number = number
        box = self.boxes.get(letter.receiver)
        if box is not None:
            gaps, before = box.chain
            letter.after = before if gaps == self._gaps else None
            box.chain = (self._gaps, number)

    def announce(self, letter: Letter) -> None:
        """Give an actor of this node a row that is committed."""
        box = self.boxes.get(letter.receiver)
        if box is None:
            if letter.receiver.startswith(RUN):
                self.hear_of_runs()
            return
        entry = None
        if letter.after is not None and box.handed < HANDED:
            entry = MailRow(letter.number, letter.sender, letter.asker, 0, 0, letter.body)
            box.handed += 1
        box.hear(RowsArrived(letter.number, entry, letter.after))

    @contextlib.contextmanager
    def doubting(self, names: Iterable[str]) -> Iterator[None]:
        """Have actors of this node read their rows anew, if nobody knows the outcome of a commit that concerns them."""
        try:
            yield
        except OutcomeUnknown:
            self.doubt(names)
            raise

    def doubt(self, names: Iterable[str]) -> None:
        """Have actors of this node read their rows anew: something may have been committed of which nobody was told."""
        for name in set(names):
            box = self.boxes.get(name)
            if box is not None:
                box.is_doubtful = True
                box.hear(RowsArrived(0))
            elif name.startswith(RUN):
                self.hear_of_runs()

    # --- timers from outside of handlers -----------------------------------------------------------------------------

    def add_timer(self, box: Mailbox, row: TimerRow) -> None:
        """Commit a timer."""
        values = {"actor": box.name, "due": row.due, "period": row.period, "body": row.body}
        with self.doubting([box.name]):
            added = self.store.write(lambda tx: tx.one("actors.add_timer", values), durability=box.durability)
        row.id = added[0] if added is not None else 0
        self.scheduler.post_work(lambda: box.timers.arm(row))

    def drop_timer(self, box: Mailbox, id: int) -> bool:
        """Commit the end of a timer."""
        with self.doubting([box.name]):
            dropped = self.store.write(lambda tx: tx.run("actors.drop_timer", {"id": id}), durability=box.durability)
        self.scheduler.post_work(lambda: box.timers.disarm(id))
        return dropped > 0

    # --- other nodes -------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Another process has committed something; called from a thread of the store."""
        with self._news_lock:
            try:
                after = max(0, self._seen - OVERLAP[self.store.dialect])
                rows = self.store.read(lambda tx: tx.all("actors.news", {"seen": after}))
            except ActorflowError as error:
                text = "The store could not be read, tried again at its next change: %s"
                self._unread.note(logger.warning, text, error)
                return
            if self._unread.lasts:
                self._unread.over(logger.warning, "The store can be read again")
            self._seen = max([self._seen, *(row[1] for row in rows)])
            is_own = self._seen <= self._last_number and self._own_since <= after + 1  # in this order: numbers go on
            if is_own and self._undone_before == self._undone.count:
                rows = []  # this process has put them
        for name, number in rows:
            box = self.boxes.get(name)
            if box is not None:
                box.hear(RowsArrived(number))
        self._rooms.close()
        if self.asks:
            self.housekeeping.do("a look for answers", self.asks.fetch)
        if self.ownership.standbys:
            self.housekeeping.do("a look at actors of other nodes", self.ownership.look)
        if self.scheduler.is_virtual:  # others may have come
            self.housekeeping.start()

    def close(self) -> None:
        """Answer the callers that still wait, and give the actors back, as the system has ended."""
        if self.is_closed:
            return
        self.is_closed = True
        self._unwatch()
        if self.log is not None:
            self.log.close()
        for number, name in self.asks.all():
            error = ActorDeadError(f"{name}: this system has ended; the message stays in the store")
            self.asks.end([number], error)
        try:
            self.store.write(partial(ledger.release_all, node=self.node), durability="process")
        except ActorflowError as error:
            logger.warning("The durable actors could not be released; other nodes get them all the same: %s", error)
