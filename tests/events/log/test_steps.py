"""A publication in a step of a run is part of the commit of the step's result: there once, whatever fails or dies."""

from __future__ import annotations

import logging
import random
import threading
from collections import Counter
from typing import Any

import pytest

import actorflow as af
from actorflow.core.drivers.world import World
from actorflow.testing import LeakCheck, VirtualSystem
from tests.durable.test_messages import wait_for
from tests.events.log.services import Cashier, Noted, service
from tests.outcomes.faulty import faults

STORES = ("sqlite",)
SEEDS = 24
SHARE = 6  # seeds of one test
SYSTEM: list[Any] = []
FAILING: set[str] = set()
RETRY = af.Retry(3, af.Backoff(1, factor=1, jitter=0))


def publish(text: str, **how: Any) -> str:
    SYSTEM[0].publish(Noted(text), **how)
    return text


@pytest.fixture
def system(url):
    with VirtualSystem("test", store=url) as system:
        SYSTEM[:] = [system]
        FAILING.clear()
        system.spawn(service(Cashier, "cashier"))
        yield system
    SYSTEM.clear()


def texts(system):
    return [stored.event.text for stored in reversed(system.event_log.list("test.noted", limit=1000))]


@af.task(retry=RETRY)
def step(text: str) -> int:
    before = len(texts(SYSTEM[0]))
    publish(text)
    publish(f"{text} again")
    if text in FAILING:
        FAILING.discard(text)
        raise OSError("not yet")
    return len(texts(SYSTEM[0])) - before


@af.task(retry=RETRY)
async def async_step(text: str) -> int:
    return step.function(text)


@af.task(retry=RETRY, timeout=100)
def timed_step(text: str) -> int:
    return step.function(text)


@af.task(retry=RETRY)
def step_with_transaction(text: str) -> int:
    publish(text)
    with af.current().transaction():
        publish(f"{text} again")
    if text in FAILING:
        FAILING.discard(text)
        raise OSError("not yet")
    return 0


KINDS = {one.name.rpartition(".")[2]: one for one in (step, async_step, timed_step, step_with_transaction)}


@af.workflow
def walk(kind: str, count: int) -> list[int]:
    return [KINDS[kind].submit(str(n)).get() for n in range(count)]


@af.workflow
async def stroll(kind: str, count: int) -> list[int]:
    return await af.gather(KINDS[kind].submit(str(n)) for n in range(count))


@af.saga
def tour(kind: str, count: int) -> list[int]:
    return [KINDS[kind].submit(str(n)).get() for n in range(count)]


def dag_of(kind: str, count: int) -> af.Dag:
    dag = af.Dag(f"steps-{kind}-{count}", durable=True)
    nodes: list[Any] = []
    for n in range(count):
        nodes.append(dag.add(KINDS[kind], str(n), after=nodes[-1:]))
    return dag


DAGS = {kind: dag_of(kind, 3) for kind in ("step", "async_step", "timed_step")}


def begin(system: Any, form: str, kind: str, count: int = 3) -> Any:
    if form == "dag":
        return system.start(DAGS[kind].options(id="r-1"))
    body = {"walk": walk, "stroll": stroll, "tour": tour}[form]
    return system.start(body.options(id="r-1"), kind, count)


FORMS = [(form, kind) for form in ("walk", "stroll", "tour", "dag") for kind in KINDS if form != "dag" or kind in DAGS]


def published(count: int) -> Counter[str]:
    return Counter(text for n in range(count) for text in (str(n), f"{n} again"))


@pytest.mark.parametrize(("form", "kind"), FORMS)
def test_a_step_publishes_with_its_result_and_a_failed_try_of_it_nothing(system, form, kind):
    FAILING.update("02")
    heard: list[str] = []
    system.subscribe(Noted, lambda event: heard.append(event.text))
    result = begin(system, form, kind).result(timeout=100)
    if form != "dag":
        assert set(result) == {0}  # the log had nothing of it while the step ran
    system.sleep(1)
    assert not FAILING
    assert Counter(texts(system)) == published(3)
    assert Counter(heard) == published(3)


