"""Waits: the threads and coroutines of this process that wait for the end of a job."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Final

from actorflow.core.clock import Clock, VirtualClock
from actorflow.core.futures.future import Future, patient
from actorflow.core.running.quiet import OTHERS
from actorflow.queues.ledger import News
from actorflow.queues.node.offload import Offload

_ALL: Final[weakref.WeakSet[Waits]] = weakref.WeakSet()


class Waits:
    """Futures by job; set when this process ends the job, or when others have committed and it may be over.

    Attributes:
        clock: in whose seconds it is waited.
        looks: seconds between two looks at the store, should no news of a commit come; None if nobody else commits.
        read: returns a value that was stored; refs of durable actors are this system's.
        payload_limit: bytes that the results of a group may have together.
        offload: where asyncio code has the store looked at.
        workers: for each queue, says how many workers this process has for it.
        wakes: for each queue, called when a job of it may be ready.
        cancels: called when a job was cancelled that runs.
    """

    def __init__(
        self,
        clock: Clock,
        looks: float | None,
        after: Callable[[float, Callable[[], object]], object],
        read: Callable[[bytes], Any],
        payload_limit: int,
    ) -> None:
        self.clock = clock
        self._is_real = not isinstance(clock, VirtualClock)
        self.read = read
        self.payload_limit = payload_limit
        self.looks = looks
        self.offload = Offload()
        self._after = after  # calls a function in some seconds
        self._next_look = 0.0  # by the clock
        self.workers: dict[str, Callable[[], int]] = {}
        self.wakes: dict[str, Callable[[], None]] = {}
        self.cancels: list[Callable[[], None]] = []
        self._futures: dict[int, list[Future[None]]] = {}
        _ALL.add(self)

    @property
    def others_may_answer(self) -> bool:
        """Whether a job is waited for that another process may end."""
        return self.looks is not None and bool(self._futures)

    def add(self, job: int) -> Future[None]:
        """Return a future that is set once something may have happened to a job."""
        future: Future[None] = patient(None)  # type: ignore[arg-type]
        future._is_real = self._is_real
        while True:  # no lock: a signal's handler that raises would leave it taken
            futures = self._futures.setdefault(job, [])
            futures.append(future)
            if self._futures.get(job) is futures:
                return future  # else somebody has just taken the list: nobody would look into it again

    def add_awaited(self, job: int) -> Future[None]:
        """Return a future as `add` does, that is set in `looks` seconds at the latest: asyncio code waits without."""
        future = self.add(job)
        now = self.clock.monotonic()
        if self.looks is not None and now >= self._next_look:
            self._after(self.looks, self.look)
            self._next_look = now + self.looks
        return future

    def drop(self, job: int, future: Future[None]) -> None:
        """Wait no more."""
        futures = self._futures.get(job)
        if futures is None:
            return
        with contextlib.suppress(ValueError):
            futures.remove(future)
        if not futures:
            self.ended([job])  # a wait that came in this moment looks again

    def ended(self, jobs: Iterable[int]) -> None:
        """Wake the waits for these jobs."""
        if not self._futures:
            return
        for job in jobs:
            for future in self._futures.pop(job, ()):
                future._settle(None, None)

    def workers_of(self, queue: str) -> int:
        """Return how many workers this process has for a queue."""
        count = self.workers.get(queue)
        return 0 if count is None else count()

    def told(self, news: News) -> None:
        """Wake the waits for jobs that a transaction has ended."""
        self.ended([job for job, _, _ in news.ended])
        self.ready(news.queues)

    def look(self) -> None:
        """Wake all waits: another process has committed something."""
        self.ended(list(self._futures))

    def ready(self, queues: Iterable[str]) -> None:
        """Jobs of these queues may be ready."""
        for queue in queues:
            wake = self.wakes.get(queue)
            if wake is not None:
                wake()

    def cancelled(self) -> None:
        """A job was cancelled that runs, maybe here."""
        for look in self.cancels:
            look()

    def close(self) -> None:
        """Have all waits see that this process ends no jobs any more."""
        self.offload.close()
        self.look()


OTHERS.append(lambda: any(waits.others_may_answer for waits in list(_ALL)))
