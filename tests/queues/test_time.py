"""What depends on time, on the virtual clock: order, delays, retries, timeouts, expiry, limits."""

from __future__ import annotations

import datetime as dt

import pytest

import actorflow as af


def recorder(system):
    """A task that notes what ran when, and takes some virtual seconds."""
    ran = []

    @af.task(name="tests.recorded")
    def recorded(what: object, seconds: float = 1.0) -> object:
        ran.append((what, system.now))
        if seconds:
            af.timer(seconds).get()
        return what

    return recorded, ran


def test_the_smallest_priority_goes_first_and_of_equals_the_oldest(timed):
    task, ran = recorder(timed)
    jobs = timed.queue("q", workers=1)
    for what, priority in [("a", 0), ("b", 5), ("c", -1), ("d", 5), ("e", 1)]:
        jobs.enqueue(task.options(priority=priority), what)
    timed.sleep(10)
    assert [what for what, _ in ran] == ["c", "a", "e", "b", "d"]


def test_what_was_taken_ahead_does_not_go_before_what_is_more_urgent(timed):
    task, ran = recorder(timed)
    jobs = timed.queue("q", workers=1)
    jobs.enqueue_many(task, [(n, 0.0) for n in range(20)])
    timed.sleep(1)  # these are quick, so that jobs are taken ahead
    jobs.enqueue_many(task, [("first", 0.001), *((n, 0.001) for n in range(20, 40))])
    jobs.enqueue(task.options(priority=-1), "urgent", 0.001)
    timed.sleep(1)
    assert [what for what, _ in ran].index("urgent") < 40


def test_a_delayed_job_runs_when_it_is_due_and_holds_up_no_other(timed):
    task, ran = recorder(timed)
    jobs = timed.queue("q", workers=1)
    jobs.enqueue(task.options(delay=60, priority=-9), "later")
    jobs.enqueue(task, "now")
    assert jobs.stats().due == 1
    timed.sleep(120)
    assert ran == [("now", 0), ("later", pytest.approx(60, abs=0.01))]


def test_a_job_with_a_due_time_runs_then_and_one_whose_time_has_passed_at_once(timed):
    task, ran = recorder(timed)
    jobs = timed.queue("q", workers=1)
    now = dt.datetime.fromtimestamp(timed.store.now(), dt.UTC)
    jobs.enqueue(task.options(due=now + dt.timedelta(hours=1)), "later")
    jobs.enqueue(task.options(due=now - dt.timedelta(hours=1)), "passed")
    there = dt.timezone(dt.timedelta(hours=5))
    jobs.enqueue_many(task.options(due=(now + dt.timedelta(hours=2)).astimezone(there)), [("far",)])
    assert jobs.stats().due == 2
    timed.sleep(3 * 3600)
    assert [(what, round(at)) for what, at in ran] == [("passed", 0), ("later", 3600), ("far", 7200)]


def test_pauses_between_attempts_grow(timed):
    at = []

    @af.task(name="tests.failing", retry=af.Retry(4, af.Backoff(1, factor=3, jitter=0)))
    def failing() -> None:
        at.append((af.current().attempt, timed.now))
        raise OSError("no net")

    jobs = timed.queue("q", workers=1)
    job = jobs.enqueue(failing)
    with pytest.raises(af.JobFailed, match="no net"):
        job.result()
    assert [attempt for attempt, _ in at] == [1, 2, 3, 4]
    assert [time for _, time in at] == pytest.approx([0, 1, 4, 13], abs=0.05)
    stats = jobs.stats()
    assert (stats.retried, stats.failed) == (3, 1)


def test_jitter_spreads_the_pauses(timed):
    at = []

    @af.task(name="tests.jittered", retry=af.Retry(2, af.Backoff(100, limit=100, jitter=0.5)))
    def jittered() -> None:
        if af.current().attempt == 2:
            at.append(timed.now)
        else:
            raise OSError

    jobs = timed.queue("q", workers=20)
    jobs.enqueue_many(jittered, [()] * 20)
    timed.sleep(200)
    assert len(at) == 20
    assert 50 <= min(at) < 80
    assert 120 < max(at) <= 150.1


