"""Publications: the events of a simulated run, by the names of their classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.events.event import EventType
from actorflow.sim.figures.tables import PublishedEvent

if TYPE_CHECKING:
    from actorflow.core.clock import VirtualClock
    from actorflow.events.envelope import Envelope


class Publications:
    """Notes each event that is published. It is always on: one more tuple an event.

    Attributes:
        by_name: the events so far.
        delayed: when those with a delay are delivered, by their ids.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self.by_name: dict[str, list[PublishedEvent]] = {}
        self.delayed: dict[str, float] = {}
        self._clock = clock
        self._by_class: dict[type[Any], list[PublishedEvent]] = {}

    def note(self, envelope: Envelope, delay: float) -> None:
        """Note an event, at the time at which it is delivered."""
        cls = type(envelope.event)
        events = self._by_class.get(cls)
        if events is None:
            events = self._by_class[cls] = self.by_name.setdefault(EventType.of(cls).name, [])
        if delay:
            self.delayed[envelope.id] = self._clock.now + delay
        events.append(PublishedEvent(self._clock.now + delay, envelope.key, envelope.correlation))
