"""Section 6 of the recommendation: send, cancel, invoke, finalize; and the SCXML event processor, appendix C.1."""

from __future__ import annotations

from typing import Any

import pytest

from tests.machine.scxml.documents import document, passes, run

BOTH = pytest.mark.parametrize("language", ["python", "ecmascript"])


def invoked(content: str, *, attributes: str = "", inside: str = "", language: str = "python") -> str:
    return f"""<invoke {attributes}>{inside}<content><scxml datamodel="{language}" version="1.0">{content}</scxml>
               </content></invoke>"""


# --- send ------------------------------------------------------------------------------------------------------------


@BOTH
def test_6_2_what_is_sent_is_evaluated_when_it_is_sent(language: str) -> None:
    passes("""<datamodel><data id="x" expr="1"/><data id="what" expr="'event'"/></datamodel>
        <state id="s"><onentry><assign location="x" expr="2"/>
          <send eventexpr="what + '1'" namelist="x" delayexpr="'1s'"><param name="y" expr="[x]"/></send>
          <assign location="x" expr="3"/></onentry>
          <transition event="event1" cond="_event.data.x == 2 and _event.data.y[0] == 2" target="pass"/>
          <transition event="*" target="fail"/></state>"""
           .replace(" and ", " &amp;&amp; " if language == "ecmascript" else " and "), datamodel=language)  # fmt: skip


@pytest.mark.parametrize(("content", "value"), [("123", 123), ('{"a": 1}', {"a": 1}), (" some\n text ", "some text")])
def test_6_2_content_is_the_data_of_the_event(content: str, value: Any) -> None:
    outcome = run(
        document(f"""<state id="s"><onentry><send event="e"><content>{content}</content></send></onentry>
        <transition event="e" target="pass"><log expr="_event.data"/></transition></state>""")
    )
    assert outcome.log == [[None, value]]


def test_6_2_delays_are_waited_for_in_their_order() -> None:
    outcome = run(
        document("""<state id="s"><onentry><send event="c" delay="1.5s"/><send event="a" delay="20ms"/>
          <send event="b" delayexpr="'1s'"/></onentry>
        <transition event="*"><log label="got" expr="_event.name"/></transition></state>""")
    )
    assert [value for _, value in outcome.log] == ["a", "b", "c"]


def test_6_2_send_to_internal_goes_before_external_events() -> None:
    passes("""<state id="s"><onentry><send event="outer"/><send event="inner" target="#_internal"/></onentry>
        <transition event="inner" cond="_event.type == 'internal'" target="pass"/><transition event="*" target="fail"/>
        </state>""")


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        ("target='!wrong'", "error.execution"),
        ("target='#_scxml_nobody'", "error.communication"),
        ("target='#_nobody'", "error.communication"),
        ("target='#_parent'", "error.communication"),
        ("type='http://www.w3.org/TR/scxml/#BasicHTTPEventProcessor' target='http://x'", "error.execution"),
        ("delayexpr=\"'soon'\"", "error.execution"),
        ("namelist='missing'", "error.execution"),
    ],
)
def test_6_2_a_send_that_cannot_be_delivered_is_an_error_with_its_id(attributes: str, error: str) -> None:
    passes(f"""<state id="s"><onentry><send event="e" id="mine" {attributes}/></onentry>
        <transition event="{error}" cond="_event.sendid == 'mine' and _event.type == 'platform'" target="pass"/>
        <transition event="*" target="fail"/></state>""")


def test_6_2_an_unsupported_target_ends_the_block_and_one_that_is_away_does_not() -> None:
    outcome = run(
        document("""<state id="s"><onentry><send event="e" target="!wrong"/><log label="never"/></onentry>
        <onentry><send event="e" target="#_scxml_nobody"/><log label="on"/></onentry></state>""")
    )
    assert outcome.log == [["on", None]]


def test_6_2_an_id_is_made_for_idlocation_each_time_a_new_one() -> None:
    passes("""<datamodel><data id="a"/><data id="b"/></datamodel>
        <state id="s"><onentry><send event="e" idlocation="a"/><send event="e" idlocation="b"/></onentry>
          <transition event="e" cond="a != b and _event.sendid == a" target="pass"/><transition event="e" target="fail"/>
        </state>""")


