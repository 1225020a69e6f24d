"""Promises: sagas that are declared step by step, or made of a DAG, run and are undone by their declaration."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.sagas.world import Boom

LOG: list[str] = []
FAILS: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _is_empty():
    LOG.clear()
    FAILS.clear()


def noted(word: str) -> str:
    FAILS[word] -= 1
    if FAILS[word] >= 0:
        raise Boom(word)
    LOG.append(word)
    return word


def seat(name):
    return noted(f"seat of {name}")


def free_seat(seat, name):
    noted(f"free {seat}, {name}")


async def pay(seat, price):
    return noted(f"{price} for {seat}")


@af.task(name="declared.refund")
def refund(step: af.Step) -> None:
    noted(f"refund {step.arguments['price']}, {sorted(step.results)}")


def send(pay, name="nobody"):
    return noted(f"{name} gets {pay}")


trip = (
    af.Saga("declared.trip")
    .step(seat, free_seat)
    .step(pay, refund, retry=af.Retry(3, af.Backoff(0.01)))
    .step(send, name="sent", timeout=5)
)


def test_a_declared_saga_hands_results_and_arguments_on_by_name():
    FAILS["9 for seat of ann"] = 2
    with VirtualSystem("test", seed=1) as system:
        result = system.start(trip, name="ann", price=9).result()
    assert result == {"seat": "seat of ann", "pay": "9 for seat of ann", "sent": "ann gets 9 for seat of ann"}
    assert list(result.values()) == LOG


def test_a_declared_saga_is_undone_newest_first():
    FAILS["bob gets 9 for seat of bob"] = 1
    with VirtualSystem("test", seed=1) as system:
        run = system.start(trip, "bob", 9)
        with pytest.raises(af.RunFailed, match="Boom: bob gets"):
            run.result()
        assert run.status == "compensated"
    assert LOG[2:] == ["refund 9, ['pay', 'seat']", "free seat of bob, bob"]


def test_an_undo_may_be_given_by_name():
    FAILS["1 for 3"] = 1
    saga = af.Saga("declared.named").step(lambda: 3, undo=lambda three: LOG.append(f"undo {three}"), name="seat")
    with VirtualSystem("test", seed=1) as system, pytest.raises(af.RunFailed, match="Boom"):
        system.start(saga.step(pay), price=1).result()
    assert LOG == ["undo 3"]


def test_mistakes_of_declared_sagas_are_refused():
    saga = af.Saga("declared.mistakes").step(seat)
    with pytest.raises(af.DefinitionError, match="has a step or an argument of that name"):
        saga.step(seat)
    with pytest.raises(af.DefinitionError, match="gets its arguments by their names"):
        saga.step(lambda *args: args, name="all")
    with pytest.raises(af.DefinitionError, match="has no argument 'color'"):
        saga.step(pay, lambda result, price, color: None, name="paid", timeout=3)
    with pytest.raises(af.DefinitionError, match="give a function or a task"):
        saga.step("seat")
    with pytest.raises(af.DefinitionError, match="no argument 'price': .*, and it takes no arguments"):
        af.Saga("declared.bare").step(lambda: 1, lambda result, price: None, name="bare")
    with VirtualSystem("test", seed=1) as system:
        with pytest.raises(af.DefinitionError, match="missing a required argument: 'name'"):
            system.start(saga)


# --- of a DAG ---------------------------------------------------------------------------------------------------------


def stepped(name: str, seconds: float):
    @af.task(name=f"declared.{name}")
    async def act(*before: object) -> str:
        LOG.append(f"begin {name}")
        await asyncio.sleep(seconds)
        return noted(name)

    @act.compensate(name=f"declared.undo_{name}", retry=af.Retry(2, af.Backoff(0.01)))
    async def undo(step: af.Step) -> None:
        LOG.append(f"begin -{name}")
        await asyncio.sleep(seconds)
        noted(f"-{name}")

    return act


A, B, C, D = stepped("a", 1), stepped("b", 2), stepped("c", 1), stepped("d", 1)


def diamond(name: str) -> af.Saga:
    dag = af.Dag(name)
    first = dag.add(A, name="a")
    dag.add(D, dag.add(B, first, name="b"), dag.add(C, first, name="c"), name="d")
    return af.Saga.of(dag)


whole = diamond("declared.diamond")


def test_independent_nodes_run_and_are_undone_in_parallel():
    FAILS["d"] = 1
    with VirtualSystem("test", seed=1) as system:
        run = system.start(whole)
        with pytest.raises(af.RunFailed, match="Boom: d"):
            run.result()
        assert run.status == "compensated"
        assert system.now == pytest.approx(1 + 2 + 1 + 2 + 1, abs=0.5)
    undone = LOG[LOG.index("begin d") + 1 :]
    assert sorted(undone[:2]) == ["begin -b", "begin -c"]
    assert undone[2:] == ["-c", "-b", "begin -a", "-a"]


def test_a_saga_of_a_dag_has_the_results_of_its_nodes():
    with VirtualSystem("test", seed=1) as system:
        assert system.start(whole).result() == {name: name for name in "abcd"}


def test_a_node_that_cannot_be_undone_lets_those_beside_it_be():
    FAILS.update({"d": 1, "-b": 9})
    with VirtualSystem("test", seed=1) as system:
        run = system.start(whole)
        with pytest.raises(af.CompensationFailed, match="undo_b"):
            run.result()
        assert "-c" in LOG
        assert "begin -a" not in LOG
        FAILS.clear()
        run.retry()
        with pytest.raises(af.RunFailed, match="Boom: d"):
            run.result()
    assert LOG[-4:] == ["begin -b", "-b", "begin -a", "-a"]
    assert LOG.count("-c") == 1


def test_the_nodes_of_a_saga_are_plain_tasks():
    dag = af.Dag("declared.conditions")
    first = dag.add(A, name="a")
    dag.add(B, first, name="b", when=lambda results: True)
    with pytest.raises(af.DefinitionError, match="node b has when; a saga runs each task"):
        af.Saga.of(dag)
    with pytest.raises(af.DefinitionError, match="give a Dag"):
        af.Saga.of("dag")


def test_an_app_runs_the_sagas_that_it_was_given(tmp_path):
    app = af.App("sagas", store=f"sqlite:///{tmp_path / 'app.db'}").add(trip, whole)
    with app.start() as system:
        result = system.start("declared.trip", name="ann", price=1).result(timeout=60)
    assert result["seat"] == "seat of ann"
