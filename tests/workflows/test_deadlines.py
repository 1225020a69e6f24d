"""Deadlines: a run is cancelled once its time is over, wherever it is."""

from __future__ import annotations

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.workflows.bodies import Approved, number
from tests.workflows.test_children import LOG, holds, log, waits, waits_async


@pytest.fixture
def system():
    LOG.clear()
    with VirtualSystem(seed=7) as running:
        yield running


@af.workflow
def quick() -> list[int]:
    return number(1)


@af.workflow
def hurries_a_child() -> str:
    """Give a child less time than it takes."""
    try:
        return waits.options(id="child", deadline=10)("child")
    except af.RunCancelled as error:
        log(str(error))
        return "late"


@pytest.mark.parametrize("workflow", [waits, waits_async], ids=["plain", "async"])
def test_a_run_is_cancelled_when_its_deadline_passes(system, workflow):
    run = system.start(workflow.options(deadline=100), "a")
    system.sleep(99)
    assert run.status == "running"
    with pytest.raises(af.RunCancelled, match="deadline has passed"):
        run.result(timeout=60)
    assert (run.status, LOG) == ("cancelled", ["a"])


@pytest.mark.parametrize("workflow", [waits, waits_async], ids=["plain", "async"])
def test_a_deadline_passes_while_a_run_waits_unloaded(system, workflow):
    run = system.start(workflow.options(id="r", deadline=1000), "a")
    system.sleep(5)
    system.run_node.bodies["r"].unload()
    system.sleep(5)
    assert "r" not in system.run_node.bodies
    system.sleep(980)
    assert run.status == "running"
    with pytest.raises(af.RunCancelled, match="deadline has passed"):
        run.result(timeout=120)


def test_a_run_that_ends_in_time_does_not_hear_of_its_deadline(system):
    run = system.start(quick.options(deadline=5))
    system.sleep(20)
    assert run.result(timeout=60) == [1]


def test_a_child_has_a_deadline_of_its_own(system):
    assert system.start(hurries_a_child).result(timeout=60) == "late"
    assert system.get_run("child").status == "cancelled"


def test_the_deadline_of_a_parent_cancels_its_children(system):
    run = system.start(holds.options(deadline=10), "cancel", "child")
    with pytest.raises(af.RunCancelled):
        run.result(timeout=60)
    system.sleep(5)
    assert (system.get_run("child").status, LOG) == ("cancelled", ["child"])


def test_two_cancels_are_one(system):
    run = system.start(waits, "a")
    system.sleep(2)
    run.cancel()
    run.cancel()
    with pytest.raises(af.RunCancelled):
        run.result(timeout=60)
    assert LOG == ["a"]
    with pytest.raises(af.DefinitionError):
        run.signal(Approved("late"))
