"""Arrivals: jobs that are added."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from actorflow.errors import DefinitionError
from actorflow.queues.ledger.chains import cancel_queued, collect, members_of
from actorflow.queues.ledger.limits import BEHIND, HELD, Limits, enter, first_stage, limits_of, promote
from actorflow.queues.ledger.records import FINAL, Counts, News

if TYPE_CHECKING:
    from actorflow.store.transaction import Transaction

TOGETHER: Final = 4 << 20  # bytes of arguments that go to the database in one piece


def put(
    transaction: Transaction,
    job: dict[str, Any],
    needs: Iterable[int],
    now: float,
    news: News,
    limit: int = sys.maxsize,
    replaced: int | None = None,
) -> int:
    """Add a job; return its id. The job waits until the job that it has `replaced` is over, in whatever way."""
    queue, key, due = job["queue"], job["key"], job["due"]
    limits = limits_of(transaction, queue)
    needs = list(needs)
    stage = HELD if needs else first_stage(key, due, limits, now)
    row = transaction.one("jobs.put", {**job, "stage": stage, "needs": 0})
    assert row is not None
    id_: int = row[0]
    if job["tags"]:
        transaction.many("jobs.add_tag", tag_rows(id_, queue, job["tags"]))
    if needs:
        hold(transaction, id_, needs, job, limits, now, news, limit, replaced)
    elif stage == BEHIND:
        promote(transaction, queue, key, limits, now)
    return id_


def put_many(transaction: Transaction, job: dict[str, Any], payloads: list[bytes], now: float) -> list[int]:
    """Add jobs that differ in their arguments only, and wait for no others; return their ids."""
    queue, key = job["queue"], job["key"]
    limits = limits_of(transaction, queue)
    stage = first_stage(key, job["due"], limits, now)
    ids = number(transaction, "jobs.put_whole", {**job, "stage": stage}, payloads)
    if job["tags"]:
        transaction.many("jobs.add_tag", (row for id_ in ids for row in tag_rows(id_, queue, job["tags"])))
    if stage == BEHIND:
        promote(transaction, queue, key, limits, now)
    return ids


def number(transaction: Transaction, statement: str, row: dict[str, Any], payloads: list[bytes]) -> list[int]:
    """Add a row for each of some arguments, with ids that are taken beforehand; return these.

    The arguments go as one JSON list, which the database takes apart: a quarter of the time of a statement for each.
    """
    ids = [new[0] for new in transaction.all("jobs.new_ids", {"count": len(payloads)})]
    begin = size = 0
    for end, payload in enumerate(payloads, 1):
        size += len(payload)
        if size > TOGETHER or end == len(payloads):
            part = json.dumps([args.decode() for args in payloads[begin:end]], ensure_ascii=False)
            values = {**row, "ids": json.dumps(ids[begin:end]), "payloads": part}
            transaction.run(statement, values)
            begin, size = end, 0
    return ids


def check_needs(transaction: Transaction, needs: Iterable[int]) -> None:
    """Refuse to wait for jobs that are not there, before anything is written: the transaction may be the user's.

    Raises:
        DefinitionError: one is not there.
    """
    for other in needs:
        if transaction.one("jobs.place", {"id": other}) is None:
            raise unknown_need(other)


def unknown_need(other: int) -> DefinitionError:
    """Return the text of the error for a job that does not exist."""
    return DefinitionError(f"after=[job {other}]: there is no such job; was it done long ago?")


def tag_rows(id_: int, queue: str, tags: str) -> list[dict[str, Any]]:
    """Return the rows by which a job is found by its tags."""
    return [{"queue": queue, "tag": tag, "job": id_} for tag in tags.split("\n")]


def hold(
    transaction: Transaction,
    id_: int,
    needs: list[int],
    job: dict[str, Any],
    limits: Limits,
    now: float,
    news: News,
    limit: int,
    replaced: int | None = None,
) -> None:
    """Have a job wait for others; those that are over count at once: of one that was not completed it is cancelled."""
    open_needs = 0
    members: frozenset[int] = frozenset() if job["gather"] is None else frozenset(members_of(job["gather"]))
    for other in needs:
        if transaction.run("jobs.add_need", {"needs": other, "job": id_, "anyway": int(other == replaced)}):
            open_needs += 1
            continue
        row = transaction.one("jobs.status", {"id": other})
        if row is None:
            raise unknown_need(other)
        if row[0] in FINAL and row[0] != "completed" and other != replaced:
            cancel_queued(transaction, id_, f"job {other}, which it waited for, is {row[0]}", now, news)
            return
        if other in members:
            transaction.run("jobs.keep_need", {"needs": other, "job": id_})
    if open_needs:
        transaction.run("jobs.set_needs", {"id": id_, "needs": open_needs})
        return
    counts: dict[str, Counts] = {}
    if job["gather"] is None or collect(transaction, id_, job["gather"], now, news, limit, counts) is None:
        enter(transaction, id_, job["queue"], job["key"], job["due"], limits, now)
    for queue, count in counts.items():
        count.write(transaction, queue)
