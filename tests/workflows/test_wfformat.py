"""WfFormat: recorded workflows are read, mistakes are refused with their place, and runs keep the order."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest

import actorflow as af
from actorflow.cli.wf import descendants
from actorflow.workflows.figures.schedule import ideal_makespan, levels_of, lower_bound
from actorflow.workflows.wfformat import WfInstance, parse_instance, read_instance, recorded_dag

WAIT = 60.0
SHIPPED = Path(__file__).parents[2] / "examples" / "data" / "1000genome-chameleon-2ch-100k-001.json"
FOLDER = os.environ.get("ACTORFLOW_WFINSTANCES")  # with more recorded workflows, from WfInstances
FILES = sorted(Path(FOLDER).glob("*.json")) if FOLDER else [SHIPPED]
SMALL = [path for path in FILES if path.stat().st_size < 110_000]

TWO: dict[str, Any] = {
    "name": "two",
    "workflow": {
        "specification": {
            "tasks": [
                {"name": "a", "id": "a_1", "parents": [], "children": ["b_1"]},
                {"name": "b", "id": "b_1", "parents": ["a_1"], "children": []},
            ]
        },
        "execution": {
            "tasks": [{"id": "a_1", "runtimeInSeconds": 2.5}, {"id": "b_1", "runtimeInSeconds": 1}],
        },
    },
}


def changed(*path: Any, to: Any) -> dict[str, Any]:
    """The small file with one value changed, or taken away."""
    data = copy.deepcopy(TWO)
    part: Any = data
    for key in path[:-1]:
        part = part[key]
    if to is None:
        del part[path[-1]]
    else:
        part[path[-1]] = to
    return data


SPEC = ("workflow", "specification", "tasks")
EXEC = ("workflow", "execution", "tasks")


def test_a_file_is_read_with_its_tasks_times_and_edges():
    assert parse_instance(TWO) == WfInstance("two", ("a_1", "b_1"), ("a", "b"), (2.5, 1.0), ((), (0,)))
    one_sided = changed(*SPEC, 1, "parents", to=[])
    assert parse_instance(one_sided).before == ((), (0,))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], r"the file: \[\] is not an object"),
        ({}, "workflow: it is missing; WfFormat 1.5 has it"),
        (changed("workflow", "execution", to=None), "workflow.execution: it is missing"),
        (changed(*SPEC, to="x"), "workflow.specification.tasks: 'x' is not a list"),
        (changed(*SPEC, 1, to=3), r"tasks\[1\]: 3 is not an object"),
        (changed(*SPEC, 1, "id", to=None), r"workflow.specification.tasks\[1\].id: it is missing"),
        (changed(*SPEC, 1, "id", to="a_1"), r"specification.tasks\[1\]: a second task has the id 'a_1'"),
        (changed(*SPEC, 1, "id", to=""), r"workflow.specification.tasks\[1\].id: '': text that is not empty"),
        (changed(*SPEC, 1, "id", to="b\0"), r"workflow.specification.tasks\[1\].id: .*NUL"),
        (changed("name", to="\ud800"), "name: .*lone surrogates"),
        (changed(*SPEC, 1, "parents", to=["c"]), r"tasks\[1\].parents\[0\]: of task 'b_1': no task has the id 'c'"),
        (changed(*SPEC, 0, "children", to=[7]), r"tasks\[0\].children\[0\]: of task 'a_1': no task has the id 7"),
        (changed(*SPEC, 0, "parents", to=["b_1"]), "a cycle of tasks: (a_1 -> b_1 -> a_1|b_1 -> a_1 -> b_1)"),
        (changed(*SPEC, 0, "parents", to=["a_1"]), "a cycle of tasks: a_1 -> a_1"),
        (changed(*EXEC, 1, to=None), "execution.tasks: it has no runtimeInSeconds of task 'b_1'"),
        (changed(*EXEC, 1, "id", to="c"), r"execution.tasks\[1\]: no task of .* has the id 'c'"),
        (changed(*EXEC, 1, "runtimeInSeconds", to=-1), r"tasks\[1\].runtimeInSeconds: of task 'b_1' it is -1: give"),
        (changed(*EXEC, 1, "runtimeInSeconds", to="1"), r"of task 'b_1' it is '1': give seconds"),
        (changed(*EXEC, 1, "runtimeInSeconds", to=float("nan")), r"of task 'b_1' it is nan: give seconds"),
        (changed(*EXEC, 1, "runtimeInSeconds", to=None), r"of task 'b_1' it is missing: give seconds"),
    ],
)
def test_a_mistake_is_refused_with_the_task_and_the_place(data, message):
    with pytest.raises(af.DefinitionError, match=message):
        parse_instance(data)


def test_a_file_that_is_no_json_or_not_there_is_refused(tmp_path):
    path = tmp_path / "x.json"
    with pytest.raises(af.DefinitionError, match="cannot read .*x.json: No such file"):
        read_instance(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(af.DefinitionError, match="is not JSON: Expecting property name"):
        read_instance(path)
    path.write_bytes(b'"\xff"')
    with pytest.raises(af.DefinitionError, match="is not UTF-8"):
        read_instance(path)
    path.write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(af.DefinitionError, match="nested too deep"):
        read_instance(path)
    path.write_text(json.dumps(changed(*EXEC, to=None)), encoding="utf-8")
    with pytest.raises(af.DefinitionError, match=r"x.json: workflow.execution.tasks: it is missing"):
        read_instance(path)


@pytest.mark.parametrize("scale", [-1, float("nan"), float("inf"), True, "1"])
def test_a_scale_that_is_none_is_refused(scale):
    with pytest.raises(af.DefinitionError, match="seconds for each recorded one, 0 or more"):
        recorded_dag(parse_instance(TWO), scale)


def test_an_unknown_task_is_refused_with_one_that_there_is():
    with pytest.raises(af.DefinitionError, match="two has no task 'b': give the id of one, such as 'b_1'"):
        recorded_dag(parse_instance(TWO), fail="b")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_recorded_workflow_runs_and_keeps_each_edge(path):
    instance = read_instance(path)
    with af.ActorSystem("test") as system:
        run = system.start(recorded_dag(instance, 0.0))
        run.result(timeout=WAIT)
    steps = run.steps
    assert {step.status for step in steps} == {"completed"}
    for i, some in enumerate(instance.before):
        for j in some:
            assert steps[j].ended <= steps[i].started


@pytest.mark.parametrize("path", SMALL, ids=lambda path: path.stem)
def test_each_task_that_fails_skips_exactly_its_descendants(path):
    instance = read_instance(path)
    with af.ActorSystem("test") as system:
        for number, id_ in enumerate(instance.tasks):
            run = system.start(recorded_dag(instance, 0.0, fail=id_))
            with pytest.raises(af.RunFailed, match=id_):
                run.result(timeout=WAIT)
            statuses = [step.status for step in run.steps]
            assert {i for i, status in enumerate(statuses) if status == "skipped"} == descendants(instance, number)
            assert statuses.count("failed") == 1
            assert statuses[number] == "failed"


def test_the_ideal_makespan_is_no_less_than_the_lower_bound():
    instance = read_instance(SHIPPED)
    for workers in (1, 2, 16, 64):
        ideal = ideal_makespan(instance.durations, instance.before, workers)
        assert lower_bound(instance.durations, instance.before, workers) <= ideal + 1e-6
    assert ideal_makespan(instance.durations, instance.before, 16) == pytest.approx(252.4, abs=0.1)
    assert ideal_makespan(instance.durations, instance.before, 1) == pytest.approx(sum(instance.durations))
    assert levels_of(instance.before) == 3
