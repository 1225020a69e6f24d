"""Advanced branching and synchronization: patterns 6 to 9, 28 to 33, 37, 38, 41, 42."""

from __future__ import annotations

from tests.workflows.patterns.page import pattern, play, run_dag


def test_06_multi_choice():
    code = pattern(6)
    assert play(code.multi_choice, 2000, True)[0] == ["pack", "insure", "declare"]
    assert play(code.multi_choice, 20, True)[0] == ["pack", "declare"]
    result, seconds = play(code.multi_choice, 2000, False)
    assert result == ["pack", "insure"]
    assert seconds < 12


def test_07_structured_synchronizing_merge():
    code = pattern(7)
    assert play(code.structured_synchronizing_merge, 2000, True)[0] == "ship after pack, insure, declare"
    assert play(code.structured_synchronizing_merge, 20, True)[0] == "ship after pack, declare"
    assert play(code.structured_synchronizing_merge, 20, False)[0] == "ship after pack"


def test_08_multi_merge():
    code = pattern(8)
    result, seconds = play(code.multi_merge)
    assert list(result) == ["report the invoice", "report the parcel"]
    assert code.printed[:4] == ["parcel", "report the parcel", "invoice", "report the invoice"]
    assert seconds < 14


def test_09_structured_discriminator():
    code = pattern(9)
    result, seconds = play(code.structured_discriminator, 2)
    assert result == ["book the plane", "book the plane"]
    assert code.printed[:6] == ["plane", "book the plane", "train"] * 2
    assert 18 <= seconds < 19


def test_28_blocking_discriminator():
    code = pattern(28)
    result, _seconds = play(code.blocking_discriminator, 3)
    assert result == ["book the plane 0", "book the plane 1", "book the plane 2"]
    printed = code.printed[:9]
    for n in range(2):  # the next round has to wait for the last of this one
        assert printed.index(f"book the plane {n + 1}") > printed.index(f"train {n}")
    assert printed.index("plane 1") < printed.index("book the plane 1")


def test_29_cancelling_discriminator():
    def check(statuses, printed):
        assert statuses == {"train": "cancelled", "plane": "completed", "book": "completed"}
        assert printed == ["fly", "book"]

    run_dag(29, check)


def test_30_structured_partial_join():
    code = pattern(30)
    result, _seconds = play(code.structured_partial_join)
    assert result == ["decide after report 3 and report 6", "report 9", "report 3", "report 6"]
    assert code.printed[:4] == ["report 3", "report 6", "decide after report 3 and report 6", "report 9"]


def test_31_blocking_partial_join():
    code = pattern(31)
    result, _seconds = play(code.blocking_partial_join, 2)
    assert result == ["decide 0", "decide 1"]
    printed = code.printed[:8]
    first, second = printed.index("decide 0"), printed.index("decide 1")
    assert printed.index("report 6, 0") < first < printed.index("report 9, 0") < second


def test_32_cancelling_partial_join():
    def check(statuses, printed):
        assert statuses == {
            "report 9": "cancelled",
            "report 3": "completed",
            "report 6": "completed",
            "decide": "completed",
        }
        assert printed == ["read", "read", "decide"]

    run_dag(32, check)


def test_33_generalised_and_join():
    code = pattern(33)
    result, seconds = play(code.generalised_and_join, 3)
    assert result == [f"wheel {n} + frame {n}" for n in range(3)]
    assert code.printed.index("wheel 2") < code.printed.index("frame 0")  # it waits in its queue
    assert 21 <= seconds < 22


def test_37_local_synchronizing_merge():
    def check(statuses, printed):
        assert statuses == {
            "order": "completed",
            "pack": "completed",
            "insure": "completed",
            "declare": "skipped",
            "ship": "completed",
        }
        assert printed == ["large order", "pack", "insure", "ship"]

    run_dag(37, check)


def test_38_general_synchronizing_merge():
    result, seconds = play(pattern(38).general_synchronizing_merge)
    assert result == "print for ann"
    assert 9 <= seconds < 10  # bob could have arrived until then


def test_41_thread_merge():
    code = pattern(41)
    result, seconds = play(code.thread_merge, 3)
    assert result == "bind page 0, page 1, page 2"
    assert code.printed[:4] == ["page 2", "page 1", "page 0", result]
    assert seconds < 11


def test_42_thread_split():
    code = pattern(42)
    result, seconds = play(code.thread_split, 3)
    assert result == [f"bind copy {n}" for n in range(3)]
    assert code.printed[:2] == ["print copy 2", "bind copy 2"]
    assert seconds < 11
