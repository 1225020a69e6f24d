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


class Drawer(af.Actor):
    def draw(self):
        return self.ctx.random.random()

    def fall(self):
        raise RuntimeError("falls")


def draws(*, others: bool) -> tuple[list[float], list[tuple[float, str, str]], list[float]]:
    """Return the numbers of one actor, the trace, and the times of its restarts; `others` draw, too."""
    started = []

    class Falling(Drawer):
        def on_start(self):
            started.append(self.ctx.now())

    recipe = af.child(Falling).options(name="d", backoff=af.Backoff(1, jitter=0.5))
    with VirtualSystem("draws", seed=3) as system:
        trace = system.record()
        system.spawn(af.child(af.Supervisor, recipe, intensity=100).options(name="sup"))
        first, second = system.find("/draws/sup/d"), system.spawn(af.child(Drawer).options(name="e"))
        numbers = []
        for _ in range(4):
            numbers.append(first.call(Drawer.draw).get())
            if others:
                second.call(Drawer.draw).get()
                system.scheduler.random_for("nobody").random()
            else:
                second.call(Drawer.draw)
                system.sleep(0)
            first.cast(Drawer.fall)
            system.sleep(30)
    return numbers, [step for step in trace if step[1] == first.path], started


def test_a_draw_of_one_shifts_no_number_of_another():
    numbers, steps, started = draws(others=True)
    assert (numbers, started) == draws(others=False)[::2]
    assert len(set(numbers)) == 4
    assert len(steps) > 8
    assert len(set(started)) == 5


def test_the_numbers_of_a_path_are_the_same_in_each_process():
    with VirtualSystem("numbers", seed=5) as system:
        stream = system.scheduler.random_for("/numbers/a")
        assert [stream.randrange(1000) for _ in range(4)] == NUMBERS
        other = system.scheduler.random_for("/numbers/b")
        assert [other.randrange(1000) for _ in range(4)] != NUMBERS


NUMBERS = [853, 82, 976, 317]


def test_the_numbers_of_unnamed_actors_that_are_dead_take_no_room(virtual_system):
    for _ in range(20):
        drawer = virtual_system.spawn(Drawer)
        drawer.call(Drawer.draw).get()
        drawer.stop()
    assert not virtual_system.scheduler.streams
