"""Events of jobs, and the functions that hear of them in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from actorflow.core.log import logger


@dataclass(frozen=True, slots=True)
class JobEvent:
    """An event of a job, which listeners of a queue get.

    Attributes:
        kind: "queued", "started", "progress", "completed", "failed", "retried", "cancelled" or "dead".
        job: id of the job.
        task: name of its task.
        time: seconds since the epoch.
        detail: of "progress", (done, total); of "retried", when it is due.
    """

    kind: str
    job: str
    task: str
    time: float
    detail: Any = None


Listener: TypeAlias = Callable[[JobEvent], Any]


class Listeners:
    """Functions that are called with each event of a queue; one that raises is logged, and stops nothing."""

    def __init__(self, queue: str, now: Callable[[], float]) -> None:
        self._queue = queue
        self._now = now
        self._functions: dict[object, Listener] = {}  # no lock: a signal's handler that raises would leave it taken

    def __bool__(self) -> bool:
        return bool(self._functions)

    def add(self, listener: Listener) -> Callable[[], None]:
        """Have a function called for each event; return a function that ends that."""
        key = object()
        self._functions[key] = listener

        def remove() -> None:
            self._functions.pop(key, None)

        return remove

    def tell(self, kind: str, job: int, task: str, detail: Any = None) -> None:
        """Call the listeners."""
        if not self._functions:
            return
        event = JobEvent(kind, str(job), task, self._now(), detail)
        for listener in list(self._functions.values()):
            try:
                listener(event)
            except KeyboardInterrupt:
                raise
            except BaseException:  # noqa: BLE001 - a listener that raises changes nothing
                logger.exception("A listener of queue %s failed", self._queue)
