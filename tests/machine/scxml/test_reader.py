"""What is wrong with a document is an error that names file and line; what is right can be written and read again."""

# ruff: noqa: E501 - lines of documents and tables
from __future__ import annotations

import pickle
from typing import Any

import pytest

import actorflow as af
from actorflow.machine.running.interpreter import Interpreter
from actorflow.machine.scxml import chart_to_scxml, load
from tests.machine.scxml.documents import document

WRONG = [
    ("<scxml>\n<state id='a'><transition target='b'/></state></scxml>", "scxml:2: .*no state 'b'"),
    ("<scxml>\n<state id='a'/>\n<state id='a'/></scxml>", "scxml:3: .*'a' is already used in line 2"),
    ("<scxml><state id='start'><transition target='strat'/></state></scxml>", "did you mean 'start'"),
    ("<scxml>\n<state id='a'><transition/></state></scxml>", "scxml:2: <transition>: give event, cond or target"),
    ("<scxml>\n\n<stat id='a'/></scxml>", "scxml:3: <stat>: this is not allowed in <scxml>, which may contain state"),
    ("<scxml/>", "there is no state in it"),
    ("<html/>", "is <scxml>, not <html>"),
    ("<scxml", "scxml:1: not well-formed XML"),
    ("<scxml><state><invoke src='a' autoforward='maybe'/></state></scxml>", "autoforward must be 'true' or 'false', not 'maybe'"),
    ("<scxml version='2.0'><state/></scxml>", "version must be '1.0'"),
    ("<scxml binding='never'><state/></scxml>", "binding must be 'early' or 'late'"),
    ("<scxml datamodel='lua'><state/></scxml>", "no data model 'lua'; there are null, python, c89, ecmascript"),
    ("<scxml initial='b'><state id='a'/></scxml>", "no state 'b'"),
    ("<scxml><state id='a' initial='b'/><state id='b'/></scxml>", "no child states to choose from"),
    ("<scxml><state id='a' initial='b'><state/></state><state id='b'/></scxml>", "'b' lies outside of 'a'"),
    ("<scxml><state><initial/><state/></state></scxml>", "<initial> must contain exactly one <transition>"),
    ("<scxml><state><initial><transition event='e' target='a'/></initial><state id='a'/></state></scxml>", "must not have event or cond"),
    ("<scxml><state initial='a'><initial/><state id='a'/></state></scxml>", "exclude each other"),
    ("<scxml><state><history/><state/></state></scxml>", "<history> must contain exactly one <transition>"),
    ("<scxml><state><history><transition target='c'/></history><state><state id='c'/></state></state></scxml>", "sibling"),
    ("<scxml><state id='a'/><state id='b'/><state><transition target='a b'/></state></scxml>", "same time"),
    ("<scxml><state>text</state></scxml>", "has elements in it, and no text: 'text'"),
    ("<scxml><state><onentry><jump/></onentry></state></scxml>", "<jump>: this is not executable content"),
    ("<scxml><state><onentry><raise/></onentry></state></scxml>", "the attribute event is missing"),
    ("<scxml><state><onentry><send/></onentry></state></scxml>", "give event or eventexpr"),
    ("<scxml><state><onentry><send event='a' eventexpr='b'/></onentry></state></scxml>", "event and eventexpr exclude"),
    ("<scxml><state><onentry><send event='a' delay='soon'/></onentry></state></scxml>", "'soon' is not a delay"),
    ("<scxml><state><onentry><send event='a' target='#_internal' delay='1s'/></onentry></state></scxml>", "cannot have a delay"),
    ("<scxml><state><onentry><cancel/></onentry></state></scxml>", "give sendid or sendidexpr"),
    ("<scxml><state><onentry><if cond='true'><else/><else/></if></onentry></state></scxml>", "nothing may follow <else>"),
    ("<scxml><state><invoke/></state></scxml>", "one of src, srcexpr and <content>"),
    ("<scxml datamodel='null'><state><onentry><assign location='a' expr='1'/></onentry></state></scxml>", "null data model.*datamodel='python'"),
    ("<scxml datamodel='null'><datamodel><data id='a'/></datamodel><state/></scxml>", "null data model has no variables"),
    ("<scxml datamodel='python'><datamodel><data id='_a'/></datamodel><state/></scxml>", "'_a' cannot be the name of a variable"),
    ("<scxml datamodel='python'><datamodel><data id='a'/>\n<data id='a'/></datamodel><state/></scxml>", "scxml:2.*already used in line 1"),
    ("<scxml datamodel='python'><script>x = 1</script><state/></scxml>", "trust=True"),
    ("<scxml datamodel='ecmascript'><script>x = 1</script><state/></scxml>", "scripts are Python"),
    ("<scxml datamodel='python'>\n<state id='s'><transition cond=\"open('x')\" target='s'/></state></scxml>", "scxml:2: .*not allowed"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "error"), WRONG)
