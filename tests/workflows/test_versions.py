"""Versions: runs that were begun by other code, runs that begin anew, and runs that are started with a signal."""

from __future__ import annotations

import asyncio

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from actorflow.workflows.rows import ledger
from tests.workflows.bodies import Approved, number
from tests.workflows.test_children import LOG, log, waits

CODE = {"is new": False}


@pytest.fixture
def system():
    LOG.clear()
    CODE["is new"] = False
    with VirtualSystem(seed=11) as running:
        yield running


@af.workflow
def changes() -> list[object]:
    """Take another path in its middle, once its code is new."""
    number(1)
    path = "old"
    if CODE["is new"] and af.patched("new path"):
        log("new path")
        path = "new"
    else:
        log("old path")
    name = af.wait(Approved).name
    return [path, name, CODE["is new"] and af.patched("later")]


@af.workflow
def counts(n: int, seen: list[str]) -> list[object]:
    """Take one signal a turn."""
    key = af.uuid().hex
    number(n)
    name = af.wait(Approved).name
    if n < 3:
        af.continue_as_new(n + 1, seen=[*seen, name, key])
    return [n, seen, name]


@af.workflow
async def counts_async(n: int, seen: list[str]) -> list[object]:
    key = af.uuid().hex
    await number.submit(n)
    name = (await af.signal(Approved)).name
    if n < 3:
        af.continue_as_new(n + 1, seen=[*seen, name, key])
    return [n, seen, name]


@af.workflow
def turns_with_children(n: int) -> str:
    """Leave a child behind in each turn."""
    waits.submit(f"child {n}")
    number(n)
    af.sleep(1)
    if n < 2:
        af.continue_as_new(n + 1)
    return "end"


@af.workflow
async def continues_wrongly() -> list[str]:
    said: list[str] = []

    async def beside() -> None:
        try:
            af.continue_as_new()
        except af.DefinitionError as error:
            said.append(str(error)[:22])

    await asyncio.gather(beside())
    for arguments in ((1,), ()):
        try:
            af.continue_as_new(*arguments) if arguments else af.patched("")
        except af.DefinitionError as error:
            said.append(str(error)[-20:])
    return said


def unloaded(system, name):
    system.sleep(5)
    system.run_node.bodies[name].unload()
    system.sleep(5)
    assert name not in system.run_node.bodies


def journal_of(system, name):
    row = system.store.read(lambda tx: tx.one("runs.get", {"name": name}))
    return system.store.read(lambda tx: ledger.records(tx, row[0]))


def test_a_run_with_records_of_the_old_path_takes_that_and_later_changes_are_new(system):
    run = system.start(changes.options(id="r"))
    unloaded(system, "r")
    CODE["is new"] = True
    run.signal(Approved("ann"))
    assert run.result(timeout=60) == ["old", "ann", True]
    assert LOG == ["old path"]


def test_a_run_that_took_the_new_path_takes_it_in_each_replay(system):
    CODE["is new"] = True
    run = system.start(changes.options(id="r"))
    unloaded(system, "r")
    run.signal(Approved("ann"))
    assert run.result(timeout=60) == ["new", "ann", True]
    assert LOG == ["new path"]
    assert [step.name for step in run.steps] == [number.name, log.name, "signal tests.workflows.bodies.Approved"]


@pytest.mark.parametrize("workflow", [counts, counts_async], ids=["plain", "async"])
def test_a_run_that_continues_as_new_keeps_its_id_and_the_signals_that_it_has_not_taken(system, workflow):
    run = system.start(workflow.options(id="r"), 1, [])
    for name in ("a", "b", "c"):
        run.signal(Approved(name))
    n, seen, last = run.result(timeout=60)
    assert (n, seen[::2], last) == (3, ["a", "b"], "c")
    assert seen[1] != seen[3]  # each turn draws anew
    assert len(journal_of(system, "r")) == 2  # of the last turn
    assert run.status == "completed"


def test_the_children_of_a_turn_end_with_it(system):
    assert system.start(turns_with_children, 0).result(timeout=60) == "end"
    system.sleep(5)
    assert sorted(LOG) == ["child 0", "child 1", "child 2"]


def test_a_cancelled_run_does_not_begin_anew(system):
    run = system.start(counts.options(id="r"), 1, [])
    system.sleep(5)
    run.cancel()
    with pytest.raises(af.RunCancelled):
        run.result(timeout=60)


def test_wrong_calls_are_refused_at_once(system):
    assert len(system.start(continues_wrongly).result(timeout=60)) == 3
    for call in (lambda: af.patched("x"), lambda: af.continue_as_new()):
        with pytest.raises(af.DefinitionError, match="body of a workflow"):
            call()


def test_a_run_that_is_started_with_a_signal_has_it_once(system):
    for _ in range(2):
        run = system.start(waits.options(id="r", signal=Approved("first")), "a")
    assert run.result(timeout=60) == "first"
    assert system.start(waits.options(id="r", signal=Approved("first")), "a").result(timeout=60) == "first"


def test_a_signal_at_the_start_that_cannot_be_stored_starts_nothing(system):
    with pytest.raises(af.PayloadError):
        system.start(waits.options(id="r", signal=object()), "a")
    with pytest.raises(af.DefinitionError, match="no run"):
        assert system.get_run("r").status


@af.workflow
def starts_a_child_with_a_signal() -> str:
    return waits.options(signal=Approved("mum"))("child")


def test_a_child_is_started_with_a_signal(system):
    assert system.start(starts_a_child_with_a_signal).result(timeout=60) == "mum"
