"""In virtual time the garbage collector runs after so many steps: it is part of what a seed decides."""

from __future__ import annotations

import gc

import pytest

import actorflow as af
from actorflow.core.drivers import collector
from actorflow.testing import VirtualSystem


class Forgetful(af.Actor):
    def ask(self) -> None:
        cycle: list[object] = [self.ctx.reply_later()]  # dropped in a cycle: only the collector finds it
        cycle.append(cycle)


class Client(af.Actor):
    def __init__(self, server: af.ActorRef[Forgetful], seen: list[object]) -> None:
        super().__init__()
        self.server = server
        self.seen = seen

    def on_start(self) -> None:
        self.ctx.every(0.1, self.ask)

    def ask(self) -> None:
        try:
            self.server.call(Forgetful.ask).get(timeout=1.0)
        except af.ActorflowError as error:
            self.seen.append((self.ctx.now(), type(error).__name__))


@pytest.fixture
def threshold():
    before = gc.get_threshold()
    yield gc.set_threshold
    gc.set_threshold(*before)


def run(seconds: float) -> list[object]:
    seen: list[object] = []
    with VirtualSystem(seed=3) as system:
        server = system.spawn(Forgetful)
        for _ in range(3):
            system.spawn(Client, server, seen)
        system.sleep(seconds)
        assert system.scheduler.steps > 40
    return seen


def test_how_often_the_collector_would_run_changes_no_run(threshold):
    runs = []
    for allocations in (10, 700, 1_000_000):
        threshold(allocations)
        runs.append(run(5))
    assert runs[0]
    assert runs[0] == runs[1] == runs[2]


def test_a_run_of_many_steps_collects_at_the_same_one_each_time(threshold, monkeypatch):
    monkeypatch.setattr(collector, "STEPS", 10)
    runs = []
    for allocations in (10, 1_000_000):
        threshold(allocations)
        runs.append(run(5))
    assert runs[0] == runs[1]
    assert {name for _, name in runs[0]} != {"AskTimeout"}  # those that the collector found were answered earlier


def test_the_last_system_to_end_gives_the_collector_back(threshold):
    threshold(567)
    with VirtualSystem("a"):
        with VirtualSystem("b"):
            assert gc.get_threshold()[0] == collector.RARELY
        assert gc.get_threshold()[0] == collector.RARELY
    assert gc.get_threshold()[0] == 567


def test_a_collector_that_the_program_has_turned_off_stays_off(threshold):
    threshold(0)
    with VirtualSystem() as system:
        assert gc.get_threshold()[0] == 0
        system.sleep(1)
    assert gc.get_threshold()[0] == 0
