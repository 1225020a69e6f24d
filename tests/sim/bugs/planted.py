"""The corpus: bugs that are planted in small apps, each with its cure and its smallest scenario, counted by hand."""

from collections.abc import Callable
from dataclasses import dataclass

import actorflow as af
from actorflow.sim import Link, Simulation

CORPUS: dict[str, "Planted"] = {}


@dataclass(frozen=True)
class Planted:
    """One bug.

    Attributes:
        body: runs the app; the second argument says whether it is the cured one.
        events: client events of the smallest scenario.
        faults: of the smallest scenario.
    """

    name: str
    body: Callable[[Simulation, bool], None]
    events: int
    faults: int

    def ill(self, sim: Simulation) -> None:
        self.body(sim, False)

    def cured(self, sim: Simulation) -> None:
        self.body(sim, True)


def planted(*, events: int, faults: int = 0):
    """Add a bug to the corpus."""

    def add(body):
        CORPUS[body.__name__] = Planted(body.__name__, body, events, faults)
        return body

    return add


def begin(sim, latency=(0.001, 0.2), link=None, **kinds):
    """Start an app with one actor of each kind, each on a host of its own; return their refs in this order."""
    children = [af.child(kind) if isinstance(kind, type) else kind for kind in kinds.values()]
    app = af.App("bug", system=af.Settings(intensity=1000)).add(  # chaos crashes more often than a supervisor bears
        *(child.options(name=name) for child, name in zip(children, kinds, strict=True))
    )
    system = sim.start(app)
    sim.network(link or Link(latency=latency))
    return [system.find(f"/bug/{name}") for name in kinds]


class Keeper(af.Actor):
    """A database of its own host, which no fault touches: a dictionary."""

    def __init__(self):
        super().__init__()
        self.rows = {}

    def get(self, key):
        return self.rows.get(key, 0)

    def put(self, key, value):
        self.rows[key] = value

    def add(self, key, amount):
        self.rows[key] = self.rows.get(key, 0) + amount
        return self.rows[key]

    def swap(self, key, old, new):
        """Compare and set."""
        if self.rows.get(key, 0) != old:
            return False
        self.rows[key] = new
        return True
