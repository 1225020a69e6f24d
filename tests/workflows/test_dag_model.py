"""Random DAGs have the same statuses as in the model, on threads and on the virtual clock."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import actorflow as af
from actorflow.testing import VirtualSystem

from .dag_model import PAUSE, Model, ModelNode, random_nodes

WAIT = 600.0

counts: Counter[tuple[str, int]] = Counter()


@af.task(name="model-step")
def step(run: str, i: int, failures: int, *_before: object) -> int:
    counts[run, i] += 1
    if counts[run, i] <= failures:
        raise ValueError(i)
    return i


@af.task(name="model-step-that-takes-time")
async def timed_step(run: str, i: int, failures: int, duration: float, *_before: object) -> int:
    await asyncio.sleep(duration)
    counts[run, i] += 1
    if counts[run, i] <= failures:
        raise ValueError(i)
    return i


def dag_of(name: str, nodes: list[ModelNode], *, timed: bool) -> af.Dag:
    dag = af.Dag(name, workers=len(nodes) + 1)
    for i, node in enumerate(nodes):
        given: dict[str, object] = {"join": node.join, "rest": node.rest, "name": str(i)}
        given["after"] = [dag.nodes[j] if j % 2 else str(j) for j in node.order]
        if node.has_when:
            given["when"] = lambda _, value=node.when: value
        if node.default:
            given["default"] = -1
        given["on_failure"] = (lambda _error: 0) if node.on_failure == "handler" else node.on_failure
        retry = af.Retry(node.attempts, af.Backoff(PAUSE, factor=1, jitter=0))
        task = (timed_step if timed else step).options(retry=retry)
        more = [node.duration] if timed else []
        dag.add(task, name, i, node.failures, *more, *[dag.nodes[j] for j in node.data], **given)
    return dag


def outcome_of(run: af.Run[af.Results]) -> tuple[str, list[str], list[int]]:
    with contextlib.suppress(af.RunFailed, af.RunCancelled):
        run.result(timeout=WAIT)
    steps = run.steps
    return run.status, [one.status for one in steps], [one.attempts for one in steps]


def same_statuses_on_threads(seed: int, count: int) -> None:
    nodes = random_nodes(random.Random(seed), count, timed=False)
    model = Model(nodes)
    counts.clear()
    with af.ActorSystem("test") as system:
        status, statuses, attempts = outcome_of(system.start(dag_of("model", nodes, timed=False).options(workers=3)))
    assert (status, statuses) == (model.run, model.status)
    assert attempts == model.attempts


def same_statuses_on_the_virtual_clock(seed: int, count: int, moment: float | None) -> None:
    nodes = random_nodes(random.Random(seed), count, timed=True)
    whole = Model(nodes).now
    cancel_at = None if moment is None else whole * moment
    model = Model(nodes, cancel_at)
    counts.clear()
    with VirtualSystem("test", seed=seed) as system:
        run = system.start(dag_of("model", nodes, timed=True))
        if model.cancelled:
            assert cancel_at is not None
            system.scheduler.call_later(cancel_at, run.cancel)
        status, statuses, attempts = outcome_of(run)
    assert (status, statuses) == (model.run, model.status)
    for i, one in enumerate(statuses):  # one that is cancelled in the moment when it is ready may begin, or not
        assert attempts[i] == model.attempts[i] or (one == "cancelled" and abs(attempts[i] - model.attempts[i]) == 1)


SEEDS = st.integers(0, 2**32)


@settings(max_examples=25)
@given(seed=SEEDS, count=st.integers(1, 200))
def test_random_dags_have_the_statuses_of_the_model_on_threads(seed, count):
    same_statuses_on_threads(seed, count)


@settings(max_examples=25)
@given(seed=SEEDS, count=st.integers(1, 60), moment=st.none() | st.floats(0.01, 0.99))
def test_random_dags_have_the_statuses_of_the_model_on_the_virtual_clock(seed, count, moment):
    same_statuses_on_the_virtual_clock(seed, count, moment)


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=400)
@given(seed=SEEDS, count=st.integers(1, 200))
def test_many_random_dags_have_the_statuses_of_the_model_on_threads(seed, count):
    same_statuses_on_threads(seed, count)


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=400)
@given(seed=SEEDS, count=st.integers(1, 200), moment=st.none() | st.floats(0.01, 0.99))
def test_many_random_dags_have_the_statuses_of_the_model_on_the_virtual_clock(seed, count, moment):
    same_statuses_on_the_virtual_clock(seed, count, moment)
