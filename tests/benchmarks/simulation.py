"""Simulation: steps a second of a simulated world against a live system's, and whole searches."""

import os
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import actorflow as af
from actorflow.sim import Link, Simulation
from actorflow.testing import VirtualSystem

from .harness import OURS, WAIT, Experiment, Figures, Goal, Row, check

LIVE = "live tell"
PING_PONG = "bare locks"
BALLS = 50  # at most; a system with two actors has two


class Ball(af.Actor):
    """Passes a message on to the next of a ring, as often as it says."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0

    def on_receive(self, message: tuple[int, Sequence[Any], int]) -> None:
        """Pass it on."""
        left, ring, i = message
        self.passed += 1
        if left:
            i = (i + 1) % len(ring)
            ring[i].tell((left - 1, ring, i))


class Asker(af.Actor):
    """Asks another one, again and again."""

    def ask(self, other: Any, count: int) -> None:
        """Ask so often."""
        for _ in range(count):
            other.ask("x")


class Echo(af.Actor):
    """Answers."""

    def on_receive(self, message: object) -> object:
        """Answer."""
        return message


class Bank(af.Actor):
    """Takes payments."""

    def charge(self, _order: int) -> None:
        """Take one."""


class Payments(af.Actor):
    """Charges."""

    def pay(self, order: int, bank: Any) -> None:
        """Charge one order."""
        bank.call(Bank.charge, order).get(timeout=30)


class Shop(af.Actor):
    """Has orders paid."""

    def order(self, order: int, payments: Any, bank: Any) -> None:
        """Have one paid."""
        payments.call(Payments.pay, order, bank).get(timeout=30)


def experiments(*, quick: bool) -> list[Experiment]:
    """Give sim_tell_2, sim_tell_500, sim_ask, sim_seeds, sim_seeds_3, sim_timers and sim_frames."""
    steps = 10_000 if quick else 200_000
    tells = [
        Experiment(
            f"sim_tell_{count}",
            {OURS: partial(simulated_tells, count, steps), LIVE: partial(live_tells, count, steps)},
            [Row("steps", f"simulation, tells between {count} actors", "/s", [Goal(">=", 0.4, LIVE)])],
        )
        for count in (2, 500)
    ]
    seeds = 20 if quick else 500
    return [
        *tells,
        Experiment(
            "sim_ask",
            {OURS: partial(simulated_asks, steps // 10), PING_PONG: partial(ping_pong, steps // 10)},
            [Row("steps", "simulation, each step waits for an answer", "/s", [Goal(">=", 0.25, PING_PONG)])],
        ),
        Experiment(
            "sim_seeds",
            {OURS: partial(search, seeds, 1)},
            [Row("seconds", f"{seeds} seeds of a shop with 300 events, one node", "s", [Goal("<=", 7)])],
            repeats=1 if quick else 3,
        ),
        Experiment(
            "sim_seeds_3",
            {OURS: partial(search, seeds, 3)},
            [Row("seconds", f"{seeds} seeds of the same, three nodes and one store", "s", [Goal("<=", 12)])],
            repeats=1 if quick else 3,
        ),
        Experiment(
            "sim_timers",
            {OURS: partial(hour_of_timers, 10_000)},
            [
                Row("once", "an hour of 10,000 timers that fire once", "s", [Goal("<=", 0.3)]),
                Row("every", "an hour of 10,000 that fire each minute", "s", [Goal("<=", 7)]),
            ],
            repeats=1 if quick else 3,
        ),
        Experiment(
            "sim_frames",
            {OURS: partial(frozen_frames, 20 if quick else 200)},
            [Row("ms", "end of a frozen frame that swallows everything", "ms", [Goal("<=", 1)])],
        ),
    ]


def ring_app(count: int) -> af.App:
    """Give an app of so many actors."""
    return af.App("bench").add(*(af.child(Ball).options(name=f"x{i}") for i in range(count)))


def throw(ring: Sequence[Any], steps: int) -> None:
    """Have balls go round."""
    balls = min(len(ring), BALLS)
    for i in range(balls):
        at = i * len(ring) // balls
        ring[at].tell((steps // balls, ring, at))


def simulated_tells(count: int, steps: int) -> Figures:
    """Have balls go round in a simulated process."""
    with Simulation(2, step_limit=10**9) as sim:
        system = sim.start(ring_app(count), hosts="one")
        throw([system.find(f"/bench/x{i}") for i in range(count)], steps)
        begin = time.process_time()
        sim.run(until=1)
        return {"steps": sim.world.steps / (time.process_time() - begin)}


def live_tells(count: int, steps: int) -> Figures:
    """Have balls go round in a live system."""
    with af.ActorSystem("bench") as system:
        ring: list[Any] = [system.spawn(af.child(Ball).options(name=f"x{i}")) for i in range(count)]
        begin = time.process_time()
        throw(ring, steps)
        end = time.monotonic() + WAIT
        while sum(ref._actor.passed for ref in ring) < steps:
            check(time.monotonic() < end, "the balls stopped")
            time.sleep(0.005)
        return {"steps": steps / (time.process_time() - begin)}


def simulated_asks(count: int) -> Figures:
    """Have an actor ask another one, each in a thread of its own at that time."""
    with pinned(), Simulation(2, step_limit=10**9) as sim:
        app = af.App("bench").add(af.child(Asker).options(name="asker"), af.child(Echo).options(name="echo"))
        system = sim.start(app, hosts="one")
        asker, echo = system.find("/bench/asker", Asker), system.find("/bench/echo", Echo)
        assert asker is not None
        asker.cast(Asker.ask, echo, count)
        begin = time.perf_counter()
        sim.run(until=1)
        return {"steps": sim.world.steps / (time.perf_counter() - begin)}


def ping_pong(count: int) -> Figures:
    """Have two threads wake each other by two locks."""
    one, other = threading.Lock(), threading.Lock()
    one.acquire()
    other.acquire()

    def answer() -> None:
        for _ in range(count):
            one.acquire()
            other.release()

    with pinned():
        thread = threading.Thread(target=answer)
        thread.start()
        begin = time.perf_counter()
        for _ in range(count):
            one.release()
            other.acquire()
        seconds = time.perf_counter() - begin
        thread.join()
    return {"steps": 2 * count / seconds}


class pinned:
    """Keeps this process on one core meanwhile."""

    def __enter__(self) -> None:
        self._cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(self._cores)})

    def __exit__(self, *_: object) -> None:
        os.sched_setaffinity(0, self._cores)


def search(seeds: int, nodes: int) -> Figures:
    """Run a shop with so many seeds, on one core."""
    app = af.App("bench").add(
        af.child(Bank).options(name="bank"),
        af.child(Payments).options(name="payments"),
        af.child(Shop).options(name="shop"),
    )
    with pinned():
        begin = time.perf_counter()
        for seed in range(seeds):
            with Simulation(seed) as sim:
                sim.start(app, nodes=nodes)
                sim.network(Link(latency=(0.001, 0.2)))
                for number, node in enumerate(sim.nodes):
                    assert node.system is not None
                    take_orders(sim, node.system, 60 // nodes, number)
                sim.run(until=60)
                check(sim.world.steps >= 300, f"only {sim.world.steps} steps")
        return {"seconds": time.perf_counter() - begin}


def take_orders(sim: Simulation, system: Any, orders: int, node: int) -> None:
    """Have clients order: five steps each, at least."""
    bank, payments, shop = (system.find(f"/bench/{name}") for name in ("bank", "payments", "shop"))
    for i in range(orders):
        order = 100 * node + i
        sim.at(i * 0.1).call(partial(shop.cast, Shop.order, order, payments, bank))


class Clock(af.Actor):
    """Has timers."""

    def once(self, count: int) -> None:
        """Have so many fire once within an hour."""
        for i in range(count):
            self.ctx.after(3600 * i / count, self.tick)

    def every(self, count: int) -> None:
        """Have so many fire each minute."""
        for _ in range(count):
            self.ctx.every(60, self.tick)

    def tick(self) -> None:
        """Do nothing."""


def hour_of_timers(count: int) -> Figures:
    """Let an hour pass."""
    figures = {}
    for name, method in (("once", Clock.once), ("every", Clock.every)):
        with VirtualSystem("bench", seed=1) as system:
            system.spawn(Clock).call(method, count).get()
            begin = time.perf_counter()
            system.sleep(3599)
            figures[name] = time.perf_counter() - begin
    return figures


class Stubborn(af.Actor):
    """Waits, and goes on whatever is raised."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    def on_receive(self, _message: object) -> None:
        """Do not answer."""
        self.kept.append(self.ctx.reply_later())

    def swallow(self, other: Any) -> None:
        """Ask for ever."""
        while True:
            try:
                other.ask("x")
            except BaseException:
                continue


def frozen_frames(count: int) -> Figures:
    """Have a node crash whose actors all wait, and the run end."""
    never = [af.child(Stubborn).options(name="never")]
    app = af.App("bench").add(*never, *(af.child(Stubborn).options(name=f"x{i}") for i in range(count)))
    with Simulation(2) as sim:
        system = sim.start(app)
        silent = system.find("/bench/never", Stubborn)
        for i in range(count):
            waits = system.find(f"/bench/x{i}", Stubborn)
            assert waits is not None
            waits.cast(Stubborn.swallow, silent)
        sim.at(1).crash(sim.nodes[0], down=10)
        sim.run(until=2)
        check(len(sim.world.frozen) == count, f"only {len(sim.world.frozen)} frames are frozen")
        begin = time.process_time()
    return {"ms": (time.process_time() - begin) / count * 1000}
