"""Readings of sensors in real time, as events: averages, alarms, and a display: `python -m examples.stream`.

Sensors publish ten readings a second. One service has the averages of each sensor, another warns once when one is too
hot and once when it is well again, and whoever likes subscribes to what they publish. All of it is in memory: a reading
that nobody heard is not worth a disk. For events that must not be lost, give the services `durable=True` and a store.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import actorflow as af

WINDOW = 10  # readings of an average
LIMIT = 90.0


@dataclass(frozen=True)
class Reading:
    """One reading of a sensor."""

    sensor: str
    celsius: float


@dataclass(frozen=True)
class Average:
    """The average of some readings of a sensor."""

    sensor: str
    celsius: float


@dataclass(frozen=True)
class TooHot:
    """A sensor is above the limit."""

    sensor: str
    celsius: float


@dataclass(frozen=True)
class WellAgain:
    """A sensor is below the limit again."""

    sensor: str


class Sensor(af.Service):
    """Publishes what it reads: here, a temperature that wanders."""

    def __init__(self, celsius: float) -> None:
        super().__init__()
        self.celsius = celsius

    def on_start(self) -> None:
        self.ctx.every(0.1, self.read)

    def read(self) -> None:
        self.celsius += self.ctx.random.gauss(0, 2)
        self.publish(Reading(self.actor_ref.name, self.celsius))


class Averages(af.Service):
    """Has the last readings of each sensor."""

    def __init__(self) -> None:
        super().__init__()
        self.readings: dict[str, list[float]] = defaultdict(list)

    @af.on(Reading)
    def add(self, reading: Reading) -> Average | None:
        readings = self.readings[reading.sensor]
        readings.append(reading.celsius)
        if len(readings) < WINDOW:
            return None
        del self.readings[reading.sensor]
        return Average(reading.sensor, statistics.fmean(readings))


class Alarms(af.Service):
    """Warns once of each sensor that is too hot."""

    def __init__(self) -> None:
        super().__init__()
        self.hot: set[str] = set()

    @af.on(Average)
    def judge(self, average: Average) -> Iterator[TooHot | WellAgain]:
        is_hot, was_hot = average.celsius > LIMIT, average.sensor in self.hot
        if is_hot and not was_hot:
            self.hot.add(average.sensor)
            yield TooHot(average.sensor, average.celsius)
        elif was_hot and not is_hot:
            self.hot.remove(average.sensor)
            yield WellAgain(average.sensor)


def open_stream(system: af.ActorSystem, sensors: int) -> None:
    """Start the services, and then the sensors."""
    system.spawn(Alarms)
    system.spawn(Averages)
    for number in range(sensors):
        system.spawn(af.child(Sensor, LIMIT - 5).options(name=f"sensor-{number}"))


def main(arguments: list[str]) -> int:
    """Show what the sensors' readings come to."""
    parser = argparse.ArgumentParser(prog="python -m examples.stream", description=__doc__.partition("\n")[0])
    parser.add_argument("--sensors", type=int, default=5, help="how many there are (5)")
    parser.add_argument("--seconds", type=float, default=10, help="how long to watch them (10)")
    options = parser.parse_args(arguments)
    with af.ActorSystem("stream") as system:
        system.subscribe(Average, lambda average: print(f"{average.sensor}: {average.celsius:.1f}", flush=True))
        system.subscribe(TooHot, lambda alarm: print(f"{alarm.sensor} is too hot", flush=True))
        system.subscribe(WellAgain, lambda end: print(f"{end.sensor} is well again", flush=True))
        open_stream(system, options.sensors)
        time.sleep(options.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
