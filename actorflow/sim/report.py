"""Report: figures of one simulated run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from actorflow.errors import DefinitionError
from actorflow.events.event import EventType, is_event_class
from actorflow.sim.faults.targets import nearest
from actorflow.sim.figures.histogram import Histogram
from actorflow.sim.figures.pairs import EventPair, latency_between, latency_of_handlers, pairs_of, pairs_of_handlers
from actorflow.sim.figures.sequence import sequence
from actorflow.sim.figures.tables import FaultFigures, Figures, PublishedEvent
from actorflow.text import stable_text

if TYPE_CHECKING:
    from actorflow.sim.faults.fault import Fault
    from actorflow.sim.figures.publications import Publications
    from actorflow.sim.load.world_load import WorldLoad
    from actorflow.sim.world.scheduler import SimWorld


@dataclass(frozen=True)
class Report:
    """Figures of one run, as plain values: it pickles, and `as_dict` is for JSON.

    Attributes:
        time: virtual seconds at its end.
        steps: handler runs and resumptions.
        digest: of all steps: two runs that took the same ones have the same.
        faults: what went wrong, in words.
        fault_table: the same, with their times.
        published: all events, by the names of their classes, as they are stored: `module.Class`, or the name given.
        figures: of its handlers, actors and hosts, if `sim.record()` was called; None: it was not.
    """

    time: float
    steps: int
    digest: int
    faults: list[str]
    fault_table: list[FaultFigures] = field(default_factory=list)
    published: dict[str, list[PublishedEvent]] = field(default_factory=dict)
    figures: Figures | None = None

    def latency(
        self,
        first: type[Any] | Callable[..., Any] | str,
        last: type[Any] | Callable[..., Any] | str | None = None,
        /,
        *,
        after: float = 0.0,
    ) -> Histogram:
        """Return the time from one event to the next other one of the same conversation, or else of the same key.

        Of two handlers: from the arrival of a message of the one to the next end of the other, of one client event.

        Events of one conversation come of one first event; in a conversation with several of one class, each counts up
        to the next other one.

        Args:
            first: the class of the one, or its name; or, without the other, a handler: from the arrival of a message
                to the end of its handler.
            last: the class of the other event, or its name; or the other handler.
            after: virtual seconds; events before that are left out, as the warm-up of the run.

        Raises:
            DefinitionError: no such event was published; of a handler, it did not run, or nothing was recorded.
        """
        if last is None:
            return self._recorded().handlers[self._handler(first)].sojourn
        if is_handler(first) and is_handler(last):
            handled = self._recorded().handled
            one, other = (handled.get(self._handler(handler), []) for handler in (first, last))
            return latency_of_handlers(one, other, after)
        names = [self._name_of(cls) for cls in (first, last)]
        return latency_between(self.published[names[0]], self.published[names[1]], after)

    def pairs(self, *, after: float = 0.0) -> list[EventPair]:
        """Return the time from the first event of each conversation to every other kind of event in it."""
        return pairs_of(self.published, after)

    def handler_pairs(self, *, after: float = 0.0) -> list[EventPair]:
        """Return the time from the first message of each client event to the end of every other handler in it.

        Raises:
            DefinitionError: nothing was recorded.
        """
        return pairs_of_handlers(self._recorded().handled, after)

    def sequence(self) -> str:
        """Return the last messages between hosts as a Mermaid sequence diagram.

        Raises:
            DefinitionError: nothing was recorded.
        """
        return self._recorded().diagram

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, for JSON."""
        return {
            "time": self.time,
            "steps": self.steps,
            "digest": self.digest,
            "faults": [fault.as_dict() for fault in self.fault_table],
            "published": {name: len(events) for name, events in self.published.items()},
            "latency": [pair.as_dict() for pair in self.pairs()],
            "handler_latency": [] if self.figures is None else [pair.as_dict() for pair in self.handler_pairs()],
            "figures": None if self.figures is None else self.figures.as_dict(),
        }

    def _recorded(self) -> Figures:
        if self.figures is None:
            raise DefinitionError("nothing was recorded in this run: call sim.record() before sim.run()")
        return self.figures

    def _handler(self, handler: Any) -> str:
        name: str = handler if isinstance(handler, str) else getattr(handler, "__qualname__", stable_text(handler))
        name = name.rpartition("<locals>.")[2]
        handlers = self._recorded().handlers
        if name not in handlers:
            raise DefinitionError(f"latency({name}): it handled nothing in this run{nearest(name, handlers)}")
        return name

    def _name_of(self, cls: Any) -> str:
        name = event_name(cls)
        if name not in self.published:
            raise DefinitionError(f"latency({name}): no such event was published{nearest(name, self.published)}")
        return name


def event_name(given: Any) -> str:
    """Return the name of a class of events, by which it is stored, too.

    Raises:
        DefinitionError: it is none.
    """
    if isinstance(given, str):
        return given
    if not is_event_class(given):
        raise DefinitionError(f"latency({stable_text(given)}): give two classes of events, or handlers")
    return EventType.of(given).name


def is_handler(given: Any) -> bool:
    """Say whether something is a handler, and no class of events and no name of one."""
    return callable(given) and not isinstance(given, type)


def report_of(
    world: SimWorld,
    faults: Sequence[Fault],
    left_out: frozenset[str],
    publications: Publications,
    load: WorldLoad | None,
) -> Report:
    """Return the figures of a run so far."""
    happened = [fault for fault in faults if fault.name not in left_out]
    figures = None
    if load is not None and load.recording is not None:
        figures = load.figures(sequence(world.network.passages or (), [(one.begin, one.text) for one in happened]))
    return Report(
        world.clock.now,
        world.steps,
        world.digest,
        [str(fault) for fault in faults],
        [FaultFigures(one.kind, one.text, one.begin, one.end, one.touched) for one in happened],
        {name: list(events) for name, events in publications.by_name.items()},
        figures,
    )
