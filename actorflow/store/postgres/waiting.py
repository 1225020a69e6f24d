"""Waiting: a wait for the server's answer that can be given up from this side.

A server that is stopped, or behind a network that swallows packets, neither answers nor breaks off, and on a socket of
the machine the kernel notices nothing. Imported with psycopg, so by `driver` only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from actorflow.core.clock import SystemClock
from actorflow.store.postgres.driver import SILENT

GivesUp = Callable[[float], bool]  # called in a wait, ten times a second, with the seconds that it has taken


class WatchedConnection(psycopg.Connection[TupleRow]):
    """A connection that closes itself, and raises, when it is told to give up a wait for the server."""

    gives_up: GivesUp

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        """Wait as psycopg does, which wakes ten times a second for signals."""
        return super().wait(self._watched(gen), *args, **options)

    def _watched(self, gen: Any) -> Any:
        since: float | None = None
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready:
                    now = SystemClock.monotonic()
                    since = now if since is None else since
                    if self.gives_up(now - since):
                        self.close()
                        raise psycopg.OperationalError(SILENT)
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value
