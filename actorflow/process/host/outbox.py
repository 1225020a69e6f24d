"""Outbox: what is to be written to another process, and who writes it. Layer 2. The writing half of a `Link`.

The sending thread writes if nothing was written for `QUIET` seconds, else the outbox's own thread, which takes along
what has come meanwhile.
"""

from __future__ import annotations

import _thread
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.future import Future
from actorflow.core.log import logger
from actorflow.errors import MailboxFull
from actorflow.process.host.flow import room_for

if TYPE_CHECKING:
    from actorflow.core.ref import ActorRef
    from actorflow.process.host.link import Link
    from actorflow.process.host.node import Node
    from actorflow.process.wire import Connection

# Kinds of items, and what follows the kind.
TELL: Final = 0  # uid, node, message, number of buffers, uid of the sender
ASK: Final = 1  # uid, node, message, number of buffers, uid of the sender, number of the ask
ANSWER: Final = 2  # number of the ask, value, number of buffers
FAILURE: Final = 3  # number of the ask, error
INTRODUCE: Final = 4  # uid, ref: a sender that the other end may not know
FORGET: Final = 5  # all senders that were introduced

RUNTIME: Final = 0  # the uid of a node's runtime; its messages are requests (see `actorflow.process.host.requests`)

QUIET: Final = 0.000_2  # seconds without a write, after which the sender writes himself
BATCH: Final = 1000  # items a frame: the reader handles them before the next