@pytest.mark.parametrize(("error", "attempts"), [(OSError, 3), (ConnectionError, 3), (ValueError, 1)])
def test_only_errors_of_the_named_classes_are_tried_again(timed, error, attempts):
    tried = []

    @af.task(name="tests.picky", retry=af.Retry(3, af.Backoff(1), on=OSError))
    def picky() -> None:
        tried.append(1)
        raise error

    with pytest.raises(af.JobFailed):
        timed.queue("q", workers=1).enqueue(picky).result()
    assert len(tried) == attempts


def test_a_job_may_have_a_retry_of_its_own(timed):
    tried = []

    @af.task(name="tests.own_retry")
    def own_retry() -> None:
        tried.append(timed.now)
        raise OSError

    with pytest.raises(af.JobFailed):
        retry = af.Retry(3, af.Backoff(5, factor=1, jitter=0))
        timed.queue("q", workers=1).enqueue(own_retry.options(retry=retry)).result()
    assert tried == pytest.approx([0, 5, 10], abs=0.05)


def test_a_plain_task_over_its_timeout_is_given_up_and_the_worker_goes_on(timed):
    task, ran = recorder(timed)
    jobs = timed.queue("q", workers=1)
    slow, next_one = jobs.enqueue(task.options(timeout=3), "slow", 100.0), jobs.enqueue(task, "next")
    with pytest.raises(af.JobFailed, match="took over 3 s; its thread runs on") as caught:
        slow.result()
    assert isinstance(caught.value.__cause__, TimeoutError)
    assert next_one.result() == "next"
    assert ran == [("slow", 0), ("next", pytest.approx(3, abs=0.01))]
    timed.sleep(200)
    assert slow.status == "failed"  # what it returned late is refused


def test_the_timeout_counts_from_the_start_of_an_attempt(timed):
    task, _ = recorder(timed)
    jobs = timed.queue("q", workers=1)
    jobs.enqueue(task, "first", 10.0)
    assert jobs.enqueue(task.options(timeout=5), "second", 3.0).result() == "second"


def test_a_job_expires_while_its_queue_is_paused(timed):
    task, _ = recorder(timed)
    jobs = timed.queue("q", workers=1)
    jobs.pause()
    job = jobs.enqueue(task.options(expires=5), "stale")
    with pytest.raises(af.JobCancelled, match="expired"):
        job.result(timeout=6)


def test_a_job_that_expires_before_it_begins_is_cancelled(timed):
    task, ran = recorder(timed)
    jobs = timed.queue("q", workers=1)
    jobs.enqueue(task, "first", 10.0)
    job = jobs.enqueue(task.options(expires=5), "stale")
    fresh = jobs.enqueue(task.options(expires=50), "fresh")
    with pytest.raises(af.JobCancelled, match="expired"):
        job.result()
    assert fresh.result() == "fresh"
    assert [what for what, _ in ran] == ["first", "fresh"]


def test_the_rate_of_a_queue_holds(timed):
    task, ran = recorder(timed)
    jobs = timed.queue("q", workers=4, rate="6/m")  # a burst of 1, one in 10 s
    jobs.enqueue_many(task, [(n, 0.0) for n in range(5)])
    timed.sleep(60)
    assert [time for _, time in ran] == pytest.approx([0, 10, 20, 30, 40], abs=0.1)


def test_a_burst_is_a_tenth_of_the_rate(timed):
    task, ran = recorder(timed)
    jobs = timed.queue("q", workers=50, rate="100/m")
    jobs.enqueue_many(task, [(n, 0.0) for n in range(30)])
    timed.sleep(0.1)
    assert len(ran) == 10
    timed.sleep(6)
    assert len(ran) == 20


