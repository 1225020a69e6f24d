"""Options of jobs: uniqueness, dependencies, groups, once only, and what happens to duplicates."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

import actorflow as af
from actorflow.queues.node import claimer
from actorflow.tasks.options import JobKeywords, JobOptions

from . import tasks


def test_options_are_of_one_job_and_not_of_the_task():
    before = tasks.double.job_options
    assert tasks.double.options(priority=3).job_options.priority == 3
    assert tasks.double.options(priority=3).options(delay=1).job_options.priority == 3
    assert tasks.double.job_options is before


def test_checkers_of_types_know_the_options_that_there_are():
    known = {field.name: field.type for field in dataclasses.fields(JobOptions)}
    annotated = {name: hint.__forward_arg__ for name, hint in JobKeywords.__annotations__.items()}
    assert annotated == known


def test_an_option_that_is_given_as_an_argument_names_the_cure(shop):
    jobs = shop.queue("q")
    cure = r"options of a job go to its task: enqueue\(task.options\(priority=3, delay=1\), ...\)"
    with pytest.raises(af.DefinitionError, match=cure):
        jobs.enqueue(tasks.double, 1, priority=3, delay=1)
    with pytest.raises(af.DefinitionError, match=r"unexpected keyword argument 'm'$"):
        jobs.enqueue(tasks.double, 1, m=3)
    assert jobs.count() == 0


def test_a_job_expires_while_all_workers_are_busy(shop):
    jobs = shop.queue("q", workers=1)
    begun = tasks.begun("busy")
    busy = jobs.enqueue(tasks.hold, "busy")
    assert begun.wait(30)
    with pytest.raises(af.JobCancelled, match="expired"):
        jobs.enqueue(tasks.double.options(expires=0.01), 1).result(timeout=30)
    tasks.GATES["busy"].set()
    busy.result(timeout=30)


# --- unique ----------------------------------------------------------------------------------------------------------


def test_a_duplicate_is_the_job_that_is_there(shop):
    jobs = shop.queue("q")
    one, other = (jobs.enqueue(tasks.double.options(unique="u"), n) for n in (1, 2))
    assert one.id == other.id
    assert jobs.stats().queued == 1


def test_listeners_hear_of_a_duplicate_once(shop):
    jobs, heard = shop.queue("q"), []
    jobs.subscribe(heard.append)
    job = jobs.enqueue(tasks.double.options(unique="u"), 1)
    jobs.enqueue(tasks.double.options(unique="u"), 2)
    jobs.enqueue_many(tasks.double.options(unique="u"), [(3,), (4,)])
    assert [(event.kind, event.job) for event in heard] == [("queued", job.id)]


def test_a_duplicate_is_refused_and_the_live_job_named(shop):
    jobs = shop.queue("q")
    job = jobs.enqueue(tasks.double.options(unique="u"), 1)
    with pytest.raises(af.DefinitionError, match=f"unique='u': job {job.id}"):
        jobs.enqueue(tasks.double.options(unique="u", on_duplicate="reject"), 2)


def test_a_duplicate_replaces_the_job_that_has_not_begun(shop):
    jobs = shop.queue("q")
    old = jobs.enqueue(tasks.double.options(unique="u"), 1)
    new = jobs.enqueue(tasks.double.options(unique="u", on_duplicate="replace"), 2)
    with pytest.raises(af.JobCancelled, match="replaced"):
        old.result(timeout=30)
    shop.queue("q", workers=1)
    assert new.result(timeout=30) == 4


def test_who_waits_for_a_job_that_is_replaced_hears_of_it_and_so_do_listeners(shop):
    jobs, seen = shop.queue("q"), []
    jobs.subscribe(lambda event: seen.append((event.kind, event.job)))
    old = jobs.enqueue(tasks.double.options(unique="u"), 1)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(old.result, timeout=30)
        tasks.until(lambda: shop.waits._futures)
        jobs.enqueue(tasks.double.options(unique="u", on_duplicate="replace"), 2)
        with pytest.raises(af.JobCancelled, match="replaced"):
            waiting.result()
    assert ("cancelled", old.id) in seen


VERSIONS: list[str] = []


@af.task
def hold_and_note(gate: str, what: str) -> str:
    tasks.hold.function(gate)
    VERSIONS.append(what)
    return what


def test_a_job_that_runs_goes_on_and_the_one_that_replaces_it_runs_after_it(shop):
    jobs = shop.queue("q", workers=3)
    begun = tasks.begun("unique")
    VERSIONS.clear()
    old = jobs.enqueue(hold_and_note.options(unique="u"), "unique", "version 1")
    assert begun.wait(30)
    once = hold_and_note.options(unique="u", on_duplicate="replace")
    between = jobs.enqueue(once, "unique", "version 2")
    new = jobs.enqueue(once, "unique", "version 3")
    assert len({old.id, between.id, new.id}) == 3
    assert jobs.enqueue(tasks.double.options(unique="u"), 1).id == new.id  # the key is the new one's
    assert not old.info().cancelling
    tasks.GATES["unique"].set()
    assert (old.result(timeout=30), new.result(timeout=30)) == ("version 1", "version 3")
    with pytest.raises(af.JobCancelled, match="it was replaced"):
        between.result(timeout=30)
    assert VERSIONS == ["version 1", "version 3"]
    assert jobs.enqueue(tasks.double.options(unique="u"), 1).result(timeout=30) == 2


@pytest.mark.parametrize("end", ["replace", "cancel", "expire"])
def test_a_job_that_runs_has_its_key_again_once_the_one_that_was_to_follow_it_is_over(shop, end):
    jobs = shop.queue("q", workers=2)
    begun = tasks.begun(end)
    old = jobs.enqueue(tasks.hold.options(unique="u"), end)
    assert begun.wait(30)
    newer = tasks.double.options(unique="u", on_duplicate="replace")
    between = jobs.enqueue(newer.options(expires=0.001 if end == "expire" else None), 1)
    if end == "cancel":
        between.cancel()
        assert jobs.enqueue(tasks.double.options(unique="u"), 1).id == old.id
    elif end == "expire":
        tasks.until(lambda: between.info().created + 0.001 < shop.store.now())
    new = jobs.enqueue(newer, 2)
    assert new.id not in {old.id, between.id}
    assert jobs.enqueue(tasks.double, 3).result(timeout=30) == 6  # a worker is free, and yet:
    assert (old.status, between.status, new.status) == ("running", "cancelled", "queued")
    tasks.GATES[end].set()
    assert (old.result(timeout=30), new.result(timeout=30)) == (end, 4)


def test_a_job_that_was_replaced_while_it_ran_is_not_tried_again(shop):
    jobs = shop.queue("q", workers=2)
    begun = tasks.begun("again")

    @af.task(name="tests.fails_when_opened", retry=af.Retry(5, af.Backoff(0)))
    def fails_when_opened() -> None:
        tasks.hold.function("again")
        raise ValueError("old")

    old = jobs.enqueue(fails_when_opened.options(unique="u"))
    assert begun.wait(30)
    new = jobs.enqueue(tasks.double.options(unique="u", on_duplicate="replace"), 4)
    tasks.GATES["again"].set()
    assert new.result(timeout=30) == 8
    with pytest.raises(af.JobCancelled, match="it was replaced while it ran, so it is not tried again"):
        old.result(timeout=30)
    assert old.info().attempt == 1


def test_a_job_that_was_replaced_while_it_ran_can_be_cancelled(shop):
    jobs = shop.queue("q", workers=2)
    begun = tasks.begun("both")
    old = jobs.enqueue(tasks.until_cancelled.options(unique="u"), "both")
    assert begun.wait(30)
    new = jobs.enqueue(tasks.double.options(unique="u", on_duplicate="replace", delay=0.01), 4)
    assert old.cancel()
    assert new.result(timeout=30) == 8


def test_a_job_that_is_being_cancelled_can_be_replaced(shop):
    jobs = shop.queue("q", workers=2)
    begun = tasks.begun("late")
    old = jobs.enqueue(tasks.stubborn.options(unique="u"), "late")
    assert begun.wait(30)
    assert old.cancel()
    new = jobs.enqueue(tasks.double.options(unique="u", on_duplicate="replace"), 4)
    assert (old.status, new.status) == ("running", "queued")
    tasks.GATES["late"].set()
    assert new.result(timeout=30) == 8


def test_a_key_is_unique_among_live_jobs_of_one_queue_only(shop):
    jobs, others = shop.queue("q", workers=1), shop.queue("r")
    first = jobs.enqueue(tasks.double.options(unique="u"), 1)
    first.result(timeout=30)
    assert jobs.enqueue(tasks.double.options(unique="u"), 1).id != first.id
    assert others.enqueue(tasks.double.options(unique="u"), 1).id != first.id


# --- dependencies ----------------------------------------------------------------------------------------------------


def test_a_due_time_that_may_mean_several_moments_is_refused():
    when = dt.datetime(2027, 3, 1, 9, tzinfo=dt.UTC)
    with pytest.raises(af.DefinitionError, match="the time has no zone"):
        tasks.double.options(due=when.replace(tzinfo=None))
    with pytest.raises(af.DefinitionError, match="give one of them"):
        tasks.double.options(due=when, delay=5)
    with pytest.raises(af.DefinitionError, match="due="):
        tasks.double.options(due="2027-03-01")


def test_limits_and_durability_of_a_queue_are_what_they_must_be(shop):
    with pytest.raises(af.DefinitionError, match="per_key=5"):
        shop.queue("q", per_key=5)
    with pytest.raises(af.DefinitionError, match="durability='paper'"):
        shop.queue("q", durability="paper")


def test_a_queue_has_no_name_that_stands_for_the_runs_of_workflows(shop):
    with pytest.raises(af.DefinitionError, match="stand for the runs of workflows"):
        shop.queue("(runs of workflows)")


def test_a_job_waits_for_those_that_it_needs(timed):
    ran = []

    @af.task(name="tests.ordered")
    def ordered(what: str) -> None:
        ran.append((what, round(timed.now)))
        af.timer(10).get()

    jobs = timed.queue("q", workers=4)
    a, b = jobs.enqueue(ordered, "a"), jobs.enqueue(ordered.options(delay=5), "b")
    c = jobs.enqueue(ordered.options(after=[a, b, a]), "c")
    jobs.enqueue(ordered.options(after=[c], delay=60), "d")
    timed.sleep(100)
    assert ran == [("a", 0), ("b", 5), ("c", 15), ("d", 60)]


def test_a_job_whose_need_is_over_waits_for_nothing(shop):
    jobs = shop.queue("q", workers=1)
    done = jobs.enqueue(tasks.double, 1)
    done.result(timeout=30)
    assert jobs.enqueue(tasks.double.options(after=[done]), 2).result(timeout=30) == 4


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_waits_for_a_failed_job_is_cancelled_all_the_way(shop, when):
    jobs = shop.queue("q", workers=1 if when == "after" else 0)
    bad = jobs.enqueue(tasks.fail, "broken")
    if when == "after":
        with pytest.raises(af.JobFailed):
            bad.result(timeout=30)
    second = jobs.enqueue(tasks.double.options(after=[bad]), 1)
    third = jobs.enqueue(tasks.double.options(after=[second]), 1)
    shop.queue("q", workers=1)
    with pytest.raises(af.JobCancelled, match=f"job {bad.id}, which it waited for, is failed"):
        second.result(timeout=30)
    with pytest.raises(af.JobCancelled, match=f"job {second.id}, which it waited for, is cancelled"):
        third.result(timeout=30)
    assert jobs.stats().cancelled == 2


def test_needs_reach_over_queues(shop):
    jobs, others = shop.queue("q", workers=1), shop.queue("r", workers=1)
    begun = tasks.begun("over")
    first = jobs.enqueue(tasks.hold, "over")
    second = others.enqueue(tasks.double.options(after=[first]), 4)
    assert begun.wait(30)
    assert second.status == "queued"
    tasks.GATES["over"].set()
    assert second.result(timeout=30) == 8


# --- groups ----------------------------------------------------------------------------------------------------------


@af.task
def total(numbers: list[int | None]) -> int:
    return sum(number or 0 for number in numbers)


def test_the_callback_of_a_group_gets_the_results_in_order(shop):
    @af.task(name="tests.listed")
    def listed(values: list[object]) -> list[object]:
        return values

    jobs = shop.queue("q", workers=4)
    calls = [(tasks.double, n) for n in range(20)] + [(tasks.await_double, 50)]
    group = jobs.group(calls, then=listed)
    assert group.then.result(timeout=30) == [*(2 * n for n in range(20)), 100]
    assert [job.result(timeout=30) for job in group.jobs[:3]] == [0, 2, 4]


def test_a_group_of_nothing_calls_back_at_once(shop):
    assert shop.queue("q", workers=1).group([], then=total).then.result(timeout=30) == 0


@pytest.mark.parametrize("over", [True, False])
def test_the_callback_of_a_group_whose_results_are_too_big_together_is_a_dead_letter(url, over):
    with af.ActorSystem("shop", store=url, settings=af.Settings(payload_limit="1M")) as system:
        jobs, told = system.queue("q", workers=2), []
        jobs.subscribe(told.append)
        group = jobs.group([(blob, 300_000)] * (4 if over else 3), then=total_length)
        if not over:
            assert group.then.result(timeout=60) == 900_000
            return
        cause = r"the results of the group's 4 jobs: 1\.2 MB, over Settings\(payload_limit=\) of 1\.0 MB"
        with pytest.raises(af.JobFailed, match=cause) as raised:
            group.then.result(timeout=60)
        assert isinstance(raised.value.__cause__, af.PayloadError)
        assert [job.id for job in jobs.dead()] == [group.then.id]
        assert jobs.stats().dead == 1
        tasks.until(lambda: ("dead", group.then.id) in [(event.kind, event.job) for event in told])
        assert [len(job.result(timeout=60)) for job in group.jobs] == [300_000] * 4
        assert jobs.retry(group.then)
        assert group.then.status == "dead"  # they are as big as before
    if url == "memory:":
        return
    with af.ActorSystem("shop", store=url, settings=af.Settings(payload_limit="2M")) as system:
        jobs = system.queue("q", workers=2)
        (then,) = jobs.dead()
        assert jobs.retry(then)
        assert then.result(timeout=60) == 1_200_000


def test_a_group_of_results_that_are_there_and_too_big_together_is_a_dead_letter(url):
    with af.ActorSystem("shop", store=url, settings=af.Settings(payload_limit="1M")) as system:
        jobs = system.queue("q", workers=0)
        with jobs.inline():
            group = jobs.group([(blob, 300_000)] * 4, then=total_length)
        with pytest.raises(af.JobFailed, match="the results of the group's 4 jobs"):
            group.then.result(timeout=60)


@af.task
def blob(size: int) -> str:
    return "x" * size


@af.task
def total_length(texts: list[str]) -> int:
    return sum(map(len, texts))


def test_the_callback_runs_once_for_groups_that_end_at_once(shop):
    jobs = shop.queue("q", workers=8)
    groups = [jobs.group([(tasks.double, n)] * 5, then=total) for n in range(20)]
    assert [group.then.result(timeout=30) for group in groups] == [10 * n for n in range(20)]
    assert jobs.stats().completed == 120


def test_the_callback_of_a_group_with_a_failed_job_is_cancelled(shop):
    group = shop.queue("q", workers=2).group([(tasks.double, 1), (tasks.fail, "no")], then=total)
    with pytest.raises(af.JobCancelled, match="is failed"):
        group.then.result(timeout=30)


FLAWED: set[int] = set()


@af.task
def flawed(n: int) -> int:
    if n in FLAWED:
        raise ValueError(n)
    return n


def test_the_callback_of_a_group_is_queued_again_with_the_results_of_all(shop):
    jobs = shop.queue("q", workers=2)
    FLAWED.add(7)
    group = jobs.group([(flawed, 7), (flawed, 8)], then=total)
    with pytest.raises(af.JobCancelled):
        group.then.result(timeout=30)
    group.jobs[1].result(timeout=30)
    with pytest.raises(af.DefinitionError, match=f"result of job {group.jobs[0].id}, which is failed: queue that job"):
        jobs.retry(group.then)
    assert group.then.status == "cancelled"
    jobs.pause()
    FLAWED.clear()
    assert jobs.retry(group.jobs[0])
    assert jobs.retry(group.then)
    jobs.resume()
    assert group.then.result(timeout=30) == 15


@af.task
def sound_total(numbers: list[int]) -> int:
    if FLAWED:
        raise ValueError(numbers)
    return sum(numbers)


def test_a_callback_that_failed_itself_is_queued_again_with_its_results(shop):
    jobs = shop.queue("q", workers=2)
    FLAWED.add(7)
    group = jobs.group([(tasks.double, 1), (tasks.double, 2)], then=sound_total)
    with pytest.raises(af.JobFailed):
        group.then.result(timeout=30)
    FLAWED.clear()
    assert jobs.retry(group.then)
    assert group.then.result(timeout=30) == 6


def test_a_group_is_there_as_a_whole_or_not(shop):
    jobs = shop.queue("q")
    with pytest.raises(af.DefinitionError):
        jobs.group([(tasks.double, 1), (tasks.double,)], then=total)
    assert jobs.stats().queued == 0


# --- once only -------------------------------------------------------------------------------------------------------


def test_a_job_that_may_run_once_is_not_tried_again(shop):
    @af.task(name="tests.once", retry=af.Retry(5, af.Backoff(0)))
    def once() -> None:
        raise OSError("no")

    jobs = shop.queue("q", workers=1)
    job = jobs.enqueue(once.options(at_most_once=True))
    with pytest.raises(af.JobFailed, match="failed: OSError"):
        job.result(timeout=30)
    assert job.info().attempt == 1


def test_a_job_that_may_run_once_and_kills_its_process_is_a_dead_letter(shop):
    jobs = shop.queue("q", workers=1)
    job = jobs.enqueue(tasks.cpu_kill_self.options(at_most_once=True))
    with pytest.raises(af.JobFailed, match="dead: HostDied.*SIGKILL"):
        job.result(timeout=30)
    assert job.info().attempt == 1


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"delay": 3600.0, "priority": 3},
        {"key": "k", "expires": 60.0},
        {"tags": ["a", "b", "a"], "keep": 5.0, "timeout": 2.0},
        {"at_most_once": True, "retry": af.Retry(7)},
    ],
    ids=repr,
)
def test_many_jobs_at_once_are_as_if_each_was_enqueued_alone(tmp_path, options):
    path = tmp_path / "jobs.db"
    with af.ActorSystem("shop", store=f"sqlite:///{path}") as shop:
        jobs = shop.queue("q", per_key=af.Limit(concurrency=2))
        task = tasks.double.options(**options) if options else tasks.double
        jobs.enqueue_many(task, [(n,) for n in range(4)])
        many = rows_of(path)
        tags = jobs.count(tag="a")
        jobs.purge()
        for n in range(4):
            jobs.enqueue(task, n)
        assert rows_of(path)[-4:] == many
        assert jobs.count(tag="a", status="queued") == tags == (4 if options.get("tags") else 0)


def rows_of(path) -> list[dict[str, object]]:
    """Return the jobs of a file, with times from when they were made."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute("select * from af_job order by id")]
    for row in rows:
        row |= {name: round(row[name] - row["created"]) for name in ("due", "expires") if row[name] is not None}
        del row["id"], row["created"]
    return rows


