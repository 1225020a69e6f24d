"""Appendix D of the recommendation, and what sections say of its corners: order, preemption, done events, queues."""

# ruff: noqa: E501 - lines of documents and tables

from __future__ import annotations

import pytest

from tests.machine.scxml.documents import document, passes, run


def labels(body: str, *events: str, **attributes: str) -> list[str]:
    return [label for label, _ in run(document(body, **attributes), *events).log]


def test_d_transitions_of_regions_run_together_exits_backwards_contents_and_entries_forwards() -> None:
    region = """<state id="{0}"><state id="{0}1"><onexit><log label="exit {0}1"/></onexit>
        <transition event="e" target="{0}2"><log label="content {0}"/></transition></state>
        <state id="{0}2"><onentry><log label="enter {0}2"/></onentry></state></state>"""
    body = f"<parallel id='p'>{region.format('a')}{region.format('b')}</parallel>"
    assert labels(body, "e") == ["exit b1", "exit a1", "content a", "content b", "enter a2", "enter b2"]


def test_d_a_transition_of_an_inner_state_preempts_one_of_the_parallel_state_around_it() -> None:
    passes("""<parallel id="p"><transition event="e" target="fail"/>
        <state id="a"><state id="a1"><transition event="e" target="a2"/></state>
          <state id="a2"><transition event="then" target="pass"/></state></state>
        <state id="b"/></parallel>""", "e", "then")  # fmt: skip


def test_d_a_region_without_a_transition_of_its_own_takes_that_of_the_state_around_if_nobody_preempts() -> None:
    passes("""<parallel id="p"><transition event="e" target="pass"/>
        <state id="a"><state id="a1"><transition event="e" cond="False" target="fail"/></state></state>
        <state id="b"/></parallel>""", "e")  # fmt: skip


def test_d_a_targetless_transition_and_one_of_another_region_are_taken_both() -> None:
    body = """<parallel id="p"><state id="a"><transition event="e"><log label="a"/></transition></state>
              <state id="b"><state id="b1"><transition event="e" target="b2"><log label="b"/></transition></state>
              <state id="b2"/></state></parallel>"""
    assert labels(body, "e") == ["a", "b"]


def test_3_13_an_internal_transition_of_a_parallel_state_is_as_an_external_one() -> None:
    body = """<state id="s"><parallel id="p"><onexit><log label="exit p"/></onexit>
        <transition event="e" type="internal" target="a2"/>
        <state id="a"><state id="a1"/><state id="a2"/></state><state id="b"/></parallel></state>"""
    assert labels(body, "e") == ["exit p"]


def test_3_13_a_self_transition_exits_and_enters_its_state_again() -> None:
    body = """<state id="a"><onentry><log label="enter"/></onentry><onexit><log label="exit"/></onexit>
              <transition event="e" target="a"/></state>"""
    assert labels(body, "e") == ["enter", "exit", "enter"]


def test_3_7_the_done_event_of_a_state_comes_after_the_entry_blocks_of_its_final_state() -> None:
    passes("""<state id="s"><onentry><raise event="first"/></onentry><transition event="done.state.s" target="fail"/>
        <transition event="first" target="t"/><state id="a"/></state>
        <state id="t" initial="f"><transition event="entered" target="u"/><transition event="*" target="fail"/>
          <final id="f"><onentry><raise event="entered"/></onentry></final></state>
        <state id="u"><transition event="done.state.t" target="pass"/><transition event="*" target="fail"/></state>""")


def test_3_4_done_events_of_regions_come_in_their_order_and_that_of_the_parallel_state_last() -> None:
    body = """<state id="s"><transition event="done.state.*"><log label="other"/></transition>
        <parallel id="p"><transition event="done.state.a"><log label="a"/></transition>
          <transition event="done.state.b"><log label="b"/></transition>
          <transition event="done.state.p"><log label="p"/></transition>
          <state id="a"><final id="fa"/></state><state id="b"><final id="fb"/></state></parallel></state>"""
    assert labels(body) == ["a", "b", "p"]


def test_3_12_2_errors_wait_in_the_internal_queue_as_other_events_do() -> None:
    passes("""<state id="s"><onentry><assign location="no" expr="1"/></onentry><onentry><raise event="later"/></onentry>
        <transition event="error" target="t"/><transition event="later" target="fail"/></state>
        <state id="t"><transition event="later" target="pass"/><transition event="*" target="fail"/></state>""")


