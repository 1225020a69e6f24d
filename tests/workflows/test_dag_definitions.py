"""Mistakes in a DAG are found where they stand, or before it runs, and name the path and the cure."""

from __future__ import annotations

import itertools
import threading

import pytest

import actorflow as af
from actorflow.workflows.dag.memory_run import MemoryRun
from actorflow.workflows.dag.runner import DagRunner
from actorflow.workflows.dag.specs import NodeSpecs

from .tasks import add, double, fail, nothing, numbers, one


@pytest.fixture
def dag() -> af.Dag:
    return af.Dag("etl")


# --- cycles, and nodes that nothing leads to --------------------------------------------------------------------------


def test_a_cycle_names_its_nodes_in_order_and_those_that_nothing_leads_to(dag):
    dag.add(one, name="first")
    dag.add(nothing, after=["first", "c"], name="a")
    dag.add(nothing, after=["a"], name="b")
    dag.add(nothing, after=["b"], name="c")
    dag.add(nothing, after=["b"], name="behind")
    with pytest.raises(af.DefinitionError, match="etl has a cycle: a -> b -> c -> a; so nothing leads to behind$"):
        dag.check()


def test_a_node_that_comes_after_itself_is_a_cycle(dag):
    dag.add(nothing, after=["a"], name="a")
    with pytest.raises(af.DefinitionError, match="etl has a cycle: a -> a$"):
        dag.check()


def test_a_cycle_of_many_nodes_is_a_text_of_bounded_length(dag):
    count = 20_000
    for i in range(count):
        dag.add(nothing, after=[f"n{(i - 1) % count}"], name=f"n{i}")
    with pytest.raises(af.DefinitionError, match=r"n0 -> n1 -> .* 19981 more .* -> n0") as caught:
        dag.check()
    assert len(str(caught.value)) < 500


def test_a_run_does_not_begin_with_a_mistake(dag):
    dag.add(nothing, after=["nowhere"], name="a")
    with af.ActorSystem("test") as system:
        with pytest.raises(af.DefinitionError, match="etl: a comes after 'nowhere', and no node has that name"):
            system.start(dag)
        assert system.memory_runs == {}


def test_a_mistake_in_a_nested_dag_is_found_before_the_run(dag):
    inner = af.Dag("inner")
    inner.add(nothing, after=["x"], name="a")
    dag.add(inner)
    with pytest.raises(af.DefinitionError, match="inner: a comes after 'x'"):
        dag.check()


@pytest.mark.parametrize("is_from_inside", [True, False], ids=["from inside", "from outside"])
def test_a_chain_of_nested_dags_is_declared_without_going_through_those_that_are_there(monkeypatch, is_from_inside):
    looks = []
    plain = NodeSpecs.__iter__
    monkeypatch.setattr(NodeSpecs, "__iter__", lambda specs: looks.append(1) or plain(specs))
    dags = [af.Dag(f"level-{n}") for n in range(200)]
    pairs = list(itertools.pairwise(dags))
    for outer, inner in reversed(pairs) if is_from_inside else pairs:
        outer.add(inner)
    assert len(looks) <= len(dags)
    with pytest.raises(af.DefinitionError, match="it is, or contains, the DAG"):
        dags[-1].options(workers=1).add(dags[0].options(workers=2))


def test_a_dag_is_no_node_of_itself(dag):
    middle = af.Dag("middle")
    inner = af.Dag("inner")
    dag.add(middle)
    middle.add(inner)
    with pytest.raises(af.DefinitionError, match=r"inner.add\(<dag etl, 1 nodes>\): it is, or contains, the DAG"):
        inner.add(dag)
    with pytest.raises(af.DefinitionError, match="it is, or contains"):
        dag.add(dag)


# --- joins ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("join", "need"), [(3, 3), ("any", 1)])
def test_a_join_that_can_never_be_met_is_refused(dag, join, need):
    before = [dag.add(one), dag.add(one)] if join == 3 else []
    dag.add(nothing, after=before, join=join, name="joined")
    text = f"the join of joined can never be met: it needs {need} of the {len(before)} nodes before it"
    with pytest.raises(af.DefinitionError, match=text):
        dag.check()


