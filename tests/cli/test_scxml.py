"""`actorflow scxml`: one line of JSON a document; a bad one does not keep the others from running."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from actorflow.cli import main

LAMP = """<scxml datamodel="python" initial="off"><datamodel><data id="n" expr="0"/></datamodel>
  <state id="off"><transition event="press" target="on"/></state>
  <state id="on"><onentry><assign location="n" expr="n + 1"/><log label="on" expr="n"/>
      <send id="t" event="time" delay="3600s"/></onentry><onexit><cancel sendid="t"/></onexit>
    <transition event="press" cond="_event.data is None" target="off"/>
    <transition event="press" target="broken"><log label="why" expr="_event.data.why"/></transition>
    <transition event="time" target="off"/></state>
  <final id="broken"/></scxml>"""

FAMILY = """<scxml datamodel="python"><state id="a"><invoke id="kid"><content><scxml datamodel="python"><state id="k">
      <transition event="ping"><send event="pong" target="#_parent"/></transition></state></scxml></content></invoke>
    <transition event="go"><send event="ping" target="#_kid"/></transition>
    <transition event="pong" target="b"/></state><final id="b"/></scxml>"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str) -> str:
        (tmp_path / name).write_text(text)
        return name

    return write


def scxml(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["scxml", *arguments])


def lines(result: Result) -> list[Any]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_document_gets_events_in_order_and_is_printed_as_it_is_then(write: Any) -> None:
    result = scxml(write("lamp.scxml", LAMP), "--virtual", "--event", "press", "--event", 'press={"why": "fell"}')
    assert result.exit_code == 0
    assert lines(result) == [
        {"file": "lamp.scxml", "configuration": ["broken"], "done": True, "log": [["on", 1], ["why", "fell"]]}
    ]


def test_on_the_virtual_clock_an_hour_takes_no_time(write: Any) -> None:
    (line,) = lines(scxml(write("lamp.scxml", LAMP), "--virtual", "--event", "press"))
    assert (line["configuration"], line["done"]) == (["off"], False)


def test_in_real_time_it_waits_for_delays_no_longer_than_the_timeout(write: Any) -> None:
    short = LAMP.replace("3600s", "50ms")
    short_line, long_line = lines(
        scxml(write("short.scxml", short), write("lamp.scxml", LAMP), "--event", "press", "--timeout", "0.5")
    )
    assert short_line["configuration"] == ["off"]
    assert long_line["configuration"] == ["on"]


@pytest.mark.parametrize("clock", [[], ["--virtual"]])
def test_documents_that_talk_without_delays_have_done_so_before_it_prints(write: Any, clock: list[str]) -> None:
    (line,) = lines(scxml(write("family.scxml", FAMILY), "--event", "go", *clock))
    assert (line["configuration"], line["done"]) == (["b"], True)


def test_a_document_that_ticks_for_ever_comes_to_an_end_on_the_virtual_clock(write: Any) -> None:
    text = """<scxml><state id="a"><onentry><send event="tick" delay="1ms"/></onentry>
              <transition event="tick" target="a"/></state></scxml>"""
    (line,) = lines(scxml(write("clock.scxml", text), "--virtual", "--timeout", "5"))
    assert line["configuration"] == ["a"]


def test_a_bad_file_is_an_error_in_its_line_and_the_others_go_on(write: Any) -> None:
    result = scxml(
        write("bad.scxml", "<scxml>\n<stat/></scxml>"), "missing.scxml", write("lamp.scxml", LAMP), "--virtual"
    )
    bad, missing, lamp = lines(result)
    assert result.exit_code == 2
    assert bad["file"] == "bad.scxml"
    assert "bad.scxml:2" in bad["error"]
    assert "missing.scxml: No such file" in missing["error"]
    assert lamp["configuration"] == ["off"]


@pytest.mark.parametrize("event", ["press={", "=1", "two words"])
def test_an_event_that_is_none_is_a_usage_error(write: Any, event: str) -> None:
    result = scxml(write("lamp.scxml", LAMP), "--event", event)
    assert result.exit_code == 2
    assert "NAME or NAME=JSON" in result.stderr or "not JSON" in result.stderr


def test_what_json_does_not_have_is_null(write: Any) -> None:
    text = """<scxml datamodel="ecmascript"><state id="a"><onentry><log expr="[1 / 0, undefined, NaN, 'x']"/></onentry>
              </state></scxml>"""
    (line,) = lines(scxml(write("a.scxml", text), "--virtual"))
    assert line["log"] == [[None, [None, None, None, "x"]]]
    assert "NaN" not in json.dumps(line)


def test_scripts_run_when_the_user_says_so(write: Any) -> None:
    text = """<scxml datamodel="python"><datamodel><data id="x"/></datamodel><script>x = sum([1, 2])</script>
              <state id="a"><onentry><log expr="x"/></onentry></state></scxml>"""
    file = write("a.scxml", text)
    assert "trust" in lines(scxml(file))[0]["error"]
    assert lines(scxml(file, "--trust", "--virtual"))[0]["log"] == [[None, 3]]


def test_a_file_in_an_unknown_encoding_keeps_no_other_from_running(tmp_path: Path, write: Any) -> None:
    (tmp_path / "bad.scxml").write_bytes(b'<?xml version="1.0" encoding="bogus"?><scxml><state id="a"/></scxml>')
    result = scxml("bad.scxml", write("lamp.scxml", LAMP))
    assert result.exit_code == 2
    bad, lamp = lines(result)
    assert "unknown encoding: bogus" in bad["error"]
    assert lamp["configuration"] == ["off"]


def test_a_timeout_may_be_for_ever_but_must_be_a_number(write: Any) -> None:
    lamp = write("lamp.scxml", LAMP)
    assert lines(scxml(lamp, "--timeout", "inf"))[0]["configuration"] == ["off"]
    result = scxml(lamp, "--timeout", "nan")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "give a number of seconds" in result.stderr
