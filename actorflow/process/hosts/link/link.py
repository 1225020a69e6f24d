"""Link: the messages between two processes of one system. Both ends run this code.

Messages are pickled by their sender at once, and written in batches. `outbox` writes them; at the parent's end `reader`
reads, and in the host `hosts.child.scheduler`.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from actorflow.core.futures.future import Future
from actorflow.core.messages.ref_table import REFS
from actorflow.errors import ActorDeadError, PayloadError
from actorflow.process.hosts.link.outbox import ANSWER, ASK, FAILURE, FORGET, INTRODUCE, RUNTIME, TELL, Outbox, own
from actorflow.process.hosts.link.reader import Ear, RemoteFuture
from actorflow.process.pickling import dump_error, dumps, load_error, loads
from actorflow.process.proxies import MANAGERS, MODULES, keep_proxies
from actorflow.process.wire import WAITING
from actorflow.text import text_of

if TYPE_CHECKING:
    from mmap import mmap

    from actorflow.core.refs.ref import ActorRef
    from actorflow.process.hosts.link.node import ProcessNode
    from actorflow.process.wire import Connection

SENDERS: Final = 1000  # introduced before all are forgotten
PAGE: Final = 1 << 20  # asks whose begin can be told from the shared page


class HostLink(Outbox):
    """One end of the connection to another process. `node` is this process; `name` is the other's node.

    A `HostProcess` makes the parent's end, and the host's main function the other. Any thread may send; one thread at a
    time reads.

    `page`, at the parent's end, holds a byte for each open ask: not 0 once the child has begun to handle it.
    """

    def __init__(
        self, node: ProcessNode, name: str, connection: Connection, *, limit: int, page: mmap | None = None
    ) -> None:
        super().__init__(node, name, connection, limit=limit)
        self.page = page
        self.pending: dict[int, Asker] = {}  # open asks
        self.free: deque[int] = deque()
        self.senders: dict[int, ActorRef[Any]] = {}
        self.forgotten: dict[int, ActorRef[Any]] = {}  # for what was on its way when they were forgotten
        self.introduced: set[int] = set()
        self.received = 0
        self._begun = False  # `read_answers` deals with the frame that is read next, or was interrupted there
        self._numbers = itertools.count()
        self.ear: Ear | None = None  # at the parent's end

    # --- out: any thread ---------------------------------------------------------------------------------------------

    def tell(self, ref: ActorRef[Any], node: str, message: Any, sender: ActorRef[Any] | None) -> None:
        """Send a message that wants no answer."""
        data, buffers = dumps(message)
        uid = 0 if sender is None else self.known(sender)
        if buffers:
            self.put_at_once((TELL, ref.uid, node, data, len(buffers), uid), buffers)
            return
        if self.queued > self.limit:
            self._wait_for_room(ref)
        self.queued += len(data)  # before the append: the thread that takes the last item sets it to 0
        self.outbox.append((TELL, ref.uid, node, data, 0, uid))
        if self._writer_rests:
            self.nudge()
        if self.closed is not None:  # it may have closed before it could see this one
            self.drop_outbox()

    def ask(
        self, ref: ActorRef[Any], node: str, message: Any, sender: ActorRef[Any] | None, future: Future[Any]
    ) -> None:
        """Send a message at once; its answer will settle the future."""
        data, buffers = dumps(message)
        if MANAGERS in MODULES:
            keep_proxies(message, data, future)
        uid = 0 if sender is None else self.known(sender)
        number = self.expect(future)
        item = (ASK, ref.uid, node, data, len(buffers), uid, number)
        if buffers:
            self.put_at_once(item, buffers)
        elif not self.write_past(item):
            self.put(item, len(data), ref, write=self.flush)

    def expect(self, future: Asker) -> int:
        """Return a number for an ask; its page says that it has not begun."""
        try:
            number = self.free.popleft()
        except IndexError:
            number = next(self._numbers)
        if self.page is not None and number < PAGE:
            try:  # noqa: SIM105 - contextlib's takes half a microsecond
                self.page[number] = 0
            except ValueError:  # it is closed, as the link is
                pass
        self.pending[number] = future
        if self.closed is not None and self.pending.pop(number, None) is not None:  # too late: it will not be written
            future._settle(None, self.error_for(future, began=False))
        return number

    def known(self, sender: ActorRef[Any]) -> int:
        """Return the number of a sender, after the other end was let know it."""
        uid = sender.uid
        if uid not in self.introduced:
            if len(self.introduced) >= SENDERS:
                self.introduced.clear()
                self.put((FORGET,), 0)
            data, _ = dumps(sender)
            self.put((INTRODUCE, uid, data), 0)
            self.introduced.add(uid)
        return uid

    def forward(
        self,
        uid: int,
        node: str,
        data: bytes,
        buffers: Any,
        sender: ActorRef[Any] | None,
        asker: Asker | None,
        origin: HostLink | None = None,
    ) -> None:
        """Send a message that is pickled already; never waits. `asker` is the future its answer settles, or None.

        `origin`: the node it came from. When too much waits here, senders there are to wait.
        """
        item: tuple[Any, ...] = (TELL, uid, node, data, len(buffers), 0 if sender is None else self.known(sender))
        if asker is not None:
            item = (ASK, *item[1:], self.expect(asker))
        self._append(item, buffers, len(data))
        if self.queued > self.limit and origin is not None:
            self._hold_back(uid, origin)
        if self.closed is not None:
            self.drop_outbox()

    def request(self, node: str, verb: str, *arguments: Any, future: Asker | None = None) -> Future[Any]:
        """Ask the runtime of a node; never waits. Returns the future that the answer settles, if it is not a relay."""
        answer = Future() if future is None else future
        data, buffers = dumps((verb, *arguments), verb)
        self._append((ASK, RUNTIME, node, data, len(buffers), 0, self.expect(answer)), own(buffers), len(data))
        return answer  # type: ignore[return-value]  # who relays one does not look at it

    def note(self, node: str, verb: str, *arguments: Any) -> None:
        """Tell the runtime of a node; never waits, and is lost with the link."""
        data, buffers = dumps((verb, *arguments), verb)
        self._append((TELL, RUNTIME, node, data, len(buffers), 0), own(buffers), len(data))

    def answer(self, number: int, value: Any) -> None:
        """Send the answer to an ask of the other end."""
        try:
            data, buffers = dumps(value, "the answer")
        except BaseException as error:  # PayloadError, or user code that failed, by SystemExit too: the asker's
            self.fail(number, contained(error, "an answer does not pickle"))
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise  # a signal's
            return
        if buffers:
            self.put_at_once((ANSWER, number, data, len(buffers)), buffers)
        else:
            self.put_answer((ANSWER, number, data, 0))

    def put_answer(self, item: tuple[Any, ...]) -> None:
        """Queue an answer, and see that it is written when it is best for many."""
        self.outbox.append(item)
        self.nudge()

    def reply(self, number: int, value: Any, error: BaseException | None) -> None:
        """Send the outcome of an ask of the other end."""
        if error is not None:
            self.fail(number, error)
        else:
            self.answer(number, value)

    def fail(self, number: int, error: BaseException) -> None:
        """Send the error that an ask of the other end ended with."""
        self.put((FAILURE, number, dump_error(error)), 0)

    # --- in: the thread that reads -----------------------------------------------------------------------------------

    def read_answers(self, flags: tuple[int]) -> bool:
        """Read a frame and deal with it so that a signal's handler may raise at any line; False: that cannot be.

        It can if the frame has nothing but answers for which nobody else waits. Then it is dealt with before it is
        taken, and work that a handler interrupted is done again by the next reader.

        Raises:
            EOFError, OSError: the other end is gone.
            BlockingIOError: see `Connection.peek`.
        """
        items, buffers, after = self.connection.peek(flags)
        if buffers or self._begun:
            return False
        for item in items:
            entry = self.pending.get(item[1]) if item[0] == ANSWER else None
            if type(entry) is not RemoteFuture or entry._wakes:
                return False
        self._begun = True
        numbers = []
        for _, number, data, _ in items:
            entry = self.pending.get(number)
            if entry is not None:
                try:
                    value = loads(data)
                except Exception:  # noqa: BLE001 - the next reader tells the waits
                    return False
                entry._settle(value, None)
                self.pending.pop(number, None)
                numbers.append(number)
        self.connection.take(after)
        self._begun = False
        self.free.extend(numbers)  # not before: an answer read again must not be taken for that to a new ask
        return True

    def _mend(self, items: list[Any]) -> None:
        """Open answers again that a signal interrupted while they were set."""
        self._begun = False
        for item in items:
            entry = self.pending.get(item[1]) if item[0] == ANSWER else None
            if type(entry) is RemoteFuture and not entry._done:
                entry._open = True

    def read_frame(self, flags: tuple[int] = WAITING) -> None:
        """Read a frame and deal with it.

        Raises:
            EOFError, OSError: the other end is gone.
            BlockingIOError: see `Connection.peek`.
        """
        items, buffers, after = self.connection.peek(flags)
        self.connection.take(after)
        if self._begun:
            self._mend(items)
        node, used, told = self.node, 0, False
        by_uid, append = REFS.by_uid, node.scheduler.inbox.append
        for item in items:
            try:
                kind = item[0]
                count = item[4] if kind <= ASK else item[3] if kind == ANSWER else 0
                if kind == TELL and not count and (ref := by_uid.get(item[1])) is not None and ref._is_plain:  # type: ignore[attr-defined]
                    self.received += 1
                    told = True
                    append((ref, loads(item[3]), None, self.sender(item[5]) if item[5] else None))  # type: ignore[arg-type]
                    continue
                if kind == ANSWER and not count:
                    self._answered(item[1], item[2])
                    continue
                if kind == ASK and not count and (ref := by_uid.get(item[1])) is not None and ref._is_plain:  # type: ignore[attr-defined]
                    self.received += 1
                    node.accept(self, ref, loads(item[3]), item[6], self.sender(item[5]) if item[5] else None)  # type: ignore[arg-type]
                    continue
                given = buffers[used : used + count] if count else ()
                used += count
                self._deal(kind, item, given)
            except BaseException as error:  # noqa: BLE001 - user code that unpickles, or a defect of ours; go on
                node.undelivered(self, item, error)
        if told and node.scheduler.idle:
            node.scheduler.wake()

    def _deal(self, kind: int, item: tuple[Any, ...], buffers: Any) -> None:
        if kind == TELL:
            self.received += 1
            self.node.deliver(self, item, buffers, None)
        elif kind == ASK:
            self.received += 1
            self.node.deliver(self, item, buffers, item[6])
        elif kind == ANSWER:
            self._answered(item[1], item[2], buffers)
        elif kind == FAILURE:
            _, number, data = item
            entry = self._close_ask(number)
            if type(entry) is Relay:
                entry.fail(data)
            elif entry is not None:
                entry._settle(None, load_error(data))
        elif kind == INTRODUCE:
            _, uid, data = item
            self.senders[uid] = loads(data)
        else:
            self.forgotten, self.senders = self.senders, {}

    def sender(self, uid: int) -> ActorRef[Any] | None:
        """Return the sender of that number; 0 is none."""
        return (self.senders.get(uid) or self.forgotten.get(uid)) if uid else None

    def _answered(self, number: int, data: bytes, buffers: Any = ()) -> None:
        """Settle the ask of that number."""
        entry = self._close_ask(number)
        if type(entry) is Relay:
            entry.answer(data, buffers)
        elif entry is not None:
            try:
                value = loads(data, buffers)
            except BaseException as error:  # noqa: BLE001 - user code; it is the asker's
                entry._settle(None, contained(error))
            else:
                entry._settle(value, None)

    def _close_ask(self, number: int) -> Asker | None:
        """Return the future that waits for an answer, and free its number; None if it was answered or given up."""
        entry = self.pending.pop(number, None)
        if entry is not None:
            self.free.append(number)
        return entry

    # --- end ---------------------------------------------------------------------------------------------------------

    def close(self, error: BaseException) -> None:
        """Note that the other end is gone: answer all open asks, and wake the waits."""
        if self.closed is not None:
            return
        self.closed = error
        self._broken = True
        self.connection.close()
        self.wake_writer()
        self.drop_pending()
        self._room.close()
        self._release()
        self.node.flow.release_all(("told by", self))
        self.drop_outbox()

    def drop_pending(self) -> None:
        """Answer all open asks: their process is gone."""
        while self.pending:
            try:
                number, entry = self.pending.popitem()
            except KeyError:
                return
            try:
                began = self.page is None or number >= PAGE or bool(self.page[number])
            except ValueError:  # the page is closed: this one came after the end
                began = False
            entry._settle(None, self.error_for(entry, began=began))

    def error_for(self, entry: Asker, *, began: bool) -> BaseException:
        """Make the error for an open ask."""
        error = self.closed
        clone: Callable[..., BaseException] | None = getattr(error, "for_ask", None)
        return clone(maybe_ran=began) if clone is not None else ActorDeadError(f"{entry!r}: {error}")


def contained(error: BaseException, what: str = "an answer does not unpickle") -> BaseException:
    """Wrap an error of pickling or unpickling that would end the asker's thread."""
    if isinstance(error, Exception):
        return error
    wrapped = PayloadError(f"{what}: {text_of(error)}")
    wrapped.__cause__ = error
    return wrapped


