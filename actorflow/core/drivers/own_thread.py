"""OwnThread: the thread of an actor with blocking=True, on a live scheduler.

`on_start`, all handlers and `on_stop` run there, for objects that are bound to a thread: sqlite3 connections,
thread-locals.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from actorflow.core.messages.execution import CURRENT
from actorflow.core.messages.messages import SUSPENDED
from actorflow.core.running.async_handler import AsyncHandler
from actorflow.core.running.run_queue import Done, SchedulerThread

if TYPE_CHECKING:
    from actorflow.core.drivers.live import LiveScheduler
    from actorflow.core.messages.execution import Item
    from actorflow.core.refs.ref import ActorRef


class OwnThread:
    """A thread that runs the calls given by the holder of the baton, and never holds the baton itself."""

    def __init__(self, scheduler: LiveScheduler, ref: ActorRef[Any]) -> None:
        self.scheduler = scheduler
        self.ref = ref
        self.queue: SimpleQueue[Any] = SimpleQueue()
        self.worker = SchedulerThread(scheduler)
        self.worker.without_baton = True
        threading.Thread(target=self._work, name=f"{scheduler.name}-{ref.name}", daemon=True).start()

    def forget(self, item: Item) -> None:
        """Hold on to an item no longer, which is handled; the holder of the baton calls it."""
        if self.worker.item is item:
            self.worker.forget()

    def end(self) -> None:
        """Let the thread end."""
        self.queue.put(None)

    def _work(self) -> None:
        while (given := self.queue.get()) is not None:
            entry, release = given
            context = self.scheduler.context.copy()
            context.run(CURRENT.set, self.worker)
            outcome = context.run(self._run, entry)
            item = self.worker.item
            if self.worker.is_abandoned:  # asked after the item was read: one that is abandoned in between is dropped
                self.scheduler.abandoned_items.pop(id(self.worker.left), None)
            elif release and outcome is not SUSPENDED:
                self.scheduler.post(self.ref, Done(outcome, item), None)
            del given, entry, outcome, item  # a thread that waits keeps no message

    def _run(self, entry: Any) -> Any:
        if entry.__class__ is AsyncHandler:
            return self.scheduler.resume(self.worker, entry)
        return self.scheduler.handle(self.worker, entry)
