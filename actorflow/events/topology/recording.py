"""Recording: the events of a running system, kept for a sequence diagram."""

from __future__ import annotations

from collections import Counter, deque
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, cast

from actorflow.core.refs.cell import ENDING
from actorflow.core.system import System
from actorflow.errors import DefinitionError
from actorflow.events.bus import EventBus, bus_of
from actorflow.events.envelope import Envelope
from actorflow.events.event import EventType
from actorflow.events.filters import EventFilter
from actorflow.events.receivers import Receiver
from actorflow.events.subscriber import Subscriber
from actorflow.events.topology.sequence import SeenEvent, sequence_diagram
from actorflow.events.topology.topology import label_of
from actorflow.text import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from actorflow.durable.node.runtime import DurableRuntime
    from actorflow.events.handlers import HandlerTable

LIMIT: Final = 10_000  # events that are kept


class Recording:
    """A record of the events that a system or a bus delivers from now on, with their receivers, for a sequence diagram.

    It notes each event as it is delivered, in the thread of its publisher. The newest are kept, `limit` of them.

    >>> import actorflow as af
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Paid:
    ...     order: str
    >>> class Mail(af.Service):
    ...     @af.on(Paid)
    ...     def thank(self, event: Paid) -> None: ...
    >>> with af.ActorSystem("shop") as system:
    ...     mail = system.spawn(af.child(Mail).options(name="mail"))
    ...     with af.Recording(system) as recording:
    ...         system.publish(Paid("o1"))
    >>> print(recording.mermaid(), end="")
    sequenceDiagram
        actor p0 as shop
        participant p1 as mail
        p0-)p1: Paid
    """

    def __init__(self, source: System | EventBus, *, limit: int = LIMIT) -> None:
        """Begin to record.

        Args:
            source: a system, or a bus that is used alone.
            limit: how many events are kept.

        Raises:
            DefinitionError: an argument makes no sense.
        """
        if type(limit) is not int or limit < 1:
            msg = f"Recording(limit={text_of(limit)}): give a number of events from 1"
            raise DefinitionError(msg)
        if not isinstance(source, System | EventBus):
            msg = f"Recording({text_of(source)}): give a system or an EventBus"
            raise DefinitionError(msg)
        self._bus = bus_of(source.root) if isinstance(source, System) else source
        self._seen: deque[tuple[Envelope, str, tuple[str, ...]]] = deque(maxlen=limit)
        self._receiver = RecordingReceiver(self._bus, self._seen)
        self._bus._routes.add(self._receiver)

    def stop(self) -> None:
        """Record no more; the events so far are kept."""
        self._bus._routes.remove(self._receiver)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def envelopes(self) -> Sequence[Envelope]:
        """The events, each in its envelope, in the order in which they were delivered."""
        return [envelope for envelope, _, _ in [*self._seen]]

    @property
    def events(self) -> Sequence[Any]:
        """The events, in the order in which they were delivered."""
        return [envelope.event for envelope in self.envelopes]

    def mermaid(self, correlation: str | None = None) -> str:
        """Return a Mermaid sequence diagram of the events: an arrow from each publisher to each receiver.

        Args:
            correlation: only the conversation that began with the event of this id; None: all events.
        """
        seen = [one for one in [*self._seen] if correlation in {None, one[0].correlation}]
        types = {EventType.of(type(envelope.event)) for envelope, _, _ in seen}
        labels = Counter(map(label_of, types))
        names = {one: label if labels[label := label_of(one)] == 1 else one.name for one in types}
        return sequence_diagram(
            seen_of(envelope, names[EventType.of(type(envelope.event))], source, receivers)
            for envelope, source, receivers in seen
        )


class RecordingReceiver(Receiver):
    """The subscription of a recording, which has no actor: it notes an event where that is delivered."""

    def __init__(self, bus: EventBus, seen: deque[tuple[Envelope, str, tuple[str, ...]]]) -> None:
        super().__init__(EventFilter.of(Envelope), bus._publisher, is_own=False)
        self._bus = bus
        self._seen = seen

    def take(self, envelope: Envelope) -> None:
        """Note an event with its publisher and its receivers."""
        durable = durable_services(self._bus)
        receivers = dict.fromkeys(receivers_of(self._bus, envelope))
        for path, table in durable.values():
            if table.rules_for(type(envelope.event)):
                receivers[path] = None
        source = durable[envelope.source][0] if envelope.source in durable else envelope.source
        self._seen.append((envelope, source, tuple(receivers)))


def durable_services(bus: EventBus) -> dict[str, tuple[str, HandlerTable]]:
    """Return, by the path of each member of a durable service in this process, the path of the service, and its table.

    They get their events from the log of the store.
    """
    durable = cast("DurableRuntime | None", bus.scheduler.durable)
    log = None if durable is None else durable.log
    found: dict[str, tuple[str, HandlerTable]] = {}
    for member in [] if log is None else [*log.members.values()]:
        path = member.ref.path
        is_one_of_several = member.consumer.members > 1
        found[path] = (path.rpartition("/")[0] if is_one_of_several else path, member.table)
    return found


def receivers_of(bus: EventBus, envelope: Envelope) -> Iterator[str]:
    """Yield the paths of the services and subscribed actors that get an event now, and the names of functions."""
    route = bus._routes.of(type(envelope.event))
    for refs in (*route.plain, *route.others):
        yield from (ref.path for ref in [*refs] if ref._state < ENDING)
    for receiver in route.receivers:
        if isinstance(receiver, RecordingReceiver) or receiver.filter.predicate is not None:
            continue
        actor = receiver.ref._actor
        if not receiver.is_own:
            yield receiver.ref.path
        elif isinstance(actor, Subscriber):
            yield function_name(actor.function)


def function_name(function: object) -> str:
    """Return the name of a function; of another thing that can be called, that of its class."""
    try:
        name = getattr(function, "__name__", None)
    except Exception:  # noqa: BLE001 - an object of the user, which may raise anything
        name = None
    return name if isinstance(name, str) else type(function).__name__


def seen_of(envelope: Envelope, name: str, source: str, receivers: Sequence[str]) -> SeenEvent:
    """Return an event as a diagram shows it."""
    return SeenEvent(envelope.id, name, envelope.key, source, envelope.correlation, envelope.causation, receivers)
