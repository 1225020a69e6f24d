"""`actorflow wf FILE`: runs a recorded scientific workflow as a DAG, and compares the run with the ideal one."""

from __future__ import annotations

import contextlib
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from actorflow.cli import fail as end_with
from actorflow.cli import tell
from actorflow.errors import ActorflowError, AskTimeout, RunFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actorflow.app.system import ActorSystem
    from actorflow.workflows.figures.timeline import Timeline
    from actorflow.workflows.run import Run, StepInfo
    from actorflow.workflows.wfformat import WfInstance

GRACE: Final = 0.5  # seconds
LOOK: Final = 0.1  # seconds between two looks at the run
COUNT: Final = click.IntRange(1, 1000)


@click.command(short_help="Run a recorded workflow as a DAG.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--scale", type=float, default=0.001, show_default=True, help="Seconds for each recorded one.")
@click.option("--workers", type=COUNT, default=16, show_default=True, help="Tasks at once.")
@click.option("--processes", is_flag=True, help="Run the tasks in as many processes.")
@click.option("--durable", "url", metavar="URL", help="Run it in a store: killed and started again, it goes on.")
@click.option("--fail", "failing", metavar="TASK", help="Have the task of this id fail.")
@click.option("--gantt", type=click.Path(path_type=Path), metavar="OUT.svg", help="Draw the run.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def wf(
    file: Path,
    scale: float,
    workers: int,
    processes: bool,
    url: str | None,
    failing: str | None,
    gantt: Path | None,
    as_json: bool,
) -> int:
    """Run a recorded workflow, a FILE in WfFormat 1.5, as a DAG: each task takes its recorded time, times the scale.

    The commands in the file are never run. At the end the run is compared with a list schedule of the same tasks that
    takes no time of its own, and the order is checked against each edge. The exit code is 1 if a task failed.

    With --durable the ends of tasks are in a store, such as sqlite:///wf.db: the same command goes on with a run that
    was killed, and says how many tasks it had not to run again.

    \b
    Examples:
      actorflow wf blast.json --scale 0.01
      actorflow wf blast.json --scale 0.01 --fail blastall_00000002 --gantt run.svg
      actorflow wf blast.json --scale 0.1 --durable sqlite:///wf.db
    """  # noqa: D301 - its backspace is click's mark for lines to be left as they are
    from actorflow.store.store import check_url
    from actorflow.workflows.dag.definition import Dag
    from actorflow.workflows.wfformat import read_instance, recorded_dag

    if gantt is not None and not gantt.absolute().parent.is_dir():
        end_with(f"cannot write {gantt}: there is no folder {gantt.parent}; give another --gantt")
    if gantt is not None and gantt.is_dir():
        end_with(f"cannot write {gantt}: it is a folder; give another --gantt")
    try:
        if url is not None:
            check_url(url)
        instance = read_instance(file)
        dag: Dag = recorded_dag(instance, scale, fail=failing, processes=processes)
    except ActorflowError as error:
        end_with(str(error))
    done = run_it(dag, workers, processes=processes, label=instance.name, url=url)
    steps, failure = done.steps, done.failure
    figures = figures_of(instance, steps, scale, workers)
    if url is not None:
        figures["recorded"] = done.recorded
    show(instance.name, figures, as_json)
    if gantt is not None:
        draw(done.timeline, gantt)
    return verdict(instance, steps, figures, failing, failure)


class RecordedRun(NamedTuple):
    """A run that is over.

    Attributes:
        recorded: steps that had ended before this process had the run.
        failure: of the first step that failed.
    """

    steps: list[StepInfo]
    timeline: Timeline
    recorded: int
    failure: BaseException | None


def run_it(dag: Any, workers: int, *, processes: bool, label: str, url: str | None) -> RecordedRun:
    """Run a DAG to its end, with a bar that says how far it is."""
    from actorflow.app.settings import Settings
    from actorflow.app.system import ActorSystem
    from actorflow.cli.progress import ProgressBar

    settings = Settings(grace=GRACE)  # Ctrl-C does not wait for tasks that sleep
    store = "memory:" if url is None else url
    with quiet(), ActorSystem("wf", store=store, settings=settings) as system, ProgressBar(label[:40]) as bar:
        if processes:
            warm_up(system, workers)
        recorded = 0
        dag = dag.options(workers=workers)
        if url is not None:
            id_, recorded = unfinished(system, dag)
            dag = dag.options(id=id_, durable=True)
        run: Run[Any] = system.start(dag)
        failure = None
        while True:
            try:
                run.result(timeout=LOOK)
            except AskTimeout:
                bar(*run.progress)
                continue
            except RunFailed as error:
                failure = error.__cause__
            done, total = run.progress
            bar(done, max(total, done))
            return RecordedRun(run.steps, run.timeline(), recorded, failure)


