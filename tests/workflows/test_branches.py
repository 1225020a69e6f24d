"""Branches: several steps as one line of code beside others; one at a time goes on."""

from __future__ import annotations

import itertools
import logging

import pytest

import actorflow as af
from actorflow.testing import LeakCheck, VirtualSystem
from tests.workflows.bodies import Approved, number

LOG: list[object] = []


@pytest.fixture
def system():
    LOG.clear()
    with LeakCheck(), VirtualSystem(seed=5) as running:
        yield running


@af.task
def log(text: object) -> object:
    LOG.append(text)
    return text


@af.task
def slow(n: int, seconds: float) -> int:
    return n


@af.workflow
def shares() -> list[object]:
    """Have branches change one list; each goes on alone until it waits."""
    seen: list[object] = []

    def leg(k: int) -> int:
        seen.append(("in", k))
        seen.append(("still", k))
        number(k)
        seen.append(("out", k))
        return k

    legs = [af.branch(leg, k) for k in range(3)]
    assert seen == []
    return [[leg.get() for leg in legs], seen]


@af.workflow
def two_of_three() -> list[int]:
    """Go on with the first two."""

    def leg(k: int) -> int:
        af.sleep(k)
        return k

    legs = [af.branch(leg, k) for k in (30, 10, 20)]
    first = [future.get() for future in itertools.islice(af.as_completed(legs), 2)]
    assert not legs[0].done()
    return first


@af.workflow
def fails() -> None:
    def leg(k: int) -> None:
        try:
            af.wait(Approved)
        finally:
            log(k)

    af.branch(leg, 1)
    af.branch(leg, 2)
    number(3)
    raise ValueError("the function")


@af.workflow
async def fails_async() -> None:
    async def leg(k: int) -> None:
        try:
            await af.signal(Approved)
        finally:
            await log.submit(k)

    af.branch(leg, 1)
    af.branch(leg, 2)
    await number.submit(3)
    raise ValueError("the function")


@af.workflow
def holds() -> str:
    def leg(k: int) -> None:
        try:
            af.wait(Approved)
        finally:
            log(k)
            number(k)

    legs = [af.branch(leg, k) for k in (1, 2)]
    try:
        for one in legs:
            one.get()
    finally:
        log("main")
    return "no"


@af.workflow
async def holds_async() -> str:
    async def leg(k: int) -> None:
        try:
            await af.signal(Approved)
        finally:
            await log.submit(k)

    legs = [af.branch(leg, k) for k in (1, 2)]
    try:
        await af.gather(legs)
    finally:
        await log.submit("main")
    return "no"


@af.workflow
def loses_an_error() -> str:
    def leg() -> None:
        number(1)
        raise ValueError("nobody asks")

    af.branch(leg)
    return "done"


@af.workflow
async def loses_an_error_async() -> str:
    async def leg() -> None:
        await number.submit(1)
        raise ValueError("nobody asks")

    af.branch(leg)
    return "done"


@af.workflow
def gets_an_error() -> str:
    def leg() -> None:
        number(1)
        raise ValueError("of a leg")

    try:
        af.branch(leg).get()
    except ValueError as error:
        return str(error)
    return "none"


@af.workflow
def misuses() -> list[str]:
    async def leg() -> None: ...

    said = []
    for act in (lambda: af.branch(leg), lambda: af.branch(3), lambda: af.as_completed([3])):
        try:
            act()
        except af.DefinitionError as error:
            said.append(str(error)[:30])
    return said


def test_branches_take_turns_in_the_order_in_which_they_were_begun(system):
    results, seen = system.start(shares).result(timeout=60)
    assert results == [0, 1, 2]
    assert seen[:6] == [("in", 0), ("still", 0), ("in", 1), ("still", 1), ("in", 2), ("still", 2)]
    assert sorted(seen[6:]) == [("out", 0), ("out", 1), ("out", 2)]


def test_the_first_n_of_m_are_a_slice_of_as_completed(system):
    assert system.start(two_of_three).result(timeout=60) == [10, 20]


@pytest.mark.parametrize("workflow", [fails, fails_async], ids=["plain", "async"])
def test_branches_are_cancelled_when_their_function_fails(system, workflow):
    with pytest.raises(af.RunFailed, match="the function"):
        system.start(workflow).result(timeout=60)
    assert sorted(LOG) == [1, 2]


@pytest.mark.parametrize("workflow", [holds, holds_async], ids=["plain", "async"])
def test_a_cancel_reaches_each_branch_once(system, workflow):
    run = system.start(workflow)
    system.sleep(5)
    run.cancel()
    with pytest.raises(af.RunCancelled):
        run.result(timeout=60)
    assert sorted(map(str, LOG)) == ["1", "2", "main"]


@pytest.mark.parametrize("workflow", [loses_an_error, loses_an_error_async], ids=["plain", "async"])
def test_the_error_of_a_branch_that_nobody_asks_for_is_logged(system, workflow, caplog):
    with caplog.at_level(logging.ERROR, "actorflow"):
        assert system.start(workflow).result(timeout=60) == "done"
    assert "a branch failed: ValueError: nobody asks" in caplog.text


def test_the_error_of_a_branch_is_raised_where_it_is_asked_for(system):
    assert system.start(gets_an_error).result(timeout=60) == "of a leg"


def test_wrong_branches_are_refused_at_once(system):
    assert len(system.start(misuses).result(timeout=60)) == 3
    with pytest.raises(af.DefinitionError, match="body of a workflow"):
        af.branch(print)


def test_a_run_with_branches_is_unloaded_and_goes_on(system):
    run = system.start(holds.options(id="r"))
    system.sleep(5)
    system.run_node.bodies["r"].unload()
    system.sleep(5)
    assert run.status == "running"
    run.signal(Approved("a"))
    run.signal(Approved("b"))
    assert run.result(timeout=60) == "no"
