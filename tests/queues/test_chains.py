"""Chains: what the end of a job means for those behind it, however many they are."""

from __future__ import annotations

import contextlib
import sqlite3
import threading

import pytest

import actorflow as af
from actorflow.queues import aftermath, ledger
from actorflow.queues.ledger import records
from actorflow.store.store import open_store
from actorflow.testing import LeakCheck, VirtualSystem

from . import tasks

LONG = 400  # more than a recursion would stand, of three calls each


def chain(jobs: af.Queue, first: af.Job, length: int) -> list[af.Job]:
    """Add jobs, each behind the one before."""
    found = [first]
    for n in range(length):
        found.append(jobs.enqueue(tasks.double.options(after=[found[-1]]), n))
    return found


@pytest.fixture
def small_parts(monkeypatch):
    """Have a transaction tell 7 jobs, not 1,000."""
    begin = records.News.begin

    def begin_small(self: records.News) -> None:
        begin(self)
        self.room = 7

    monkeypatch.setattr(records.News, "begin", begin_small)


@pytest.mark.parametrize("workers_first", [True, False])
def test_a_long_chain_whose_first_job_fails_is_cancelled_and_the_queue_goes_on(shop, workers_first):
    jobs = shop.queue("q", workers=0)
    if workers_first:
        shop.queue("q", workers=2)
        jobs.pause()
    behind = chain(jobs, jobs.enqueue(tasks.fail, "x"), LONG)
    jobs.resume()
    shop.queue("q", workers=2)
    with pytest.raises(af.JobCancelled, match=f"job {behind[-2].id}, which it waited for, is cancelled"):
        behind[-1].result(timeout=60)
    assert jobs.enqueue(tasks.double, 2).result(timeout=30) == 4
    assert (jobs.stats().cancelled, jobs.stats().failed, jobs.count("cancelled")) == (LONG, 1, LONG)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("workers", [0, 1])
def test_a_cancelled_job_takes_a_chain_with_it_in_parts(shop, workers):
    jobs = shop.queue("q", workers=workers)
    jobs.pause()
    heard: list[str] = []
    jobs.subscribe(lambda event: heard.append(event.job) if event.kind == "cancelled" else None)
    behind = chain(jobs, jobs.enqueue(tasks.double, 1), 50)
    assert behind[0].cancel()
    with pytest.raises(af.JobCancelled):
        behind[-1].result(timeout=30)
    assert jobs.count("cancelled") == 51
    assert jobs.stats().queued == 0


@pytest.mark.usefixtures("small_parts")
def test_jobs_that_wait_for_one_go_on_in_parts_each_once(shop):
    jobs = shop.queue("q", workers=2)
    jobs.pause()
    first = jobs.enqueue(tasks.double, 1)
    wide = [jobs.enqueue(tasks.double.options(after=[first]), n) for n in range(60)]
    then = jobs.enqueue(tasks.note.options(after=wide), "all")
    jobs.resume()
    assert then.result(timeout=60) == "all"
    assert [job.result(timeout=30) for job in wide] == [2 * n for n in range(60)]
    assert jobs.stats().completed == 62


@pytest.mark.usefixtures("small_parts")
def test_groups_are_gathered_once_though_their_members_end_in_parts(shop):
    jobs = shop.queue("q", workers=2)
    jobs.pause()
    groups = [jobs.group([(tasks.double, n) for n in range(20)], then=tasks.note) for _ in range(5)]
    jobs.resume()
    for group in groups:
        assert group.then.result(timeout=60) == [2 * n for n in range(20)]
    assert jobs.stats().completed == 105


def test_what_a_killed_process_has_left_another_one_goes_on_with(shared_url, monkeypatch):
    with af.ActorSystem("dies", store=shared_url, durability="process") as dies:
        jobs = dies.queue("q")
        behind = chain(jobs, jobs.enqueue(tasks.double, 1), 40)
        news = ledger.News()
        now = dies.store.now()

        def cancel(transaction):
            news.begin()
            news.room = 5
            return ledger.chains.cancel_queued(transaction, int(behind[0].id), "x", now, news)

        assert dies.store.write(cancel)
        assert news.is_unfinished
        assert jobs.count("cancelled") == 6
    with LeakCheck(), af.ActorSystem("heir", store=shared_url, durability="process") as heir:
        jobs = heir.queue("q", workers=1)
        with pytest.raises(af.JobCancelled):
            heir.get_job(behind[-1].id).result(timeout=30)
        assert jobs.enqueue(tasks.double, 2).result(timeout=30) == 4


