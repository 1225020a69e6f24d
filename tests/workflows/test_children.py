"""Children: runs that the body of another starts: their results, their errors, and what the end of either means."""

from __future__ import annotations

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem, check_replay
from tests.workflows.bodies import Approved, doubled, factorial, number

LOG: list[str] = []


@pytest.fixture
def system():
    LOG.clear()
    with VirtualSystem(seed=3) as running:
        yield running


@af.task
def log(text: str) -> None:
    """Note a text."""
    LOG.append(text)


class CardRefused(Exception):
    """The error that the task of a child declares."""


class Undeclared(Exception):
    """The error that no task declares."""


@af.task(raises=CardRefused)
def charge(card: str) -> None:
    """Refuse a card."""
    raise CardRefused(card)


@af.workflow
def pay(card: str, way: str) -> None:
    """Fail by the error of a step, by one of its own, or by that of a child."""
    if way == "child":
        pay(card, "step")
    if way == "own":
        raise Undeclared(card)
    charge(card)


@af.workflow
def buy(card: str, way: str) -> list[str]:
    """Tell of the error of a child, before and after a step."""
    try:
        pay(card, way)
    except af.RunFailed as error:
        number(1)
        return [repr(error.__cause__)]
    return []


@af.workflow
def waits(name: str) -> str:
    """Wait for a signal, and clean up by a step."""
    try:
        return af.wait(Approved).name
    finally:
        log(name)


@af.workflow
async def waits_async(name: str) -> str:
    try:
        return (await af.signal(Approved)).name
    finally:
        await log.submit(name)


@af.workflow
def leaves(policy: str, name: str) -> str:
    """End while a child is under way."""
    waits.options(id=name, on_parent_close=policy).submit(name)
    number(1)
    af.sleep(1)
    return "left"


@af.workflow
async def leaves_async(policy: str, name: str) -> str:
    waits_async.options(id=name, on_parent_close=policy).submit(name)
    await af.timer(1)
    return "left"


@af.workflow
def holds(policy: str, name: str) -> str:
    """Wait for a child."""
    return waits.options(id=name, on_parent_close=policy).submit(name).get()


@af.workflow
async def holds_async(policy: str, name: str) -> str:
    return await waits_async.options(id=name, on_parent_close=policy)(name)


@af.workflow
def takes(id: str) -> str:
    """Have a child of an id that is another's."""
    try:
        return factorial.options(id=id)(3)
    except af.RunFailed as error:
        return str(error)


@af.workflow
def calls_wrongly() -> list[str]:
    said = []
    for act in (lambda: doubled(1), lambda: factorial.submit(1, 2), lambda: factorial.submit(object())):
        try:
            act()
        except af.ActorflowError as error:
            said.append(type(error).__name__)
    return said


@af.workflow
async def calls_wrongly_async() -> str:
    try:
        factorial(3)
    except af.DefinitionError as error:
        return str(error)
    return "none"


both = pytest.mark.parametrize("kind", ["", "_async"])


def flow(name, kind):
    return globals()[name + kind]


def test_a_workflow_that_calls_itself_deeply_ends(system):
    assert system.start(factorial, 200).result(timeout=600) > 10**300


def test_a_child_has_an_id_that_follows_from_its_step(system):
    assert system.start(factorial.options(id="f"), 2).result(timeout=60) == 2
    child = system.get_run(f"f/0/{factorial.name}/1")
    assert (child.status, child.result(timeout=60)) == ("completed", 1)


@both
def test_a_child_whose_parent_ends_is_cancelled(system, kind):
    run = system.start(flow("leaves", kind), "cancel", "child")
    assert run.result(timeout=60) == "left"
    with pytest.raises(af.RunCancelled):
        system.get_run("child").result(timeout=60)
    assert LOG == ["child"]


@both
def test_an_abandoned_child_goes_on_after_its_parent(system, kind):
    assert system.start(flow("leaves", kind), "abandon", "child").result(timeout=60) == "left"
    child = system.get_run("child")
    assert child.status == "running"
    child.signal(Approved("ann"))
    assert child.result(timeout=60) == "ann"


