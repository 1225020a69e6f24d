"""Section 5 of the recommendation: data, assignment, system variables; and its data models, appendix B."""

from __future__ import annotations

from typing import Any

import pytest
from tests.machine.scxml.documents import document, passes, run

BOTH = pytest.mark.parametrize("language", ["python", "ecmascript"])


@BOTH
def test_5_2_data_comes_from_an_expression_from_inside_or_from_nowhere(language: str) -> None:
    body = """<datamodel><data id="a" expr="1 + 1"/><data id="b">{"x": [1, null]}</data><data id="c"> some
              text </data><data id="d"/></datamodel><state id="s"/>"""
    data = run(document(body, datamodel=language)).data
    assert (data["a"], data["b"], data["c"]) == (2, {"x": [1, None]}, "some text")
    assert not data["d"]


def test_5_2_data_comes_from_a_file_beside_the_document(tmp_path: Any) -> None:
    (tmp_path / "list.json").write_text("[1, 2]")
    file = tmp_path / "a.scxml"
    file.write_text(document("<datamodel><data id='a' src='file:list.json'/></datamodel><state id='s'/>"))
    assert run(file).data == {"a": [1, 2]}


@pytest.mark.parametrize("src", ["../secret", "/etc/hostname", "http://example.org/x", "missing.json"])
def test_5_2_a_file_elsewhere_is_error_execution_and_the_variable_is_there_without_value(tmp_path: Any, src: str) -> None:
    (tmp_path / "secret").write_text("1")
    (tmp_path / "in").mkdir()
    file = tmp_path / "in" / "a.scxml"
    body = f"""<datamodel><data id='a' src='{src}'/></datamodel>
               <state id='s'><transition event="error.execution" cond="a is None" target="pass"/></state>"""
    file.write_text(document(body))
    assert run(file).configuration == ["pass"]


def test_5_3_3_early_binding_gives_all_variables_their_values_at_the_start() -> None:
    passes("""<state id="s"><transition cond="later == 1" target="pass"/><transition target="fail"/></state>
              <state id="t"><datamodel><data id="later" expr="1"/></datamodel></state>""", binding="early")  # fmt: skip


def test_5_3_3_late_binding_gives_a_value_when_the_state_is_first_entered_before_its_blocks() -> None:
    outcome = run(
        document(
            """<state id="s"><onentry><log label="before" expr="later"/></onentry>
                <transition event="go" target="t"/></state>
               <state id="t"><datamodel><data id="later" expr="1"/></datamodel>
                <onentry><assign location="later" expr="later + 1"/><log label="in" expr="later"/></onentry>
                <transition event="go" target="s"/></state>""",
            binding="late",
        ),
        "go",
        "go",
        "go",
    )
    assert outcome.log == [["before", None], ["in", 2], ["before", 2], ["in", 3]]


def test_5_3_a_value_that_cannot_be_evaluated_is_error_execution_and_can_be_set_later() -> None:
    passes("""<datamodel><data id="a" expr="1 = 1"/></datamodel>
              <state id="s"><transition event="error.execution" target="t"/></state>
              <state id="t"><onentry><assign location="a" expr="1"/></onentry><transition cond="a == 1" target="pass"/>
                            <transition event="error" target="fail"/></state>""")


@BOTH
@pytest.mark.parametrize("location", ["missing", "_event", "_sessionid", "_name", "_ioprocessors", "a.b.c", "1 + 1"])
def test_5_4_assigning_to_no_place_or_to_a_system_variable_is_error_execution(language: str, location: str) -> None:
    passes(f"""<datamodel><data id="a" expr="1"/></datamodel>
               <state id="s"><onentry><assign location="{location}" expr="27"/><raise event="after"/></onentry>
               <transition event="error.execution" target="pass"/><transition event="*" target="fail"/></state>""",
           datamodel=language)  # fmt: skip


@BOTH
def test_5_4_a_part_of_a_variable_can_be_assigned_to(language: str) -> None:
    data = run(
        document(
            """<datamodel><data id="a">{"b": [1, 2]}</data></datamodel><state id="s"><onentry>
        <assign location="a.b[1]" expr="5"/><assign location="a.c" expr="'new'"/><assign location="a['d']">7</assign>
        </onentry></state>""",
            datamodel=language,
        )
    ).data
    assert data == {"a": {"b": [1, 5], "c": "new", "d": 7}}


