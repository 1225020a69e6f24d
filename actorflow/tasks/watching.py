"""Watching: the open transaction of a task is reported, or undone, if it keeps others from writing for long."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.log import logger

if TYPE_CHECKING:
    from actorflow.store.open_transaction import OpenTransaction
    from actorflow.tasks.execution import Attempt

REPORT_SECONDS: Final = 30.0  # between two reports of a transaction that is open for long
HELD_SECONDS: Final = 1.0  # that it may be open before it is warned of


def watch_held(attempt: Attempt[Any], held: OpenTransaction) -> None:
    """Report a task that has its transaction open for long, and undo it when the task's time is over.

    The actor that ends attempts cannot do so: it may itself wait for the transaction.
    """
    site = attempt.site
    if site.scheduler.is_virtual:
        return
    timeout, began = attempt.timeout, site.clock.monotonic()

    def look() -> None:
        if not held.is_open:
            return
        if timeout is not None and site.clock.monotonic() - attempt.began >= timeout:
            if held.abandon():
                logger.error("%s hung in its transaction(), which was undone at its timeout of %s s", attempt, timeout)
            return
        seconds = site.clock.monotonic() - began
        text = "%s has had its transaction() open for %.1f s; nobody else can write to %s meanwhile"
        logger.warning(text, attempt, seconds, site.store.url)
        site.scheduler.call_later(next_look(), look)

    def next_look(seconds: float = REPORT_SECONDS) -> float:
        left = math.inf if timeout is None else attempt.began + timeout - site.clock.monotonic()
        return max(0.0, min(seconds, left))

    site.scheduler.call_later(next_look(HELD_SECONDS), look)
