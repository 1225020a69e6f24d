"""Section 3 of the recommendation: states, transitions, history, final states, and how documents say them."""

from __future__ import annotations

import pytest
from tests.machine.scxml.documents import document, passes, run


def test_3_2_a_document_without_initial_begins_in_its_first_state() -> None:
    assert run("<scxml><state id='one'/><state id='two'/></scxml>").configuration == ["one"]


def test_3_2_initial_may_name_a_state_deep_inside_and_several_of_parallel_regions() -> None:
    text = """
        <scxml initial="b2 c2"><state id="other"/>
          <parallel id="p"><state id="b"><state id="b1"/><state id="b2"/></state>
                           <state id="c"><state id="c1"/><state id="c2"/></state></parallel></scxml>"""
    assert run(text).configuration == ["p", "b", "b2", "c", "c2"]


def test_3_3_the_default_initial_state_is_entered_with_its_parents_from_outside_in() -> None:
    outcome = run(
        document("""
        <state id="a" initial="b"><onentry><log label="a"/></onentry>
          <state id="skipped"/>
          <state id="b"><onentry><log label="b"/></onentry><state id="c"><onentry><log label="c"/></onentry></state></state>
        </state>""")
    )
    assert [label for label, _ in outcome.log] == ["a", "b", "c"]


def test_3_6_content_of_an_initial_transition_runs_after_its_state_and_before_the_inner_one() -> None:
    outcome = run(
        document("""
        <state id="a"><initial><transition target="b"><log label="between"/></transition></initial>
          <onentry><log label="a"/></onentry><state id="b"><onentry><log label="b"/></onentry></state></state>""")
    )
    assert [label for label, _ in outcome.log] == ["a", "between", "b"]


def test_3_8_3_9_each_block_runs_in_document_order_and_an_error_ends_its_own_block_only() -> None:
    outcome = run(
        document("""
        <state id="a">
          <onentry><log label="1"/><assign location="nowhere" expr="1"/><log label="never"/></onentry>
          <onentry><log label="2"/></onentry>
          <onexit><log label="3"/><raise event="error.of.mine"/></onexit><onexit><log label="4"/></onexit>
          <transition event="error.execution" target="pass"/></state>""")
    )
    assert [label for label, _ in outcome.log] == ["1", "2", "3", "4"]
    assert outcome.configuration == ["pass"]


@pytest.mark.parametrize(
    ("pattern", "event", "fits"),
    [
        ("a.b", "a.b.c", True),
        ("a.b", "a.bc", False),
        ("a.*", "a", True),
        ("*", "anything.at.all", True),
        ("x a", "a", True),
        ("a.b", "a", False),
    ],
)
def test_3_12_1_an_event_fits_a_descriptor_token_by_token(pattern: str, event: str, fits: bool) -> None:
    body = f"""<state id="s"><onentry><raise event="{event}"/><raise event="end"/></onentry>
               <transition event="{pattern}" target="{"pass" if fits else "fail"}"/>
               <transition event="*" cond="_event.name == 'end'" target="{"fail" if fits else "pass"}"/></state>"""
    passes(body)


def test_3_12_internal_events_come_before_external_ones() -> None:
    passes("""<state id="s"><onentry><send event="outer"/><raise event="inner"/></onentry>
              <transition event="inner" target="t"/><transition event="outer" target="fail"/></state>
              <state id="t"><transition event="outer" target="pass"/><transition event="*" target="fail"/></state>""")


def test_3_13_the_first_transition_in_document_order_wins_and_inner_states_come_first() -> None:
    passes("""<state id="a" initial="b"><transition event="e" target="fail"/>
              <state id="b"><transition event="e" cond="False" target="fail"/><transition event="e" target="pass"/>
                            <transition event="e" target="fail"/></state>
              <onentry><raise event="e"/></onentry></state>""")


def test_3_13_a_transition_without_target_exits_nothing() -> None:
    outcome = run(
        document("""<datamodel><data id="n" expr="0"/></datamodel>
        <state id="a"><onexit><assign location="n" expr="n + 100"/></onexit>
          <transition event="e"><assign location="n" expr="n + 1"/></transition></state>"""),
        "e",
        "e",
    )
    assert (outcome.data["n"], outcome.configuration) == (2, ["a"])


