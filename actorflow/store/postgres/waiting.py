"""Waiting: a wait for the server's answer that can be given up from this side.

A server that is stopped, or behind a network that swallows packets, neither answers nor breaks off, and on a socket of
the machine the kernel notices nothing. Imported with psycopg, so by `driver` only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from actorflow.core.clock import SystemClock
from actorflow.store.postgres.driver import SILENT

GivesUp = Callable[[float], bool]  # called in a wait, ten times a second, with the seconds that it has taken


class WatchedConnection(psycopg.Connection[TupleRow]):
    """A connection that can be watched: it closes itself, and raises, when it is told to give up a wait for the server.

    That costs 2.7 us of each answer, 5 % of a small commit; so only the link's connection is watched for long.
    """

    def watch(self, gives_up: GivesUp) -> None:
        """Have a function asked in each wait, ten times a second, whether to give up."""
        self.wait = partial(self._wait, gives_up)  # type: ignore[method-assign]

    def unwatch(self) -> None:
        """Wait as long as it takes."""
        del self.wait

    def _wait(self, gives_up: GivesUp, gen: Any, *args: Any, **options: Any) -> Any:
        """Wait as psycopg does, which wakes ten times a second for signals."""
        return super().wait(self._watched(gives_up, gen), *args, **options)

    def _watched(self, gives_up: GivesUp, gen: Any) -> Any:
        since: float | None = None
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready:
                    now = SystemClock.monotonic()
                    since = now if since is None else since
                    if gives_up(now - since):
                        self.close()
                        raise psycopg.OperationalError(SILENT)
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value
