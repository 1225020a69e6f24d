"""DAGs in memory: order, data, joins, conditions, failures, and what the handle on a run tells."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

import actorflow as af
from actorflow.workflows.dag import ready_set

from . import tasks
from .tasks import add, double, fail, later, note, nothing, numbers, one

WAIT = 60.0


def statuses(run: af.Run[af.Results]) -> dict[str, str]:
    return {step.name: step.status for step in run.steps}


def ended(run: af.Run[af.Results]) -> dict[str, str]:
    """Wait for the end of a run, however it ends; return the status of each step."""
    try:
        run.result(timeout=WAIT)
    except (af.RunFailed, af.RunCancelled, af.DeadlockError):
        assert run.status in {"failed", "cancelled"}
    return statuses(run)


# --- order and data ---------------------------------------------------------------------------------------------------


def test_a_node_gets_the_results_of_the_nodes_that_are_its_arguments(any_system):
    dag = af.Dag("sum")
    first = dag.add(one)
    three = dag.add(add, first, 2)
    six = dag.add(double, three)
    run = any_system.start(dag)
    results = run.result(timeout=WAIT)
    assert (results[first], results[three], results["double"]) == (1, 3, 6)
    assert results[six] == 6
    assert (run.status, run.id.startswith("sum-")) == ("completed", True)
    assert [*results] == ["one", "add", "double"]


def test_a_node_runs_after_those_that_it_comes_after(any_system):
    dag = af.Dag("order")
    last = dag.add(note, "last", after=["first", "second"], name="last")
    first = dag.add(note, "first", name="first")
    dag.add(note, "second", after=[first], name="second")
    any_system.start(dag).result(timeout=WAIT)
    assert tasks.ran == ["first", "second", "last"]
    assert last.name == "last"


def test_a_dag_without_nodes_is_completed_at_once(any_system):
    run = any_system.start(af.Dag("empty"))
    assert len(run.result(timeout=WAIT)) == 0


def test_a_dag_runs_as_often_as_it_is_started_and_nodes_may_be_added_between(any_system):
    dag = af.Dag("again")
    first = dag.add(one)
    assert any_system.start(dag).result(timeout=WAIT)[first] == 1
    second = dag.add(double, first)
    assert any_system.start(dag).result(timeout=WAIT)[second] == 2


@pytest.mark.slow(quick=("5000",))
@pytest.mark.parametrize("count", [5_000, 100_000])
def test_a_chain_of_100_000_nodes_runs_and_one_that_fails_skips_the_rest(count):
    dag = af.Dag("chain")
    node = dag.add(nothing)
    for _ in range(count - 1):
        node = dag.add(nothing, after=[node])
    broken = af.Dag("broken")
    node = broken.add(fail, "first")
    for _ in range(count - 1):
        node = broken.add(nothing, after=[node])
    with af.ActorSystem("test") as system:
        assert len(system.start(dag).result(timeout=WAIT)) == count
        run = system.start(broken)
        with pytest.raises(af.RunFailed, match="step fail failed: ValueError: first"):
            run.result(timeout=WAIT)
        steps = run.steps
    assert {step.status for step in steps[1:]} == {"skipped"}
    assert len(steps[-1].causes) == count - 1
    assert steps[-1].causes[-1] is steps[0]


def test_async_tasks_and_cpu_tasks_are_nodes_like_any_other(any_system):
    dag = af.Dag("kinds")
    waited = dag.add(later, 0.01, 3)
    squared = dag.add(tasks.square, waited)
    total = dag.add(add, waited, squared)
    assert any_system.start(dag).result(timeout=WAIT)[total] == 12


def test_nodes_that_block_run_side_by_side_but_not_more_than_there_are_workers():
    dag = af.Dag("blocking", workers=3)
    for _ in range(5):
        dag.add(tasks.wait_for_gate)
    with af.ActorSystem("test") as system:
        run = system.start(dag)
        for _ in range(3):
            assert tasks.begun.acquire(timeout=WAIT)
        assert sorted(statuses(run).values()) == ["ready", "ready", "running", "running", "running"]
        tasks.gate.set()
        run.result(timeout=WAIT)


def test_of_nodes_that_are_ready_the_smallest_priority_goes_first_then_the_order():
    dag = af.Dag("urgent", workers=1)
    first = dag.add(nothing)
    for name, priority in (("c", 2), ("a", -1), ("d", 2), ("b", 0)):
        dag.add(note.options(priority=priority), name, after=[first], name=name)
    with af.ActorSystem("test") as system:
        system.start(dag).result(timeout=WAIT)
    assert tasks.ran == ["a", "b", "c", "d"]


def test_of_nodes_that_are_ready_the_one_with_the_longest_path_before_it_goes_first():
    dag = af.Dag("long", workers=1)
    dag.add(note, "short", duration=5, name="short")
    head = dag.add(note, "head", duration=1, name="head")
    dag.add(note, "tail", after=[head], duration=9, name="tail")
    with af.ActorSystem("test") as system:
        system.start(dag).result(timeout=WAIT)
    assert tasks.ran == ["head", "tail", "short"]


def test_a_run_is_awaited_in_asyncio():
    dag = af.Dag("awaited")
    node = dag.add(one)
    with af.ActorSystem("test") as system:

        async def program() -> int:
            return (await system.start(dag))[node]

        assert asyncio.run(program()) == 1


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_failure_skips_exactly_the_nodes_that_depend_on_it_with_the_chain_of_causes(any_system):
    dag = af.Dag("failing")
    first = dag.add(one)
    broken = dag.add(fail, "no luck", name="broken")
    behind = dag.add(add, broken, first, name="behind")
    dag.add(note, "far", after=[behind], name="far")
    dag.add(double, first, name="free")
    run = any_system.start(dag)
    with pytest.raises(af.RunFailed, match=r"run failing-\d+ failed: step broken failed: ValueError: no") as caught:
        run.result(timeout=WAIT)
    assert isinstance(caught.value.__cause__.__cause__, ValueError)
    assert (run.status, caught.value.__cause__.step) == ("failed", "broken")
    assert statuses(run) == {
        "one": "completed",
        "broken": "failed",
        "behind": "skipped",
        "far": "skipped",
        "free": "completed",
    }
    far = run.steps[3]
    assert [step.name for step in far.causes] == ["behind", "broken"]
    assert repr(far.causes[-1].error) == "ValueError('no luck')"


def test_errors_of_two_branches_are_both_named(any_system):
    dag = af.Dag("two")
    dag.add(fail, "a", name="a")
    dag.add(fail, "b", name="b")
    with pytest.raises(af.RunFailed) as caught:
        any_system.start(dag).result(timeout=WAIT)
    assert len(caught.value.__notes__) == 1


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
def test_whatever_a_task_raises_is_its_failure(any_system, error):
    @af.task(name=f"raises-{error.__name__}")
    def raises() -> None:
        raise error

    dag = af.Dag("base")
    dag.add(raises)
    with pytest.raises(af.RunFailed) as caught:
        any_system.start(dag).result(timeout=WAIT)
    assert type(caught.value.__cause__.__cause__) is error


def test_a_context_variable_that_a_task_sets_is_not_there_for_the_next():
    from contextvars import ContextVar

    variable: ContextVar[int] = ContextVar("variable", default=0)

    @af.task(name="sets-a-variable")
    def sets(_before: None) -> int:
        before = variable.get()
        variable.set(before + 1)
        return before

    dag = af.Dag("context", workers=1)
    first = dag.add(nothing)
    nodes = [dag.add(sets, None, after=[first]) for _ in range(5)]
    chain = [dag.add(sets, None, after=[nodes[-1]])]
    for _ in range(5):
        chain.append(dag.add(sets, None, after=[chain[-1]]))
    with af.ActorSystem("test") as system:
        results = system.start(dag).result(timeout=WAIT)
    assert {results[node] for node in [*nodes, *chain]} == {0}


def test_a_task_sees_itself_by_af_current(any_system):
    dag = af.Dag("current")
    first = dag.add(tasks.key)
    second = dag.add(tasks.key, after=[first], name="second")
    run = any_system.start(dag)
    results = run.result(timeout=WAIT)
    assert (results[first], results[second]) == (f"run/{run.id}/key", f"run/{run.id}/second")


def test_a_failed_node_is_tried_again_as_its_task_says(any_system):
    calls: list[int] = []

    @af.task(name="fails-twice", retry=af.Retry(3, af.Backoff(0.01, jitter=0)))
    def fails_twice() -> int:
        calls.append(af.current().attempt)
        if len(calls) < 3:
            raise ValueError(len(calls))
        return len(calls)

    dag = af.Dag("again")
    node = dag.add(fails_twice)
    after = dag.add(double, node)
    run = any_system.start(dag)
    assert run.result(timeout=WAIT)[after] == 6
    step = run.steps[0]
    assert calls == [1, 2, 3]
    assert (step.attempts, [repr(one.error) for one in step.tries]) == (3, ["ValueError(1)", "ValueError(2)"])
    assert all(one.started <= one.ended <= step.started for one in step.tries)


def test_after_a_permanent_error_there_is_no_other_try(any_system):
    @af.task(name="fails-for-good", retry=af.Retry(5))
    def fails() -> None:
        raise af.Permanent("no such customer")

    dag = af.Dag("permanent")
    dag.add(fails)
    run = any_system.start(dag)
    assert ended(run) == {"fails": "failed"}
    assert run.steps[0].attempts == 1


def test_steps_tell_times_attempts_and_what_they_come_after(any_system):
    dag = af.Dag("steps")
    node = dag.add(later, 0.02, 1)
    dag.add(double.options(priority=4), node)
    run = any_system.start(dag)
    run.result(timeout=WAIT)
    first, second = run.steps
    assert second.after == ("later",)
    assert (first.attempts, second.priority, second.result) == (1, 4, 2)
    assert first.ready <= first.started <= first.ended <= second.ready <= second.started <= second.ended
    assert first.run_time > 0.019
    assert [event.kind for event in run.history][:1] == ["started"]
    assert [event.kind for event in run.history][-1] == "completed"


def test_a_map_of_a_result_runs_for_each_item(any_system):
    dag = af.Dag("mapped")
    items = dag.add(numbers, 5)
    doubled = dag.map(double, items, limit=2)
    run = any_system.start(dag)
    assert run.result(timeout=WAIT)[doubled] == [0, 2, 4, 6, 8]
    assert statuses(run)["double[3]"] == "completed"


def test_a_node_begins_after_the_end_of_each_node_before_it_though_a_thread_was_held_up(system, monkeypatch):
    """The thread of `first` reads its time, and waits for the lock until `second` has ended."""
    slow: list[int] = []
    second_ended = threading.Event()

    class Late:
        def __init__(self) -> None:
            self.lock = threading.Lock()

        def __enter__(self) -> None:
            if threading.get_ident() in slow:
                first_has_its_time.set()
                assert second_ended.wait(WAIT)
            self.lock.acquire()

        def __exit__(self, *_: object) -> None:
            self.lock.release()
            if slow and threading.get_ident() not in slow and progress and progress[0].ended[1] is not None:
                second_ended.set()

    monkeypatch.setattr(ready_set, "threading", SimpleNamespace(Lock=Late))
    progress: list[Any] = []
    first_has_its_time = threading.Event()

    @af.task(name="tests.first_ends")
    def first_ends() -> None:
        assert tasks.gate.wait(WAIT)
        slow.append(threading.get_ident())

    @af.task(name="tests.second_ends")
    def second_ends() -> None:
        assert first_has_its_time.wait(WAIT)
        time.sleep(0.02)  # the time of the other thread is older than this one's

    dag = af.Dag("late", workers=2)
    before = [dag.add(first_ends), dag.add(second_ends)]
    dag.add(nothing, after=before)
    run = system.start(dag)
    progress.append(run.looks.progress)
    tasks.gate.set()
    run.result(timeout=WAIT)
    first, second, last = run.steps
    assert first.ended is not None
    assert second.ended is not None
    assert first.ended < second.ended <= last.ready <= last.started
