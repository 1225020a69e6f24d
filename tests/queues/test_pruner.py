"""Promises: what was kept long enough goes as fast as it comes, in parts, and no job waits for that."""

from __future__ import annotations

import threading

import pytest

import actorflow as af
from actorflow.queues import ledger
from actorflow.queues.ledger import claims, commands
from actorflow.queues.node import claimer, pruner

from . import tasks
from .tasks import until
from .test_selection import statements_of
from .test_time import recorder


def rows_of(system, what):
    statements = statements_of(system)
    prefix = "af_" if system.store.dialect == "sqlite" else "actorflow."
    statements["test.count"] = f"select count(*) from {prefix}{what}"
    return system.store.read(lambda transaction: transaction.one("test.count"))[0]


@pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)
def test_the_rows_of_keys_go_once_they_say_nothing_any_more(timed, monkeypatch):
    monkeypatch.setattr(commands, "BATCH", 40)
    monkeypatch.setattr(ledger, "BATCH", 40)
    monkeypatch.setattr(pruner, "FEW", 4)
    task, ran = recorder(timed)
    jobs = timed.queue("q", workers=2, per_key=af.Limit(rate="2/m"))
    for n in range(100):
        jobs.enqueue(task.options(key=f"customer {n:03}"), n, 0.0)
    timed.sleep(5)
    assert len(ran) == 100
    busy = [jobs.enqueue(task.options(key="customer 050"), n, 0.0) for n in range(4)]
    assert rows_of(timed, "key") == 100  # their buckets lack a token
    timed.sleep(61)
    jobs.enqueue(task, "look").result()
    timed.sleep(1)
    assert rows_of(timed, "key") == 1  # of the one whose jobs wait
    assert "queued" in {job.status for job in busy}
    timed.sleep(200)
    jobs.enqueue(task, "look").result()
    timed.sleep(1)
    assert rows_of(timed, "key") == 0
    assert {job.status for job in busy} == {"completed"}


def test_more_old_jobs_than_one_transaction_takes_go_at_one_look(timed):
    task, _ = recorder(timed)
    jobs = timed.queue("q")
    jobs.enqueue_many(task.options(keep=0, expires=1), [(n,) for n in range(1300)])
    timed.sleep(100)
    jobs = timed.queue("q", workers=1)
    timed.sleep(86400 * 31)
    jobs.enqueue(task, "look").result()
    timed.sleep(1)
    assert rows_of(timed, "job") == 1


def test_no_job_waits_for_the_removal_of_old_ones(shop, monkeypatch):
    begun = threading.Event()

    def prune(_transaction, now):
        begun.set()
        return ledger.BATCH

    monkeypatch.setattr(ledger, "prune", prune)  # there is always more
    jobs = shop.queue("q", workers=1)
    assert jobs.enqueue(tasks.double, 1).result(timeout=30) == 2
    assert begun.wait(30)
    assert [job.result(timeout=30) for job in jobs.enqueue_many(tasks.double, [(2,), (3,)])] == [4, 6]


def test_a_removal_that_fails_is_said_and_stops_no_job(shop, monkeypatch, caplog):
    def prune(_transaction, now):
        raise af.StoreError("full")

    monkeypatch.setattr(ledger, "prune", prune)
    jobs = shop.queue("q", workers=1)
    assert jobs.enqueue(tasks.double, 1).result(timeout=30) == 2
    until(lambda: "Queue q: the store failed, old rows are removed later: full" in caplog.text)
    assert jobs.enqueue(tasks.double, 2).result(timeout=30) == 4


def test_a_unique_key_is_free_once_its_job_has_expired_though_no_worker_was_there(timed):
    task, _ = recorder(timed)
    jobs = timed.queue("q")
    once = task.options(unique="report", expires=60, on_duplicate="reject")
    first = jobs.enqueue(once, 1)
    timed.sleep(30)
    with pytest.raises(af.DefinitionError, match="has a live job"):
        jobs.enqueue(once, 2)
    timed.sleep(31)
    second = jobs.enqueue(once, 3)
    assert (first.status, second.status) == ("cancelled", "queued")
    with pytest.raises(af.JobCancelled, match="expired before it began"):
        first.result()


def test_jobs_that_expire_by_the_thousand_while_all_workers_are_busy_are_cancelled_by_one_look(shop, monkeypatch):
    monkeypatch.setattr(claims, "BATCH", 10)
    monkeypatch.setattr(ledger, "BATCH", 10)
    monkeypatch.setattr(claimer, "LOOK_SECONDS", 3600.0)  # one look, which is that of this test
    jobs = shop.queue("q", workers=1)
    begun = tasks.begun("busy")
    busy = jobs.enqueue(tasks.hold, "busy")
    assert begun.wait(30)
    jobs.enqueue_many(tasks.double.options(expires=0.001), [(n,) for n in range(200)])
    until(lambda: shop.store.now() > jobs.jobs("queued", limit=1)[0].created + 0.001)
    shop.local_queues["q"].upkeep.pruner.cast(pruner.Pruner.expire)
    until(lambda: jobs.count("cancelled") == 200)
    tasks.GATES["busy"].set()
    busy.result(timeout=30)
