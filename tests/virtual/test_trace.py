"""Traces: a seed fixes who runs when, in every process; without one the order is first in, first out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.virtual.world import run

ROOT = Path(__file__).parents[2]


def in_a_process(seed: object, hash_seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.virtual.world", str(seed)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("seed", [7, None])
def test_same_seed_gives_the_same_trace_in_two_processes(seed):
    one, two = in_a_process(seed, "1"), in_a_process(seed, "2")
    assert one == two
    assert one.count("\n") > 100
    assert one == "".join(f"{step}\n" for step in run(seed))


def test_another_seed_gives_another_trace():
    traces = {str(run(seed, seconds=2)) for seed in range(10)}
    assert len(traces) == 10


def test_same_seed_gives_the_same_trace_ten_times_in_one_process():
    assert len({str(run(3, seconds=2)) for _ in range(10)}) == 1


def test_trace_is_of_time_path_and_message(virtual_system):
    class Echo(af.Actor):
        def on_receive(self, message):
            return message

    trace = virtual_system.record()
    echo = virtual_system.spawn(Echo)
    virtual_system.sleep(2)
    echo.ask("hello")
    assert trace[-1] == (2.0, echo.path, "'hello'")


def arrivals(seed: int | None, senders: int = 6) -> list[int]:
    """Return in which order the messages of several senders, started in turn, arrive."""
    seen: list[int] = []

    class Receiver(af.Actor):
        def on_receive(self, message):
            seen.append(message)

    class Sender(af.Actor):
        def send(self, n):
            receiver.tell(n)

    with VirtualSystem(seed=seed) as system:
        receiver = system.spawn(Receiver)
        refs = [system.spawn(Sender) for _ in range(senders)]
        for n, ref in enumerate(refs):
            ref.cast(Sender.send, n)
        system.sleep(0)
    return seen


def test_without_a_seed_the_order_is_first_in_first_out():
    assert arrivals(None) == list(range(6))


def test_seeds_reach_many_orders():
    orders = {tuple(arrivals(seed)) for seed in range(100)}
    assert len(orders) > 60
    assert all(sorted(order) == list(range(6)) for order in orders)


def test_random_numbers_of_actors_come_from_the_seed():
    class Dice(af.Actor):
        def roll(self):
            return [self.ctx.random.randrange(6) for _ in range(20)]

    def rolled(seed):
        with VirtualSystem(seed=seed) as system:
            return system.spawn(Dice).call(Dice.roll).get()

    assert rolled(1) == rolled(1)
    assert rolled(1) != rolled(2)


@pytest.mark.actorflow(seed=11)
def test_the_marker_seeds_the_fixture(virtual_system):
    assert virtual_system.scheduler.seed == 11


class Server(af.Actor):
    def on_receive(self, message):
        return message


class Asker(af.Actor):
    def __init__(self, server, order):
        super().__init__()
        self.server = server
        self.order = order

    def on_receive(self, n):
        self.server.ask(n)
        self.order.append(n)


def test_a_trace_stands_for_one_order_of_effects():
    orders = {}
    for seed in range(100):
        order = []
        with VirtualSystem(seed=seed) as system:
            trace = system.record()
            server = system.spawn(Server)
            for n, ref in enumerate([system.spawn(Asker, server, order) for _ in range(2)]):
                ref.tell(n)
            system.sleep(0)
            orders.setdefault(str(trace), set()).add(tuple(order))
    assert len(orders) > 1
    assert all(len(each) == 1 for each in orders.values())
