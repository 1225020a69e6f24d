"""Offers: who enqueues for a worker that is free claims the job in the same transaction, and nothing is lost of it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import pytest

import actorflow as af
from actorflow.queues.node.claimer import Claimer
from actorflow.queues.node.job_store import JobStore
from actorflow.queues.node.local_queue import LocalQueue
from actorflow.store.sqlite.place import touch

from . import tasks
from .tasks import until

STAY = threading.Event()
ORDER: list[str] = []


@af.task
def note(name: str) -> str:
    ORDER.append(name)
    return name


@af.task
def stay(name: str) -> str:
    ORDER.append(name)
    STAY.wait(30)
    return name


@af.task
def enqueue_and_fail() -> None:
    with af.current().transaction():
        QUEUES[0].enqueue(note, "of a task that failed")
        raise ValueError


QUEUES: list[Any] = []


@pytest.fixture(autouse=True)
def fresh():
    STAY.clear()
    ORDER.clear()
    QUEUES.clear()
    yield
    STAY.set()


def local_of(system: af.ActorSystem) -> LocalQueue:
    local: LocalQueue = system.local_queues["q"]  # type: ignore[attr-defined]
    return local


def offered(system: af.ActorSystem) -> None:
    """Wait until a worker is offered."""
    until(lambda: len(local_of(system).offers) == 1)


def test_a_job_for_a_free_worker_takes_one_commit_until_it_runs(shop, monkeypatch):
    """The queue's upkeep commits now and then, and on a busy machine an offer lapses: so the least of many counts."""
    jobs = shop.queue("q", workers=1)
    commits, counts = [], []
    write = type(shop.store).write
    monkeypatch.setattr(type(shop.store), "write", lambda *args, **kwargs: commits.append(1) or write(*args, **kwargs))
    for name in map(str, range(50)):
        STAY.clear()
        offered(shop)
        commits.clear()
        job = jobs.enqueue(stay, name)
        until(lambda name=name: name in ORDER)
        counts.append(len(commits))
        assert job.status == "running"
        STAY.set()
        assert job.result(timeout=30) == name
        if counts[-1] == 1:
            break
    assert min(counts) == 1


def test_what_is_more_urgent_goes_first_all_the_same(shop):
    jobs = shop.queue("q", workers=1)
    offered(shop)
    local_of(shop).wake = lambda: None  # type: ignore[method-assign]  # as if another process had enqueued it
    first = jobs.enqueue(note.options(priority=-1), "urgent")
    second = jobs.enqueue(note, "other")
    assert (first.result(timeout=30), second.result(timeout=30)) == ("urgent", "other")
    assert ORDER == ["urgent", "other"]


def test_a_busy_worker_is_not_offered(shop):
    jobs = shop.queue("q", workers=1)
    offered(shop)
    jobs.enqueue(stay, "a")
    until(lambda: ORDER == ["a"])
    assert not local_of(shop).offers
    assert jobs.enqueue(note, "b").status == "queued"
    STAY.set()
    until(lambda: ORDER == ["a", "b"])
    offered(shop)


def test_a_paused_queue_begins_nothing(shop):
    jobs = shop.queue("q", workers=1)
    offered(shop)
    jobs.pause()
    job = jobs.enqueue(note, "a")
    assert job.status == "queued"
    jobs.resume()
    assert job.result(timeout=30) == "a"


@pytest.mark.parametrize("limit", [{"concurrency": 1}, {"rate": "1/h"}])
def test_limits_hold_for_a_job_that_finds_a_free_worker(shop, limit):
    jobs = shop.queue("q", workers=2, **limit)
    offered(shop)
    jobs.enqueue(stay, "a")
    until(lambda: ORDER == ["a"])
    offered(shop)
    assert jobs.enqueue(note, "b").status == "queued"
    STAY.set()


def test_a_job_whose_time_has_come_goes_first(shop):
    jobs = shop.queue("q", workers=1)
    offered(shop)
    local_of(shop).wake = lambda: None  # type: ignore[method-assign]  # as if another process had enqueued it
    due = jobs.enqueue(note.options(priority=-1, delay=0.000_1), "due")
    until(lambda: (at := due.info().due) is None or local_of(shop).now() > at)  # none: a look has taken it
    other = jobs.enqueue(note, "other")
    assert (due.result(timeout=30), other.result(timeout=30)) == ("due", "other")
    assert ORDER == ["due", "other"]


