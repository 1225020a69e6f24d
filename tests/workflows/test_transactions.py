"""Promises: a step's writes by `af.current().transaction()` and its record are one commit, in the journal's order."""

from __future__ import annotations

import logging

import pytest

import actorflow as af
from actorflow.errors import OutcomeUnknown
from actorflow.store.open_transaction import OpenTransaction
from actorflow.testing import VirtualSystem
from tests.workflows.bodies import number
from tests.workflows.journals import live, replayed


@af.task(retry=af.Retry(3, af.Backoff(0.1)))
def stored(n: int, fails: int = 0) -> int:
    """Write a row, and fail the first times."""
    with af.current().transaction() as connection:
        connection.execute("create table if not exists seen (key text, attempt integer)")
        connection.execute("insert into seen values (?, ?)", (af.current().key, af.current().attempt))
    if af.current().attempt <= fails:
        raise ValueError("not yet")
    return n


@af.workflow
def stores() -> list[object]:
    first = stored(1)
    beside = [number.submit(n) for n in range(3)]
    two = af.gather(stored.submit(2), number.submit(9), stored.submit(3, 1)).get()
    return [first, [*two], [one.get() for one in beside], stored(4)]


@af.workflow
async def stores_async() -> list[object]:
    beside = [number.submit(n) for n in range(3)]
    two = await af.gather(stored.submit(2), number.submit(9), stored.submit(3, 1))
    return [[*two], [await one for one in beside], await stored.submit(4)]


BOTH = pytest.mark.parametrize("workflow", [stores, stores_async], ids=["plain", "async"])


def keys_in(system: VirtualSystem) -> list[str]:
    """Return the keys of the steps that have written."""
    held = system.store.hold()
    try:
        return [key for (key,) in held.connection.execute("select key from seen").fetchall()]
    finally:
        held.rollback()


@BOTH
@pytest.mark.parametrize("seed", range(5))
def test_a_step_that_writes_has_one_record_and_one_effect(workflow, seed):
    with VirtualSystem(seed=seed) as system:
        run = system.start(workflow)
        result = run.result(timeout=60)
        assert result[-1] == 4
        steps = [(step.branch, step.name, step.occurrence) for step in run.steps]
        assert len(steps) == len(set(steps))
        keys = keys_in(system)
    assert len(keys) == len(set(keys)) == (4 if workflow is stores else 3)


@BOTH
@pytest.mark.parametrize("seed", range(3))
def test_a_run_with_steps_that_write_goes_on_after_each_record(workflow, seed):
    result, records, started = live(workflow, seed)
    for cut in range(len(records) + 1):
        kept = records[:cut]

        def look(journal, kept=kept):
            assert journal[: len(kept)] == kept

        again = replayed(workflow, kept, started, 100 * seed + cut, look)
        assert again == result


@BOTH
@pytest.mark.parametrize("is_made", [False, True], ids=["not made", "made"])
def test_a_commit_of_a_step_whose_end_nobody_knows_is_looked_for(workflow, is_made, monkeypatch, caplog):
    caplog.set_level(logging.CRITICAL, "actorflow")
    with VirtualSystem(seed=1) as system:
        run = system.start(workflow)
        commit, failed = OpenTransaction.commit, []

        def unknown(self):
            if failed:
                commit(self)
                return
            failed.append(1)
            commit(self) if is_made else self.rollback()
            raise OutcomeUnknown("nobody knows")

        monkeypatch.setattr(OpenTransaction, "commit", unknown)
        assert run.result(timeout=120)[-1] == 4
        assert failed
        keys = keys_in(system)
        assert len(keys) == len(set(keys)) == (4 if workflow is stores else 3)
