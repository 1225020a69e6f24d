"""Bounded mailboxes, their overflow, and the line of senders that wait. An unbounded mailbox is just the run queue."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.atomic import at_once
from actorflow.core.futures.future import Future
from actorflow.core.futures.wait_graph import dead_before, deadlock
from actorflow.core.messages.execution import CURRENT
from actorflow.core.messages.handlers import handles
from actorflow.core.refs.cell import DEAD, ENDING, WORK
from actorflow.core.refs.ref import ActorRef
from actorflow.core.refs.termination import refuse
from actorflow.errors import MailboxFull
from actorflow.text import plural

if TYPE_CHECKING:
    from actorflow.core.messages.execution import Item
    from actorflow.core.running.run_queue import SchedulerThread

CHUNK: Final = 256  # places; they are made as they are needed, since a capacity of 10**9 may mean "enough"


class BoundedMail:
    """Stands in the run queue for one message of a bounded mailbox."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Mail()"


MAIL = BoundedMail()


class Place(Future[None]):
    """The place of a sender in the line for room; done once it is let in.

    Attributes:
        item: the message that is put in then, if that is not left to the sender.
    """

    __slots__ = ("item",)

    _patient = True

    def __init__(self, target: ActorRef[Any] | None, item: Item | None = None) -> None:
        super().__init__(target)
        self.item = item


class Room(deque[Place]):
    """The line of senders that wait for room. Each step is one call of a deque, so any thread may be interrupted in it.

    Room may come, or the receiver end, just before a sender stands in line: so it looks again once it does.
    """

    __slots__ = ()

    def wait(self, place: Place, look: Callable[[], object], timeout: float | None = None) -> None:
        """Wait in line; `look` lets senders in if there is room, or will be none any more.

        Raises:
            AskTimeout: there was no room in time.
        """
        try:
            self.join(place)
            look()
            place.get(timeout=timeout)
        except BaseException:
            self.leave(place)
            raise

    def join(self, place: Place) -> None:
        """Stand in line."""
        self.append(place)

    def leave(self, place: Place) -> bool:
        """Leave the line; False if the sender was let in already."""
        try:
            self.remove(place)
        except ValueError:
            return False
        return True

    def next(self) -> Place | None:
        """Take the first place out of the line; whoever does so lets its sender in."""
        try:
            return self.popleft()
        except IndexError:
            return None

    def admit(self) -> None:
        """Let in the first sender that still waits."""
        while (place := self.next()) is not None:
            if place._settle(None, None):
                return

    def close(self) -> None:
        """Let all senders go on: there is room for all, or none for anybody."""
        while (place := self.next()) is not None:
            place._settle(None, None)


