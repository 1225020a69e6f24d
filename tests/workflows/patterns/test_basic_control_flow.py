"""Basic control flow: patterns 1 to 5."""

from __future__ import annotations

from tests.workflows.patterns.page import pattern, play


def test_01_sequence():
    code = pattern(1)
    assert play(code.sequence)[0] == ["pack", "ship"]
    assert code.printed[:2] == ["pack", "ship"]


def test_02_parallel_split():
    result, seconds = play(pattern(2).parallel_split)
    assert result == ["invoice", "parcel"]
    assert seconds < 14  # and not one after the other


def test_03_synchronization():
    code = pattern(3)
    result, seconds = play(code.synchronization)
    assert result == "close after invoice and parcel"
    assert code.printed[:3] == ["parcel", "invoice", result]
    assert 9 <= seconds < 14


def test_04_exclusive_choice():
    code = pattern(4)
    assert play(code.exclusive_choice, 2000)[0] == "ask the manager"
    assert play(code.exclusive_choice, 20)[0] == "approve"
    assert set(code.printed) == {"ask the manager", "approve"}


def test_05_simple_merge():
    code = pattern(5)
    assert play(code.simple_merge, True)[0] == ["by plane", "deliver"]
    assert play(code.simple_merge, False)[0] == ["by train", "deliver"]
