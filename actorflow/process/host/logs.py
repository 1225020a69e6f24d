"""Logs: what a child logs is handled by the loggers of its parent. Layer 2."""

from __future__ import annotations

import logging
from logging.handlers import QueueHandler
from typing import TYPE_CHECKING, Any

from actorflow.core.current import CURRENT
from actorflow.process.host.requests import REQUESTS, Request

if TYPE_CHECKING:
    from actorflow.process.host.link import Link


def levels() -> list[tuple[str, int]]:
    """Return the level of each logger that has one of its own, the root's first; for a child to begin with."""
    found = [("", logging.root.level)]
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and logger.level:
            found.append((name, logger.level))
    return found


class Forward(QueueHandler):
    """Sends records to the parent, with the path of the actor whose handler logs."""

    def __init__(self, link: Link, parent: str) -> None:
        super().__init__(queue=None)  # type: ignore[arg-type]  # `enqueue` needs none
        self._link = link
        self._parent = parent

    def enqueue(self, record: logging.LogRecord) -> None:
        """Send one."""
        if not hasattr(record, "actor"):
            execution = CURRENT.get()
            ref = execution.item[0] if execution is not None else None
            if ref is not None and hasattr(ref, "path"):
                record.actor = ref.path
        state = {key: value for key, value in record.__dict__.items() if key != "args"}
        try:
            self._link.note(self._parent, "log", state)
        except Exception:  # noqa: BLE001 - something extra that does not pickle
            plain = (str, int, float, type(None))
            self._link.note(
                self._parent, "log", {key: value for key, value in state.items() if isinstance(value, plain)}
            )


def install(link: Link, parent: str, wanted: list[tuple[str, int]]) -> None:
    """Have all loggers of this process write to the parent."""
    logging.root.handlers[:] = [Forward(link, parent)]
    for name, level in wanted:
        logging.getLogger(name or None).setLevel(level)


def log(_request: Request, state: dict[str, Any]) -> None:
    """Handle a record of a child."""
    record = logging.makeLogRecord({**state, "args": None})
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)


REQUESTS["log"] = log
