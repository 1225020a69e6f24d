"""Ledger: the changes that jobs go through in the store.

Each function is a piece of work for one transaction. A running job belongs to a node and an epoch, and each write about
it names both: a late write, after another node has taken over, changes nothing and is told so.

`records` (a claimed job, its outcome, the news of a transaction), `limits` (of a queue and of its keys), `chains` (the
effect of an end on jobs behind it), `awaited` (ends that are mail), `arrivals`, `claims`, `endings`, `takeovers` (of
nodes that died), `commands` (cancel, queue again, remove), `schedules`.
"""

from actorflow.queues.ledger.arrivals import check_needs, number, put, put_many
from actorflow.queues.ledger.awaited import await_end, forget
from actorflow.queues.ledger.chains import cancel_queued, carry_on
from actorflow.queues.ledger.claims import claim, claim_one, expire, first_ready, put_running, unknown
from actorflow.queues.ledger.commands import (
    FIRST_KEY,
    cancel,
    cancel_each,
    keys_after,
    not_begun,
    prune,
    prune_keys,
    purge,
    revive,
    revive_each,
)
from actorflow.queues.ledger.endings import end_alone, settle
from actorflow.queues.ledger.records import BATCH, CRASHES, DAY, DEAD_SECONDS, FINAL, Claimed, News, Outcome
from actorflow.queues.ledger.schedules import ScheduleRow, declare_schedule, schedule_row, schedule_rows
from actorflow.queues.ledger.takeovers import disown, given_back, interrupted, take_over, take_overdue

__all__ = [
    "BATCH",
    "CRASHES",
    "DAY",
    "DEAD_SECONDS",
    "FINAL",
    "FIRST_KEY",
    "Claimed",
    "News",
    "Outcome",
    "ScheduleRow",
    "await_end",
    "cancel",
    "cancel_each",
    "cancel_queued",
    "carry_on",
    "check_needs",
    "claim",
    "claim_one",
    "declare_schedule",
    "disown",
    "end_alone",
    "expire",
    "first_ready",
    "forget",
    "given_back",
    "interrupted",
    "keys_after",
    "not_begun",
    "number",
    "prune",
    "prune_keys",
    "purge",
    "put",
    "put_many",
    "put_running",
    "revive",
    "revive_each",
    "schedule_row",
    "schedule_rows",
    "settle",
    "take_over",
    "take_overdue",
    "unknown",
]