class Outbox:
    """See the module. `node` is this process; `name` is the other's node."""

    def __init__(self, node: Node, name: str, connection: Connection, *, limit: int) -> None:
        self.node = node
        self.name = name
        self.connection = connection
        self.limit = limit
        self.closed: BaseException | None = None
        self._broken = False  # nothing can be written any more; the reader will see the end, and close
        self.outbox: deque[Any] = deque()  # items, or Heavy
        self.queued = 0  # bytes in the outbox; the bound may be overrun by what is being added
        self.sent_at = 0.0
        self._left: list[list[Any]] = []  # frames that are written in part
        self._write_lock = _thread.allocate_lock()
        self._bell = _thread.allocate_lock()
        self._bell.acquire()
        self._writer_rests = True
        self._room: deque[Future[None]] = deque()
        self._held: deque[int] = deque()  # actors that other processes were told not to send to, see `Flow`

    # --- in: any thread ----------------------------------------------------------------------------------------------

    def _append(self, item: tuple[Any, ...], buffers: Sequence[memoryview], size: int) -> None:
        """Queue an item for the writer; never waits. `size`: bytes of a message or request, 0 of what answers one."""
        heavy = Heavy(item, buffers, size + sum([buffer.nbytes for buffer in buffers])) if buffers else None
        self.queued += size if heavy is None else heavy.size
        self.outbox.append(item if heavy is None else heavy)
        self.wake_writer()

    def put(
        self,
        item: tuple[Any, ...],
        size: int,
        ref: ActorRef[Any] | None = None,
        write: Callable[[], None] | None = None,
    ) -> None:
        """Queue an item, and see that it is written soon: by `write`, or when it is best for many."""
        if self.queued > self.limit and ref is not None:
            self._wait_for_room(ref)
        self.queued += size
        self.outbox.append(item)
        (write or self.nudge)()
        if self.closed is not None:  # it may have closed before it could see this one
            self.drop_outbox()

    def nudge(self) -> None:
        """Write now if it is quiet, else leave it to the writer."""
        if self._writer_rests:
            if time.perf_counter() - self.sent_at > QUIET:
                self.flush()
            else:
                self.wake_writer()

    def wake_writer(self) -> None:
        """Let the writer write."""
        self._writer_rests = False
        try:
            self._bell.release()
        except RuntimeError:  # woken already
            return

    # --- out ---------------------------------------------------------------------------------------------------------

    def start_writer(self) -> None:
        """Start the thread that writes what the senders leave to it."""
        threading.Thread(target=self._write_on, name=f"{self.node.system}-writer-{self.name}", daemon=True).start()

    def put_at_once(self, item: tuple[Any, ...], buffers: list[memoryview]) -> None:
        """Write an item with big buffers before returning: they are not copied, so they must not change before."""
        try:
            with self._write_lock:
                self._write_all()
                self._write([item], buffers)
        except BaseException:  # Ctrl-C in the middle of a frame: what follows would be read as its rest
            self.connection.close()
            raise
        if self.outbox:
            self.wake_writer()

    def write_past(self, item: tuple[Any, ...]) -> bool:
        """Write an ask or an answer now, if nothing is queued before it: the common case, in fewer steps.

        What cannot be written at once is the writer's. If the other end is gone, nobody misses it: the reader, which
        sees the end, answers the asks.
        """
        if self.outbox or self.closed is not None or not self._write_lock.acquire(blocking=False):
            return False
        try:
            written = self.connection.send_now([item])
        except OSError:
            written = True
        finally:
            self._write_lock.release()
        self.sent_at = time.perf_counter()
        if not written or self.outbox:
            self.wake_writer()
        return True

    def flush(self) -> None:
        """Write what is queued, unless another thread is about to."""
        while self.outbox and not self._broken and self._write_lock.acquire(blocking=False):
            try:
                if not self._write_now():
                    self.wake_writer()
                    return
            finally:
                self._write_lock.release()

    def _write_now(self) -> bool:
        """Write without waiting; False if there is more for the writer to do."""
        items, buffers = self._take()
        if buffers:
            self.outbox.appendleft(Heavy(items[0], buffers, 0))  # not counted any more: it is as good as written
            return False
        if not items:
            return True
        self.sent_at = time.perf_counter()
        try:
            written = self.connection.send_now(items)
        except OSError:  # the reader sees the end
            self._put_back(items)
            return True
        if not written:
            self._left.append(items)
        return written

    def _take(self) -> tuple[list[tuple[Any, ...]], Sequence[memoryview]]:
        """Take a frame's items out of the outbox, and the buffers of an item that has any."""
        items: list[tuple[Any, ...]] = []
        outbox = self.outbox
        while len(items) < BATCH:
            try:  # `drop_outbox` may empty it meanwhile
                item = outbox.popleft()
            except IndexError:
                break
            if item.__class__ is not Heavy:
                items.append(item)
            elif items:
                outbox.appendleft(item)
                break
            else:
                self.queued -= item.size
                self._admit()
                return [item.item], item.buffers
        if outbox:
            self.queued -= sum([len(item[3]) for item in items if item[0] <= ASK])
        self._admit()
        return items, ()

    def _write_all(self) -> None:
        while self.outbox and not self._broken:
            self._write(*self._take())

    def flush_all(self) -> None:
        """Write all that is queued, and wait until it is written."""
        with self._write_lock:
            self._write_all()
            self._write_rest()

    def _write(self, items: list[tuple[Any, ...]], buffers: Any) -> None:
        if self._left:
            self._write_rest()
        try:
            self.connection.send(items, buffers)
        except OSError:  # the reader sees the end, and answers what is open
            self._put_back([Heavy(items[0], buffers, 0)] if buffers else items)
            return
        self.sent_at = time.perf_counter()

    def _write_rest(self) -> None:
        """Write what `send_now` has left over of its frames."""
        try:
            self.connection.send_rest()
        except OSError:
            self._put_back([item for items in self._left for item in items])
        self._left.clear()

    def _put_back(self, items: list[Any]) -> None:
        """Keep what was not written, for the dead letters: the other end reads whole frames only."""
        self._broken = True  # first: who writes may be the reader, which has yet to see the end
        self.outbox.extendleft(reversed(items))
        if self.closed is not None:
            self.drop_outbox()

    def _write_on(self) -> None:
        try:
            self._write_for_others()
        except BaseException:  # noqa: BLE001 - a defect: nobody is to wait for ever
            self.connection.close()  # the reader sees the end, and answers what is open
            logger.exception("The writer of the link to %s failed; please report it", self.name or "the parent")

    def _write_for_others(self) -> None:
        while True:
            self._bell.acquire()
            if self.closed is not None:
                return
            while True:
                with self._write_lock:
                    self._write_all()
                    self._write_rest()
                    self._admit()
                self._writer_rests = True
                if not self.outbox or self._broken:
                    break
                self._writer_rests = False

    # --- back-pressure -----------------------------------------------------------------------------------------------

    def _wait_for_room(self, ref: ActorRef[Any]) -> None:
        """Wait until the other end has read some of what is queued; others run meanwhile. See `room_for`."""
        if ref._traits.options.overflow == "fail":
            msg = f"{self.queued} bytes wait to be sent to the process of {ref.path}, which does not read them"
            raise MailboxFull(msg)
        room = room_for(ref)
        self._room.append(room)
        self.wake_writer()  # it admits, even if it has nothing to write
        if self.closed is not None:
            room._settle(None, None)
        room.get()

    def _admit(self) -> None:
        """Let senders go on that wait for room, if there is some."""
        if not self.outbox:
            self.queued = 0
        if self.queued <= self.limit // 2:
            while self._room:
                self._room.popleft()._settle(None, None)
            if self._held:
                self._release()

    def _hold_back(self, uid: int, origin: Link) -> None:
        """Have the senders wait whose messages come by `origin`."""
        ref, flow = self.node.find(uid), self.node.flow
        if flow.hold(uid, self, origin, fails=ref is not None and ref._traits.options.overflow == "fail"):
            self._held.append(uid)
            self.wake_writer()  # it admits, even if it has nothing to write
            if self.closed is not None:
                self._release()

    def _release(self) -> None:
        while self._held:
            try:
                uid = self._held.popleft()
            except IndexError:
                return
            self.node.flow.release(uid, self)

    # --- end ---------------------------------------------------------------------------------------------------------

    def drop_outbox(self) -> None:
        """Report what was not written as dead letters; asks among it are answered by `drop_pending`."""
        while self.outbox:
            try:
                entry = self.outbox.popleft()
            except IndexError:
                return
            item, buffers = (entry.item, entry.buffers) if entry.__class__ is Heavy else (entry, ())
            if item[0] == TELL and item[1] != RUNTIME:
                self.node.lost(item, buffers, self.closed or EOFError())


def own(buffers: Sequence[memoryview]) -> list[memoryview]:
    """Copy big buffers: they are written later, and whose they are may change them before."""
    return [memoryview(bytes(buffer)) for buffer in buffers]


class Heavy:
    """Stands in the outbox for an item with big buffers, which a reader may not write itself."""

    __slots__ = ("buffers", "item", "size")

    def __init__(self, item: tuple[Any, ...], buffers: Sequence[memoryview], size: int) -> None:
        self.item = item
        self.buffers = buffers
        self.size = size  # as it counts for the bound
