"""Asyncio bridge: asyncio code awaits a future of ours. Imported at first need, since asyncio takes 30 ms."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from actorflow.core.futures.thread_wait import ask_timeout
from actorflow.core.futures.wait_graph import deadlock, find_cycle

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future
    from actorflow.core.messages.execution import Execution


def bridge(future: Future[Any], execution: Execution | None) -> Generator[Any, Any, None]:
    """Await one of our futures in asyncio code without blocking its loop."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        if execution is None or not execution.on_loop:
            return  # driven by hand, as `yield from future` in plain code: the `get` that follows waits
        raise
    done = loop.create_future()

    def settle() -> None:
        if not done.done():
            done.set_result(None)

    def wake() -> None:
        try:
            loop.call_soon_threadsafe(settle)
        except RuntimeError:  # the loop was closed, and nobody waits any more
            return

    if execution is not None and execution.on_loop:
        note_wait(execution, future)
    if future._add_waiter(wake):
        seconds = future._ask_timeout
        entry = None if seconds is None else loop.call_later(seconds, settle)
        try:
            yield from done
        finally:
            future._drop_waiter(wake)
            if entry is not None:
                entry.cancel()
        if not future._done:
            raise ask_timeout(future, seconds)


def note_wait(task: Any, future: Future[Any]) -> None:
    """Note the future that a handler on the loop waits for, unless only a task that it began is left of the handler.

    Raises:
        DeadlockError: it waits for the actor itself, or for one that waits for it.
    """
    ref = task.item[0]
    if ref is not None and ref._waiting is task:
        refused = task.scheduler.refused_wait(ref, future) if task.scheduler.is_virtual else None
        if refused is not None:
            raise refused
        cycle = find_cycle(ref, future)
        if cycle is not None:
            raise deadlock(cycle)
        task.future = future
