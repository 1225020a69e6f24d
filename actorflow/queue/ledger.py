"""Ledger: what happens to jobs in the store. Layer 4.

Each function is a piece of work for one transaction. A running job belongs to a node and an epoch, and whatever is
written about it says both: what comes late, after another node has taken over, changes nothing and is told so.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from actorflow.errors import DefinitionError, JobCancelled, Stopping
from actorflow.queue.slots import (
    BEHIND,
    DUE,
    HELD,
    OVER,
    READY,
    RUNNING,
    Key,
    Limits,
    count_keys,
    free_slot,
    limits_of,
    promote,
)
from actorflow.store.faults import write_error

if TYPE_CHECKING:
    from actorflow.store.transaction import Row, Transaction

CRASHES: Final = 3  # processes that one job may kill before it is dead
BATCH: Final = 500  # jobs that one transaction moves on besides its own
DAY: Final = 86400.0
DEAD_SECONDS: Final = 30 * DAY  # that a dead letter is kept


@dataclass(slots=True)
class Claimed:
    """A job that this node has, to run."""

    id: int
    task: str
    args: bytes
    options: bytes | None
    attempt: int
    crashes: int
    epoch: int
    priority: int
    key: str | None
    at_most_once: bool
    created: float
    due: float | None


@dataclass(slots=True)
class Outcome:
    """What became of a job that this node had.

    Attributes:
        status: "completed", "failed", "dead", "cancelled"; "queued" to try it again at `due`, or to give it back.
        result: of a completed one.
        error: of another.
        crashes: 1 if it has killed its process.
        given_back: it was not begun.
        interrupted: it was begun, and the process ends: the attempt does not count.
    """

    id: int
    epoch: int
    key: str | None
    status: str
    result: bytes | None = None
    error: bytes | None = None
    due: float | None = None
    crashes: int = 0
    given_back: bool = False
    interrupted: bool = False
    keep: float = DAY
    task: str = ""


@dataclass(slots=True)
class News:
    """What a transaction has done besides what it was asked for; it is told once that is committed.

    Attributes:
        lost: jobs whose outcome came too late: another node has them.
        queues: in which jobs may be ready that were not.
        cancelled: jobs that will not begin, with their tasks: they expired, or waited for one that failed.
    """

    lost: list[int] = field(default_factory=list)
    queues: set[str] = field(default_factory=set)
    cancelled: list[tuple[int, str]] = field(default_factory=list)

    def begin(self) -> None:
        """Forget all: a database may have a transaction undone and done again."""
        self.lost.clear()
        self.queues.clear()
        self.cancelled.clear()


@dataclass(slots=True)
class Counts:
    """Changes of a queue's counters, written once a transaction."""

    running: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    retried: int = 0
    dead: int = 0

    def write(self, transaction: Transaction, queue: str) -> None:
        """Add them to the queue's."""
        changes = {name: getattr(self, name) for name in COUNTED}
        if any(changes.values()):
            transaction.run("jobs.count", {"name": queue, **changes})


COUNTED: Final = ("running", "completed", "failed", "cancelled", "retried", "dead")


# --- into the queue --------------------------------------------------------------------------------------------------


def first_stage(key: str | None, due: float | None, limits: Limits, now: float) -> int:
    """Return what a job waits for that waits for no other; of a limited key, `promote` lets it go on."""
    if due is not None and due > now:
        return DUE
    return BEHIND if key is not None and limits.has_keys else READY


def enter(
    transaction: Transaction, id_: int, queue: str, key: str | None, due: float | None, limits: Limits, now: float
) -> None:
    """Have a job wait for its time, for its key, or for nothing any more."""
    stage = first_stage(key, due, limits, now)
    transaction.run("jobs.set_stage", {"id": id_, "stage": stage})
    if stage == BEHIND:
        assert key is not None
        promote(transaction, queue, key, limits, now)


def put(transaction: Transaction, job: dict[str, Any], needs: Iterable[int], now: float, news: News) -> int:
    """Add a job; return its id."""
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
        hold(transaction, id_, needs, job, limits, now, news)
    elif stage == BEHIND:
        promote(transaction, queue, key, limits, now)
    return id_


