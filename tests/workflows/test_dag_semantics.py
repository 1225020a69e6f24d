"""The semantics of DAGs: conditions, joins, groups, nested DAGs, loops, cancel, and the effects of a failure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

import actorflow as af
from actorflow.core.clock import SystemClock
from actorflow.testing import VirtualSystem
from actorflow.workflows.dag.progress import DagProgress

from . import tasks
from .tasks import add, double, fail, later, note, nothing, numbers, one
from .test_dags import WAIT, ended, statuses

# --- conditions -------------------------------------------------------------------------------------------------------


def test_a_condition_leaves_a_node_out_and_its_order_edges_count_as_met(any_system):
    dag = af.Dag("left-out")
    first = dag.add(one)
    out = dag.add(note, "out", after=[first], when=lambda r: r[first] > 1, name="out")
    dag.add(note, "behind", after=[out], name="behind")
    run = any_system.start(dag)
    run.result(timeout=WAIT)
    assert statuses(run) == {"one": "completed", "out": "skipped", "behind": "completed"}
    assert tasks.ran == ["behind"]
    assert run.steps[1].causes == ()


def test_a_data_edge_that_is_left_out_leaves_the_next_node_out_too_unless_there_is_a_default(any_system):
    dag = af.Dag("data")
    out = dag.add(one, when=lambda _: False)
    dag.add(double, out, name="too")
    dag.add(nothing, after=["too"], name="behind")
    kept = dag.add(add, out, 5, default=10, name="kept")
    by_node = dag.add(add, out, kept, default={out: 1}, name="by node")
    run = any_system.start(dag)
    results = run.result(timeout=WAIT)
    assert statuses(run) == {
        "one": "skipped",
        "too": "skipped",
        "behind": "completed",
        "kept": "completed",
        "by node": "completed",
    }
    assert (results[kept], results[by_node]) == (15, 16)
    with pytest.raises(KeyError, match="node one of data has no result"):
        results[out]
    assert results.get(out, 7) == 7
    assert out not in results


def test_a_condition_that_raises_is_the_failure_of_its_node(any_system):
    dag = af.Dag("raising")
    dag.add(one, when=lambda _: 1 / 0 > 0, name="odd")
    dag.add(nothing, after=["odd"], name="behind")
    run = any_system.start(dag)
    with pytest.raises(af.RunFailed) as caught:
        run.result(timeout=WAIT)
    assert statuses(run)["behind"] == "skipped"
    assert isinstance(caught.value.__cause__.__cause__, ZeroDivisionError)


def test_a_failure_counts_for_more_than_a_node_that_was_left_out(any_system):
    dag = af.Dag("both")
    out = dag.add(one, when=lambda _: False, name="out")
    bad = dag.add(later, 0.01, 1, name="slow")
    bad = dag.add(fail, "x", after=[bad], name="bad")
    both = dag.add(add, out, bad, name="both")
    dag.add(nothing, after=[both], name="behind")
    assert ended(any_system.start(dag)) == {
        "out": "skipped",
        "slow": "completed",
        "bad": "failed",
        "both": "skipped",
        "behind": "skipped",
    }


# --- joins ------------------------------------------------------------------------------------------------------------


def test_a_join_of_any_runs_once_with_the_first_and_lets_the_rest_run(virtual_system):
    dag = af.Dag("any")
    quick = dag.add(later, 0.01, 1, name="quick")
    slow = dag.add(later, 0.05, 2, name="slow")
    dag.add(note, "joined", after=[quick, slow], join="any", name="joined")
    run = virtual_system.start(dag)
    run.result(timeout=WAIT)
    assert tasks.ran == ["joined"]
    assert set(statuses(run).values()) == {"completed"}
    by_name = {step.name: step for step in run.steps}
    assert by_name["joined"].ended <= by_name["slow"].ended


def test_a_join_that_cancels_the_rest_ends_only_nodes_that_nobody_else_waits_for(virtual_system):
    dag = af.Dag("rest")
    quick = dag.add(later, 0.01, 1, name="quick")
    slow = dag.add(later, 30.0, 2, name="slow")
    before = dag.add(later, 30.0, 3, name="before")
    behind = dag.add(double, before, name="behind")
    shared = dag.add(later, 0.05, 4, name="shared")
    dag.add(nothing, after=[quick, slow, behind, shared], join=1, rest="cancel", name="joined")
    dag.add(double, shared, name="other")
    assert ended(virtual_system.start(dag)) == {
        "quick": "completed",
        "slow": "cancelled",
        "before": "cancelled",
        "behind": "cancelled",
        "shared": "completed",
        "joined": "completed",
        "other": "completed",
    }


def test_a_join_that_cancels_the_rest_ends_tasks_that_wait():
    dag = af.Dag("rest")
    slow = dag.add(later, 3000.0, 2, name="slow")
    gate = dag.add(tasks.wait_for_gate, name="gate")
    dag.add(nothing, after=[slow, gate], join="any", rest="cancel", name="joined")
    with af.ActorSystem("test") as system:
        run = system.start(dag)
        while statuses(run)["slow"] != "running":
            assert tasks.begun.acquire(timeout=WAIT)
            tasks.begun.release()
        tasks.gate.set()
        assert ended(run) == {"slow": "cancelled", "gate": "completed", "joined": "completed"}


def test_a_join_of_two_does_without_one_that_failed_and_is_skipped_without_two(any_system):
    dag = af.Dag("two")
    good = [dag.add(one, name=f"good{k}") for k in range(2)]
    bad = [dag.add(fail, "x", name=f"bad{k}") for k in range(2)]
    dag.add(note, "enough", after=[*good, bad[0]], join=2, name="enough")
    dag.add(note, "short", after=[good[0], *bad], join=2, name="short")
    found = ended(any_system.start(dag))
    assert (found["enough"], found["short"]) == ("completed", "skipped")


def test_a_gather_gives_the_list_of_the_results_that_are_there(any_system):
    dag = af.Dag("gather")
    nodes = [dag.add(double, n) for n in range(3)]
    everything = dag.gather(nodes)
    out = dag.add(one, when=lambda _: False)
    some = dag.gather([nodes[0], out, nodes[2]], join=2)
    results = any_system.start(dag).result(timeout=WAIT)
    assert results[everything] == [0, 2, 4]
    assert results[some] == [0, 4]


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_failure_that_is_ignored_counts_as_left_out_and_the_run_is_completed(any_system):
    dag = af.Dag("ignored")
    bad = dag.add(fail, "x", on_failure="ignore", name="bad")
    dag.add(note, "order", after=[bad], name="order")
    dag.add(double, bad, name="data")
    kept = dag.add(double, bad, default=4, name="default")
    run = any_system.start(dag)
    assert run.result(timeout=WAIT)[kept] == 8
    assert statuses(run) == {"bad": "failed", "order": "completed", "data": "skipped", "default": "completed"}


def test_a_handler_gives_a_result_in_place_of_a_failure(any_system):
    dag = af.Dag("handled")
    bad = dag.add(fail, "12", on_failure=lambda error: int(str(error)), name="bad")
    doubled = dag.add(double, bad)
    run = any_system.start(dag)
    assert run.result(timeout=WAIT)[doubled] == 24
    assert (run.steps[0].status, repr(run.steps[0].error)) == ("completed", "ValueError('12')")


def test_a_handler_that_raises_is_the_failure_of_its_node(any_system):
    dag = af.Dag("worse")
    dag.add(fail, "x", on_failure=lambda error: 1 / 0, name="bad")
    with pytest.raises(af.RunFailed) as caught:
        any_system.start(dag).result(timeout=WAIT)
    assert isinstance(caught.value.__cause__.__cause__, ZeroDivisionError)
    assert isinstance(caught.value.__cause__.__cause__.__context__, ValueError)


def test_a_failure_that_stops_cancels_all_other_nodes(any_system):
    dag = af.Dag("stopped")
    dag.add(later, 30.0, 1, name="slow")
    dag.add(nothing, after=["slow"], name="behind slow")
    dag.add(fail, "x", on_failure="stop", name="bad")
    dag.add(nothing, after=["bad"], name="behind bad")
    run = any_system.start(dag)
    assert ended(run) == {"slow": "cancelled", "behind slow": "cancelled", "bad": "failed", "behind bad": "skipped"}
    assert run.status == "failed"


# --- parts ------------------------------------------------------------------------------------------------------------


def test_of_a_group_no_more_run_at_once_than_its_limit():
    lock, now, most = threading.Lock(), [0], [0]
    two = threading.Barrier(2)

    @af.task(name="counts-itself")
    def counts() -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        two.wait(WAIT)  # all in pairs
        with lock:
            now[0] -= 1
        two.wait(WAIT)

    dag = af.Dag("grouped", workers=8)
    net = dag.group("net", limit=2)
    for _ in range(8):
        dag.add(counts, group=net)
    items = dag.add(numbers, 8)

    @af.task(name="counts-itself-for-an-item")
    def counts_item(_n: int) -> None:
        counts()

    mapped = dag.map(counts_item, items, limit=2, after=[dag.gather(dag.nodes[:8])])
    with af.ActorSystem("test") as system:
        assert system.start(dag).result(timeout=WAIT)[mapped] == [None] * 8
    assert most == [2]


def test_a_group_goes_on_after_failures_and_retries(any_system):
    dag = af.Dag("grouped")
    net = dag.group("net", limit=1)
    for k in range(4):
        dag.add(fail.options(retry=af.Retry(2, af.Backoff(0.01))), "x", group=net, name=f"bad{k}", on_failure="ignore")
    for k in range(4):
        dag.add(later, 0.001, k, group=net, name=f"good{k}")
    found = ended(any_system.start(dag))
    assert [found[f"good{k}"] for k in range(4)] == ["completed"] * 4


def test_a_dag_is_a_node_of_another_whose_result_is_its_results(any_system):
    inner = af.Dag("inner")
    two = inner.add(double, 1)
    four = inner.add(double, two)
    dag = af.Dag("outer")
    first = dag.add(nothing)
    nested = dag.add(inner, after=[first])
    again = dag.add(inner, after=[nested], when=lambda r: r[nested][four] == 4)
    dag.add(note, "last", after=[again], name="last")
    run = any_system.start(dag)
    results = run.result(timeout=WAIT)
    assert (results[nested][two], results[again][four]) == (2, 4)
    assert tasks.ran == ["last"]
    assert statuses(run)["inner-2/double-2"] == "completed"


def test_a_failure_in_a_nested_dag_is_the_failure_of_its_node(any_system):
    inner = af.Dag("inner")
    bad = inner.add(fail, "x", name="bad")
    inner.add(nothing, after=[bad], name="behind")
    inner.add(note, "free", name="free")
    dag = af.Dag("outer")
    nested = dag.add(inner)
    dag.add(nothing, after=[nested], name="last")
    run = any_system.start(dag)
    with pytest.raises(af.RunFailed, match=r"outer-\d+ failed: step inner failed: StepFailed: step inner/bad"):
        run.result(timeout=WAIT)
    assert statuses(run) == {
        "inner": "failed",
        "last": "skipped",
        "inner/bad": "failed",
        "inner/behind": "skipped",
        "inner/free": "completed",
    }


def test_dags_are_nested_as_deep_as_one_likes():
    dag = af.Dag("d0")
    node = dag.add(one)
    for depth in range(1, 1500):
        outer = af.Dag(f"d{depth}")
        node = outer.add(dag)
        dag = outer
    with af.ActorSystem("test") as system:
        results = system.start(dag).result(timeout=WAIT)
        assert len(results) == 1
        assert isinstance(results[node], af.Results)


def test_a_map_over_no_items_is_an_empty_list_and_one_over_no_list_fails(any_system):
    dag = af.Dag("maps")
    none = dag.map(double, dag.add(numbers, 0))
    assert any_system.start(dag).result(timeout=WAIT)[none] == []
    dag.map(double, dag.add(one))
    with pytest.raises(af.RunFailed, match="maps over 1: the result of that node is to be a list"):
        any_system.start(dag).result(timeout=WAIT)


def test_a_map_of_which_an_item_fails_ends_the_others_and_then_fails(any_system):
    @af.task(name="refuses-three")
    def refuses(n: int) -> int:
        if n == 3:
            raise ValueError("three")
        return n

    dag = af.Dag("mapped")
    mapped = dag.map(refuses, dag.add(numbers, 5), limit=1)
    dag.add(nothing, after=[mapped], name="behind")
    run = any_system.start(dag)
    with pytest.raises(af.RunFailed, match=r"step refuses\[3\] failed: ValueError: three"):
        run.result(timeout=WAIT)
    found = statuses(run)
    assert (found["refuses[4]"], found["behind"]) == ("completed", "skipped")


def test_a_loop_goes_on_until_its_result_is_good_or_its_limit_is_reached(any_system):
    dag = af.Dag("loop")
    first = dag.add(one)
    looped = dag.loop(double, first, until=lambda n: n > 100, limit=20)
    after = dag.add(double, looped)
    results = any_system.start(dag).result(timeout=WAIT)
    assert (results[looped], results[after]) == (128, 256)
    endless = af.Dag("endless")
    endless.loop(double, 1, until=lambda _: False, limit=5)
    run = any_system.start(endless)
    with pytest.raises(af.RunFailed, match="none of its 5 rounds was the last"):
        run.result(timeout=WAIT)
    assert len(run.steps) == 6


# --- cancel, pause, timeouts ------------------------------------------------------------------------------------------


def test_a_cancelled_run_begins_nothing_more_and_its_tasks_see_it():
    seen = threading.Event()

    @af.task(name="looks-whether-it-is-cancelled")
    def looks() -> str:
        tasks.begun.release()
        while not af.current().cancelled:
            threading.Event().wait(0.001)
        seen.set()
        return "late"

    dag = af.Dag("cancelled")
    node = dag.add(looks)
    dag.add(nothing, after=[node], name="behind")
    with af.ActorSystem("test") as system:
        run = system.start(dag)
        assert tasks.begun.acquire(timeout=WAIT)
        assert system.get_run(run.id).status == "running"
        run.cancel()
        with pytest.raises(af.RunCancelled):
            run.result(timeout=WAIT)
        assert seen.is_set()
        assert (run.status, statuses(run)) == (
            "cancelled",
            {"looks": "cancelled", "behind": "cancelled"},
        )
        assert system.memory_runs == {}
        run.cancel()


@pytest.mark.parametrize("wait", [tasks.wait_for_gate, tasks.wait_for_gate.options(timeout=50)])
def test_a_task_that_does_not_look_is_left_alone_and_its_result_refused(wait, monkeypatch):
    monkeypatch.setattr("actorflow.workflows.dag.runner.CANCEL_SECONDS", 0.05)
    dag = af.Dag("stubborn")
    dag.add(wait)
    with af.ActorSystem("test") as system:
        run = system.start(dag)
        assert tasks.begun.acquire(timeout=WAIT)
        run.cancel()
        assert ended(run) == {"wait_for_gate": "cancelled"}
        tasks.gate.set()
    assert statuses(run) == {"wait_for_gate": "cancelled"}


def test_an_async_task_is_cancelled_at_once(any_system):
    dag = af.Dag("async")
    dag.add(later, 3000.0, 1)
    run = any_system.start(dag)
    any_system.start(af.Dag("other")).result(timeout=WAIT)
    run.cancel()
    assert ended(run) == {"later": "cancelled"}


def test_a_run_is_cancelled_by_the_end_of_its_system():
    dag = af.Dag("ended")
    dag.add(later, 3000.0, 1)
    dag.add(nothing, after=["later"], name="behind")
    system = af.ActorSystem("test", settings=af.Settings(grace=0.5))
    run = system.start(dag)
    system.stop()
    with pytest.raises(af.RunCancelled, match="its system ended"):
        run.result(timeout=WAIT)
    assert set(statuses(run).values()) == {"cancelled"}


def test_a_paused_run_begins_nothing_until_it_is_resumed():
    dag = af.Dag("paused")
    first = dag.add(tasks.wait_for_gate)
    dag.add(note, "behind", after=[first], name="behind")
    with af.ActorSystem("test") as system:
        run = system.start(dag)
        assert tasks.begun.acquire(timeout=WAIT)
        run.pause()
        assert run.status == "paused"
        tasks.gate.set()
        while statuses(run)["behind"] != "ready":
            system.start(af.Dag("other")).result(timeout=WAIT)
        assert (run.status, tasks.ran) == ("paused", [])
        run.resume()
        run.result(timeout=WAIT)
        run.pause()
        run.resume()
    assert (run.status, tasks.ran) == ("completed", ["behind"])


def test_a_paused_run_lets_virtual_time_pass(virtual_system):
    dag = af.Dag("paused")
    first = dag.add(later, 1.0, 1)
    dag.add(note, "behind", after=[first], name="behind")
    run = virtual_system.start(dag)
    rest = af.Dag("rest")
    rest.add(later, 0.5, 1)
    virtual_system.start(rest).result(timeout=WAIT)
    run.pause()
    assert run.status == "paused"
    virtual_system.start(rest).result(timeout=WAIT)
    virtual_system.start(rest).result(timeout=WAIT)
    assert (statuses(run)["behind"], tasks.ran) == ("ready", [])
    run.resume()
    run.result(timeout=WAIT)
    assert tasks.ran == ["behind"]


def test_a_plain_task_that_takes_too_long_is_given_up_and_its_late_result_refused():
    dag = af.Dag("timeout", workers=1)
    slow = dag.add(tasks.wait_for_gate.options(timeout=0.05), on_failure="ignore")
    dag.add(note, "behind", after=[slow], name="behind")
    with af.ActorSystem("test") as system:
        run = system.start(dag)
        run.result(timeout=WAIT)
        assert tasks.ran == ["behind"]
        tasks.gate.set()
    assert statuses(run)["wait_for_gate"] == "failed"
    assert isinstance(run.steps[0].error, af.TaskTimeout)


def test_a_task_that_takes_too_long_is_tried_again(virtual_system):
    attempts: list[int] = []

    @af.task(name="slow-at-first", timeout=0.05, retry=af.Retry(2, af.Backoff(0.01)))
    async def slow_at_first() -> int:
        import asyncio

        attempts.append(len(attempts))
        await asyncio.sleep(30.0 if len(attempts) == 1 else 0.0)
        return len(attempts)

    dag = af.Dag("again")
    node = dag.add(slow_at_first)
    run = virtual_system.start(dag)
    assert run.result(timeout=WAIT)[node] == 2
    assert isinstance(run.steps[0].tries[0].error, af.TaskTimeout)


# --- listeners --------------------------------------------------------------------------------------------------------


def test_subscribers_hear_of_a_run_and_one_that_raises_changes_nothing(virtual_system):
    heard: list[tuple[str, str | None]] = []

    def listen(event: af.RunEvent) -> None:
        heard.append((event.kind, event.step))

    def complain(_event: af.RunEvent) -> None:
        raise ValueError("a listener")

    dag = af.Dag("heard")
    first = dag.add(later, 5.0, 1, name="first")
    bad = dag.add(fail, "x", after=[first], name="bad", on_failure="ignore")
    dag.add(double, bad, name="out")
    run = virtual_system.start(dag)
    run.subscribe(complain)
    subscription = run.subscribe(listen)
    run.result(timeout=WAIT)
    virtual_system.stop()
    assert heard[-5:] == [
        ("step completed", "first"),
        ("step started", "bad"),
        ("step failed", "bad"),
        ("step skipped", "out"),
        ("completed", None),
    ]
    subscription.cancel()


def test_a_subscriber_of_the_system_hears_of_all_runs(any_system):
    heard: list[tuple[str, str, str | None]] = []
    any_system.subscribe(af.RunEvent, lambda event: heard.append((event.run, event.kind, event.step)))
    dag = af.Dag("heard")
    dag.add(one)
    for name in ("a", "b"):
        any_system.start(dag.options(id=name)).result(timeout=WAIT)
    any_system.stop()
    kinds = [("started", None), ("step started", "one"), ("step completed", "one"), ("completed", None)]
    assert heard == [(run, *kind) for run in ("a", "b") for kind in kinds]


def test_a_dead_end_fails_the_run_with_the_nodes_that_wait_and_on_what(any_system):
    dag = af.Dag("stuck")
    first = dag.add(one)
    dag.add(double, first, name="behind")
    plan = dag.plan()
    plan.followers[0], plan.chains = (), {}  # a defect: the edge is lost
    run = any_system.start(dag)
    with pytest.raises(af.DeadlockError, match="stuck came to a dead end: behind waits for nothing"):
        run.result(timeout=WAIT)
    assert run.status == "failed"


# --- what goes wrong around it ----------------------------------------------------------------------------------------


def test_a_plain_task_that_takes_too_long_has_its_handler_called():
    dag = af.Dag("handled", workers=1)
    slow = dag.add(tasks.wait_for_gate.options(timeout=0.05), on_failure=lambda error: type(error).__name__)
    behind = dag.add(note, slow, name="behind")
    with af.ActorSystem("test") as system:
        assert system.start(dag).result(timeout=WAIT)[behind] == "TaskTimeout"
        tasks.gate.set()


def test_a_task_that_waits_for_the_end_of_its_own_run_gets_a_deadlock_error(any_system):
    runs: list[af.Run[af.Results]] = []

    @af.task(name="waits-for-its-own-run")
    def waits() -> None:
        runs[0].result(timeout=WAIT)

    dag = af.Dag("own")
    dag.add(nothing, after=["later"], name="first")
    dag.add(later, 0.01, 1)
    dag.add(waits, after=["first"])
    runs.append(any_system.start(dag))
    with pytest.raises(af.RunFailed, match="a task of run own-.* waits for the end of its own run"):
        runs[0].result(timeout=WAIT)


@pytest.mark.parametrize("has_more", [True, False])
def test_at_the_end_of_the_system_running_tasks_end_within_the_grace_time(has_more):
    dag = af.Dag("drained")
    dag.add(tasks.wait_for_gate)
    if has_more:
        dag.add(nothing, after=["wait_for_gate"], name="behind")
    system = af.ActorSystem("test", settings=af.Settings(grace=WAIT))
    run = system.start(dag)
    assert tasks.begun.acquire(timeout=WAIT)
    threading.Timer(0.05, tasks.gate.set).start()
    system.stop()
    assert statuses(run) == {"wait_for_gate": "completed"} | ({"behind": "cancelled"} if has_more else {})
    assert run.status == ("cancelled" if has_more else "completed")


def test_a_task_whose_process_dies_is_tried_again_and_then_fails():
    @af.task(name="kills-its-process", cpu=True, retry=af.Retry(2, af.Backoff(0.01)))
    def kills() -> None:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)

    dag = af.Dag("killed")
    dag.add(kills)
    with af.ActorSystem("test") as system:
        run = system.start(dag)
        with pytest.raises(af.RunFailed, match="killed by SIGKILL"):
            run.result(timeout=WAIT)
    assert run.steps[0].attempts == 2


def test_a_run_that_gets_no_worker_fails_and_does_not_hang(any_system, monkeypatch):
    def no_memory(*_arguments: object) -> None:
        raise MemoryError("no worker")

    monkeypatch.setattr("actorflow.workflows.dag.workers.StepWorker.__init__", no_memory)
    dag = af.Dag("none")
    dag.add(one)
    with pytest.raises(MemoryError, match="no worker"):
        any_system.start(dag).result(timeout=WAIT)


def test_an_async_task_that_cannot_begin_is_a_failure(any_system, monkeypatch):
    def no_memory(*_arguments: object) -> None:
        raise MemoryError("no loop")

    monkeypatch.setattr("actorflow.workflows.dag.workers.AsyncStepWorker.__init__", no_memory)
    dag = af.Dag("none")
    dag.add(later, 0.01, 1, on_failure="ignore", name="first")
    dag.add(note, "second", after=["first"])
    run = any_system.start(dag)
    run.result(timeout=WAIT)
    assert tasks.ran == ["second"]
    assert isinstance(run.steps[0].error, MemoryError)


def test_runs_in_virtual_time_have_the_same_trace_for_a_seed_and_other_orders_for_others():
    def traced(seed: int) -> tuple[object, list[str]]:
        dag = af.Dag("traced", workers=4)
        tasks.ran.clear()
        first = dag.add(later, 1.0, 1)
        for n in range(6):
            dag.add(note, str(n), after=[first] if n % 2 else [], name=f"n{n}")
        dag.add(fail.options(retry=af.Retry(3, af.Backoff(1.0))), "x", after=[first], on_failure="ignore")
        with VirtualSystem("test", seed=seed) as system:
            steps = system.record()
            run = system.start(dag.options(id="traced"))
            run.result(timeout=WAIT)
            return (list(steps), [(step.name, step.started, step.ended) for step in run.steps]), [*tasks.ran]

    one, order = traced(1)
    assert traced(1) == (one, order)
    assert len({tuple(traced(seed)[1]) for seed in range(2, 12)} | {tuple(order)}) > 1


def test_a_node_has_a_retry_and_a_timeout_in_place_of_its_tasks(virtual_system):
    dag = af.Dag("options")
    dag.add(fail, "x", retry=af.Retry(3, af.Backoff(0.1)), name="tried")
    dag.add(later, 60.0, 1, timeout=0.5, name="cut")
    over = dag.add(numbers, 2, name="over")
    dag.map(fail_on, over, retry=af.Retry(2, af.Backoff(0.1)), name="mapped")
    run = virtual_system.start(dag)
    ended(run)
    steps = {step.name: step for step in run.steps}
    assert (steps["tried"].attempts, steps["cut"].attempts) == (3, 1)
    assert (steps["mapped[0]"].attempts, steps["mapped"].status) == (2, "failed")
    assert isinstance(steps["cut"].error, TimeoutError)
    inner = af.Dag("inner")
    inner.add(fail, "x")
    for wrong in (lambda: dag.add(inner, timeout=1), lambda: dag.gather([over], retry=af.Retry(2))):
        with pytest.raises(af.DefinitionError, match="are of tasks"):
            wrong()
    with pytest.raises(af.DefinitionError):
        dag.add(numbers, 1, timeout=-1)


@af.task
def fail_on(n: int) -> int:
    raise ValueError(n)


@af.task
def waits(n: int) -> int:
    tasks.begun.release()
    assert tasks.gate.wait(WAIT)
    return n


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_run_that_pauses_with_parts_of_a_map_is_cancelled(system):
    dag = af.Dag("paused", workers=1)
    dag.map(waits, dag.add(numbers, 3), limit=1)
    run = system.start(dag)
    assert tasks.begun.acquire(timeout=WAIT)
    assert run.pause() is True
    tasks.gate.set()
    until(lambda: run.progress[0] == 2)
    assert run.status == "paused"
    run.cancel()
    with pytest.raises(af.RunCancelled):
        run.result(timeout=WAIT)
    assert {step.status for step in run.steps} == {"completed", "cancelled"}


def test_a_node_that_was_to_begin_as_its_run_paused_keeps_no_second_place_in_its_group():
    dag = af.Dag("groups")
    group = dag.group("one", limit=1)
    for name in ("a", "b"):
        dag.add(numbers, 1, group=group, name=name)
    progress = DagProgress(dag.plan(), SystemClock, 1)
    progress.hire, progress.over = (lambda: None), (lambda: None)
    progress.wake = progress.cancel_step = lambda _: None
    progress.begin()
    worker = object()
    progress.workers, progress.is_hiring = 1, False
    first = progress.take(worker)
    assert progress.pause() is True
    assert progress.begun(first) is False
    progress.take(worker)
    assert progress.go_on() is True
    i = progress.take(worker)
    for _ in range(2):
        assert i >= 0
        assert progress.begun(i) is True
        i = progress.completed(worker, i, [], progress.now())
    assert progress.status == "completed"
