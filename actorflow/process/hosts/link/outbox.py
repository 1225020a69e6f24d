"""Outbox: the items to be written to another process, and their writer. The writing half of a `HostLink`.

The sending thread writes if nothing was written for `QUIET` seconds, else the outbox's own thread, which takes along
the items that have come meanwhile.
"""

from __future__ import annotations

import _thread
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import repeat
from operator import call
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.atomic import at_once, exclusively
from actorflow.core.log import logger
from actorflow.core.refs.bounded_mailbox import Room
from actorflow.errors import MailboxFull
from actorflow.process.hosts.link.flow_control import place_for
from actorflow.process.pickling import dump_error
from actorflow.process.wire import AT_HAND, JOINED, Frame

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.process.hosts.link.link import HostLink
    from actorflow.process.hosts.link.node import ProcessNode
    from actorflow.process.wire import Connection

# Kinds of items, and the fields behind the kind.
TELL: Final = 0  # uid, node, message, number of buffers, uid of the sender
ASK: Final = 1  # uid, node, message, number of buffers, uid of the sender, number of the ask
ANSWER: Final = 2  # number of the ask, value, number of buffers
FAILURE: Final = 3  # number of the ask, error
INTRODUCE: Final = 4  # uid, ref: a sender that the other end may not know
FORGET: Final = 5  # all senders that were introduced

RUNTIME: Final = 0  # the uid of a node's runtime; its messages are requests (see `hosts.link.requests`)

QUIET: Final = 0.000_2  # seconds without a write, after which the sender writes himself
BATCH: Final = 1000  # items a frame: the reader handles them before the next


