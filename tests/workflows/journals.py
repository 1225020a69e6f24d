"""Journals: runs that are cut after some of their records, and go on in a new system."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import actorflow as af
from actorflow.app.virtual import VirtualSystem
from actorflow.store.codec import encode
from actorflow.workflows.rows import ledger
from actorflow.workflows.rows.records import ASKED, READY, RunRecord
from actorflow.workflows.workflow import AnyWorkflow
from tests.workflows.bodies import SYSTEMS, Oracle


@contextmanager
def system(seed: int) -> Iterator[af.ActorSystem]:
    """A system in virtual time on a store of its own, whose time is always the same at its begin."""
    with VirtualSystem("test", seed=seed) as running:
        running.spawn(af.child(Oracle).options(name="oracle"))
        running.queue("jobs", workers=2)
        SYSTEMS[:] = [running]
        yield running


def cut_after(records: list[RunRecord], count: int) -> list[RunRecord]:
    """Return the first records, without those of asks that are under way then: in a new store nobody answers them."""
    kept = records[:count]
    over = {record.identity for record in kept if record.kind != ASKED}
    return [record for record in kept if record.kind != ASKED or record.identity in over]


def steps_of(records: list[RunRecord]) -> list[RunRecord]:
    """Return the records that say how a step has ended."""
    return [record for record in records if record.kind != ASKED]


def live(workflow: AnyWorkflow, seed: int) -> tuple[Any, list[RunRecord], float]:
    """Run a workflow to its end; return its result, its journal, and when it began."""
    with system(seed) as running:
        run = running.start(workflow.options(id="run"))
        result = run.result()
        row = running.store.read(lambda tx: tx.one("runs.get", {"name": "run"}))
        return result, running.store.read(lambda tx: ledger.records(tx, row[0])), row[19]


def replayed(
    workflow: AnyWorkflow, records: list[RunRecord], started: float, seed: int, look: Callable[[list[RunRecord]], None]
) -> Any:
    """Go on with a run that has these records, in a new system; `look` gets its journal at the end."""
    with system(seed) as running:
        store = running.store

        def put(transaction: Any) -> None:
            new = ledger.NewRun("run", workflow.name, encode([[], {}]))
            run = ledger.add(transaction, new, started, "dead")
            ledger.append(transaction, run, "dead", records)
            ledger.let_go(transaction, run, "dead", READY, "running")

        store.write(put)
        result = running.get_run("run").result()
        row = store.read(lambda tx: tx.one("runs.get", {"name": "run"}))
        look(store.read(lambda tx: ledger.records(tx, row[0])))
        return result
