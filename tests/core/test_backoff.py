"""Backoff: pauses that grow up to a limit, spread by jitter."""

import random

from hypothesis import given
from hypothesis import strategies as st

import actorflow as af

backoffs = st.builds(
    af.Backoff,
    first=st.floats(0, 100),
    factor=st.floats(1, 10),
    limit=st.floats(0, 1000),
    jitter=st.floats(0, 1),
)


@given(backoffs, st.integers(1, 10_000))
def test_pauses_grow_up_to_the_limit(backoff, attempt):
    pause, later = backoff.delay(attempt), backoff.delay(attempt + 1)
    assert 0 <= pause <= later <= backoff.limit


@given(backoffs, st.integers(1, 10_000), st.integers())
def test_jitter_spreads_within_its_share(backoff, attempt, seed):
    plain = backoff.delay(attempt)
    spread = backoff.delay(attempt, random.Random(seed))
    assert plain * (1 - backoff.jitter) * 0.999 <= spread <= plain * (1 + backoff.jitter) * 1.001


@given(st.floats(0.001, 50), st.integers(1, 100))
def test_factor_one_gives_fixed_pauses(first, attempt):
    assert af.Backoff(first, factor=1, jitter=0).delay(attempt) == first


def test_the_first_pauses_are_exact():
    backoff = af.Backoff(0.5, factor=3, limit=10, jitter=0)
    assert [backoff.delay(attempt) for attempt in (1, 2, 3, 4, 5)] == [0.5, 1.5, 4.5, 10, 10]


def test_jitter_comes_from_the_given_stream():
    backoff = af.Backoff(1, jitter=0.5)
    same = [backoff.delay(3, random.Random(7)) for _ in range(2)]
    assert same[0] == same[1]
    assert same[0] != backoff.delay(3, random.Random(8))
