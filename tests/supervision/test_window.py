"""RestartWindow against a naive model of OTP's rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import actorflow as af
from actorflow.supervision.window import RestartWindow

times = st.lists(st.integers(0, 40), max_size=30).map(
    lambda steps: [sum(steps[: n + 1]) / 4 for n in range(len(steps))]
)


def naive(intensity: int, period: float, moments: list[float]) -> list[bool]:
    """Keep everything, and count each time anew."""
    granted: list[float] = []
    answers = []
    for now in moments:
        answers.append(sum(now - period <= then for then in granted) < intensity)
        granted += [now] * answers[-1]
    return answers


@given(intensity=st.integers(0, 5), period=st.integers(1, 40).map(lambda n: n / 4), moments=times)
def test_window_allows_what_the_naive_model_allows(intensity, period, moments):
    window = RestartWindow(intensity, period)
    assert [window.allows(now) for now in moments] == naive(intensity, period, moments)


@given(intensity=st.integers(1, 5), period=st.integers(1, 40).map(lambda n: n / 4), moments=times)
def test_window_never_grants_more_than_its_intensity_in_any_period(intensity, period, moments):
    window = RestartWindow(intensity, period)
    granted = [now for now in moments if window.allows(now)]
    assert all(sum(then <= other <= then + period for other in granted) <= intensity for then in granted)


@pytest.mark.parametrize(("intensity", "period"), [(-1, 5.0), (1, 0.0), (1, -5.0)])
def test_window_refuses_rules_that_make_no_sense(intensity, period):
    with pytest.raises(af.DefinitionError, match="intensity"):
        RestartWindow(intensity, period)