def check_needs(transaction: Transaction, needs: Iterable[int]) -> None:
    """Refuse to wait for jobs that are not there, before anything is written: the transaction may be the user's.

    Raises:
        DefinitionError: one is not there.
    """
    for other in needs:
        if transaction.one("jobs.place", {"id": other}) is None:
            raise unknown_need(other)


def unknown_need(other: int) -> DefinitionError:
    """Return what is said of a job that is not there."""
    return DefinitionError(f"after=[job {other}]: there is no such job; was it done long ago?")


def tag_rows(id_: int, queue: str, tags: str) -> list[dict[str, Any]]:
    """Return the rows by which a job is found by its tags."""
    return [{"queue": queue, "tag": tag, "job": id_} for tag in tags.split("\n")]


def hold(
    transaction: Transaction, id_: int, needs: list[int], job: dict[str, Any], limits: Limits, now: float, news: News
) -> None:
    """Have a job wait for others; those that are over count at once: of one that was not completed it is cancelled."""
    open_needs = 0
    members: Sequence[int] = () if job["gather"] is None else json.loads(job["gather"])
    for other in needs:
        if transaction.run("jobs.add_need", {"needs": other, "job": id_}):
            open_needs += 1
            continue
        row = transaction.one("jobs.outcome", {"id": other})
        if row is None:
            raise unknown_need(other)
        if row[0] in FINAL and row[0] != "completed":
            cancel_queued(transaction, id_, f"job {other}, which it waited for, is {row[0]}", now, news)
            return
        if other in members:
            transaction.run("jobs.keep_need", {"needs": other, "job": id_})
    if open_needs:
        transaction.run("jobs.set_needs", {"id": id_, "needs": open_needs})
    else:
        if job["gather"] is not None:
            collect(transaction, id_, members)
        enter(transaction, id_, job["queue"], job["key"], job["due"], limits, now)


# --- out of the queue ------------------------------------------------------------------------------------------------


def claim(
    transaction: Transaction,
    queue: str,
    owner: str,
    tasks: str,
    wanted: int,
    now: float,
    lease: float,
    news: News,
) -> tuple[list[Claimed], float | None]:
    """Take the next jobs for a node, the smallest priority first, as far as the limits of the queue allow.

    Args:
        tasks: names of the tasks that the node knows, as a JSON list.
        lease: when others may take them over, if the node does not say that it still works.

    Returns:
        The jobs; and, if there are fewer than were wanted, when some will be ready by themselves.
    """
    limits = limits_of(transaction, queue)
    times = next_times(transaction, queue)
    if times and times[0] <= now:
        wake(transaction, queue, limits, now, news)
        times = next_times(transaction, queue)
    room = limits.room(wanted, now)
    claimed: list[Claimed] = []
    if room:
        values = {"queue": queue, "owner": owner, "tasks": tasks, "now": now, "lease": lease, "limit": room}
        claimed = [Claimed(*row) for row in transaction.all("jobs.claim", values)]
        claimed.sort(key=lambda job: (job.priority, job.id))
    if claimed:
        begin(transaction, queue, claimed, limits, now)
    return claimed, next_wake(transaction, queue, limits, times) if len(claimed) < wanted else None


def claim_one(transaction: Transaction, id_: int, owner: str, now: float, lease: float) -> Claimed | None:
    """Take a job that has not begun, past all limits; they count it all the same."""
    place = transaction.one("jobs.place", {"id": id_})
    rows = transaction.all("jobs.claim_one", {"id": id_, "owner": owner, "now": now, "lease": lease})
    if place is None or not rows:
        return None
    queue, key, stage, _ = place
    job = Claimed(*rows[0])
    limits = limits_of(transaction, queue)
    if key is not None and limits.has_keys and stage != READY:
        row = Key(transaction, queue, key, limits, now)
        row.slots += 1
        row.ready += 1
        row.write()
    begin(transaction, queue, [job], limits, now)
    return job


def begin(transaction: Transaction, queue: str, claimed: list[Claimed], limits: Limits, now: float) -> None:
    """Count jobs that begin, in all limits."""
    if limits.rate is not None:
        limits.tokens -= len(claimed)
        transaction.run("jobs.set_tokens", {"name": queue, "tokens": limits.tokens, "now": now})
    if limits.concurrency is not None:
        Counts(running=len(claimed)).write(transaction, queue)
    if limits.has_keys:
        for job in claimed:
            if job.key is not None:
                row = Key(transaction, queue, job.key, limits, now)
                row.begin()
                row.write()


