"""The routes of `examples.orders`: round trips through all stops, and never worse than the greedy ones."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.orders.route import Route, fits, greedy, length, plan

coordinates = st.floats(0, 1) | st.sampled_from([0.0, 0.25, 0.5, 1.0])  # some places are the same, or in one line
trips = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=10)


@given(trips, st.text(max_size=5))
def test_route_visits_every_stop_once_and_its_length_is_right(places, seed):
    route = plan(places, seed)
    assert sorted(route.order) == list(range(len(places)))
    assert route.order[0] == 0
    there = [places[stop] for stop in route.order]
    assert route.length == pytest.approx(sum(map(math.dist, there, [*there[1:], there[0]])))
    assert fits(route, places)


@given(trips, st.text(max_size=5))
def test_route_is_never_longer_than_the_greedy_tour(places, seed):
    assert plan(places, seed).length <= length(greedy(places), places) + 1e-9


@given(trips)
def test_same_stops_and_seed_give_the_same_route(places):
    assert plan(places, "package-1") == plan(places, "package-1")


@given(st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=5))
def test_route_of_few_stops_is_the_shortest_there_is(places):
    others = itertools.permutations(range(1, len(places)))
    assert plan(places, "any").length == pytest.approx(min(length((0, *other), places) for other in others))


SQUARE = [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0)]


@pytest.mark.parametrize(
    "route",
    [
        Route((0, 2, 1), 2 + math.sqrt(2)),  # leaves one out
        Route((0, 2, 1, 3, 3), 4.0),  # is twice at one
        Route((0, 2, 1, 3), 3.5),  # says a wrong length
        Route((2, 1, 3, 0), 4.0),  # begins elsewhere
        Route((), 0.0),
    ],
)
def test_bad_route_does_not_fit(route):
    assert fits(Route((0, 2, 1, 3), 4.0), SQUARE)
    assert not fits(route, SQUARE)
