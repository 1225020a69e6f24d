"""Simulation: the app in virtual time, under a hostile network, faults and seeded schedules; failures come as a seed.

`simulation` (one run), `simulate` (the search over seeds, as a decorator of tests), `checks` (what is to hold),
`failure` (the error), `report` (figures of a run).
`choices`, `faults`, `patches`, `world` and `search` are rooms of their own.
"""

from actorflow.sim.failure import NotSimulated, SimulationFailure
from actorflow.sim.simulate import simulate
from actorflow.sim.simulation import Simulation
from actorflow.sim.world.link import Link

__all__ = ["Link", "NotSimulated", "Simulation", "SimulationFailure", "simulate"]
