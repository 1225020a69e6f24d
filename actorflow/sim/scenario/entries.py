"""Entries: the tables of a scenario but clients; their keys are the arguments of the methods that they stand for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from actorflow.errors import DefinitionError
from actorflow.sim.faults.at import At
from actorflow.sim.load.distributions import exponential, lognormal, uniform
from actorflow.sim.scenario.entry import ScenarioTable
from actorflow.sim.scenario.named import named, takes
from actorflow.sim.scenario.options import (
    as_tuples,
    called,
    check_arguments,
    check_keys,
    near,
    parameters_of,
    refused,
)
from actorflow.sim.simulation import Simulation
from actorflow.sim.world.link import Link, is_number
from actorflow.text import stable_text

if TYPE_CHECKING:
    from actorflow.sim.faults.targets import Target
    from actorflow.sim.scenario.lines import TablePlace

FAULTS: Final = (
    *("crash", "pause", "partition", "drop", "slow", "clock_skew"),
    *("disk_full", "busy", "slow_commits", "commit_unknown", "lost_commits"),
)
TARGETS: Final = ("target", "one", "other")
CHECKS: Final = ("always", "eventually", "sometimes")
DRAWN: Final[dict[str, Callable[..., Any] | None]] = {
    "seconds": None,
    "exponential": exponential,
    "lognormal": lognormal,
    "uniform": uniform,
}
NODE: Final = re.compile(r"node (\d+)")


class LinkEntry(ScenarioTable):
    """`[network]`, the link of all pairs of hosts; or one of `[[links]]`, that of two."""

    def check(self) -> None:
        """Refuse keys of no link."""
        between = ["between"] if self.place.table == "links" else []
        given = {key: value for key, value in self.given.items() if key not in between}
        check_arguments(self.place, given, parameters_of(Link))
        for key in between:
            pair = self.given.get(key)
            if not isinstance(pair, list) or len(pair) != 2:
                raise refused(self.place, key, f"between = {stable_text(pair)}: give the names of two actors")
        self._link()

    def _link(self) -> Link:
        given = {key: as_tuples(value) for key, value in self.given.items() if key != "between"}
        link: Link = called(self.place, "", Link, **given)
        return link

    def declare(self, sim: Simulation, until: float) -> None:  # noqa: ARG002 - as all entries have it
        """Have messages take the link."""
        pair = self.given.get("between")
        between = None if pair is None else tuple(target_of(sim, self.place, "between", end) for end in pair)
        called(self.place, "between", sim.network, self._link(), between=between)


class FaultEntry(ScenarioTable):
    """One of `[[faults]]`: a time, a kind, and the arguments of `sim.at(...)`'s method of that name."""

    def check(self) -> None:
        """Refuse an unknown fault, or keys of another one."""
        kind, at = self.given.get("kind"), self.given.get("at")
        if kind not in FAULTS:
            if kind is None:
                raise refused(self.place, "", f"'kind' is missing; there are: {', '.join(FAULTS)}")
            raise refused(self.place, "kind", f"unknown fault {stable_text(kind)}; {near(str(kind), FAULTS)}")
        if not is_number(at):
            why = "'at' is missing" if at is None else f"at = {stable_text(at)}"
            raise refused(self.place, "at", f"{why}: give virtual seconds since the start")
        arguments = {key: value for key, value in self.given.items() if key not in {"kind", "at"}}
        check_arguments(self.place, arguments, parameters_of(getattr(At, kind)))

    def declare(self, sim: Simulation, until: float) -> None:
        """Have the fault happen at its time."""
        given = dict(self.given)
        kind, time = given.pop("kind"), given.pop("at")
        if time >= until:
            raise refused(self.place, "at", f"at = {time:g}: the run ends at {until:g} s")
        at = called(self.place, "at", sim.at, time)
        for key in TARGETS:
            if key in given:
                given[key] = target_of(sim, self.place, key, given[key])
        called(self.place, "", getattr(at, kind), **given)


class ChaosEntry(ScenarioTable):
    """`[chaos]`: the arguments of `sim.chaos`; `until` is the end of the run if it is not given."""

    def check(self) -> None:
        """Refuse keys of no chaos."""
        check_arguments(self.place, {"until": 0.0, **self.given}, parameters_of(Simulation.chaos))

    def declare(self, sim: Simulation, until: float) -> None:
        """Have the seed draw faults."""
        given = {"until": until, **self.given}
        if isinstance(given.get("targets"), list):
            given["targets"] = [target_of(sim, self.place, "targets", one) for one in given["targets"]]
        called(self.place, "", sim.chaos, **given)