def test_where_newer_code_has_changed_the_tables_no_job_is_added_or_begun(tmp_path):
    with af.ActorSystem("shop", store=f"sqlite:///{tmp_path / 'jobs.db'}") as system:
        jobs = system.queue("q", workers=1)
        offered(system)
        with sqlite3.connect(tmp_path / "jobs.db") as other:
            other.execute("update af_meta set value = value + 1 where key = 'version'")
            touch(str(tmp_path / "jobs.db"))
        other.close()
        with pytest.raises(af.StoreOutdated):
            jobs.enqueue(note, "a")
    assert not ORDER


def test_after_drain_nothing_is_claimed_any_more(shop):
    jobs = shop.queue("q", workers=1)
    offered(shop)
    jobs.drain(timeout=30)
    assert not local_of(shop).offers
    assert jobs.enqueue(note, "a").status == "queued"


def test_a_job_of_a_task_that_fails_in_its_transaction_never_runs(shop):
    jobs = shop.queue("q", workers=2)
    QUEUES.append(jobs)
    offered(shop)
    with pytest.raises(af.JobFailed):
        jobs.enqueue(enqueue_and_fail).result(timeout=30)
    assert jobs.enqueue(note, "last").result(timeout=30) == "last"
    assert ORDER == ["last"]


@pytest.mark.parametrize("after_commit", [False, True])
def test_an_interrupt_while_it_is_enqueued_loses_no_job(shop, monkeypatch, after_commit):
    jobs = shop.queue("q", workers=1)
    offered(shop)
    put_and_claim = JobStore.put_and_claim

    def interrupted(self: JobStore, put: Callable[[Any], int], now: float) -> Any:
        if after_commit:
            put_and_claim(self, put, now)
        raise KeyboardInterrupt

    monkeypatch.setattr(JobStore, "put_and_claim", interrupted)
    with pytest.raises(KeyboardInterrupt):
        jobs.enqueue(note, "a")
    monkeypatch.undo()
    assert jobs.enqueue(note, "b").result(timeout=30) == "b"
    assert (["a", "b"] if after_commit else ["b"]) == ORDER
    offered(shop)


@pytest.mark.parametrize("crash", ["before the commit", "after it"])
def test_what_was_claimed_for_a_claimer_that_crashed_is_queued_again(shop, monkeypatch, crash):
    jobs = shop.queue("q", workers=1)
    offered(shop)
    line = local_of(shop)
    put_and_claim = JobStore.put_and_claim

    def crashing(self: JobStore, put: Callable[[Any], int], now: float) -> Any:
        if crash == "after it":
            found = put_and_claim(self, put, now)
        line.claimer.tell("not a message of a claimer")  # type: ignore[union-attr]
        until(lambda: len(line.offers) == 1)  # of the next incarnation
        return found if crash == "after it" else put_and_claim(self, put, now)

    monkeypatch.setattr(JobStore, "put_and_claim", crashing)
    job = jobs.enqueue(note, "a")
    monkeypatch.undo()
    assert job.result(timeout=30) == "a"
    assert jobs.enqueue(note, "b").result(timeout=30) == "b"
    assert ORDER == ["a", "b"]


def test_many_threads_that_enqueue_at_once_have_each_job_run_once(shop):
    jobs = shop.queue("q", workers=3)

    def enqueue(name: str) -> None:
        for number in range(40):
            jobs.enqueue(note, f"{name}-{number}").result(timeout=30)

    threads = [threading.Thread(target=enqueue, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(ORDER) == sorted(f"{name}-{number}" for name in "abcd" for number in range(40))
    assert jobs.stats().completed == 160


def test_the_claimer_does_not_offer_when_it_has_ended(shop):
    jobs = shop.queue("q", workers=1)
    offered(shop)
    line = local_of(shop)
    assert line.claimer is not None
    line.claimer.stop()
    assert not line.offers
    assert jobs.enqueue(tasks.double, 2).status == "queued"


def test_no_job_overtakes_one_that_is_claimed_just_now(shop, monkeypatch):
    jobs = shop.queue("q", workers=1)
    offered(shop)
    line = local_of(shop)
    put_and_claim = JobStore.put_and_claim

    def overtaken(self: JobStore, put: Callable[[Any], int], now: float) -> Any:
        found = put_and_claim(self, put, now)
        monkeypatch.undo()
        jobs.enqueue(note, "second")
        line.claimer.call(Claimer.wake).get(timeout=30)  # type: ignore[union-attr]  # the flush is in its mailbox,
        line.claimer.call(Claimer.wake).get(timeout=30)  # type: ignore[union-attr]  # and now it is over
        return found

    monkeypatch.setattr(JobStore, "put_and_claim", overtaken)
    jobs.enqueue(note, "first")
    until(lambda: len(ORDER) == 2)
    assert ORDER == ["first", "second"]
