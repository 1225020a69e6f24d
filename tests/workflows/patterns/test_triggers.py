"""Triggers: patterns 23 and 24."""

from __future__ import annotations

from tests.workflows.patterns.page import pattern, play


def test_23_transient_trigger():
    code = pattern(23)
    events = [(10, code.Alarm("one too early")), (100, code.Alarm("the right one"))]
    assert play(code.transient_trigger, events=events)[0] == "answer to the right one"


def test_24_persistent_trigger():
    code = pattern(24)
    assert play(code.persistent_trigger, events=[(10, code.Paid("in cash"))])[0] == "ship, paid in cash"
    assert play(code.persistent_trigger, events=[(100, code.Paid("by card"))])[0] == "ship, paid by card"
