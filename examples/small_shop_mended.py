"""The shop that charges each order once: `actorflow sim examples.small_shop_mended:app --runs 1000` finds nothing.

All attempts of a job have the same key, also in another process. The bank is given it, and knows a charge again.
"""

from __future__ import annotations

from collections import Counter
from functools import partial

import actorflow as af
from actorflow.sim import Simulation


def charge_card(order: str, cents: int, key: str) -> None:
    """Have the bank charge a card; here it would call the bank."""
    raise NotImplementedError


@af.task(retry=af.Retry(5))
def charge(order: str, cents: int) -> None:
    """Charge a card; try again, with the same key, if the bank does not answer."""
    charge_card(order, cents, key=af.current().key)


app = af.App("shop").add(charge).queue("payments", workers=2)


@app.scenario
def evening(sim: Simulation, system: af.ActorSystem) -> None:
    """Twenty orders, and a bank whose answers are lost at times."""
    charges: Counter[str] = Counter()
    keys: set[str] = set()

    def bank(order: str, _cents: int, key: str) -> None:
        if key not in keys:
            keys.add(key)
            charges[order] += 1

    sim.stub(charge_card, bank, latency=(0.01, 0.5), maybe_done=0.05)
    for n in range(20):
        sim.at(n / 2).call(partial(system.queue("payments").enqueue, charge, f"order-{n}", 990))
    sim.always(lambda: max(charges.values(), default=0) < 2, "no double charge")
    sim.eventually(lambda: len(charges) == 20, "each order is charged", within=600)
