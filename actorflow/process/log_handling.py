"""Log handling: the log records of children, handled by the loggers of their parent. Its side of `log_records`."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from actorflow.core.atomic import forkable_lock
from actorflow.core.log import logger
from actorflow.process.pickling import loads

if TYPE_CHECKING:
    from actorflow.core.running.scheduler import Scheduler

QUEUED: Final = 16 * 2**20  # bytes of records that wait for the handlers; some 15,000 lines


def levels() -> dict[str, int]:
    """Return the levels of this process's loggers by name, "" being the root; for a child to begin with."""
    found = {"": logging.root.level}
    for name, known in list(logging.root.manager.loggerDict.items()):
        if isinstance(known, logging.Logger) and known.level:
            found[name] = known.level
    return found


def records_of(scheduler: Scheduler) -> RecordQueue:
    """Return the queue for log records of a system's children; it ends with the system."""
    if scheduler.records is None:
        with _lock:
            if scheduler.records is None:
                scheduler.records = RecordQueue(f"{scheduler.name}-logs")
    return cast("RecordQueue", scheduler.records)


_lock = forkable_lock()


class RecordQueue:
    """A queue of log records with a thread of its own, so that a slow handler stops nothing else from a child.

    When the queue is full, new records are dropped until half is handled; a warning then says how many.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._changed = threading.Condition()
        self._calls: deque[tuple[Callable[[], object], int]] = deque()
        self._size = 0
        self._full = False
        self._dropped = 0
        self._closed = False
        self._thread: threading.Thread | None = None

    def put(self, data: bytes, **extra: str) -> None:
        """Have a record of a child handed to the loggers of this process, with more attributes."""
        self.call(partial(handle, data, extra), len(data))

    def call(self, act: Callable[[], object], size: int = 0) -> None:
        """Have a function called behind the records that are there; a call without a size is never dropped."""
        with self._changed:
            if self._closed or (self._full and size):
                self._dropped += 1
                return
            self._calls.append((act, size))
            self._size += size
            self._full = self._full or self._size > QUEUED
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                with suppress(RuntimeError):  # there is no room for it: the next call tries again, or the end does it
                    thread.start()
                    self._thread = thread
            self._changed.notify()

    def close(self, seconds: float) -> None:
        """Wait so long until all is handled; records left then are dropped, for a handler hangs."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        thread = self._thread
        if thread is threading.current_thread():  # a handler may stop the system
            return
        if thread is None:
            self._run()
            return
        thread.join(seconds)
        with self._changed:
            self._dropped += len(self._calls)
            self._calls.clear()

    def _run(self) -> None:
        while (act := self._next()) is not None:
            try:
                act()
            except BaseException:  # noqa: BLE001 - user code, a handler, say; its SystemExit ends none of the others
                logger.exception("A log record of a child process could not be handled")

    def _next(self) -> Callable[[], object] | None:
        """Wait for the next call; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._calls or self._closed)
            if not self._calls:
                return self._report() if self._dropped else None
            act, size = self._calls.popleft()
            self._size -= size
            if self._full and self._size <= QUEUED // 2:
                self._full = False
                self._calls.append((self._report(), 0))
            return act

    def _report(self) -> Callable[[], object]:
        dropped, self._dropped = self._dropped, 0
        text = "%d log records of child processes were dropped: the handlers of this process do not keep up"
        return partial(logger.warning, text, dropped)


def handle(data: bytes, extra: dict[str, Any]) -> None:
    """Hand a record of a child to the loggers of this process."""
    record = logging.makeLogRecord({**loads(data), **extra})
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)