def test_a_join_of_some_needs_a_default_for_each_argument(dag):
    first, second = dag.add(one), dag.add(one)
    dag.add(add, first, second, join="any", default={first: 0}, name="sum")
    with pytest.raises(af.DefinitionError, match="sum may run without the result of one-2, as its join is 'any'"):
        dag.check()


# --- one node ---------------------------------------------------------------------------------------------------------


def plain() -> None:
    """A function that is no task."""


@pytest.mark.parametrize("work", [plain, 3, "one", None, print])
def test_a_node_that_is_no_task_is_refused(dag, work):
    with pytest.raises(af.DefinitionError, match=r"Dag.add\(.*\): it is no task: .*@af.task"):
        dag.add(work)
    with pytest.raises(af.DefinitionError, match=r"Dag.map\(.*\): it is no task"):
        dag.map(work, dag.add(numbers, 1))


def test_arguments_that_do_not_fit_are_refused(dag):
    first = dag.add(one)
    with pytest.raises(af.DefinitionError, match="too many positional arguments"):
        dag.add(one, first)
    with pytest.raises(af.DefinitionError, match="missing a required argument: 'b'"):
        dag.add(add, first)
    with pytest.raises(af.DefinitionError, match="unknown option 'b'"):
        dag.add(double, 1, b=2)