@pytest.mark.parametrize(("kind", "exits"), [("internal", ["b"]), ("external", ["b", "a"])])
def test_3_13_an_internal_transition_into_its_own_state_does_not_exit_that(kind: str, exits: list[str]) -> None:
    outcome = run(
        document(f"""<state id="a"><onexit><log label="a"/></onexit>
        <transition event="e" type="{kind}" target="c"/>
        <state id="b"><onexit><log label="b"/></onexit></state><state id="c"/></state>"""),
        "e",
    )
    assert [label for label, _ in outcome.log] == exits


def test_3_13_of_two_transitions_that_exit_the_same_state_the_first_region_wins() -> None:
    outcome = run(
        document("""<parallel id="p"><state id="r1"><transition event="e" target="pass"/></state>
        <state id="r2"><transition event="e" target="fail"/></state></parallel>"""),
        "e",
    )
    assert outcome.configuration == ["pass"]


def test_3_13_all_is_exited_inside_out_then_the_content_runs_then_all_is_entered_outside_in() -> None:
    outcome = run(
        document("""
        <state id="a"><onexit><log label="exit a"/></onexit>
          <state id="a1"><onexit><log label="exit a1"/></onexit>
            <transition event="e" target="b1"><log label="content"/></transition></state></state>
        <state id="b"><onentry><log label="enter b"/></onentry>
          <state id="b1"><onentry><log label="enter b1"/></onentry></state></state>"""),
        "e",
    )
    assert [label for label, _ in outcome.log] == ["exit a1", "exit a", "content", "enter b", "enter b1"]


def test_3_4_a_parallel_state_is_done_when_each_region_is_in_a_final_state() -> None:
    passes("""<state id="s"><transition event="done.state.p" target="pass"/>
        <parallel id="p"><state id="r1"><state id="a"><transition event="one" target="f1"/></state><final id="f1"/></state>
                         <state id="r2"><state id="b"><transition event="two" target="f2"/></state><final id="f2"/></state>
                         <transition event="done.state.r1" cond="In('f2')" target="fail"/></parallel></state>""",
           "one", "two")  # fmt: skip


def test_3_7_a_final_state_at_the_top_ends_the_session_and_its_exit_blocks_run() -> None:
    outcome = run(
        "<scxml><state id='a'><transition event='e' target='b'/></state>"
        "<final id='b'><onexit><log label='bye'/></onexit></final></scxml>",
        "e",
        "e",
    )
    assert (outcome.configuration, outcome.log) == (["b"], [["bye", None]])


@pytest.mark.parametrize(("kind", "back"), [("shallow", ["s", "a", "a1"]), ("deep", ["s", "a", "a2"])])
def test_3_10_a_history_state_leads_back_to_what_was_active(kind: str, back: list[str]) -> None:
    body = f"""
        <state id="out"><transition event="in" target="h"/></state>
        <state id="s" initial="z"><history id="h" type="{kind}"><transition target="a2"/></history>
          <transition event="leave" target="out"/><state id="z"/>
          <state id="a" initial="a1"><state id="a1"><transition event="next" target="a2"/></state><state id="a2"/></state>
        </state>""".replace('<transition target="a2"/>', '<transition target="a"/>' if kind == "shallow" else '<transition target="a2"/>')  # fmt: skip
    assert run(document(body), "in", "leave", "in", "next", "leave", "in").configuration == (
        back if kind == "deep" else ["s", "a", "a1"]
    )


def test_3_10_the_default_of_a_history_runs_its_content_the_first_time_only() -> None:
    outcome = run(
        document("""
        <state id="out"><transition event="in" target="h"/></state>
        <state id="s"><history id="h"><transition target="b"><log label="default"/></transition></history>
          <transition event="leave" target="out"/><state id="a"/><state id="b"/></state>"""),
        "in",
        "leave",
        "in",
    )
    assert (outcome.log, outcome.configuration) == ([["default", None]], ["s", "b"])


def test_3_14_ids_that_are_not_given_are_made_and_do_not_clash() -> None:
    assert run("<scxml><state><state id='state-1'/></state></scxml>").configuration == ["state-2", "state-1"]


def test_eventless_transitions_are_taken_as_soon_as_their_condition_holds() -> None:
    passes("""<datamodel><data id="n" expr="0"/></datamodel>
              <state id="s"><transition event="more"><assign location="n" expr="n + 1"/></transition>
                            <transition cond="n == 3" target="pass"/></state>""", "more", "more", "more")  # fmt: skip
