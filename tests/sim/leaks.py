"""An app whose de-duplication outlives its runs, in names of this module."""

import functools
from typing import ClassVar

import actorflow as af
from actorflow.sim import simulate

SEEN = set()
COUNT = 0
UNCHANGED = {"a": 1}


@functools.cache
def price(item):
    return 2 * item


class Payments(af.Actor):
    """Pays each order once in a process."""

    latest: ClassVar = []

    def pay(self, order):
        global COUNT
        price(order)
        COUNT += 1
        if len(self.latest) < 3:
            self.latest.append(order)
        if order in SEEN:
            return "again"
        SEEN.add(order)
        return "paid"


@simulate(runs=5, tapes=None)
def pays_each_order(sim):
    payments = sim.start(app).find("/leaks/payments", Payments)
    answer = payments.call(Payments.pay, 7).get()
    sim.run(until=1)
    assert answer == "paid"


@simulate(runs=5, tapes=None)
def fails_anyway(sim):
    payments = sim.start(app).find("/leaks/payments", Payments)
    payments.call(Payments.pay, sim.chooser.seed).get()
    sim.run(until=1)
    assert sim.chooser.seed < 2


@simulate(runs=3, tapes=None)
def pays_once_though_it_is_asked_twice(sim):
    system = sim.start(app, nodes=2)
    answers = [
        node.system.find("/leaks/payments", Payments).call(Payments.pay, (sim.chooser.seed, "order")).get()
        for node in sim.nodes
    ]
    sim.run(until=1)
    assert system is sim.nodes[0].system
    assert answers == ["paid", "again"]  # in production, two processes would have paid


app = af.App("leaks").add(af.child(Payments).options(name="payments"))
