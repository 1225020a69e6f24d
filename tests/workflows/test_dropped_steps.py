"""Dropped steps: of async code that is cancelled while it awaits them, as by `asyncio.timeout` or a lost race."""

from __future__ import annotations

import asyncio

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from actorflow.workflows.rows import ledger
from tests.workflows.bodies import Approved, number
from tests.workflows.journals import live, replayed

SEEN: list[str] = []


@af.task
async def slow(what: str) -> str:
    """Take an hour, and note whether it was cut."""
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        SEEN.append(what)
        raise
    return what


@af.task
async def quick(what: str) -> str:
    """Take a second."""
    await asyncio.sleep(1)
    return what


@af.workflow
async def nested_wait(n: int) -> int:
    """Wait for a signal for ever, as a child."""
    await af.signal(Approved)
    return n


@af.workflow
async def race() -> list[object]:
    """Have the first of two win, and cancel the other."""
    tasks = [asyncio.ensure_future(slow(name)) for name in ("a", "b")]
    tasks.append(asyncio.ensure_future(quick("c")))
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return [[task.result() for task in done], (await number.submit(1))]


@af.workflow
async def gathered() -> str:
    """Give up several at once, of which one has a limit of parallel ones."""
    try:
        async with asyncio.timeout(5):
            await af.gather(slow.submit("x"), slow.map(["y", "z"], limit=1))
    except TimeoutError:
        return "late"
    return "in time"


@af.workflow
async def children() -> str:
    """Give up a child."""
    try:
        async with asyncio.timeout(5):
            await nested_wait(1)
    except TimeoutError:
        await af.timer(1)
        return "late"
    return "in time"


@af.workflow
async def patient() -> list[str]:
    """Wait in vain for a signal, then wait for it again."""
    log: list[str] = []
    for seconds in (5, 100):
        try:
            async with asyncio.timeout(seconds):
                log.append((await af.signal(Approved)).name)
        except TimeoutError:
            log.append("late")
    return log


@af.workflow
async def renewing(turn: int) -> list[str]:
    """The same, but the second wait is in a new turn."""
    if turn:
        return [(await af.signal(Approved)).name]
    try:
        async with asyncio.timeout(5):
            await af.signal(Approved)
    except TimeoutError:
        af.continue_as_new(1)
    return []


def test_a_step_whose_wait_is_cancelled_is_ended():
    SEEN.clear()
    with VirtualSystem("test", seed=1) as system:
        began = system.now
        assert system.start(race).result() == [["c"], [1]]
        assert system.now - began < 60
    assert sorted(SEEN) == ["a", "b"]


def test_a_gathering_that_is_cancelled_ends_its_steps_and_begins_no_more():
    SEEN.clear()
    with VirtualSystem("test", seed=1) as system:
        assert system.start(gathered).result() == "late"
        assert system.now < 60
    assert sorted(SEEN) == ["x", "y"]


def test_a_child_whose_wait_is_cancelled_is_cancelled():
    with VirtualSystem("test", seed=1) as system:
        assert system.start(children).result() == "late"
        assert [run.status for run in system.runs(nested_wait)] == ["cancelled"]


@pytest.mark.parametrize("workflow", [race, gathered, children], ids=lambda one: one.function.__name__)
def test_steps_that_were_ended_are_so_wherever_the_run_is_cut(workflow):
    result, records, started = live(workflow, 3)
    for cut in range(len(records) + 1):
        kept = records[:cut]

        def look(journal, kept=kept):
            assert journal[: len(kept)] == kept

        assert replayed(workflow, kept, started, cut, look) == result


@pytest.mark.parametrize("seed", range(5))
def test_a_wait_for_a_signal_that_is_cancelled_takes_none(seed):
    with VirtualSystem("test", seed=seed) as system:
        run = system.start(patient)
        system.sleep(10)
        run.signal(Approved("ann"))
        assert run.result() == ["late", "ann"]


def with_signal_at_the_end(workflow, *args):
    """Run a workflow that gets a signal in the moment when its time is over, but before it hears of that."""
    with VirtualSystem("test") as system:
        run = system.get_run("run")
        system.scheduler.call_later(5, lambda: run.signal(Approved("ann")))
        system.start(workflow.options(id="run"), *args)
        result = run.result(timeout=1000)
        row = system.store.read(lambda tx: tx.one("runs.get", {"name": "run"}))
        return result, system.store.read(lambda tx: ledger.records(tx, row[0])), row[19]


def test_a_signal_that_comes_when_nobody_waits_any_more_is_for_the_next_wait():
    result, records, started = with_signal_at_the_end(patient)
    assert result == ["late", "ann"]
    waits = [place for place, record in enumerate(records) if record.identity[1].startswith("signal")]
    assert [records[place].attempt for place in waits] == [1, 2]
    for cut in range(waits[0] + 1, len(records) + 1):  # it is in the records from there on
        assert replayed(patient, records[:cut], started, cut, lambda _journal: None) == result


def test_a_signal_that_comes_when_nobody_waits_any_more_is_there_in_a_new_turn():
    result, records, _started = with_signal_at_the_end(renewing, 0)
    assert result == ["ann"]
    assert len(records) == 1
