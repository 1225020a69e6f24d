"""Promises: a run that a system gives back at whatever moment goes on elsewhere, and misses no signal."""

from __future__ import annotations

import random

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.workflows.bodies import Approved, number


@af.workflow(name="let_go.child")
def child(n: int) -> int:
    af.sleep(1)
    return n


@af.workflow(name="let_go.plain")
def plain() -> list[object]:
    number(1)
    first = af.wait(Approved).name
    got = child(5)
    af.gather(number.submit(2), number.submit(3)).get()
    return [first, got, af.wait(Approved).name]


@af.workflow(name="let_go.asynchronous")
async def asynchronous() -> list[object]:
    await number.submit(1)
    first = (await af.signal(Approved)).name
    got = await child.submit(5)
    await af.gather(number.submit(2), number.submit(3))
    return [first, got, (await af.signal(Approved)).name]


def pass_by(store: af.Store, workflow: object, seed: int, signals: list[str]) -> None:
    """Have the run in a system for a moment; maybe it gets a signal there."""
    rng = random.Random(seed)
    with VirtualSystem(store=store, seed=seed) as system:
        run = system.start(workflow.options(id="x"))
        for _ in range(rng.randrange(4)):
            if signals and rng.random() < 0.5:
                run.signal(Approved(signals.pop(0)))
            else:
                for _ in range(rng.choice([1, 3, 10, 30])):
                    system.sleep(0)
                system.sleep(rng.choice([0, 0, 1e-3, 0.5]))


@pytest.mark.slow(quick=[f"{seed}-{kind}" for seed in range(8) for kind in ("plain", "asynchronous")])
@pytest.mark.parametrize("workflow", [plain, asynchronous], ids=["plain", "asynchronous"])
@pytest.mark.parametrize("seed", range(40))
def test_a_run_that_many_systems_had_for_a_moment_each_comes_to_its_end(workflow, seed):
    signals = ["a", "b"]
    with af.open_store() as store:
        for n in range(5):
            pass_by(store, workflow, 5 * seed + n, signals)
        with VirtualSystem(store=store, seed=seed) as system:
            run = system.get_run("x")
            for name in signals:
                run.signal(Approved(name))
            assert run.result(timeout=60) == ["a", 5, "b"]