def wake(transaction: Transaction, queue: str, limits: Limits, now: float, news: News) -> None:
    """Make ready what has waited for its time, or for its key's; cancel what has expired."""
    where = {"queue": queue, "now": now, "limit": BATCH}
    expire(transaction, queue, now, news)
    keys = set()
    for id_, key in transaction.all("jobs.wake_due", where):
        if key is not None and limits.has_keys:
            transaction.run("jobs.set_stage", {"id": id_, "stage": BEHIND})
            keys.add(key)
    if limits.key_rate is not None:
        keys.update(key for (key,) in transaction.all("jobs.free_keys", where))
    for key in sorted(keys):
        promote(transaction, queue, key, limits, now)


def expire(transaction: Transaction, queue: str, now: float, news: News) -> None:
    """Cancel jobs that were to begin by now."""
    for (id_,) in transaction.all("jobs.expired", {"queue": queue, "now": now, "limit": BATCH}):
        cancel_queued(transaction, id_, "it expired before it began", now, news)


def next_times(transaction: Transaction, queue: str) -> list[float]:
    """Return when jobs are due, keys are free again, and jobs expire: the next of each, the first in front."""
    row = transaction.one("jobs.next_times", {"queue": queue}) or ()
    return sorted(time for time in row if time is not None)


def next_wake(transaction: Transaction, queue: str, limits: Limits, times: list[float]) -> float | None:
    """Return when something will be ready by itself; of a queue that is paused, when a job expires."""
    if limits.paused:
        row = transaction.one("jobs.next_times", {"queue": queue})
        return None if row is None else row[-1]
    if limits.rate is not None and limits.tokens < 1 and transaction.one("jobs.is_ready", {"queue": queue}) is not None:
        times = [*times, limits.filled + (1 - limits.tokens) / limits.rate]
    return min(times, default=None)


# --- what became of jobs ---------------------------------------------------------------------------------------------


def settle(transaction: Transaction, queue: str, owner: str, outcomes: list[Outcome], now: float, news: News) -> None:
    """Write what became of jobs; nothing is written for those that the node has lost."""
    limits = limits_of(transaction, queue)
    counts = Counts()
    returned = 0
    for outcome in settle_completed(transaction, owner, outcomes, limits, counts, now, news):
        if not _settle_one(transaction, owner, outcome, limits, now):
            news.lost.append(outcome.id)
            continue
        counts.running -= 1
        returned += outcome.given_back
        _count(counts, outcome)
        if outcome.key is not None and limits.has_keys:
            free_slot(transaction, queue, outcome.key, limits, now, begun=True, token=outcome.given_back)
    needed = needed_of(transaction, outcomes)  # now that they are over: nobody begins to wait for them any more
    for outcome in outcomes:
        if outcome.id in needed and outcome.status in FINAL and outcome.id not in news.lost:
            after_end(transaction, outcome.id, outcome.status, now, news)
    if returned and limits.rate is not None:
        limits.fill(now)
        tokens = min(limits.burst, limits.tokens + returned)
        transaction.run("jobs.set_tokens", {"name": queue, "tokens": tokens, "now": now})
    if limits.concurrency is None:
        counts.running = 0
    counts.write(transaction, queue)


FINAL: Final = frozenset({"completed", "failed", "dead", "cancelled"})


def needed_of(transaction: Transaction, outcomes: list[Outcome]) -> set[int]:
    """Return the jobs that others wait for."""
    ids = json.dumps([outcome.id for outcome in outcomes if outcome.status in FINAL])
    return {row[0] for row in transaction.all("jobs.needed", {"ids": ids})}


def settle_completed(
    transaction: Transaction,
    owner: str,
    outcomes: list[Outcome],
    limits: Limits,
    counts: Counts,
    now: float,
    news: News,
) -> list[Outcome]:
    """Write together what was completed without a limited key; return the outcomes that are left, for one by one."""
    plain = [one for one in outcomes if one.status == "completed" and (one.key is None or not limits.has_keys)]
    if len(plain) < 4:
        return outcomes
    ids = json.dumps([outcome.id for outcome in plain])
    mine = set(transaction.all("jobs.mine", {"ids": ids, "owner": owner}))
    rows = []
    for outcome in plain:
        if (outcome.id, outcome.epoch) in mine:
            rows.append({"id": outcome.id, "now": now, "result": outcome.result, "keep": now + outcome.keep})
        else:
            news.lost.append(outcome.id)
    transaction.many("jobs.complete_mine", rows)
    counts.running -= len(rows)
    counts.completed += len(rows)
    if len(plain) == len(outcomes):
        return []
    together = {outcome.id for outcome in plain}
    return [outcome for outcome in outcomes if outcome.id not in together]


