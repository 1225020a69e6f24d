"""`actorflow wf FILE`: runs a recorded scientific workflow as a DAG, and compares the run with the ideal one."""

from __future__ import annotations

import contextlib
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from actorflow.cli import fail as end_with
from actorflow.cli import tell
from actorflow.errors import ActorflowError, AskTimeout, RunFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actorflow.app.system import ActorSystem
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
@click.option("--fail", "failing", metavar="TASK", help="Have the task of this id fail.")
@click.option("--gantt", type=click.Path(path_type=Path), metavar="OUT.svg", help="Draw the run.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def wf(
    file: Path, scale: float, workers: int, processes: bool, failing: str | None, gantt: Path | None, as_json: bool
) -> int:
    """Run a recorded workflow, a FILE in WfFormat 1.5, as a DAG: each task takes its recorded time, times the scale.

    The commands in the file are never run. At the end the run is compared with a list schedule of the same tasks that
    takes no time of its own, and the order is checked against each edge. The exit code is 1 if a task failed.

    \b
    Examples:
      actorflow wf blast.json --scale 0.01
      actorflow wf blast.json --scale 0.01 --fail blastall_00000002 --gantt run.svg
    """  # noqa: D301 - its backspace is click's mark for lines to be left as they are
    from actorflow.workflows.dag.definition import Dag
    from actorflow.workflows.wfformat import read_instance, recorded_dag

    if gantt is not None and not gantt.absolute().parent.is_dir():
        end_with(f"cannot write {gantt}: there is no folder {gantt.parent}; give another --gantt")
    try:
        instance = read_instance(file)
        dag: Dag = recorded_dag(instance, scale, fail=failing, processes=processes)
    except ActorflowError as error:
        end_with(str(error))
    run, failure = run_it(dag, workers, processes=processes, label=instance.name)
    steps = run.steps
    figures = figures_of(instance, steps, scale, workers)
    if gantt is not None:
        draw(run, gantt)
    show(instance.name, figures, as_json)
    return verdict(instance, steps, figures, failing, failure)


def run_it(dag: Any, workers: int, *, processes: bool, label: str) -> tuple[Run[Any], BaseException | None]:
    """Run a DAG to its end, with a bar that says how far it is; return its error, too."""
    from actorflow.app.settings import Settings
    from actorflow.app.system import ActorSystem
    from actorflow.cli.progress import ProgressBar

    settings = Settings(grace=GRACE)  # Ctrl-C does not wait for tasks that sleep
    with quiet(), ActorSystem("wf", settings=settings) as system, ProgressBar(label[:40]) as bar:
        if processes:
            warm_up(system, workers)
        run: Run[Any] = system.start(dag.options(workers=workers))
        while True:
            try:
                run.result(timeout=LOOK)
            except AskTimeout:
                bar(*run.progress)
                continue
            except RunFailed as error:
                return run, error.__cause__
            finally:
                done, total = run.progress
                bar(done, max(total, done))
            return run, None


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


def draw(run: Run[Any], path: Path) -> None:
    """Write the picture of a run."""
    try:
        path.write_text(run.timeline().svg(), encoding="utf-8")
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
