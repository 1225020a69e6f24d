"""Parked: a thread of a virtual system that waits without the baton."""

from __future__ import annotations

import _thread
from typing import TYPE_CHECKING, Any

from actorflow.core.futures.future import Future
from actorflow.core.messages.execution import Item

if TYPE_CHECKING:
    from actorflow.core.drivers.virtual_baton import VirtualBaton
    from actorflow.core.messages.execution import Item


class Parked:
    """A thread that waits without the baton: a handler in `get`, or the driver. Ready once its future is done."""

    __slots__ = (
        "away",
        "deadline",
        "future",
        "interrupted",
        "item",
        "lock",
        "over",
        "scheduler",
        "stuck",
        "told",
        "until",
    )

    is_all = True

    def __init__(self, scheduler: VirtualBaton, future: Future[Any], timeout: float | None = None) -> None:
        self.scheduler = scheduler
        self.deadline = None if timeout is None else scheduler.clock.now + max(0.0, timeout)
        self.future = future
        self.interrupted = self.stuck = self.over = self.told = False
        self.away: list[bool] = []  # not empty while another thread has the baton
        self.until: float | None = None  # set while the driver sleeps
        self.item: Item | None = None  # the message that a waiting handler has at hand
        self.lock = _thread.allocate_lock()
        self.lock.acquire()

    def __call__(self) -> None:
        """Enter the run queue: the next to have the baton may be this thread."""
        if not self.over:
            self.over = True
            self.scheduler.post_work(self.line_up)

    def line_up(self) -> None:
        """Enter the run queue, unless the thread was told meanwhile to go on at once: then nobody would wait there."""
        if not self.told:
            self.scheduler.ready.append(self)

    def enter(self) -> None:
        """Enter the run queue; the holder of the baton calls it."""
        if not self.over:
            self.over = True
            self.scheduler.ready.append(self)

    def interrupt(self) -> None:
        """Enter the run queue with Stopping."""
        self.interrupted = True
        self()

    def time_out(self) -> None:
        """Enter the run queue with AskTimeout."""
        self()