class BoundedRef(ActorRef[Any]):
    """A ref whose sends count messages. They wait in `_mail`; the run queue holds a Mail for each.

    `_room` has a byte for each message that still fits. Senders are on any thread, and a finaliser that sends, or a
    signal's handler that raises, may come between any two bytecodes of theirs; so there is no lock that they could
    leave held: place, message and Mail are taken and put in one step (see `actorflow.core.atomic`), and the holder of
    the baton does the rest.
    """

    _is_plain = False

    __slots__ = ("_debt", "_dropped", "_mail", "_more_room", "_move_oldest", "_room", "_senders")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._mail: deque[Item] = deque()
        self._senders = Room()
        self._dropped: deque[Item] = deque()
        self._debt = 0  # stashed messages that found no place left: the next ones that become free are theirs
        self._room = bytearray()
        chunks, rest = divmod(self._traits.options.capacity or 0, CHUNK)
        self._more_room: Callable[[], Any] = map(
            self._room.extend, chain(repeat(bytes(CHUNK), chunks), repeat(bytes(rest), bool(rest)))
        ).__next__
        self._move_oldest: Callable[[], Any] = map(self._dropped.append, iter(self._mail.popleft, None)).__next__

    # --- sends: any thread, interrupted anywhere ----------------------------------------------------------------------

    def tell(self, message: Any) -> None:
        """Send a message; when the mailbox is full, follow its `overflow`."""
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
        if not self._enter(item):
            self._wait_for_room(item)

    def _arrive(self, message: Any, future: Future[Any] | None, sender: ActorRef[Any] | None) -> None:
        """Put a message that came from another process into the mailbox, or in line for it; never waits."""
        item = (self, message, future, sender)
        try:
            if not self._enter(item):
                self._senders.join(Place(None, item))
                self._look_for_room()
        except MailboxFull as error:
            self._reject(item, error)

    def _enter(self, item: Item) -> bool:
        """Put an item into the mailbox; False if it has to wait in line for that."""
        if not self._senders and self._put(item):
            return True
        options = self._traits.options
        if options.overflow == "block":
            return False
        if (options.overflow == "drop_oldest" and self._take_place(item)) or self._put(item):
            return True
        msg = f"{self.path} holds its {plural(options.capacity or 0, 'message')}"
        raise MailboxFull(msg)

    def _put(self, item: Item) -> bool:
        """Put an item in if there is room."""
        scheduler = self._scheduler
        append = partial(self._mail.append, item)
        ring = partial(scheduler.inbox.append, (self, MAIL, None, None))
        while True:
            try:
                at_once(self._room.pop, append, ring)
                break
            except IndexError:
                if not self._find_room():
                    return False
        self._scheduler.tell_holder()
        return True

    def _find_room(self) -> bool:
        """Make places that were not needed before; False if there are no more."""
        try:
            self._more_room()
        except StopIteration:
            return False
        return True

    def _take_place(self, item: Item) -> bool:
        """Drop the oldest message, whose Mail then stands for the new one; False if all are stashed."""
        scheduler = self._scheduler
        answer = partial(scheduler.inbox.append, (WORK, self._answer_dropped, None, None))
        try:
            at_once(self._move_oldest, partial(self._mail.append, item), answer)
        except IndexError:
            return False
        scheduler.tell_holder()
        return True

    def _wait_for_room(self, item: Item) -> None:
        if item[3] is self:
            raise deadlock([self, self])
        self._senders.wait(Place(self, item), self._look_for_room)

    def _look_for_room(self) -> None:
        if self._room or self._state >= ENDING:  # it came free, or the actor died, just before
            self._scheduler.post_work(self._admit)
        if self._scheduler.closed:
            self._admit()

    # --- the handlers of the actor, and the holder of the baton ------------------------------------------------------

    def _take(self) -> Item | None:
        """Take the next message out, and have a waiting sender's put in."""
        try:
            item = self._mail.popleft()
        except IndexError:
            return None
        self._free()
        return item

    def _free(self) -> None:
        if self._debt:
            self._debt -= 1
            return
        self._room.append(0)
        if self._senders:
            self._scheduler.post_work(self._admit)

    def _admit(self) -> None:
        """Let waiting senders in, in line, as far as there is room."""
        if self._state == DEAD:
            self._close(self._cold.cause if self._cold is not None else None)
        while self._senders and (self._room or self._find_room()):
            try:
                self._room.pop()
            except IndexError:  # a new sender was quicker
                continue
            first = self._senders.next()
            if first is None:  # it has just given up
                self._room.append(0)
                return
            assert first.item is not None
            self._mail.append(first.item)
            self._scheduler.post(self, MAIL, None)
            first._settle(None, None)

    def _answer_dropped(self) -> None:
        for item in drained(self._dropped):
            self._reject(item, MailboxFull(f"{self.path} dropped its oldest message for a new one"))

    def _reject(self, item: Item, error: MailboxFull) -> None:
        _, message, future, sender = item[:4]
        if future is not None:
            future._settle(None, error)
        else:
            self._scheduler.post_work(lambda: self._scheduler.events.dead_letter(self, message, sender, error))

    def _count_stashed(self, change: int) -> None:
        """Take a place for a message that is put aside, or give it back."""
        if change < 0:
            self._free()
            return
        try:
            self._room.pop()
        except IndexError:
            if self._find_room():
                self._room.pop()
            else:
                self._debt += 1

    def _put_back(self, items: deque[Item]) -> None:
        self._mail.extendleft(reversed(items))  # they have kept their places
        super()._put_back(deque((self, MAIL, None, None) for _ in items))

    def _close(self, cause: BaseException | None) -> None:
        """Answer the messages, and the senders that wait for room."""
        self._answer_dropped()
        for item in drained(self._mail):
            self._room.append(0)
            refuse(item, cause)
        while (place := self._senders.next()) is not None:
            assert place.item is not None
            if place._target is None:  # it came from another process: nobody waits for room
                refuse(place.item, cause)
            else:
                place._settle(None, None if self._pass_on(place.item) else dead_before(self, cause))


def drained(queue: deque[Any]) -> Iterator[Any]:
    """Take out all that is there; several threads may."""
    while queue:
        try:
            item = queue.popleft()
        except IndexError:
            return
        yield item


@handles(BoundedMail, silent=True)
def run_mail(ref: BoundedRef, _mail: BoundedMail) -> Any:
    """Handle the next message of a bounded mailbox."""
    item = ref._take()
    if item is None:
        return None
    worker: SchedulerThread = CURRENT.get()  # type: ignore[assignment]  # each message is handled on one
    return worker.scheduler.handle(worker, item)
