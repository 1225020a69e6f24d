"""Pairs: the time from one event to another of the same conversation, or of the same key."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from actorflow.sim.figures.histogram import Histogram

if TYPE_CHECKING:
    from actorflow.sim.figures.tables import HandledMessage, PublishedEvent


@dataclass(frozen=True)
class EventPair:
    """The time from the first event of conversations to another one of theirs, or from handler to handler.

    Attributes:
        first: name of the class of the event that begins them; or the handler of the first message of client events.
        last: name of the class of the other one; or the other handler.
        latency: from the one to the other.
    """

    first: str
    last: str
    latency: Histogram

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, for JSON."""
        return {"first": self.first, "last": self.last, "latency": self.latency.as_dict()}


def latency_between(first: Sequence[PublishedEvent], last: Sequence[PublishedEvent], after: float = 0.0) -> Histogram:
    """Return the time from each event to the next other one of the same conversation, or else of the same key.

    Args:
        first: the one events.
        last: the others.
        after: virtual seconds; earlier ones of the first are left out.
    """
    by_correlation: defaultdict[str, list[float]] = defaultdict(list)
    by_key: defaultdict[str, list[float]] = defaultdict(list)
    for event in last:
        by_correlation[event.correlation].append(event.time)
        if event.key is not None:
            by_key[event.key].append(event.time)
    for times in (*by_correlation.values(), *by_key.values()):
        times.sort()  # those with a delay were noted before it
    found = Histogram()
    for event in first:
        if event.time < after:
            continue
        end = next_time(by_correlation.get(event.correlation, ()), event.time)
        if end is None and event.key is not None:
            end = next_time(by_key.get(event.key, ()), event.time)
        if end is not None:
            found.add(end - event.time)
    return found


def latency_of_handlers(
    first: Sequence[HandledMessage], last: Sequence[HandledMessage], after: float = 0.0
) -> Histogram:
    """Return the time from the arrival of each message to the next end of another one of the same client event.

    Args:
        first: the one messages.
        last: the others.
        after: virtual seconds; earlier ones of the first are left out.
    """
    ends: defaultdict[int, list[float]] = defaultdict(list)
    for message in last:
        ends[message.cause].append(message.end)
    found = Histogram()
    for message in first:
        end = next_time(ends.get(message.cause, ()), message.arrival)
        if end is not None and message.arrival >= after:
            found.add(end - message.arrival)
    return found


def pairs_of_handlers(handled: Mapping[str, Sequence[HandledMessage]], after: float = 0.0) -> list[EventPair]:
    """Return the latency from the first message of all client events to the end of each other handler of theirs."""
    begins = {name: [(one.cause, one.arrival) for one in messages] for name, messages in handled.items()}
    found = [
        EventPair(root, name, latency_of_handlers(handled[root], handled[name], after))
        for root, name in from_roots(begins)
    ]
    return [pair for pair in found if pair.latency.count]


def from_roots(begins: Mapping[str, Sequence[tuple[Hashable, float]]]) -> list[tuple[str, str]]:
    """Return the names that come first in some conversation, each with each other name.

    Args:
        begins: of each name, the conversations that it has a part in, and when.
    """
    firsts: dict[Hashable, tuple[float, str]] = {}
    for name, times in begins.items():
        for conversation, time in times:
            known = firsts.get(conversation)
            if known is None or time < known[0]:
                firsts[conversation] = (time, name)
    roots = dict.fromkeys(name for _, name in firsts.values())
    return [(root, name) for root in roots for name in begins if name != root]


def next_time(times: Sequence[float], begin: float) -> float | None:
    """Return the first of some times, which are in order, that is not before another."""
    place = bisect_left(times, begin)
    return times[place] if place < len(times) else None


def pairs_of(published: Mapping[str, Sequence[PublishedEvent]], after: float = 0.0) -> list[EventPair]:
    """Return the latency from the first event of all conversations to each other kind of event in them."""
    begins = {name: [(one.correlation, one.time) for one in events] for name, events in published.items()}
    found = [
        EventPair(root, name, latency_between(published[root], published[name], after))
        for root, name in from_roots(begins)
    ]
    return [pair for pair in found if pair.latency.count]
