"""Outage: a failure that lasts is in the log from its begin to its end, and does not fill it."""

from __future__ import annotations

import itertools

import pytest

from actorflow.core.clock import VirtualClock
from actorflow.core.outage import LAST_SECONDS, RELAPSE_SECONDS, Outage


class Tried:
    """Something that is tried each second, and the lines of it with their times."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.outage = Outage(self.clock)
        self.lines: list[tuple[float, str]] = []

    def log(self, text: str, *values: object) -> None:
        self.lines.append((self.clock.now, text % values))

    def fails(self, seconds: int, of: str = "gone") -> None:
        for _ in range(seconds):
            self.outage.note(self.log, "failed: %s", of)
            self.clock.now += 1

    def works(self, seconds: int = 1) -> None:
        for _ in range(seconds):
            self.outage.over(self.log, "works again")
            self.clock.now += 1


@pytest.fixture
def tried():
    return Tried()


def test_a_failure_that_lasts_is_logged_at_once_then_ever_more_rarely_and_once_when_it_is_over(tried):
    tried.fails(3600)
    assert tried.lines[0] == (0.0, "failed: gone")
    times = [time for time, _ in tried.lines]
    pauses = [later - time for time, later in itertools.pairwise(times)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LAST_SECONDS
    assert len(times) < 25
    tried.works(100)
    assert [text for _, text in tried.lines].count("works again") == 1
    assert tried.lines[-1] == (3600.0, "works again")


def test_a_line_says_how_many_failures_there_were_since_the_last_one(tried):
    tried.fails(3)
    assert [text for _, text in tried.lines] == ["failed: gone", "failed: gone (1 time more since the last such line)"]


def test_what_works_is_not_logged(tried):
    tried.works(10)
    assert tried.lines == []


def test_the_next_failure_is_logged_within_half_a_minute_however_long_the_one_before_was(tried):
    tried.fails(3600)
    tried.works(1)
    count = len(tried.lines)
    tried.fails(60, "again")
    assert "again" in tried.lines[count][1]
    assert tried.lines[count][0] <= 3601 + RELAPSE_SECONDS


def test_the_next_failure_is_logged_at_once_after_a_long_time(tried):
    tried.fails(3600)
    tried.works(1000)
    tried.fails(1, "again")
    assert tried.lines[-1] == (4600.0, "failed: again")


def test_a_failure_that_comes_and_goes_does_not_fill_the_log(tried):
    for _ in range(1800):
        tried.fails(1)
        tried.works(1)
    assert len(tried.lines) < 2 * 3600 / RELAPSE_SECONDS + 20
