"""Apart: outcomes are written one by one once they could not be written together.

One that cannot be written is set aside: its job is a dead letter that says so. All others are written as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actorflow.core.log import logger
from actorflow.errors import StoreError
from actorflow.queues import ledger
from actorflow.store.error_json import write_error
from actorflow.text import reason_of

if TYPE_CHECKING:
    from actorflow.queues.node.local_queue import LocalQueue

# The errors of both databases' packages for a value, and not for their own state.
OF_VALUES: Final = frozenset({"DataError", "InterfaceError", "IntegrityError", "ProgrammingError", "NotSupportedError"})


def write_apart(local: LocalQueue, outcomes: list[ledger.Outcome]) -> list[ledger.Outcome]:
    """Write each outcome in a transaction of its own; return those that wait until the store works again."""
    for place, outcome in enumerate(outcomes):
        try:
            local.jobs.settle(outcome)
        except Exception as error:  # noqa: BLE001 - the store's, or this outcome's
            if not is_of_value(error):
                return outcomes[place:]
            set_aside(local, outcome, error)
    return []


def set_aside(local: LocalQueue, outcome: ledger.Outcome, error: Exception) -> None:
    """Make a dead letter of a job whose outcome cannot be written."""
    text = f"its outcome ({outcome.status}) could not be written: {reason_of(error)}"
    logger.error("Job %s of queue %s is a dead letter: %s", outcome.id, local.name, text)
    dead = ledger.Outcome(outcome.id, outcome.epoch, outcome.key, "dead", task=outcome.task)
    dead.error = write_error(StoreError(text))
    try:
        local.jobs.settle(dead)
    except Exception as problem:  # noqa: BLE001 - the row alone, without the effects of its end
        logger.error(
            "Job %s of queue %s could not be ended with all its consequences: %s", outcome.id, local.name, problem
        )
        try:
            local.jobs.end_alone(dead)
        except Exception:  # noqa: BLE001 - it is reported, and stands in the way of nothing
            logger.exception("Job %s of queue %s stays as it is, until this process ends", outcome.id, local.name)


def is_of_value(error: BaseException) -> bool:
    """Say whether an error was caused by the value to be written, so that it would come again."""
    if not isinstance(error, StoreError):
        return True
    cause = error.__cause__
    return cause is not None and any(kind.__name__ in OF_VALUES for kind in type(cause).__mro__)