def _settle_one(transaction: Transaction, owner: str, outcome: Outcome, limits: Limits, now: float) -> bool:
    values = {"id": outcome.id, "owner": owner, "epoch": outcome.epoch}
    if outcome.status == "queued":
        if _queue_again(transaction, values, outcome, limits, now):
            return True
        # not ours any more, or somebody has cancelled it meanwhile
        outcome.status, outcome.error, outcome.given_back = "cancelled", CANCELLED_MEANWHILE, False
    if outcome.status == "completed":
        values |= {"now": now, "result": outcome.result, "keep": now + outcome.keep}
        return bool(transaction.run("jobs.complete", values))
    values |= {"status": outcome.status, "error": outcome.error, "crashes": outcome.crashes}
    values |= {"now": now, "keep": now + (DEAD_SECONDS if outcome.status == "dead" else outcome.keep)}
    return bool(transaction.run("jobs.end", values))


def _queue_again(
    transaction: Transaction, values: dict[str, Any], outcome: Outcome, limits: Limits, now: float
) -> bool:
    """Queue a job again; False if it is not ours any more, or is cancelled."""
    waits = BEHIND if outcome.key is not None and limits.has_keys else READY  # `free_slot` lets it go on
    if outcome.given_back:
        return bool(transaction.run("jobs.give_back", {**values, "stage": waits}))
    stage = DUE if outcome.due is not None and outcome.due > now else waits
    more = {"stage": stage, "due": outcome.due, "error": outcome.error, "crashes": outcome.crashes}
    return bool(transaction.run("jobs.again", {**values, **more, "undone": int(outcome.interrupted)}))


CANCELLED_MEANWHILE: Final = write_error(JobCancelled("it was cancelled while it ran"))


def _count(counts: Counts, outcome: Outcome) -> None:
    if outcome.status in FINAL:
        setattr(counts, outcome.status, getattr(counts, outcome.status) + 1)
    elif not (outcome.given_back or outcome.interrupted):
        counts.retried += 1


def after_end(transaction: Transaction, id_: int, status: str, now: float, news: News) -> None:
    """Let the jobs go on that waited for one that is over; if it was not completed, they are cancelled.

    A completed member of a group stays needed until the results of all are gathered, so that retention leaves it.
    """
    for (job,) in transaction.all("jobs.dependants", {"needs": id_}):
        if status != "completed":
            cancel_queued(transaction, job, f"job {id_}, which it waited for, is {status}", now, news)
            continue
        row = transaction.one("jobs.need_met", {"id": job})
        if row is not None and row[0] == 0:
            _, due, key, queue, gather = row
            if gather is not None:
                collect(transaction, job, json.loads(gather))
            enter(transaction, job, queue, key, due, limits_of(transaction, queue), now)
            news.queues.add(queue)
    transaction.run("jobs.drop_needs", {"needs": id_})


def collect(transaction: Transaction, id_: int, members: Sequence[int]) -> None:
    """Make the results of a group's jobs the argument of the one that waited for them."""
    results: dict[int, bytes | None] = dict(transaction.all("jobs.results", {"ids": json.dumps(members)}))
    transaction.run("jobs.drop_gathered", {"id": id_})
    listed = b",".join(results.get(member) or b"null" for member in members)
    transaction.run("jobs.set_args", {"id": id_, "args": b"[[[" + listed + b"]],{}]"})


