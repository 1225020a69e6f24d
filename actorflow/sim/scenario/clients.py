"""Clients: calls of functions, sends and events from outside of the app in a scenario, at times or at a rate."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, Final

import msgspec

from actorflow.errors import ActorflowError, DefinitionError
from actorflow.sim.choices.chooser import stream_of
from actorflow.sim.faults.targets import actor_of, present_actor
from actorflow.sim.scenario.entry import ScenarioTable
from actorflow.sim.scenario.named import named, takes
from actorflow.sim.scenario.options import called, check_keys, refused
from actorflow.sim.world.link import is_number
from actorflow.text import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actorflow.app.virtual import VirtualSystem
    from actorflow.sim.simulation import Simulation

WAYS: Final = ("call", "cast", "publish")
TIMES: Final = ("at", "rate", "every", "begin", "until", "count")
KEYS: Final = (*WAYS, "to", "args", "fields", "key", *TIMES)
OF_WAY: Final = {"call": (), "cast": ("to", "args"), "publish": ("fields", "key")}
MOST: Final = 100_000  # client events of a table


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
                raise refused(place, key, f"{key} = {text_of(given[key])}: give {word}")
        self._check_times()

    def _check_times(self) -> None:
        place, given = self.place, self.given
        ways = [key for key in ("at", "every", "rate") if key in given]
        if len(ways) != 1:
            raise refused(place, ways[1] if ways else "", "give one of at, every, rate: when the client does it")
        if ways == ["at"]:
            for key in ("begin", "until", "count"):
                if key in given:
                    raise refused(place, key, f"{key!r} goes with 'every' or 'rate', not with 'at'")
        for key in ("rate", "every", "begin", "until"):
            value, may_be_0 = given.get(key), key == "begin"
            if value is not None and not (is_number(value) and 0 <= value < math.inf and (value or may_be_0)):
                words = "0 or more" if may_be_0 else "more than 0"
                raise refused(place, key, f"{key} = {text_of(value)}: give a number, {words}")
        count = given.get("count")
        if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
            raise refused(place, "count", f"count = {text_of(count)}: give a whole number, 1 or more")
        at = given.get("at", 0.0)
        if not all(is_number(time) and 0 <= time < math.inf for time in (at if isinstance(at, list) else [at])):
            raise refused(place, "at", f"at = {text_of(at)}: give virtual seconds, or a list of them")

    @property
    def name(self) -> str:
        """The name of the function, the method or the event."""
        given = next(str(self.given[way]) for way in WAYS if way in self.given)
        return given.rpartition(":")[2].rpartition(".")[2]

    def times(self, seed: int, until: float) -> list[float]:
        """Return the times of the client events in a run.

        Args:
            seed: of the run; arrivals at a rate are those of a Poisson process.
            until: the end of the run.

        Raises:
            DefinitionError: there are too many.
        """
        given = self.given
        if "at" in given:
            at = given["at"]
            return sorted(at) if isinstance(at, list) else [at]
        last = min(until, given.get("until", until))
        count = given.get("count", MOST + 1)
        found = list(itertools.islice(itertools.takewhile(lambda time: time < last, self._endless(seed)), count))
        if len(found) > MOST:
            key = "rate" if "rate" in given else "every"
            raise refused(self.place, key, f"that makes more than {MOST:,} events")
        return found

    def _endless(self, seed: int) -> Iterator[float]:
        given = self.given
        begin = given.get("begin", 0.0)
        if "every" in given:
            return (begin + given["every"] * number for number in itertools.count())
        draw = stream_of(seed, f"clients {self.place.number}")
        gaps = (draw.expovariate(given["rate"]) for _ in itertools.count())
        return itertools.accumulate(gaps, initial=begin + draw.expovariate(given["rate"]))

    def declare(self, sim: Simulation, until: float) -> None:
        """Declare the client events of the table in a run.

        Raises:
            DefinitionError: a name in it leads nowhere, or a value does not fit.
        """
        act = self._act(sim)
        for number, time in enumerate(self.times(sim.chooser.seed, until)):
            sim.at(round(time, 6)).call(OneEvent(sim, self.name, act, number))

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
            raise refused(place, "cast", f"cast = {text_of(method)}: give the name of a method")
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


class OneEvent:
    """One event of a client, as the simulation calls it.

    Attributes:
        act: is called with the system of a node that is up, and the number of the event.
        number: of the event among those of its table.
    """

    def __init__(self, sim: Simulation, name: str, act: Callable[[VirtualSystem, int], object], number: int) -> None:
        self.act = act
        self.number = number
        self.__name__ = f"{name} {number}"
        self._sim = sim

    def __call__(self) -> None:
        """Act, if a node is up; a client whose service is down, or refuses, has bad luck."""
        up = [node.system for node in self._sim.nodes if node.system is not None]
        if not up:
            return
        try:
            self.act(up[self.number % len(up)], self.number)
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
