"""Promises: a step with `options(queue=)` is one job of that queue, whose end is mail to the run, over kills."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
from functools import partial
from typing import Any

import pytest

import actorflow as af
from actorflow.core.drivers.world import World
from actorflow.testing import LeakCheck, VirtualSystem, check_replay
from tests.core.actors import until
from tests.outcomes.faulty import faults
from tests.workflows.bodies import Approved, boom, number
from tests.workflows.test_kills import sleeps_through
from tests.workflows.test_sends import SEEN, Till, asks
from tests.workflows.test_unknown import insist

LOG: list[tuple[str, int]] = []
FAILS: set[int] = set()


@af.task
def paint(n: int) -> int:
    """Note that it runs, as which job."""
    LOG.append((af.current().key, n))
    if n in FAILS:
        raise LookupError(str(n))
    return 2 * n


@af.task
async def paint_async(n: int) -> int:
    """Take a moment."""
    LOG.append((af.current().key, n))
    await asyncio.sleep(0.01)
    return 3 * n


@af.task
async def hangs(n: int) -> int:
    """Take very long."""
    LOG.append((af.current().key, n))
    await asyncio.sleep(10_000)
    return n


@af.workflow
def paints(n: int) -> list[object]:
    """Jobs in a row, beside each other, and steps between."""
    slow = paint.options(queue="paint", priority=3)
    first = slow(n)
    two = af.gather(slow.submit(first), paint_async.options(queue="paint").submit(n), number.submit(n)).get()
    who = af.wait(Approved)
    try:
        boom.options(queue="paint").submit("bad").get()
    except af.StepFailed as error:
        said = str(error)
    return [first, [*two], who.name, said, slow.map([1, 2, 3], limit=2).get()]


@af.workflow
async def paints_async(n: int) -> list[object]:
    """The same, async."""
    slow = paint.options(queue="paint", priority=3)
    first = await slow.submit(n)
    two = await af.gather(slow.submit(first), paint_async.options(queue="paint").submit(n), number.submit(n))
    who = await af.signal(Approved)
    try:
        await boom.options(queue="paint").submit("bad")
    except af.StepFailed as error:
        said = str(error)
    return [first, [*two], who.name, said, await slow.map([1, 2, 3], limit=2)]


BOTH = pytest.mark.parametrize("workflow", [paints, paints_async], ids=["plain", "async"])
RESULT = [6, [12, 9, [3]], "ann", "step tests.workflows.bodies.boom failed: Boom: bad", [2, 4, 6]]


@pytest.fixture(autouse=True)
def _new():
    LOG.clear()
    FAILS.clear()


@pytest.fixture
def system():
    with VirtualSystem("test", seed=5) as running:
        yield running


@BOTH
def test_steps_with_a_queue_are_its_jobs(system, workflow):
    system.queue("paint", workers=2)
    run = system.start(workflow.options(id="run"), 3)
    run.signal(Approved("ann"))
    assert run.result(timeout=60) == RESULT
    assert len({key for key, _ in LOG}) == len(LOG) == 6
    assert all(key.startswith("job-") for key, _ in LOG)


def killed_after(steps: int, workflow: object, where: str) -> bool:
    """Run one in a system that dies after so many steps, or that of its workers does; say whether it died in time."""
    LOG.clear()
    with World(seed=steps) as world, af.open_store() as store:
        a = VirtualSystem._within(world, "a", store=store)
        b = VirtualSystem._within(world, "b", store=store)
        works, starts = (a, b) if where == "run" else (b, a)
        try:
            works.queue("paint", workers=2)
            run = starts.start(workflow.options(id="run"), 3)
            run.signal(Approved("ann"), id="once")
            died = not sleeps_through(b, 20, steps)
            b._kill()
            if where == "job":
                a.queue("paint", workers=2)
            assert a.get_run("run").result(timeout=300) == RESULT
            if where == "run":
                assert len(LOG) == 6, LOG  # no job was made twice
            assert len({key for key, _ in LOG}) == 6
            return died
        finally:
            b.stop()
            a.stop()


@pytest.mark.slow(quick=["0-run-plain", "1-run-async", "2-job-plain", "3-job-async"])
@BOTH
@pytest.mark.parametrize("where", ["run", "job"])
@pytest.mark.parametrize("part", range(4))
def test_a_job_of_a_step_ends_its_step_once_wherever_either_side_is_killed(workflow, where, part):
    with LeakCheck():
        died = [killed_after(steps, workflow, where) for steps in range(part, 200, 14)]
    assert any(died)


@af.workflow
def one(options: dict[str, object], n: int) -> object:
    """One job, with these options."""
    try:
        return paint.options(queue="paint", **options)(n)  # type: ignore[arg-type]
    except (af.DefinitionError, af.JobCancelled, af.StepFailed, LookupError) as error:
        return f"{type(error).__name__}: {error}"


def test_a_job_waits_for_workers_that_are_not_there_and_its_run_says_how_long(system):
    run = system.start(one.options(id="run"), {}, 4)
    system.sleep(50)
    assert run.status == "running"
    system.queue("paint", workers=1)
    assert run.result(timeout=60) == 8
    (step,) = run.steps
    assert step.started - step.ready >= 50
    assert "." in str(run.timeline())


def test_options_of_a_job_hold_for_a_step_with_a_queue(system):
    late = system.start(one, {"delay": 30}, 1)
    gone = system.start(one, {"expires": 5}, 2)
    system.sleep(10)
    assert late.status == gone.status == "running"
    system.queue("paint", workers=1)
    assert gone.result(timeout=60).startswith("JobCancelled: ")
    assert late.result(timeout=60) == 2


def test_an_error_of_a_job_comes_as_of_a_step(system):
    FAILS.add(7)
    system.queue("paint", workers=1)
    assert system.start(one, {}, 7).result(timeout=60) == "LookupError: 7"


def test_steps_that_share_a_unique_job_all_get_its_end(system):
    first = system.start(one, {"unique": "x"}, 3)
    second = system.start(one, {"unique": "x"}, 3)
    system.sleep(1)
    third = system.start(one, {"unique": "x", "on_duplicate": "reject"}, 3)
    assert "has a live job with unique='x'" in third.result(timeout=60)
    system.queue("paint", workers=1)
    assert [run.result(timeout=60) for run in (first, second)] == [6, 6]
    assert len(LOG) == 1


def test_a_cancelled_run_leaves_a_job_that_others_wait_for(system):
    first = system.start(one, {"unique": "x"}, 3)
    second = system.start(one, {"unique": "x"}, 3)
    system.sleep(1)
    first.cancel()
    with pytest.raises(af.RunCancelled):
        first.result(timeout=60)
    system.queue("paint", workers=1)
    assert second.result(timeout=60) == 6


def test_a_cancelled_run_cancels_its_job(system):
    queue = system.queue("paint")
    run = system.start(one, {}, 3)
    system.sleep(1)
    run.cancel()
    with pytest.raises(af.RunCancelled):
        run.result(timeout=60)
    assert [info.status for info in queue.jobs(status="cancelled")] == ["cancelled"]


def test_a_purged_job_ends_its_step(system):
    queue = system.queue("paint")
    run = system.start(one, {}, 3)
    system.sleep(1)
    queue.purge()
    assert run.result(timeout=60) == "JobCancelled: its queue was purged"


def test_a_job_that_somebody_cancels_ends_its_step(system):
    queue = system.queue("paint")
    run = system.start(one, {}, 3)
    system.sleep(1)
    (info,) = queue.jobs()
    system.get_job(info.id).cancel()
    assert run.result(timeout=60).startswith("JobCancelled: ")


@pytest.mark.parametrize(
    ("options", "text"),
    [({"conn": object()}, "all but conn="), ({"queue": "a/b"}, "no '/'"), ({"delay": 3, "queue": None}, "with queue=")],
)
def test_an_option_that_makes_no_sense_for_a_step_is_refused_with_the_cure(system, options, text):
    @af.workflow(name=f"jobs.refused.{text}")
    def refused() -> str:
        try:
            return str(paint.options(**{"queue": "paint", **options})(1))
        except af.DefinitionError as error:
            return str(error)

    assert text in system.start(refused).result(timeout=60)


@af.workflow
def hung(options: dict[str, object]) -> object:
    """One job that takes very long."""
    try:
        return hangs.options(queue="paint", **options).submit(1).get()  # type: ignore[arg-type]
    except (af.StepFailed, TimeoutError) as error:
        return f"{type(error).__name__}: {error}"


def test_a_job_that_is_given_up_fails_its_step():
    with World(seed=1) as world, af.open_store() as store:
        a = VirtualSystem._within(world, "a", store=store)
        b = VirtualSystem._within(world, "b", store=store)
        try:
            b.queue("paint", workers=1)
            run = a.start(hung, {"at_most_once": True})
            a.sleep(5)
            assert len(LOG) == 1
            b._kill()
            text = run.result(timeout=200)
            assert text.startswith("StepFailed: ")
            assert "its job was given up: HostDied" in text
            check_replay(hung, json.loads(json.dumps(a.runs().export(run.id))))
        finally:
            b.stop()
            a.stop()


def test_a_job_has_its_timeout(system):
    system.queue("paint", workers=1)
    assert "TaskTimeout" in system.start(hung, {"timeout": 5}).result(timeout=60)


def test_a_job_that_runs_ends_when_its_run_is_cancelled(system):
    queue = system.queue("paint", workers=1)
    run = system.start(hung, {})
    system.sleep(5)
    run.cancel()
    with pytest.raises(af.RunCancelled):
        run.result(timeout=60)
    assert len(queue.jobs(status="cancelled")) == 1


def test_a_job_runs_inline_where_its_queue_does(system):
    with system.queue("paint").inline():
        assert system.start(one, {}, 4).result(timeout=60) == 8


@pytest.mark.parametrize("some", [range(6), range(6, 12)], ids=str)
def test_jobs_and_asks_of_runs_end_right_whatever_becomes_of_their_commits(some, caplog):
    caplog.set_level(logging.CRITICAL, "actorflow")
    for seed in some:
        LOG.clear()
        with VirtualSystem(seed=seed) as system:
            till = system.spawn(af.child(Till).options(name="till"))
            system.queue("paint", workers=2)
            with faults(system, seed):
                for n in range(4):
                    workflow = [paints, asks][n % 2].options(id=f"run-{n}")
                    args = [(3,), (till, 3)][n % 2]
                    run = insist(system, lambda workflow=workflow, args=args: system.start(workflow, *args))
                    insist(system, lambda run=run: run.signal(Approved("ann"), id="once"))
                    with contextlib.suppress(af.StoreError):
                        system.sleep(1)
                system.sleep(60)
            system.sleep(120)
            for n in range(4):
                result = system.get_run(f"run-{n}").result(timeout=10)
                assert n % 2 or result == RESULT, (seed, n)
            assert len(till.call(Till.seen).get()) == 2 * len(SEEN), seed
            assert len({key for key, _ in LOG}) == 12, seed


CHILD = """
    import actorflow as af
    from tests.workflows.test_jobs import {flow}
    from tests.workflows.test_sends import Till
    system = af.ActorSystem("first", store="sqlite:///{path}")
    system.__enter__()
    system.start({flow}.options(id="run"), {args})
    print("begun", flush=True)
    input()
