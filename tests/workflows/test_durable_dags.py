"""Promises: a durable run of a DAG goes on where it was, runs no recorded node again, and ends as if never cut."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import pickle
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import actorflow as af
from actorflow.core.drivers.world import World
from actorflow.store.codec import encode
from actorflow.testing import LeakCheck, VirtualSystem, check_replay
from actorflow.workflows.dag.durable_dag import DurableDag
from actorflow.workflows.opening import node_of
from actorflow.workflows.rows import ledger
from actorflow.workflows.rows.records import ATTEMPT, READY, RunRecord
from actorflow.workflows.workflow import WORKFLOWS
from tests.outcomes.faulty import faults
from tests.workflows.test_kills import sleeps_through
from tests.workflows.test_unknown import insist

from . import tasks
from .dag_model import Model, random_nodes
from .tasks import add, double, fail, later, note, numbers, one, square
from .test_dag_model import counts, dag_of

WAIT = 60.0
SEEDS = int(os.environ.get("ACTORFLOW_UNKNOWN", "24"))
BEGUN: list[str] = []


@pytest.fixture(autouse=True)
def _known_dags_are_forgotten() -> Iterator[None]:
    before = dict(WORKFLOWS)
    BEGUN.clear()
    yield
    WORKFLOWS.clear()
    WORKFLOWS.update(before)


@af.task
def noted(n: int) -> int:
    """Note that it was run, and return twice the number."""
    BEGUN.append(af.current().key)
    return 2 * n


def of_all_kinds() -> af.Dag:
    """Nodes of all kinds that a kill may cut, of which each notes that it ran."""
    inner = af.Dag("inner")
    inner.add(noted, inner.add(noted, 1))
    dag = af.Dag("kinds", durable=True, workers=3)
    first = dag.add(noted, 1)
    items = dag.add(numbers, 3)
    mapped = dag.map(noted, items, limit=2)
    looped = dag.loop(noted, first, until=lambda n: n > 10, limit=9)
    nested = dag.add(inner, after=[mapped])
    out = dag.add(noted, looped, when=lambda r: r[looped] < 10, name="out")
    handled = dag.add(fail, "7", on_failure=lambda error: int(str(error)), name="handled")
    dag.add(fail, "x", on_failure="ignore", after=[nested], name="ignored")
    dag.gather([first, handled, out], join=2, name="some")
    bad = dag.add(fail.options(retry=af.Retry(3, af.Backoff(0.3, factor=1, jitter=0))), "bad", name="bad")
    dag.add(noted, bad, name="never")
    dag.add(later, 0.2, 3, after=[out], name="last")
    return dag


def told(run: af.Run[Any]) -> list[tuple[object, ...]]:
    return sorted((step.name, step.status, repr(step.result), step.attempts) for step in run.steps)


def journal_of(system: af.ActorSystem, id: str) -> list[RunRecord]:
    row = system.store.read(lambda tx: tx.one("runs.get", {"name": id}))
    return system.store.read(lambda tx: ledger.records(tx, row[0]))


def ended(run: af.Run[Any]) -> str:
    with contextlib.suppress(af.RunFailed, af.RunCancelled):
        run.result(timeout=WAIT)
    return run.status


def put(system: af.ActorSystem, dag: af.Dag, records: list[RunRecord]) -> af.Run[Any]:
    """Have a run that has these records, and that nobody has."""

    def work(transaction: Any) -> None:
        new = ledger.NewRun("cut", dag.name, encode(dag.as_workflow().given((), {})))
        run = ledger.add(transaction, new, system.store.now(), "dead")
        ledger.append(transaction, run, "dead", records)
        ledger.let_go(transaction, run, "dead", READY, "running")

    system.store.write(work)
    if system.run_node is not None:
        system.run_node.look()
    return system.get_run("cut")


def test_a_run_that_is_cut_after_any_record_goes_on_and_runs_no_recorded_node_again():
    dag = of_all_kinds()
    with VirtualSystem("test", seed=1) as system:
        run = system.start(dag.options(id="whole"))
        assert ended(run) == "failed"
        whole, journal, keys = told(run), journal_of(system, "whole"), Counter(BEGUN)
    assert max(keys.values()) == 1
    names = {record.identity[1] for record in journal}
    assert {"noted-2[2]", "inner/noted-2", "out", "handled", "bad", "ignored", "last"} <= names
    for cut in range(len(journal) + 1):
        BEGUN.clear()
        with VirtualSystem("test", seed=cut) as system:
            run = put(system, dag, journal[:cut])
            assert ended(run) == "failed"
            assert told(run) == whole
            recorded = {f"run/cut/{record.identity[1]}" for record in journal[:cut] if record.kind != ATTEMPT}
            assert not recorded.intersection(BEGUN)
            assert max(Counter(BEGUN).values(), default=1) == 1


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 60), cut=st.floats(0, 1))
def test_random_dags_that_are_cut_anywhere_end_as_the_model_says(seed, count, cut):
    nodes = random_nodes(random.Random(seed), count, timed=False)
    model = Model(nodes)
    dag = dag_of(f"random-{next(NUMBERS)}", nodes, timed=False).options(workers=3, durable=True)
    counts.clear()
    with VirtualSystem("test", seed=seed) as system:
        run = system.start(dag.options(id="whole"))
        ended(run)
        assert [step.status for step in run.steps] == model.status
        journal = journal_of(system, "whole")
        attempts = [step.attempts for step in run.steps]
    kept = journal[: round(cut * len(journal))]
    counts.clear()  # of tries that are recorded a task knows, of the others it does not
    counts.update((dag.name, int(record.identity[1])) for record in kept if record.kind == ATTEMPT)
    before = Counter(counts)
    with VirtualSystem("test", seed=seed + 1) as system:
        run = put(system, dag, kept)
        ended(run)
        assert [step.status for step in run.steps] == model.status
        assert [step.attempts for step in run.steps] == attempts == model.attempts
    again = {int(record.identity[1]) for record in kept if record.kind != ATTEMPT}
    assert again & {i for key, i in counts - before} == set()


NUMBERS = itertools.count()


def test_a_run_goes_on_wherever_its_system_is_killed():
    dag = of_all_kinds()
    with VirtualSystem("test", seed=1) as system:
        run = system.start(dag.options(id="run"))
        ended(run)
        whole = told(run)
    died = 0
    with LeakCheck():
        for steps in range(70):
            BEGUN.clear()
            with World(seed=steps) as world, af.open_store() as store:
                a = VirtualSystem._within(world, "a", store=store)
                b = VirtualSystem._within(world, "b", store=store)
                try:
                    b.start(dag.options(id="run"))
                    died += not sleeps_through(b, 20, steps)
                    b._kill()
                    run = a.get_run("run")
                    ends = {f"run/run/{one.identity[1]}" for one in journal_of(a, "run") if one.kind != ATTEMPT}
                    before, _ = Counter(BEGUN), BEGUN.clear()
                    assert ended(run) == "failed"
                    assert told(run) == whole
                    assert not ends.intersection(BEGUN)
                    assert max((before + Counter(BEGUN)).values()) <= 2
                finally:
                    b.stop()
                    a.stop()
    assert died > 40


@pytest.mark.parametrize("some", [range(at, min(at + 8, SEEDS)) for at in range(0, SEEDS, 8)], ids=str)
def test_a_run_ends_right_whatever_becomes_of_its_commits(some, caplog):
    caplog.set_level(logging.CRITICAL, "actorflow")
    dag = of_all_kinds()
    with VirtualSystem("test", seed=1) as system:
        run = system.start(dag.options(id="run-0"))
        ended(run)
        whole = told(run)
    for seed in some:
        with VirtualSystem(seed=seed) as system:
            with faults(system, seed):
                for n in range(3):
                    insist(system, lambda n=n: system.start(dag.options(id=f"run-{n}")))
                system.sleep(60)
            system.sleep(120)
            for n in range(3):
                run = system.get_run(f"run-{n}")
                assert ended(run) == "failed", (seed, n)
                assert told(run) == whole, (seed, n)


# --- what follows from what is stored ---------------------------------------------------------------------------------


def test_a_durable_run_is_found_by_its_id_on_any_store_and_gives_the_results_of_its_nodes(begin):
    system = begin()
    dag = af.Dag("sum", durable=True)
    first = dag.add(one)
    squared = dag.add(square, 3)
    total = dag.add(add, first, squared)
    slept = dag.add(later, 0.001, 5, after=[total])
    run = system.start(dag.options(id="sum-1"))
    results = run.result(timeout=WAIT)
    assert (results[total], results[slept], len(results)) == (10, 5, 4)
    again = system.get_run("sum-1")
    assert again.status == "completed"
    assert again.result(timeout=WAIT)[total] == 10
    assert system.start(dag.options(id="sum-1")).result(timeout=WAIT)["add"] == 10
    assert [(step.name, step.status, step.attempts) for step in again.steps][:2] == [
        ("one", "completed", 1),
        ("square", "completed", 1),
    ]
    assert again.timeline().critical_path[-1].name == "later"
    assert [event.kind for event in again.history][0::9] == ["started", "completed"]
    assert [info.workflow for info in system.runs("sum")] == ["sum"]


def test_a_run_is_started_by_the_name_of_its_dag(system):
    dag = af.Dag("by-name", durable=True)
    two = dag.add(double, 1)
    assert system.start("by-name").result(timeout=WAIT)[two] == 2


def test_a_second_start_with_other_arguments_or_another_dag_is_refused(system):
    def made(n: int) -> af.Dag:
        dag = af.Dag("same", durable=True)
        dag.add(double, n)
        return dag

    system.start(made(1).options(id="x")).result(timeout=WAIT)
    assert system.start(made(1).options(id="x")).result(timeout=WAIT)["double"] == 2
    with pytest.raises(af.DefinitionError, match="another id"):
        system.start(made(2).options(id="x"))


def test_two_durable_dags_of_one_name_are_refused():
    af.Dag("taken", durable=True)
    again = compile("af.Dag('taken', durable=True)", "other.py", "exec")
    with pytest.raises(af.DefinitionError, match="two durable DAGs are named 'taken'"):
        exec(again, {"af": af, "__name__": "other"})
    af.Dag("taken")  # its runs are in memory


@dataclass(frozen=True)
class Size:
    width: int
    height: int


@af.task
def measure() -> Size:
    return Size(2, 3)


@af.task
def area(size: Size) -> int:
    return size.width * size.height


@af.task
def unstorable() -> object:
    return object()


def test_nodes_get_what_is_stored_and_a_result_that_cannot_be_is_a_failure_of_its_node(system):
    dag = af.Dag("sizes", durable=True)
    got = dag.add(area, dag.add(measure))
    bad = dag.add(unstorable)
    dag.add(note, "never", after=[bad])
    saved = dag.add(unstorable, on_failure=lambda _: 5, name="saved")
    lost = dag.add(fail, "x", on_failure=lambda _: object(), name="lost")
    run = system.start(dag)
    with pytest.raises(af.RunFailed, match="failed: PayloadError: the result of node"):
        run.result(timeout=WAIT)
    steps = {step.name: step for step in run.steps}
    assert (steps[got.name].result, steps[saved.name].result) == (6, 5)
    assert isinstance(steps[bad.name].error, af.PayloadError)
    assert isinstance(steps[lost.name].error, af.PayloadError)
    assert steps["note"].status == "skipped"
    assert tasks.ran == []


class Refused(Exception):
    pass


@af.task(raises=Refused)
def refuse() -> None:
    raise Refused("no")


@af.task
def refuse_quietly() -> None:
    raise Refused("no")


def test_an_error_is_the_stored_one_also_the_first_time(virtual_system):
    dag = af.Dag("errors", durable=True)
    dag.add(refuse)
    dag.add(refuse_quietly)
    run = virtual_system.start(dag)
    with pytest.raises(af.RunFailed, match="step refuse failed: .*Refused: no") as caught:
        run.result(timeout=WAIT)
    assert isinstance(caught.value.__cause__, af.StepFailed)
    assert isinstance(caught.value.__cause__.__cause__, Refused)
    assert [type(step.error) for step in run.steps] == [Refused, af.StepFailed]


def test_a_run_whose_records_do_not_fit_the_dag_is_parked_with_the_reason_until_one_fits(tmp_path: Path):
    def made(*, changed: bool) -> af.Dag:
        dag = af.Dag("changing", durable=True)
        dag.add(double, 4 if changed else 3)
        return dag

    for changed in (True, False):
        made(changed=True)
        with VirtualSystem("test", seed=1) as system:
            whole = system.start(made(changed=False).options(id="whole"))
            assert whole.result(timeout=WAIT)["double"] == 6
            records = journal_of(system, "whole")
            dag = made(changed=changed)
            run = put(system, dag, records)
            if not changed:
                assert run.result(timeout=WAIT)["double"] == 6
                continue
            system.sleep(5)
            assert run.status == "parked"
            (info,) = system.runs(status="parked")
            assert "node double as it was" in info.reason
            assert [step.name for step in run.steps] == ["double"]
            made(changed=False)
            assert run.resume() is True
            assert run.result(timeout=WAIT)["double"] == 6


def test_a_cancel_ends_what_runs_and_is_heard_again_by_who_goes_on(virtual_system):
    dag = af.Dag("cancelled", durable=True)
    first = dag.add(one)
    dag.add(later, 100.0, 1, after=[first])
    dag.add(note, "never", after=["later"])
    run = virtual_system.start(dag.options(id="c"))
    virtual_system.sleep(1)
    assert run.status == "running"
    assert [step.status for step in run.steps] == ["completed", "running", "pending"]
    assert run.progress == (1, 3)
    assert run.cancel() is True
    with pytest.raises(af.RunCancelled):
        run.result(timeout=WAIT)
    assert [step.status for step in run.steps] == ["completed", "cancelled", "cancelled"]
    assert run.cancel() is False
    again = put(virtual_system, dag, journal_of(virtual_system, "c"))
    with pytest.raises(af.RunCancelled):
        again.result(timeout=WAIT)
    assert told(again) == told(run)
    assert tasks.ran == []


def test_a_deadline_cancels_a_durable_run(virtual_system):
    dag = af.Dag("late", durable=True)
    dag.add(later, 100.0, 1)
    run = virtual_system.start(dag.options(deadline=5.0))
    with pytest.raises(af.RunCancelled, match="deadline"):
        run.result(timeout=WAIT)
    with pytest.raises(af.DefinitionError, match="durable"):
        af.Dag("memory").options(deadline=5.0)


def test_a_system_that_ends_lets_nodes_that_run_end_and_the_next_one_goes_on(tmp_path: Path):
    dag = af.Dag("leaving", durable=True, workers=2)
    first = dag.add(gated)
    last = dag.add(double, first)
    url = f"sqlite:///{tmp_path / 'test.db'}"
    with LeakCheck(), af.ActorSystem("one", store=url, settings=af.Settings(grace=WAIT)) as system:
        run = system.start(dag.options(id="run"))
        assert tasks.begun.acquire(timeout=WAIT)
        tasks.gate.set()
    with af.ActorSystem("two", store=url) as system:
        assert system.get_run("run").result(timeout=WAIT)[last] == 14
        assert run.id == "run"
        attempts = [step.attempts for step in system.get_run("run").steps]
    assert attempts == [1, 1]
    assert not tasks.begun.acquire(blocking=False)  # it did not run again


@af.task
def gated() -> int:
    tasks.begun.release()
    assert tasks.gate.wait(WAIT)
    return 7


def test_an_app_runs_the_durable_dags_that_it_was_given(tmp_path: Path):
    dag, other = af.Dag("given", durable=True), af.Dag("not-given", durable=True)
    for one_of in (dag, other):
        one_of.add(double, 2)
    app = af.App("shop", store=f"sqlite:///{tmp_path / 'test.db'}").add(dag)
    with pytest.raises(af.DefinitionError, match="in memory"):
        app.add(af.Dag("memory"))
    with app.start() as system:
        assert system.start(dag).result(timeout=WAIT)["double"] == 4
        waiting = system.start(other)
        assert waiting.status == "queued"
        assert waiting.cancel() is True


def test_listeners_hear_of_nodes_after_their_commits(virtual_system):
    dag = af.Dag("heard", durable=True)
    dag.add(double, dag.add(one))
    heard: list[tuple[str, str | None]] = []
    virtual_system.subscribe(af.RunEvent, lambda event: heard.append((event.kind, event.step)))
    virtual_system.start(dag).result(timeout=WAIT)
    virtual_system.sleep(1)
    assert heard == [
        ("started", None),
        ("step started", "one"),
        ("step completed", "one"),
        ("step started", "double"),
        ("step completed", "double"),
        ("completed", None),
    ]


def test_a_run_of_a_dag_that_is_not_known_says_so(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'test.db'}"
    dag = af.Dag("unknown", durable=True)
    dag.add(one)
    with af.ActorSystem("test", store=url) as system:
        system.start(dag.options(id="run")).result(timeout=WAIT)
    del WORKFLOWS["unknown"]
    with af.ActorSystem("test", store=url) as system:
        run = system.get_run("run")
        assert (run.status, [(step.name, step.status) for step in run.steps]) == ("completed", [("one", "completed")])
        with pytest.raises(af.DefinitionError, match="import its module"):
            run.result(timeout=WAIT)


FIXED: list[bool] = []


@af.task
def fixed_later(n: int) -> int:
    BEGUN.append(f"fixed {n}")
    if not FIXED:
        raise ValueError(n)
    return n


def test_a_retry_begins_the_nodes_anew_that_failed_or_were_cancelled_and_no_other(virtual_system):
    FIXED.clear()
    dag = af.Dag("retried", durable=True)
    good = dag.add(noted, 1)
    bad = [dag.add(fixed_later, n, after=[good]) for n in range(2)]
    total = dag.add(add, *bad)
    slow = dag.add(later, 50.0, 1, after=[total])
    run = virtual_system.start(dag.options(id="run"))
    assert ended(run) == "failed"
    FIXED.append(True)
    run.retry()
    virtual_system.sleep(5)
    assert run.cancel() is True
    assert ended(run) == "cancelled"
    run.retry()
    results = run.result(timeout=WAIT)
    assert (results[total], results[slow]) == (1, 1)
    assert Counter(BEGUN) == {"run/run/noted": 1, "fixed 0": 2, "fixed 1": 2}


def test_a_start_by_name_has_neither_the_id_nor_the_deadline_of_another_run(virtual_system):
    dag = af.Dag("by-name", durable=True)
    dag.add(later, 5.0, 1)
    first = virtual_system.start(dag.options(id="first", deadline=1.0))
    second = virtual_system.start("by-name")
    assert (first.id, second.id != "first") == ("first", True)
    assert len(second.result(timeout=WAIT)) == 1
    assert first.status == "cancelled"


def test_durable_dags_may_be_nested_to_any_depth(virtual_system):
    dag = af.Dag("innermost")
    dag.add(one)
    for number in range(1, 1_050):
        outer = af.Dag(f"level {number}")
        outer.add(dag)
        dag = outer
    run = virtual_system.start(dag.options(durable=True))
    assert len(run.result(timeout=WAIT)) == 1


def test_a_signal_to_a_run_of_a_dag_and_a_query_are_refused(virtual_system):
    dag = af.Dag("deaf", durable=True)
    dag.add(later, 5.0, 1)
    run = virtual_system.start(dag)
    for _ in range(2):
        with pytest.raises(af.DefinitionError, match="waits for no signals"):
            run.signal("x")
        with pytest.raises(af.DefinitionError, match="of a DAG, which exposes nothing"):
            run.query("x")
        run.result(timeout=WAIT)


def test_a_run_is_replayed_with_the_dag_of_today_and_no_task_is_run(virtual_system):
    dag = of_all_kinds()
    run = virtual_system.start(dag.options(id="run"))
    ended(run)
    export = virtual_system.runs().export("run")
    BEGUN.clear()
    assert check_replay(of_all_kinds(), export).difference is None
    assert check_replay(of_all_kinds(), {**export, "records": export["records"][:5], "status": "running"}).records == 5
    assert BEGUN == []
    with pytest.raises(af.NonDeterministic, match="failed"):
        check_replay(of_all_kinds(), {**export, "records": export["records"][:5]})
    other = af.Dag("kinds")
    other.add(noted, 2)
    with pytest.raises(
        af.NonDeterministic, match="node noted.*: declare it as it was, and the changed one under"
    ) as found:
        check_replay(DurableDag(other), export)
    assert "af.patched" not in str(found.value)
    again = pickle.loads(pickle.dumps(found.value))
    assert (str(again), again.is_dag) == (str(found.value), True)


def test_a_run_that_is_paused_lets_nodes_that_run_end_and_goes_on_when_it_is_resumed(virtual_system):
    dag = af.Dag("paused", durable=True)
    dag.add(noted, dag.add(later, 5.0, 1))
    run = virtual_system.start(dag.options(id="run"))
    virtual_system.sleep(1)
    assert run.pause() is True
    virtual_system.sleep(60)
    assert run.status == "paused"
    assert [step.status for step in run.steps] == ["completed", "ready"]
    assert BEGUN == []
    assert run.resume() is True
    assert run.result(timeout=WAIT)["noted"] == 2


def test_a_run_that_is_started_as_its_system_ends_is_left_to_the_next_one_before_a_node_begins(virtual_system):
    dag = af.Dag("ending", durable=True)
    dag.add(noted, 1)
    node = node_of(virtual_system)
    run = virtual_system.start(dag.options(id="run"))
    assert node.unload_all() == []
    virtual_system.sleep(1)
    assert (BEGUN, run.status, node.bodies) == ([], "running", {})
    owner = virtual_system.store.read(lambda tx: tx.one("runs.owned", {"owner": node.id}))
    assert owner is None
