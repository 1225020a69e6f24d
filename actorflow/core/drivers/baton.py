"""Baton: threads that hand the run queue to each other.

One worker thread holds the baton: it runs the loop, or rests idle and waits for work. The others are spares, or sit in
handlers that lost the baton. It works without locks since `append`, `pop` and `remove` of a list are atomic.
"""

from __future__ import annotations

import _thread
import contextlib
import math
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.atomic import rouser
from actorflow.core.clock import SystemClock
from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT
from actorflow.core.messages.messages import SUSPENDED
from actorflow.core.outage import Outage
from actorflow.core.refs.ref import ActorRef
from actorflow.core.running.run_queue import AT_REST, Done, SchedulerThread
from actorflow.core.running.scheduler import Scheduler
from actorflow.errors import ThreadLimit

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Coroutine

    from actorflow.core.messages.execution import Item

# Python 3.12 refuses to start threads once the main thread has ended, so `on_stop` gets by with a reserve there.
NO_THREADS_AT_EXIT: Final = sys.version_info[:2] == (3, 12)
RESERVE: Final = 8 if NO_THREADS_AT_EXIT else 1
SPARE_SECONDS: Final = 10.0  # that a thread waits for work before it ends
KEPT: Final = max(RESERVE, 4)  # spare threads that stay in any case


def main_thread_ended() -> bool:
    """Say whether the program is about to end."""
    return not threading.main_thread().is_alive()


