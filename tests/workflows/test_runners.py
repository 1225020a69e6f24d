"""Promises: plain steps that begin together share a runner while they are short, and run side by side if they block."""

import threading

import pytest

import actorflow as af
from actorflow.workflows.node import runners
from actorflow.workflows.node.runners import StepRunner
from tests.core.actors import until
from tests.workflows import tasks
from tests.workflows.bodies import number

LIMIT = 200
TOGETHER = 6
meeting = threading.Barrier(TOGETHER)


@af.task
def meet() -> None:
    """Wait for all others."""
    meeting.wait(LIMIT)


@af.workflow
def steps_that_meet() -> int:
    """Have steps wait for each other."""
    return len(af.gather([meet.submit() for _ in range(TOGETHER)]).get())


def test_steps_that_block_run_side_by_side():
    with af.ActorSystem("runners", store="memory:") as system:
        for _ in range(3):  # later, the runners are there, and known to block
            assert system.start(steps_that_meet).result(timeout=LIMIT) == TOGETHER


@af.workflow
async def behind_a_gate(count: int) -> list[object]:
    """Begin a step that waits for the gate, and short ones behind it."""
    return await af.gather([tasks.wait_for_gate.submit(), *[number.submit(n) for n in range(count)]])


@pytest.fixture
def turns(monkeypatch):
    """The messages of runners."""
    heard = []
    plain = StepRunner.on_receive

    def on_receive(self, message):
        heard.append(message)
        plain(self, message)

    monkeypatch.setattr(StepRunner, "on_receive", on_receive)
    monkeypatch.setattr(runners, "MOST", 1)
    return heard


def run_behind_a_gate(system):
    run = system.start(behind_a_gate, 30)
    assert tasks.begun.acquire(timeout=LIMIT)
    until(lambda: len(system.run_node.places.waiting) == 30)
    tasks.gate.set()
    assert run.result(timeout=LIMIT) == ["open", *([n] for n in range(30))]


def test_short_steps_that_wait_together_are_run_in_one_turn(turns, monkeypatch):
    monkeypatch.setattr(runners, "TURN_SECONDS", 1000.0)
    with af.ActorSystem("runners", store="memory:") as system:
        run_behind_a_gate(system)
    assert len(turns) == 1


def test_a_runner_with_many_steps_gives_other_actors_a_turn(turns, monkeypatch):
    monkeypatch.setattr(runners, "TURN_SECONDS", 0.0)
    with af.ActorSystem("runners", store="memory:") as system:
        run_behind_a_gate(system)
    assert len(turns) > 1


def test_a_runner_that_has_ended_is_not_called():
    with af.ActorSystem("runners", store="memory:") as system:
        assert system.start(steps_that_meet).result(timeout=LIMIT) == TOGETHER
        places = system.run_node.places
        until(lambda: len(places.idle) == system.run_node.runners._actor.plain)
        for runner in list(places.idle):
            runner.stop()
        assert places.take() is None
        assert system.start(steps_that_meet).result(timeout=LIMIT) == TOGETHER
