"""Sequence: events and who got them, as a Mermaid sequence diagram."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from actorflow.machine.pictures.labels import clip
from actorflow.machine.pictures.mermaid import INDENT, escape

KEYWORD: Final = re.compile(r"\bend\b", re.IGNORECASE)  # ends a block of the diagram, also within a text


@dataclass(frozen=True, slots=True)
class SeenEvent:
    """An event that was published, as a diagram shows it.

    Attributes:
        id: of the publication.
        name: of the event.
        key: of its order; None: it has none.
        source: path of the actor that published it, or the name of the system.
        correlation: id of the event that the conversation began with.
        causation: id of the event in whose handler it was published; None: in none.
        receivers: paths of the services and subscribers that got it.
    """

    id: str
    name: str
    key: str | None
    source: str
    correlation: str
    causation: str | None
    receivers: Sequence[str]


def sequence_diagram(events: Iterable[SeenEvent]) -> str:
    """Return a Mermaid sequence diagram of events: an arrow from the publisher to each receiver, causes first.

    >>> placed = SeenEvent("1", "orders.placed", "o1", "shop", "1", None, ["/shop/payments"])
    >>> paid = SeenEvent("2", "orders.paid", None, "/shop/payments", "1", "1", [])
    >>> print(sequence_diagram([placed, paid]), end="")
    sequenceDiagram
        actor p0 as shop
        participant p1 as payments
        p0-)p1: orders.placed o1
        Note over p1: orders.paid: nobody got it
    """
    ordered = [*causes_first(events)]
    names = dict.fromkeys(name for event in ordered for name in (event.source, *event.receivers))
    ids = {name: f"p{number}" for number, name in enumerate(names)}
    shown = short_names(names)
    lines = ["sequenceDiagram"]
    for name, id_ in ids.items():
        kind = "participant" if name.startswith("/") else "actor"
        lines.append(f"{INDENT}{kind} {id_} as {words(shown[name]).replace(',', '#44;')}")
    for event in ordered:
        text = words(event.name if event.key is None else f"{event.name} {event.key}")
        lines += [f"{INDENT}{ids[event.source]}-){ids[one]}: {text}" for one in event.receivers]
        if not event.receivers:
            lines.append(f"{INDENT}Note over {ids[event.source]}: {text}: nobody got it")
    return "\n".join(lines) + "\n"


def causes_first(events: Iterable[SeenEvent]) -> Iterator[SeenEvent]:
    """Yield events in their order, but each behind the one in whose handler it was published.

    A service may have published before the event that it handles was seen.
    """
    left = {event.id: event for event in events}
    for id_ in [*left]:
        chain: list[SeenEvent] = []
        while id_ in left:
            event = left.pop(id_)
            chain.append(event)
            id_ = event.causation or ""  # noqa: PLW2901 - up to its first cause
        yield from reversed(chain)


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return for each path its last part, or more of it where two end alike; other names as they are."""
    paths = [*names]
    found = {}
    for path in paths:
        parts = path.split("/")
        others = [other.split("/") for other in paths if other != path]
        count = next((n for n in range(1, len(parts)) if all(other[-n:] != parts[-n:] for other in others)), len(parts))
        found[path] = "/".join(parts[-count:])
    return found


def words(text: str) -> str:
    """Return a text that stands for itself in a diagram."""
    return KEYWORD.sub(lambda found: f"#{ord(found[0][0])};{found[0][1:]}", escape(clip(text)))
