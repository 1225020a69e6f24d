"""Cancel: at once what is queued; what runs by its own will, else by its process, or by leaving its thread alone."""

from __future__ import annotations

import logging
import shutil
import time
from concurrent.futures import CancelledError

import pytest

import actorflow as af
from actorflow.queues.node import worker_slots
from actorflow.queues.node.job_store import JobStore

from . import tasks


@pytest.fixture
def _short_grace(monkeypatch, _long_grace):
    monkeypatch.setattr(worker_slots, "CANCEL_SECONDS", 0.3)


@pytest.mark.parametrize("options", [{}, {"delay": 60}, {"key": "k"}])
def test_a_queued_job_is_cancelled_at_once(shop, options):
    jobs = shop.queue("q", per_key=af.Limit(concurrency=1))
    job = jobs.enqueue(tasks.double.options(**options), 1)
    assert job.cancel()
    assert job.status == "cancelled"
    assert not job.cancel()
    with pytest.raises(af.JobCancelled, match="it was cancelled"):
        job.result(timeout=100)


def test_who_waits_for_a_cancelled_job_hears_at_once(shop):
    class Waiter(af.Actor):
        def wait(self, job):
            try:
                job.result(timeout=100)
            except af.JobCancelled:
                return time.monotonic()

    job = shop.queue("q").enqueue(tasks.double, 1)
    answer = shop.spawn(Waiter).call(Waiter.wait, job)
    job.cancel()
    assert answer.get(timeout=30)


def test_a_running_task_sees_that_it_is_cancelled(shop):
    jobs = shop.queue("q", workers=1)
    begun = tasks.begun("see")
    job = jobs.enqueue(tasks.until_cancelled, "see")
    assert begun.wait(100)
    assert job.cancel()
    assert job.result(timeout=100) is None  # it has returned all the same: that counts
    assert job.status == "completed"


def test_a_running_job_that_is_to_end_says_so(shop):
    jobs = shop.queue("q", workers=1)
    begun = tasks.begun("says")
    job = jobs.enqueue(tasks.stubborn, "says")
    assert begun.wait(100)
    job.cancel()
    assert (job.status, job.info().cancelling) == ("running", True)
    tasks.GATES["says"].set()
    jobs.drain(timeout=30)


def test_an_async_task_is_cancelled_where_it_waits(shop):
    jobs = shop.queue("q", workers=1)
    begun = tasks.begun("async")
    job = jobs.enqueue(tasks.await_long, "async")
    assert begun.wait(100)
    job.cancel()
    with pytest.raises(af.JobCancelled):
        job.result(timeout=100)
    assert jobs.enqueue(tasks.await_double, 2).result(timeout=100) == 4


@pytest.mark.usefixtures("_short_grace")
def test_a_plain_task_that_does_not_look_is_left_alone_and_the_status_says_so(shop, caplog):
    jobs = shop.queue("q", workers=1)
    begun = tasks.begun("left")
    tasks.SEEN.clear()
    job = jobs.enqueue(tasks.stubborn, "left")
    assert begun.wait(100)
    job.cancel()
    with pytest.raises(af.JobCancelled, match="its thread cannot be ended and runs on"):
        job.result(timeout=100)
    assert jobs.enqueue(tasks.double, 2).result(timeout=100) == 4  # the worker was replaced
    with caplog.at_level(logging.WARNING):
        tasks.GATES["left"].set()
        jobs.drain(timeout=30)
    assert job.status == "cancelled"


@pytest.mark.parametrize("url", ["memory"], indirect=True)
def test_a_cpu_task_sees_that_it_is_cancelled(shop, tmp_path):
    path = tmp_path / "begun"
    job = shop.queue("q", workers=1).enqueue(tasks.cpu_until_cancelled, str(path))
    tasks.until(path.exists)
    job.cancel()
    job.result(timeout=100)
    assert (tmp_path / "begun.seen").exists()


@pytest.mark.usefixtures("_short_grace")
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_cpu_task_that_does_not_look_is_killed_with_its_process(shop, tmp_path):
    path = tmp_path / "begun"
    jobs = shop.queue("q", workers=1)
    job = jobs.enqueue(tasks.cpu_stubborn, str(path))
    tasks.until(path.exists)
    job.cancel()
    with pytest.raises(af.JobCancelled, match="cancelled while it ran"):
        job.result(timeout=100)
    assert jobs.enqueue(tasks.cpu_double, 4).result(timeout=100)[0] == 8
    assert job.info().crashes == 0


@pytest.mark.usefixtures("_short_grace")
@pytest.mark.parametrize("url", ["memory"], indirect=True)
def test_a_cpu_task_that_cannot_be_told_of_its_cancel_is_killed_and_no_other_job_notices(shop, tmp_path, caplog):
    path, begun = tmp_path / "begun", tasks.begun("beside")
    jobs = shop.queue("q", workers=2)
    beside = jobs.enqueue(tasks.hold.options(at_most_once=True), "beside")
    job = jobs.enqueue(tasks.cpu_stubborn, str(path))
    assert begun.wait(100)
    tasks.until(path.exists)
    shutil.rmtree(jobs._local.task_files.folder)  # by a program that removes old folders of temporary files
    job.cancel()
    with pytest.raises(af.JobCancelled, match="cancelled while it ran"):
        job.result(timeout=100)
    tasks.GATES["beside"].set()
    assert beside.result(timeout=100) == "beside"
    assert "A cpu task cannot see that it is cancelled" in caplog.text
    assert "Unhandled exception" not in caplog.text


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_store_that_fails_as_a_job_is_cancelled_delays_the_cancel_alone(shop, monkeypatch, caplog):
    jobs, begun, beside = shop.queue("q", workers=2), tasks.begun("beside"), tasks.begun("until cancelled")
    other = jobs.enqueue(tasks.hold.options(at_most_once=True), "beside")
    job = jobs.enqueue(tasks.until_cancelled, "until cancelled")
    assert begun.wait(100)
    assert beside.wait(30)
    to_cancel, failures = JobStore.to_cancel, iter([af.StoreError("it is busy")] * 3)

    def failing(self):
        for error in failures:
            raise error
        return to_cancel(self)

    monkeypatch.setattr(JobStore, "to_cancel", failing)
    job.cancel()
    assert job.result(timeout=100) is None
    tasks.GATES["beside"].set()
    assert other.result(timeout=100) == "beside"
    assert "running jobs are cancelled later: it is busy" in caplog.text
    assert "Unhandled exception" not in caplog.text


