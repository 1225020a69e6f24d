"""What is PostgreSQL's own: jobs in transactions of psycopg, and a server that is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import psycopg
import pytest
from psycopg.rows import dict_row

import actorflow as af
from actorflow.queues import ledger
from actorflow.testing import LeakCheck
from tests.servers import Postgres, postgres

from . import tasks


@pytest.fixture
def database(postgres_server: Postgres) -> Iterator[str]:
    """A database with a table of the user's own."""
    with LeakCheck(), postgres_server.database() as url:
        with psycopg.connect(url) as conn:
            conn.execute("create table sale (id serial primary key, what text)")
        yield url


@pytest.fixture
def system(database) -> Iterator[af.ActorSystem]:
    """A system on the user's database."""
    with af.ActorSystem("shop", store=database, durability="process") as running:
        yield running


def sales(url: str) -> list[str]:
    with psycopg.connect(url) as conn:
        return [what for (what,) in conn.execute("select what from sale order by id")]


@pytest.mark.parametrize("options", [{}, {"priority": 3, "key": "k", "unique": "u"}])
@pytest.mark.parametrize("rows", [psycopg.rows.tuple_row, dict_row])
def test_a_job_is_there_once_the_users_transaction_commits(system, database, options, rows):
    jobs = system.queue("q", workers=1)
    with psycopg.connect(database, row_factory=rows) as conn:
        conn.execute("insert into sale (what) values ('book')")
        job = jobs.enqueue(tasks.double.options(conn=conn, **options), 4)
        assert jobs.stats().queued == 0
        conn.commit()
        assert job.result(timeout=30) == 8


def test_a_job_is_never_there_if_the_users_transaction_is_undone(system, database):
    jobs = system.queue("q", workers=1)
    with psycopg.connect(database) as conn:
        conn.execute("insert into sale (what) values ('book')")
        jobs.enqueue(tasks.note.options(conn=conn), 4)
        conn.rollback()
    assert jobs.enqueue(tasks.double, 1).result(timeout=30) == 2
    assert jobs.stats().completed == 1
    assert sales(database) == []


def test_connections_that_cannot_be_right_are_refused(system, database, postgres_server):
    jobs = system.queue("q")
    with postgres_server.database() as other, psycopg.connect(other) as conn:
        with pytest.raises(af.DefinitionError, match="to another database"):
            jobs.enqueue(tasks.double.options(conn=conn), 1)
    with pytest.raises(af.DefinitionError, match=r"takes a psycopg\.Connection"):
        jobs.enqueue(tasks.double.options(conn="shop"), 1)
    with psycopg.connect(database, autocommit=True) as loose:
        with pytest.raises(af.DefinitionError, match="begin one"):
            jobs.enqueue(tasks.double.options(conn=loose), 1)
        with loose.transaction():
            job = jobs.enqueue(tasks.double.options(conn=loose), 1)
        assert job.status == "queued"


@af.task(retry=af.Retry(3, af.Backoff(0)))
def sell(what: str, fail_until: int = 0) -> int:
    with af.current().transaction() as conn:
        conn.execute("insert into sale (what) values (%s)", (what,))
    if af.current().attempt <= fail_until:
        raise OSError("after the write")
    return af.current().attempt


def test_what_a_task_writes_is_there_once_with_its_result(system, database):
    jobs = system.queue("q", workers=2)
    assert jobs.enqueue(sell, "book").result(timeout=30) == 1
    assert sales(database) == ["book"]


@af.task
def break_sql() -> None:
    with af.current().transaction() as conn:
        try:
            conn.execute("select nonsense")
        except psycopg.Error:
            conn.execute("insert into sale (what) values ('x')")


def test_an_error_of_the_server_in_a_tasks_transaction_fails_the_job_and_no_other(system, database):
    jobs = system.queue("q", workers=1)
    with pytest.raises(af.JobFailed):
        jobs.enqueue(break_sql).result(timeout=30)
    assert jobs.enqueue(sell, "book").result(timeout=30) == 1
    assert sales(database) == ["book"]


def test_two_systems_share_the_limits_of_a_queue(database):
    with af.ActorSystem("one", store=database) as one, af.ActorSystem("two", store=database) as two:
        gate = tasks.begun("limit")
        first = one.queue("q", workers=2, concurrency=1)
        two.queue("q", workers=2, concurrency=1)
        jobs = [first.enqueue(tasks.hold, "limit") for _ in range(2)]
        assert gate.wait(20)
        tasks.until(lambda: [job.status for job in jobs].count("running") == 1)
        assert two.queue("q").stats().running == 1
        tasks.GATES["limit"].set()
        assert [job.result(timeout=30) for job in jobs] == ["limit", "limit"]


def test_two_claims_at_the_same_time_keep_the_limit(database, postgres_server):
    inside, go, claimed = threading.Event(), threading.Event(), []

    def claim(transaction, owner):
        jobs, _ = ledger.claim(transaction, "q", owner, f'["{tasks.double.name}"]', 5, 0.0, 30.0, ledger.News())
        claimed.extend(jobs)
        return jobs

    def claim_slowly(transaction):
        claim(transaction, "one")
        inside.set()
        assert go.wait(20)

    with af.ActorSystem("one", store=database) as one, af.ActorSystem("two", store=database) as two:
        one.queue("q", concurrency=1).enqueue_many(tasks.double, [(1,), (2,)])
        first = threading.Thread(target=one.store.write, args=(claim_slowly,))
        first.start()
        assert inside.wait(20)
        second = threading.Thread(target=two.store.write, args=(partial(claim, owner="two"),))
        second.start()
        waits = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and application_name = 'actorflow'"
        tasks.until(lambda: not second.is_alive() or postgres_server.execute(waits))
        go.set()
        first.join(20)
        second.join(20)
        assert len(claimed) == 1


def test_a_unique_job_that_two_systems_add_at_once_is_one_job(database):
    with af.ActorSystem("one", store=database) as one, af.ActorSystem("two", store=database) as two:
        queues = [one.queue("q"), two.queue("q")]
        for number in range(20):
            task, found = tasks.double.options(unique=f"u{number}"), []
            barrier = threading.Barrier(2)

            def add(queue, task=task, found=found, barrier=barrier):
                barrier.wait(30)
                found.append(queue.enqueue(task, 1).id)

            threads = [threading.Thread(target=add, args=(queue,)) for queue in queues]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
            assert len(found) == 2
            assert found[0] == found[1]


@pytest.mark.slow
def test_jobs_go_on_after_the_server_was_restarted(testrun_uid, worker_id):
    with (
        postgres(f"{testrun_uid[:12]}-{worker_id}-q", worker_id) as server,
        server.database() as url,
        LeakCheck(),
        af.ActorSystem("shop", store=url) as system,
    ):
        jobs = system.queue("q", workers=2)
        gate = tasks.begun("restart")
        held = jobs.enqueue(tasks.hold, "restart")
        assert gate.wait(20)
        before = jobs.enqueue_many(tasks.double, [(n,) for n in range(20)])
        server.stop()
        server.start()
        tasks.GATES["restart"].set()
        assert held.result(timeout=30) == "restart"
        assert [job.result(timeout=30) for job in before] == [2 * n for n in range(20)]
        assert jobs.enqueue(tasks.double, 4).result(timeout=30) == 8
        assert held.info().attempt == 1
