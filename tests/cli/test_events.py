"""`actorflow events`: the event log, events that could not be handled, and consumers, on a store nobody works on."""

from __future__ import annotations

import itertools
import json

import pytest
from click.testing import CliRunner

import actorflow as af
from actorflow.cli import events, main
from actorflow.testing import VirtualSystem
from tests.durable.test_messages import wait_for
from tests.events.log.services import Cashier, Failing, Ledger, Ordered, service


@pytest.fixture(autouse=True)
def _fresh():
    Failing.reset()


@pytest.fixture
def path(tmp_path):
    """A file with three orders: two were paid, one is dead."""
    path = tmp_path / "shop.db"
    Failing.poison = {2}
    with VirtualSystem("shop", store=f"sqlite:///{path}") as system:
        system.spawn(service(Cashier, "cashier", retry=af.Retry(1)))
        system.spawn(service(Ledger, "ledger"))
        for n, key in enumerate("abc", 1):
            system.publish(Ordered(key, n))
            system.sleep(1)
    return str(path)


def run(*arguments: str, code: int = 0, **options):
    command, *rest = arguments
    result = CliRunner().invoke(main, ["events", command, *rest], **options)
    assert result.exit_code == code, result.output
    return result


def asked(command: str, path: str, *arguments: str, code: int = 0):
    return json.loads(run(command, "--store", path, *arguments, "--json", code=code).stdout)


def test_events_are_listed_newest_first_by_type_and_key(path):
    found = asked("list", path)
    assert [(one["type"], one["key"]) for one in found] == [
        ("test.paid", "c"),
        ("test.ordered", "c"),
        ("test.ordered", "b"),
        ("test.paid", "a"),
        ("test.ordered", "a"),
    ]
    assert [one["key"] for one in asked("list", path, "--type", "test.paid")] == ["c", "a"]
    assert [one["type"] for one in asked("list", path, "--key", "a")] == ["test.paid", "test.ordered"]
    second = asked("list", path, "--limit", "1", "--before", str(found[0]["number"]))
    assert [one["number"] for one in second] == [found[1]["number"]]
    assert "test.ordered" in run("list", "--store", path).stdout
    assert "no such events" in run("list", "--store", path, "--type", "x").stderr


def test_an_event_is_shown_by_its_number(path):
    number = str(asked("list", path)[0]["number"])
    assert asked("show", path, number)[0]["data"] == '{"key":"c","n":3}'
    assert "test.paid" in run("show", "--store", path, number).stdout
    assert "there is no event 999" in run("show", "--store", path, "999", code=1).stderr


def test_the_newest_events_are_printed_oldest_first(path):
    assert [one["number"] for one in asked("tail", path, "--limit", "2")] == sorted(
        one["number"] for one in asked("list", path, "--limit", "2")
    )


def test_a_conversation_is_printed_and_drawn(path):
    trace = asked("list", path, "--key", "a")[0]["correlation"]
    assert [one["type"] for one in asked("tail", path, "--trace", trace)] == ["test.ordered", "test.paid"]
    diagram = run("tail", "--store", path, "--trace", trace, "--mermaid").stdout
    assert (
        diagram
        == """\
sequenceDiagram
    actor p0 as shop
    participant p1 as cashier
    participant p2 as ledger
    p0-)p1: test.ordered a
    p0-)p2: test.ordered a
    p1-)p2: test.paid a
"""
    )


@pytest.mark.parametrize(
    ("arguments", "text", "code"),
    [
        (["--mermaid"], "give --trace ID with it", 2),
        (["--trace", "x", "--mermaid", "--follow"], "neither --follow nor --json", 2),
        (["--trace", "x", "--mermaid"], "there is no conversation x", 1),
    ],
)
def test_a_diagram_of_no_conversation_is_refused(path, arguments, text, code):
    assert text in run("tail", "--store", path, *arguments, code=code).stderr


