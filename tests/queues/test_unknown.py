"""Jobs that this process cannot run: of tasks, or with arguments of classes, that it does not know."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
import sys
import types

import pytest

import actorflow as af
from actorflow.queues import ledger
from actorflow.queues.ledger import claims
from actorflow.tasks.task import TASKS

from . import tasks


@dataclasses.dataclass
class Page:
    number: int


def newer_module() -> types.ModuleType:
    """Make a module of a newer program, with a class of its own."""
    module = types.ModuleType("newer_program")
    module.Page = dataclasses.make_dataclass("Page", [("number", int)])
    module.Page.__module__ = "newer_program"
    return module


@pytest.fixture
def newer(monkeypatch) -> types.ModuleType:
    module = newer_module()
    monkeypatch.setitem(sys.modules, "newer_program", module)
    return module


def test_known_tasks_run_in_their_order_past_unknown_ones_in_front(shop):
    jobs = shop.queue("q", concurrency=1)
    ran: list[int] = []

    @af.task(name="tests.first_known")
    def first_known(n: int) -> None:
        ran.append(n)

    @af.task(name="tests.second_known")
    def second_known(n: int) -> None:
        ran.append(n)

    @af.task(name="tests.not_known")
    def not_known() -> None: ...

    try:
        unknown = jobs.enqueue_many(not_known.options(priority=-1), [()] * 50)
    finally:
        del TASKS["tests.not_known"]
    known = (first_known, second_known)
    many = [jobs.enqueue(known[n % 2].options(priority=[3, 1, 2, 1][n % 4]), n) for n in range(16)]
    assert jobs.peek().id == unknown[0].id
    shop.queue("q", workers=1, concurrency=1)
    for job in many:
        job.result(timeout=30)
    assert ran == sorted(range(16), key=lambda n: ([3, 1, 2, 1][n % 4], n))
    assert {job.status for job in unknown} == {"queued"}


def test_names_by_the_thousand_are_not_all_looked_at(shop, monkeypatch):
    monkeypatch.setattr(claims, "TASKS_AT_ONCE", 3)
    jobs = shop.queue("q")

    def put(transaction):
        for n in range(10):
            row = {"queue": "q", "task": f"a.{n}", "priority": 0, "options": None, "args": b"[[],{}]", "created": 0.0}
            transaction.insert("jobs.put_plain", row)

    shop.store.write(put)
    many = jobs.enqueue_many(tasks.double, [(n,) for n in range(5)])
    shop.queue("q", workers=1)
    assert [job.result(timeout=30) for job in many] == [0, 2, 4, 6, 8]


def test_unknown_tasks_in_front_are_not_read_by_a_claim(tmp_path):
    """Counted in steps of the database's machine, which no busy computer changes."""
    steps = {}
    for unknown in (10, 20_000):
        with af.ActorSystem("shop", store=f"sqlite:///{tmp_path / f'{unknown}.db'}", durability="process") as shop:
            shop.queue("q").enqueue(tasks.double, 1)
            with contextlib.closing(sqlite3.connect(tmp_path / f"{unknown}.db")) as conn:
                conn.executemany(
                    "insert into af_job (queue, task, stage, priority, args, created) values ('q', ?, 0, -1, ?, 0)",
                    [("of.another", b"[[],{}]")] * unknown,
                )
                conn.commit()
            shop.queue("q").enqueue_many(tasks.double, [(n,) for n in range(50)])
            count = 0

            def step():
                nonlocal count
                count += 1

            shop.store._writer.connection.set_progress_handler(step, 10)
            claimed = shop.store.write(
                lambda transaction: ledger.claim(
                    transaction, "q", "node", f'["{tasks.double.name}"]', 20, 1.0, 2.0, ledger.News()
                )
            )[0]
            shop.store._writer.connection.set_progress_handler(None, 0)
            assert len(claimed) == 20
            steps[unknown] = count
    assert steps[20_000] <= 1.3 * steps[10] + 10


# --- classes of arguments --------------------------------------------------------------------------------------------


