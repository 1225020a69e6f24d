"""Logs: what children log is handled by the loggers of their parent. Layer 2. The parent's side of `records`."""

from __future__ import annotations

import logging

from actorflow.process.payload import loads


def levels() -> dict[str, int]:
    """Return the levels of this process's loggers by name, "" being the root; for a child to begin with."""
    found = {"": logging.root.level}
    for name, known in list(logging.root.manager.loggerDict.items()):
        if isinstance(known, logging.Logger) and known.level:
            found[name] = known.level
    return found


def handle(data: bytes, **extra: str) -> None:
    """Hand a record of a child to the loggers of this process, with more attributes."""
    record = logging.makeLogRecord({**loads(data), **extra})
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)
