"""State: patterns 16 to 18, 39 and 40."""

from __future__ import annotations

from tests.workflows.patterns.page import pattern, play


def test_16_deferred_choice():
    code = pattern(16)
    assert play(code.deferred_choice, events=[(60, code.Paid())])[0] == "ship"
    assert play(code.deferred_choice, events=[(60, code.Withdrawn())])[0] == "close"
    assert play(code.deferred_choice)[0] == "remind"


def test_17_interleaved_parallel_routing():
    result, seconds = play(pattern(17).interleaved_parallel_routing)
    assert [one for one in result if one[0] == "a"] == ["a1", "a2", "a3"]
    assert [one for one in result if one[0] == "b"] == ["b1", "b2"]
    assert 25 <= seconds < 26  # one at a time


def test_18_milestone():
    code = pattern(18)
    events = [(60, code.Change("aisle")), (3700, code.Change("window"))]
    assert play(code.milestone, events=events)[0] == ["book", "change to aisle", "refuse window", "depart"]


def test_39_critical_section():
    result, seconds = play(pattern(39).critical_section, same=sorted)  # both arrive at one time
    first = result[2].split()[0]
    assert result[2:4] == [f"{first} unloads", f"{first} loads"]
    assert 22 <= seconds < 23  # the two sections come one after the other


def test_40_interleaved_routing():
    result, seconds = play(pattern(40).interleaved_routing)
    assert result == ["blood", "eyes", "x-ray"]
    assert 16 <= seconds < 17
