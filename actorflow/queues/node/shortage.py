"""Shortage: a process that cannot begin jobs for now: no descriptor, no thread, no memory, no pool.

Jobs that could not begin are given back without an attempt, and this process takes no more for a while, then one, to
see whether it can again. Otherwise it would drain the whole queue in a moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actorflow.core.backoff import Backoff
from actorflow.core.log import logger
from actorflow.text import reason_of

if TYPE_CHECKING:
    import random

    from actorflow.queues.node.job_owner import JobAttempt
    from actorflow.queues.node.local_queue import LocalQueue

PAUSES: Final = Backoff(0.5, limit=30.0)
SILENCE_SECONDS: Final = 60.0  # between two lines in the log, should jobs of one kind begin and of another not


class Shortage:
    """A lack of resources in this process.

    Attributes:
        lasts: jobs cannot begin in it.
        trial: the job that was begun to see whether it can.
    """

    def __init__(self, local: LocalQueue) -> None:
        self._local = local
        self.lasts = False
        self.trial: JobAttempt | None = None
        self._misses = 0  # in a row
        self._until = 0.0
        self._reported_at = float("-inf")

    @property
    def may_try(self) -> bool:
        """Whether a job may be taken, to see if it can begin."""
        return self._local.clock.monotonic() >= self._until

    def note(self, error: BaseException, rng: random.Random) -> float | None:
        """Note that a job could not begin; return when to try again, in seconds, or None if that is seen to."""
        now = self._local.clock.monotonic()
        if now < self._until:
            return None  # several were taken before the first could not begin
        self.lasts = True
        self._misses += 1
        seconds = PAUSES.delay(self._misses, rng)
        self._until = now + seconds
        if now - self._reported_at >= SILENCE_SECONDS:
            self._reported_at = now
            logger.error(
                "Queue %s: jobs cannot begin in this process (%s); they are given back, and no more are taken until "
                "one can begin; next try in %.2g s, then less often",
                self._local.name,
                reason_of(error),
                seconds,
            )
        return seconds + 0.001

    def over(self) -> None:
        """Note that a job has begun."""
        self.trial = None
        if self.lasts:
            self.lasts, self._misses, self._until = False, 0, 0.0
            logger.info("Queue %s: jobs begin in this process again", self._local.name)
