"""Waits: who in this process waits for the end of a job. Layer 4."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from actorflow.core.future import Future, patient


class Waits:
    """Futures by job; set when this process ends the job, or when others have committed and it may be over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._futures: dict[int, list[Future[None]]] = {}

    def add(self, job: int) -> Future[None]:
        """Return a future that is set once something may have happened to a job."""
        future: Future[None] = patient(None)  # type: ignore[arg-type]
        with self._lock:
            self._futures.setdefault(job, []).append(future)
        return future

    def drop(self, job: int, future: Future[None]) -> None:
        """Wait no more."""
        with self._lock:
            left = [one for one in self._futures.get(job, ()) if one is not future]
            if left:
                self._futures[job] = left
            else:
                self._futures.pop(job, None)

    def ended(self, jobs: Iterable[int]) -> None:
        """Wake who waits for these."""
        if not self._futures:
            return
        with self._lock:
            futures = [future for job in jobs for future in self._futures.pop(job, ())]
        for future in futures:
            future._settle(None, None)

    def look(self) -> None:
        """Wake all: another process has committed something."""
        self.ended(list(self._futures))
