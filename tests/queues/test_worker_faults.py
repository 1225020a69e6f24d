"""Faults around a job: whatever is wrong with it, or with its worker, concerns that job, and no other is held up."""

from __future__ import annotations

import contextlib
import errno
import sqlite3

import pytest

import actorflow as af
from actorflow.errors import StoreError
from actorflow.process.pool.pool import ProcessPool
from actorflow.queues import ledger
from actorflow.queues.node import claimer, inline, job_owner, shortage, worker_slots
from actorflow.queues.node.job_store import JobStore
from actorflow.queues.node.upkeep import Upkeep
from actorflow.store import codec
from actorflow.store.sqlite.node import SqliteNode
from actorflow.tasks.site import TaskSite
from actorflow.tasks.task_files import TaskFiles

from . import tasks
from .test_time import recorder


class Mute(Exception):
    """An error without a text."""

    def __init__(self, kind: type[BaseException]) -> None:
        super().__init__()
        self.kind = kind

    def __str__(self) -> str:
        raise self.kind("no text")

    __repr__ = __str__


class Picky(type):
    def __instancecheck__(cls, instance: object) -> bool:
        raise SystemExit("no class")


class Unclear(Exception, metaclass=Picky):
    """A class of which nobody can say whether an error is of it."""


ERRORS = {
    "RuntimeError": RuntimeError,
    "SystemExit": SystemExit,
    "GeneratorExit": GeneratorExit,
    "KeyboardInterrupt": KeyboardInterrupt,
}


@af.task
def raise_mute(kind: str) -> None:
    raise Mute(ERRORS[kind])


@af.task
async def raise_mute_in_loop(kind: str) -> None:
    raise Mute(ERRORS[kind])


@af.task(retry=af.Retry(3, on=Unclear))
def raise_unclear() -> None:
    raise ValueError("unclear")


@af.task
def leave(kind: str) -> None:
    raise ERRORS[kind]("left")


@af.task
async def leave_in_loop(kind: str) -> None:
    raise ERRORS[kind]("left")


class Unwritable:
    def __repr__(self) -> str:
        raise SystemExit("no text")


@af.task
def give_unwritable() -> object:
    return Unwritable()


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize(
    "task", [raise_mute, raise_mute_in_loop, leave, leave_in_loop], ids=lambda task: task.function.__name__
)
def test_an_error_without_a_text_ends_its_job_and_the_next_one_runs(shop, task, kind):
    jobs = shop.queue("q", workers=1)
    bad = jobs.enqueue(task, kind)
    assert jobs.enqueue(tasks.double, 2).result(timeout=30) == 4
    with pytest.raises(af.JobFailed):
        bad.result(timeout=30)
    assert bad.status == "failed"


@pytest.mark.parametrize("task", [raise_unclear, give_unwritable], ids=lambda task: task.function.__name__)
def test_a_retry_rule_or_a_result_that_raises_ends_its_job_alone(shop, task):
    jobs = shop.queue("q", workers=1)
    bad = jobs.enqueue(task)
    assert jobs.enqueue(tasks.double, 2).result(timeout=30) == 4
    assert bad.status == "failed"


class Breaking(type):
    def __instancecheck__(cls, instance: object) -> bool:
        raise KeyboardInterrupt


class Unbearable(Exception, metaclass=Breaking):
    """A class that ends whoever asks whether an error is of it."""


@af.task(retry=af.Retry(3, on=Unbearable))
def raise_unbearable() -> None:
    raise ValueError("unclear")


def test_a_retry_rule_that_raises_a_keyboard_interrupt_costs_no_worker(shop):
    jobs = shop.queue("q", workers=1)
    bad = jobs.enqueue(raise_unbearable)
    assert jobs.enqueue(tasks.double, 2).result(timeout=30) == 4
    assert bad.status == "failed"


# --- damaged rows ----------------------------------------------------------------------------------------------------

# fmt: off
COLUMNS = (
    "status", "priority", "due", "expires", "attempt", "crashes", "epoch", "key", "unique", "at_most_once",
    "cancelling", "needs", "gather", "tags", "args", "options", "progress", "result", "error", "created", "started",
    "ended", "keep_until",
)
# fmt: on
DAMAGES = ("{bad", b"\xff\x00", b'{"timeout": "x"}', b"[1]", b'{"retry": [1]}', 1e300, -1)


