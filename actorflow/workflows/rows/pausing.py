"""Pausing: the commits that have a run begin nothing more, and that have it go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actorflow.durable.rows import ledger as mailboxes
from actorflow.durable.rows.payload import pack
from actorflow.durable.rows.records import Letter
from actorflow.workflows.rows import limits
from actorflow.workflows.rows.records import FINAL, address_of
from actorflow.workflows.signals import PauseRun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.durable.rows.ledger import LedgerContext
    from actorflow.store.transaction import Transaction
    from actorflow.workflows.rows.records import ClaimedRun

PAUSE: Final = pack(PauseRun(), 1000)


def letter_to(run: str) -> Letter:
    """Return the message that asks the owner of a run to pause it."""
    return Letter(address_of(run), PAUSE)


def pause(transaction: Transaction, context: LedgerContext, run: str, letter: Letter) -> bool | None:
    """Pause a run at once if nobody has it, else by mail to its owner; False if it is over, None if there is none."""
    letter.is_put = False
    row = transaction.one("runs.lock", {"name": run})
    if row is None:
        return None
    if row[0] in FINAL:
        return False
    if not transaction.run("runs.pause", {"name": run}):
        mailboxes.put(transaction, context, letter)
    return True


def resume(transaction: Transaction, run: str, now: float) -> bool | None:
    """Have a run go on that is paused or parked; False if it is neither, None if there is none."""
    row = transaction.one("runs.lock", {"name": run})
    if row is None:
        return None
    withdrawn = transaction.run("runs.drop_pauses", _mail(run))
    return limits.enter_again(transaction, transaction.one("runs.unpark", {"name": run}), now) or withdrawn > 0


def end_pause(transaction: Transaction, run: str, now: float) -> None:
    """Have a run that is paused go on, as it is cancelled: its clean-up code is to run."""
    transaction.run("runs.drop_pauses", _mail(run))
    limits.enter_again(transaction, transaction.one("runs.unpause", {"name": run}), now)


def _mail(run: str) -> dict[str, Any]:
    return {"receiver": address_of(run), "body": PAUSE}


def take(transaction: Transaction, run: ClaimedRun, owner: str, mail: Sequence[int]) -> bool:
    """Take the messages that ask for a pause; False if they were withdrawn meanwhile, or another node has the run."""
    transaction.one("runs.lock", {"name": run.name})
    fence = {"id": run.id, "owner": owner, "epoch": run.epoch}
    if transaction.one("runs.is_owned", fence) is None:
        return False
    return sum(transaction.run("actors.done", {"id": id_}) for id_ in mail) > 0
