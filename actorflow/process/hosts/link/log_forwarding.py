"""Log forwarding: sends the log records of a host to its parent, with the path of the actor whose handler logs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from actorflow.core.messages.execution import CURRENT
from actorflow.process import log_records
from actorflow.process.hosts.link.requests import REQUESTS, Request
from actorflow.process.log_handling import records_of

if TYPE_CHECKING:
    from actorflow.process.hosts.link.link import HostLink


def install(link: HostLink, parent: str, levels: dict[str, int]) -> None:
    """Have all loggers of this process write to the parent."""

    def send(data: bytes) -> None:
        if link.connection.fileno() < 0:
            raise OSError("the link is closed")  # this is a process that an actor has forked, or the parent is gone
        link.note(parent, "log", data)

    log_records.install(send, levels, mark)


def mark(record: logging.LogRecord) -> None:
    """Add the path of the actor whose handler logs to a record."""
    execution = CURRENT.get()
    ref = execution.item[0] if execution is not None else None
    if not hasattr(record, "actor") and ref is not None and hasattr(ref, "path"):
        record.actor = ref.path


def log(request: Request, data: bytes) -> None:
    """Have a record of a host handled."""
    records_of(request.node.scheduler).put(data)


REQUESTS["log"] = log