def test_a_job_with_arguments_of_an_unknown_class_is_left_for_a_process_that_knows_it(shop, newer, monkeypatch, caplog):
    jobs = shop.queue("q")
    many = [jobs.enqueue(tasks.note, newer.Page(n)) for n in range(3)]
    awaited = jobs.enqueue(tasks.await_double, 4)
    monkeypatch.delitem(sys.modules, "newer_program")
    shop.queue("q", workers=2)
    assert jobs.enqueue(tasks.double, 2).result(timeout=30) == 4
    assert awaited.result(timeout=30) == 8
    for job in many:
        tasks.until(lambda job=job: job.info().error is not None)
        assert (job.status, job.info().attempt) == ("queued", 0)
        assert "'newer_program.Page', which is not known here: import its module" in job.info().error
    assert caplog.text.count("is left for a process that can read its arguments") == 1
    assert (jobs.stats().queued, jobs.stats().retried) == (3, 0)
    monkeypatch.setitem(sys.modules, "newer_program", newer)
    jobs.enqueue(tasks.double, 1).result(timeout=30)
    assert [job.result(timeout=30).number for job in many] == [0, 1, 2]
    assert {job.info().attempt for job in many} == {1}


@pytest.mark.parametrize("task", [tasks.note, tasks.await_double, tasks.cpu_double], ids=lambda task: task.name)
def test_jobs_of_each_kind_are_left_and_their_keys_go_on(shop, newer, monkeypatch, task):
    limit = af.Limit(concurrency=1)
    jobs = shop.queue("q", per_key=limit)
    left = jobs.enqueue(task.options(key="k"), newer.Page(1))
    behind = jobs.enqueue(tasks.double.options(key="k"), 5)
    monkeypatch.delitem(sys.modules, "newer_program")
    shop.queue("q", workers=1, per_key=limit)
    assert behind.result(timeout=30) == 10
    assert left.status == "queued"
    assert left.cancel()
    assert left.status == "cancelled"
    assert jobs.enqueue(tasks.double.options(key="k"), 6).result(timeout=30) == 12


def test_a_left_job_goes_with_a_purge_and_counts_as_queued(shop, newer, monkeypatch):
    jobs = shop.queue("q")
    left = jobs.enqueue(tasks.note, newer.Page(1))
    monkeypatch.delitem(sys.modules, "newer_program")
    shop.queue("q", workers=1)
    tasks.until(lambda: left.info().error is not None)
    assert jobs.stats().queued == 1
    jobs.enqueue(tasks.double, 1).result(timeout=30)
    assert jobs.purge() == 1


# --- waits that nobody here ends -------------------------------------------------------------------------------------


def test_a_wait_that_runs_out_says_why_the_job_is_not_over(shop):
    jobs = shop.queue("q")
    first = jobs.enqueue(tasks.double, 1)
    with pytest.raises(af.AskTimeout, match=r"is not over after 0\.01 s: this process has no workers for queue 'q'"):
        first.result(timeout=0.01)
    behind = jobs.enqueue(tasks.double.options(after=[first]), 1)
    with pytest.raises(af.AskTimeout, match="it waits for 1 other job"):
        behind.result(timeout=0.01)
    later = jobs.enqueue(tasks.double.options(delay=1000), 1)
    with pytest.raises(af.AskTimeout, match="it is due in (1000|9..) s"):
        later.result(timeout=0.01)
    jobs.pause()
    with pytest.raises(af.AskTimeout, match="its queue 'q' is paused"):
        first.result(timeout=0.01)


def test_a_wait_for_a_task_that_is_not_known_here_says_so(shop):
    jobs = shop.queue("q", workers=1)

    @af.task(name="tests.nobody_knows")
    def nobody_knows() -> None: ...

    jobs.pause()
    job = jobs.enqueue(nobody_knows)
    del TASKS["tests.nobody_knows"]
    jobs.resume()
    with pytest.raises(af.AskTimeout, match=r"its task 'tests\.nobody_knows' is not known here: import"):
        job.result(timeout=0.01)


def test_a_wait_for_a_class_that_is_not_known_here_says_so(shop, newer, monkeypatch):
    left = shop.queue("q").enqueue(tasks.note, newer.Page(1))
    monkeypatch.delitem(sys.modules, "newer_program")
    shop.queue("q", workers=1)
    tasks.until(lambda: left.info().error is not None)
    with pytest.raises(af.AskTimeout, match=r"it waits for a process that knows the class 'newer_program\.Page'"):
        left.result(timeout=0.01)


def test_an_endless_wait_that_nobody_here_can_end_is_logged(timed, caplog):
    job = timed.queue("q").enqueue(tasks.double, 1)
    with pytest.raises(af.DeadlockError):
        job.result()
    assert "A wait for job 1 may not end: this process has no workers for queue 'q'" in caplog.text
