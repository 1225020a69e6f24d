"""Sending: the commit that puts a message into the mailbox of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.durable.rows import ledger as mailboxes
from actorflow.durable.rows.records import Letter
from actorflow.errors import DefinitionError, RunCancelled
from actorflow.store.error_json import write_error
from actorflow.workflows.rows import ledger, limits
from actorflow.workflows.rows.keeping import KEEP_ENDED
from actorflow.workflows.rows.pausing import end_pause
from actorflow.workflows.rows.records import FINAL, address_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.durable.rows.ledger import LedgerContext
    from actorflow.store.store import Store
    from actorflow.store.transaction import Transaction


class RunOver(DefinitionError):
    """A message to a run that is over."""


def missing(run: str, store: Store) -> DefinitionError:
    """Return the error of a look at a run that is not there."""
    return DefinitionError(f"there is no run {run} in {store.url}; it may have been removed after its time")


def put(
    transaction: Transaction,
    context: LedgerContext,
    run: str,
    letter: Letter,
    marked: str | None,
    end_unbegun: Callable[[Transaction], bool] | None = None,
) -> bool:
    """Put a message into the mailbox of a run; False if there is no such run.

    Args:
        transaction: the transaction to write in.
        context: takes note of the message.
        run: its id.
        letter: the message.
        marked: the sender's id: a second message with it is dropped.
        end_unbegun: of a cancel: ends a run that has not begun, and says whether it did.

    Raises:
        RunOver: the run is over.
    """
    letter.is_put = False
    row = transaction.one("runs.lock", {"name": run})
    if row is None:
        return False
    if row[0] in FINAL:
        if marked is not None and transaction.one("actors.is_marked", {"receiver": letter.receiver, "id": marked}):
            return True
        msg = f"run {run} is over: it is {row[0]}"
        raise RunOver(msg)
    if end_unbegun is not None and end_unbegun(transaction):
        return True
    if end_unbegun is not None:
        end_pause(transaction, run, context.now())
    if marked is None:
        mailboxes.put(transaction, context, letter)
    else:
        mailboxes.put_once(transaction, context, letter, marked)
    transaction.run("runs.hear", {"name": run})
    return True


def send_stored(
    store: Store, context: LedgerContext, run: str, body: bytes, marked: str | None, *, is_cancel: bool = False
) -> bool:
    """Send a run a message that is packed, from a process without runs; False if one was sent that was marked so.

    Raises:
        DefinitionError: there is no such run, it is over, or of a DAG.
    """
    letter = Letter(address_of(run), body)
    now = store.now()

    def end_unbegun(transaction: Transaction) -> bool:
        row = ledger.find(transaction, run)
        is_child = row is not None and row.parent is not None  # its parent is to hear of its end
        return not is_child and end_before_begin(transaction, cancelled_at(run, now))

    row = None if is_cancel else store.read(lambda tx: ledger.find(tx, run))
    if row is not None and row.is_of_dag:
        raise DefinitionError(f"run {run} is of a DAG, which waits for no signals: a workflow does")
    if not store.write(lambda tx: put(tx, context, run, letter, marked, end_unbegun if is_cancel else None)):
        raise missing(run, store)
    return letter.is_put


def end_before_begin(transaction: Transaction, values: dict[str, Any]) -> bool:
    """End a run that has not begun, with these columns, and give its slot back; False if it has, or is over."""
    row = transaction.one("runs.end_unbegun", values)
    if row is None:
        return False
    id_, workflow, slot, is_held = row
    if is_held:
        transaction.run("runs.drop_slot", {"id": id_})
        limits.free(transaction, workflow, slot, values["now"])
    return True


def cancelled_at(run: str, now: float, keep: float = KEEP_ENDED) -> dict[str, Any]:
    """Return the columns of a run that ends before it has begun."""
    error = write_error(RunCancelled(f"run {run} was cancelled before it began"))
    return {"name": run, "error": error, "now": now, "keep": now + keep}
