"""Live: the scheduler on threads and the machine's clock.

`baton` has the threads; here is the loop that the one with the baton runs: whose message is next, for how long, and on
which thread. `preemption` fires timers, and overtakes handlers that block unseen.
"""

from __future__ import annotations

import time
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.drivers.baton import RESERVE, Baton
from actorflow.core.drivers.own_thread import OwnThread
from actorflow.core.drivers.preemption import Preemption
from actorflow.core.futures.future import Future
from actorflow.core.futures.thread_wait import ask_timeout, lock_timeout
from actorflow.core.futures.wait_graph import ThreadWait, deadlock, deadlock_of_all, find_cycle
from actorflow.core.messages.execution import CURRENT, Execution
from actorflow.core.messages.handlers import HANDLERS
from actorflow.core.messages.messages import CHANGED, SUSPENDED, Ended
from actorflow.core.refs.cell import BUSY, IDLE, READY
from actorflow.core.refs.cold_fields import cold_of, must_stop
from actorflow.core.refs.failure import failed
from actorflow.core.refs.ref import ActorRef
from actorflow.core.running.async_handler import AsyncHandler, stopping
from actorflow.core.running.run_queue import Ahead, SchedulerThread

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable

    from actorflow.core.messages.execution import Item
    from actorflow.core.refs.timers import TimerEntry

TURN: Final = 64  # messages
LONG: Final = 64  # inbox length from which it is sorted into turns
TURN_SECONDS: Final = 0.002


