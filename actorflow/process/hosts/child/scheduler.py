"""Scheduler of a host: while it has nothing to do, the holder of the baton reads the link.

So a message to an idle host wakes one thread, which handles it and writes the answer. While handlers run, their
messages are left in the link's outbox until the run queue is empty, or a fifth of a millisecond is over; then the link
is looked at each millisecond, by a thread of its own.
"""

from __future__ import annotations

import _thread
import os
import select
import threading
import time
from typing import TYPE_CHECKING, Any

from actorflow.core.drivers.live import LiveScheduler
from actorflow.core.log import logger
from actorflow.process.hosts.link.link import HostLink
from actorflow.process.hosts.link.outbox import QUIET
from actorflow.process.wire import NoMemory

if TYPE_CHECKING:
    from actorflow.core.running.run_queue import SchedulerThread


class ParentLink(HostLink):
    """The host's end of the link to its parent."""

    def nudge(self) -> None:
        """Write now if nothing else waits to run, or nothing was written for a while.

        Else leave it to the holder of the baton, which writes before it rests; if that rests already, to the writer.
        """
        scheduler = self.node.scheduler
        if not (scheduler.inbox or scheduler.ready) or time.perf_counter() - self.sent_at > QUIET:
            self.flush()
        elif scheduler.idle:
            self.wake_writer()

    def put_answer(self, item: tuple[Any, ...]) -> None:
        """Write an answer by the rule of `nudge`: now, or with the items after it."""
        scheduler = self.node.scheduler
        if (scheduler.inbox or scheduler.ready) and time.perf_counter() - self.sent_at <= QUIET:
            self.outbox.append(item)
            if scheduler.idle:
                self.wake_writer()
        elif not self.write_past(item):
            self.outbox.append(item)
            self.nudge()

    share = 0  # messages after which the parent is asked for another process; 0 is no bound

    def parent_gone(self) -> None:
        """End at once: nobody is there to tell."""
        os._exit(0)

    def end_for_memory(self, error: NoMemory) -> None:
        """Log the lack of memory, and end: no frame of the parent can be skipped. The senders get `HostDied`."""
        try:
            logger.critical("There was %s, so this host ends", error)
            self.flush_all()
        finally:
            os._exit(1)


class HostScheduler(LiveScheduler):
    """Runs the actors of a host, and reads the link while they rest. `attach` gives it the link."""

    link: ParentLink | None = None

    def __init__(self, **options: Any) -> None:
        self._ear = _thread.allocate_lock()  # the right to read the link
        self._listening: SchedulerThread | None = None
        self._reads = self._reads_seen = 0
        self._reader_bell = _thread.allocate_lock()
        self._reader_bell.acquire()
        self._door_in, self._door_out = os.pipe()
        for end in (self._door_in, self._door_out):
            os.set_blocking(end, False)
        super().__init__(**options)

    def attach(self, link: ParentLink) -> None:
        """Begin to read the link."""
        self._poll = select.poll()
        self._poll.register(link.connection.fileno(), select.POLLIN)
        self._poll.register(self._door_in, select.POLLIN)
        self._look = select.poll()
        self._look.register(link.connection.fileno(), select.POLLIN)
        self.link = link
        threading.Thread(target=self._read_while_busy, name=f"{self.name}-reader", daemon=True).start()
        self.post_work(lambda: None)  # the holder may rest already, and not listen

    # --- the idle holder ---------------------------------------------------------------------------------------------

    def rest_idle(self, worker: SchedulerThread) -> bool:
        """Write the rest, and wait for work, on the link or from other threads. False: the system closed."""
        link = self.link
        if link is not None and link.outbox:
            link.flush()
        if link is None:
            return super().rest_idle(worker)
        woken = True
        self._ear.acquire()  # others hold it for moments only: a listener that is not the idle holder is knocked out
        self._listening = worker
        try:
            self.idle.append(worker)
            if self.inbox or self.closed:
                try:
                    self.idle.remove(worker)
                except ValueError:
                    woken = False
            else:
                woken = self._listen(worker, link)
        finally:
            self._listening = None
            self._ear.release()
        if not woken:  # somebody has taken the baton from this thread, or is just waking it
            return self.rest(worker)
        if self.preemption.asleep:
            self.preemption.ring()
        return not self.closed

    def _listen(self, worker: SchedulerThread, link: ParentLink) -> bool:
        """Wait for a frame or a knock; True if this thread has the baton afterwards, with something to do."""
        door = self._door_in
        while True:
            if not link.connection.ready():
                for fd, _ in self._poll.poll():
                    if fd == door:
                        self._drain_door()
                        if worker not in self.idle:
                            return False
                        if self.closed:
                            return self._leave_idle(worker)
                        break
                else:
                    return self._leave_idle(worker) and self._read(link)
            elif self._leave_idle(worker):
                return self._read(link)
            else:
                return False

    def _leave_idle(self, worker: SchedulerThread) -> bool:
        try:
            self.idle.remove(worker)
        except ValueError:
            return False
        return True

    def _read(self, link: ParentLink) -> bool:
        self._reads += 1
        try:
            link.read_frame()
        except NoMemory as error:
            link.end_for_memory(error)
        except (EOFError, OSError):
            link.parent_gone()
        if link.share and link.received >= link.share:
            link.share = 0
            link.note(link.name, "worn out")
        return True

    def wake(self) -> None:
        """Wake the idle holder; it may be listening."""
        super().wake()
        if self._listening is not None:
            self._knock()

    def _knock(self) -> None:
        try:
            os.write(self._door_out, b"!")
        except BlockingIOError:  # it is full of knocks
            return

    def _drain_door(self) -> None:
        try:
            os.read(self._door_in, 4096)
        except BlockingIOError:
            return

    def unseated(self, worker: SchedulerThread) -> None:  # noqa: ARG002
        """The idle holder's baton was taken: should it be listening, it is to stop that."""
        self._knock()

    # --- while handlers run ------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Have the link read and written if the holder has not come to it since the last tick."""
        link = self.link
        if link is None or self.idle:
            return
        if link.outbox:
            link.wake_writer()
        if self._reads == self._reads_seen:
            try:
                self._reader_bell.release()
            except RuntimeError:  # it is at it
                return
        self._reads_seen = self._reads

    def _read_while_busy(self) -> None:
        link = self.link
        assert link is not None
        while not self.closed:
            self._reader_bell.acquire()
            if self._ear.acquire(blocking=False):
                try:
                    while link.connection.ready() or self._look.poll(0):
                        self._read(link)
                finally:
                    self._ear.release()

    def close(self) -> None:
        """End all threads of the scheduler."""
        super().close()
        self._knock()
        try:
            self._reader_bell.release()
        except RuntimeError:
            return
