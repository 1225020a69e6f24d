"""Clients: when requests come from outside: at random, evenly, in bursts, or as they were recorded."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from actorflow.errors import DefinitionError
from actorflow.sim.world.link import is_number
from actorflow.text import stable_text

if TYPE_CHECKING:
    import random

Shape: TypeAlias = Literal["poisson", "steady", "burst", "trace"]
SHAPES: Final[tuple[str, ...]] = get_args(Shape)


@dataclass(frozen=True)
class Clients:
    """The times at which requests come from outside.

    `sim.clients(Clients(rate=50, until=60), order)` calls `order` with the number of each request. Each of them is a
    client event, which may be left out as a failure is shrunk; the others come when they came.

    >>> import random
    >>> list(Clients(rate=10, shape="steady", until=0.35).times(random.Random(1)))
    [0.1, 0.2, 0.3]
    >>> list(Clients(shape="trace", trace=[3.0, 3.5, 7.0], rate=1.0).times(random.Random(1)))
    [0.0, 0.375, 3.0]

    Args:
        rate: requests a second, on average. Of a trace: as it was recorded, if none is given.
        shape: "poisson": each at random, whatever the others do; "steady": all at the same distance; "burst": so many
            at once, at random; "trace": at recorded times.
        begin: virtual seconds; the first may come then.
        until: virtual seconds; none comes later.
        count: requests at most; None: any.
        size: requests of one burst.
        trace: recorded times, in order; the first one is the begin.

    Raises:
        DefinitionError: an argument makes no sense, or the shape has no use for it.
    """

    rate: float | None = None
    shape: Shape = "poisson"
    begin: float = 0.0
    until: float = math.inf
    count: int | None = None
    size: int | None = None
    trace: Sequence[float] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.shape, str) or self.shape not in SHAPES:
            raise wrong("shape", self.shape, f"give one of {', '.join(SHAPES)}")
        given: Any = self.rate
        if given is not None and not (is_number(given) and 0 < given < math.inf):
            raise wrong("rate", given, "give requests a second, more than 0")
        if given is None and self.shape != "trace":
            raise wrong("rate", None, "give requests a second")
        if not is_number(self.begin) or not 0 <= self.begin < math.inf:
            raise wrong("begin", self.begin, "give virtual seconds, 0 or more")
        if not is_number(self.until) or not self.begin < self.until:
            raise wrong("until", self.until, "give virtual seconds after the begin")
        for name, number, shape in (("count", self.count, self.shape), ("size", self.size, "burst")):
            if number is None:
                continue
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise wrong(name, number, "give a whole number, 1 or more")
            if shape != self.shape:
                raise wrong(name, number, f'it is for shape="{shape}"')
        self._check_trace()

    def _check_trace(self) -> None:
        try:
            times: list[Any] = list(self.trace)
        except TypeError:
            raise wrong("trace", self.trace, "give recorded times: seconds") from None
        if self.shape != "trace":
            if times:
                raise wrong("trace", self.trace, 'it is for shape="trace"')
            return
        if not times:
            raise wrong("trace", self.trace, "give recorded times: seconds")
        for before, time in itertools.pairwise([-math.inf, *times]):
            if not is_number(time) or not math.isfinite(time) or time < before:
                raise wrong("trace", time, "give seconds, in their order")
        if self.rate is not None and times[-1] == times[0]:
            raise wrong("trace", self.trace, "its times are all the same, so it has no rate to change")

    @property
    def earliest(self) -> float:
        """The time before which none comes."""
        return self.begin + 1 / self.rate if self.shape == "steady" and self.rate else self.begin

    def times(self, draw: random.Random) -> Iterator[float]:
        """Return the times of all requests, in order.

        Args:
            draw: random numbers of the run.
        """
        found = itertools.takewhile(lambda time: time <= self.until, self._times(draw))
        return found if self.count is None else itertools.islice(found, self.count)

    def _times(self, draw: random.Random) -> Iterator[float]:
        rate, begin = self.rate or 1.0, self.begin
        if self.shape == "steady":
            return (begin + number / rate for number in itertools.count(1))
        if self.shape == "burst":
            size = 10 if self.size is None else self.size
            return (time for time in poisson(draw, begin, rate / size) for _ in range(size))
        if self.shape == "poisson":
            return poisson(draw, begin, rate)
        first, last = self.trace[0], self.trace[-1]
        scale = 1.0 if self.rate is None else len(self.trace) / self.rate / (last - first)
        return (begin + (time - first) * scale for time in self.trace)


def poisson(draw: random.Random, begin: float, rate: float) -> Iterator[float]:
    """Return times at random: so many a second on average, and none depends on those before it."""
    time = begin
    while True:
        time += draw.expovariate(rate)
        yield time


def wrong(name: str, value: object, cure: str) -> DefinitionError:
    """Return the error of an argument that makes no sense."""
    return DefinitionError(f"Clients({name}={stable_text(value)}): {cure}")
