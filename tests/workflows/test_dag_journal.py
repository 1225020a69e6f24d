"""The journal of a DAG's run: cut after any record, a run goes on from there, and runs no recorded node again."""

from __future__ import annotations

import contextlib
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import actorflow as af
from actorflow.workflows.dag.journal import NodeRecord, PastRun
from actorflow.workflows.dag.memory_run import start_dag
from actorflow.workflows.dag.table import Try

from .dag_model import Model, random_nodes
from .tasks import add, double, fail, later, numbers, one
from .test_dag_model import counts, dag_of

WAIT = 60.0


class Records(list[NodeRecord]):
    """A journal in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}
        self.tries: dict[str, list[Try]] = {}

    def write(self, record: NodeRecord, /) -> NodeRecord | None:
        self.append(record)
        return record

    def note_try(self, name: str, attempt: int, failure: Try, /) -> None:
        self.tries.setdefault(name, []).append(failure)
        assert len(self.tries[name]) == attempt

    def note_count(self, name: str, count: int, /) -> None:
        self.counts[name] = count


def run_of(system: af.ActorSystem, dag: af.Dag, journal: Records, records: list[NodeRecord]) -> af.Run[af.Results]:
    run = start_dag(system, dag, journal, PastRun(records, {}, journal.counts))
    with contextlib.suppress(af.RunFailed):
        run.result(timeout=WAIT)
    return run


def told(run: af.Run[af.Results]) -> list[tuple[object, ...]]:
    return sorted((step.name, step.status, repr(step.result), repr(step.error), step.attempts) for step in run.steps)


def everything() -> af.Dag:
    """A DAG with nodes of all kinds."""
    inner = af.Dag("inner")
    two = inner.add(double, 1)
    inner.add(double, two)
    dag = af.Dag("everything")
    first = dag.add(one)
    items = dag.add(numbers, 3)
    mapped = dag.map(double, items, limit=2)
    looped = dag.loop(double, first, until=lambda n: n > 10, limit=9)
    nested = dag.add(inner, after=[mapped])
    out = dag.add(double, looped, when=lambda r: r[looped] < 10, name="out")
    handled = dag.add(fail, "7", on_failure=lambda error: int(str(error)), name="handled")
    ignored = dag.add(fail, "x", on_failure="ignore", after=[nested], name="ignored")
    dag.gather([first, handled, out], join=2, name="some")
    dag.add(add, handled, ignored, default=5, after=[out], name="sum")
    bad = dag.add(fail.options(retry=af.Retry(2, af.Backoff(0.001))), "bad", name="bad")
    dag.map(double, dag.gather([bad, handled]), name="never")
    empty = dag.map(double, dag.add(numbers, 0), name="empty")
    dag.add(later, 0.001, 3, after=[empty], name="last")
    return dag


def test_a_run_that_is_cut_after_any_record_goes_on_with_the_same_result(any_system):
    dag = everything()
    journal = Records()
    whole = told(run_of(any_system, dag, journal, []))
    names = [record.name for record in journal]
    assert len(names) == len(set(names))
    assert {"double[2]", "inner/double-2", "out", "handled", "ignored", "bad", "last"} <= set(names)
    for cut in range(len(journal) + 1):
        rest = Records()
        rest.counts.update(journal.counts)
        assert told(run_of(any_system, dag, rest, journal[:cut])) == whole
        assert sorted(record.name for record in [*journal[:cut], *rest]) == sorted(names)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 60), cut=st.floats(0, 1))
def test_random_dags_that_are_cut_anywhere_end_as_the_model_says(seed, count, cut):
    nodes = random_nodes(random.Random(seed), count, timed=False)
    model = Model(nodes)
    counts.clear()
    with af.ActorSystem("test") as system:
        dag = dag_of("cut", nodes, timed=False).options(workers=3)
        journal = Records()
        run_of(system, dag, journal, [])
        before = Counter(counts)
        kept = journal[: round(cut * len(journal))]
        counts.clear()
        run = run_of(system, dag, Records(), kept)
    assert [step.status for step in run.steps] == model.status
    again = {int(record.name) for record in kept} & {i for _, i in counts}
    assert again == set()
    assert all(before[key] == number for key, number in counts.items())


def test_records_of_another_dag_are_refused(any_system):
    dag = af.Dag("changed")
    dag.add(one)
    for name in ("two", "one[3]"):
        run = start_dag(any_system, dag, Records(), PastRun([NodeRecord(name, "completed", 2)]))
        with pytest.raises(af.NonDeterministic, match=f"the end of node {name}".replace("[", r"\[")):
            run.result(timeout=WAIT)
        assert run.status == "failed"
    dag.add(double, "one", after=["one"], name="behind")
    run = start_dag(any_system, dag, Records(), PastRun([NodeRecord("behind", "completed", 2)]))
    with pytest.raises(af.NonDeterministic):
        run.result(timeout=WAIT)


def test_an_end_that_cannot_be_recorded_ends_the_run_and_nothing_follows_from_it(any_system):
    class Broken(Records):
        def write(self, record: NodeRecord, /) -> None:
            raise af.StoreError("the disk is full")

    dag = af.Dag("broken")
    dag.add(double, dag.add(one))
    run = start_dag(any_system, dag, Broken())
    with pytest.raises(af.StoreError, match="the disk is full"):
        run.result(timeout=WAIT)
    assert [step.status for step in run.steps] == ["cancelled", "cancelled"]
