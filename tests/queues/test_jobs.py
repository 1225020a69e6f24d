"""Jobs: what goes in, comes back, and what is said of it meanwhile."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import actorflow as af
from actorflow.queues.ledger import arrivals
from actorflow.queues.node import upkeep

from . import tasks


@dataclasses.dataclass
class Photo:
    name: str
    size: tuple[int, int]


@af.task
def shrink(photo: Photo, by: int = 2) -> Photo:
    return Photo(photo.name, (photo.size[0] // by, photo.size[1] // by))


@af.task
def raise_own() -> None:
    class OwnError(Exception):
        pass

    raise OwnError("mine")


@af.task
def give_lock() -> object:
    return threading.Lock()


@af.task
def key_and_attempt() -> tuple[str, int]:
    return af.current().key, af.current().attempt


def test_a_result_comes_back_as_it_was_returned(shop):
    jobs = shop.queue("photos", workers=2)
    job = jobs.enqueue(shrink, Photo("a", (40, 20)), by=4)
    assert job.result(timeout=100) == Photo("a", (10, 5))
    assert job.status == "completed"
    assert shop.get_job(job.id).result(timeout=100) == Photo("a", (10, 5))


@pytest.mark.parametrize("task", [tasks.double, tasks.await_double])
def test_plain_and_async_tasks_run_beside_each_other(shop, task):
    jobs = shop.queue("numbers", workers=2)
    assert [job.result(timeout=100) for job in jobs.enqueue_many(task, [(n,) for n in range(50)])] == [
        2 * n for n in range(50)
    ]


ODD = [
    "",
    "it's",
    '"',
    "\\",
    "\0",
    "\x1f\u2028",
    "ünï",
    "\U0001f680",
    "x" * 3000,
    {"$type": "x"},
    [1e300, None],
    b"\xff\0",
    (1,),
]


@pytest.mark.parametrize("options", [{}, {"priority": 2, "key": "k", "tags": ["t"], "delay": 3600}])
def test_jobs_that_are_added_together_have_the_arguments_of_those_that_are_added_alone(shop, monkeypatch, options):
    monkeypatch.setattr(arrivals, "TOGETHER", 1000)  # bytes: in several pieces
    jobs, task = shop.queue("q"), tasks.note.options(**options)
    alone = [jobs.enqueue(task, value) for value in ODD]
    together = jobs.enqueue_many(task, [(value,) for value in ODD])

    def stored(of):
        rows = shop.store.read(lambda transaction: transaction.all("jobs.of_task", {"task": tasks.note.name}))
        ids = [int(job.id) for job in of]
        return [bytes(args) for id_, args in rows if id_ in ids]

    assert stored(together) == stored(alone)
    fields = ("task", "status", "priority", "attempt", "crashes", "key", "tags", "queue")
    for one, other in zip(alone, together, strict=True):
        infos = one.info(), other.info()
        assert [getattr(infos[0], name) for name in fields] == [getattr(infos[1], name) for name in fields]
        assert (infos[0].due is None) == (infos[1].due is None)
    assert [int(job.id) for job in together] == sorted(int(job.id) for job in together)


def test_a_cpu_task_runs_in_another_process(shop):
    import os

    value, pid = shop.queue("numbers", workers=1).enqueue(tasks.cpu_double, 4).result(timeout=100)
    assert value == 8
    assert pid != os.getpid()


def test_a_job_that_raises_fails_with_its_error_as_cause(shop):
    job = shop.queue("numbers", workers=1).enqueue(tasks.fail, "no such number")
    with pytest.raises(af.JobFailed, match="failed: ValueError: no such number") as caught:
        job.result(timeout=100)
    assert isinstance(caught.value.__cause__, ValueError)
    assert job.info().error == "ValueError: no such number"


def test_an_error_of_an_unknown_class_is_text(shop):
    with pytest.raises(af.JobFailed, match="OwnError: mine") as caught:
        shop.queue("numbers", workers=1).enqueue(raise_own).result(timeout=100)
    assert caught.value.__cause__ is None


def test_a_result_that_cannot_be_stored_fails_the_job_and_names_the_place(shop):
    with pytest.raises(af.JobFailed, match=r"the result of .*give_lock is _thread.lock"):
        shop.queue("numbers", workers=1).enqueue(give_lock).result(timeout=100)


def test_an_argument_that_cannot_be_stored_is_refused_and_named(shop):
    jobs = shop.queue("numbers")
    with pytest.raises(af.PayloadError, match=r"an argument of .*note: what\['lock'\]"):
        jobs.enqueue(tasks.note, {"lock": threading.Lock()})
    assert jobs.peek() is None


def test_arguments_that_do_not_fit_are_refused_at_once(shop):
    with pytest.raises(af.DefinitionError, match="missing a required argument"):
        shop.queue("numbers").enqueue(tasks.double)
    with pytest.raises(af.DefinitionError, match="give a task"):
        shop.queue("numbers").enqueue(len, [])


def test_a_payload_over_the_limit_is_refused_and_the_limit_is_named(url):
    with af.ActorSystem("shop", store=url, settings=af.Settings(payload_limit="1M")) as system:
        jobs = system.queue("numbers", workers=1)
        with pytest.raises(
            af.PayloadError, match=r"the arguments of .*: 2\.0 MB, over Settings\(payload_limit=\) of 1\.0 MB"
        ):
            jobs.enqueue(tasks.note, "x" * 2_000_000)
        with pytest.raises(af.JobFailed, match=r"the result of .*: 2\.0 MB"):
            jobs.enqueue(repeat, 2_000_000).result(timeout=100)


@af.task
def repeat(n: int) -> str:
    return "x" * n


def test_the_idempotency_key_is_the_same_in_each_attempt_and_no_other_jobs(shop):
    jobs = shop.queue("numbers", workers=1)
    one, other = jobs.enqueue(key_and_attempt), jobs.enqueue(key_and_attempt)
    assert one.result(timeout=100) == (f"job-{one.id}", 1)
    assert other.result(timeout=100) == (f"job-{other.id}", 1)


def test_current_is_for_tasks_only():
    with pytest.raises(af.DefinitionError, match="for tasks"):
        af.current()


def test_statuses_follow_a_job(shop):
    jobs = shop.queue("numbers", workers=1)
    begun = tasks.begun("statuses")
    job, next_one = jobs.enqueue(tasks.hold, "statuses"), jobs.enqueue(tasks.double, 1)
    assert begun.wait(100)
    assert (job.status, next_one.status) == ("running", "queued")
    tasks.GATES["statuses"].set()
    next_one.result(timeout=100)
    assert (job.status, next_one.status) == ("completed", "completed")


def test_tags_are_kept(shop):
    job = shop.queue("numbers").enqueue(tasks.double.options(tags=["night", "big"]), 1)
    assert job.info().tags == ("night", "big")


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_progress_is_seen_by_others(shop):
    @af.task(name="tests.steps")
    def steps(gate: str) -> None:
        af.current().progress(3, 10)
        tasks.GATES[f"{gate} begun"].set()
        tasks.GATES[gate].wait(30)

    begun = tasks.begun("steps")
    job = shop.queue("numbers", workers=1).enqueue(steps, "steps")
    assert begun.wait(100)
    tasks.until(lambda: job.info().progress == (3, 10))  # a commit of its own, for which the task does not wait
    tasks.GATES["steps"].set()
    job.result(timeout=100)


def test_progress_of_a_cpu_task_comes_from_its_process(shop):
    jobs = shop.queue("numbers", workers=1)
    seen = []
    jobs.subscribe(lambda event: seen.append((event.kind, event.detail)))
    job = jobs.enqueue(tasks.cpu_progress)
    assert job.result(timeout=100) == f"job-{job.id}"
    tasks.until(lambda: ("progress", (2, 2)) in seen)  # the listener is told after the commit, which `result` may see
    tasks.until(lambda: job.info().progress == (2, 2))


def test_a_job_that_is_not_over_in_time_is_an_ask_timeout(shop):
    job = shop.queue("numbers").enqueue(tasks.double, 1)
    with pytest.raises(af.AskTimeout, match="is not over after 0.01 s"):
        job.result(timeout=0.01)


def test_an_unknown_job_is_named():
    with af.ActorSystem("shop") as system, pytest.raises(af.DefinitionError, match="no job 77"):
        system.get_job("77").result(timeout=1)


def test_who_waits_for_a_job_hears_when_the_system_ends(url):
    system = af.ActorSystem("shop", store=url)
    job = system.queue("numbers").enqueue(tasks.double, 1)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(job.result)
        tasks.until(lambda: system.waits._futures)
        system.stop()
        with pytest.raises(af.ActorDeadError, match="closed"):
            waiting.result(timeout=100)


@pytest.mark.parametrize("id", ["abc", None, "", "-1", "1.5", "²", "9" * 19, "9" * 5000])
def test_what_can_be_no_job_is_refused(id):
    with af.ActorSystem("shop") as system, pytest.raises(af.DefinitionError, match="the id of a job is a number"):
        system.get_job(id)


def test_what_is_no_list_of_arguments_is_refused(shop):
    jobs = shop.queue("numbers")
    with pytest.raises(af.DefinitionError, match=r"enqueue_many\(\): 'a' is not a tuple of arguments"):
        jobs.enqueue_many(tasks.note, "ab")
    with pytest.raises(af.DefinitionError, match=r"enqueue_many\(\): 1 is not a tuple of arguments"):
        jobs.enqueue_many(tasks.double, [1, 2])
    with pytest.raises(
        af.DefinitionError, match=r"group\(\): <task .*double> is not a tuple of a task and its arguments"
    ):
        jobs.group([tasks.double], then=tasks.note)
    assert jobs.stats().queued == 0


def test_many_are_all_there_or_none(shop):
    jobs = shop.queue("numbers")
    with pytest.raises(af.PayloadError):
        jobs.enqueue_many(tasks.note, [(1,), (threading.Lock(),)])
    assert jobs.stats().queued == 0
    assert len({job.id for job in jobs.enqueue_many(tasks.note, [(1,), (2,), (3,)])}) == 3
    assert jobs.stats().queued == 3
    assert jobs.enqueue_many(tasks.note, []) == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"priorty": 1}, "priority"),
        ({"delay": -1}, "delay=-1: seconds, 0 or more"),
        ({"delay": float("nan")}, "delay=nan"),
        ({"delay": float("inf")}, "delay=inf"),
        ({"delay": 10**400}, "delay=1000"),
        ({"timeout": 10**400}, "timeout=1000.*seconds, above 0"),
        ({"timeout": 0}, "above 0"),
        ({"expires": float("nan")}, "expires=nan: seconds, above 0"),
        ({"keep": "a day"}, "keep='a day'"),
        ({"priority": 1 << 63}, "64 bits"),
        ({"at_most_once": "no"}, "at_most_once='no'"),
        ({"tags": "night"}, r"tags='night': give a list.*tags=\['night'\]"),
        ({"tags": ["one\ntwo"]}, "words of one line"),
        ({"key": "a\0b"}, "key=.*neither NUL"),
        ({"unique": "\ud800"}, "unique=.*lone surrogates"),
        ({"unique": ""}, "unique='': text that is not empty"),
        ({"tags": [""]}, "words of one line"),
        ({"tags": [3]}, "words of one line"),
        ({"after": "17"}, r"after='17': give a list of jobs: after=\[job\]"),
        ({"after": ["17"]}, r"after=\['17'\]: give a list of jobs"),
        ({"on_duplicate": "ignore"}, "existing"),
        ({"retry": 3}, "Retry"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, text):
    with pytest.raises(af.DefinitionError, match=text):
        tasks.double.options(**options)


def test_after_which_errors_is_the_tasks_and_a_job_that_says_otherwise_is_refused():
    with pytest.raises(af.DefinitionError, match=r"double\.options\(retry=.*@af\.task\(retry="):
        tasks.double.options(retry=af.Retry(3, on=KeyError))


@pytest.mark.parametrize("arguments", [{"workers": -1}, {"rate": "fast"}, {"rate": "0/s"}, {"concurrency": 0}])
def test_queues_that_make_no_sense_are_refused(arguments):
    with af.ActorSystem("shop") as system, pytest.raises(af.DefinitionError):
        system.queue("numbers", **arguments)


def test_a_job_waits_in_a_handler_while_others_run(shop):
    class Asker(af.Actor):
        def ask(self, job):
            return job.result(timeout=100)

    jobs = shop.queue("numbers", workers=1)
    refs = [shop.spawn(Asker) for _ in range(5)]
    answers = [ref.call(Asker.ask, jobs.enqueue(tasks.double, n)) for n, ref in enumerate(refs)]
    assert [answer.get(timeout=100) for answer in answers] == [0, 2, 4, 6, 8]


def test_an_error_that_the_task_declares_comes_back_as_itself_and_others_as_text(shop):
    jobs = shop.queue("q", workers=1)
    with pytest.raises(af.JobFailed, match="OutOfStock: .*book") as caught:
        jobs.enqueue(tasks.take, "book", declared=True).result(timeout=100)
    assert type(caught.value.__cause__) is tasks.OutOfStock
    assert caught.value.__cause__.item == "book"
    with pytest.raises(af.JobFailed, match="Undeclared: .*book") as caught:
        jobs.enqueue(tasks.take, "book", declared=False).result(timeout=100)
    assert caught.value.__cause__ is None


def test_a_task_that_is_to_be_cpu_by_a_word_is_refused():
    with pytest.raises(af.DefinitionError, match="cpu='no'"):
        af.task(cpu="no")(len)


@pytest.mark.parametrize("raises", ["OutOfStock", int, (ValueError, 3)])
def test_what_is_no_class_of_errors_is_refused(raises):
    with pytest.raises(af.DefinitionError, match="raises="):
        af.task(raises=raises)(len)


def test_what_was_kept_long_enough_goes_with_the_first_look_of_a_process(shared_url, monkeypatch):
    monkeypatch.setattr(upkeep, "PRUNE_SECONDS", 600.0)
    with af.ActorSystem("first", store=shared_url) as first:
        jobs = first.queue("q", workers=1)
        for _ in range(3):
            jobs.enqueue(tasks.double.options(keep=0), 1).result(timeout=100)
        last = jobs.enqueue(tasks.double, 2)
        last.result(timeout=100)
    with af.ActorSystem("second", store=shared_url) as second:
        jobs = second.queue("q", workers=1)
        tasks.until(lambda: [info.id for info in jobs.jobs()] == [last.id])


@af.task
def stop_myself() -> None:
    raise af.Stopping


def test_a_task_that_raises_stopping_itself_has_failed_and_is_not_run_for_ever(shop):
    with pytest.raises(af.JobFailed, match="Stopping"):
        shop.queue("q", workers=1).enqueue(stop_myself).result(timeout=100)