def test_what_is_wrong_with_a_document_is_said_with_its_line(text: str, error: str) -> None:
    with pytest.raises(af.DefinitionError, match=error):
        load(text)


def test_a_file_that_is_not_there_and_one_that_is_wrong_are_named(tmp_path: Any) -> None:
    file = tmp_path / "wrong.scxml"
    with pytest.raises(af.DefinitionError, match=r"wrong\.scxml: No such file"):
        load(file)
    file.write_text("<scxml>\n<state>")
    with pytest.raises(af.DefinitionError, match=r"wrong\.scxml:2: not well-formed XML"):
        load(str(file))


def test_elements_of_other_namespaces_mean_nothing() -> None:
    text = """<scxml xmlns="http://www.w3.org/2005/07/scxml" xmlns:ed="urn:editor"><ed:layout x="1">text</ed:layout>
              <state id="a" ed:color="red"><onentry><ed:note/></onentry></state></scxml>"""
    assert list(load(text).states) == ["", "a"]


def test_a_trusted_script_runs_at_the_start_and_where_it_stands() -> None:
    text = document("""<datamodel><data id="x" expr="1"/></datamodel>
        <script>
          import math
          x = math.floor(x + 1.5)
        </script>
        <state id="s"><onentry><script>y = [x] * 2</script></onentry></state>""")
    data = load(text, trust=True).interpreter().model.data
    assert (data["x"], data["y"]) == (2, [2, 2])


def test_a_running_session_moves_by_pickle_with_its_data_and_its_delays() -> None:
    text = document(
        """<datamodel><data id="x"/></datamodel><state id="s">
        <transition event="e"><send id="late" event="t" delay="1ms"/></transition>
        <transition event="t" target="pass"/></state>""",
        datamodel="ecmascript",
    )
    first = load(text).interpreter()
    first.send("e")
    second = pickle.loads(pickle.dumps(first))
    assert second.model.interpreter is second
    assert repr(second.model.data["x"]) == "undefined"
    while second.due is not None:  # a millisecond
        second.advance()
    assert (first.state, second.state) == ("s", "pass")


def test_a_chart_from_scxml_runs_on_a_session_and_on_nothing_else() -> None:
    with pytest.raises(af.DefinitionError, match=r"ScxmlActor, chart.*chart\.interpreter"):
        Interpreter(load("<scxml><state/></scxml>"))


# --- writing ---------------------------------------------------------------------------------------------------------

EVERYTHING = document(
    """<datamodel><data id="x" expr="1 &lt; 2"/><data id="y"> some  text </data></datamodel>
    <state id="s" initial="a"><!-- a comment -->
      <onentry><if cond="x"><log label="&quot;" expr="x"/><else/><raise event="r"/></if></onentry>
      <onexit><foreach array="[1]" item="i"><assign location="x">{"k": 1}</assign></foreach></onexit>
      <transition event="e f.*" cond="In('a')" target="b" type="internal"><send event="z" delay="1s" id="z">
        <param name="p" expr="x"/></send><cancel sendid="z"/></transition>
      <history id="h" type="deep"><transition target="a"/></history>
      <state id="a"/><state id="b"><invoke id="kid" autoforward="true"><content><scxml><state/></scxml></content>
        <finalize><log label="f"/></finalize></invoke></state></state>
    <parallel><state/><state><final><donedata><content expr="x"/></donedata></final></state></parallel>""",
    name="all",
    initial="s",
)


