"""LogUpkeep: a node's regular work for the log: delayed events that are due go into it, and old ones are removed."""

from __future__ import annotations

import json
import math
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.log import logger
from actorflow.events.log.consumers import Consumer
from actorflow.events.log.entries import DELAYED, Entry
from actorflow.events.log.offsets import Offsets
from actorflow.events.log.rows import LogRow, NewEvent, put

if TYPE_CHECKING:
    from actorflow.events.log.log_node import LogNode
    from actorflow.store.transaction import Transaction

PART: Final = 500  # delayed events that one transaction moves
PRUNE: Final = 1000  # events that one transaction removes
AGAIN_SECONDS: Final = 1.0  # until delayed events are looked for again after a failure


class LogUpkeep:
    """The regular work of one node for the log."""

    def __init__(self, log: LogNode, keep: float) -> None:
        self.log = log
        self.keep = keep
        self._alarm = math.inf
        self._left_behind: set[str] = set()  # consumers of which events were removed that they had not handled

    # --- delayed events ----------------------------------------------------------------------------------------------

    def add(self, transaction: Transaction, event: NewEvent, due: float) -> None:
        """Write an event that is published later."""
        entry = Entry(LogRow(0, *event))
        entry.put_aside(transaction, "", DELAYED, due, None)
        transaction.after_commit(partial(self.expect, due))

    def expect(self, due: float) -> None:
        """Publish delayed events at a time, unless that is done earlier."""
        if due < self._alarm:
            self._alarm = due
            scheduler = self.log.runtime.scheduler
            scheduler.call_later(max(0.0, due - self.log.runtime.now()), partial(self._ring, due))

    def _ring(self, due: float) -> None:
        if due == self._alarm:  # else another one was set
            self._alarm = math.inf
            self.log.do("delayed events", self.publish_due)

    def look(self) -> None:
        """Look when the next delayed event is due: another process may have published it."""
        row = self.log.store.read(lambda transaction: transaction.one("events.first_due"))
        if row is not None and row[0] is not None:
            self.expect(row[0])

    def publish_due(self) -> None:
        """Put delayed events that are due into the log, in the order of their times."""
        log = self.log
        try:
            while not log.runtime.is_closed and log.store.write(self._move) == PART:
                pass
            self.look()
        except BaseException:
            self.expect(log.runtime.now() + AGAIN_SECONDS)
            raise

    def _move(self, transaction: Transaction) -> int:
        now = self.log.runtime.now()
        rows = sorted(transaction.all("events.take_due", {"now": now, "limit": PART}), key=lambda row: (row[1], row[0]))
        events = [NewEvent._make((*row[2:-1], now)) for row in rows]  # it is published now
        if events:
            put(transaction, self.log.store.dialect, events)
            transaction.after_commit(self.log.announce)
        return len(rows)

    # --- old events --------------------------------------------------------------------------------------------------

    def prune(self) -> None:
        """Remove events that were kept long enough and are handled, in parts, until none is left."""
        upto = self.log.store.read(self._handled)
        now = self.log.runtime.now()
        self._remove("events.prune", {"before": now - self.keep, "upto": upto, "limit": PRUNE})
        self._remove("events.prune_dead", {"now": now, "limit": PRUNE})

    def _remove(self, statement: str, values: dict[str, Any]) -> None:
        store = self.log.store
        while not self.log.runtime.is_closed:
            if store.write(lambda transaction: transaction.run(statement, values), durability="process") < PRUNE:
                return

    def _handled(self, transaction: Transaction) -> int:
        """Return the number up to which all consumers that some process has are through; the newest event stays."""
        newest = transaction.one("events.newest")
        upto = ((newest[0] if newest is not None else None) or 0) - 1
        for row in transaction.all("events.consumers"):
            consumer = Consumer.of(row)
            members = transaction.all("events.members", {"names": json.dumps(consumer.actors)})
            least = min((Offsets.read(log).least for *_, log in members if log is not None), default=0)
            if transaction.all("events.nodes", {"consumer": consumer.name}):
                upto = min(upto, least)
            elif least < upto and consumer.name not in self._left_behind:
                self._left_behind.add(consumer.name)
                text = "Consumer %r is in no process: old events that it has not handled are removed from the log"
                logger.warning(text, consumer.name)
        return upto
