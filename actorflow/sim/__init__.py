"""Simulation: the app in virtual time, under a hostile network, faults and seeded schedules; failures come as a seed.

`simulation` (one run), `simulate` (the search over seeds, as a decorator of tests), `checks` (what is to hold),
`properties` (when they are looked at), `limits` (of a run), `buggify` (a choice in the user's code), `calls` (the words
for what clients call), `failure` (the errors), `verdicts` (what exceptions of pytest, unittest and hypothesis say),
`report` (figures of a run), `stubs` (stand for the outside of the app).
`choices`, `faults`, `figures`, `history`, `html`, `load`, `patches`, `world`, `search` and `scenario` are rooms of
their own.
"""

from actorflow.sim.buggify import buggify
from actorflow.sim.failure import NotSimulated, SimulationFailure
from actorflow.sim.figures.histogram import Histogram
from actorflow.sim.figures.pairs import EventPair
from actorflow.sim.figures.statistics import Interval, interval_of, warm_up_cut
from actorflow.sim.load.clients import Clients
from actorflow.sim.load.distributions import exponential, lognormal, uniform
from actorflow.sim.report import Report
from actorflow.sim.search.verify import verify
from actorflow.sim.simulate import simulate
from actorflow.sim.simulation import Simulation
from actorflow.sim.world.link import Link

__all__ = [
    "Clients",
    "EventPair",
    "Histogram",
    "Interval",
    "Link",
    "NotSimulated",
    "Report",
    "Simulation",
    "SimulationFailure",
    "buggify",
    "exponential",
    "interval_of",
    "lognormal",
    "simulate",
    "uniform",
    "verify",
    "warm_up_cut",
]