@pytest.mark.usefixtures("_short_grace")
@pytest.mark.parametrize("url", ["memory"], indirect=True)
def test_a_worker_that_is_replaced_takes_the_async_one_beside_it_along(shop):
    jobs = shop.queue("q", workers=1)
    for number in range(3):
        assert jobs.enqueue(tasks.await_double, 1).result(timeout=100) == 2
        begun = tasks.begun(f"left {number}")
        job = jobs.enqueue(tasks.stubborn, f"left {number}")
        assert begun.wait(100)
        job.cancel()
        with pytest.raises(af.JobCancelled):
            job.result(timeout=100)
        tasks.GATES[f"left {number}"].set()
    assert jobs.enqueue(tasks.await_double, 1).result(timeout=100) == 2
    tasks.until(lambda: sum("asyncjobworker" in line for line in str(shop.tree()).splitlines()) == 1)


@pytest.mark.parametrize("url", ["memory"], indirect=True)
def test_the_folder_by_which_processes_hear_of_a_cancel_goes_with_the_system(url, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with af.ActorSystem("shop", store=url) as system:
        jobs = system.queue("q", workers=4)
        for job in jobs.enqueue_many(tasks.cpu_double, [(n,) for n in range(20)]):
            job.result(timeout=100)
        assert len(list(tmp_path.glob("actorflow-*"))) == 1
    assert not list(tmp_path.glob("actorflow-*"))


def test_a_cpu_task_over_its_timeout_is_killed(shop, tmp_path):
    jobs = shop.queue("q", workers=1)
    job = jobs.enqueue(tasks.cpu_stubborn.options(timeout=0.3), str(tmp_path / "x"))
    with pytest.raises(af.JobFailed, match="TaskTimeout"):
        job.result(timeout=100)


def test_an_async_task_over_its_timeout_is_cancelled(shop):
    tasks.begun("slow")
    job = shop.queue("q", workers=1).enqueue(tasks.await_long.options(timeout=0.1), "slow")
    with pytest.raises(af.JobFailed, match=r"TaskTimeout: .* took over 0.1 s"):
        job.result(timeout=100)


def test_the_end_of_the_system_gives_back_what_runs(url, tmp_path):
    if url == "memory:":
        pytest.skip("it ends with the process")
    begun = tasks.begun("end")
    with af.ActorSystem("shop", store=url, settings=af.Settings(grace=0.5)) as system:
        jobs = system.queue("q", workers=1)
        job = jobs.enqueue(tasks.stubborn, "end")
        jobs.enqueue(tasks.double, 3)
        assert begun.wait(100)
    tasks.GATES["end"].set()
    with af.ActorSystem("shop", store=url) as system:
        again = system.get_job(job.id)
        assert (again.status, again.info().attempt) == ("queued", 0)
        system.queue("q", workers=1)
        assert again.result(timeout=100) == "late"


# --- what is cancelled goes on in no way -----------------------------------------------------------------------------


@af.task(retry=af.Retry(3, af.Backoff(0)))
def cancelled_at_its_end(gate: str) -> None:
    tasks.SEEN.append(gate)
    values = {"id": int(af.current().key.removeprefix("job-"))}
    STORES[gate].write(lambda transaction: transaction.run("jobs.cancelling", values))
    raise ValueError(gate)


STORES = {}


def test_a_job_that_is_cancelled_as_it_fails_is_not_tried_again(shop):
    jobs = shop.queue("q", workers=1)
    STORES["fails"] = shop.store
    tasks.SEEN.clear()
    job = jobs.enqueue(cancelled_at_its_end, "fails")
    with pytest.raises(af.JobCancelled, match="cancelled while it ran"):
        job.result(timeout=100)
    assert tasks.SEEN == ["fails"]
    assert (jobs.stats().cancelled, jobs.stats().retried) == (1, 0)


def test_a_job_whose_system_ends_while_it_is_cancelled_does_not_run_again(tmp_path):
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    with af.ActorSystem("shop", store=url, settings=af.Settings(grace=0.2)) as system:
        begun = tasks.begun("ends")
        job = system.queue("q", workers=1).enqueue(tasks.stubborn, "ends")
        assert begun.wait(100)
        job.cancel()
    tasks.GATES["ends"].set()
    with af.ActorSystem("shop", store=url) as system:
        assert system.get_job(job.id).status == "cancelled"


@af.task
def raise_from_another(kind: str) -> None:
    raise {"job": af.JobCancelled("job 77 was cancelled"), "future": CancelledError()}[kind]


@pytest.mark.parametrize("kind", ["job", "future"])
def test_a_task_that_fails_by_the_cancel_of_another_has_failed(shop, kind):
    job = shop.queue("q", workers=1).enqueue(raise_from_another, kind)
    with pytest.raises(af.JobFailed, match="Cancelled"):
        job.result(timeout=100)
    assert job.status == "failed"