def test_6_3_cancel_drops_what_is_delayed_and_no_other() -> None:
    outcome = run(
        document("""<state id="s"><onentry><send id="x" event="x" delay="1s"/><send id="x" event="x" delay="2s"/>
          <send id="y" event="y" delay="2s"/><cancel sendidexpr="'x'"/></onentry>
        <transition event="*"><log label="got" expr="_event.name"/></transition></state>""")
    )
    assert outcome.log == [["got", "y"]]


def test_c_1_origin_leads_back_to_who_has_sent() -> None:
    passes(f"""<state id="s"><onentry><send event="timeout" delay="5s"/></onentry>
        {invoked('''<state id="a"><transition event="ping"><send event="pong" targetexpr="_event.origin"
                    typeexpr="_event.origintype"/></transition></state>''', attributes='id="kid"')}
        <state id="t"><onentry><send event="ping" target="#_kid" delay="1s"/></onentry></state>
        <transition event="pong" target="pass"/><transition event="*" target="fail"/></state>""")


# --- invoke ----------------------------------------------------------------------------------------------------------


@BOTH
def test_6_4_a_child_gets_values_talks_to_its_parent_and_is_done_with_data(language: str) -> None:
    kid = """<datamodel><data id="v" expr="0"/></datamodel>
        <state id="a"><onentry><send target="#_parent" event="hello"><param name="v" expr="v"/></send></onentry>
          <transition event="go" target="f"/></state>
        <final id="f"><donedata><param name="r" expr="v * 21"/></donedata></final>"""
    outcome = run(
        document(
            f"""<datamodel><data id="one" expr="1"/></datamodel>
        <state id="s">{invoked(kid, attributes='id="kid"', inside='<param name="v" expr="one + 1"/>', language=language)}
          <transition event="hello"><log label="hello" expr="[_event.data.v, _event.invokeid]"/>
            <send event="go" target="#_kid"/></transition>
          <transition event="done.invoke.kid" target="pass"><log label="done" expr="_event.data.r"/></transition></state>""",
            datamodel=language,
        )
    )
    assert outcome.log == [["hello", [2, "kid"]], ["done", 42]]
    assert outcome.configuration == ["pass"]


def test_6_4_a_value_for_a_variable_that_the_child_does_not_have_is_left_out() -> None:
    kid = """<state id="a"><transition cond="other == 1" target="g"/><transition target="f"/></state>
             <final id="f"/><final id="g"><onentry><send target="#_parent" event="leaked"/></onentry></final>"""
    passes(f"""<state id="s">{invoked(kid, inside='<param name="other" expr="1"/>')}
               <transition event="leaked" target="fail"/><transition event="done.invoke" target="pass"/></state>""")


def test_6_4_1_an_id_that_is_not_given_begins_with_the_states() -> None:
    passes(f"""<datamodel><data id="x"/></datamodel><state id="s">{invoked('<final/>', attributes='idlocation="x"')}
               <transition event="done.invoke" cond="x.startswith('s.') and _event.invokeid == x" target="pass"/>
               <transition event="*" target="fail"/></state>""")


def test_6_4_a_state_that_is_left_in_the_same_macrostep_starts_no_child() -> None:
    kid = '<final><onentry><send target="#_parent" event="started"/></onentry></final>'
    passes(f"""<state id="s">{invoked(kid)}<transition target="t"/></state>
               <state id="t"><onentry><send event="timeout" delay="2s"/></onentry>
               <transition event="timeout" target="pass"/><transition event="*" target="fail"/></state>""")


def test_6_4_3_leaving_the_state_ends_the_child_with_what_it_has_not_sent() -> None:
    kid = '<state id="a"><onentry><send target="#_parent" event="late" delay="1s"/></onentry></state>'
    passes(f"""<state id="s"><onentry><send event="leave" delay="500ms"/></onentry>{invoked(kid)}
               <transition event="leave" target="t"/></state>
               <state id="t"><onentry><send event="timeout" delay="3s"/></onentry>
               <transition event="timeout" target="pass"/><transition event="*" target="fail"/></state>""")


