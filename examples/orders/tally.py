"""The tally: counts each event once, when the last of its objects has acknowledged it, and ends in a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import actorflow as af

from .atlas import DEPOT, survey
from .life import LIVES
from .log import Event, expected, loads
from .route import Route, fits


class Fault(NamedTuple):
    """What went wrong with a line: it is not legal in the object's state, or was taken out of the file's order."""

    kind: Literal["illegal", "order"]
    name: str
    line: int
    text: str


class Section(NamedTuple):
    """What a desk reports at its end: its objects, how many of them ended in their final state, and their routes."""

    objects: int
    final: int
    routes: Mapping[str, Route]


@dataclass
class Report:
    """The outcome of a replay.

    Of the packages it says how many have a route, and how many routes are good: they visit each stop once, and their
    length is right.
    """

    expected: Counter[str]
    packages: int = 0
    routes: int = 0
    good_routes: int = 0
    handled: Counter[str] = field(default_factory=Counter)
    sections: dict[str, Section] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    restarts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def equal(self) -> bool:
        """Whether each event was handled, in order, and each object came to its end, each package by a good route."""
        return (
            self.handled == self.expected
            and not self.faults
            and self.packages == self.routes == self.good_routes
            and all(section.final == section.objects for section in self.sections.values())
        )


class Tally(af.Actor):
    """Hears of every step of every object, and answers `expect` when all desks have closed."""

    def __init__(self) -> None:
        super().__init__()
        # What each event still waits for. A step that is reported twice, after a restart, finds itself gone from here.
        self.waiting: dict[int, tuple[str, set[str]]] = {}
        self.refused: set[int] = set()
        self.report = Report(Counter())
        self.progress: Callable[[int, int], None] | None = None
        self.answer: af.Reply | None = None
        self.began = 0.0
        self.total = 0
        self.loads: dict[str, tuple[str, ...]] = {}

    def expect(self, events: Sequence[Event], progress: Callable[[int, int], None] | None = None) -> Report:
        """Begin to count; the answer comes when every desk has closed. `progress` is called as (done, total)."""
        self.waiting = {event.line: (event.activity, set(event.objects)) for event in events}
        self.loads = loads(events)
        self.report = Report(expected(events), packages=len(self.loads))
        self.progress, self.total = progress, len(events)
        self.began = self.ctx.now()
        self.answer = self.ctx.reply_later()
        return self.report  # not the answer: a handler that called reply_later answers by its Reply

    def handled(self, name: str, line: int, fault: Fault | None) -> None:
        """One object has seen one event. The event counts when all its objects have, and none of them refused it."""
        activity, objects = self.waiting.get(line, ("", set()))
        if name not in objects:
            return
        objects.remove(name)
        if fault is not None:
            self.report.faults.append(fault)
            self.refused.add(line)
        if not objects:
            del self.waiting[line]
            self.report.handled[activity] += line not in self.refused
            if self.progress is not None:
                self.progress(self.total - len(self.waiting), self.total)

    def close(self, kind: str, section: Section) -> None:
        """A desk has nothing left to do. One that has crashed since says it again."""
        self.report.sections[kind] = section
        if len(self.report.sections) == len(LIVES) and self.answer is not None:
            self.report.seconds = self.ctx.now() - self.began
            self.report.faults.sort(key=lambda fault: (fault.line, fault.name))  # the objects work side by side
            self.check_routes()
            self.answer.set(self.report)
            self.answer = None

    def check_routes(self) -> None:
        """Look at each route, for which it does not rely on the atlas."""
        for section in self.report.sections.values():
            for package, route in section.routes.items():
                self.report.routes += 1
                self.report.good_routes += fits(route, [DEPOT, *map(survey, self.loads[package])])

    def on_receive(self, message: Any) -> None:
        """Count the restarts, to which the system's life-cycle events are subscribed."""
        if isinstance(message, af.Restarted):
            self.report.restarts[message.ref.actor_class.__name__.lower()] += 1
