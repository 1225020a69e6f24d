"""Promises: the page of a search is one file that needs no network; nothing of the user's is markup in it."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from actorflow.sim.figures.histogram import Histogram
from actorflow.sim.figures.tables import BusySpan, FaultFigures, HandledMessage
from actorflow.sim.figures.time_series import TimeSeries
from actorflow.sim.html.axis import Axis
from actorflow.sim.html.gantt_picture import gantt_picture
from actorflow.sim.html.histogram_picture import histogram_picture
from actorflow.sim.html.page import page_of
from actorflow.sim.html.sequence_picture import sequence_picture
from actorflow.sim.html.series_picture import series_picture
from actorflow.sim.html.text import clipped, in_seconds, plain
from actorflow.sim.scenario.measuring import measured
from actorflow.sim.scenario.reading import parse_scenario
from actorflow.testing import LeakCheck

NAME = "tests.sim.counters"
EVIL = '<script>alert("x")</script>&\x07'
VOID = {"meta", "br", "hr"}
SCENARIO = f"""
until = 20
[network]
latency = [0.001, 0.2]
[[faults]]
at = 3
kind = "pause"
target = "counter"
seconds = 2
[[clients]]
cast = "add"
to = "counter"
args = ["{{n}}"]
rate = 5
[[clients]]
publish = "{NAME}:Ordered"
fields = {{ order = "o-{{n}}" }}
every = 1
[[costs]]
of = "{NAME}:Counter.add"
exponential = 0.1
"""


class Tags(HTMLParser):
    """Checks that all tags are closed, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def checked(page):
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    for picture in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ET.fromstring(picture)
    return tags.seen


@pytest.fixture(scope="module")
def runs():
    with LeakCheck():
        return [measured(f"{NAME}:app", parse_scenario(SCENARIO), seed) for seed in range(2)]


def findings(**more):
    found = {
        "app": "counters",
        "runs": 2,
        "orders": 2,
        "steps": 100,
        "virtual_seconds": 40.0,
        "faults": 2,
        "met": {"it came": True},
        "properties": 1,
        "failure": None,
        "errors": [],
    }
    return found | more


def test_a_page_has_all_figures_and_needs_no_network(runs):
    page = page_of(findings(), runs, runs[0])
    seen = checked(page)
    for word in (
        "All properties held",
        "Counter.add",
        "Handlers",
        "over 2 runs",
        "Busy actors, and faults",
        "Queues and throughput",
        "/counters/counter",
        "pause of counter",
        "it came",
    ):
        assert word in page, word
    assert not {"script", "link", "img", "iframe"} & set(seen)
    assert not re.search(r"https?:|url\(|@import|\ssrc=|\shref=", page)
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page
    assert seen.count("svg") >= 3


def test_latencies_from_handler_to_handler_are_added_up_over_the_runs(runs):
    handled = {"Shop.order": [HandledMessage(1.0, 2.0, 1)], EVIL: [HandledMessage(1.5, 4.25, 1)]}
    with_pairs = [
        replace(run, report=replace(run.report, figures=replace(run.report.figures, handled=handled))) for run in runs
    ]
    page = page_of(findings(), with_pairs, with_pairs[0])
    checked(page)
    part = page.partition("Latency from handler to handler")[2].partition("<h2")[0]
    assert "Shop.order" in part
    assert "3.25" in part
    assert "Latency from handler to handler" not in page_of(findings(), runs, runs[0])


def test_a_failure_is_shown_with_its_command_its_scenario_and_its_diagram(runs):
    failure = {
        "property": EVIL,
        "time": 3.5,
        "why": EVIL,
        "seed": 17,
        "scenario": f"smallest run found: {EVIL}",
        "command": "actorflow sim shop:app --seed=17",
        "diagram": f"sequenceDiagram\n    participant p0 as {EVIL}\n    p0->>p0: {EVIL}",
        "text": "",
    }
    page = page_of(findings(failure=failure, app=EVIL, errors=[EVIL], met={EVIL: False}), runs, runs[1])
    assert "script" not in checked(page)
    assert "<script" not in page
    assert "\x07" not in page
    assert "actorflow sim shop:app --seed=17" in page
    assert "The smallest run that fails" in page
    assert "seed 1," in page


def test_a_sequence_picture_has_lost_messages_answers_notes_and_messages_to_itself():
    picture = sequence_picture(
        "sequenceDiagram\n"
        "    participant p0 as /shop\n    participant p1 as stub bank\n"
        "    Note over p0,p1: 1 s crash\n"
        "    p0->>p1: charge 1.000 s\n    p1--xp0: answer (lost) 2.000 s\n    p0-xp1: charge 3 s\n    p0->>p0: tick 4 s"
    )
    root = ET.fromstring(picture)
    texts = ["".join(node.itertext()) for node in root.iter("text")]
    assert any("charge 1.000 s" in text for text in texts)
    assert any("1 s crash" in text for text in texts)
    assert picture.count("l10,10") == 2  # crosses
    assert picture.count("answer lost") == 1
    assert sequence_picture("sequenceDiagram") == ""
    assert sequence_picture("nothing of the kind") == ""


def test_pictures_take_what_is_rare():
    one = Histogram.of([0.0, 0.0])
    assert "2 durations" in histogram_picture(one)
    assert histogram_picture(Histogram()) == ""
    checked(histogram_picture(Histogram.of([1e-7, 1e5])))
    assert gantt_picture([], [], 1.0) == ""
    spans = [BusySpan(EVIL, EVIL, 0.0, 0.0), BusySpan("b", "h", 1.0, 3.0)]
    picture = gantt_picture(spans, [FaultFigures("crash", EVIL, 1.0, 9.0, touched=True)], 0.0)
    checked(picture)
    assert "<script" not in picture
    queue, throughput = TimeSeries(), TimeSeries()
    checked(series_picture(queue, throughput, 0.0))
    queue.set(1.0, 5.0)
    queue.advance(100.0)
    assert 'd="M' in series_picture(queue, throughput, 100.0)


def test_axes_have_round_ticks_within_their_range():
    assert list(Axis(0, 7, 0, 100).ticks()) == [0, 2, 4, 6]
    assert list(Axis(0.3, 0.9, 0, 1).ticks()) == [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert list(Axis(5, 5, 0, 1).ticks()) == [5]
    assert Axis(0, 10, 100, 200)(20) == 200


def test_text_is_cut_and_durations_have_their_unit():
    assert clipped("a" * 50, 10) == "a" * 9 + "\u2026"
    assert plain("\x1b[31m") == "\ufffd[31m"
    assert in_seconds(12_345.6) == "12,346 s"
    assert in_seconds(2e-5) == "20 \u00b5s"
    assert in_seconds(math.nan) == ""
