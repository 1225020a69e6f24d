"""Figures of runs: where the time went, the critical path, the load, and the pictures."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

import actorflow as af
from actorflow.workflows.figures.schedule import ideal_makespan, lower_bound
from actorflow.workflows.figures.timeline import Timeline
from actorflow.workflows.figures.times import critical_path, workflow_capacity, workflow_time
from actorflow.workflows.run import FailedTry, StepInfo

from .tasks import double, fail, later, numbers

WAIT = 60.0


def step(name: str, ready: float, started: float, ended: float, after: tuple[str, ...] = (), **more) -> StepInfo:
    return StepInfo(name, name, "completed", ready=ready, started=started, ended=ended, attempts=1, after=after, **more)


DIAMOND = [
    step("a", 0.0, 0.0, 1.0),
    step("b", 1.0, 1.0, 4.0, ("a",)),
    step("c", 1.0, 1.5, 2.0, ("a",)),
    step("d", 4.0, 4.25, 5.0, ("b", "c")),
]


def test_workflow_time_is_task_time_and_coordination_time():
    chain = [step("a", 0.0, 0.5, 1.5), step("b", 1.5, 2.0, 3.0, ("a",))]
    times = workflow_time(chain)
    assert (times.makespan, times.task_time, times.coordination) == (3.0, 2.0, 1.0)
    assert times.makespan == times.task_time + times.coordination


def test_coordination_of_parallel_steps_is_the_makespan_less_the_critical_path():
    times = workflow_time(DIAMOND)
    assert [one.name for one in critical_path(DIAMOND)] == ["a", "b", "d"]
    assert (times.makespan, times.critical_path, times.coordination) == (5.0, 4.75, 0.25)
    assert (times.task_time, times.queue_time, times.steps) == (5.25, 0.75, 4)
    assert times.coordination_per_step == 0.0625
    assert times.utilisation(2) == pytest.approx(0.525)


def test_a_run_without_steps_has_no_time():
    times = workflow_time([])
    assert (times.makespan, times.coordination, times.coordination_per_step, times.utilisation(3)) == (0, 0, 0, 0)


def test_parts_of_a_step_count_once():
    steps = [step("m", 0.0, 0.0, 2.0), step("m[0]", 0.0, 0.0, 2.0, within="m"), step("m[1]", 0.0, 0.0, 1.0, within="m")]
    times = workflow_time(steps)
    assert (times.task_time, times.critical_path, times.steps) == (3.0, 2.0, 2)


def test_failed_tries_are_task_time():
    again = step("a", 0.0, 3.0, 4.0, tries=(FailedTry(0.0, 1.0, ValueError()), FailedTry(2.0, 2.5, ValueError())))
    times = workflow_time([again])
    assert (times.makespan, times.task_time) == (4.0, 2.5)


def test_a_critical_path_of_100_000_steps_needs_no_recursion():
    steps = [step(str(i), i, i, i + 1.0, (str(i - 1),) if i else ()) for i in range(20_000)]
    assert len(critical_path(steps)) == 20_000
    durations, before = [1.0] * 20_000, [[i - 1] if i else [] for i in range(20_000)]
    assert ideal_makespan(durations, before, 3) == lower_bound(durations, before, 3) == 20_000.0


def test_capacity_of_a_workflow_is_tasks_times_parallelism_by_capacity():
    assert workflow_capacity(10, 4, 80) == 0.5
    for wrong in ((-1, 1, 1), (1, float("nan"), 1), (1, 1, 0), (True, 1, 1)):
        with pytest.raises(af.DefinitionError, match="give numbers, none negative, and a capacity above 0"):
            workflow_capacity(*wrong)


def test_a_timeline_shows_waits_runs_and_failed_tries_apart():
    again = StepInfo("late", "late", "failed", ready=1.0, started=4.0, ended=5.0, attempts=2)
    again.tries = (FailedTry(2.0, 3.0, ValueError("x")),)
    text = Timeline("run-1", [*DIAMOND, again], 5.0).text(width=50)
    assert text.splitlines() == [
        "run-1: 5.000 s",
        "a    |##########                                        | 1.000 s",
        "b    |          ##############################          | 3.000 s",
        "c    |          .....#####                              | 0.500 s",
        "late |                    xxxxxxxxxx..........XXXXXXXXXX| 2.000 s",
        "d    |                                        ..########| 0.750 s",
    ]
    assert Timeline("run-1", [], 5.0).text() == "run-1: no step has begun\n"
    assert Timeline("run-1", DIAMOND, 5.0).text(rows=1).endswith("... and 3 more steps\n")


@pytest.mark.parametrize("count", [4, 500])
def test_a_timeline_is_a_picture_that_is_xml(count):
    steps = [step(f'<{i} & "x">', i, i + 0.25, i + 1.0) for i in range(count)]
    picture = ET.fromstring(Timeline("a & b", steps, 5.0).svg())
    texts = [one.text for one in picture.iter("{http://www.w3.org/2000/svg}title")]
    assert '<0 & "x">: completed, 0.750 s' in texts
    assert len(texts) == (2 * count if count == 4 else count)


def test_a_name_with_control_characters_is_harmless_in_a_picture_and_in_text():
    timeline = Timeline("run\x1b[2J", [step("a\x1b[31m\x07\nb", 0.0, 0.0, 1.0)], 1.0)
    assert len(list(ET.fromstring(timeline.svg()))) > 2
    assert timeline.text().replace("\n", "").isprintable()


def test_a_timeline_of_a_run_goes_on_while_it_runs(virtual_system):
    dag = af.Dag("etl")
    first = dag.add(later, 2.0, 1)
    dag.add(fail.options(retry=af.Retry(2, af.Backoff(1.0, jitter=0))), "x", after=[first], name="bad")
    run = virtual_system.start(dag)
    other = af.Dag("other")
    other.add(later, 1.0, 1)
    virtual_system.start(other).result(timeout=WAIT)
    assert ">" in str(run.timeline())
    with pytest.raises(af.RunFailed):
        run.result(timeout=WAIT)
    timeline = run.timeline()
    assert timeline.times.makespan == pytest.approx(3.0)
    assert [one.name for one in timeline.critical_path] == ["later", "bad"]
    assert run.steps[1].queue_time == 0.0


def test_a_dag_is_drawn_with_its_statuses(any_system):
    dag = af.Dag("etl")
    items = dag.add(numbers, 2, name="extract")
    out = dag.map(double, items, name="double all", when=lambda _: False)
    dag.add(fail, "x", after=[out], name="bad")
    run = any_system.start(dag)
    with pytest.raises(af.RunFailed):
        run.result(timeout=WAIT)
    assert dag.mermaid(run.steps).splitlines() == [
        "flowchart LR",
        '    n0["extract"]',
        '    n1["double all"]',
        '    n2["bad"]',
        "    n0 --> n1",
        "    n1 -.-> n2",
        "    classDef completed fill:#c8e6c9,stroke:#2e7d32",
        "    class n0 completed",
        "    classDef failed fill:#ffcdd2,stroke:#c62828,stroke-width:3px",
        "    class n2 failed",
        "    classDef skipped fill:#eeeeee,stroke:#9e9e9e,stroke-dasharray:4",
        "    class n1 skipped",
    ]
