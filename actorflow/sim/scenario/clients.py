"""Clients: calls of functions, sends and events from outside of the app in a scenario, at times or at a rate."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, Final

import msgspec

from actorflow.errors import ActorflowError, DefinitionError
from actorflow.sim.faults.targets import actor_of, present_actor
from actorflow.sim.load.clients import Clients
from actorflow.sim.scenario.entry import ScenarioTable
from actorflow.sim.scenario.named import named, takes
from actorflow.sim.scenario.options import called, check_keys, refused
from actorflow.sim.world.link import is_number
from actorflow.text import stable_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.app.virtual import VirtualSystem
    from actorflow.sim.simulation import Simulation

WAYS: Final = ("call", "cast", "publish")
TIMES: Final = ("at", "every", "rate", "trace")
OF_CLIENTS: Final = ("rate", "shape", "begin", "until", "count", "size", "trace")  # arguments of `Clients`
KEYS: Final = (*WAYS, "to", "args", "fields", "key", "at", "every", *OF_CLIENTS)
OF_WAY: Final = {"call": (), "cast": ("to", "args"), "publish": ("fields", "key")}


class ClientEntry(ScenarioTable):
    """One of `[[clients]]`."""

    def check(self) -> None:
        """Refuse keys that do not fit together.

        Raises:
            DefinitionError: they do not.
        """
        place, given = self.place, self.given
        check_keys(place, given, KEYS)
        ways = [way for way in WAYS if way in given]
        if len(ways) != 1:
            raise refused(place, ways[1] if ways else "", f"give one of {', '.join(WAYS)}: what the client does")
        for key in ("to", "args", "fields", "key"):
            if key in given and key not in OF_WAY[ways[0]]:
                raise refused(place, key, f"{key!r} does not go with {ways[0]!r}")
        for key, kind, word in (("args", list, "a list"), ("fields", dict, "a table"), ("key", str, "a text")):
            if key in given and not isinstance(given[key], kind):
                raise refused(place, key, f"{key} = {stable_text(given[key])}: give {word}")
        self._check_times()

    def _check_times(self) -> None:
        place, given = self.place, self.given
        ways = [key for key in TIMES if key in given]
        if len(ways) != 1 and ways != ["rate", "trace"]:
            raise refused(place, ways[1] if ways else "", f"give one of {', '.join(TIMES)}: when the client comes")
        if ways[0] in {"rate", "trace"}:
            self.clients(math.inf)
            return
        allowed = ("begin", "until", "count") if ways == ["every"] else ()
        for key in OF_CLIENTS:
            if key in given and key not in allowed:
                raise refused(place, key, f"{key!r} does not go with {ways[0]!r}")
        times = given["at"] if isinstance(given.get("at"), list) else [given.get("at", 0.0)]
        if not times or not all(is_number(time) and 0 <= time < math.inf for time in times):
            raise refused(place, "at", f"at = {stable_text(given['at'])}: give virtual seconds, or a list of them")
        every = given.get("every", 1.0)
        if not is_number(every) or not 0 < every < math.inf:
            raise refused(place, "every", f"every = {stable_text(every)}: give virtual seconds, more than 0")
        if ways == ["every"]:
            self.clients(math.inf)

    def clients(self, until: float) -> Clients:
        """Return the times of clients that come at a rate.

        Args:
            until: the end of the run.

        Raises:
            DefinitionError: a key makes no sense.
        """
        given = {key: value for key, value in self.given.items() if key in OF_CLIENTS}
        if "every" in self.given:
            given.update(shape="steady", rate=1 / self.given["every"])
        if "trace" in given:
            given["shape"] = "trace"
        key = next((key for key in TIMES if key in self.given), "")
        clients: Clients = called(self.place, key, Clients, **{"until": until, **given})
        if clients.earliest > until:
            raise refused(
                self.place, key, f"the first of them comes at {clients.earliest:g} s; the run ends at {until:g} s"
            )
        return clients

    @property
    def name(self) -> str:
        """The name of the function, the method or the event."""
        given = next(str(self.given[way]) for way in WAYS if way in self.given)
        return given.rpartition(":")[2].rpartition(".")[2]

    def declare(self, sim: Simulation, until: float) -> None:
        """Declare the client events of the table in a run.

        Raises:
            DefinitionError: a name in it leads nowhere, or a value does not fit.
        """
        event = ClientEvent(sim, self.name, self._act(sim))
        if "at" not in self.given:
            sim.clients(self.clients(until), event)
            return
        at = self.given["at"]
        for time in at if isinstance(at, list) else [at]:
            if time > until:
                raise refused(self.place, "at", f"at = {time:g}: the run ends at {until:g} s")
        for number, time in enumerate(sorted(at) if isinstance(at, list) else [at]):
            sim.at(time).call(functools.partial(event, number))

    def _act(self, sim: Simulation) -> Callable[[VirtualSystem, int], object]:
        given, place = self.given, self.place
        if "call" in given:
            function = named(place, "call", given["call"])
            count = called(place, "call", takes, function, 2)
            return lambda system, number: function(*(system, number)[:count])
        if "publish" in given:
            return self._publish()
        to, method, args = given.get("to"), given["cast"], given.get("args", [])
        if not isinstance(to, str):
            raise refused(place, "to", "'to' is missing: the name or the path of an actor")
        if not isinstance(method, str):
            raise refused(place, "cast", f"cast = {stable_text(method)}: give the name of a method")
        actor_class = called(place, "to", actor_of, sim.nodes, to).actor_class
        found = getattr(actor_class, method, None)
        if not callable(found):
            raise refused(place, "cast", f"{actor_class.__name__} has no method {method!r}")

        def send(_: VirtualSystem, number: int) -> None:
            ref = present_actor(sim.nodes, to)
            if ref is not None:
                ref.cast(found, *filled(args, number))

        return send

    def _publish(self) -> Callable[[VirtualSystem, int], object]:
        given, place = self.given, self.place
        kind, fields, key = named(place, "publish", given["publish"]), given.get("fields", {}), given.get("key")

        def event(number: int) -> Any:
            try:
                return msgspec.convert(filled(fields, number), kind)
            except msgspec.ValidationError as error:
                raise refused(place, "fields", f"{kind.__name__}: {error}") from error

        called(place, "publish", event, 0)
        return lambda system, number: system.publish(event(number), key=filled(key, number))


class ClientEvent:
    """The events of a table, as the simulation calls them.

    Attributes:
        act: is called with the system of a node that is up, and the number of the event.
    """

    def __init__(self, sim: Simulation, name: str, act: Callable[[VirtualSystem, int], object]) -> None:
        self.act = act
        self.__name__ = name
        self._sim = sim

    def __call__(self, number: int) -> None:
        """Act, if a node is up; a client whose service is down, or refuses, has bad luck."""
        up = [node.system for node in self._sim.nodes if node.system is not None]
        if not up:
            return
        try:
            self.act(up[number % len(up)], number)
        except DefinitionError:
            raise
        except ActorflowError:
            return


def filled(value: Any, number: int) -> Any:
    """Return a value with the number of the event in place of "{n}".

    >>> filled(["order-{n}", "{n}", 3], 7)
    ['order-7', 7, 3]
    """
    if isinstance(value, str):
        return number if value == "{n}" else value.replace("{n}", str(number))
    if isinstance(value, list):
        return [filled(one, number) for one in value]
    if isinstance(value, dict):
        return {key: filled(one, number) for key, one in value.items()}
    return value