@pytest.mark.parametrize("damage", DAMAGES, ids=repr)
def test_damaged_rows_stop_no_other_job(tmp_path, damage):
    """In each column in turn: of a job, of one that others wait for, and of one that waits for a group."""
    file, limit = tmp_path / "jobs.db", af.Limit(concurrency=1)
    with af.ActorSystem("shop", store=f"sqlite:///{file}", durability="process") as shop:
        jobs = shop.queue("q", per_key=limit)
        with contextlib.closing(sqlite3.connect(file, timeout=10)) as other:
            for column in COLUMNS:
                bad = jobs.enqueue(tasks.double.options(key=f"key of {column}", tags=["t"]), 1)
                behind = jobs.enqueue(tasks.double.options(after=[bad]), 1)
                group = jobs.group([(tasks.double, 1)], then=tasks.note)
                for id_ in (bad.id, group.then.id):
                    other.execute(f'update or ignore af_job set "{column}" = ? where id = ?', (damage, id_))
                other.commit()
        shop.queue("q", workers=2, per_key=limit)
        assert jobs.enqueue(tasks.double.options(key="sound"), 2).result(timeout=30) == 4
        assert jobs.enqueue(tasks.double, 3).result(timeout=30) == 6
        assert len(jobs.jobs(limit=1000)) >= 4 * len(COLUMNS)  # of some the time to be kept is over
        jobs.stats()
        for job in (behind, bad, group.then):
            job.cancel()
        jobs.drain(timeout=30)
    assert shop.error is None


def test_a_job_with_damaged_options_is_a_dead_letter_that_says_so(tmp_path):
    file = tmp_path / "jobs.db"
    with af.ActorSystem("shop", store=f"sqlite:///{file}", durability="process") as shop:
        jobs = shop.queue("q")
        bad = jobs.enqueue(tasks.double, 1)
        with contextlib.closing(sqlite3.connect(file, timeout=10)) as other:
            other.execute("update af_job set options = '{bad'")
            other.commit()
        shop.queue("q", workers=1)
        with pytest.raises(af.JobFailed, match=f"dead: PayloadError: the options of job {bad.id} are damaged"):
            bad.result(timeout=30)
        assert [job.id for job in jobs.dead()] == [bad.id]


# --- outcomes that cannot be written ---------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_an_outcome_that_cannot_be_written_is_set_aside_and_the_others_are_written(shop, monkeypatch, caplog, depth):
    """`depth`: how many ways to write it fail: with the others, as a dead letter, and the row alone."""
    written = ledger.settle

    def settle(transaction, queue, owner, outcomes, *rest):
        for outcome in outcomes:
            if outcome.id == int(bad.id) and (outcome.status == "completed" or depth > 1):
                raise TypeError("no such value")
        return written(transaction, queue, owner, outcomes, *rest)

    def end_alone(*_):
        raise TypeError("no such row")

    jobs = shop.queue("q", workers=2)
    jobs.pause()
    many = jobs.enqueue_many(tasks.double, [(n,) for n in range(20)])
    bad = many[7]
    monkeypatch.setattr(ledger, "settle", settle)
    if depth == 3:
        monkeypatch.setattr(ledger, "end_alone", end_alone)
    jobs.resume()
    assert [job.result(timeout=30) for job in many if job is not bad] == [2 * n for n in range(20) if n != 7]
    tasks.until(lambda: f"Job {bad.id} of queue q" in caplog.text)
    if depth < 3:
        with pytest.raises(af.JobFailed, match="dead: StoreError: its outcome .completed. could not be written"):
            bad.result(timeout=30)
    assert jobs.enqueue(tasks.double, 5).result(timeout=30) == 10