class Outbox:
    """Writes the items for another process. `node` is this process; `name` is the other's node.

    It is the base of `HostLink`. Any thread may put items in; one at a time writes.
    """

    def __init__(self, node: ProcessNode, name: str, connection: Connection, *, limit: int) -> None:
        self.node = node
        self.name = name
        self.connection = connection
        self.limit = limit
        self.closed: BaseException | None = None
        self._broken = False  # nothing can be written any more; the reader will see the end, and close
        self.outbox: deque[Any] = deque()  # items, or Heavy
        self.queued = 0  # bytes in the outbox; the bound may be overrun by the item that is being added
        self.sent_at = 0.0
        self._taken: list[Any] = []  # items out of the outbox that are in no frame yet
        self._write_lock: Any = _thread.RLock()  # it knows whether this thread has it, wherever a signal came
        self._bell = _thread.allocate_lock()
        self._bell.acquire()
        self._writer_rests = True
        self._rouse = partial(at_once, partial(setattr, self, "_writer_rests", False), self._bell.release)
        self._room = Room()
        self._held: deque[int] = deque()  # actors that other processes were told not to send to, see `Flow`

    # --- in: any thread ----------------------------------------------------------------------------------------------

    def _append(self, item: tuple[Any, ...], buffers: Sequence[memoryview], size: int) -> None:
        """Queue an item for the writer; never waits. `size`: bytes of a message or request, 0 of an answer."""
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
        try:
            self._rouse()
        except RuntimeError:  # woken already
            return

    # --- out ---------------------------------------------------------------------------------------------------------

    def start_writer(self) -> None:
        """Start the thread that writes the items left to it by senders."""
        threading.Thread(target=self._write_on, name=f"{self.node.system}-writer-{self.name}", daemon=True).start()

    # A signal's handler may raise at any line. What is taken out of the outbox is somewhere at each of them: in
    # `_taken`, or in a frame of the connection; who writes next goes on there.

    def put_at_once(self, item: tuple[Any, ...], buffers: list[memoryview]) -> None:
        """Write an item with big buffers before returning: they are not copied, so they must not change before."""
        frame = framed([item], buffers)
        try:
            exclusively(self._write_lock, lambda: self._write_behind(frame))
        except BaseException:  # a signal: the rest of it is written later
            exclusively(self._write_lock, frame.own)
            self.wake_writer()
            raise
        if self.outbox:
            self.wake_writer()

    def _write_behind(self, frame: Frame) -> None:
        self._write_all()
        self.connection.frames.append(frame)
        self._write()

    def write_past(self, item: tuple[Any, ...]) -> bool:
        """Write an ask or an answer now, if nothing is queued before it: the common case, in fewer steps.

        Bytes that cannot be written at once are the writer's. If the other end is gone, nothing misses them: the
        reader, which sees the end, answers the asks.
        """
        lock = self._write_lock
        if self.outbox or self._taken or self.closed is not None or lock._is_owned():
            return False
        connection = self.connection
        try:
            try:
                if not lock.acquire(False):
                    return False
                connection.frames.append(framed([item]))
                connection.write(AT_HAND)
            except BaseException:
                try:  # noqa: SIM105 - see `core.atomic`
                    lock.release()
                except RuntimeError:
                    pass
                raise
            lock.release()
        except BaseException as error:
            self._give_back()
            if not isinstance(error, OSError) or error.errno is None:  # a signal's handler raised it
                raise
            return True
        self.sent_at = time.perf_counter()
        if self.outbox:
            self.wake_writer()
        return True

    def _give_back(self) -> None:
        """Give the right to write back after a signal, if this thread has it, and have the writer go on."""
        lock = self._write_lock
        if lock._is_owned():
            lock.release()
        self.wake_writer()

    def flush(self) -> None:
        """Write the queued items, unless another thread is about to."""
        lock = self._write_lock
        if lock._is_owned():  # a finaliser, or a signal's handler, sends in the midst of a write
            return
        try:
            try:
                while (self.outbox or self._taken) and not self._broken and lock.acquire(False):
                    written = self._write_now()
                    lock.release()
                    if not written:
                        self.wake_writer()
                        return
            except BaseException:
                try:  # noqa: SIM105 - see `core.atomic`
                    lock.release()
                except RuntimeError:
                    pass
                raise
        except BaseException:
            self._give_back()
            raise

    def _write_now(self) -> bool:
        """Write without waiting; False if there is more for the writer to do."""
        if self._room or self._held:
            return False  # it lets senders go on
        items, buffers = self._take()
        if buffers:
            return False
        if not items:
            return True
        self.sent_at = time.perf_counter()
        self._enter(items)
        return self._push()

    def _push(self) -> bool:
        """Write the connection's bytes, without waiting; False if there are more."""
        try:
            self.connection.write(AT_HAND)
        except BlockingIOError as error:
            if error.errno is None:  # a signal's handler raised it
                raise
            return False
        except OSError as error:
            self._note_end(error)
        return True

    def _take(self) -> tuple[list[tuple[Any, ...]], Sequence[memoryview]]:
        """Return a frame's items, which are in `_taken` then, and the buffers of an item that has any."""
        taken, outbox, frames = self._taken, self.outbox, self.connection.frames
        if frames and frames[-1].items is taken:  # a signal has come before `_enter` could note it
            taken = self._taken = []
        if not taken:
            try:  # noqa: SIM105 - contextlib's takes half a microsecond
                taken += map(call, repeat(outbox.popleft, min(len(outbox), BATCH)))  # in C: it is in the one or other
            except IndexError:  # `drop_outbox` empties it meanwhile
                pass
        for index, item in enumerate(taken):
            if item.__class__ is Heavy:
                keep = index or 1
                if len(taken) > keep:
                    back = partial(outbox.extendleft, taken[: keep - 1 : -1])
                    at_once(back, partial(taken.__delitem__, slice(keep, None)))
                if index:
                    break
                self.queued -= item.size
                item.size = 0  # not counted any more: it is as good as written
                return [item.item], item.buffers
        if outbox:
            self.queued -= sum([len(item[3]) for item in taken if item[0] <= ASK])
        else:
            self.queued = 0
        return taken, ()

    def _enter(self, items: list[tuple[Any, ...]], buffers: Sequence[memoryview] = ()) -> None:
        """Make a frame of the items in `_taken`; the connection has it then."""
        frame = framed(items, buffers)
        if buffers:
            at_once(partial(self.connection.frames.append, frame), self._taken.clear)
        else:  # `_take` sees it if a signal comes between these two; to do them at once takes a microsecond
            self.connection.frames.append(frame)
            self._taken = []

    def _write_all(self) -> None:
        while (self._taken or self.outbox) and not self._broken:
            items, buffers = self._take()
            if items:
                self._enter(items, buffers)
                self._write()
            self._admit()

    def flush_all(self) -> None:
        """Write all that is queued, and wait until it is written."""
        with self._write_lock:
            self._write_all()
            self._write()

    def _write(self) -> None:
        """Write the connection's bytes."""
        try:
            self.connection.write()
        except OSError as error:
            self._note_end(error)
        self.sent_at = time.perf_counter()

    def _note_end(self, error: OSError) -> None:
        """Keep the unwritten items, for the dead letters: the other end reads whole frames only.

        The reader sees the end, and answers open asks.
        """
        if error.errno is None:  # a signal's handler raised it: a TimeoutError, say
            raise error
        self._broken = True  # first: the writer may be the reader, which has yet to see the end
        lost: list[Any] = []
        for frame in self.connection.unsent():
            lost += [Heavy(frame.items[0], frame.buffers, 0)] if frame.buffers else frame.items
        self.outbox.extendleft(reversed([*lost, *self._taken]))
        self._taken.clear()
        if self.closed is not None:
            self.drop_outbox()

    def _write_on(self) -> None:
        try:
            self._write_for_others()
        except BaseException:  # noqa: BLE001 - a defect: nobody is to wait for ever
            self.connection.close()  # the reader sees the end, and answers the open asks
            logger.exception("The writer of the link to %s failed; please report it", self.name or "the parent")

    def _write_for_others(self) -> None:
        while True:
            self._bell.acquire()
            if self.closed is not None:
                return
            while True:
                with self._write_lock:
                    self._write_all()
                    self._write()
                    self._admit()
                self._writer_rests = True
                if not self.outbox or self._broken:
                    break
                self._writer_rests = False

    # --- back-pressure -----------------------------------------------------------------------------------------------

    def _wait_for_room(self, ref: ActorRef[Any]) -> None:
        """Wait until the other end has read some of the queued items; others run meanwhile. See `place_for`."""
        if ref._traits.options.overflow == "fail":
            msg = f"{self.queued} bytes wait to be sent to the process of {ref.path}, which does not read them"
            raise MailboxFull(msg)
        self._room.wait(place_for(ref), self._look_for_room)

    def _look_for_room(self) -> None:
        self.wake_writer()  # it admits, even if it has nothing to write
        if self.closed is not None:
            self._room.close()

    def _admit(self) -> None:
        """Let senders go on that wait for room, if there is some."""
        if not self.outbox:
            self.queued = 0
        if self.queued <= self.limit // 2:
            self._room.close()
            if self._held:
                self._release()

    def _hold_back(self, uid: int, origin: HostLink) -> None:
        """Make senders wait whose messages come by the link `origin`."""
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
        """Report unwritten messages as dead letters; asks among them are answered by `drop_pending`."""
        while self.outbox:
            try:
                entry = self.outbox.popleft()
            except IndexError:
                return
            item, buffers = (entry.item, entry.buffers) if entry.__class__ is Heavy else (entry, ())
            if item[0] == TELL and item[1] != RUNTIME:
                self.node.lost(item, buffers, self.closed or EOFError())


def framed(items: list[tuple[Any, ...]], buffers: Sequence[memoryview] = ()) -> Frame:
    """Make a frame of items; a big answer that there is no memory to copy becomes that error, or its asker would wait.

    Raises:
        MemoryError: no answer is to blame.
    """
    try:
        return Frame(items, buffers)
    except MemoryError as error:
        big = [index for index, item in enumerate(items) if item[0] == ANSWER and len(item[2]) > JOINED]
        if not big:
            raise
        for index in big:
            items[index] = (FAILURE, items[index][1], dump_error(error))
        return Frame(items)


def own(buffers: Sequence[memoryview]) -> list[memoryview]:
    """Copy big buffers that are written later: their owner may change them before."""
    return [memoryview(bytes(buffer)) for buffer in buffers]


class Heavy:
    """Stands in the outbox for an item with big buffers, which a reader may not write itself."""

    __slots__ = ("buffers", "item", "size")

    def __init__(self, item: tuple[Any, ...], buffers: Sequence[memoryview], size: int) -> None:
        self.item = item
        self.buffers = buffers
        self.size = size  # as it counts for the bound