@both
def test_a_parent_that_waits_ends_after_its_child(system, kind):
    run = system.start(flow("leaves", kind), "wait", "child")
    system.sleep(50)
    assert run.status == "running"
    system.get_run("child").signal(Approved("ann"))
    assert run.result(timeout=60) == "left"
    assert system.get_run("child").status == "completed"


@both
@pytest.mark.parametrize("policy", ["cancel", "wait", "abandon"])
def test_a_cancel_of_the_parent_cancels_its_children_but_not_abandoned_ones(system, kind, policy):
    run = system.start(flow("holds", kind), policy, "child")
    system.sleep(5)
    run.cancel()
    with pytest.raises(af.RunCancelled):
        run.result(timeout=60)
    system.sleep(5)
    assert system.get_run("child").status == ("running" if policy == "abandon" else "cancelled")
    assert (run.status, LOG) == ("cancelled", [] if policy == "abandon" else ["child"])


@both
def test_a_parent_hears_that_its_child_was_cancelled(system, kind):
    run = system.start(flow("holds", kind), "cancel", "child")
    system.sleep(5)
    system.get_run("child").cancel()
    with pytest.raises(af.RunFailed, match="child was cancelled"):
        run.result(timeout=60)


def test_a_child_with_the_id_of_another_run_fails_by_name(system):
    system.start(factorial.options(id="mine"), 2).result(timeout=60)
    assert "'mine' is there already" in system.start(takes, "mine").result(timeout=60)


def test_wrong_calls_of_children_are_refused_at_once(system):
    assert system.start(calls_wrongly).result(timeout=60) == ["DefinitionError", "DefinitionError", "PayloadError"]
    assert "await factorial.submit(...)" in system.start(calls_wrongly_async).result(timeout=60)
    with pytest.raises(af.DefinitionError, match="system.start"):
        factorial.submit(3)
    with pytest.raises(af.DefinitionError, match="on_parent_close"):
        factorial.options(on_parent_close="none")


def test_outside_of_runs_workflows_are_plain_functions():
    assert factorial(5) == 120


@af.workflow
def leaves_one(how: str) -> str:
    """Start a child that goes on by itself, and end at once."""
    noted_child.options(on_parent_close="abandon", id="left").submit(how)
    if how == "fails":
        raise ValueError(how)
    return how


@af.workflow
async def leaves_one_async(how: str) -> str:
    """The same, async."""
    noted_child.options(on_parent_close="abandon", id="left").submit(how)
    if how == "fails":
        raise ValueError(how)
    return how


@af.workflow
def noted_child(how: str) -> str:
    """Sleep, and say that it was there."""
    af.sleep(60)
    return f"child of one that {how}"


@pytest.mark.parametrize("workflow", [leaves_one, leaves_one_async], ids=["plain", "async"])
@pytest.mark.parametrize("how", ["returns", "fails"])
def test_a_child_that_goes_on_by_itself_is_there_though_its_parent_ends_at_once(workflow, how):
    with VirtualSystem("test", seed=1) as system:
        run = system.start(workflow, how)
        try:
            run.result()
        except af.RunFailed:
            assert how == "fails"
        assert system.get_run("left").result() == f"child of one that {how}"


@pytest.mark.parametrize(("way", "cause"), [("step", "CardRefused('7')"), ("own", "None")])
def test_a_declared_error_of_a_child_is_the_cause_of_its_failure(system, way, cause):
    run = system.start(buy, "7", way)
    assert run.result(timeout=100) == [cause]
    check_replay(buy, system.runs().export(run.id))


def test_a_declared_error_is_the_cause_of_the_failure_of_a_run(system):
    run = system.start(pay, "7", "step")
    with pytest.raises(af.RunFailed, match="CardRefused: 7") as caught:
        run.result(timeout=100)
    assert repr(caught.value.__cause__) == "CardRefused('7')"
    assert repr(run.steps[0].error) == "CardRefused('7')"


def test_the_failure_of_a_child_is_the_cause_of_the_failure_of_its_parent(system):
    run = system.start(pay, "7", "child")
    with pytest.raises(af.RunFailed) as caught:
        run.result(timeout=100)
    cause = caught.value.__cause__
    assert isinstance(cause, af.RunFailed)
    assert cause.why == "CardRefused: 7"
    assert cause.run.startswith(run.id)
