"""Routes: a van's round trip through all stops of a package, as short as a quick search finds it.

This is the CPU-bound part of the shop. It is plain Python that knows nothing of actors: a function of its arguments,
which runs in a worker of the system's pool. The same stops and the same seed give the same route.

The search is iterated local search: begin with the greedy tour, turn pieces of it round while that makes it shorter
(2-opt), then exchange two pieces at random, improve again, and keep what is better.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple, TypeAlias

Place: TypeAlias = tuple[float, float]

ROUNDS = 30
EPSILON = 1e-9  # what is shorter by less is not shorter: rounding errors would have the search go round in circles


class Route(NamedTuple):
    """A round trip: the numbers of its stops in the order of the visits, beginning with 0, and its length."""

    order: tuple[int, ...]
    length: float


def plan(places: Sequence[Place], seed: str) -> Route:
    """Return a short round trip through the places. It is never longer than the greedy one.

    >>> plan([(0, 0), (1, 1), (0, 1), (1, 0)], seed="package-660001")
    Route(order=(0, 2, 1, 3), length=4.0)
    """
    chance = random.Random(seed)
    best = improve(greedy(places), places)
    for _ in range(ROUNDS):
        other = improve(shaken(best, chance), places)
        if length(other, places) < length(best, places) - EPSILON:
            best = other
    best[1:] = min(best[1:], best[:0:-1])  # of the two directions, always the same one
    return Route(tuple(best), length(best, places))


def greedy(places: Sequence[Place]) -> list[int]:
    """Return the tour that goes to the nearest place next."""
    left = set(range(1, len(places)))
    tour = [0]
    while left:
        here = places[tour[-1]]
        tour.append(min(left, key=lambda stop: (math.dist(here, places[stop]), stop)))
        left.remove(tour[-1])
    return tour


def improve(tour: list[int], places: Sequence[Place]) -> list[int]:
    """Turn pieces of the tour round as long as that makes it shorter."""
    better = True
    while better:
        better = False
        for begin, end in combinations(range(1, len(tour) + 1), 2):
            before, first = places[tour[begin - 1]], places[tour[begin]]
            last, after = places[tour[end - 1]], places[tour[end % len(tour)]]
            now = math.dist(before, first) + math.dist(last, after)
            if math.dist(before, last) + math.dist(first, after) < now - EPSILON:
                tour[begin:end] = tour[begin:end][::-1]
                better = True
    return tour


def shaken(tour: list[int], chance: random.Random) -> list[int]:
    """Return the tour with two neighbouring pieces exchanged, which no turning round undoes at once."""
    one, two, three = sorted(chance.choices(range(1, len(tour) + 1), k=3))
    return tour[:one] + tour[two:three] + tour[one:two] + tour[three:]


def length(tour: Sequence[int], places: Sequence[Place]) -> float:
    """Return the length of a round trip, with the way back."""
    return sum(math.dist(places[tour[stop - 1]], places[tour[stop]]) for stop in range(len(tour)))


def fits(route: Route, places: Sequence[Place]) -> bool:
    """Whether the route visits each place once, from the first on, and its length is right."""
    every = sorted(route.order) == list(range(len(places))) and route.order[0] == 0
    return every and math.isclose(route.length, length(route.order, places), abs_tol=EPSILON)
