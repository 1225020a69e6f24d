"""Virtual threads: the threads of a virtual system. One of them runs at any moment; the others are parked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from actorflow.core.drivers.unwinding import absorb, arm, bear, disarm
from actorflow.core.futures.thread_wait import DRIVERS
from actorflow.core.log import logger
from actorflow.core.messages.execution import Abandoned
from actorflow.core.running.async_handler import MOST_REFUSED, stopping
from actorflow.core.running.run_queue import SchedulerThread

if TYPE_CHECKING:
    from actorflow.core.drivers.parked import Parked
    from actorflow.core.drivers.virtual import VirtualScheduler
    from actorflow.core.drivers.virtual_baton import VirtualBaton
    from actorflow.core.drivers.virtual_loop import VirtualLoop
    from actorflow.core.futures.future import Future
    from actorflow.core.messages.execution import Item
    from actorflow.core.refs.ref import ActorRef
    from actorflow.errors import Stopping

# An entry of the ready queue, its actor and its message. Who handles it empties the list: the frames of its callers may
# be kept by the traceback of an error (on Python 3.12), and would hold the future that nobody reads.
Given: TypeAlias = "list[Any]"

FIRST_ENTRIES: Final = 1  # into the runtime, by a handler that was abandoned: they get Stopping, as on a live system


class VirtualThread(SchedulerThread):
    """A thread of a virtual system.

    Attributes:
        parked: its wait, while it is in one.
        refused: how many waits of this handler were refused, since its actor is to stop.
        entries: how often the handler has entered the runtime since it was abandoned.
        ident: of the thread, once a handler has begun there.
        is_busy: its handler has the turn.
        is_struck: the watchdog ends its handler.
        is_marked: one of these is not as it was before the handler.
        strikes: how often it has raised Abandoned there.
        thread: it; None until it is made.
    """

    __slots__ = ("entries", "ident", "is_busy", "is_marked", "is_struck", "parked", "refused", "strikes", "thread")

    def __init__(self, scheduler: VirtualBaton) -> None:
        super().__init__(scheduler)
        self.parked: Parked | None = None
        self.refused = self.entries = self.ident = self.strikes = 0
        self.is_busy = self.is_struck = self.is_marked = False
        self.thread: threading.Thread | None = None

    def end(self) -> None:
        """Take the turn back from a handler that has returned, or raised, though it was refused waits, or struck."""
        self.is_busy = False
        self.refused = 0
        self.is_marked = False
        self.frames_over()

    def end_struck(self) -> None:
        """Take the turn back from a handler that was struck in the last lines, which are the runtime's own."""
        self.is_busy = self.is_marked = False
        self.frames_over()
        logger.debug("a handler was ended as it returned")

    def run(self, turn: Callable[[VirtualThread, Any], None], given: Any) -> None:
        """Give the turn to a handler, or to the loop's callbacks, and take it back."""
        self.refused = self.entries = 0
        self.ident = threading.get_ident()
        self.is_struck = False
        self.is_busy = True
        try:
            turn(self, given)
            self.end()
        except Abandoned:  # no other strike follows
            self.end_struck()

    @property
    def is_over(self) -> bool:
        """Whether the handler has had its chance to clean up: it may wait no more, and its actor is to stop."""
        self.refused += 1
        self.is_marked = True
        return self.refused > MOST_REFUSED

    def frames_over(self) -> None:
        """Take away the hooks that end this thread's frames: hooks of the user may follow, and the next handler."""
        if self.is_struck or self.strikes or self.entries:
            try:
                self._disarm()
            except Abandoned:  # the last strike came only now
                self._disarm()

    def _disarm(self) -> None:
        with self.scheduler.strike_lock:  # type: ignore[attr-defined]
            self.is_struck = False
        if self.strikes:
            absorb()
            self.strikes = 0
        disarm()
        self.entries = 0

    def late(self) -> Stopping:
        """Return the error of an abandoned handler that enters the runtime.

        Raises:
            Abandoned: it goes on all the same; it ends at its next line.
        """
        self.entries += 1
        self.is_marked = True
        if self.is_struck or self.entries > FIRST_ENTRIES or self.refused > MOST_REFUSED:
            arm()
            raise Abandoned
        bear()
        return stopping()

    def hold(self, ref: ActorRef[Any], message: Any, future: Future[Any] | None) -> None:
        """Send in nobody's name between two messages; refuse what an abandoned handler sends."""
        if self.is_abandoned:
            raise self.late()
        super().hold(ref, message, future)


class LoopTurn:
    """One turn of an asyncio loop, in the run queue."""

    __slots__ = ("loop",)

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop


class VirtualOwnThread:
    """The own thread of an actor with blocking=True: it gets the baton for each message, and hands it on."""

    def __init__(self, scheduler: VirtualScheduler, ref: ActorRef[Any]) -> None:
        self.scheduler = scheduler
        self.worker = VirtualThread(scheduler)
        self.given: Given | None = None
        self._is_ended = False
        self.worker.thread = threading.Thread(target=self._work, name=f"{scheduler.name}-{ref.name}", daemon=True)
        self.worker.thread.start()

    def forget(self, item: Item) -> None:
        """Hold on to an item no longer, which is handled."""
        if self.worker.item is item:
            self.worker.forget()

    def end(self) -> None:
        """Let the thread end, once its handler has; it has not got the baton."""
        if not self._is_ended:  # else its host died before its node
            self._is_ended = True
            self.given = None
            self.worker.park.release()

    def _work(self) -> None:
        DRIVERS[threading.get_ident()] = self.scheduler.refuse
        while True:
            self.worker.park.acquire()
            if self.given is None:
                DRIVERS.pop(threading.get_ident(), None)
                self.scheduler.own_threads.pop(self.worker, None)
                return
            given, self.given = self.given, None
            self.scheduler.run_entry(self.worker, given)
            del given
            self.worker.forget()
            if not self.scheduler.world.closed:
                self.scheduler.hand_baton()