def test_following_goes_on_with_events_that_come(path):
    with VirtualSystem("shop", store=f"sqlite:///{path}") as system:
        system.spawn(service(Ledger, "ledger"))
        log = system.event_log
        found = events.following(log, [*reversed(log.list(limit=2))], None)
        first = [next(found).number for _ in range(2)]
        system.publish(Ordered("d", 4))
        system.publish(Ordered("e", 5))
        assert [event.key for event in itertools.islice(found, 2)] == ["d", "e"]
        assert first == sorted(first)


def test_dead_events_are_listed_with_their_causes(path):
    found = asked("dead", path)
    assert [(one["consumer"], one["key"], one["cause"]) for one in found] == [
        ("cashier", "b", "ValueError: 2 is poison")
    ]
    assert asked("dead", path, "--consumer", "ledger") == []
    assert asked("dead", path, "--parked") == []
    assert (
        "no consumer is named 'x'; there are: 'cashier', 'ledger'"
        in run("dead", "--store", path, "--consumer", "x", code=2).stderr
    )


@pytest.mark.parametrize("chosen", [["1"], ["--consumer", "cashier"], ["--all"]])
def test_dead_events_are_handled_again(path, chosen):
    id_ = asked("dead", path)[0]["id"]
    assert asked("retry", path, *[id_ if one == "1" else one for one in chosen]) == {"retried": 1}
    assert asked("dead", path) == []
    Failing.poison = set()
    with af.ActorSystem("shop", store=f"sqlite:///{path}") as system:  # on the clock of the command
        cashier = system.spawn(service(Cashier, "cashier"))
        wait_for(lambda: cashier.call(Cashier.seen).get(timeout=60) == {"a": [1], "b": [2], "c": [3]})


def test_dead_events_are_removed(path):
    assert asked("drop", path, "--all", "--yes") == {"removed": 1}
    assert asked("dead", path) == []
    assert "0 of 1 were there" in run("drop", "--store", path, "7", "--yes", code=1).stderr
    assert "name dead events by their ids" in run("retry", "--store", path, code=2).stderr


def test_the_lag_of_consumers_is_told(path):
    with VirtualSystem("other", store=f"sqlite:///{path}") as system:
        system.publish(Ordered("d", 4))
    found = asked("lag", path)
    assert [(one["consumer"], one["behind"], one["dead"], one["instances"]) for one in found] == [
        ("cashier", 1, 1, 1),
        ("ledger", 1, 0, 1),
    ]
    assert [one["consumer"] for one in asked("lag", path, "ledger")] == ["ledger"]
    assert "no consumer is named 'x'" in run("lag", "--store", path, "x", code=2).stderr


def test_a_consumer_is_paused_and_goes_on(path):
    assert asked("pause", path, "ledger") == {"consumer": "ledger", "paused": True}
    assert [one["state"] for one in asked("lag", path)] == ["", "paused"]
    asked("resume", path, "ledger")
    assert [one["state"] for one in asked("lag", path)] == ["", ""]


def test_a_consumer_handles_the_log_again(path):
    assert asked("replay", path, "ledger", "--yes") == {"consumer": "ledger", "from": "beginning"}
    before = len(asked("list", path))
    with VirtualSystem("shop", store=f"sqlite:///{path}") as system:
        ledger = system.spawn(service(Ledger, "ledger"))
        system.sleep(1)
        assert ledger.call(Ledger.seen).get(timeout=60) == {"a": [1, -1], "b": [2], "c": [3, -3]}
    assert len(asked("list", path)) == before


@pytest.mark.parametrize(
    ("start", "text"),
    [("yesterday", "give beginning, now"), ("2026-05-01T08:00", "say the time zone, such as 2026-05-01T08:00+00:00")],
)
def test_a_place_that_makes_no_sense_is_refused(path, start, text):
    assert text in run("replay", "--store", path, "ledger", "--from", start, "--yes", code=2).stderr


def test_a_place_is_a_number_or_a_time():
    assert events.place_of("17") == 17
    assert events.place_of("2026-05-01T08:00+02:00").isoformat() == "2026-05-01T08:00:00+02:00"
    assert events.place_of("now") == "now"


def test_a_store_that_is_not_there_is_one_line(tmp_path):
    for command in ("list", "tail", "dead", "lag"):
        assert "there is no file" in run(command, "--store", str(tmp_path / "no.db"), code=2).stderr
