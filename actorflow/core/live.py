"""Live: the scheduler on threads and the machine's clock. Layer 1.

Worker threads take turns at the baton: one runs the loop, one may wait idle for work, the others are spares or sit in
handlers that block. The pulse thread fires timers and takes the baton from a handler that blocks unseen.
"""

from __future__ import annotations

import _thread
import math
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.actor import HANDLERS
from actorflow.core.clock import SystemClock
from actorflow.core.current import CURRENT, Execution
from actorflow.core.failure import failed
from actorflow.core.future import Future, ask_timeout
from actorflow.core.life import life_of, must_stop
from actorflow.core.log import logger
from actorflow.core.messages import CHANGED, SUSPENDED
from actorflow.core.pinned import Pinned
from actorflow.core.pulse import Pulse
from actorflow.core.ref import BUSY, IDLE, READY, ActorRef
from actorflow.core.scheduler import Ahead, Done, Scheduler, Worker
from actorflow.core.task import Task, stopping
from actorflow.core.waits import ThreadWait, deadlock, find_cycle
from actorflow.errors import ThreadLimit

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable

    from actorflow.core.current import Item
    from actorflow.core.timers import TimerEntry

TURN: Final = 64  # messages
LONG: Final = 64  # inbox length from which it is sorted into turns
TURN_SECONDS: Final = 0.002
QUICK_SECONDS: Final = (
    0.000_5  # a handler this fast did not block; 64 of them and the class is no known blocker any more
)


# Python 3.12 refuses to start threads once the main thread has ended, so `on_stop` gets by with a reserve there.
NO_THREADS_AT_EXIT: Final = sys.version_info[:2] == (3, 12)
RESERVE: Final = 8 if NO_THREADS_AT_EXIT else 1


def main_thread_ended() -> bool:
    """Say whether the program is about to end."""
    return not threading.main_thread().is_alive()


