"""Log lines of the runtime, worded as pykka words them. Layer 1."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from actorflow.errors import ActorDeadError

if TYPE_CHECKING:
    from actorflow.core.future import Future

logger = logging.getLogger("actorflow")
logger.addHandler(logging.NullHandler())


def report_lost_reply(future: Future[Any], path: str) -> None:
    """Say that a Reply was thrown away unset, and answer its asker: in this order, or he may look before it is said."""
    try:
        logger.warning("A Reply of %s was collected unset; its asker gets ActorDeadError", path)
    finally:
        future._settle(None, ActorDeadError(f"{path} threw its Reply away without an answer"))