def cancel_queued(transaction: Transaction, id_: int, why: str, now: float, news: News) -> bool:
    """Cancel a job that has not begun; False if it has."""
    row = transaction.one("jobs.place", {"id": id_})
    if row is None or row[2] >= RUNNING:
        return False
    queue, key, stage, task = row
    values = {"id": id_, "status": "cancelled", "now": now, "error": write_error(JobCancelled(why)), "keep": now + DAY}
    if not transaction.run("jobs.end_queued", values):
        return False  # another process has just claimed it
    news.cancelled.append((id_, task))
    news.queues.add(queue)
    Counts(cancelled=1).write(transaction, queue)
    if stage == HELD:
        transaction.run("jobs.drop_gathered", {"id": id_})
    elif key is not None and stage == READY:
        limits = limits_of(transaction, queue)
        if limits.has_keys:
            free_slot(transaction, queue, key, limits, now, begun=False)
    after_end(transaction, id_, "cancelled", now, news)
    return True


def cancel(transaction: Transaction, id_: int, now: float, news: News) -> bool | None:
    """Cancel a job: True if it had not begun, False if it runs and is to end, None if it is over."""
    news.begin()
    return _cancel(transaction, id_, now, news)


def cancel_each(transaction: Transaction, ids: list[int], now: float, news: News) -> tuple[int, bool]:
    """Cancel jobs; return how many of them, and whether some run and are to end."""
    news.begin()
    running = sum(_cancel(transaction, id_, now, news) is False for id_ in ids)
    cancelled = {id_ for id_, _ in news.cancelled}  # one may have been cancelled because of another
    return running + len(cancelled.intersection(ids)), running > 0


def _cancel(transaction: Transaction, id_: int, now: float, news: News) -> bool | None:
    if cancel_queued(transaction, id_, "it was cancelled", now, news):
        return True
    return False if transaction.one("jobs.cancelling", {"id": id_}) is not None else None


def revive(transaction: Transaction, id_: int, now: float) -> bool:
    """Queue a job again that is dead, failed or cancelled, with all its attempts; False if it is not.

    Jobs that it waited for are forgotten, but not the members of a group whose results it is to get.

    Raises:
        DefinitionError: another live job has its unique key, or a member of its group is over and was not completed.
            Nothing was written.
    """
    place = transaction.one("jobs.place", {"id": id_})
    if place is None or place[2] != OVER:
        return False
    found = transaction.one("jobs.unique_of", {"id": id_})
    if found is not None:
        msg = f"job {id_} cannot be queued again: job {found[0]} is live and has the same unique key"
        raise DefinitionError(msg)
    (gather,) = transaction.one("jobs.gather", {"id": id_}) or (None,)
    members = None if gather is None else json.loads(gather)
    if members is not None:
        check_members(transaction, id_, members)
    row = transaction.one("jobs.revive", {"id": id_})
    if row is None:
        return False
    queue, key = row
    limits = limits_of(transaction, queue)
    if members is None:
        enter(transaction, id_, queue, key, None, limits, now)
        return True
    transaction.run("jobs.set_stage", {"id": id_, "stage": HELD})
    job = {"queue": queue, "key": key, "due": None, "gather": gather}
    hold(transaction, id_, members, job, limits, now, News())
    return True


def check_members(transaction: Transaction, id_: int, members: list[int]) -> None:
    """Refuse to gather the results of jobs that have none, and will have none."""
    for member in members:
        row = transaction.one("jobs.outcome", {"id": member})
        status = "gone" if row is None else row[0]
        if status != "completed" and (row is None or status in FINAL):
            msg = f"job {id_} cannot be queued again: it is to get the result of job {member}, which is {status}"
            raise DefinitionError(msg if row is None else f"{msg}: queue that one again first")


def revive_each(transaction: Transaction, ids: list[int], now: float) -> int:
    """Queue jobs again, and return how many; those that cannot be stay as they are."""
    revived = 0
    for id_ in ids:
        with contextlib.suppress(DefinitionError):
            revived += revive(transaction, id_, now)
    return revived


def prune(transaction: Transaction, now: float) -> int:
    """Remove some jobs that were kept long enough; return how many."""
    removed = transaction.all("jobs.prune", {"now": now, "limit": BATCH})
    rows = [row for id_, queue, tags in removed if tags for row in tag_rows(id_, queue, tags)]
    if rows:
        transaction.many("jobs.drop_tag", rows)
    return len(removed)


