"""An order-management log: its events, how they are read from and written to CSV, and each kind's share of them.

The format is that of the object-centric event logs of RWTH Aachen (OCEL, CSV): one event a line, with the objects that
it touches as Python-style lists, one column for each kind of object.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import actorflow as af

from .life import ACTIVITIES, LIVES, event_of

COLUMNS = (
    "ocel:eid",
    "ocel:activity",
    "ocel:timestamp",
    "ocel:type:customers",
    "ocel:type:items",
    "ocel:type:orders",
    "ocel:type:packages",
    "ocel:type:products",
    "weight",
    "price",
)
OBJECT_COLUMNS = {"order": "ocel:type:orders", "item": "ocel:type:items", "package": "ocel:type:packages"}
LIST = re.compile(r"\[\s*'[\w.:-]+'(?:\s*,\s*'[\w.:-]+')*\s*\]", re.ASCII)
NAME = re.compile(r"[\w.:-]+", re.ASCII)


class LogError(af.DefinitionError):
    """A log that cannot be replayed; the text names the file and the line."""


class Event(NamedTuple):
    """One line of the log: an activity and the objects that it touches.

    `line` is where it stands in the file, behind the header; `objects` are names such as ``item-880001``.
    """

    line: int
    activity: str
    time: datetime
    objects: tuple[str, ...]

    def of(self, kind: str) -> list[str]:
        """Return the objects of one kind."""
        return [name for name in self.objects if name.startswith(f"{kind}-")]


class Step(NamedTuple):
    """What one event means for one object. `items` is what a package is made of, at its creation."""

    name: str
    line: int
    activity: str
    items: tuple[str, ...] = ()

    @property
    def event(self) -> str:
        """The event of the object's machine."""
        return event_of(self.activity)


def steps(events: Sequence[Event]) -> dict[str, list[Step]]:
    """Share the log out: for each kind of object the steps of all its objects, in the order of the file."""
    shares: dict[str, list[Step]] = {kind: [] for kind in LIVES}
    contents = loads(events)
    for line, activity, _, objects in events:
        for name in objects:
            items = contents.get(name, ()) if activity == "create package" else ()
            shares[name.partition("-")[0]].append(Step(name, line, activity, items))
    return shares


def loads(events: Iterable[Event]) -> dict[str, tuple[str, ...]]:
    """Return for each package the items that it is made of."""
    created = (event for event in events if event.activity == "create package")
    return {package: tuple(event.of("item")) for event in created for package in event.of("package")}


def expected(events: Iterable[Event]) -> Counter[str]:
    """Count the events of each activity."""
    return Counter(event.activity for event in events)


def read(path: Path) -> list[Event]:
    """Read a log; the first line that is not one of an order-management log is a `LogError` with its number."""
    try:
        # Bytes that are no UTF-8 become lone surrogates, which no cell's pattern takes: so they get a line number too.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            return list(_parse(path, csv.reader(file, strict=True)))
    except OSError as error:
        raise LogError(f"{path}: cannot read it: {error.strerror}") from error


def write(path: Path, events: Sequence[Event]) -> None:
    """Write a log that `read` reads."""
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(COLUMNS)
        for number, event in enumerate(events, start=1):
            row: dict[str, str] = dict.fromkeys(COLUMNS, " ")
            row["ocel:eid"] = f"{number}.0"
            row["ocel:activity"] = event.activity
            row["ocel:timestamp"] = event.time.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")
            for kind, column in OBJECT_COLUMNS.items():
                if names := event.of(kind):
                    row[column] = "[" + ",".join(f"'{name.partition('-')[2]}'" for name in names) + "]"
            lines.writerow(row.values())


def _parse(path: Path, lines: Iterator[list[str]]) -> Iterator[Event]:
    # A csv.reader counts the physical lines itself, also those inside quotes.
    line = 1
    try:
        header = next(lines, [])
        places = _places(header)
        known: set[str] = set()
        for row in lines:
            line = lines.line_num  # type: ignore[attr-defined]
            if len(row) != len(header):
                raise ValueError(f"{len(row)} columns, the header has {len(header)}")
            event = _event(line, row, places)
            if (eid := row[places["ocel:eid"]]) in known:
                raise ValueError(f"event id {eid!r} was there before")
            known.add(eid)
            yield event
        if not known:
            raise ValueError("no events behind the header")
    except csv.Error as error:
        line = lines.line_num  # type: ignore[attr-defined]
        raise LogError(f"{path}, line {line}: {error}") from error
    except ValueError as error:
        raise LogError(f"{path}, line {line}: {error}") from error


def _places(header: list[str]) -> dict[str, int]:
    wanted = ["ocel:eid", "ocel:activity", "ocel:timestamp", *OBJECT_COLUMNS.values()]
    if missing := [column for column in wanted if column not in header]:
        raise ValueError(f"the header lacks {', '.join(missing)}")
    return {column: header.index(column) for column in wanted}


def _event(line: int, row: list[str], places: dict[str, int]) -> Event:
    activity = row[places["ocel:activity"]]
    if activity not in ACTIVITIES:
        raise ValueError(f"unknown activity {activity!r}; known are {', '.join(ACTIVITIES)}")
    stamp = row[places["ocel:timestamp"]]
    try:
        time = datetime.fromisoformat(stamp)
    except ValueError:
        raise ValueError(f"{stamp!r} is no ISO timestamp") from None
    objects: list[str] = []
    for kind, column in OBJECT_COLUMNS.items():
        cell = row[places[column]].strip()
        if bool(cell) != (kind in ACTIVITIES[activity]):
            raise ValueError(f"{activity!r} {'touches no' if cell else 'needs its'} {kind} ({column} is {cell!r})")
        if cell:
            if not LIST.fullmatch(cell):
                raise ValueError(f"{column} is {cell!r}, not a list like ['1','2']")
            objects += (f"{kind}-{name}" for name in NAME.findall(cell))
    if len(set(objects)) < len(objects):
        raise ValueError("an object is listed twice")
    return Event(line, activity, time, tuple(objects))