def test_options_that_only_a_job_has_are_refused(dag):
    with pytest.raises(af.DefinitionError, match=r"\.options\(delay=, unique=\): only a job of a queue has that"):
        dag.add(one.options(unique="a", delay=3))
    with pytest.raises(af.DefinitionError, match=r"\.options\(key=\): only a job"):
        dag.add(one.options(key="a"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"join": "some"}, "join='some': give 'all', 'any', or how many"),
        ({"join": True}, "join=True"),
        ({"rest": "drop"}, "rest='drop': choose one of 'cancel', 'let'"),
        ({"on_failure": "retry"}, "on_failure='retry': choose one of 'skip', 'stop', 'ignore'"),
        ({"when": 3}, "when=3: give a function of the results"),
        ({"after": "a"}, "after='a': give a list of nodes, or of names"),
        ({"after": [3]}, "after=3: give str"),
        ({"priority": "high"}, "priority='high': give int"),
        ({"priority": 2**63}, "a whole number of 64 bits"),
        ({"duration": -1}, "duration=-1: seconds, 0 or more"),
        ({"group": "net"}, "group='net': give NodeGroup"),
        ({"name": ""}, "name=''"),
        ({"prioriti": 3}, "unknown option 'prioriti': did you mean 'priority'"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(dag, options, message):
    with pytest.raises(af.DefinitionError, match=message):
        dag.add(one, **options)
    assert dag.nodes == []


def test_nodes_and_groups_of_another_dag_are_refused(dag):
    other = af.Dag("other")
    node = other.add(one)
    with pytest.raises(af.DefinitionError, match="<node one of other> is of another DAG than etl"):
        dag.add(double, node)
    with pytest.raises(af.DefinitionError, match="is of another DAG"):
        dag.add(one, after=[node])
    with pytest.raises(af.DefinitionError, match="<group net of other, limit 1> is of another DAG"):
        dag.add(one, group=other.group("net", limit=1))


def test_a_list_of_nodes_as_an_argument_names_gather(dag):
    first = dag.add(one)
    with pytest.raises(af.DefinitionError, match=r"give etl.gather\(\[...\]\)"):
        dag.add(double, [first, 3])


def test_a_name_that_is_taken_is_refused_and_one_that_is_not_given_is_numbered(dag):
    dag.add(one, name="one-2")
    assert [dag.add(one).name, dag.add(one).name] == ["one", "one-3"]
    with pytest.raises(af.DefinitionError, match="etl has a node named 'one' already"):
        dag.add(one, name="one")


def test_maps_loops_gathers_and_groups_refuse_what_makes_no_sense(dag):
    first = dag.add(numbers, 3)
    with pytest.raises(af.DefinitionError, match="give a node; for a list that is known, add each item"):
        dag.map(double, [1, 2])
    with pytest.raises(af.DefinitionError, match="limit=0: 1 or more"):
        dag.map(double, first, limit=0)
    with pytest.raises(af.DefinitionError, match="give a limit of rounds"):
        dag.loop(double, 1, until=bool, limit=None)
    with pytest.raises(af.DefinitionError, match="until=3: give a function of the result"):
        dag.loop(double, 1, until=3, limit=2)
    with pytest.raises(af.DefinitionError, match=r"gather\(3\): give a list of nodes"):
        dag.gather(3)
    dag.group("net", limit=2)
    with pytest.raises(af.DefinitionError, match="etl has a group named 'net' already"):
        dag.group("net", limit=2)
    with pytest.raises(af.DefinitionError, match="limit=0: 1 or more"):
        dag.group("db", limit=0)


@pytest.mark.parametrize("name", ["", "a/b", 3, "\0"])
def test_a_name_of_a_dag_that_is_none_is_refused(name):
    with pytest.raises(af.DefinitionError):
        af.Dag(name)


def test_a_dag_takes_no_arguments_as_a_node(dag):
    inner = af.Dag("inner")
    with pytest.raises(af.DefinitionError, match="a DAG takes no arguments; its order is given with after="):
        dag.add(inner, 3)


def test_workers_and_ids_are_options_of_a_run(dag):
    dag.add(one)
    with pytest.raises(af.DefinitionError, match="workers=0: 1 or more"):
        dag.options(workers=0)
    with af.ActorSystem("test") as system:
        run = system.start(dag.options(id="etl-2026-11", workers=1))
        assert run.id == "etl-2026-11"
        run.result(timeout=60)
        with pytest.raises(af.DefinitionError, match=r"start\(3\): give a function .*, or an af.Dag"):
            system.start(3)


def test_two_runs_of_one_id_are_not_under_way_at_once():
    from . import tasks

    dag = af.Dag("etl").options(id="etl-1")
    dag.add(tasks.wait_for_gate)
    with af.ActorSystem("test") as system:
        run = system.start(dag)
        with pytest.raises(af.DefinitionError, match="a run with the id 'etl-1' is under way already"):
            system.start(dag)
        tasks.gate.set()
        run.result(timeout=60)
        system.start(dag).result(timeout=60)


def test_a_run_of_the_same_id_can_be_started_once_the_result_of_the_last_is_there(monkeypatch):
    dag = af.Dag("etl").options(id="etl-1")
    dag.add(one)
    may_end, finish_at_once, settle, known = threading.Event(), DagRunner.finish, MemoryRun.settle, []

    def finish(self):
        assert may_end.wait(60)
        finish_at_once(self)

    def settle_and_look(run):
        run._over._wakes.insert(0, lambda: known.append(dict(system.memory_runs)))  # before any other hears of it
        settle(run)

    monkeypatch.setattr(DagRunner, "finish", finish)
    monkeypatch.setattr(MemoryRun, "settle", settle_and_look)
    with af.ActorSystem("test") as system:
        for _ in range(3):
            assert len(system.start(dag).result(timeout=60)) == 1
        may_end.set()
    assert known == [{}, {}, {}]


def test_a_results_object_tells_of_nodes_that_are_none(dag):
    first = dag.add(one)
    with af.ActorSystem("test") as system:
        results = system.start(dag).result(timeout=60)
    with pytest.raises(af.DefinitionError, match="etl has no node named 'two'"):
        results["two"]
    with pytest.raises(af.DefinitionError, match="3 is no node"):
        results[3]
    other = af.Dag("other")
    with pytest.raises(af.DefinitionError, match="is of another DAG than etl"):
        results[other.add(fail, "x")]
    assert repr(results) == "<results of etl: 1 of 1>"
    assert results[first] == 1
