"""When a job is tried again, and when not any more: `af.Permanent`, and `Retry(within=)`."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import actorflow as af
from actorflow.testing import VirtualSystem

MANY = af.Retry(9, af.Backoff(0.001))


class NoSuchCustomer(af.Permanent):
    """One that cannot be made again from its arguments, so another process gets another class of it."""

    def __init__(self, name: str, place: str) -> None:
        super().__init__(f"no customer {name} in {place}")


TRIED: list[int] = []


@af.task(name="tests.permanent", retry=MANY)
def permanent() -> None:
    TRIED.append(af.current().attempt)
    try:
        {}["ann"]
    except KeyError as error:
        raise af.Permanent("no such customer") from error


@af.task(name="tests.permanent_async", retry=MANY)
async def permanent_async() -> None:
    TRIED.append(af.current().attempt)
    raise af.Permanent("no such customer")


@af.task(name="tests.permanent_in_process", retry=MANY, cpu=True)
def permanent_in_process() -> None:
    raise af.Permanent("no such customer")


@af.task(name="tests.permanent_of_a_subclass", retry=MANY, cpu=True)
def permanent_of_a_subclass() -> None:
    raise NoSuchCustomer("ann", "Paris")


@af.task(name="tests.permanent_despite_on", retry=af.Retry(9, af.Backoff(0.001), on=(af.Permanent, RuntimeError)))
def permanent_despite_on() -> None:
    raise NoSuchCustomer("ann", "Paris")


@af.task(name="tests.permanent_in_a_group", retry=MANY)
def permanent_in_a_group() -> None:
    TRIED.append(af.current().attempt)
    inner = ExceptionGroup("inner", [OSError("no line"), NoSuchCustomer("ann", "Paris")])
    raise ExceptionGroup("no luck", [ValueError("x"), inner])


@af.task(name="tests.permanent_in_a_task_group", retry=MANY)
async def permanent_in_a_task_group() -> None:
    TRIED.append(af.current().attempt)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(refuse())


async def refuse() -> None:
    raise af.Permanent("no such customer")


@af.task(name="tests.permanent_in_a_group_of_a_process", retry=MANY, cpu=True)
def permanent_in_a_group_of_a_process() -> None:
    raise ExceptionGroup("no luck", [ValueError("x"), af.Permanent("no such customer")])


ALONE = [permanent, permanent_async, permanent_in_process, permanent_of_a_subclass, permanent_despite_on]
IN_GROUPS = [permanent_in_a_group, permanent_in_a_task_group, permanent_in_a_group_of_a_process]
ALL = [*ALONE, *IN_GROUPS]


@pytest.mark.parametrize("task", ALL, ids=lambda task: task.name)
def test_a_task_that_raises_permanent_is_not_tried_again(task):
    TRIED.clear()
    with af.ActorSystem("shop") as shop:
        jobs = shop.queue("q", workers=1)
        job = jobs.enqueue(task)
        with pytest.raises(af.JobFailed, match="no |unhandled errors in a TaskGroup") as failed:
            job.result(timeout=30)
        assert (job.info().status, job.info().attempt) == ("failed", 1)
        assert jobs.stats().retried == 0
        if task in ALL[:3]:
            assert type(failed.value.__cause__) is af.Permanent
    assert TRIED in ([], [1])


class Rude(ExceptionGroup):
    exceptions = property(lambda self: 1 / 0)
    __class__ = property(lambda self: 1 / 0)


def group_of(error, depth):
    for _ in range(depth):
        error = ExceptionGroup("x", [error])
    return error


def twice_in(error, depth):
    for _ in range(depth):
        error = ExceptionGroup("x", [error, error])
    return error


GROUPS = {
    "deep": (lambda: group_of(af.Permanent("x"), 5_000), True),
    "deep without": (lambda: group_of(ValueError("x"), 5_000), False),
    "shared": (lambda: twice_in(af.Permanent("x"), 60), True),
    "shared without": (lambda: twice_in(ValueError("x"), 60), False),
    "of any base": (lambda: BaseExceptionGroup("x", [SystemExit(), af.Permanent("x")]), True),
    "rude": (lambda: Rude("x", [OSError(), af.Permanent("x")]), True),
    "rude without": (lambda: Rude("x", [OSError()]), False),
}


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_of_errors_is_final_if_one_of_them_is(name):
    make, is_final = GROUPS[name]
    pause = af.Retry(9, on=BaseException).pause(1, make())
    assert (pause is None) == is_final


def test_a_permanent_error_has_its_cause_in_the_stored_traceback(shop):
    job = shop.queue("q", workers=1).enqueue(permanent)
    with pytest.raises(af.JobFailed):
        job.result(timeout=30)
    assert "KeyError: 'ann'" in job.info().traceback


# --- within -----------------------------------------------------------------------------------------------------------


def tried(system, retry: af.Retry, /, seconds: float = 0.0, **options: object):
    """A task that fails after some seconds, with the times of its tries."""
    began: list[float] = []

    @af.task(name="tests.tried", retry=retry)
    def failing() -> None:
        began.append(system.now)
        if seconds:
            af.timer(seconds).get()
        raise OSError(f"try {len(began)}")

    return failing.options(**options), began


def test_no_try_begins_once_the_time_of_all_is_over(timed):
    task, began = tried(timed, af.Retry(100, af.Backoff(10, factor=1, jitter=0), within=35), seconds=1.0)
    with pytest.raises(af.JobFailed, match="try 4"):
        timed.queue("q", workers=1).enqueue(task).result()
    assert began == pytest.approx([0, 11, 22, 33], abs=0.05)


def test_the_time_counts_from_the_first_try_and_not_from_the_job(timed):
    task, began = tried(timed, af.Retry(100, af.Backoff(10, factor=1, jitter=0), within=15), delay=1000)
    with pytest.raises(af.JobFailed, match="try 2"):
        timed.queue("q", workers=1).enqueue(task).result()
    assert began == pytest.approx([1000, 1010], abs=0.1)


def test_a_job_may_have_a_time_of_its_own(timed):
    task, began = tried(timed, af.Retry(1), retry=af.Retry(100, af.Backoff(10, factor=1, jitter=0), within=25), keep=5)
    with pytest.raises(af.JobFailed, match="try 3"):
        timed.queue("q", workers=1).enqueue(task).result()
    assert len(began) == 3


def test_a_job_whose_try_comes_too_late_fails_with_its_last_error(timed, caplog):
    """All workers are busy when it is due."""
    task, began = tried(timed, af.Retry(100, af.Backoff(10, factor=1, jitter=0), within=30))

    @af.task(name="tests.busy")
    def busy() -> None:
        af.timer(100).get()

    jobs = timed.queue("q", workers=1)
    job = jobs.enqueue(task)
    timed.sleep(1)
    jobs.enqueue(busy).result()
    with pytest.raises(af.JobFailed, match="try 1") as failed:
        job.result()
    assert isinstance(failed.value.__cause__, OSError)
    assert len(began) == 1
    assert "no try may begin" in caplog.text
    assert (jobs.stats().failed, jobs.count("failed")) == (1, 1)


def test_a_job_that_is_queued_again_by_hand_has_all_its_time_again(timed):
    task, began = tried(timed, af.Retry(100, af.Backoff(10, factor=1, jitter=0), within=15))
    jobs = timed.queue("q", workers=1)
    job = jobs.enqueue(task)
    timed.sleep(1000)
    assert job.status == "failed"
    assert jobs.retry(job)
    timed.sleep(1000)
    assert job.status == "failed"
    assert len(began) == 4


def test_a_try_whose_process_died_counts_in_the_time(caplog):
    """The two seconds of a process that hangs before it dies are over then, so there is no other try."""
    with af.ActorSystem("shop") as shop:
        job = shop.queue("q", workers=1).enqueue(sleep_and_die.options(retry=af.Retry(9, within=0.2)))
        with pytest.raises(af.JobFailed, match="HostDied"):
            job.result(timeout=60)
        assert (job.info().status, job.info().attempt) == ("failed", 2)
    assert "no try may begin" in caplog.text


@af.task(name="tests.sleep_and_die", cpu=True)
def sleep_and_die() -> None:
    time.sleep(0.3)
    os.abort()


@pytest.mark.parametrize("within", [0, -1, math.nan, math.inf, "5", True])
def test_a_time_that_is_none_is_refused(within):
    with pytest.raises(af.DefinitionError, match="within"):
        af.Retry(3, within=within)


@pytest.mark.parametrize("backoff", [5, None, af.Backoff])
def test_a_backoff_that_is_none_is_refused(backoff):
    with pytest.raises(af.DefinitionError, match=r"Retry\(backoff=.*such as Backoff\(5\)"):
        af.Retry(3, backoff)


PAUSES = st.builds(
    af.Backoff,
    first=st.floats(0.5, 50.0),
    factor=st.floats(1.0, 3.0),
    limit=st.just(1e6),
    jitter=st.sampled_from([0.0, 0.5]),
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(attempts=st.integers(1, 8), backoff=PAUSES, within=st.floats(0.5, 200.0), seconds=st.floats(0.0, 30.0))
def test_all_tries_begin_within_the_time_and_all_that_fit_are_made(attempts, backoff, within, seconds):
    with VirtualSystem("shop") as system:
        retry = af.Retry(attempts, backoff, within=within)
        task, began = tried(system, retry, seconds)
        job = system.queue("q", workers=1).enqueue(task)
        with pytest.raises(af.JobFailed):
            job.result()
    assert 1 <= len(began) <= attempts
    assert all(time - began[0] <= within + 0.01 for time in began)
    pauses = [later - earlier - seconds for earlier, later in itertools.pairwise(began)]
    longest = [backoff.first * backoff.factor**n * (1 + backoff.jitter) for n in range(len(began))]
    assert all(pause <= most + 0.1 for pause, most in zip(pauses, longest, strict=False))
    if len(began) < attempts:  # the next one would have been too late
        assert began[-1] - began[0] + seconds + longest[-1] > within - 0.1


@given(
    attempts=st.integers(1, 9),
    tries=st.integers(1, 9),
    within=st.none() | st.floats(0.1, 100.0),
    spent=st.floats(0.0, 200.0),
    is_permanent=st.booleans(),
)
def test_a_pause_is_never_over_the_time_left(attempts, tries, within, spent, is_permanent):
    retry = af.Retry(attempts, af.Backoff(3, jitter=0), within=within)
    error = NoSuchCustomer("ann", "Paris") if is_permanent else OSError()
    pause = retry.pause(tries, error, spent=spent)
    if is_permanent or tries >= attempts or (within is not None and spent > within):
        assert pause is None
    elif pause is None:
        assert within is not None
        assert spent + 3 * 2 ** (tries - 1) > within
    else:
        assert within is None or spent + pause <= within