class Relay:
    """An ask on its way through this process: its answer goes on to the link that it came from."""

    __slots__ = ("link", "number")

    def __init__(self, link: HostLink, number: int) -> None:
        self.link = link
        self.number = number

    def answer(self, data: bytes, buffers: Any) -> None:
        """Send an answer on as it came."""
        self.link._append((ANSWER, self.number, data, len(buffers)), buffers, 0)

    def fail(self, data: bytes) -> None:
        """Send an error on as it came."""
        self.link._append((FAILURE, self.number, data), (), 0)

    def _settle(self, value: Any, error: BaseException | None) -> bool:
        """Answer from here: the process that should have is gone."""
        self.link.reply(self.number, value, error)
        return True


class Answer(Future[Any]):
    """The future of a message that came over a link: its value goes back there."""

    __slots__ = ("link", "number")

    def __init__(self, link: HostLink, number: int, target: ActorRef[Any]) -> None:
        Future.__init__(self, target)
        self.link = link
        self.number = number

    def _settle(self, value: Any, error: BaseException | None) -> bool:
        if not Future._settle(self, value, error):
            return False
        if error is None:
            self.link.answer(self.number, value)
        else:
            self.link.fail(self.number, error)
        return True


# What waits for an answer here.
Asker: TypeAlias = "Future[Any] | Relay"