@pytest.mark.parametrize(
    "text", [EVERYTHING, document("<state/>", datamodel="null"), "<scxml><state><state/></state></scxml>"]
)
def test_what_is_written_reads_as_the_same_chart_and_is_written_as_the_same_text(text: str) -> None:
    chart = load(text)
    written = chart_to_scxml(chart)
    assert load(written) == chart
    assert chart_to_scxml(load(written)) == written


def test_charts_that_differ_in_an_expression_are_not_equal() -> None:
    assert load(EVERYTHING) != load(EVERYTHING.replace("In('a')", "In('b')"))


def test_a_chart_pickles_as_its_document() -> None:
    chart = load(EVERYTHING)
    assert pickle.loads(pickle.dumps(chart)) == chart


class Order(af.StateMachine):
    new, paid, dead = af.State(initial=True), af.State(), af.State(final=True)

    @new.to(paid, when=lambda self, amount: amount > 3)
    @new.stay
    def pay(self, amount: int) -> None: ...

    @new.after(1800, dead)
    def expire(self) -> None: ...

    @paid.to(dead)
    def cancel(self) -> None: ...

    @paid.enter
    def receipt(self) -> None: ...


def test_a_class_is_written_with_its_structure_its_timeouts_and_the_names_of_its_functions() -> None:
    text = chart_to_scxml(Order.chart)
    chart = load(text)
    assert list(chart.states) == ["", "new", "paid", "dead"]
    events = [(each.source, each.events, each.targets) for each in chart.transitions]
    assert {("new", ("pay",), ("paid",)), ("paid", ("cancel",), ("dead",))} <= set(events)
    for part in ('delay="1800', '<af:call name="receipt"/>', "amount &gt; 3"):
        assert part in text
    assert chart_to_scxml(chart) == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b'<?xml version="1.0" encoding="bogus"?><scxml><state id="a"/></scxml>', "a.scxml:1: unknown encoding: bogus"),
        (b'<?xml version="1.0" encoding="utf-7"?><scxml><state id="a"/></scxml>', "a.scxml:1: .*save the document as"),
        (b'<?xml version="1.0" encoding="shift_jis"?><scxml><state id="a"/></scxml>', "a.scxml:1: "),
        (b'<?xml version="1.0" encoding="idna"?><scxml><state id="a"/></scxml>', "a.scxml:1: "),
        (b'<scxml><state id="\xe9"/></scxml>', "a.scxml:1: not well-formed XML"),
        (b"\xff\xfe\xfd", "a.scxml:1: not well-formed XML"),
        (b"", "a.scxml:1: not well-formed XML"),
    ],
)
def test_an_encoding_that_cannot_be_read_is_an_error_of_the_document(tmp_path, raw, text):
    (tmp_path / "a.scxml").write_bytes(raw)
    with pytest.raises(af.DefinitionError, match=text):
        load(tmp_path / "a.scxml")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "cp1252"])
def test_encodings_of_a_file_are_read(tmp_path, encoding):
    declared = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>'
    (tmp_path / "a.scxml").write_bytes(f'{declared}<scxml><state id="\u00e9"/></scxml>'.encode(encoding))
    assert "\u00e9" in load(tmp_path / "a.scxml").states


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("", "there is no document"),
        (" \n", "there is no document"),
        ("a\0b", "null byte|null character"),
        ("<scxml>\n<state id='\ud800'/></scxml>", "scxml:2: .* is half a character"),
    ],
)
def test_what_is_neither_text_nor_path_is_refused(given, text):
    with pytest.raises(af.DefinitionError, match=text):
        load(given)
