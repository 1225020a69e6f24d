"""Transactions: jobs in the user's own, and what a task writes together with its result."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

import actorflow as af
from actorflow.queues.node import adding
from actorflow.tasks import watching
from actorflow.testing import LeakCheck
from tests.core.actors import until

from . import tasks


@pytest.fixture
def path(tmp_path) -> str:
    """A file with a table of the user's own."""
    path = str(tmp_path / "shop.db")
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("create table sale (id integer primary key, what text)")
    return path


@pytest.fixture
def on_file(path) -> Iterator[af.ActorSystem]:
    """A system on the user's file."""
    with LeakCheck(), af.ActorSystem("shop", store=f"sqlite:///{path}", durability="process") as running:
        yield running


# --- enqueue in the user's transaction -------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"priority": 3, "key": "k"}])
def test_a_job_is_there_once_the_users_transaction_commits(on_file, path, options):
    jobs = on_file.queue("q", workers=1)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("insert into sale values (1, 'book')")
        job = jobs.enqueue(tasks.double.options(conn=conn, **options), 4)
        assert jobs.stats().queued == 0
        conn.commit()
        assert job.result(timeout=30) == 8


def test_a_job_is_never_there_if_the_users_transaction_is_undone(on_file, path):
    jobs = on_file.queue("q", workers=1)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("insert into sale values (1, 'book')")
        job = jobs.enqueue(tasks.note.options(conn=conn), 4)
        conn.rollback()
        assert jobs.enqueue(tasks.double, 1).result(timeout=30) == 2
        assert conn.execute("select count(*) from sale").fetchone() == (0,)
    assert jobs.stats().completed == 1
    assert job.id  # it had one, that another job has now


def test_a_connection_without_a_transaction_gets_one_as_from_python_itself(on_file, path):
    jobs = on_file.queue("q", workers=1)
    with closing(sqlite3.connect(path)) as conn:
        with conn:
            job = jobs.enqueue(tasks.double.options(conn=conn), 4)
        assert job.result(timeout=30) == 8


def test_a_group_is_there_once_the_users_transaction_commits(on_file, path):
    @af.task(name="add up")
    def add_up(numbers: list[int]) -> int:
        return sum(numbers)

    jobs = on_file.queue("q", workers=1)
    with closing(sqlite3.connect(path)) as conn:
        mine = tasks.double.options(conn=conn)
        with pytest.raises(af.DefinitionError, match=r"give options\(conn=\) to all its tasks"):
            jobs.group([(mine, 1), (tasks.double, 2)], then=add_up)
        jobs.group([(mine, 1), (mine, 2)], then=add_up.options(conn=conn))
        conn.rollback()
        group = jobs.group([(mine, 3), (mine, 4)], then=add_up.options(conn=conn))
        assert jobs.stats().queued == 0
        conn.commit()
        assert group.then.result(timeout=30) == 14
    assert jobs.stats().completed == 3


def test_a_job_that_is_refused_leaves_nothing_in_the_users_transaction(on_file, path):
    jobs = on_file.queue("q")
    gone = on_file.get_job("77")
    with closing(sqlite3.connect(path)) as conn, conn:
        old = jobs.enqueue(tasks.double.options(conn=conn, unique="u"), 1)
        with pytest.raises(af.DefinitionError, match="no such job"):
            jobs.enqueue(tasks.double.options(conn=conn, unique="u", on_duplicate="replace", after=[gone]), 2)
    assert [(job.id, job.status) for job in jobs.jobs()] == [(old.id, "queued")]


