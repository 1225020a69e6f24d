"""Current: what a running task knows of itself. Layer 3."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from actorflow.errors import DefinitionError

CURRENT_TASK: ContextVar[Current] = ContextVar("actorflow.task")


class Current:
    """The attempt that runs: `af.current()` inside of a task.

    Attributes:
        key: the same for each attempt of one job, and no other's: hand it to services that know idempotency keys.
        attempt: counts from 1.
        cancelled: somebody wants it to end; look at it in long loops.
    """

    __slots__ = ("_report", "attempt", "cancelled", "key")

    def __init__(self, key: str, attempt: int, report: Callable[[Any, Any], None]) -> None:
        self.key = key
        self.attempt = attempt
        self.cancelled = False
        self._report = report

    def progress(self, done: float, total: float | None = None) -> None:
        """Say how far it is; listeners and `job.info().progress` show it."""
        self._report(done, total)


def current() -> Current:
    """Return what the running task knows of itself.

    Raises:
        DefinitionError: called outside of a task.
    """
    try:
        return CURRENT_TASK.get()
    except LookupError:
        msg = "af.current() is for tasks that a queue or a workflow runs"
        raise DefinitionError(msg) from None
