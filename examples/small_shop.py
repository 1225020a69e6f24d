"""A shop that charges its customers at a bank, and now and then twice: `actorflow sim examples.small_shop:app`.

The bank may have charged a card though its answer was lost; the task is tried again, and the bank does not know that it
is the same charge: it was given no idempotency key. `docs/tutorial-simulation.md` mends it.
"""

from __future__ import annotations

from collections import Counter
from functools import partial

import actorflow as af
from actorflow.sim import Simulation


def charge_card(order: str, cents: int) -> None:
    """Have the bank charge a card; here it would call the bank."""
    raise NotImplementedError


@af.task(retry=af.Retry(5))
def charge(order: str, cents: int) -> None:
    """Charge a card; try again if the bank does not answer."""
    charge_card(order, cents)


app = af.App("shop").add(charge).queue("payments", workers=2)


@app.scenario
def evening(sim: Simulation, system: af.ActorSystem) -> None:
    """Twenty orders, and a bank whose answers are lost at times."""
    charges: Counter[str] = Counter()

    def bank(order: str, _cents: int) -> None:
        charges[order] += 1

    sim.stub(charge_card, bank, latency=(0.01, 0.5), maybe_done=0.05)
    payments = system.queue("payments")
    for n in range(20):
        sim.at(n / 2).call(partial(payments.enqueue, charge, f"order-{n}", 990))
    sim.always(lambda: max(charges.values(), default=0) < 2, "no double charge")