def test_connections_that_cannot_be_right_are_refused(on_file, path, tmp_path):
    jobs = on_file.queue("q")
    with (
        closing(sqlite3.connect(tmp_path / "other.db")) as other,
        pytest.raises(af.DefinitionError, match=r"other\.db"),
    ):
        jobs.enqueue(tasks.double.options(conn=other), 1)
    with closing(sqlite3.connect(":memory:")) as memory, pytest.raises(af.DefinitionError, match="memory"):
        jobs.enqueue(tasks.double.options(conn=memory), 1)
    with pytest.raises(af.DefinitionError, match=r"takes a sqlite3\.Connection"):
        jobs.enqueue(tasks.double.options(conn="shop.db"), 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as loose:
        with pytest.raises(af.DefinitionError, match="begin one"):
            jobs.enqueue(tasks.double.options(conn=loose), 1)


def test_a_memory_store_has_no_connection_to_share():
    with af.ActorSystem("shop") as system, closing(sqlite3.connect(":memory:")) as conn:
        with pytest.raises(af.DefinitionError, match="the queue is on memory:"):
            system.queue("q").enqueue(tasks.double.options(conn=conn), 1)


def test_a_transaction_that_stays_open_is_warned_of_with_its_age(on_file, path, caplog, monkeypatch):
    monkeypatch.setattr(adding, "HELD_SECONDS", 0.05)
    jobs = on_file.queue("q")
    with closing(sqlite3.connect(path)) as conn:
        jobs.enqueue(tasks.double.options(conn=conn), 4)
        tasks.until(lambda: re.search(r"is open for \d+\.", caplog.text))
        conn.commit()
    caplog.clear()
    looks = []
    monkeypatch.setattr(on_file.scheduler, "call_later", lambda _seconds, look: looks.append(look))
    with closing(sqlite3.connect(path)) as conn:
        jobs.enqueue(tasks.double.options(conn=conn), 4)
        conn.commit()
        conn.execute("begin")  # another transaction, which has nothing of ours
        (look,) = looks
        look()
    assert not caplog.records


# --- exactly once with the store -------------------------------------------------------------------------------------


@af.task(retry=af.Retry(3, af.Backoff(0)))
def sell(what: str, fail_until: int = 0) -> int:
    with af.current().transaction() as conn:
        conn.execute("insert into sale (what) values (?)", (what,))
    if af.current().attempt <= fail_until:
        raise OSError("after the write")
    return af.current().attempt


def sales(path: str) -> list[str]:
    with closing(sqlite3.connect(path)) as conn:
        return [row[0] for row in conn.execute("select what from sale order by id")]


def test_what_a_task_writes_is_committed_with_its_result(on_file, path):
    jobs = on_file.queue("q", workers=3)
    for job in jobs.enqueue_many(sell, [("book",)] * 50):
        assert job.result(timeout=30) == 1
    assert sales(path) == ["book"] * 50
    assert jobs.stats().completed == 50


def test_what_a_task_wrote_that_fails_afterwards_is_undone(on_file, path):
    assert on_file.queue("q", workers=2).enqueue(sell, "pen", 2).result(timeout=30) == 3
    assert sales(path) == ["pen"]


def test_a_block_that_raises_is_undone_though_the_task_goes_on(on_file, path):
    @af.task(name="tests.goes_on")
    def goes_on(again: bool) -> str:
        with suppress(ZeroDivisionError), af.current().transaction() as conn:
            conn.execute("insert into sale (what) values ('half')")
            jobs.enqueue(tasks.double, 1)
            1 / 0
        if again:
            with af.current().transaction() as conn:
                conn.execute("insert into sale (what) values ('whole')")
        return "fine"

    jobs = on_file.queue("q", workers=1)
    assert jobs.enqueue(goes_on, False).result(timeout=30) == "fine"
    assert sales(path) == []
    assert jobs.enqueue(goes_on, True).result(timeout=30) == "fine"
    assert sales(path) == ["whole"]
    assert jobs.count() == 2


def test_what_a_task_wrote_that_has_lost_its_job_is_undone(on_file, path, caplog):
    @af.task(name="tests.lost")
    def lost() -> None:
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("update af_job set epoch = epoch + 1")  # what another node does that takes the job over
        with af.current().transaction() as conn:
            conn.execute("insert into sale (what) values ('twice')")

    jobs = on_file.queue("q", workers=1)
    job = jobs.enqueue(lost)
    assert jobs.enqueue(tasks.double, 1).result(timeout=30) == 2
    tasks.until(lambda: "late result is refused" in caplog.text)
    assert sales(path) == []
    assert job.status == "running"


def test_jobs_that_are_enqueued_in_the_block_are_part_of_it(on_file, path):
    jobs = on_file.queue("q", workers=2)

    @af.task(name="tests.enqueues", retry=af.Retry(2, af.Backoff(0)))
    def enqueues() -> str:
        with af.current().transaction():
            job = jobs.enqueue(tasks.double, 21)
        if af.current().attempt == 1:
            raise OSError
        return job.id

    id_ = jobs.enqueue(enqueues).result(timeout=30)
    assert on_file.get_job(id_).result(timeout=30) == 42
    assert jobs.stats().completed == 2


def test_a_task_has_one_transaction_and_does_not_end_it(on_file, path):
    @af.task(name="tests.two")
    def two() -> None:
        with af.current().transaction():
            pass
        with af.current().transaction():
            pass

    @af.task(name="tests.commits")
    def commits() -> None:
        with af.current().transaction() as conn:
            conn.execute("commit")

    jobs = on_file.queue("q", workers=1)
    with pytest.raises(af.JobFailed, match="opens a second"):
        jobs.enqueue(two).result(timeout=30)
    with pytest.raises(af.JobFailed, match="must not commit"):
        jobs.enqueue(commits).result(timeout=30)
    assert jobs.enqueue(tasks.double, 1).result(timeout=30) == 2


def test_a_task_that_closes_the_connection_fails_and_the_store_goes_on(shop):
    @af.task(name="tests.closes")
    def closes() -> None:
        with af.current().transaction() as conn, closing(conn):
            conn.execute("select 1")

    jobs = shop.queue("q", workers=1)
    with pytest.raises(af.JobFailed, match="must not"):
        jobs.enqueue(closes).result(timeout=30)
    assert jobs.enqueue(tasks.double, 1).result(timeout=30) == 2


def test_a_task_does_not_wait_for_a_job_that_its_own_transaction_holds_up(shop):
    @af.task(name="tests.waits_within")
    def waits_within() -> None:
        with af.current().transaction():
            jobs.enqueue(tasks.double, 1).result()

    jobs = shop.queue("q", workers=2)
    with pytest.raises(af.JobFailed, match=r"cannot end while this task has a transaction\(\) open"):
        jobs.enqueue(waits_within).result(timeout=30)
    assert jobs.enqueue(tasks.double, 1).result(timeout=30) == 2
    assert jobs.stats().completed == 1


def test_a_task_that_hangs_in_its_transaction_is_reported_and_undone_at_its_timeout(shop, caplog, monkeypatch):
    monkeypatch.setattr(watching, "HELD_SECONDS", 0.05)
    begun, ended = tasks.begun("hangs"), []

    @af.task(name="tests.hangs_in_its_transaction", timeout=1.5, retry=af.Retry(1))  # until it hangs, too
    def hangs() -> int:
        try:
            with af.current().transaction():
                jobs.enqueue(tasks.double, 1)  # is undone with it
                begun.set()
                tasks.GATES["hangs"].wait(30)
                jobs.enqueue(tasks.double, 2)  # is refused
        except BaseException as error:
            ended.append(error)
            raise
        return 42

    jobs = shop.queue("q", workers=2)
    job = jobs.enqueue(hangs)
    assert begun.wait(30)
    other = jobs.enqueue(tasks.double, 3)  # waits for the transaction, and then goes on
    assert other.result(timeout=30) == 6
    with pytest.raises(af.JobFailed, match="TaskTimeout"):
        job.result(timeout=30)
    assert "has had its transaction() open for" in caplog.text
    assert "hung in its transaction(), which was undone at its timeout" in caplog.text
    tasks.GATES["hangs"].set()
    until(lambda: ended)
    assert isinstance(ended[0], af.StoreError)
    assert (jobs.stats().completed, jobs.stats().failed) == (1, 1)
    assert jobs.count() == 2


@af.task(cpu=True)
def cpu_writes() -> None:
    af.current().transaction()


@af.task
async def async_writes() -> None:
    af.current().transaction()


@pytest.mark.parametrize("task", [cpu_writes, async_writes])
def test_tasks_without_a_connection_are_told_the_cure(on_file, task):
    with pytest.raises(af.JobFailed, match="have a plain task write it"):
        on_file.queue("q", workers=1).enqueue(task).result(timeout=30)


def test_a_memory_store_has_transactions_too(shop):
    @af.task(name="tests.in_memory")
    def in_memory() -> int:
        with af.current().transaction() as conn:
            return conn.execute("select 42").fetchone()[0]

    jobs = shop.queue("q", workers=1)
    assert jobs.enqueue(in_memory).result(timeout=30) == 42
    with jobs.inline():
        assert jobs.enqueue(in_memory).result(timeout=30) == 42