@pytest.mark.slow(quick=["sqlite"])
def test_a_store_that_fails_for_a_while_sets_no_outcome_aside(shop, monkeypatch):
    written, failures = ledger.settle, iter(range(2))

    def settle(*args):
        if next(failures, None) is not None:
            raise StoreError("the disk is full")
        return written(*args)

    monkeypatch.setattr(ledger, "settle", settle)
    assert shop.queue("q", workers=1).enqueue(tasks.double, 4).result(timeout=30) == 8


# --- what fails before a job has begun is the worker's ---------------------------------------------------------------


STEPS = {
    "the attempt is made": (claimer, "attempt_of", tasks.double),
    "its begin is noted": (SqliteNode, "begin", tasks.double),
    "it is noted, told and measured": (worker_slots, "begin", tasks.double),
    "a worker for coroutines is started": (worker_slots.WorkerSlots, "async_worker", tasks.await_double),
    "the arguments are read": (codec, "decode", tasks.double),
    "the arguments are read on the loop": (codec, "decode", tasks.await_double),
    "the arguments are read for a process": (codec, "decode", tasks.cpu_double),
    "the pool is made": (af.ActorSystem, "pool", tasks.cpu_double),
    "a folder is made": (TaskFiles, "folder", tasks.cpu_double),
    "a process is given the job": (ProcessPool, "submit", tasks.cpu_double),
    "a function is found for the process": (TaskSite, "in_process", tasks.cpu_double),
}
SHORTAGES = {
    "no descriptor": OSError(errno.EMFILE, "Too many open files"),
    "no thread": RuntimeError("can't start new thread"),
    "no memory": MemoryError(),
}


# Reading arguments starts no thread; of cpu tasks one error each, as a pool takes a second.
INJECTIONS = [
    (step, error)
    for step, (_, name, task) in STEPS.items()
    for error in SHORTAGES
    if error == "no descriptor" or not (task.cpu or (name == "decode" and error == "no thread"))
]


@pytest.mark.parametrize(("step", "error"), INJECTIONS)
def test_a_job_that_could_not_begin_is_given_back_without_an_attempt(monkeypatch, caplog, step, error):
    where, name, task = STEPS[step]
    failures = iter(range(3))

    def fail_at_first(function):
        def failing(*args, **kwargs):
            if next(failures, None) is not None:
                raise SHORTAGES[error]
            return function(*args, **kwargs)

        return failing

    found = where.__dict__[name]
    failing = property(fail_at_first(found.fget)) if isinstance(found, property) else fail_at_first(found)
    monkeypatch.setattr(shortage, "PAUSES", af.Backoff(0.01))
    with af.ActorSystem("shop") as shop:
        jobs = shop.queue("q", workers=2)
        jobs.pause()
        monkeypatch.setattr(where, name, failing)
        many = jobs.enqueue_many(task.options(at_most_once=True), [(n,) for n in range(5)])
        jobs.resume()
        results = [job.result(timeout=30) for job in many]
        assert [value[0] if task.cpu else value for value in results] == [0, 2, 4, 6, 8]
        assert {(info.attempt, info.crashes, info.status) for info in jobs.jobs()} == {(1, 0, "completed")}
        assert jobs.stats().retried == 0
    assert caplog.text.count("jobs cannot begin in this process") == 1
    assert not next(failures, None)


def test_a_store_that_stays_broken_is_a_log_line_each_half_minute_and_jobs_go_on_afterwards(timed, monkeypatch, caplog):
    task, ran = recorder(timed)
    jobs = timed.queue("q", workers=1)
    jobs.enqueue(task.options(delay=5), "late", 0.0)
    timed.sleep(1)
    settle_and_claim = JobStore.settle_and_claim

    def broken(*_arguments):
        raise af.StoreError("it is damaged")

    monkeypatch.setattr(JobStore, "settle_and_claim", broken)
    timed.sleep(300)
    assert 5 <= caplog.text.count("Queue q: the store failed, tried again in a second: it is damaged") <= 11
    monkeypatch.setattr(JobStore, "settle_and_claim", settle_and_claim)
    timed.sleep(10)
    assert len(ran) == 1


