"""Trying again: runs that go on from an earlier place, as themselves or as a copy."""

from __future__ import annotations

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.workflows.bodies import Approved
from tests.workflows.test_children import LOG, waits

BROKEN: set[str] = set()


@pytest.fixture
def system():
    LOG.clear()
    BROKEN.clear()
    with VirtualSystem(seed=13) as running:
        yield running


@af.task
def act(name: str) -> str:
    LOG.append(name)
    if name in BROKEN:
        raise ValueError(name)
    return name


@af.task
def last(name: str) -> str:
    LOG.append(name)
    return name


@af.workflow
def three(extra: str) -> list[object]:
    drawn = af.random().random()
    return [act("a"), act("b"), last("c"), extra, drawn, af.uuid().hex]


@af.workflow
def outer() -> list[object]:
    return [act("before"), three("child"), act("after")]


def failed(system, workflow, *args):
    run = system.start(workflow, *args)
    with pytest.raises(af.RunFailed):
        run.result(timeout=60)
    return run


def test_a_run_that_failed_goes_on_from_the_step_that_failed(system):
    BROKEN.add("b")
    run = failed(system, three, "x")
    assert LOG == ["a", "b"]
    BROKEN.clear()
    run.retry()
    assert run.result(timeout=60)[:4] == ["a", "b", "c", "x"]
    assert LOG == ["a", "b", "b", "c"]
    assert run.status == "completed"


def test_a_run_goes_on_from_a_step_by_name(system):
    run = system.start(three, "x")
    before = run.result(timeout=60)
    with pytest.raises(af.DefinitionError, match="is completed"):
        run.retry()
    run.retry(from_="last")
    assert run.result(timeout=60) == before
    assert LOG == ["a", "b", "c", "c"]
    with pytest.raises(af.DefinitionError, match="has no step 'none'"):
        run.retry(from_="none")


def test_a_run_that_is_under_way_is_not_tried_again(system):
    run = system.start(waits, "a")
    system.sleep(5)
    with pytest.raises(af.DefinitionError, match="is running"):
        run.retry()
    with pytest.raises(af.DefinitionError, match="no run"):
        system.get_run("nobody").retry()
    with pytest.raises(af.DefinitionError, match="no run"):
        system.get_run("nobody").fork(step="act")


def test_a_cancelled_run_goes_on_from_the_cancel(system):
    run = system.start(waits, "a")
    system.sleep(5)
    run.cancel()
    with pytest.raises(af.RunCancelled):
        run.result(timeout=60)
    run.retry()
    system.sleep(5)
    run.signal(Approved("ann"))
    assert run.result(timeout=60) == "ann"


def test_a_child_that_failed_is_tried_again_with_its_parent(system):
    BROKEN.add("b")
    run = failed(system, outer)
    BROKEN.clear()
    run.retry()
    result = run.result(timeout=60)
    assert (result[0], result[1][:4], result[2]) == ("before", ["a", "b", "c", "child"], "after")
    assert LOG == ["before", "a", "b", "b", "c", "after"]


def test_a_fork_has_the_results_before_a_step_and_the_first_run_stays(system):
    run = system.start(three.options(id="first"), "x")
    before = run.result(timeout=60)
    fork = run.fork(step="last", id="second")
    assert fork.result(timeout=60) == before  # the same draws, too
    assert LOG == ["a", "b", "c", "c"]
    assert [step.name for step in run.steps] == [step.name for step in fork.steps]
    assert run.fork().result(timeout=60)[:4] == before[:4]
    assert LOG[4:] == ["a", "b", "c"]
    with pytest.raises(af.DefinitionError, match="there already"):
        run.fork(step="last", id="second")