def test_each_part_is_a_transaction_of_its_own_and_two_processes_share_the_work(shared_url):
    with (
        af.ActorSystem("one", store=shared_url, durability="process") as one,
        af.ActorSystem("other", store=shared_url, durability="process") as other,
    ):
        jobs = one.queue("q")
        trees = [chain(jobs, jobs.enqueue(tasks.double, 1), 30) for _ in range(4)]
        now = one.store.now()
        for tree in trees:

            def cancel(transaction, first=int(tree[0].id)):
                news = ledger.News(room=0)
                return ledger.chains.cancel_queued(transaction, first, "x", now, news)

            one.store.write(cancel)
        threads = [threading.Thread(target=aftermath.finish, args=(each.store, 1000)) for each in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        aftermath.finish(one.store, 1000)
        assert jobs.count("cancelled") == 4 * 31
        assert jobs.stats().cancelled == 4 * 31


def test_a_job_that_was_queued_again_does_not_hide_that_more_is_left(shop, monkeypatch):
    """Of the jobs that one transaction goes on with, one is not over any more."""
    monkeypatch.setattr(ledger.chains, "TAKEN", 1)
    jobs = shop.queue("q")
    one, other = jobs.enqueue_many(tasks.double, [(1,), (2,)])
    behind = jobs.enqueue(tasks.double.options(after=[other]), 3)
    other.cancel()

    def leave(transaction):
        for job in (one, other):
            transaction.run("jobs.add_ended", {"id": int(job.id)})

    shop.store.write(leave)
    aftermath.finish(shop.store, 1 << 20)
    assert shop.store.read(lambda transaction: transaction.one("jobs.any_ended")) is None
    assert behind.status == "cancelled"


def test_a_chain_on_virtual_time_ends_too():
    with VirtualSystem("shop") as shop:
        jobs = shop.queue("q", workers=1)
        behind = chain(jobs, jobs.enqueue(tasks.fail.options(delay=1), "x"), LONG)
        with pytest.raises(af.JobCancelled):
            behind[-1].result(timeout=60)


def test_a_damaged_group_is_a_dead_letter_and_its_members_are_completed(tmp_path):
    file = tmp_path / "jobs.db"
    with af.ActorSystem("shop", store=f"sqlite:///{file}", durability="process") as shop:
        jobs = shop.queue("q")
        group = jobs.group([(tasks.double, 1), (tasks.double, 2)], then=tasks.note)
        conn = sqlite3.connect(file)
        conn.execute("update af_job set gather = '{bad' where id = ?", (group.then.id,))
        conn.commit()
        conn.close()
        shop.queue("q", workers=1)
        assert [job.result(timeout=30) for job in group.jobs] == [2, 4]
        with pytest.raises(af.JobFailed, match=r"dead: PayloadError: the list of a group's jobs is damaged"):
            group.then.result(timeout=30)


def test_an_older_file_with_a_group_half_done_is_taken_over(tmp_path):
    """Its members that are over are known as told, or the last would wait for ever or begin too soon."""
    from actorflow.store.sqlite import file as sqlite_file

    path = tmp_path / "jobs.db"
    later = sqlite_file.MIGRATIONS[6:]
    connection = sqlite3.connect(path, isolation_level=None)
    for _, sql in sqlite_file.MIGRATIONS[:6]:
        connection.executescript(sql)
    connection.execute("update af_meta set value = 6 where key = 'version'")
    columns = "id, queue, task, stage, status, needs, gather, args, result, created"
    row = f"insert into af_job ({columns}) values (?, 'q', ?, ?, ?, ?, ?, ?, ?, 0)"
    connection.execute(row, (1, tasks.double.name, 5, "completed", 0, None, b"[[1],{}]", b"2"))
    connection.execute(row, (2, tasks.double.name, 0, "queued", 0, None, b"[[2],{}]", None))
    connection.execute(row, (3, tasks.note.name, 2, "queued", 1, "[1, 2]", b"[[[]],{}]", None))
    connection.execute("insert into af_need (needs, job) values (1, 3), (2, 3)")
    connection.close()
    assert later
    with af.ActorSystem("shop", store=f"sqlite:///{path}", durability="process") as shop:
        shop.queue("q", workers=1)
        assert shop.get_job("3").result(timeout=30) == [2, 4]


@pytest.mark.slow
def test_a_chain_of_100_000_is_told_while_others_write(tmp_path):
    with af.ActorSystem("shop", store=f"sqlite:///{tmp_path / 'jobs.db'}", durability="process") as shop:
        jobs = shop.queue("q", workers=2)
        jobs.pause()
        first = jobs.enqueue(tasks.fail, "x")
        numbers = (
            "with recursive link (n) as (select :first + 1 union all select n + 1 from link where n < :first + 100000)"
        )
        columns = "id, queue, task, stage, needs, args, created"
        with contextlib.closing(sqlite3.connect(tmp_path / "jobs.db", timeout=30)) as conn:
            row = "n, 'q', :task, 2, 1, x'5b5b315d2c7b7d5d', 0"
            where = {"first": int(first.id), "task": tasks.double.name}
            conn.execute(f"insert into af_job ({columns}) {numbers} select {row} from link", where)
            conn.execute(f"insert into af_need (needs, job) {numbers} select n - 1, n from link", where)
            conn.commit()
        jobs.resume()
        other = jobs.enqueue(tasks.double, 2)
        assert other.result(timeout=60) == 4
        with pytest.raises(af.JobCancelled):
            shop.get_job(str(int(first.id) + 100_000)).result(timeout=120)
        assert jobs.stats().cancelled == 100_000


def test_an_unused_store_has_nothing_left(url):
    store = open_store(url)
    assert store.read(lambda transaction: transaction.one("jobs.any_ended")) is None
    aftermath.finish(store, 1000)
    store.close()