def test_5_5_done_data_is_content_or_params_and_a_param_without_value_is_left_out() -> None:
    outcome = run(
        document("""
        <state id="s"><transition event="error.execution"><log label="error"/></transition>
          <transition event="done.state.s" target="t"><log label="s" expr="_event.data"/></transition>
          <state id="a"><transition target="f"/></state>
          <final id="f"><donedata><param name="x" expr="1"/><param name="y" location="missing"/></donedata></final></state>
        <state id="t"><transition event="done.state.t" target="pass"><log label="t" expr="_event.data"/></transition>
          <final id="g"><donedata><content>[1, 2]</content></donedata></final></state>""")
    )
    assert outcome.log == [["error", None], ["s", {"x": 1}], ["t", [1, 2]]]


@BOTH
def test_5_10_event_tells_name_type_and_data_of_each_kind_of_event(language: str) -> None:
    same = "===" if language == "ecmascript" else "=="
    both = "&amp;&amp;" if language == "ecmascript" else "and"
    passes(f"""<state id="s"><onentry><raise event="mine"/></onentry>
        <transition event="mine" cond="_event.name {same} 'mine' {both} _event.type {same} 'internal'" target="t"/></state>
        <state id="t"><onentry><assign location="x" expr="1"/></onentry>
          <transition event="*" cond="_event.type {same} 'platform'" target="u"/></state>
        <state id="u"><transition event="outer" cond="_event.type {same} 'external' {both} _event.data.a {same} 5"
                                  target="pass"/><transition event="outer" target="fail"/></state>""",
           ("outer", {"a": 5}), datamodel=language)  # fmt: skip


def test_5_10_event_stays_through_eventless_transitions_and_the_blocks_of_its_step() -> None:
    outcome = run(
        document("""<state id="s"><onexit><log label="exit" expr="_event.name"/></onexit>
        <transition event="e" target="t"/></state>
        <state id="t"><transition target="u"/></state>
        <state id="u"><onentry><log label="enter" expr="_event.name"/></onentry></state>"""),
        "e",
    )
    assert outcome.log == [["exit", "e"], ["enter", "e"]]


def test_5_10_the_session_has_a_name_an_id_and_an_address() -> None:
    outcome = run(
        document(
            """<state id="s"><onentry><log label="name" expr="_name"/>
        <log label="same" expr="_ioprocessors['scxml'].location == '#_scxml_' + _sessionid"/></onentry></state>""",
            name="phone",
        )
    )
    assert outcome.log == [["name", "phone"], ["same", True]]


def test_5_9_in_sees_states_as_they_are_entered_and_exited() -> None:
    outcome = run(
        document("""<parallel id="p"><onentry><log label="p" expr="[In('p'), In('a'), In('b')]"/></onentry>
        <state id="a"><onentry><log label="a" expr="[In('p'), In('a'), In('b')]"/></onentry></state>
        <state id="b"><onentry><log label="b" expr="[In('p'), In('a'), In('b')]"/></onentry></state></parallel>""")
    )
    assert outcome.log == [["p", [True, False, False]], ["a", [True, True, False]], ["b", [True, True, True]]]


def test_b_1_the_null_data_model_has_conditions_about_states() -> None:
    passes("""<parallel id="p"><state id="a"><transition event="e" cond="In('b2') and not In('b1')" target="pass"/></state>
              <state id="b"><state id="b1"><transition event="e" target="b2"/></state><state id="b2"/></state></parallel>""",
           "e", "e", datamodel="null")  # fmt: skip


def test_b_2_a_variable_without_value_is_undefined_in_ecmascript() -> None:
    passes("""<datamodel><data id="a"/></datamodel><state id="s">
              <transition cond="typeof a === 'undefined' &amp;&amp; typeof never === 'undefined'" target="pass"/></state>""",
           datamodel="ecmascript")  # fmt: skip
