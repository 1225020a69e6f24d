"""Awaited: jobs whose ends are mail, to the step of a run that has enqueued the job.

A row of `need` without a job says that somebody outside waits, so an end that nobody waits for costs no look.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from actorflow.durable.rows.answers import AnswerAddress, StepEnded
from actorflow.durable.rows.ledger import LedgerContext, put_to_run
from actorflow.durable.rows.payload import pack_end
from actorflow.durable.rows.records import Letter
from actorflow.errors import JobCancelled
from actorflow.queues.ledger.records import FINAL, News
from actorflow.store.error_json import write_error

if TYPE_CHECKING:
    from actorflow.store.transaction import Transaction

NOBODY: Final = 0  # in place of the job that needs another


def await_end(transaction: Transaction, id_: int, address: str, now: float, news: News) -> None:
    """Have the end of a job be mail to an address; at once, if it is over."""
    transaction.run("jobs.add_awaited", {"job": id_, "address": address})
    if transaction.run("jobs.add_need", {"needs": id_, "job": NOBODY, "anyway": 1}):
        return
    row = transaction.one("jobs.status", {"id": id_})
    if row is None or row[0] in FINAL:
        tell_awaiting(transaction, id_, now, news)


def tell_awaiting(transaction: Transaction, id_: int, now: float, news: News) -> None:
    """Put the end of a job into the mailboxes of those that wait for it; one that is not over is being removed."""
    row = transaction.one("jobs.end_of", {"id": id_})
    status, result, error, attempt, began = row or ("cancelled", None, None, 0, None)
    if status not in FINAL:
        status, result, error = "cancelled", None, write_error(JobCancelled("its queue was purged"))
    for (address,) in transaction.all("jobs.awaiting", {"job": id_}):
        to = AnswerAddress.of(address)
        if to is not None:
            end = StepEnded(to.rest, result, error if status != "completed" else None, status, attempt, began)
            letter = Letter(to.receiver, pack_end(end))
            put_to_run(transaction, LedgerContext(lambda: now), letter)
            news.letters.append(letter)
    transaction.run("jobs.drop_awaited", {"job": id_})


def tell_removed(transaction: Transaction, ids: list[int], now: float, news: News) -> None:
    """Tell those that wait for jobs which are about to be removed."""
    for (id_,) in transaction.all("jobs.awaited_among", {"ids": json.dumps(ids)}):
        tell_awaiting(transaction, id_, now, news)


def forget(transaction: Transaction, id_: int, address: str) -> bool:
    """Have one address hear no more of a job; say whether others wait for it."""
    others = [one for (one,) in transaction.all("jobs.awaiting", {"job": id_}) if one != address]
    if others:
        transaction.run("jobs.forget_awaited", {"job": id_, "address": address})
    return bool(others)