class LiveScheduler(Scheduler):
    """See the module."""

    def __init__(
        self, *, name: str, ask_timeout: float | None = None, threads: int = 2000, move_baton: bool = False
    ) -> None:
        super().__init__(SystemClock(), ask_timeout=ask_timeout, threads=threads)
        self.name = name
        self.move_baton = move_baton
        self.spares: list[Worker] = []
        self.workers: dict[Worker, None] = {}
        self.pulse = Pulse(self)
        self.launch()
        for _ in range(RESERVE):
            self.launch_spare()

    # --- threads -----------------------------------------------------------------------------------------------------

    def allocate_lock(self) -> Any:
        """Return a plain lock."""
        return _thread.allocate_lock()

    def wake(self) -> None:
        """Wake the idle holder, if there is one."""
        try:
            worker = self.idle.pop()
        except IndexError:
            return
        worker.park.release()

    def can_launch(self) -> bool:
        """Say whether a thread is left to take the baton."""
        if self.spares:
            return True
        return len(self.workers) < self.max_threads and not (NO_THREADS_AT_EXIT and main_thread_ended())

    def launch(self) -> None:
        """Hand the baton to a spare thread, or to a new one."""
        try:
            self.spares.pop().park.release()
        except IndexError:
            worker = Worker(self)
            worker.park.release()
            self._start(worker)

    def launch_spare(self) -> None:
        """Start a thread that waits for the baton."""
        worker = Worker(self)
        self.spares.append(worker)
        self._start(worker)

    def _start(self, worker: Worker) -> None:
        self.workers[worker] = None
        threading.Thread(target=self._work, args=(worker,), name=f"{self.name}-worker", daemon=True).start()

    def _work(self, worker: Worker) -> None:
        worker.thread = _thread.get_ident()
        try:
            worker.cpu_clock = time.pthread_getcpuclockid(worker.thread)
        except (AttributeError, OSError):  # not on macOS: then every overtaken handler counts as a blocker
            worker.cpu_clock = None
        worker.park.acquire()
        try:
            again = not self.closed
            while again:
                context = self.context.copy()
                context.run(CURRENT.set, worker)
                again = context.run(self.loop, worker, context)
        except BaseException as error:  # noqa: BLE001 - a defect of the scheduler: say so, and keep the system going
            logger.critical("The scheduler failed; please report it", exc_info=error)
            if not self.closed:
                self.launch()
        finally:
            self.workers.pop(worker, None)

    def executions(self, ref: ActorRef[Any]) -> list[Execution]:
        """Return where handlers of the actor run or wait."""
        found: list[Execution] = [worker for worker in list(self.workers) if worker.item[0] is ref]
        waiting = ref._waiting
        if isinstance(waiting, Execution):
            found.append(waiting)
        if ref._life is not None and ref._life.pinned is not None:
            found.append(ref._life.pinned.worker)
        return found

    # --- the loop ----------------------------------------------------------------------------------------------------

    def loop(self, worker: Worker, context: contextvars.Context) -> bool:
        """Run handlers as long as this thread has the baton. True: a handler changed the context, give me a new one."""
        clean = context.copy()
        inbox, ready, slot, handle = self.inbox, self.ready, self.slot, self.handle
        popleft, append, remove, now = inbox.popleft, slot.append, slot.remove, time.perf_counter
        limit = 1 if self.move_baton else TURN
        last: ActorRef[Any] | None = None
        outcome: Any
        turns = count = check = 0
        start = 0.0
        while True:
            # Whose message is next?
            if ready:
                # What comes in during a round of turns is sorted after it, or run straight if nobody is ready any more.
                if not turns or len(inbox) > LONG:
                    self.sort_all()
                    turns = len(ready)
                turns -= 1
                item = self.next_ready(worker)
                if item is None:
                    if self.closed or context != clean:
                        return not self.closed
                    continue
                ref, message, future, _ = item
                count, check, start = 0, 1, now()
            else:
                turns = 0
                try:
                    item = popleft()
                except IndexError:
                    if not self.rest_idle(worker):
                        return False
                    continue
                ref, message, future, _ = item
                # Straight from the inbox run messages of idle actors, while it is short and nobody has two in a row.
                if ref._state or ref._traits.blocks or (inbox and (ref is last or len(inbox) > LONG)):
                    last = None
                    if message.__class__ is not Task or inbox:
                        self.sort(item)
                    elif not self.run_single(worker, message) or context != clean:
                        return not self.closed
                    continue
                last = ref
            # Its turn: one message, or up to 64 if it has a queue. The token stays in the slot meanwhile, since between
            # two handlers only the queue is touched.
            ref._state = BUSY
            append(worker)
            while True:
                if future is None and message.__class__ not in HANDLERS:  # a plain tell: `handle` without the call
                    worker.item = item
                    try:
                        result = ref._actor.on_receive(message)  # type: ignore[union-attr]
                    except BaseException as error:  # noqa: BLE001 - each kind has its own rule
                        outcome = failed(self, worker, error, None) or CHANGED
                    else:
                        plain = result is None and worker.item is item
                        outcome = None if plain else self.finish(worker, item, result)
                else:
                    outcome = handle(worker, item)
                queue = ref._queue
                if not queue or outcome is not None or context != clean or worker not in slot:
                    break
                # The clock is read after 1, 2, 4, ... messages: if half the time is over, as many again are too many.
                count += 1
                if count == check:
                    check += check
                    if count >= limit or now() - start > TURN_SECONDS / 2:
                        break
                item = queue.popleft()
                _, message, future, _ = item
            try:
                remove(worker)
            except ValueError:
                if not self.lost(worker, ref, outcome):
                    return False
            else:
                if outcome is not None:
                    self.after(worker, ref, outcome)
                elif queue is None:
                    ref._state = IDLE
                elif queue:
                    ref._state = READY
                    ready.append(ref)
                else:
                    self.free_queue(ref)
                    ref._state = IDLE
            if self.move_baton:
                self.pass_on(worker)
            if context != clean:
                return True

    def next_ready(self, worker: Worker) -> Item | None:
        """Return the next ready actor's message; None if there is nothing left to do about the entry."""
        entry = self.ready.popleft()
        kind = entry.__class__
        if kind is tuple:
            item: Item = entry
            ref = item[0]
            if ref._state not in (READY, IDLE):
                self.misplaced(item)
                return None
        elif kind is Task or kind is Ahead:
            self.run_single(worker, entry)
            return None
        else:
            ref = entry
            if ref._state != READY or not ref._queue:
                return None
            item = ref._queue.popleft()
        if not ref._traits.blocks:
            return item
        self.run_apart(worker, ref, item)
        return None

    def run_single(self, worker: Worker, entry: Any) -> bool:
        """Run a life-cycle message, which comes ahead of the mailbox, or the next step of a suspended handler."""
        is_task = entry.__class__ is Task
        ref = entry.resume_item[0] if is_task else entry.item[0]
        release = is_task and not entry.is_ahead
        if ref._traits.options.blocking:
            self.run_pinned(ref, entry if is_task else entry.item, release=release)
            return True
        self.slot.append(worker)
        outcome = self.resume(worker, entry) if is_task else self.handle(worker, entry.item)
        try:
            self.slot.remove(worker)
        except ValueError:
            return self.lost(worker, ref if release else None, outcome)
        if release and outcome is not SUSPENDED:
            self.after(worker, ref, outcome)
        return True

    def run_apart(self, worker: Worker, ref: ActorRef[Any], item: Item) -> bool:
        """Run one message of an actor that is known to block: on its own thread, or after giving the baton away."""
        ref._state = BUSY
        if ref._traits.options.blocking:
            self.run_pinned(ref, item, release=True)
            return True
        start = time.perf_counter()
        if (self.ready or self.inbox) and self.can_launch():
            self.launch()
            outcome = self.handle(worker, item)
            self.unlearn(ref, time.perf_counter() - start)
            return self.lost(worker, ref, outcome)
        self.slot.append(worker)
        outcome = self.handle(worker, item)
        try:
            self.slot.remove(worker)
        except ValueError:
            return self.lost(worker, ref, outcome)
        self.unlearn(ref, time.perf_counter() - start)
        self.after(worker, ref, outcome)
        return True

    def unlearn(self, ref: ActorRef[Any], seconds: float) -> None:
        """Trust a class again after many quick handlers: a slow spell must not cost thread switches for ever."""
        traits = ref._traits
        traits.quick = traits.quick + 1 if seconds < QUICK_SECONDS else 0
        if traits.quick >= TURN:
            traits.overtaken = traits.quick = 0
            traits.blocks = False

    # --- the baton ---------------------------------------------------------------------------------------------------

    def rest_idle(self, worker: Worker) -> bool:
        """Wait for work, baton in hand. False: the system closed."""
        self.idle.append(worker)
        if self.inbox or self.closed:
            try:
                self.idle.remove(worker)
            except ValueError:
                worker.park.acquire()  # someone is just waking this thread, or took the baton from it
        else:
            worker.park.acquire()
        if self.pulse.asleep:
            self.pulse.ring()
        return not self.closed

    def lost(self, worker: Worker, ref: ActorRef[Any] | None, outcome: Any) -> bool:
        """Report the end of a handler that lost the baton, and wait as a spare. False: the system closed."""
        item = worker.item
        if item[0] is None:
            ref = None  # abandoned meanwhile: the actor has gone on without this thread
        try:
            other = self.idle.pop()
        except IndexError:
            if ref is not None:
                self.inbox.append((ref, Done(outcome, item), None, None))
                if self.idle:
                    self.wake()
            self.spares.append(worker)
            if self.closed:
                return False
            worker.park.acquire()
            if self.pulse.asleep:
                self.pulse.ring()
        else:
            self.spares.append(other)  # the idle holder rests on; its baton is ours
            if self.pulse.asleep:
                self.pulse.ring()
            if ref is not None:
                self.sort((ref, Done(outcome, item), None, None))
        return not self.closed

    def pass_on(self, worker: Worker) -> None:
        """Hand the baton to another thread: the debug switch that finds handlers bound to a thread."""
        if self.spares:
            self.launch()
            self.lost(worker, None, None)

    def give_up(self, worker: Worker) -> None:
        """Give the baton away before the handler waits, unless it was taken before."""
        if worker in self.slot and not self.can_launch():
            raise ThreadLimit(f"all {len(self.workers)} threads of the system wait, and no more can be started")
        try:
            self.slot.remove(worker)
        except ValueError:
            return
        self.launch()

    def wait(self, worker: Worker, future: Future[Any], timeout: float | None) -> None:
        """Block a handler's thread until the future is done, and let others run meanwhile."""
        ref = worker.item[0]
        if ref is None:
            raise stopping()
        waiting = ThreadWait(future)
        ref._waiting = waiting
        try:
            cycle = find_cycle(ref, future)
            if cycle is not None:
                raise deadlock(cycle)
            if must_stop(ref) and not future._done:
                raise stopping()
            if not future._add_waiter(waiting):
                return
            try:
                self.give_up(worker)
                woken = waiting.lock.acquire(timeout=-1 if timeout is None else max(0.0, timeout))
            finally:
                future._drop_waiter(waiting)
        finally:
            if ref._waiting is waiting:
                ref._waiting = None
        if future._done:
            return
        if woken:
            raise stopping()
        raise ask_timeout(future, timeout)

    # --- own threads, timers, end ------------------------------------------------------------------------------------

    def run_pinned(self, ref: ActorRef[Any], entry: Any, *, release: bool) -> None:
        """Run an item or task on the actor's own thread, started at its first one."""
        life = life_of(ref)
        if life.pinned is None:
            life.pinned = Pinned(self, ref)
        life.pinned.queue.put((entry, release))  # type: ignore[union-attr]  # a live system's

    def add_timer(self, due: float, fire: Callable[[], object]) -> TimerEntry:
        """Have the holder call `fire` when it is due."""
        earliest = self.timers.next_due
        entry = self.timers.add(due, fire)
        if due < earliest and self.pulse.asleep:
            self.pulse.ring()
        return entry

    def close(self) -> None:
        """End all threads; the actors are dead."""
        self.closed = True
        self.timers.clear()
        self.timers.next_due = math.inf
        self.pulse.ring()
        for resting in (self.idle, self.spares):
            while resting:
                try:
                    resting.pop().park.release()
                except IndexError:
                    break