def test_the_concurrency_of_a_queue_holds(timed):
    task, ran = recorder(timed)
    jobs = timed.queue("q", workers=8, concurrency=2)
    jobs.enqueue_many(task, [(n, 10.0) for n in range(6)])
    timed.sleep(40)
    assert [time for _, time in ran] == pytest.approx([0, 0, 10, 10, 20, 20], abs=0.1)


def test_a_new_limit_of_a_queue_counts_what_runs_already(timed):
    task, ran = recorder(timed)
    jobs = timed.queue("q", workers=4)
    jobs.enqueue_many(task, [(n, 10.0) for n in range(2)])
    timed.sleep(1)
    timed.queue("q", concurrency=3)
    jobs.enqueue_many(task, [(n, 10.0) for n in range(2, 4)])
    timed.sleep(20)
    assert [round(time) for _, time in ran] == [0, 0, 1, 10]


def test_jobs_of_one_key_run_one_by_one_and_others_beside_them(timed):
    task, ran = recorder(timed)
    jobs = timed.queue("q", workers=8, per_key=af.Limit(concurrency=1))
    for n in range(3):
        jobs.enqueue(task.options(key="a"), f"a{n}", 10.0)
        jobs.enqueue(task.options(key="b"), f"b{n}", 10.0)
    jobs.enqueue(task, "free", 10.0)
    timed.sleep(50)
    assert [(what, round(time)) for what, time in ran] == [
        ("a0", 0), ("b0", 0), ("free", 0), ("a1", 10), ("b1", 10), ("a2", 20), ("b2", 20),
    ]  # fmt: skip


def test_priorities_hold_among_the_jobs_of_a_key(timed):
    task, ran = recorder(timed)
    jobs = timed.queue("q", per_key=af.Limit(concurrency=1))
    for what, priority in [("c", 3), ("b", 2), ("a", 1), ("d", 4)]:
        jobs.enqueue(task.options(key="k", priority=priority), what)
    timed.queue("q", workers=3, per_key=af.Limit(concurrency=1))
    timed.sleep(10)
    assert [what for what, _ in ran] == ["a", "b", "c", "d"]


def test_the_rate_of_a_key_holds(timed):
    task, ran = recorder(timed)
    jobs = timed.queue("q", workers=8, per_key=af.Limit(rate="6/m"))
    for n in range(3):
        jobs.enqueue(task.options(key="a"), n, 0.0)
    jobs.enqueue(task.options(key="b"), "b", 0.0)
    timed.sleep(60)
    assert [(what, round(time)) for what, time in ran] == [(0, 0), ("b", 0), (1, 10), (2, 20)]


def test_a_cancelled_job_gives_its_keys_slot_back(timed):
    task, ran = recorder(timed)
    jobs = timed.queue("q", per_key=af.Limit(concurrency=1))
    first = jobs.enqueue(task.options(key="k"), "first")
    jobs.enqueue(task.options(key="k"), "second")
    assert first.cancel()
    timed.queue("q", workers=1, per_key=af.Limit(concurrency=1))
    timed.sleep(10)
    assert [what for what, _ in ran] == ["second"]


def test_the_key_of_a_job_that_waits_for_its_next_attempt_is_free(timed):
    ran = []

    @af.task(name="tests.once_failing", retry=af.Retry(2, af.Backoff(100, limit=100, jitter=0)))
    def once_failing(what: str) -> None:
        ran.append((what, round(timed.now)))
        if what == "fails" and af.current().attempt == 1:
            raise OSError

    jobs = timed.queue("q", workers=2, per_key=af.Limit(concurrency=1))
    for what in ("fails", "other"):
        jobs.enqueue(once_failing.options(key="k"), what)
    timed.sleep(200)
    assert ran == [("fails", 0), ("other", 0), ("fails", 100)]