def test_d_external_events_that_nothing_takes_are_dropped_and_the_next_is_looked_at() -> None:
    passes("""<state id="s"><onentry><send event="one"/><send event="two" delay="1s"/></onentry>
        <transition event="two" target="pass"/></state>""")  # fmt: skip


def test_d_children_start_when_the_macrostep_is_over_and_in_document_order() -> None:
    kid = '<invoke id="{0}"><content><scxml><final><onentry><send target="#_parent" event="{0}"/></onentry></final></scxml></content></invoke>'
    body = f"""<state id="s">{kid.format("k1")}<transition event="k1"><log label="k1"/></transition>
        <transition event="k2"><log label="k2"/></transition><transition event="inner" target="s1"><log label="inner"/></transition>
        <state id="s1">{kid.format("k2")}<onentry><log label="entry"/></onentry></state>
        <onentry><log label="outer"/></onentry></state>"""
    assert labels(body) == ["outer", "entry", "k1", "k2"]


def test_6_4_an_invoke_whose_values_fail_is_an_error_and_starts_nothing() -> None:
    passes("""<state id="s"><onentry><send event="timeout" delay="1s"/></onentry>
        <invoke namelist="missing"><content><scxml><final/></scxml></content></invoke>
        <transition event="done.invoke" target="fail"/><transition event="error.execution" target="t"/></state>
        <state id="t"><onentry><send event="timeout" delay="1s"/></onentry>
        <transition event="timeout" target="pass"/><transition event="*" target="fail"/></state>""")


def test_6_4_done_invoke_comes_after_all_that_the_child_has_sent() -> None:
    body = """<state id="s"><invoke id="k"><content><scxml><final><onentry><send target="#_parent" event="one"/></onentry>
        <onexit><send target="#_parent" event="two"/></onexit></final></scxml></content></invoke>
        <transition event="one"><log label="one"/></transition><transition event="two"><log label="two"/></transition>
        <transition event="done.invoke.k" target="pass"><log label="done"/></transition></state>"""
    assert labels(body) == ["one", "two", "done"]


@pytest.mark.parametrize("expression", ["_ioprocessors['http://www.w3.org/TR/scxml/#SCXMLEventProcessor'].location",
                                        "'#_scxml_' + _sessionid"])  # fmt: skip
def test_c_1_a_session_can_be_reached_by_its_own_address(expression: str) -> None:
    passes(f"""<state id="s"><onentry><send event="e" targetexpr="{expression}"/></onentry>
               <transition event="e" cond="_event.sendid is None" target="pass"/></state>""")


def test_3_10_content_of_a_history_default_runs_after_the_entry_of_its_parent_and_initial_content_not_at_all() -> None:
    body = """<state id="start"><transition event="e" target="h"/></state>
        <state id="s"><initial><transition target="b"><log label="initial"/></transition></initial>
          <onentry><log label="enter s"/></onentry>
          <history id="h"><transition target="a"><log label="default"/></transition></history>
          <state id="a"><onentry><log label="enter a"/></onentry></state><state id="b"/></state>"""
    assert labels(body, "e") == ["enter s", "default", "enter a"]


def test_3_10_a_deep_history_of_a_parallel_state_holds_all_its_regions() -> None:
    body = """<parallel id="p"><history id="h" type="deep"><transition target="a1 b1"/></history>
        <transition event="leave" target="out"/>
        <state id="a"><state id="a1"><transition event="next" target="a2"/></state><state id="a2"/></state>
        <state id="b"><state id="b1"/><state id="b2"><transition event="x" target="b1"/></state></state></parallel>
        <state id="out"><transition event="back" target="h"/></state>"""
    assert run(document(body), "next", "leave", "back").configuration == ["p", "a", "a2", "b", "b1"]


def test_3_10_a_history_that_is_left_and_entered_in_one_step_holds_what_was_left() -> None:
    body = """<state id="p"><history id="h"><transition target="a"/></history>
        <transition event="again" target="h"/>
        <state id="a"><transition event="next" target="b"/></state><state id="b"/></state>"""
    assert run(document(body), "next", "again").configuration == ["p", "b"]


def test_5_10_the_session_id_stays_and_is_not_that_of_another_session() -> None:
    outcomes = [run(document("<state id='s'><onentry><log expr='_sessionid'/></onentry><transition event='e'><log expr='_sessionid'/></transition></state>"), "e")
                for _ in range(2)]  # fmt: skip
    (first, same), (other, _) = ([value for _, value in outcome.log] for outcome in outcomes)
    assert first == same != other
