"""Promises: a run is started once by its id, is found by it, hears its signals, and ends with a result or an error."""

from __future__ import annotations

import asyncio
import threading

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.queues.tasks import until
from tests.workflows.bodies import Approved, Boom, boom, number
from tests.workflows.test_kills import order, order_async, result_of

LIMIT = 60


@af.task(raises=Boom)
def declared() -> None:
    raise Boom("declared")


@af.workflow
def catches() -> list[str]:
    seen = []
    for task in (boom, declared):
        try:
            task("x") if task is boom else task()
        except (af.StepFailed, Boom) as error:
            seen.append(type(error).__name__)
    return seen


@af.workflow
def fails(text: str) -> None:
    raise ValueError(text)


@af.workflow
def waits_long() -> str:
    try:
        af.sleep(3600)
    finally:
        number(1)
    return "slept"


@af.workflow
async def waits_long_async() -> str:
    try:
        await af.timer(3600)
    finally:
        await number.submit(1)
    return "slept"


def test_a_workflow_outside_of_a_run_is_the_plain_function():
    @af.workflow(name="tests.plain")
    def plain(n: int) -> list[int]:
        return number(n)

    assert plain(3) == [3]


@pytest.mark.parametrize("workflow", [order, order_async], ids=["plain", "async"])
def test_a_signal_that_comes_before_the_wait_is_kept(begin, workflow):
    system = begin()
    run = system.start(workflow.options(id="run"), 5)
    assert run.signal(Approved("ann"), id="1") is True
    assert run.signal(Approved("eve"), id="1") is False
    assert run.result(timeout=LIMIT) == result_of(5)
    assert system.get_run("run").status == "completed"
    assert asyncio.run(awaited(run)) == result_of(5)
    assert {step.name.rpartition(".")[2] for step in run.steps} == {"noted", "number_async", "Approved", "timer"}
    assert run.signal(Approved("ann"), id="1") is False
    with pytest.raises(af.DefinitionError, match="is over"):
        run.signal(Approved("late"))


async def awaited(run):
    return await run


def test_an_id_is_one_run(begin):
    system = begin()
    run = system.start(fails.options(id="one"), "x")
    assert system.start(fails.options(id="one"), "x").id == run.id
    with pytest.raises(af.DefinitionError, match="with other arguments"):
        system.start(fails.options(id="one"), "y")
    with pytest.raises(af.DefinitionError, match="a run of tests.workflows.test_runs.fails"):
        system.start(catches.options(id="one"))
    with pytest.raises(af.RunFailed, match="ValueError: x") as caught:
        run.result(timeout=LIMIT)
    assert isinstance(caught.value.__cause__, ValueError)
    assert run.status == "failed"
    assert system.start("tests.workflows.test_runs.catches").result(timeout=LIMIT) == ["StepFailed", "Boom"]


def test_mistakes_are_named(begin):
    system = begin()
    for wrong, text in (
        (lambda: system.start(fails), "missing a required argument"),
        (lambda: system.start("no.such"), "import its module"),
        (lambda: system.start(number, 1), "@af.workflow"),
        (lambda: system.get_run("nobody").status, "no run nobody"),
        (lambda: system.get_run("nobody").signal(1), "no run nobody"),
        (lambda: system.get_run(""), "not empty"),
        (lambda: fails.options(idd="x"), "did you mean 'id'"),
        (lambda: fails.options(id="a\0b"), "NUL"),
        (lambda: number.submit(1), "for the body of a workflow"),
        (lambda: af.wait(Approved), "for the body of a workflow"),
        (lambda: af.gather(3), "give futures"),
    ):
        with pytest.raises(af.DefinitionError, match=text):
            wrong()
    with pytest.raises(af.PayloadError, match="arguments of"):
        system.start(fails, threading.Lock())


@pytest.mark.parametrize("workflow", [waits_long, waits_long_async], ids=["plain", "async"])
def test_a_cancelled_run_cleans_up_by_steps(begin, workflow):
    run = begin().start(workflow)
    assert run.cancel() is True
    with pytest.raises(af.RunCancelled):
        run.result(timeout=LIMIT)
    assert run.status == "cancelled"
    assert [step.name for step in run.steps] == ["tests.workflows.bodies.number"]
    assert run.cancel() is False


def test_a_run_is_signalled_and_awaited_from_another_node(begin, url):
    if url == "memory:":
        pytest.skip("it ends with its system")
    here, there = begin("here"), begin("there")
    run = here.start(order.options(id="run"), 2)
    far = there.get_run("run")
    far.signal(Approved("ann"))
    assert far.result(timeout=LIMIT) == run.result(timeout=LIMIT) == result_of(2)


@pytest.mark.parametrize("workflow", [order, order_async], ids=["plain", "async"])
def test_a_run_goes_on_in_another_system_when_its_own_has_ended(url, workflow):
    if url == "memory:":
        pytest.skip("it ends with its system")
    with af.ActorSystem("first", store=url) as system:
        run = system.start(workflow.options(id="run"), 2)
        until(lambda: len(run.steps) >= 3)
    with af.ActorSystem("second", store=url) as system:
        run = system.get_run("run")
        run.signal(Approved("ann"))
        assert run.result(timeout=LIMIT) == result_of(2)


def test_a_run_that_ends_at_once_is_not_begun_a_second_time():
    ran: list[int] = []

    @af.task(name="tests.counted")
    def counted() -> None:
        ran.append(1)

    @af.workflow(name="tests.counts")
    def counts() -> None:
        counted()

    for seed in range(20):
        ran.clear()
        with VirtualSystem("test", seed=seed) as system:
            system.queue("jobs", workers=2)
            system.start(counts).result()
            system.sleep(5)
        assert ran == [1], seed