def purge(transaction: Transaction, queue: str, now: float, news: News) -> int:
    """Remove all jobs of a queue that have not begun; those of other queues that wait for one are cancelled."""
    news.begin()
    where = {"queue": queue}
    for (job,) in transaction.all("jobs.purge_dependants", where):
        place = transaction.one("jobs.place", {"id": job})
        if place is not None and place[0] != queue:
            cancel_queued(
                transaction, job, f"queue {queue}, in which a job was that it waited for, was purged", now, news
            )
    newest = transaction.one("jobs.newest")  # its row stays, or its number would be used again
    removed = 0
    if newest is not None and newest[1] == queue:
        removed = int(cancel_queued(transaction, newest[0], "its queue was purged", now, news))
    transaction.run("jobs.purge_needs", where)
    transaction.run("jobs.purge_tags", where)
    removed += transaction.run("jobs.purge", where)
    limits = limits_of(transaction, queue)
    if limits.has_keys:
        count_keys(transaction, queue, now)
    return removed


# --- dead nodes ------------------------------------------------------------------------------------------------------


def take_over(
    transaction: Transaction, owner: str, now: float, cause: str, news: News, begun: frozenset[int] | None = None
) -> list[tuple[int, str, str]]:
    """End the leases of a node that has died; return (id, queue, status) of its jobs.

    Each that was begun has one more crash: it is tried again, unless it may run once only, or has killed too many. The
    others were only taken ahead, and are given back; if `begun` is None, nobody knows which these are.
    """
    news.begin()
    moved = []
    for row in transaction.all("jobs.owned", {"owner": owner}):
        if begun is None or row[0] in begun:
            moved.append(_take_over_one(transaction, owner, row, now, cause, news))
        else:
            moved.append(_give_back_one(transaction, owner, row, now, news))
    transaction.run("nodes.remove", {"id": owner})
    return moved


def take_overdue(
    transaction: Transaction, queue: str, owner: str, lease_now: float, now: float, news: News
) -> list[tuple[int, str, str]]:
    """End the leases that have run out: their nodes were stopped, or are cut off."""
    news.begin()
    moved = []
    values = {"now": lease_now, "owner": owner, "queue": queue, "limit": BATCH}
    for id_, other in transaction.all("jobs.overdue", values):
        row = transaction.one("jobs.owned_one", {"id": id_, "owner": other})
        if row is not None:
            cause = f"its process (node {other}) has not said for too long that it works on it"
            moved.append(_take_over_one(transaction, other, row, now, cause, news))
    return moved


def _take_over_one(
    transaction: Transaction, owner: str, row: Row, now: float, cause: str, news: News
) -> tuple[int, str, str]:
    id_, queue, key, epoch, _, crashes, at_most_once, _ = row
    status = "dead" if at_most_once or crashes + 1 >= CRASHES else "queued"
    error = json.dumps({"name": "HostDied", "text": cause}).encode()
    outcome = Outcome(id_, epoch, key, status, error=error, crashes=1)
    settle(transaction, queue, owner, [outcome], now, news)
    return id_, queue, outcome.status


def _give_back_one(transaction: Transaction, owner: str, row: Row, now: float, news: News) -> tuple[int, str, str]:
    id_, queue, key, epoch, *_ = row
    outcome = Outcome(id_, epoch, key, "queued", given_back=True)
    settle(transaction, queue, owner, [outcome], now, news)
    return id_, queue, outcome.status


def disown(
    transaction: Transaction,
    queue: str,
    owner: str,
    now: float,
    news: News,
    begun: frozenset[int] | None = None,
    held: frozenset[int] = frozenset(),
) -> None:
    """Queue the jobs again that this node has and works on no more: its claimer has crashed, or the system ends."""
    news.begin()
    for row in transaction.all("jobs.owned", {"owner": owner}):
        id_, of_queue, key, epoch, _, _, at_most_once, task = row
        if of_queue != queue or id_ in held:
            continue
        if begun is not None and id_ not in begun:
            _give_back_one(transaction, owner, row, now, news)
            continue
        outcome = interrupted(id_, epoch, key, task, once=bool(at_most_once))
        settle(transaction, queue, owner, [outcome], now, news)


def interrupted(id_: int, epoch: int, key: str | None, task: str, *, once: bool) -> Outcome:
    """Return the outcome of an attempt whose process ends: it does not count; what may run once only is dead."""
    error = write_error(Stopping("its process ended while it ran")) if once else None
    return Outcome(id_, epoch, key, "dead" if once else "queued", error=error, interrupted=True, task=task)