class Baton(Scheduler):
    """A scheduler on threads, without the loop that they run."""

    preemption: Any

    def __init__(self, *, name: str, ask_timeout: float | None, threads: int) -> None:
        super().__init__(SystemClock(), ask_timeout=ask_timeout, threads=threads)
        self.name = name
        self.spares: list[SchedulerThread] = []
        self._rouse = rouser(self.idle)
        self.workers: dict[SchedulerThread, None] = {}
        self._shortage = Outage(self.clock)

    def loop(self, worker: SchedulerThread, context: contextvars.Context) -> bool:
        """Run handlers as long as this thread has the baton. True: a handler changed the context, give me a new one."""
        raise NotImplementedError  # pragma: no cover - the subclass has it

    # --- threads -----------------------------------------------------------------------------------------------------

    def allocate_lock(self) -> Any:
        """Return a plain lock."""
        return _thread.allocate_lock()

    def wake(self) -> None:
        """Wake the idle holder, if there is one; after the end, answer a late sender's message in the inbox."""
        if self.closed:
            self.close_inbox()
            return
        try:
            self._rouse()
        except IndexError:  # somebody else has just woken it
            return

    def find_spare(self) -> SchedulerThread | None:
        """Take a spare thread, or start one, for the baton; None if there is none to be had."""
        try:
            return self.spares.pop()
        except IndexError:
            return self._start_spare()

    def put_back(self, spare: SchedulerThread) -> None:
        """Return a thread that was found and is not needed; if the system closed meanwhile, let it end.

        `close` wakes the spares that it sees: one that was out of the list just then would wait forever.
        """
        self.spares.append(spare)
        if self.closed:
            self._end_spares()

    def _end_spares(self) -> None:
        rouse = rouser(self.spares)
        with contextlib.suppress(IndexError):
            while True:
                rouse()

    def _start_spare(self) -> SchedulerThread | None:
        if len(self.workers) >= self.max_threads or (NO_THREADS_AT_EXIT and main_thread_ended()):
            return None
        worker = SchedulerThread(self)
        try:
            self._start(worker)
        except RuntimeError as error:  # the operating system has no more
            self.workers.pop(worker, None)
            self._shortage.note(logger.warning, "%s cannot start a thread: %s", self.name, error)
            return None
        return worker

    def _start(self, worker: SchedulerThread) -> None:
        self.workers[worker] = None
        threading.Thread(target=self._work, args=(worker,), name=f"{self.name}-worker", daemon=True).start()

    def _work(self, worker: SchedulerThread) -> None:
        try:
            worker.cpu_clock = time.pthread_getcpuclockid(_thread.get_ident())
        except (AttributeError, OSError):  # not on macOS: then every overtaken handler counts as a blocker
            worker.cpu_clock = None
        worker.park.acquire()
        again = not self.closed
        while again:
            context = self.context.copy()
            context.run(CURRENT.set, worker)
            try:
                again = context.run(self.loop, worker, context)
            except BaseException as error:  # noqa: BLE001 - a defect of the scheduler: say so, and keep the system going
                logger.critical("The scheduler failed; please report it", exc_info=error)
                again = not self.closed
        self.workers.pop(worker, None)

    def start_in_loop(self, item: Item, coro: Coroutine[Any, Any, Any]) -> None:
        """Run a handler as a task on the system's one loop thread."""
        from actorflow.core.drivers.asyncio_loop import start_in_loop  # noqa: PLC0415 - asyncio takes 30 ms to import

        start_in_loop(self, item, coro)

    def unseated(self, worker: SchedulerThread) -> None:
        """Called when the baton was taken from an idle holder, which rests on; that of a host listens meanwhile."""

    def tick(self) -> None:
        """Called about each millisecond while the system is at work; the scheduler of a host reads its socket."""

    # --- the baton ---------------------------------------------------------------------------------------------------

    def rest_idle(self, worker: SchedulerThread) -> bool:
        """Wait for work, baton in hand. False: the system closed."""
        self.idle.append(worker)
        if self.inbox or self.closed:
            try:
                self.idle.remove(worker)
            except ValueError:  # someone is just waking this thread, or took the baton from it
                return self.rest(worker)
        else:  # the steps of `rest`, without its calls: each ask of a thread outside comes here
            worker.item = AT_REST
            worker.task = None
            if not worker.park.acquire(True, SPARE_SECONDS):
                return self.rest(worker)
        if self.preemption.asleep:
            self.preemption.ring()
        return not self.closed

    def rest(self, worker: SchedulerThread) -> bool:
        """Sleep until this thread is given the baton. False: it is not needed any more, or the system closed."""
        worker.resting = False
        worker.forget()
        while not (self.closed or worker.park.acquire(True, SPARE_SECONDS)):
            if len(self.spares) > KEPT:
                try:
                    self.spares.remove(worker)
                except ValueError:  # it has the baton, or is just about to
                    continue
                return False
        worker.without_baton = False
        if self.preemption.asleep:
            self.preemption.ring()
        return not self.closed

    def lost(self, worker: SchedulerThread, ref: ActorRef[Any] | None, outcome: Any) -> bool:
        """Report the end of a handler that lost the baton. False: the system closed.

        Without the baton the thread is a spare from then on: the loop has it `rest`, once all frames that know the
        message are left.
        """
        item = worker.item
        if outcome is SUSPENDED:  # nothing to report: whoever goes on with it, as after a commit, may have done so
            ref = None
        if worker.is_abandoned:  # the actor has gone on without this thread
            ref = None
            self.abandoned_items.pop(id(worker.left), None)
            worker.left = None
        try:
            other = self.idle.pop()
        except IndexError:
            if ref is not None:
                self.inbox.append((ref, Done(outcome, item), None, None))
                if self.idle:
                    self.wake()
            worker.resting = True
            self.spares.append(worker)
        else:
            self.put_back(other)  # the idle holder rests on; its baton is ours
            self.unseated(other)
            worker.without_baton = False
            if self.preemption.asleep:
                self.preemption.ring()
            if ref is not None:
                self.sort((ref, Done(outcome, item), None, None))
        return not self.closed

    def pass_on(self, worker: SchedulerThread) -> bool:
        """Hand the baton to another thread: the debug switch that finds handlers bound to a thread."""
        spare = self.find_spare()
        if spare is None:
            return True
        spare.park.release()
        return self.lost(worker, None, None) and (not worker.resting or self.rest(worker))

    def give_up(self, worker: SchedulerThread) -> None:
        """Give the baton away before the handler waits, unless it was taken before."""
        if worker not in self.slot:
            return
        spare = self.find_spare()
        if spare is None:
            raise ThreadLimit(f"all {len(self.workers)} threads of the system wait, and no more can be started")
        worker.without_baton = True
        try:
            self.slot.remove(worker)
        except ValueError:
            self.put_back(spare)
        else:
            spare.park.release()

    def close(self) -> None:
        """End all threads; the actors are dead."""
        self.closed = True
        self.timers.clear()
        self.timers.next_due = math.inf
        self.preemption.ring()
        self.idle = [SchedulerThread(self)]  # never empty again: a late sender calls `wake`
        with contextlib.suppress(IndexError):
            while True:
                self._rouse()
        self._end_spares()
