"""Section 4 of the recommendation: executable content."""

from __future__ import annotations

import pytest
from tests.machine.scxml.documents import document, passes, run


@pytest.mark.parametrize("language", ["python", "ecmascript"])
def test_4_3_if_takes_the_first_branch_that_holds(language: str) -> None:
    outcome = run(
        document(
            """<datamodel><data id="x" expr="2"/></datamodel><state id="s"><onentry>
        <if cond="x == 1"><log label="one"/><elseif cond="x == 2"/><log label="two"/><log label="and more"/>
        <elseif cond="x == 2"/><log label="too late"/><else/><log label="else"/></if>
        <if cond="x == 9"><log label="nine"/><else/><log label="else"/></if></onentry></state>""",
            datamodel=language,
        )
    )
    assert [label for label, _ in outcome.log] == ["two", "and more", "else"]


@pytest.mark.parametrize("language", ["python", "ecmascript"])
def test_4_6_foreach_goes_through_a_copy_and_declares_what_it_counts_with(language: str) -> None:
    outcome = run(
        document(
            """<datamodel><data id="list">[3, 5]</data><data id="sum" expr="0"/></datamodel><state id="s"><onentry>
        <foreach array="list" item="each" index="at"><assign location="list" expr="[]"/>
        <assign location="sum" expr="sum + each * (at + 1)"/></foreach></onentry></state>""",
            datamodel=language,
        )
    )
    assert outcome.data == {"list": [], "sum": 13, "each": 5, "at": 1}


@pytest.mark.parametrize("wrong", ["array='7' item='x'", "array='[1]' item='_event'", "array='[1]' item='not a name'"])
def test_4_6_foreach_over_no_array_or_with_a_bad_name_runs_nothing(wrong: str) -> None:
    passes(f"""<state id="s"><onentry><foreach {wrong}><raise event="ran"/></foreach><raise event="after"/></onentry>
               <transition event="error.execution" target="pass"/><transition event="*" target="fail"/></state>""")


def test_4_6_an_error_in_a_turn_ends_the_whole_loop() -> None:
    passes("""<datamodel><data id="n" expr="0"/></datamodel>
              <state id="s"><onentry><foreach array="[1, 2, 3]" item="x"><assign location="n" expr="n + 1"/>
              <assign location="missing" expr="1"/></foreach></onentry>
              <transition event="error.execution" cond="n == 1" target="pass"/><transition event="*" target="fail"/></state>""")


def test_4_7_log_keeps_label_and_value() -> None:
    outcome = run(document("""<state id="s"><onentry><log label="a" expr="1 + 1"/><log expr="'x'"/></onentry></state>"""))
    assert outcome.log == [["a", 2], [None, "x"]]


def test_4_2_raised_events_are_handled_in_the_order_they_were_raised() -> None:
    passes("""<state id="s"><onentry><raise event="one"/><raise event="two"/></onentry>
              <transition event="one" target="t"/><transition event="*" target="fail"/></state>
              <state id="t"><transition event="two" target="pass"/><transition event="*" target="fail"/></state>""")


def test_5_9_1_a_condition_that_cannot_be_evaluated_is_false_and_an_error() -> None:
    passes("""<state id="s"><transition cond="1 +" target="fail"/><transition target="t"/></state>
              <state id="t"><transition event="error.execution" target="pass"/></state>""")
