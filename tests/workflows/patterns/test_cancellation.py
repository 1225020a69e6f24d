"""Cancellation and completion by force: patterns 19, 20, 25 to 27."""

from __future__ import annotations

from tests.workflows.patterns.page import pattern, play


def test_19_cancel_task():
    code = pattern(19)
    result, seconds = play(code.cancel_task, events=[(60, code.Withdrawn())])
    assert result == "tell the customer"
    assert set(code.printed) == {"tell the customer"}
    assert seconds < 70


def test_20_cancel_case():
    code = pattern(20)
    result, seconds = play(code.cancel_case, cancel=60)
    assert result == "run run was cancelled"
    assert set(code.printed) == {"close the file"}
    assert seconds < 70


def test_25_cancel_region():
    code = pattern(25)
    result, seconds = play(code.cancel_region, events=[(60, code.Withdrawn())])
    assert result == ["bill", "close"]
    assert set(code.printed) == {"bill", "close"}
    assert 900 <= seconds < 1000


def test_26_cancel_multiple_instance_task():
    code = pattern(26)
    result, seconds = play(code.cancel_instances, events=[(900, code.Withdrawn())])
    assert result == "thank the reviewers"
    assert set(code.printed) == {"review 1", result}
    assert seconds < 1000


def test_27_complete_multiple_instance_task():
    code = pattern(27)
    result, seconds = play(code.complete_instances)
    assert result == "decide by review of 1 days, review of 3 days"
    assert "review of 60 days" not in code.printed
    assert 14 <= seconds / 86400 < 15