@af.task
def delayed(text: str) -> None:
    publish(text, delay=60)


@af.workflow
def late() -> None:
    delayed("late")


def test_a_delayed_publication_of_a_step_counts_from_its_call(system):
    system.start(late).result(timeout=10)
    system.sleep(50)
    assert texts(system) == []
    system.sleep(11)
    assert texts(system) == ["late"]


@pytest.mark.parametrize("form", ["walk", "tour", "dag"])
def test_a_step_that_was_given_up_publishes_nothing_any_more(tmp_path, form):
    gate, refused = threading.Event(), []

    @af.task(timeout=0.1, name=f"{__name__}.slow_{form}")
    def slow() -> None:
        publish("early")
        assert gate.wait(100)
        try:
            publish("late")
        except af.JobCancelled as error:
            refused.append(str(error))

    @af.workflow(name=f"{__name__}.waits_{form}")
    def waits() -> None:
        slow()

    @af.saga(name=f"{__name__}.toils_{form}")
    def toils() -> None:
        slow()

    dag = af.Dag(f"slow_{form}", durable=True)
    dag.add(slow)
    with LeakCheck(), af.ActorSystem("test", store=f"sqlite:///{tmp_path}/test.db") as system:
        SYSTEM[:] = [system]
        system.spawn(service(Cashier, "cashier"))
        with pytest.raises(af.ActorflowError, match="took over"):
            system.start({"walk": waits, "tour": toils, "dag": dag}[form]).result(timeout=100)
        gate.set()
        wait_for(lambda: refused)
        assert "was given up" in refused[0]
        assert texts(system) == []
    SYSTEM.clear()


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.DEBUG, "actorflow")


def open_system(world, store):
    system = VirtualSystem._within(world, "a", store=store)
    SYSTEM[:] = [system]
    system.spawn(service(Cashier, "cashier"))
    return system


def run_with_kills(seed):
    """Kill the process at any step of the scheduler, while steps run; return how often."""
    rng, kills, count = random.Random(seed), 0, 6
    form, kind = rng.choice([pair for pair in FORMS if pair[0] != "dag"])
    FAILING.clear()
    with World(seed=seed) as world, af.open_store() as store:
        system = open_system(world, store)
        try:
            begin(system, form, kind, count)
            for _ in range(30):
                scheduler = system.scheduler.world
                limit, scheduler.step_limit = scheduler.step_limit, rng.randint(1, 40)
                try:
                    system.sleep(1)
                except af.StuckError:
                    pass
                finally:
                    scheduler.step_limit = limit
                system._kill()
                kills += 1
                system = open_system(world, store)
            system.get_run("r-1").result(timeout=10_000)
            system.sleep(10)
            assert Counter(texts(system)) == published(count), (seed, form, kind)
        finally:
            system.stop()
            SYSTEM.clear()
    return kills


@pytest.mark.parametrize("some", [range(at, at + SHARE) for at in range(0, SEEDS, SHARE)], ids=str)
def test_each_step_publishes_once_whatever_process_dies(some):
    with LeakCheck():
        assert sum(run_with_kills(seed) for seed in some) > 0


def run_with_faults(seed):
    """Have commits fail before they are made, at them and after them; return of which kinds."""
    rng, count = random.Random(seed), 12
    form, kind = rng.choice(FORMS)
    count = 3 if form == "dag" else 12
    FAILING.clear()
    FAILING.update(rng.sample([str(n) for n in range(count)], 2))
    with VirtualSystem(seed=seed) as system:
        SYSTEM[:] = [system]
        system.spawn(service(Cashier, "cashier"))
        run = begin(system, form, kind, count)
        with faults(system, seed) as faulty:
            run.result(timeout=10_000)
            system.sleep(100)
        system.sleep(10)
        assert Counter(texts(system)) == published(count), (seed, form, kind)
    SYSTEM.clear()
    return faulty.drawn


@pytest.mark.parametrize("some", [range(at, at + SHARE) for at in range(0, SEEDS, SHARE)], ids=str)
def test_each_step_publishes_once_whatever_commits_fail(some):
    with LeakCheck():
        assert set().union(*(run_with_faults(seed) for seed in some))