class LiveScheduler(Baton):
    """Runs actors on threads and the machine's clock."""

    def __init__(
        self, *, name: str, ask_timeout: float | None = None, threads: int = 2000, move_baton: bool = False
    ) -> None:
        super().__init__(name=name, ask_timeout=ask_timeout, threads=threads)
        self.move_baton = move_baton
        self.preemption = Preemption(self)
        for _ in range(1 + min(RESERVE, threads - 1)):
            worker = SchedulerThread(self)
            self.spares.append(worker)
            self._start(worker)
        self.spares.pop().park.release()

    def executions(self, ref: ActorRef[Any]) -> list[Execution]:
        """Return where handlers of the actor run or wait. A worker that rests, or is this one, has handled its item."""
        found: list[Execution] = []
        for worker in list(self.workers):
            if worker.item[0] is ref and not (worker in self.spares or worker in self.idle or worker is CURRENT.get()):
                found.append(worker)
                if worker.task is not None and worker.task.item is worker.item:
                    found.append(worker.task)
        if isinstance(ref._waiting, Execution):
            found.append(ref._waiting)
        pinned = ref._cold.pinned if ref._cold is not None else None
        if pinned is not None and pinned.worker.item[0] is ref:
            found.append(pinned.worker)
        return found

    # --- the loop ----------------------------------------------------------------------------------------------------

    def loop(self, worker: SchedulerThread, context: contextvars.Context) -> bool:
        """Run handlers as long as this thread has the baton. True: a handler changed the context, give me a new one."""
        inbox, ready, slot = self.inbox, self.ready, self.slot
        popleft, append, remove, now = inbox.popleft, slot.append, slot.remove, time.perf_counter
        limit = 1 if self.move_baton else TURN
        item: Any
        ref: Any
        message: Any
        future: Any
        result: Any
        outcome: Any
        queue: Any
        last: ActorRef[Any] | None = None
        turns = count = check = 0
        start = 0.0
        while True:
            # Whose message is next?
            if ready:
                # Messages that come in during a round of turns are sorted after it, or run straight if none is ready.
                if not turns or len(inbox) > LONG:
                    self.sort_all()
                    turns = len(ready)
                turns -= 1
                item = self.next_ready(worker)
                if item is None:
                    if worker.resting:
                        ref = message = future = result = outcome = last = None
                        if not self.rest(worker):
                            return False
                    if self.closed or len(context) > 1:
                        return not self.closed
                    continue
                ref, message, future, _ = item
                count, check, start = 0, 1, now()
            else:
                turns = 0
                try:
                    item = popleft()
                except IndexError:
                    item = ref = message = future = result = outcome = last = None
                    if not self.rest_idle(worker):
                        return False
                    continue
                ref, message, future, _ = item
                # Straight from the inbox run messages of idle actors, while it is short and nobody has two in a row.
                if ref._state or ref._traits.blocks or (inbox and (ref is last or len(inbox) > LONG)):
                    last = None
                    if type(message) is not AsyncHandler or inbox:
                        self.sort(item)
                    elif not self.run_task(worker, message):
                        return False
                    elif worker.resting:
                        item = ref = message = future = result = outcome = None
                        if not self.rest(worker):
                            return False
                    if len(context) > 1:
                        return not self.closed
                    continue
                last = ref
            # Its turn: one message, or up to 64 if it has a queue. The token stays in the slot meanwhile, since between
            # two handlers only the queue is touched.
            ref._state = BUSY
            append(worker)
            while True:
                worker.item = item
                try:  # as `handle` does, without its calls: a tenth of a tell's time
                    if (kind := type(message)) in HANDLERS:
                        result = HANDLERS[kind](ref, message)
                    else:
                        result = ref._actor.on_receive(message)
                except BaseException as error:  # noqa: BLE001 - each kind has its own rule
                    outcome = failed(self, worker, error, future) or CHANGED
                else:
                    if worker.item is not item or (kind := type(result)) is CoroutineType or kind is Ended:
                        outcome = self.finish(worker, item, result)
                    else:
                        outcome = None
                        if future is not None:
                            future._settle(result, None)
                queue = ref._queue
                if not queue or outcome is not None or len(context) > 1 or worker not in slot:
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
                item = ref = message = future = result = outcome = last = queue = None
                if worker.resting and not self.rest(worker):
                    return False
            else:
                if outcome is not None:
                    self.after(worker, ref, outcome)
                    del item, future  # see `handle` of the scheduler
                elif queue is None:
                    ref._state = IDLE
                elif queue:
                    ref._state = READY
                    ready.append(ref)
                else:
                    self.free_queue(ref)
                    ref._state = IDLE
            if self.move_baton and not self.pass_on(worker):
                return False
            if len(context) > 1:  # more than CURRENT: a handler has set a variable
                return True

    def next_ready(self, worker: SchedulerThread) -> Item | None:
        """Return the next ready actor's message; None if there is nothing left to do about the entry."""
        entry = self.ready.popleft()
        kind = entry.__class__
        if kind is tuple:
            item: Item = entry
            ref = item[0]
            if ref._state not in (READY, IDLE):
                self.misplaced(item)
                return None
        elif kind is AsyncHandler or kind is Ahead:
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

    def run_single(self, worker: SchedulerThread, entry: Any) -> bool:
        """Run a life-cycle message, which comes ahead of the mailbox, or the next step of a suspended handler."""
        if entry.__class__ is AsyncHandler:
            return self.run_task(worker, entry)
        item = entry.item
        if item[0]._traits.pinned:
            self.run_pinned(item[0], item, release=False)
            return True
        self.slot.append(worker)
        outcome = self.handle(worker, item)
        try:
            self.slot.remove(worker)
        except ValueError:
            return self.lost(worker, None, outcome)
        return True

    def run_task(self, worker: SchedulerThread, task: AsyncHandler) -> bool:
        """Run the next step of a suspended handler."""
        ref = task.resume_item[0]
        if ref._traits.pinned:
            self.run_pinned(ref, task, release=not task.is_ahead)
            return True
        self.slot.append(worker)
        worker.item = task.item
        outcome = task.step(worker)
        try:
            self.slot.remove(worker)
        except ValueError:
            return self.lost(worker, None if task.is_ahead else ref, outcome)
        if outcome is not SUSPENDED and not task.is_ahead:
            self.after(worker, ref, outcome)
        return True

    def run_apart(self, worker: SchedulerThread, ref: ActorRef[Any], item: Item) -> bool:
        """Run one message of an actor that is known to block: on its own thread, or after giving the baton away."""
        ref._state = BUSY
        if ref._traits.pinned:
            self.run_pinned(ref, item, release=True)
            return True
        start = time.perf_counter()
        spare = self.find_spare() if self.ready or self.inbox else None
        if spare is not None:
            worker.without_baton = True
            spare.park.release()
            outcome = self.handle(worker, item)
            ref._traits.unlearn(time.perf_counter() - start)
            return self.lost(worker, ref, outcome)
        self.slot.append(worker)
        outcome = self.handle(worker, item)
        try:
            self.slot.remove(worker)
        except ValueError:
            return self.lost(worker, ref, outcome)
        ref._traits.unlearn(time.perf_counter() - start)
        self.after(worker, ref, outcome)
        return True

    # --- waits, own threads, timers --------------------------------------------------------------------------------

    def wait(self, worker: SchedulerThread, future: Future[Any], timeout: float | None) -> None:
        """Block a handler's thread until the future is done, and let others run meanwhile."""
        if self.is_between(worker):
            raise deadlock_of_all()
        ref = worker.item[0]
        if ref is None:
            raise stopping()
        waiting = ThreadWait(future, timeout)
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
                woken = waiting.lock.acquire(timeout=lock_timeout(timeout))
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

    def is_between(self, worker: SchedulerThread) -> bool:
        """Say whether a worker has the baton, but runs no handler."""
        # Asked in this order: who takes the baton from it says so first.
        return worker not in self.slot and not worker.without_baton

    def run_pinned(self, ref: ActorRef[Any], entry: Any, *, release: bool) -> None:
        """Run an item or task on the actor's own thread, started at its first one."""
        cold = cold_of(ref)
        if cold.pinned is None:
            cold.pinned = OwnThread(self, ref)
        cold.pinned.queue.put((entry, release))  # type: ignore[union-attr]  # a live system's

    def add_timer(self, due: float, fire: Callable[[], object]) -> TimerEntry:
        """Have the holder call `fire` when it is due."""
        earliest = self.timers.next_due
        entry = self.timers.add(due, fire)
        if due < earliest and self.preemption.asleep:
            self.preemption.ring()
        return entry
