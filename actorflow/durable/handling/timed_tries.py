"""Timed tries: the time that a message has taken over all its tries, for a `Retry` with `within`.

The begin of the first try is stored beside the error of the last one, so another process goes on with it. Timers and
messages in memory have no such row; their time begins anew in another process.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from actorflow.durable.handling.runtime_messages import MessageInMemory
from actorflow.durable.rows.records import MailRow

if TYPE_CHECKING:
    import random

    from actorflow.durable.handling.mailbox import Item, Mailbox
    from actorflow.tasks.retry import Retry


class TimedTries:
    """The tries of the message that one actor handles; it handles no other before that one is through.

    Attributes:
        first: the begin of the first try, in seconds since the epoch.
        error: the stored error of the last one; None if it is not known.
    """

    def __init__(self, box: Mailbox, retry: Retry) -> None:
        self.first = math.inf
        self.error: bytes | None = None
        self._box = box
        self._retry = retry
        self._row = 0  # of the message

    def begin(self, item: Item) -> bool:
        """Note the begin of a try; False if the time of all tries is over.

        Raises:
            StoreError: the begin of the first one cannot be read.
        """
        failed = self._box.failures if isinstance(item, MessageInMemory) and item.timer is not None else item.attempt
        row = item.id if isinstance(item, MailRow) else 0
        if row != self._row or (failed == 0 and item.crashes == 0):
            self.first, self.error, self._row = self._now(), None, 0
            if row and failed:
                self._read(row)
            self._row = row
        return not self._retry.is_over(self._spent())

    def pause(self, attempt: int, error: BaseException, rng: random.Random) -> float | None:
        """Return the seconds until the next try; None if there is none."""
        return self._retry.pause(attempt, error, rng, spent=self._spent())

    def stored(self, error: bytes) -> bytes:
        """Return a stored error with the begin of the first try."""
        self.error = error
        return json.dumps({**json.loads(error), "first": self.first}).encode()

    def _read(self, row: int) -> None:
        found = self._box.runtime.store.read(lambda tx: tx.one("actors.error_of", {"id": row}))
        self.error = None if found is None else found[0]
        if self.error is not None:
            try:
                self.first = min(self.first, float(json.loads(self.error)["first"]))
            except (ValueError, LookupError, TypeError):  # an older program, or its retry, knew no time
                return

    def _spent(self) -> float:
        return max(0.0, self._now() - self.first)

    def _now(self) -> float:
        return self._box.ref._scheduler.clock.time()
