"""Announcer: tells those of this process whom a commit concerns: who waits for a job, listeners, claimers."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actorflow.core.clock import Clock, VirtualClock
from actorflow.core.futures.future import Future, patient
from actorflow.core.log import logger
from actorflow.core.running.quiet import OTHERS
from actorflow.queues.events import JobEvent, Listener
from actorflow.queues.ledger import FINAL, News, Outcome
from actorflow.queues.node.offload import Offload
from actorflow.tasks.task import KnownTasks

if TYPE_CHECKING:
    from actorflow.core.refs.home import Home
    from actorflow.durable.rows.records import Letter
    from actorflow.queues.node.local_queue import LocalQueue

T = TypeVar("T")

_ALL: Final[weakref.WeakSet[Waits]] = weakref.WeakSet()


class Announcer:
    """Tells of one queue's commits: the node's notes of begun jobs, listeners, and the waits of the system.

    Attributes:
        waits: of all queues of the system.
        listeners: functions that are called with each event of the queue, by a key of their own.
    """

    def __init__(self, local: LocalQueue, waits: Waits) -> None:
        self.waits = waits
        self.listeners: dict[object, Listener] = {}  # no lock: a signal's handler that raises would leave it taken
        self._local = local

    def announce(self, done: Sequence[Outcome], news: News) -> None:
        """Tell of the outcomes that a transaction wrote, and of its further effects, once it is committed.

        It does not raise: the commit stands.
        """
        try:
            node = self._local.node
            for outcome in done:
                node.end(outcome.id)  # its note that it had begun
            if news.lost or self.listeners:
                self._tell_of(done, news)
            self.waits.announce(news, [outcome.id for outcome in done if outcome.status in FINAL])
            if news.is_unfinished:
                self._local.upkeep.carry_on()
            if any(outcome.is_doubtful for outcome in done):
                self.waits.doubted()
        except Exception:  # noqa: BLE001 - as above
            logger.exception("Queue %s: after a commit, some could not be told of it", self._local.name)

    def _tell_of(self, done: Sequence[Outcome], news: News) -> None:
        lost = set(news.lost).difference(outcome.id for outcome in done if outcome.is_doubtful)
        for job in lost:
            logger.warning("Job %s was taken over by another process; its late result is refused", job)
        for outcome in done:
            if not (outcome.given_back or outcome.id in lost):
                kind = "retried" if outcome.status == "queued" else outcome.status
                self.tell(kind, outcome.id, outcome.task, outcome.due)
        for job, task, status in news.ended:
            self.tell(status, job, task)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have a function called for each event; return a function that ends that."""
        key = object()
        self.listeners[key] = listener

        def remove() -> None:
            self.listeners.pop(key, None)

        return remove

    def tell(self, kind: str, job: int, task: str, detail: Any = None) -> None:
        """Call the listeners with an event; one that raises is logged, and stops nothing."""
        if not self.listeners:
            return
        event = JobEvent(kind, str(job), task, self._local.store.now(), detail)
        for listener in list(self.listeners.values()):
            try:
                listener(event)
            except KeyboardInterrupt:
                raise
            except BaseException:  # noqa: BLE001 - a listener that raises changes nothing
                logger.exception("A listener of queue %s failed", self._local.name)


class Waits:
    """Futures by job; set when this process ends the job, or when others have committed and it may be over.

    Attributes:
        clock: in whose seconds it is waited.
        looks: seconds between two looks at the store, should no news of a commit come; None if nobody else commits.
        read: returns a value that was stored; refs of durable actors are this system's.
        payload_limit: bytes that the results of a group may have together.
        offload: where asyncio code has the store looked at.
        home: the virtual system that they are of; None: a live one.
        known: the tasks that this system runs.
        workers: for each queue, says how many workers this process has for it.
        wakes: for each queue, called when a job of it may be ready.
        cancels: called when a job was cancelled that runs.
        posted: called with each message to a run that a commit has put.
        doubted: called when there may be such messages, by a commit whose outcome is unknown.
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
        self.home: Home | None = None
        self.known = KnownTasks()
        self.workers: dict[str, Callable[[], int]] = {}
        self.wakes: dict[str, Callable[[], None]] = {}
        self.cancels: list[Callable[[], None]] = []
        self.posted: Callable[[Letter], object] = lambda _letter: None
        self.doubted: Callable[[], object] = lambda: None
        self._futures: dict[int | str, list[Future[None]]] = {}
        _ALL.add(self)

    @property
    def others_may_answer(self) -> bool:
        """Whether a job is waited for that another process may end."""
        return self.looks is not None and bool(self._futures)

    def add(self, job: int | str) -> Future[None]:
        """Return a future that is set once something may have happened to a job."""
        future: Future[None] = patient(None)  # type: ignore[arg-type]
        future._is_real, future._home = self._is_real, self.home
        while True:  # no lock: a signal's handler that raises would leave it taken
            futures = self._futures.setdefault(job, [])
            futures.append(future)
            if self._futures.get(job) is futures:
                return future  # else somebody has just taken the list: nobody would look into it again

    def add_awaited(self, job: int | str) -> Future[None]:
        """Return a future as `add` does, that is set in `looks` seconds at the latest: asyncio code waits without."""
        future = self.add(job)
        now = self.clock.monotonic()
        if self.looks is not None and now >= self._next_look:
            self._after(self.looks, self.look)
            self._next_look = now + self.looks
        return future

    async def awaited(self, job: int | str, look: Callable[[], T | None]) -> T:
        """Look until there is something to find, each time that something may have happened; in asyncio code."""
        while True:
            over = self.add_awaited(job)  # before the look: later news wake this wait
            try:
                found = await self.offload.run(look)
                if found is not None:
                    return found
                await over
            finally:
                self.drop(job, over)

    def drop(self, job: int | str, future: Future[None]) -> None:
        """Wait no more."""
        futures = self._futures.get(job)
        if futures is None:
            return
        with contextlib.suppress(ValueError):
            futures.remove(future)
        if not futures:
            self.ended([job])  # a wait that came in this moment looks again

    def ended(self, jobs: Iterable[int | str]) -> None:
        """Wake the waits for these jobs."""
        for job in jobs:
            for future in self._futures.pop(job, ()):
                future._settle(None, None)

    def workers_of(self, queue: str) -> int:
        """Return how many workers this process has for a queue."""
        count = self.workers.get(queue)
        return 0 if count is None else count()

    def announce(self, news: News, jobs: Iterable[int] = ()) -> None:
        """Wake the waits for jobs that are over, and the claimers of queues in which some are ready."""
        if self._futures:
            self.ended([*jobs, *(job for job, _, _ in news.ended)])
        for letter in news.letters:
            self.posted(letter)
        for queue in news.queues:
            wake = self.wakes.get(queue)
            if wake is not None:
                wake()

    def look(self) -> None:
        """Wake all waits: another process has committed something."""
        self.ended(list(self._futures))

    def cancelled(self) -> None:
        """A job was cancelled that runs, maybe here."""
        for look in self.cancels:
            look()

    def close(self) -> None:
        """Have all waits see that this process ends no jobs any more."""
        self.offload.close()
        self.look()


OTHERS.append(lambda: any(waits.others_may_answer for waits in list(_ALL)))
