"""The example of a stream: in virtual time, each reading is in one average, and each alarm is given once."""

from __future__ import annotations

import pytest

from actorflow.testing import VirtualSystem
from examples.stream import LIMIT, WINDOW, Alarms, Average, Averages, Reading, TooHot, WellAgain, main, open_stream


@pytest.mark.parametrize("seed", range(5))
def test_alarms_come_once_and_in_turn(seed):
    heard: list = []
    readings: list = []
    with VirtualSystem("stream", seed=seed) as system:
        system.subscribe(Reading, readings.append)
        for kind in (Average, TooHot, WellAgain):
            system.subscribe(kind, heard.append)
        open_stream(system, 3)
        system.sleep(60.05)
    averages = [event for event in heard if type(event) is Average]
    assert len(readings) == 3 * 600
    assert len(averages) == len(readings) / WINDOW
    for sensor in ("sensor-0", "sensor-1", "sensor-2"):
        hot = [event.celsius > LIMIT for event in averages if event.sensor == sensor]
        turns = [now for before, now in zip([False, *hot], hot, strict=False) if before != now]
        alarms = [type(event) for event in heard if type(event) is not Average and event.sensor == sensor]
        assert alarms == [TooHot if turn else WellAgain for turn in turns]


def test_an_average_is_that_of_its_readings():
    heard: list = []
    with VirtualSystem("stream") as system:
        system.subscribe(Average, heard.append)
        system.subscribe(TooHot, heard.append)
        system.spawn(Averages)
        system.spawn(Alarms)
        for number in range(2 * WINDOW):
            system.publish(Reading("a", LIMIT + number))
        system.sleep(1)
    first, second = LIMIT + (WINDOW - 1) / 2, LIMIT + WINDOW + (WINDOW - 1) / 2
    assert heard.count(TooHot("a", first)) == 1
    assert [event.celsius for event in heard if type(event) is Average] == [first, second]


def test_it_runs_by_one_command(capsys):
    assert main(["--sensors", "1", "--seconds", "0.2"]) == 0
    capsys.readouterr()
