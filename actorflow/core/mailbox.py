"""Mailbox: the bounded kind, and what happens when it is full. Layer 1. An unbounded one is just the run queue."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from actorflow.core.actor import HANDLERS
from actorflow.core.burial import SILENT, refuse
from actorflow.core.current import CURRENT
from actorflow.core.future import Future, patient
from actorflow.core.ref import ENDING, ActorRef
from actorflow.core.waits import dead_before, deadlock
from actorflow.errors import MailboxFull

if TYPE_CHECKING:
    from actorflow.core.current import Item


class Mail:
    """Stands in the run queue for one message of a bounded mailbox."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Mail()"


MAIL = Mail()


class BoundedRef(ActorRef[Any]):
    """A ref whose sends count messages. They wait in `_mail`; the run queue holds a Mail for each.

    All is guarded by a lock, since senders are on any thread. It is re-entrant: a finaliser may send while its thread
    is in here.
    """

    _is_plain = False

    __slots__ = ("_lock", "_mail", "_senders", "_stashed")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._lock = threading.RLock()
        self._mail: deque[Item] = deque()
        self._senders: deque[tuple[Item, Future[None]]] = deque()
        self._stashed = 0

    def tell(self, message: Any) -> None:
        """Send a message; when the mailbox is full, do what its `overflow` says."""
        self._send(message, None)

    def _send(self, message: Any, future: Future[Any] | None) -> None:
        if self._state >= ENDING:
            raise self._dead()
        execution = CURRENT.get()
        sender = execution.item[0] if execution is not None else None
        if execution is not None and sender is None:
            execution.hold(self, message, future)
            return
        item = (self, message, future, sender)
        room: Future[None] = patient(self)
        if not self._enter(item, room):
            self._wait_for_room(item, room)

    def _arrive(self, message: Any, future: Future[Any] | None, sender: ActorRef[Any] | None) -> None:
        """Put a message that came from another process into the mailbox, or in line for it; never waits."""
        try:
            self._enter((self, message, future, sender), Future())
        except MailboxFull as error:
            self._reject(message, future, sender, error)

    def _enter(self, item: Item, room: Future[None]) -> bool:
        """Put an item into the mailbox; False if it is in line, and `room` tells when it is in."""
        options = self._traits.options
        assert options.capacity is not None
        with self._lock:
            if len(self._mail) + self._stashed < options.capacity:
                self._put(item)
                return True
            if options.overflow == "drop_oldest" and self._mail:
                oldest = self._mail.popleft()
                self._mail.append(item)  # takes over the Mail of the dropped one
            elif options.overflow != "block":
                msg = f"{self.path} holds its {options.capacity} messages"
                raise MailboxFull(msg)
            else:
                self._senders.append((item, room))
                return False
        self._drop(oldest)
        return True

    def _put(self, item: Item) -> None:
        self._mail.append(item)
        self._scheduler.post(self, MAIL, None)

    def _wait_for_room(self, item: Item, room: Future[None]) -> None:
        if item[3] is self:
            self._forget(room)
            raise deadlock([self, self])
        try:
            room.get()
        except BaseException:
            self._forget(room)
            raise

    def _forget(self, room: Future[None]) -> None:
        with self._lock:
            self._senders = deque(entry for entry in self._senders if entry[1] is not room)

    def _drop(self, item: Item) -> None:
        _, message, future, sender = item
        self._reject(message, future, sender, MailboxFull(f"{self.path} dropped its oldest message for a new one"))

    def _reject(
        self, message: Any, future: Future[Any] | None, sender: ActorRef[Any] | None, error: MailboxFull
    ) -> None:
        if future is not None:
            future._settle(None, error)
        else:
            self._scheduler.post_work(lambda: self._scheduler.events.dead_letter(self, message, sender, error))

    def _take(self) -> Item | None:
        """Take the next message out, and let a waiting sender put his in."""
        with self._lock:
            item = self._mail.popleft() if self._mail else None
            self._admit()
        return item

    def _admit(self) -> None:
        capacity = self._traits.options.capacity
        assert capacity is not None
        while self._senders and len(self._mail) + self._stashed < capacity:
            waiting, room = self._senders.popleft()
            self._put(waiting)
            room._settle(None, None)

    def _count_stashed(self, change: int) -> None:
        with self._lock:
            self._stashed += change

    def _put_back(self, items: deque[Item]) -> None:
        with self._lock:
            self._mail.extendleft(reversed(items))
            self._stashed = max(0, self._stashed - len(items))
        super()._put_back(deque((self, MAIL, None, None) for _ in items))

    def _close(self, cause: BaseException | None) -> None:
        """Answer the messages, and the senders that wait for room."""
        with self._lock:
            senders, self._senders = self._senders, deque()
            mail, self._mail = self._mail, deque()
        for item in mail:
            refuse(item, cause)
        for item, room in senders:
            if room._target is None:  # it came from another process: nobody waits for room
                refuse(item, cause)
            else:
                room._settle(None, None if self._pass_on(item) else dead_before(self, cause))


def run_mail(ref: Any, _mail: Mail) -> Any:
    """Handle the next message of a bounded mailbox."""
    item = ref._take()
    if item is None:
        return None
    worker: Any = CURRENT.get()
    return worker.scheduler.handle(worker, item)


HANDLERS[Mail] = run_mail
SILENT.add(Mail)
