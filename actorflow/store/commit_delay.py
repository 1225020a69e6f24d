"""CommitDelay: the moment that a shared commit waits for the threads of the last one, which come back with more work.

Threads that write in a row share commits only if they meet. The first of eight that were told of a commit found the
writer free, and committed alone; three more came meanwhile, so that eight threads made 730 commits of 2,000 writes.
With the delay they make 280. PostgreSQL has a `commit_delay` for the same reason.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from actorflow.core.clock import SystemClock
from actorflow.core.futures.thread_wait import in_virtual_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence, Sized

    from actorflow.store.pending_writes import PendingWrite

LONGEST_SECONDS: Final = 0.001
COMMITS: Final = 4  # times a commit, for which it is waited at most: the threads come back one by one
RAREST: Final = 64  # shared commits to one wait, where waits are in vain
STALE_SECONDS: Final = 0.002  # after which those that have not come back are not expected any more


class CommitDelay:
    """Knows how many threads are likely to share the next commit; kept by the thread whose turn it is.

    Attributes:
        expected: those that were told of the last commit, and those whose work had come during it; 0: nobody is.
    """

    def __init__(self) -> None:
        self.expected = 0
        self._told = self._longest = 0.0
        self._is_waiting = False
        self._vain = 1  # shared commits to one wait: twice as many after each wait in which nobody came
        self._left = 0  # shared commits until the next wait
        self._bell = threading.Lock()  # free: all are there
        self._bell.acquire()

    def measure(self, commit: Callable[[], None]) -> None:
        """Make a shared commit, and note how long that takes."""
        begin = SystemClock.monotonic()
        commit()
        self._longest = min(LONGEST_SECONDS, COMMITS * (SystemClock.monotonic() - begin))

    def tell(self, done: Sequence[PendingWrite], waiting: int) -> None:
        """Note how many threads may come, as those of a commit are told of it, if it has waited for the disk.

        Args:
            done: the work of the commit.
            waiting: how much work has come meanwhile.
        """
        threads = sum([work.is_awaited for work in done])
        if threads < 2 or not any(work.durability == "power" for work in done):
            return
        if self._left:
            self._left -= 1
            return
        self.expected = threads + waiting
        self._told = SystemClock.monotonic()

    def arrive(self, waiting: int) -> None:
        """Note that a thread has brought work, with which so much waits; any thread may say so."""
        if self._is_waiting and waiting >= self.expected:
            try:
                self._bell.release()
            except RuntimeError:  # rung already
                return

    def wait(self, works: Sized) -> None:
        """Wait until so much work waits as is expected, not for long; the thread that is about to commit calls it."""
        if SystemClock.monotonic() - self._told < STALE_SECONDS and not in_virtual_time():
            self._is_waiting = True
            before = len(works)
            if before < self.expected:  # else the last one came before it could ring
                self._bell.acquire(timeout=self._longest)
                self._vain = 1 if len(works) > before else min(2 * self._vain, RAREST)
                self._left = self._vain - 1
            self._is_waiting = False
        self.expected = 0
        self._bell.acquire(blocking=False)  # rung too late