# --- a clock that is set ---------------------------------------------------------------------------------------------


@pytest.fixture
def set_clock(shop, monkeypatch):
    """Return a function that sets the clock of the store forward or back by some seconds."""
    store, right = shop.store, shop.store.now
    return lambda by: monkeypatch.setattr(store, "now", lambda: right() + by)


def test_a_job_that_is_due_by_a_clock_set_forward_begins(shop, set_clock, monkeypatch):
    monkeypatch.setattr(claimer, "CLOCK_SECONDS", 0.05)
    job = shop.queue("q", workers=1).enqueue(tasks.double.options(delay=3000), 1)
    set_clock(4000)
    assert job.result(timeout=30) == 2


def test_jobs_of_a_key_do_not_wait_for_a_clock_that_was_set_back(shop, set_clock, monkeypatch):
    monkeypatch.setattr(claimer, "CLOCK_SECONDS", 0.5)  # it may be set between a claim and the timer for the next
    jobs = shop.queue("q", workers=1, per_key=af.Limit(rate="20/s"))
    many = [jobs.enqueue(tasks.double.options(key="k"), n) for n in range(10)]
    many[0].result(timeout=30)
    set_clock(-4000)
    assert [job.result(timeout=30) for job in many] == [2 * n for n in range(10)]


def test_jobs_of_a_key_do_not_wait_for_a_clock_that_was_set_back_before_the_start(shop, set_clock):
    jobs = shop.queue("q", per_key=af.Limit(rate="20/s"))
    with jobs.inline():
        for n in range(3):  # they take all tokens
            jobs.enqueue(tasks.double.options(key="k"), n)
    many = [jobs.enqueue(tasks.double.options(key="k"), n) for n in range(4)]
    set_clock(-4000)
    shop.queue("q", workers=1, per_key=af.Limit(rate="20/s"))
    assert [job.result(timeout=30) for job in many] == [2 * n for n in range(4)]
