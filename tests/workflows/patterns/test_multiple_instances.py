"""Multiple instances: patterns 12 to 15, and 34 to 36."""

from __future__ import annotations

from actorflow.testing import VirtualSystem
from tests.workflows.patterns.page import pattern, play


def test_12_multiple_instances_without_synchronization():
    code = pattern(12)
    result, seconds = play(code.instances_without_synchronization, ["ann", "bob"])
    assert result == "go on"
    assert seconds < 60
    code = pattern(12)
    with VirtualSystem("test", seed=1) as system:
        system.start(code.instances_without_synchronization, ["ann", "bob"]).result()
        assert code.printed == ["go on"]
        system.sleep(100)  # they outlive the run
        assert sorted(code.printed) == ["go on", "letter to ann", "letter to bob"]
        assert [run.status for run in system.runs(code.notify)] == ["completed"] * 2


def test_13_multiple_instances_known_at_design_time():
    result, seconds = play(pattern(13).instances_known_at_design_time)
    assert result == ["copy 0", "copy 1", "copy 2"]
    assert seconds < 10


def test_14_multiple_instances_known_at_run_time():
    assert play(pattern(14).instances_known_at_run_time, "tea milk bread")[0] == ["tea", "milk", "bread"]


def test_15_multiple_instances_that_grow_while_they_run():
    code = pattern(15)
    events = [(5, code.More("bread"))]  # a cut there has all three begin at once, and end so
    result, seconds = play(code.growing_instances, ["tea", "milk"], events=events, same=sorted)
    assert sorted(result) == ["bread", "milk", "tea"]
    assert result[-1] == "bread"
    assert 15 <= seconds < 16


def test_34_static_partial_join_for_multiple_instances():
    code = pattern(34)
    result, _seconds = play(code.static_partial_join, [5, 2, 4, 1, 3])
    assert result == "decide by vote 1, vote 2, vote 3"
    assert code.printed[:6] == ["vote 1", "vote 2", "vote 3", result, "vote 4", "vote 5"]


def test_35_cancelling_partial_join_for_multiple_instances():
    code = pattern(35)
    result, seconds = play(code.cancelling_partial_join, [5, 2, 4, 1, 3])
    assert result == "decide by vote 2, vote 1, vote 3"
    assert not {"vote 4", "vote 5"} & set(code.printed)
    assert seconds < 40


def test_36_dynamic_partial_join_for_multiple_instances():
    code = pattern(36)
    events = [(5, code.Juror("no")), (8, code.Juror("yes"))]
    result, seconds = play(code.dynamic_partial_join, ["yes", "no"], events=events)
    assert result == "accept"
    assert 18 <= seconds < 19
    assert play(code.dynamic_partial_join, ["yes", "no"])[0] == "refuse"