def test_new_limits_count_what_is_there_already(timed):
    task, ran = recorder(timed)
    jobs = timed.queue("q")
    for n in range(4):
        jobs.enqueue(task.options(key="k"), n, 10.0)
    timed.queue("q", workers=4, per_key=af.Limit(concurrency=1))
    timed.sleep(50)
    assert [round(time) for _, time in ran] == [0, 10, 20, 30]


def test_limits_that_change_are_reported_and_the_last_start_wins(timed, caplog):
    timed.queue("q", rate="10/s")
    timed.queue("q", rate="10/s")
    assert not caplog.records
    timed.queue("q", rate="20/s")
    assert "has other limits now" in caplog.text


def test_results_are_kept_for_their_time(timed):
    task, _ = recorder(timed)
    jobs = timed.queue("q", workers=1)
    short, long = jobs.enqueue(task.options(keep=60), "short"), jobs.enqueue(task, "long")
    assert long.result() == "long"
    timed.sleep(100)
    jobs.enqueue(task, "another").result()
    timed.sleep(1)  # the pruner is an actor of its own
    with pytest.raises(af.DefinitionError, match="may have been removed after its time"):
        short.info()
    assert long.status == "completed"


def test_results_of_a_group_are_kept_until_all_are_gathered(timed):
    task, _ = recorder(timed)
    gathered: list[object] = []

    @af.task(name="gather")
    def gather(results: list[object]) -> None:
        gathered.extend(results)

    jobs = timed.queue("q", workers=2)
    group = jobs.group([(task.options(keep=60), "short"), (task.options(delay=200_000), "late")], then=gather)
    timed.sleep(100_000)
    jobs.enqueue(task, "another").result()
    timed.sleep(1)
    assert group.jobs[0].status == "completed"
    group.then.result()
    assert gathered == ["short", "late"]
    timed.sleep(100)
    jobs.enqueue(task, "another").result()
    timed.sleep(1)  # the pruner is an actor of its own
    with pytest.raises(af.DefinitionError, match="may have been removed after its time"):
        group.jobs[0].info()


def test_results_of_a_group_that_was_cancelled_go_in_their_time(timed):
    task, _ = recorder(timed)
    jobs = timed.queue("q", workers=2)
    group = jobs.group([(task.options(keep=60), "short"), (task.options(delay=200_000), "late")], then=task)
    group.jobs[0].result()
    group.then.cancel()
    timed.sleep(100)
    jobs.enqueue(task, "another").result()
    timed.sleep(1)  # the pruner is an actor of its own
    with pytest.raises(af.DefinitionError, match="may have been removed after its time"):
        group.jobs[0].info()


def test_latencies_are_split_into_their_parts(timed):
    task, _ = recorder(timed)
    jobs = timed.queue("q", workers=1)
    jobs.enqueue_many(task, [(n, 10.0) for n in range(3)])
    timed.sleep(40)
    latency = jobs.stats().latency
    assert latency.processing.p50 == 10
    assert (latency.wait.p50, latency.wait.p99) == (pytest.approx(10), pytest.approx(20))


def test_a_queue_that_nobody_works_on_is_a_deadlock_in_virtual_time(timed):
    task, _ = recorder(timed)
    with pytest.raises(af.DeadlockError):
        timed.queue("q").enqueue(task, 1).result()


def test_all_that_become_due_at_once_go_before_less_urgent_ones_of_their_key(timed):
    task, ran = recorder(timed)
    jobs = timed.queue("q", workers=2, per_key=af.Limit(concurrency=2))
    jobs.enqueue_many(task, [("other", 5.0), ("other", 5.0)])
    jobs.enqueue_many(task.options(key="k"), [("a",), ("b",)])  # ready, so they have the two slots
    jobs.enqueue_many(task.options(key="k", priority=-1, delay=2.0), [("urgent",), ("urgent too",)])
    timed.sleep(20)
    assert [what for what, _ in ran] == ["other", "other", "urgent", "urgent too", "a", "b"]