def test_6_2_4_what_a_child_has_not_sent_when_it_is_done_is_not_sent() -> None:
    kid = """<state id="a"><onentry><send target="#_parent" event="late" delay="1s"/></onentry>
             <transition target="f"/></state><final id="f"/>"""
    passes(f"""<state id="s"><onentry><send event="timeout" delay="3s"/></onentry>{invoked(kid)}
               <transition event="late" target="fail"/><transition event="timeout" target="pass"/></state>""")


def test_6_4_autoforward_gives_the_child_each_external_event() -> None:
    kid = """<state id="a"><transition event="one" target="b"/></state>
             <state id="b"><transition event="two" target="f"/></state><final id="f"/>"""
    passes(f"""<state id="s">{invoked(kid, attributes='autoforward="true"')}
               <transition event="done.invoke" target="pass"/></state>""", "one", "two")  # fmt: skip


@pytest.mark.parametrize(
    "finalize", ["<finalize><assign location='v' expr='_event.data.v'/></finalize>", "<finalize/>"]
)
def test_6_5_finalize_runs_before_transitions_are_selected_and_empty_it_takes_the_values_over(finalize: str) -> None:
    kid = """<final><onentry><send target="#_parent" event="back"><param name="v" expr="2"/></send></onentry></final>"""
    inside = f"<param name='v' location='v'/>{finalize}"
    passes(f"""<datamodel><data id="v" expr="1"/></datamodel><state id="s">{invoked(kid, inside=inside)}
               <transition event="back" cond="v == 2" target="pass"/><transition event="back" target="fail"/></state>""")


def test_6_5_finalize_is_for_events_of_its_own_child() -> None:
    kid = '<final><onentry><send target="#_parent" event="back"/></onentry></final>'
    quiet = '<state id="a"/>'
    passes(f"""<datamodel><data id="v" expr="0"/></datamodel><state id="s">
               {invoked(kid, inside="<finalize><assign location='v' expr='v + 1'/></finalize>")}
               {invoked(quiet, inside="<finalize><assign location='v' expr='v + 10'/></finalize>")}
               <transition event="back" cond="v == 1" target="pass"/><transition event="back" target="fail"/></state>""")


def test_6_4_a_document_beside_is_invoked_by_src_and_one_in_a_variable_by_content(tmp_path: Any) -> None:
    (tmp_path / "kid.scxml").write_text("<scxml><final/></scxml>")
    file = tmp_path / "a.scxml"
    file.write_text(
        document("""<datamodel><data id="text"><scxml><final/></scxml></data><data id="name" expr="'kid.scxml'"/></datamodel>
        <state id="s"><invoke src="file:kid.scxml"/><transition event="done.invoke" target="t"/></state>
        <state id="t"><invoke srcexpr="name"/><transition event="done.invoke" target="u"/></state>
        <state id="u"><invoke type="scxml"><content expr="text"/></invoke>
          <transition event="done.invoke" target="pass"/></state>""")
    )
    assert run(file).configuration == ["pass"]


@pytest.mark.parametrize(
    "wrong", ["<invoke src='none.scxml'/>", "<invoke type='http://other'><content>x</content></invoke>",
              "<invoke><content>no document</content></invoke>", "<invoke><content expr='7'/></invoke>"]
)  # fmt: skip
def test_6_4_what_cannot_be_invoked_is_error_execution(wrong: str) -> None:
    passes(f"""<state id="s">{wrong}<transition event="error.execution" target="pass"/></state>""")


def test_6_4_a_document_that_invokes_itself_comes_to_an_end(tmp_path: Any) -> None:
    file = tmp_path / "a.scxml"
    file.write_text(document("""<state id="s"><invoke src="a.scxml"/><transition event="error.execution" target="pass"/>
                                <transition event="done.invoke" target="pass"/></state>"""))  # fmt: skip
    assert run(file).configuration == ["pass"]
