"""Searches of the simulation: how small a failure gets, how soon, and what a second process of the search brings."""

import math
import multiprocessing
import random
import re
import statistics
import time
from collections import Counter
from functools import partial
from typing import Any

import actorflow as af
from actorflow.sim import Link, Simulation, SimulationFailure
from actorflow.sim.search.explain import explained
from actorflow.sim.search.outcome import run_once
from actorflow.sim.search.seeds import Search
from actorflow.sim.search.settings import SearchSettings, use

from .harness import OURS, Experiment, Figures, Goal, Row, check

SERVICES = ("payments", "stock", "shipping", "mail", "bank")
HOSTS = ("shop-0", "shop-1", *SERVICES)  # two shops share the orders
ORDERS, FAULTS = 20, 8
BARE = "bare processes"
LEFT = re.compile(r"(\d+) of \d+ client events, (\d+) of \d+ faults")


class Bank(af.Actor):
    """Counts charges."""

    def __init__(self) -> None:
        super().__init__()
        self.charges: Counter[int] = Counter()

    def charge(self, order: int) -> bool:
        """Charge one order."""
        self.charges[order] += 1
        return True


class Payments(af.Actor):
    """Charges as often as it is asked: that is the bug."""

    def pay(self, order: int, bank: Any) -> bool:
        """Charge one order."""
        return bank.call(Bank.charge, order).get(timeout=2)  # type: ignore[no-any-return]


class Stock(af.Actor):
    """Has what is asked for."""

    def reserve(self, _order: int) -> bool:
        """Put it aside."""
        return True


class Mail(af.Actor):
    """Takes letters."""

    def on_receive(self, message: object) -> None:
        """Take one."""


class Shipping(af.Actor):
    """Ships, and has a mail sent."""

    def ship(self, order: int, mail: Any) -> bool:
        """Ship one order."""
        mail.tell(order)
        return True


class Shop(af.Actor):
    """Asks three services, each again after a while."""

    def order(self, order: int, payments: Any, stock: Any, shipping: Any, mail: Any, bank: Any) -> None:
        """Have an order fulfilled."""
        asks = ((stock, Stock.reserve, ()), (payments, Payments.pay, (bank,)), (shipping, Shipping.ship, (mail,)))
        for ref, method, more in asks:
            for _ in range(3):
                try:
                    ref.call(method, order, *more).get(timeout=1.5)
                    break
                except (af.AskTimeout, af.HostDied, af.ActorDeadError):
                    continue


KINDS = (Shop, Shop, Payments, Stock, Shipping, Mail, Bank)
APP = af.App("bench").add(*(af.child(kind).options(name=name) for kind, name in zip(KINDS, HOSTS, strict=True)))


def experiments(*, quick: bool) -> list[Experiment]:
    """Give sim_shrink and sim_workers."""
    failures = 5 if quick else 50
    return [
        Experiment(
            "sim_shrink",
            {OURS: partial(shrunk, failures)},
            [
                Row("events", "events and faults of a shrunk failure of a shop, median", "", [Goal("<=", 2)]),
                Row("most", "the same, nine of ten have at most", "", [Goal("<=", 3)]),
                Row("seconds", "to shrink one, at most", "s", [Goal("<=", 10)]),
            ],
            repeats=1,
        ),
        Experiment(
            "sim_workers",
            {OURS: partial(gain_of_workers, 20 if quick else 100), BARE: gain_of_processes},
            [Row("gain", "a search by two workers, of one's rate", "x", [Goal(">=", 0.95, BARE)])],
        ),
    ]


def take_orders(sim: Simulation, times: list[float]) -> Any:
    """Have the shops take orders; return the bank."""
    system = sim.start(APP)
    shops: list[Any] = [system.find(f"/bench/shop-{i}") for i in (0, 1)]
    services = [system.find(f"/bench/{name}") for name in SERVICES]
    sim.network(Link(latency=(0.001, 0.2)))
    for order, at in enumerate(times):
        sim.at(at).call(partial(shops[order % 2].cast, Shop.order, order, *services))
    return services[-1]


def trade(sim: Simulation, seed: int) -> None:
    """Have the shop take orders beside faults that are drawn, and never charge one twice."""
    rng = random.Random(seed)
    bank = take_orders(sim, [rng.uniform(0, 30) for _ in range(ORDERS)])
    for _ in range(FAULTS):
        one, other = (f"/bench/{name}" for name in rng.sample(HOSTS, 2))
        at, heal = sim.at(rng.uniform(0, 30)), rng.uniform(0.5, 5)
        kind = rng.choice(("partition", "slow", "drop"))
        if kind == "partition":
            at.partition(one, other, heal=heal)
        elif kind == "slow":
            at.slow(one, 20, heal=heal)
        else:
            at.drop(one, other, 0.5, heal=heal)
    sim.always(lambda: all(n < 2 for n in sim.peek(bank).charges.values()), "no double charge")  # type: ignore[arg-type]
    sim.run(until=60)


def shrunk(count: int) -> Figures:
    """Shrink so many failures; give the client events and faults that are left, and the seconds of each."""
    sizes: list[int] = []
    seconds: list[float] = []
    for seed in range(count * 100):
        body = partial(trade, seed=seed)
        outcome = run_once(body, seed)
        if not isinstance(outcome.failure, SimulationFailure):
            continue
        begin = time.perf_counter()
        failure = explained(body, seed, outcome)
        seconds.append(time.perf_counter() - begin)
        left = LEFT.search(failure.scenario)
        check(left, f"the scenario does not tell what is left: {failure.scenario}")
        assert left is not None
        sizes.append(sum(map(int, left.groups())))
        if len(sizes) == count:
            break
    check(len(sizes) == count, "too few failures")
    sizes.sort()
    return {
        "events": statistics.median(sizes),
        "most": sizes[math.ceil(0.9 * count) - 1],
        "seconds": max(seconds),
    }


def careful(sim: Simulation) -> None:
    """Have the shop take orders, and check nothing."""
    take_orders(sim, [i / 2 for i in range(60)])
    sim.run(until=60)


def gain_of_workers(seeds: int) -> Figures:
    """Give how much sooner two workers have run the seeds than one process."""
    Search(careful).run(range(3))  # what is made at first use is there
    seconds = []
    for workers in (1, 2):
        begin = time.perf_counter()
        with use(SearchSettings(workers=workers)):
            Search(careful).run(range(seeds))
        seconds.append(time.perf_counter() - begin)
    return {"gain": seconds[0] / seconds[1]}


def gain_of_processes() -> Figures:
    """Give how much sooner two bare processes have done two pieces of work than one of them."""
    context = multiprocessing.get_context("fork")
    seconds = []
    for count in (1, 2):
        begin = time.perf_counter()
        processes = [context.Process(target=count_up, args=(2 // count,)) for _ in range(count)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        seconds.append(time.perf_counter() - begin)
    return {"gain": seconds[0] / seconds[1]}


def count_up(times: int) -> None:
    """Keep a core busy."""
    for _ in range(times):
        sum(i * i % 7 for i in range(4_000_000))
