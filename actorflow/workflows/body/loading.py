"""Loading: the records and the arguments of a run, as its body gets them before its code begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.workflows.body.queued import queued
from actorflow.workflows.rows.records import ASKED, ATTEMPT, PATCHED, TOLD, UNHEARD

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actorflow.workflows.body.body import Body
    from actorflow.workflows.rows.records import RunRecord


def load(body: Body, records: Iterable[RunRecord]) -> None:
    """Give a body its records, before its code begins."""
    for record in records:
        if record.kind == PATCHED:
            body.patches[record.identity[1]] = True
        elif record.kind == ATTEMPT:
            body.attempts.setdefault(record.identity, []).append(record)
        elif record.kind in {TOLD, ASKED}:
            body.sends.untold[record.identity] = record
        elif record.kind not in UNHEARD:
            body.journal = queued(body.journal, record)


def arguments_of_code(body: Body) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of the function of a body.

    Raises:
        Unload: they cannot be read here.
    """
    try:
        args, kwargs = body.workflow.arguments_in(body.node.read(body.run.input))
    except Exception as error:  # noqa: BLE001 - of a class of the user's
        raise body.unreadable("the arguments of the run", error) from None
    return args, kwargs
