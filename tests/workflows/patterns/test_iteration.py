"""Iteration: patterns 10, 21 and 22."""

from __future__ import annotations

from tests.workflows.patterns.page import pattern, play


def test_10_arbitrary_cycles():
    code = pattern(10)
    assert play(code.arbitrary_cycles, [])[0] == ["write", "read", "print"]
    cycles = ["write", "read", "correct", "read", "write", "read", "print"]
    assert play(code.arbitrary_cycles, ["correct", "write"])[0] == cycles


def test_21_structured_loop():
    result, seconds = play(pattern(21).structured_loop, 3)
    assert result == ["call 1", "call 2", "call 3"]
    assert seconds >= 3 * 3600


def test_22_recursion():
    assert play(pattern(22).recursion, 2)[0] == "((leaf leaf) (leaf leaf))"
