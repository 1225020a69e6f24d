"""Journals: runs that are cut after some of their records, and go on in a new system."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import actorflow as af
from actorflow.app.virtual import VirtualSystem
from actorflow.store.codec import encode
from actorflow.workflows.rows import ledger
from actorflow.workflows.rows.records import READY, RunRecord
from actorflow.workflows.workflow import AnyWorkflow


@contextmanager
def system(seed: int) -> Iterator[af.ActorSystem]:
    """A system in virtual time on a store of its own, whose time is always the same at its begin."""
    with VirtualSystem("test", seed=seed) as running:
        yield running


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
