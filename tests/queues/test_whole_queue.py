"""The whole queue: pause, resume, drain, purge, dead letters, retry, stats, peek, listeners, inline."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import sys
import threading

import pytest

import actorflow as af
from actorflow.queues.ledger import commands
from actorflow.queues.node.claimer import LOOK_SECONDS
from actorflow.queues.selection import purge
from tests.core.actors import until

from . import tasks


def test_a_paused_queue_begins_nothing_until_it_is_resumed(shop):
    jobs = shop.queue("q", workers=2)
    jobs.pause()
    job = jobs.enqueue(tasks.double, 4)
    other = shop.queue("r", workers=1).enqueue(tasks.double, 1)
    assert other.result(timeout=30) == 2
    assert job.status == "queued"
    assert jobs.stats().paused
    jobs.resume()
    assert job.result(timeout=30) == 8


def test_pause_lets_go_on_what_runs(shop):
    jobs = shop.queue("q", workers=1)
    begun = tasks.begun("paused")
    job = jobs.enqueue(tasks.hold, "paused")
    assert begun.wait(30)
    jobs.pause()
    tasks.GATES["paused"].set()
    assert job.result(timeout=30) == "paused"


def test_drain_waits_for_what_runs_and_takes_nothing_more(shop):
    jobs = shop.queue("q", workers=1)
    begun = tasks.begun("drain")
    running, waiting = jobs.enqueue(tasks.hold, "drain"), jobs.enqueue(tasks.double, 1)
    assert begun.wait(30)
    with pytest.raises(af.AskTimeout):
        jobs.drain(timeout=0.05)
    tasks.GATES["drain"].set()
    jobs.drain(timeout=30)
    assert (running.status, waiting.status) == ("completed", "queued")


def test_purge_removes_what_has_not_begun(shop):
    jobs, others = shop.queue("q"), shop.queue("r")
    ready, due = jobs.enqueue(tasks.double, 1), jobs.enqueue(tasks.double.options(delay=60), 1)
    jobs.enqueue(tasks.double.options(after=[due]), 1)
    elsewhere = others.enqueue(tasks.double.options(after=[ready]), 1)
    assert jobs.purge() == 3
    assert (jobs.stats().queued, jobs.stats().due, jobs.peek()) == (0, 0, None)
    with pytest.raises(af.JobCancelled, match="was purged"):
        elsewhere.result(timeout=30)
    with pytest.raises(af.DefinitionError):
        ready.info()


def test_the_number_of_a_job_that_was_purged_is_not_used_again(shop):
    jobs = shop.queue("q")
    before = [job.id for job in jobs.enqueue_many(tasks.double, [(n,) for n in range(3)])]
    assert jobs.purge() == 3
    assert jobs.enqueue(tasks.double, 1).id not in before


def test_purge_gives_the_slots_of_keys_back(shop):
    jobs = shop.queue("q", workers=2, per_key=af.Limit(concurrency=1))
    jobs.pause()
    jobs.enqueue_many(tasks.double.options(key="k"), [(n,) for n in range(5)])
    jobs.purge()
    jobs.resume()
    assert jobs.enqueue(tasks.double.options(key="k"), 4).result(timeout=30) == 8


def in_parts(monkeypatch, jobs: int) -> None:
    """Have a purge take so many jobs in a transaction."""
    monkeypatch.setattr(commands, "BATCH", jobs)


def test_a_purge_in_parts_leaves_nothing_of_the_jobs(shop, monkeypatch):
    in_parts(monkeypatch, 3)
    jobs, others = shop.queue("q", per_key=af.Limit(concurrency=1)), shop.queue("r")
    first, *_ = jobs.enqueue_many(tasks.double.options(tags=["t"], key="k"), [(n,) for n in range(7)])
    group = [jobs.enqueue(tasks.double.options(after=[first]), n) for n in range(4)]
    jobs.enqueue(tasks.double.options(after=group), 1)
    waiting = [others.enqueue(tasks.double.options(after=[first]), n) for n in range(8)]
    kept = others.enqueue(tasks.double, 1)
    assert jobs.purge() == 12
    for job in waiting:
        with pytest.raises(af.JobCancelled, match="was purged"):
            job.result(timeout=30)
    assert (jobs.count(), jobs.count(tag="t"), jobs.stats().queued, kept.status) == (0, 0, 0, "queued")
    for table in ("needed", "dependants"):
        assert shop.store.read(lambda tx, table=table: of_needs(tx, table, int(first.id))) == []
    jobs.purge()


def of_needs(transaction, table, job):
    values = {"ids": f"[{job}]"} if table == "needed" else {"needs": job, "limit": 10}
    return transaction.all(f"jobs.{table}", values)


def test_jobs_that_come_while_a_queue_is_purged_stay_and_others_write_meanwhile(shop, monkeypatch):
    in_parts(monkeypatch, 2)
    jobs = shop.queue("q")
    jobs.enqueue_many(tasks.double, [(n,) for n in range(5)])
    late = []
    assert purge(shop.store, "q", lambda _: late.append(jobs.enqueue(tasks.double, 1).id)) == 5
    assert len(late) == 3
    assert [job.id for job in reversed(jobs.jobs())][-3:] == late


def test_a_purge_that_is_broken_off_leaves_a_queue_that_works(shop, monkeypatch):
    in_parts(monkeypatch, 2)
    jobs = shop.queue("q", workers=2, per_key=af.Limit(concurrency=2))
    jobs.pause()
    jobs.enqueue_many(tasks.double.options(key="k"), [(n,) for n in range(5)])

    def break_off(_news):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        purge(shop.store, "q", break_off)
    assert jobs.count("queued") == 3
    jobs.resume()
    assert jobs.enqueue(tasks.double.options(key="k"), 4).result(timeout=30) == 8
    until(lambda: jobs.count("completed") >= 4)


def test_a_running_job_that_is_no_longer_replaced_has_its_unique_key_again_after_a_purge(shop):
    begun = tasks.begun("purged")
    jobs = shop.queue("q", workers=1)
    running = jobs.enqueue(tasks.hold.options(unique="u"), "purged")
    assert begun.wait(30)
    jobs.enqueue(tasks.double.options(unique="u", on_duplicate="replace"), 2)
    shop.queue("r").enqueue(tasks.double, 1)  # the newest row stays, cancelled
    assert jobs.purge() == 1
    assert jobs.enqueue(tasks.hold.options(unique="u"), "purged").id == running.id
    tasks.GATES["purged"].set()


def test_peek_is_what_would_begin_next(shop):
    jobs = shop.queue("q")
    jobs.enqueue(tasks.double.options(priority=1), 1)
    first = jobs.enqueue(tasks.double.options(priority=-1), 2)
    jobs.enqueue(tasks.double.options(priority=-5, delay=60), 3)
    assert jobs.peek().id == first.id


def test_stats_use_the_words_of_the_statuses(shop):
    jobs = shop.queue("q", workers=1)
    begun = tasks.begun("stats")
    for job in (jobs.enqueue(tasks.double, 1), jobs.enqueue(tasks.fail, "x")):
        with contextlib.suppress(af.JobFailed):
            job.result(timeout=30)
    jobs.enqueue(tasks.hold, "stats")
    assert begun.wait(30)
    jobs.enqueue(tasks.double.options(delay=60), 1)
    assert jobs.enqueue(tasks.double, 1).cancel()
    jobs.enqueue(tasks.double, 1)
    stats = jobs.stats()
    assert (stats.queued, stats.due, stats.running, stats.completed) == (1, 1, 1, 1)
    assert (stats.failed, stats.cancelled, stats.dead, stats.retried, stats.workers) == (1, 1, 0, 0, 1)
    tasks.GATES["stats"].set()
    jobs.drain(timeout=30)


def test_a_failed_job_is_queued_again_by_one_call_with_all_its_attempts(shop):
    fixed = threading.Event()

    @af.task(name="tests.fixed_later")
    def fixed_later() -> int:
        if not fixed.is_set():
            raise OSError("not yet")
        return af.current().attempt

    jobs = shop.queue("q", workers=1)
    job = jobs.enqueue(fixed_later)
    with pytest.raises(af.JobFailed):
        job.result(timeout=30)
    fixed.set()
    assert jobs.retry(job)
    assert job.result(timeout=30) == 1
    assert not jobs.retry(job)


def test_a_job_is_not_queued_again_beside_a_live_one_with_its_unique_key(shop):
    jobs = shop.queue("q", workers=1)
    job = jobs.enqueue(tasks.fail.options(unique="u"), "x")
    with pytest.raises(af.JobFailed):
        job.result(timeout=30)
    other = jobs.enqueue(tasks.fail.options(unique="u", delay=60), "x")
    with pytest.raises(af.DefinitionError, match=f"job {other.id} is live"):
        jobs.retry(job)


def test_a_job_that_is_queued_again_has_forgotten_what_it_waited_for(shop):
    jobs = shop.queue("q")
    needed = jobs.enqueue(tasks.double, 1)
    job = jobs.enqueue(tasks.double.options(after=[needed]), 2)
    job.cancel()
    assert jobs.retry(job)
    needed.cancel()
    assert job.status == "queued"
    shop.queue("q", workers=1)
    assert job.result(timeout=30) == 4


def test_the_last_of_a_group_that_is_queued_again_waits_for_its_members_alone(shop):
    jobs, begun = shop.queue("q"), tasks.begun("member")
    first = jobs.enqueue(tasks.double, 1)
    group = jobs.group([(tasks.hold, "member")], then=tasks.note.options(after=[first]))
    group.then.cancel()
    assert jobs.retry(group.then)
    shop.queue("q", workers=2)
    assert begun.wait(30)
    assert first.result(timeout=30) == 2
    assert group.then.status == "queued"
    tasks.GATES["member"].set()
    assert group.then.result(timeout=30) == ["member"]


def test_the_systems_end_fails_no_job_though_the_pool_ends_before_the_queue(tmp_path):
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    with af.ActorSystem("shop", store=url, durability="process") as system:
        jobs = system.queue("q", workers=2)
        many = jobs.enqueue_many(tasks.cpu_double, [(n,) for n in range(3000)])
        many[20].result(timeout=60)  # the pool is at work
    with af.ActorSystem("shop", store=url) as system:
        stats = system.queue("q").stats()
    assert (stats.queued + stats.completed, stats.failed, stats.cancelled, stats.dead) == (3000, 0, 0, 0)


# --- dead letters ----------------------------------------------------------------------------------------------------


@pytest.mark.slow(quick=["sqlite"])
def test_a_job_that_kills_its_processes_is_a_dead_letter_with_the_signal_as_cause(shop, caplog):
    jobs = shop.queue("q", workers=1)
    job = jobs.enqueue(tasks.cpu_kill_self)
    with pytest.raises(af.JobFailed, match="dead: HostDied.*SIGKILL") as failure:
        job.result(timeout=60)
    assert isinstance(failure.value.__cause__, af.HostDied)
    assert str(failure.value.__cause__) in str(failure.value)
    assert "running cpu_kill_self" in caplog.text
    name = f"Job {job.id} of queue q, {tasks.cpu_kill_self.name}(),"
    assert caplog.text.count(f"{name} lost its process and is queued again: cpu_kill_self: its process") == 2
    assert f"{name} is a dead letter: cpu_kill_self: its process" in caplog.text
    assert (job.info().attempt, job.info().crashes) == (3, 3)
    assert [letter.id for letter in jobs.dead()] == [job.id]
    assert jobs.stats().dead == 1
    assert jobs.enqueue(tasks.cpu_double, 2).result(timeout=30)[0] == 4


def test_a_job_that_fails_for_good_leaves_its_traceback_in_the_log(shop, caplog):
    with pytest.raises(af.JobFailed):
        shop.queue("q", workers=1).enqueue(tasks.fail, "no lens").result(timeout=20)
    (record,) = [record for record in caplog.records if "failed for good" in record.message]
    assert record.levelno == logging.ERROR
    assert "in fail" in caplog.text
    assert "no lens" in caplog.text


@pytest.mark.parametrize("url", ["memory"], indirect=True)
def test_a_job_over_the_memory_limit_is_a_dead_letter_with_that_as_cause(shop):
    shop.pool("cpu", workers=1, host=af.Process(memory="300M"))
    job = shop.queue("q", workers=1).enqueue(tasks.cpu_eat_memory.options(at_most_once=True))
    with pytest.raises(af.JobFailed, match="dead: MemoryLimit"):
        job.result(timeout=60)


def test_crashes_are_no_attempts(shop, tmp_path):
    path = str(tmp_path / "died")

    @af.task(name="tests.dies_then_fails", cpu=True, retry=af.Retry(2, af.Backoff(0)))
    def dies_then_fails(path: str) -> None:
        import os
        from pathlib import Path

        if not Path(path).exists():
            Path(path).touch()
            os.kill(os.getpid(), 9)
        raise ValueError(af.current().attempt)

    job = shop.queue("q", workers=1).enqueue(dies_then_fails, path)
    with pytest.raises(af.JobFailed, match="ValueError: 3"):
        job.result(timeout=60)
    assert (job.info().attempt, job.info().crashes) == (3, 1)


# --- unknown tasks ---------------------------------------------------------------------------------------------------


def test_an_unknown_task_waits_and_is_reported(shop, caplog):
    @af.task(name="tests.known_elsewhere")
    def known_elsewhere() -> str:
        return "here now"

    jobs = shop.queue("q")
    unknown, known = jobs.enqueue(known_elsewhere.options(priority=-1)), jobs.enqueue(tasks.double, 1)
    from actorflow.tasks.task import TASKS

    del TASKS["tests.known_elsewhere"]
    shop.queue("q", workers=1)
    assert known.result(timeout=30) == 2
    assert unknown.status == "queued"
    shop.local_queues["q"].upkeep.report_unknown()
    assert "1 job waits for task 'tests.known_elsewhere'" in caplog.text
    TASKS["tests.known_elsewhere"] = known_elsewhere
    shop.local_queues["q"].jobs._known = ("", 0)
    jobs.enqueue(tasks.double, 2)
    assert unknown.result(timeout=30) == "here now"


def test_a_task_that_has_another_name_in_a_script_is_reported_with_the_cure(shop, caplog):
    @af.task(name="__main__.only_in_a_script")
    def known_elsewhere() -> None: ...

    @af.task(name="shop.only_in_a_script")
    def here() -> None: ...

    shop.queue("q").enqueue(known_elsewhere)
    from actorflow.tasks.task import TASKS

    del TASKS["__main__.only_in_a_script"]
    try:
        shop.local_queues["q"].upkeep.report_unknown()
    finally:
        del TASKS["shop.only_in_a_script"]
    assert "if it is 'shop.only_in_a_script', run its file by `python -m`, or name it" in caplog.text


def test_a_program_that_is_run_by_m_has_the_names_of_the_module_that_others_import(tmp_path):
    """Its tasks, and the classes of their arguments."""
    (tmp_path / "shopfloor.py").write_text(
        "import dataclasses, actorflow as af\n"
        "@dataclasses.dataclass\n"
        "class Photo:\n"
        "    name: str\n"
        "@af.task\n"
        "def shrink(photo: Photo) -> Photo:\n"
        "    return Photo(photo.name + ' / 2')\n"
        "@af.task(cpu=True)\n"
        "def blur(photo: Photo) -> Photo:\n"
        "    return Photo(photo.name + ' blurred')\n"
        "if __name__ == '__main__':\n"
        "    with af.ActorSystem('shop', store='sqlite:///shop.db') as system:\n"
        "        system.queue('q', workers=1)\n"
        "        system.run()\n"
    )
    producer = (
        "import actorflow as af\n"
        "from shopfloor import Photo, blur, shrink\n"
        "with af.ActorSystem('producer', store='sqlite:///shop.db') as system:\n"
        "    jobs = system.queue('q')\n"
        "    for task in shrink, blur:\n"
        "        result = jobs.enqueue(task, Photo('a')).result(timeout=100)\n"
        "        assert type(result) is Photo, result\n"
        "        print(result.name)\n"
    )
    daemon = subprocess.Popen([sys.executable, "-m", "shopfloor"], cwd=tmp_path)
    try:
        run = subprocess.run(
            [sys.executable, "-c", producer], cwd=tmp_path, capture_output=True, text=True, check=False
        )
    finally:
        daemon.terminate()
        assert daemon.wait(30) == 0
    assert run.stdout == "a / 2\na blurred\n", run.stderr


# --- listeners -------------------------------------------------------------------------------------------------------


def test_listeners_hear_what_becomes_of_jobs(shop):
    heard: list[tuple[str, str]] = []
    jobs = shop.queue("q", workers=1)
    unsubscribe = jobs.subscribe(lambda event: heard.append((event.kind, event.job)))

    @af.task(name="tests.second_time", retry=af.Retry(2, af.Backoff(0)))
    def second_time() -> None:
        af.current().progress(1)
        if af.current().attempt == 1:
            raise OSError

    job = jobs.enqueue(second_time)
    job.result(timeout=30)
    until(lambda: len(heard) == 7)  # they are told after the commit, which `result` may see
    heard.remove(("queued", job.id))  # which the thread of `enqueue` tells, maybe after a worker that it began
    kinds = ["started", "progress", "retried", "started", "progress", "completed"]
    assert heard == [(kind, job.id) for kind in kinds]
    heard.clear()
    bad = jobs.enqueue(tasks.fail, "x")
    waiting = jobs.enqueue(tasks.double.options(after=[bad]), 1)
    with pytest.raises(af.JobCancelled):
        waiting.result(timeout=30)
    tasks.until(lambda: {("failed", bad.id), ("cancelled", waiting.id)} <= set(heard))
    unsubscribe()
    heard.clear()
    jobs.enqueue(tasks.double, 1).result(timeout=30)
    assert heard == []


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit])
def test_a_listener_ends_nobody(shop, error):
    def end(_event: object) -> None:
        raise error

    jobs = shop.queue("q", workers=1)
    jobs.subscribe(end)
    assert jobs.enqueue(tasks.double, 2).result(timeout=30) == 4


def test_a_listener_that_is_no_function_is_refused(shop):
    with pytest.raises(af.DefinitionError, match=r"subscribe\(5\): give a function"):
        shop.queue("q").subscribe(5)


def test_a_listener_that_raises_is_logged_and_stops_nothing(shop, caplog):
    jobs = shop.queue("q", workers=1)
    heard = []
    jobs.subscribe(lambda _event: 1 / 0)
    jobs.subscribe(heard.append)
    with caplog.at_level(logging.ERROR):
        assert jobs.enqueue(tasks.double, 1).result(timeout=30) == 2
        until(lambda: len(heard) == 3)  # they are told after the commit, which `result` may see
    assert "A listener of queue q failed" in caplog.text
    kinds = [event.kind for event in heard]
    kinds.remove("queued")  # which the thread of `enqueue` tells, maybe after a worker has told that it began
    assert kinds == ["started", "completed"]


@pytest.mark.parametrize("url", ["memory"], indirect=True)
@pytest.mark.parametrize(
    "enqueue",
    [
        lambda jobs: jobs.enqueue(tasks.double, 2),
        lambda jobs: jobs.enqueue(tasks.double.options(priority=1), 2),
        lambda jobs: jobs.enqueue_many(tasks.double, [(2,), (3,)]),
    ],
    ids=["plain", "with options", "many"],
)
@pytest.mark.parametrize("offered", [True, False])
def test_a_ctrl_c_in_a_listener_leaves_no_job_without_a_worker(shop, enqueue, offered):
    jobs, heard = shop.queue("q", workers=1), []

    def interrupt(event: object) -> None:
        if event.kind == "queued":
            heard.append(event.job)
            raise KeyboardInterrupt

    jobs.enqueue(tasks.double, 1).result(timeout=30)
    tasks.until(lambda: jobs._local.offers)
    if not offered:
        jobs._local.offers.clear()  # as if another thread had it just now, whose job goes elsewhere
    jobs.subscribe(interrupt)
    with pytest.raises(KeyboardInterrupt):
        enqueue(jobs)
    assert shop.get_job(heard[0]).result(timeout=20) == 4


# --- inline ----------------------------------------------------------------------------------------------------------


def test_inline_jobs_run_at_once_in_the_thread_that_enqueues_them(shop):
    jobs = shop.queue("q")
    where = []

    @af.task(name="tests.where")
    def here() -> str:
        where.append(threading.current_thread())
        return af.current().key

    with jobs.inline():
        job = jobs.enqueue(here.options(delay=60))
        assert job.result(timeout=20) == f"job-{job.id}"
        assert where == [threading.current_thread()]
        assert jobs.enqueue(tasks.await_double, 4).result(timeout=20) == 8
        assert jobs.group([(tasks.double, 1), (tasks.double, 2)], then=total).then.result(timeout=20) == 6
        with pytest.raises(af.JobFailed, match="ValueError: x"):
            jobs.enqueue(tasks.fail, "x").result(timeout=20)
    assert jobs.enqueue(tasks.double, 1).status == "queued"
    assert (jobs.stats().running, jobs.stats().completed, jobs.stats().failed) == (0, 5, 1)


@pytest.mark.parametrize("url", ["memory"], indirect=True)
def test_an_inline_async_task_sees_its_own_attempt_and_has_its_timeout(shop):
    @af.task(name="tests.inline_async")
    async def here(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return af.current().key

    jobs = shop.queue("q")
    with jobs.inline():
        job = jobs.enqueue(here, 0.0)
        assert job.result(timeout=20) == f"job-{job.id}"
        with pytest.raises(af.JobFailed, match=r"TaskTimeout: .* took over 0\.05 s"):
            jobs.enqueue(here.options(timeout=0.05), 60.0).result(timeout=20)


def test_an_inline_job_that_waits_for_others_is_left_until_they_are_over(shop):
    jobs = shop.queue("q")
    first = jobs.enqueue(tasks.double, 1)
    with jobs.inline():
        then = jobs.enqueue(tasks.double.options(after=[first]), 2)
        assert then.status == "queued"
        assert jobs.enqueue(tasks.double, 3).result(timeout=20) == 6
    shop.queue("q", workers=1)
    assert (first.result(timeout=20), then.result(timeout=20)) == (2, 4)


def test_inline_jobs_are_tried_again_without_pauses(shop):
    tried = []

    @af.task(name="tests.inline_retry", retry=af.Retry(3, af.Backoff(60)))
    def third_time() -> str:
        tried.append(af.current().attempt)
        if len(tried) < 3:
            raise OSError
        return "done"

    jobs = shop.queue("q")
    with jobs.inline():
        assert jobs.enqueue(third_time).result(timeout=20) == "done"
    assert tried == [1, 2, 3]


@af.task
def total(numbers: list[int]) -> int:
    return sum(numbers)


def test_a_queue_that_is_asked_for_again_is_the_same(shop):
    jobs = shop.queue("q", workers=2)
    assert shop.queue("q", workers=2).name == jobs.name
    assert shop.queue("q").enqueue(tasks.double, 2).result(timeout=30) == 4
    with pytest.raises(af.DefinitionError, match="has 2 workers here already"):
        shop.queue("q", workers=3)


def test_a_claimer_that_crashes_begins_anew_and_loses_nothing(shop):
    jobs = shop.queue("q", workers=1)
    begun = tasks.begun("crash")
    job, next_one = jobs.enqueue(tasks.hold, "crash"), jobs.enqueue(tasks.double, 1)
    assert begun.wait(30)
    shop.local_queues["q"].claimer.tell("not a message of a claimer")  # a crash
    tasks.GATES["crash"].set()
    assert job.result(timeout=30) == "crash"
    assert next_one.result(timeout=30) == 2
    assert jobs.stats().running == 0


def test_a_queue_whose_workers_all_wait_for_jobs_of_the_same_queue_says_so_once(shop, caplog):
    jobs = shop.queue("q", workers=2)

    children = {}

    @af.task(name="tests.parent", retry=af.Retry(1))
    def parent(n: int) -> int:
        children[n] = jobs.enqueue(tasks.double, n)
        return children[n].result(timeout=30)

    parents = jobs.enqueue_many(parent, [(1,), (2,)])
    until(lambda: "all 2 workers of this process wait" in caplog.text)
    assert f"({', '.join(sorted((job.id for job in children.values()), key=int))})" in caplog.text
    children[1].cancel()
    with pytest.raises(af.JobFailed, match="JobCancelled"):
        parents[0].result(timeout=20)
    assert parents[1].result(timeout=20) == 4
    assert caplog.text.count("workers of this process wait") == 1


@pytest.mark.slow(quick=["sqlite-it is not due", "postgres-another worker is busy", "memory-it is of another queue"])
@pytest.mark.parametrize("why", ["another worker is busy", "it is of another queue", "it is not due"])
def test_a_worker_that_waits_for_a_job_that_will_begin_is_no_deadlock(shop, caplog, why):
    jobs, others = shop.queue("q", workers=2 if why == "another worker is busy" else 1), shop.queue("r")
    begun = tasks.begun("busy")
    child = tasks.double.options(delay=3600.0 if why == "it is not due" else 0.0)
    children = []

    @af.task(name="tests.waits", retry=af.Retry(1))
    def parent() -> int:
        children.append((others if why == "it is of another queue" else jobs).enqueue(child, 1))
        return children[0].result(timeout=30)

    if why == "another worker is busy":
        jobs.enqueue(tasks.hold, "busy")
        assert begun.wait(100)
    job = jobs.enqueue(parent)
    until(lambda: children)
    with pytest.raises(af.AskTimeout):
        job.result(timeout=4 * LOOK_SECONDS)
    assert "workers of this process wait" not in caplog.text
    children[0].cancel()
    tasks.GATES["busy"].set()
    with pytest.raises(af.JobFailed):
        job.result(timeout=20)
