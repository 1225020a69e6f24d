"""Termination: patterns 11 and 43."""

from __future__ import annotations

from tests.workflows.patterns.page import pattern, play


def test_11_implicit_termination():
    code = pattern(11)
    result, seconds = play(code.implicit_termination)
    assert result is None
    assert code.printed[:3] == ["file the copy", "print the letter", "send the letter"]
    assert 60 <= seconds < 70


def test_43_explicit_termination():
    code = pattern(43)
    result, seconds = play(code.explicit_termination, events=[(1500, code.Withdrawn())])
    assert result == "withdrawn"
    assert set(code.printed) == {"look again"}
    assert 1500 <= seconds < 1600
