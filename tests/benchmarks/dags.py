"""DAGs in memory, of tasks that do nothing, against graphlib with a thread pool and against dask's threads.

Recorded workflows: the time that a run takes of what it may take: 1.05 times a list schedule, and 1 ms a level.
"""

import functools
import graphlib
import os
import queue
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import actorflow as af
from actorflow.workflows.figures.schedule import ideal_makespan, levels_of
from actorflow.workflows.wfformat import read_instance, recorded_dag

from .harness import OURS, WAIT, Experiment, Figures, Goal, Row, check

GRAPHLIB = "graphlib"
DASK = "dask"
SMALL = "1,000 tasks"
WORKERS = 2
RECORDED_WORKERS = 16
SHIPPED = Path(__file__).parents[2] / "examples" / "data"

Shape = Callable[[int], list[list[int]]]


def chain(count: int) -> list[list[int]]:
    """One after the other."""
    return [[i - 1] if i else [] for i in range(count)]


def fan_out(count: int) -> list[list[int]]:
    """One, then all others but one, then that one."""
    return [[], *([0] for _ in range(count - 2)), [*range(1, count - 1)]]


def at_random(count: int) -> list[list[int]]:
    """Each after up to three of the hundred before it."""
    rng = random.Random(1)
    return [sorted({rng.randrange(max(0, i - 100), i) for _ in range(min(i, 3))}) for i in range(count)]


SHAPES: dict[str, tuple[Shape, float]] = {"chain": (chain, 40), "fan_out": (fan_out, 5), "random": (at_random, 4)}


@af.task
def noop() -> None:
    """Do nothing."""


def nothing(*_before: Any) -> None:
    """Do nothing, with the results of others."""


def experiments(*, quick: bool) -> list[Experiment]:
    """Give dag_chain, dag_fan_out, dag_random, dag_growth and dag_recorded."""
    count = 2_000 if quick else 10_000
    found = [
        Experiment(
            f"dag_{name}",
            {
                OURS: partial(ours, shape, count),
                GRAPHLIB: partial(with_graphlib, shape, count),
                DASK: partial(with_dask, shape, count),
            },
            [Row("tasks", f"DAG, {name.replace('_', '-')}", "/s", [Goal(">=", bound, GRAPHLIB), Goal(">=", 15, DASK)])],
        )
        for name, (shape, bound) in SHAPES.items()
    ]
    growth = [
        Experiment(
            f"dag_growth_{name}",
            {OURS: partial(ours, shape, 10 * count), SMALL: partial(ours, shape, 1_000)},
            [Row("cost", f"DAG, {name.replace('_', '-')}: cost of a task at 100,000", "us", [Goal("<=", 1.5, SMALL)])],
        )
        for name, (shape, _) in SHAPES.items()
    ]
    recorded = [
        Experiment(
            f"dag_recorded_{path.stem.partition('-')[0]}",
            {OURS: partial(of_its_limit, path, 0.5 if quick else 3.0)},
            [Row("limit", f"recorded workflow, {path.stem}, of its limit", "x", [Goal("<=", 1.0)])],
            repeats=1 if quick else 3,
        )
        for path in recorded_files()
    ]
    return [*found, *growth, *recorded]


def recorded_files() -> list[Path]:
    """Return the recorded workflows: those of the folder that the environment names, or the one that is shipped."""
    return sorted(Path(os.environ.get("ACTORFLOW_WFINSTANCES") or SHIPPED).glob("*.json"))


@functools.cache
def dag_of(shape: Shape, count: int) -> af.Dag:
    """Return such a DAG; it is declared before anything is measured, as are the graphs of the others."""
    dag = af.Dag(shape.__name__, workers=WORKERS)
    nodes: list[af.Node[None]] = []
    for before in shape(count):
        nodes.append(dag.add(noop, after=[nodes[i] for i in before]))
    dag.check()
    return dag


@functools.cache
def dask_graph(shape: Shape, count: int) -> dict[Any, Any]:
    """Return such a graph for dask."""
    graph: dict[Any, Any] = {i: (nothing, *before) for i, before in enumerate(shape(count))}
    ends = set(range(count)) - {j for before in shape(count) for j in before}
    graph["end"] = (nothing, *ends)
    return graph


def ours(shape: Shape, count: int) -> Figures:
    """Run it as a DAG."""
    dag = dag_of(shape, count)
    with af.ActorSystem("bench") as system:
        system.start(af.Dag("warm")).result(timeout=WAIT)
        begin = time.perf_counter()
        run = system.start(dag)
        run.result(timeout=WAIT)
        seconds = time.perf_counter() - begin
        check(run.progress == (count, count), "not all tasks ran")
    return {"tasks": count / seconds, "cost": seconds / count * 1e6}


def with_graphlib(shape: Shape, count: int) -> Figures:
    """Run it as graphlib's own documentation says, with a thread pool; results are kept, and errors raised."""
    sorter = graphlib.TopologicalSorter(dict(enumerate(shape(count))))
    sorter.prepare()
    done: queue.SimpleQueue[Any] = queue.SimpleQueue()
    results: dict[int, Any] = {}
    nodes: dict[Any, int] = {}
    with ThreadPoolExecutor(WORKERS) as executor:
        begin = time.perf_counter()
        while sorter.is_active():
            for i in sorter.get_ready():
                future = executor.submit(nothing)
                nodes[future] = i
                future.add_done_callback(done.put)
            future = done.get()
            i = nodes.pop(future)
            results[i] = future.result()
            sorter.done(i)
        seconds = time.perf_counter() - begin
    check(len(results) == count, "not all tasks ran")
    return {"tasks": count / seconds}


def with_dask(shape: Shape, count: int) -> Figures:
    """Run it with dask's scheduler of threads."""
    import dask.threaded  # type: ignore[import-untyped]  # pyright: ignore[reportMissingImports]

    graph = dask_graph(shape, count)
    begin = time.perf_counter()
    dask.threaded.get(graph, "end", num_workers=WORKERS)
    return {"tasks": count / (time.perf_counter() - begin)}


def of_its_limit(path: Path, target: float) -> Figures:
    """Run a recorded workflow whose ideal makespan is scaled to some seconds; return the part of its limit it takes."""
    instance = read_instance(path)
    scale = target / ideal(instance.durations, instance.before)
    dag = recorded_dag(instance, scale).options(workers=RECORDED_WORKERS)
    dag.check()
    with af.ActorSystem("bench") as system:
        system.start(af.Dag("warm")).result(timeout=WAIT)
        begin = time.perf_counter()
        system.start(dag).result(timeout=WAIT)
        seconds = time.perf_counter() - begin
    return {"limit": seconds / (1.05 * target + 0.001 * levels_of(instance.before))}


def ideal(durations: Sequence[float], before: Sequence[Sequence[int]]) -> float:
    """Return the makespan of a list schedule."""
    return ideal_makespan(durations, before, RECORDED_WORKERS)