def unfinished(system: ActorSystem, dag: Any) -> tuple[str, int]:
    """Return the id of the last run of a DAG if that is not over, and how many of its tasks have ended; or a new id."""
    from actorflow.workflows.dag.digest import digest_of_dag
    from actorflow.workflows.rows.records import FINAL

    name = f"{dag.name}-{digest_of_dag(dag)[:8]}"  # another scale, or a task that is to fail, is another run
    number = 1
    for info in system.runs(dag.name):
        begin, _, count = info.id.rpartition("-")
        if begin == name and count.isdecimal():
            if info.status not in FINAL:
                dag.options(durable=True)  # which knows its steps
                return info.id, sum(step.status == "completed" for step in system.get_run(info.id).steps)
            number = int(count) + 1
            break
    return f"{name}-{number}", 0


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Log no failure of a task: it is told of at the end, in one line."""
    log = logging.getLogger("actorflow")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


def warm_up(system: ActorSystem, workers: int) -> None:
    """Have all processes of the pool be there before the first task."""
    pool = system.pool("cpu", workers=workers)
    for future in [pool.submit(abs, 1) for _ in range(4 * workers)]:
        future.result()


def figures_of(instance: WfInstance, steps: list[StepInfo], scale: float, workers: int) -> dict[str, Any]:
    """Return the figures of a run, beside those of the ideal one."""
    from actorflow.workflows.figures.schedule import ideal_makespan, levels_of, lower_bound
    from actorflow.workflows.figures.times import workflow_time

    durations = [seconds * scale for seconds in instance.durations]
    ideal = ideal_makespan(durations, instance.before, workers)
    times = workflow_time(steps)
    edges = [(j, i) for i, some in enumerate(instance.before) for j in some]
    ran = [(steps[j], steps[i]) for j, i in edges if steps[i].started is not None]
    kept = sum(one.ended is not None and one.ended <= (other.started or 0.0) for one, other in ran)
    return {
        "tasks": len(steps),
        "edges": len(edges),
        "levels": levels_of(instance.before),
        "workers": workers,
        "scale": scale,
        "makespan": times.makespan,
        "ideal_makespan": ideal,
        "lower_bound": lower_bound(durations, instance.before, workers),
        "utilisation": times.utilisation(workers),
        "task_time": times.task_time,
        "critical_path": times.critical_path,
        "coordination_per_task": max(0.0, times.makespan - ideal) / max(1, times.steps),
        "edges_checked": len(ran),
        "edges_kept": kept,
        **{status: sum(step.status == status for step in steps) for status in ("completed", "failed", "skipped")},
    }


def show(name: str, figures: dict[str, Any], as_json: bool) -> None:
    """Print the figures."""
    if as_json:
        click.echo(json.dumps({"name": name, **figures}))
        return
    ideal, makespan = figures["ideal_makespan"], figures["makespan"]
    ratio = f", {makespan / ideal:.3f} times the ideal one" if ideal > 0 else ""
    click.echo(
        f"{name}: {figures['tasks']} tasks, {figures['edges']} edges, {figures['levels']} levels, "
        f"{figures['workers']} workers, scale {figures['scale']:g}\n"
        f"makespan        {makespan:.3f} s{ratio}\n"
        f"ideal makespan  {ideal:.3f} s, by a list schedule that takes no time of its own\n"
        f"lower bound     {figures['lower_bound']:.3f} s\n"
        f"utilisation     {figures['utilisation']:.1%}\n"
        f"coordination    {figures['coordination_per_task'] * 1e6:.0f} us a task\n"
        f"order           {figures['edges_kept']} of {figures['edges_checked']} edges kept\n"
        f"steps           {figures['completed']} completed, {figures['failed']} failed, {figures['skipped']} skipped"
    )
    if "recorded" in figures:
        click.echo(f"recorded        {figures['recorded']} of these before, and not run again")


def draw(timeline: Timeline, path: Path) -> None:
    """Write the picture of a run."""
    try:
        path.write_text(timeline.svg(), encoding="utf-8")
    except OSError as error:
        end_with(f"cannot write {path}: {error.strerror}; give another --gantt")


def verdict(
    instance: WfInstance,
    steps: list[StepInfo],
    figures: dict[str, Any],
    failing: str | None,
    error: BaseException | None,
) -> int:
    """Tell of a failure of the run; return the exit code."""
    if figures["edges_kept"] != figures["edges_checked"]:
        tell(f"{figures['edges_checked'] - figures['edges_kept']} edges were not kept; please report it")
        return 1
    if error is None:
        return 0
    expected = descendants(instance, instance.tasks.index(failing)) if failing is not None else set()
    skipped = {i for i, step in enumerate(steps) if step.status == "skipped"}
    if failing is not None and skipped == expected:
        tell(f"{error}; exactly the {len(skipped)} tasks that depend on it were skipped")
    else:
        tell(f"{error}; {len(skipped)} tasks were skipped, {len(expected)} depend on it; please report it")
    return 1


def descendants(instance: WfInstance, first: int) -> set[int]:
    """Return the tasks that depend on one, directly or by others."""
    after: list[list[int]] = [[] for _ in instance.tasks]
    for i, some in enumerate(instance.before):
        for j in some:
            after[j].append(i)
    found: set[int] = set()
    left = [first]
    while left:
        for i in after[left.pop()]:
            if i not in found:
                found.add(i)
                left.append(i)
    return found