"""


@af.workflow
def asks_first(till: af.ActorRef[Till], n: int) -> int:
    """One ask, and one step here."""
    return 2 * n * till.call(Till.add, n).get()


def is_sent(flow: str, transaction: Any) -> bool:
    """Say whether the job, or the message, of the run is committed."""
    if flow == "hello":
        return transaction.one("jobs.newest") is not None
    return transaction.one("runs.has_mail", {"receiver": "till", "upto": 0}) is not None


@af.workflow
def hello(n: int) -> int:
    """One step here, and one job."""
    return paint.options(queue="paint")(number(n)[0])


@pytest.mark.parametrize(("flow", "args"), [("hello", "3"), ("asks_first", 'system.durable("till", Till), 3')])
def test_a_job_or_an_ask_of_a_run_whose_process_was_killed_ends_it_in_another(tmp_path, flow, args):
    path = tmp_path / "jobs.db"
    program = textwrap.dedent(CHILD.format(path=path, flow=flow, args=args))
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"begun\n"
        with af.open_store(f"sqlite:///{path}") as store:
            until(lambda: store.read(partial(is_sent, flow)))
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    with af.ActorSystem("second", store=f"sqlite:///{path}") as system:
        run = system.get_run("run")
        system.queue("paint", workers=1)
        till = system.spawn(af.child(Till).options(name="till"))
        assert run.result(timeout=60) == 6
        assert [("job-1", 3)] * (flow == "hello") == LOG
        assert till.call(Till.seen).get(timeout=60) == ["add 3"] * (flow != "hello")


def test_a_step_that_is_enqueued_into_another_queue_is_refused(system):
    with pytest.raises(af.DefinitionError, match="is enqueued into 'other'"):
        system.queue("other").enqueue(paint.options(queue="paint"), 1)


def test_a_run_that_is_tried_again_has_a_new_job(system):
    FAILS.add(7)
    system.queue("paint", workers=1)

    @af.workflow(name="jobs.fails")
    def fails() -> int:
        return paint.options(queue="paint")(7)

    run = system.start(fails)
    with pytest.raises(af.RunFailed):
        run.result(timeout=60)
    FAILS.clear()
    run.retry()
    assert run.result(timeout=60) == 14
    assert len(LOG) == 2