class StubEntry(ScenarioTable):
    """One of `[[stubs]]`: the arguments of `sim.stub`; `returns` in place of `fake` is the answer to each call."""

    def check(self) -> None:
        """Refuse keys of no stub."""
        given = dict(self.given)
        if "returns" in given and "fake" in given:
            raise refused(self.place, "returns", "give 'fake' or 'returns'")
        if "returns" in given:
            given["fake"] = given.pop("returns")
        check_arguments(self.place, given, parameters_of(Simulation.stub))

    def declare(self, sim: Simulation, until: float) -> None:  # noqa: ARG002 - as all entries have it
        """Have a function stand for another one."""
        given = {key: as_tuples(value) for key, value in self.given.items()}
        target = named(self.place, "target", given.pop("target"), is_task=True)
        fake = named(self.place, "fake", given.pop("fake")) if "fake" in given else FixedAnswer(given.pop("returns"))
        called(self.place, "target", sim.stub, target, fake, **given)


@dataclass(frozen=True)
class FixedAnswer:
    """The fake of a stub that gives the same answer to each call."""

    value: Any

    def __call__(self, *args: object, **kwargs: object) -> Any:  # noqa: ARG002 - any call
        """Return the answer."""
        return self.value


class CheckEntry(ScenarioTable):
    """One of `[[checks]]`: `always`, `eventually` or `sometimes`, with the name of a function.

    The function takes the simulation, or nothing.
    """

    def check(self) -> None:
        """Refuse keys of no check."""
        check_keys(self.place, self.given, (*CHECKS, "name", "within"))
        ways = [way for way in CHECKS if way in self.given]
        if len(ways) != 1:
            raise refused(self.place, ways[1] if ways else "", f"give one of {', '.join(CHECKS)}: when it is to hold")
        if "within" in self.given and ways != ["eventually"]:
            raise refused(self.place, "within", "'within' goes with 'eventually'")
        if not isinstance(self.given.get("name", ""), str):
            raise refused(self.place, "name", f"name = {stable_text(self.given['name'])}: give a text")

    @property
    def way(self) -> str:
        """The word for the time at which the property is to hold."""
        return next(way for way in CHECKS if way in self.given)

    @property
    def name(self) -> str:
        """The name of the property."""
        given: str = self.given[self.way]
        return str(self.given.get("name", given.rpartition(":")[2].replace("_", " ")))

    def declare(self, sim: Simulation, until: float) -> None:  # noqa: ARG002 - as all entries have it
        """Have the property looked at."""
        condition = self.condition(sim)
        within = {"within": self.given["within"]} if "within" in self.given else {}
        called(self.place, "within", getattr(sim, self.way), condition, self.name, **within)

    def condition(self, sim: Simulation) -> Callable[[], object]:
        """Return the check of a run.

        Raises:
            DefinitionError: there is no such function.
        """
        function = named(self.place, self.way, self.given[self.way])
        return (lambda: function(sim)) if called(self.place, self.way, takes, function, 1) else function

    def try_out(self, sim: Simulation) -> None:
        """Call the check once.

        Raises:
            DefinitionError: it raises.
        """
        try:
            self.condition(sim)()
        except AssertionError:
            return
        except DefinitionError as error:
            raise refused(self.place, self.way, f"{self.name}: {error}") from error
        except Exception as error:
            text = stable_text(error, render=str)
            why = f"the check {self.name!r} raises {type(error).__name__} before the first step: {text}"
            raise refused(self.place, self.way, why) from error


class CostEntry(ScenarioTable):
    """One of `[[costs]]`: the seconds that a handler or a task takes, or how they are drawn."""

    def check(self) -> None:
        """Refuse keys of no cost."""
        check_keys(self.place, self.given, ("of", *DRAWN))
        ways = [way for way in DRAWN if way in self.given]
        if "of" not in self.given:
            raise refused(self.place, "", "'of' is missing: a handler or a task, as 'module:Class.method'")
        if len(ways) != 1:
            raise refused(self.place, ways[1] if ways else "", f"give one of {', '.join(DRAWN)}: how long it takes")
        self._cost(ways[0])

    def _cost(self, way: str) -> Any:
        value, draw = self.given[way], DRAWN[way]
        if draw is None:
            return value
        return called(self.place, way, draw, *(value if isinstance(value, list) else [value]))

    def declare(self, sim: Simulation, until: float) -> None:  # noqa: ARG002 - as all entries have it
        """Have the handler or the task take its time."""
        target = named(self.place, "of", self.given["of"], is_task=True)
        way = next(way for way in DRAWN if way in self.given)
        called(self.place, way, sim.cost, target, self._cost(way))


def target_of(sim: Simulation, place: TablePlace, key: str, name: Any) -> Target:
    """Return the target of a name: an actor's, its class's or its path, or "node 1".

    Raises:
        DefinitionError: it is no name, or there is no such node.
    """
    if not isinstance(name, str):
        raise refused(place, key, f"{key} = {stable_text(name)}: give the name or the path of an actor, or 'node 0'")
    node = NODE.fullmatch(name)
    if node is None:
        return name
    if int(node[1]) >= len(sim.nodes):
        raise refused(place, key, f"there is no {name}: the scenario has {len(sim.nodes)} nodes, from node 0 on")
    return sim.nodes[int(node[1])]
