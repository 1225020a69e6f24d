"""Promises: a saga with a pair, a savepoint and a pivot is killed at each of its crash points, and ends right."""

from __future__ import annotations

import logging
import random

import pytest

from tests.sagas.crashes import LATE_NAMES, Life, check, lived, order, order_async, order_late
from tests.sagas.world import OUTSIDE

BOTH = pytest.mark.parametrize("saga", [order, order_async], ids=["plain", "async"])
FATES = {
    "ok": {},
    **{f"{name} raises": {name: ["raises"]} for name in "abcde"},
    **{f"{name} may have acted": {name: ["maybe", "ok"]} for name in "abcde"},
    **{f"{name} raises when it is run again": {name: ["ok", "raises"]} for name in "abcde"},
    "both raise": {"b": ["raises"], "c": ["raises"]},
    "both may have acted": {"b": ["maybe", "ok"], "c": ["maybe"]},
    "f raises at first": {"f": ["raises", "ok"]},
    "an undo fails twice": {"e": ["raises"], "undo c": ["raises", "raises", "ok"]},
    "an undo never works": {"e": ["raises"], "undo a": ["raises"]},
}


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "actorflow")


def deaths_of(saga, fate, keeps, kind):
    """Kill it at the first crash point of a kind, at the second, and so on until there is none; count them."""
    n = 0
    while True:
        n += 1
        OUTSIDE.clear(**FATES[fate])
        found = lived(saga, [Life(**{kind: n})], seed=n, keeps=keeps)
        check(found, keeps=keeps)
        if not found.deaths:
            return n - 1


@BOTH
@pytest.mark.parametrize("fate", FATES)
def test_a_saga_ends_right_without_a_kill(saga, fate):
    for keeps in (False, True):
        OUTSIDE.clear(**FATES[fate])
        found = lived(saga, [], seed=1, keeps=keeps)
        check(found, keeps=keeps)
        assert found.was_stuck == (fate == "f raises at first" or (fate == "an undo never works" and not keeps))


@pytest.mark.slow(quick=["act-False-ok-plain", "commit-False-e raises-async", "commit-False-f raises at first-async"])
@BOTH
@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("kind", ["act", "commit"])
def test_a_saga_ends_right_wherever_it_is_killed(saga, fate, keeps, kind):
    assert deaths_of(saga, fate, keeps, kind) >= 1


LATE = ["ok", "b raises", "b may have acted", "b raises when it is run again", "e raises", "an undo never works"]


@pytest.mark.slow(quick=["act-b raises"])
@pytest.mark.parametrize("fate", LATE)
@pytest.mark.parametrize("kind", ["act", "commit"])
def test_a_saga_is_killed_while_one_of_its_pair_is_under_way(fate, kind):
    n = 0
    while True:
        n += 1
        OUTSIDE.clear(**FATES[fate])
        found = lived(order_late, [Life(**{kind: n})], seed=n)
        check(found, keeps=False, names=LATE_NAMES)
        if not found.deaths:
            return


@pytest.mark.slow(quick=["0"])
@pytest.mark.parametrize("part", range(8), ids=str)
def test_a_saga_ends_right_if_it_is_killed_again_and_again(part):
    died = 0
    for seed in range(25 * part, 25 * part + 25):
        rng = random.Random(seed)
        lives = [Life(**{rng.choice(["act", "commit"]): rng.randint(1, 16)}) for _ in range(rng.randint(2, 5))]
        keeps = rng.random() < 0.5
        OUTSIDE.clear(**FATES[rng.choice([*FATES])])
        found = lived(rng.choice([order, order_async]), lives, seed=seed, keeps=keeps)
        check(found, keeps=keeps)
        died += found.deaths
    assert died > 20
