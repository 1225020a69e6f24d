"""Tables: the rows of a report: handlers, actors, hosts, faults, and who was busy when."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from actorflow.sim.figures.histogram import Histogram
from actorflow.sim.figures.time_series import TimeSeries


class PublishedEvent(NamedTuple):
    """One event that was published.

    Attributes:
        time: virtual seconds.
        key: of the event; None: it has none.
        correlation: id of the first event of the conversation.
    """

    time: float
    key: str | None
    correlation: str


class HandledMessage(NamedTuple):
    """One message that was handled.

    Attributes:
        arrival: virtual seconds.
        end: virtual seconds, at which its handler was done.
        cause: the number of the client event that it comes of.
    """

    arrival: float
    end: float
    cause: int


class BusySpan(NamedTuple):
    """A time for which an actor was busy with a message: a bar of a Gantt chart.

    Attributes:
        actor: its path.
        handler: that ran.
        begin: virtual seconds.
        end: virtual seconds.
    """

    actor: str
    handler: str
    begin: float
    end: float


@dataclass(frozen=True)
class HandlerFigures:
    """The messages of one handler.

    Attributes:
        name: such as "Payments.charge".
        wait: from a message's arrival until it is handled.
        service: from there until its handler is done, with all that it waits for.
        sojourn: both together.
    """

    name: str
    wait: Histogram
    service: Histogram
    sojourn: Histogram

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, for JSON."""
        times = {"wait": self.wait, "service": self.service, "sojourn": self.sojourn}
        return {"name": self.name} | {name: one.as_dict() for name, one in times.items()}


@dataclass(frozen=True)
class ActorFigures:
    """One actor over the run.

    Attributes:
        path: of the actor.
        handled: messages.
        busy: virtual seconds for which it had one at hand.
        utilisation: the part of the time for which it was busy.
        queue: messages that waited, over time; its `integral` is that of Little's law.
        throughput: counts messages that were handled, over time.
    """

    path: str
    handled: int
    busy: float
    utilisation: float
    queue: TimeSeries
    throughput: TimeSeries

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, for JSON."""
        plain = {"path": self.path, "handled": self.handled, "busy": self.busy, "utilisation": self.utilisation}
        return {**plain, "queue": self.queue.as_dict(), "throughput": self.throughput.as_dict()}


@dataclass(frozen=True)
class HostFigures:
    """One simulated host over the run.

    Attributes:
        name: of the host.
        cores: how many it has; None: as many as it needs.
        computed: virtual seconds of handlers that cost some, over all cores.
        utilisation: the part of its cores that was in use, over the run; None: it has as many as it needs.
    """

    name: str
    cores: int | None
    computed: float
    utilisation: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class FaultFigures:
    """One fault of the run.

    Attributes:
        kind: crash, pause, partition, slow, drop, clock skew, deploy, or one of the store.
        text: what it was, in words.
        begin: virtual seconds.
        end: virtual seconds, when it had healed.
        touched: it has acted on something.
    """

    kind: str
    text: str
    begin: float
    end: float
    touched: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Figures:
    """The load of a run: what `sim.record()` asked for.

    Attributes:
        begin: virtual seconds, from which on they count.
        handlers: by name.
        actors: by path; of more than 200 actors, those that came first.
        hosts: by name.
        others: how many actors have no row of their own.
        gantt: times for which actors were busy, in the order of their ends; at most 2,000.
        left_out: times that came after those.
        diagram: the last messages between hosts, as a Mermaid sequence diagram.
        handled: messages by the names of their handlers, of which the client event is known.
    """

    begin: float
    handlers: dict[str, HandlerFigures]
    actors: dict[str, ActorFigures]
    hosts: dict[str, HostFigures]
    others: int
    gantt: list[BusySpan]
    left_out: int
    diagram: str
    handled: dict[str, list[HandledMessage]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, for JSON."""
        return {
            "begin": self.begin,
            "handlers": [one.as_dict() for one in self.handlers.values()],
            "actors": [one.as_dict() for one in self.actors.values()],
            "hosts": [one.as_dict() for one in self.hosts.values()],
            "others": self.others,
            "gantt": [one._asdict() for one in self.gantt],
            "left_out": self.left_out,
        }
