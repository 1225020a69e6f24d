"""A shop of five services and two counters: twenty orders, eight faults, and payments that charge twice."""

import random
from collections import Counter

import actorflow as af
from actorflow.sim import Link

HOSTS = ("shop-0", "shop-1", "payments", "stock", "shipping", "mail", "bank")
KINDS = ("partition", "slow", "drop")


class Bank(af.Actor):
    def __init__(self):
        super().__init__()
        self.charges = Counter()

    def charge(self, order):
        self.charges[order] += 1


class Payments(af.Actor):
    def pay(self, order, bank):
        bank.call(Bank.charge, order).get(timeout=2)


class Stock(af.Actor):
    def reserve(self, order, bank):
        pass


class Mail(af.Actor):
    def on_receive(self, message):
        pass


class Shipping(af.Actor):
    def ship(self, order, mail):
        mail.tell(order)


class Shop(af.Actor):
    """Reserves, pays, ships; asks each again if no answer comes."""

    def order(self, order, stock, payments, shipping, bank, mail):
        for ref, method, other in (
            (stock, Stock.reserve, bank),
            (payments, Payments.pay, bank),
            (shipping, Shipping.ship, mail),
        ):
            for _ in range(3):
                try:
                    ref.call(method, order, other).get(timeout=1.5)
                    break
                except (af.AskTimeout, af.DeadlockError):
                    pass


def app():
    kinds = {"payments": Payments, "stock": Stock, "shipping": Shipping, "mail": Mail, "bank": Bank}
    return af.App("chain").add(
        *(af.child(kind).options(name=name) for name, kind in kinds.items()),
        *(af.child(Shop).options(name=f"shop-{i}") for i in range(2)),
    )


def trade(sim):
    """Twenty orders at two counters, eight faults; the times and the faults come of the seed."""
    system = sim.start(app())
    found = {name: system.find(f"/chain/{name}") for name in HOSTS}
    sim.network(Link(latency=(0.001, 0.2)))
    draw = random.Random(sim.chooser.seed)
    rest = [found[name] for name in ("stock", "payments", "shipping", "bank", "mail")]
    for order in range(20):
        shop = found[f"shop-{order % 2}"]
        time = round(draw.uniform(0, 30), 2)
        sim.at(time).call(lambda order=order, shop=shop: shop.cast(Shop.order, order, *rest))
    for _ in range(8):
        kind, time = draw.choice(KINDS), round(draw.uniform(0, 30), 2)
        one, other = (f"/chain/{name}" for name in draw.sample(HOSTS, 2))
        heal = round(draw.uniform(0.5, 5), 1)
        if kind == "partition":
            sim.at(time).partition(one, other, heal=heal)
        elif kind == "slow":
            sim.at(time).slow(one, 20, heal=heal)
        else:
            sim.at(time).drop(one, other, 0.5, heal=heal)
    bank = found["bank"]
    sim.always(lambda: all(count < 2 for count in sim.peek(bank).charges.values()), "no double charge")
    sim.run(until=60)