@pytest.mark.parametrize("name", ["report_unknown", "report_stopped"])
def test_a_report_for_which_the_store_fails_costs_no_running_job_its_attempt(timed, monkeypatch, caplog, name):
    task, ran = recorder(timed)
    jobs = timed.queue("q", workers=2)
    long = jobs.enqueue(task.options(at_most_once=True), "long", 200.0)
    timed.sleep(1)

    def broken(*_arguments):
        raise af.StoreError("it is busy")

    monkeypatch.setattr(Upkeep, name, broken)
    for _ in range(3):
        timed.sleep(50)
        jobs.enqueue(task, "short", 0.0)
    timed.sleep(100)
    assert long.status == "completed"
    assert len(ran) == 4
    assert "jobs and schedules without a process are reported later: it is busy" in caplog.text


def test_an_inline_job_whose_claim_is_in_doubt_takes_no_job_from_the_workers(shop, monkeypatch):
    jobs, begun = shop.queue("q", workers=1), tasks.begun("beside")
    beside = jobs.enqueue(tasks.hold.options(at_most_once=True), "beside")
    assert begun.wait(30)
    claim_one = ledger.claim_one

    def doubted(*values):
        monkeypatch.setattr(ledger, "claim_one", claim_one)
        raise af.OutcomeUnknown("the server is gone")

    monkeypatch.setattr(ledger, "claim_one", doubted)
    with pytest.raises(af.OutcomeUnknown), jobs.inline():
        jobs.enqueue(tasks.double, 1)
    tasks.GATES["beside"].set()
    assert beside.result(timeout=30) == "beside"
    assert beside.status == "completed"


def test_an_inline_job_that_is_interrupted_is_queued_again(shop, monkeypatch):
    jobs, begin = shop.queue("q"), job_owner.begin

    def interrupted(attempt):
        monkeypatch.setattr(inline, "begin", begin)
        raise KeyboardInterrupt

    monkeypatch.setattr(inline, "begin", interrupted)
    with pytest.raises(KeyboardInterrupt), jobs.inline():
        jobs.enqueue(tasks.double, 2)
    (left,) = jobs.jobs()
    assert (left.status, left.attempt) == ("queued", 0)
    shop.queue("q", workers=1)
    assert shop.get_job(left.id).result(timeout=30) == 4


@pytest.mark.parametrize("trial", [tasks.double, tasks.hold], ids=["short", "long"])
def test_a_lack_that_is_over_is_seen_beside_a_long_job_and_by_a_long_one(monkeypatch, trial):
    monkeypatch.setattr(shortage, "PAUSES", af.Backoff(0.01))
    monkeypatch.setattr(worker_slots, "TRIAL_SECONDS", 0.05)
    fails, begins = iter([OSError(errno.EMFILE, "Too many open files")]), job_owner.begin

    def begin(attempt):
        job = attempt.owner.job
        if job.task == tasks.double.name or job.args == b'[["trial"],{}]':
            for error in fails:
                raise error
        return begins(attempt)

    monkeypatch.setattr(worker_slots, "begin", begin)
    with af.ActorSystem("shop") as shop:
        jobs = shop.queue("q", workers=3)
        begun, tried = tasks.begun("long"), tasks.begun("trial")
        long = jobs.enqueue(tasks.hold, "long")
        assert begun.wait(30)
        first = jobs.enqueue(trial, *([1] if trial is tasks.double else ["trial"]))
        assert trial is tasks.double or tried.wait(30)
        assert jobs.enqueue(tasks.double, 2).result(timeout=30) == 4
        assert long.status == "running"
        for gate in ("long", "trial"):
            tasks.GATES[gate].set()
        assert first.result(timeout=30) in {2, "trial"}


def test_a_task_that_waits_for_a_process_has_not_begun(shop):
    """As one that was tried to see whether the lack is over."""
    line = shop.queue("q")._local
    job = ledger.Claimed(
        1, tasks.cpu_double.name, b"", None, 1, 0, 1, 0, None, at_most_once=False, created=0.0, due=None
    )
    waiting = job_owner.attempt_of(job, line)
    assert not waiting.has_begun()
    with shop.pool("one", workers=1) as pool:
        waiting.in_pool = pool.submit(sum, [1])
        assert waiting.in_pool.result(timeout=30) == 1
        assert not waiting.has_begun()
