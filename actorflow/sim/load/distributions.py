"""Distributions: costs that vary from one message to the next. A `Histogram` that was recorded is one, too."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from actorflow.errors import DefinitionError
from actorflow.sim.world.link import is_number
from actorflow.text import stable_text

if TYPE_CHECKING:
    import random

Distribution: TypeAlias = "Callable[[random.Random], float]"
Cost: TypeAlias = "float | Distribution"


def exponential(mean: float) -> Distribution:
    """Return the exponential distribution: most are short, few are long, and none remembers those before it.

    >>> import random
    >>> cost = exponential(0.02)
    >>> round(sum(cost(random.Random(i)) for i in range(10_000)) / 10_000, 3)
    0.02

    Raises:
        DefinitionError: the mean is not above 0.
    """
    check_above_zero("exponential", "mean", mean)
    return lambda random: random.expovariate(1 / mean)


def lognormal(median: float, p99: float) -> Distribution:
    """Return the lognormal distribution with this median and 99th percentile, as durations of services often have.

    >>> import random
    >>> cost = lognormal(0.02, 0.2)
    >>> draws = sorted(cost(random.Random(i)) for i in range(10_000))
    >>> round(draws[5000], 2), round(draws[9900], 1)
    (0.02, 0.2)

    Raises:
        DefinitionError: they are not above 0, or the percentile is below the median.
    """
    check_above_zero("lognormal", "median", median)
    check_above_zero("lognormal", "p99", p99)
    if p99 < median:
        raise DefinitionError(f"lognormal(median={median:g}, p99={p99:g}): the 99th percentile is below the median")
    middle, spread = math.log(median), math.log(p99 / median) / 2.3263478740408408  # standard deviations to p99
    return lambda random: random.lognormvariate(middle, spread)


def uniform(shortest: float, longest: float) -> Distribution:
    """Return the distribution that has all durations between two alike.

    >>> import random
    >>> 0.1 <= uniform(0.1, 0.2)(random.Random(1)) <= 0.2
    True

    Raises:
        DefinitionError: they are no seconds, or the longest is below the shortest.
    """
    for name, seconds in (("shortest", shortest), ("longest", longest)):
        if not is_number(seconds) or not 0 <= seconds < math.inf:
            raise DefinitionError(f"uniform({name}={stable_text(seconds)}): give virtual seconds, 0 or more")
    if longest < shortest:
        raise DefinitionError(f"uniform({shortest:g}, {longest:g}): the longest is below the shortest")
    return lambda random: random.uniform(shortest, longest)


def check_above_zero(function: str, name: str, seconds: Any) -> None:
    """Refuse a duration that is none.

    Raises:
        DefinitionError: it is not above 0, or no number.
    """
    if not is_number(seconds) or not 0 < seconds < math.inf:
        raise DefinitionError(f"{function}({name}={stable_text(seconds)}): give virtual seconds, more than 0")
