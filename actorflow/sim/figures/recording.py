"""Recording: notes, as the app runs, when messages come, wait and are handled.

It looks at the run from outside: at what enters a mailbox, at what begins, and, before time passes, at the actors that
are no longer busy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.refs.cell import BUSY
from actorflow.events.log.member import EventsArrived
from actorflow.sim.figures.histogram import Histogram
from actorflow.sim.figures.job_rows import JobRow, QueueRow
from actorflow.sim.figures.tables import ActorFigures, BusySpan, HandledMessage, HandlerFigures
from actorflow.sim.figures.time_series import TimeSeries, waiting
from actorflow.sim.world.host import OWN_CODE

if TYPE_CHECKING:
    from actorflow.core.clock import VirtualClock
    from actorflow.core.messages.execution import Item
    from actorflow.core.refs.ref import ActorRef
    from actorflow.store.store import Store

MOST_ACTORS: Final = 200  # that have a row of their own
MOST_SPANS: Final = 2_000  # of the Gantt chart


class ActorRow:
    """Notes of one actor.

    Attributes:
        path: of the actor.
        handled: messages.
        busy: seconds.
        queue: messages that wait.
        waits: from when to when each event of the log waited that has begun.
        throughput: of messages that were handled.
    """

    __slots__ = ("busy", "handled", "path", "queue", "throughput", "waits")

    def __init__(self, path: str, begin: float) -> None:
        self.path = path
        self.queue = TimeSeries(begin)
        self.reset(begin)

    def reset(self, now: float) -> None:
        """Begin anew."""
        self.handled = 0
        self.busy = 0.0
        self.waits: list[tuple[float, float]] = []
        waiting, self.queue = self.queue.value, TimeSeries(now)
        self.queue.set(now, waiting)
        self.throughput = TimeSeries(now)


class OpenSpan:
    """A message that an actor has at hand.

    Attributes:
        name: of its handler; "": it is not known yet.
        begin: virtual seconds.
        arrival: virtual seconds; None: not known.
        cause: the client event that it comes of, if that is known.
        job: the job that it is, if it is one.
    """

    __slots__ = ("arrival", "begin", "cause", "job", "name")

    def __init__(self, name: str, begin: float, arrival: float | None) -> None:
        self.name = name
        self.begin = begin
        self.arrival = arrival
        self.cause: int | None = None
        self.job: JobRow | None = None


class RunRecording:
    """Notes the load of one run.

    Attributes:
        begin: virtual seconds, from which on it counts.
        rows: of actors.
        others: actors that came when there were many, and have no row.
        spans: of the Gantt chart.
        left_out: spans that came after those.
        handled: messages, by the names of their handlers.
        begun: ids of events of the log that durable services have begun to handle, by the paths of these.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self.begin = clock.now
        self.rows: dict[ActorRef[Any], ActorRow] = {}
        self.others: dict[int, None] = {}
        self.spans: list[BusySpan] = []
        self.left_out = 0
        self.handled: dict[str, list[HandledMessage]] = {}
        self.begun: dict[str, set[str]] = {}
        self._clock = clock
        self._arrivals: dict[int, tuple[Item, float]] = {}  # of messages that wait, by their id
        self._open: dict[ActorRef[Any], OpenSpan] = {}
        self._handlers: dict[str, HandlerFigures] = {}
        self._queues: dict[str, QueueRow] = {}
        self._is_own: dict[type[Any], bool] = {}

    def reset(self) -> None:
        """Forget all notes so far: the warm-up is over."""
        now = self.begin = self._clock.now
        for row in self.rows.values():
            row.reset(now)
        for queue in self._queues.values():
            queue.reset()
        for span in self._open.values():
            span.begin = now
        self.spans.clear()
        self._handlers.clear()
        self.handled.clear()
        self.left_out = 0

    # --- as the run goes on ------------------------------------------------------------------------------------------

    def come(self, item: Item) -> None:
        """Note that a message has come."""
        ref = item[0]
        if self.is_own(ref) or type(item[1]) is EventsArrived:  # it stands for events, which are noted as they begin
            return
        now = self._clock.now
        self._arrivals[id(item)] = item, now
        row = self.row(ref)
        if row is not None:
            row.queue.set(now, row.queue.value + 1)

    def handle(self, ref: ActorRef[Any], item: Item, name: str, cause: int | None) -> None:
        """Note that a message is handled from now on."""
        if self.is_own(ref):
            return
        now = self._clock.now
        self.close(ref, now)
        entry = self._arrivals.pop(id(item), None)
        arrival = None if entry is None else entry[1]
        row = self.row(ref)
        if row is not None and row.queue.value:
            waiting = row.queue.value - (entry is not None)
            if waiting and not ref._queue:  # some wait no more: their host has died, or a bound has dropped them
                waiting = 0
            row.queue.set(now, waiting)
        self._open[ref] = span = OpenSpan(name, now, arrival)
        span.cause = cause

    def name(self, ref: ActorRef[Any], name: str, job: JobRow | None = None) -> None:
        """Note the handler of the message at hand, which begins now; if that has one already, the next one begins."""
        span, now = self._open.get(ref), self._clock.now
        if span is None or span.name:
            self.close(ref, now)
            span = self._open[ref] = OpenSpan(name, now, None)
        span.name, span.begin = name, now
        if job is not None:
            span.job, span.arrival = job, job.arrival
            row = self._queues.get(job.path)
            if row is None:
                row = self._queues[job.path] = QueueRow(self._clock)
            row.begin(job, node_of(ref))

    def begin_event(self, ref: ActorRef[Any], name: str, event_id: str, arrival: float) -> None:
        """Note that an event of the log is handled from now on. One that is tried again has not waited since it came.

        Args:
            ref: the durable service.
            name: of the handler.
            event_id: of the event.
            arrival: virtual seconds at which it came into the log.
        """
        self.name(ref, name)
        begun = self.begun.setdefault(ref.path, set())
        if event_id in begun:
            return
        begun.add(event_id)
        self._open[ref].arrival = arrival
        row = self.row(ref)
        if row is not None:
            row.waits.append((arrival, self._clock.now))

    def look(self) -> None:
        """Note the ends of handlers, before time passes."""
        now = self._clock.now
        for ref in [ref for ref in self._open if ref._state != BUSY]:
            self.close(ref, now)

    def close(self, ref: ActorRef[Any], now: float) -> None:
        """Note the end of a handler, if the actor has one."""
        span = self._open.pop(ref, None)
        if span is None or not span.name:
            return
        if span.job is not None:
            queue = self._queues[span.job.path]
            queue.busy += now - span.begin
            queue.ends.append(now)
        row = None if self.is_own(ref) else self.row(ref)
        if row is not None:
            row.busy += now - span.begin
            row.handled += 1
            row.throughput.count(now)
        if now > span.begin:
            if len(self.spans) < MOST_SPANS:
                self.spans.append(BusySpan(ref.path, span.name, span.begin, now))
            else:
                self.left_out += 1
        if span.arrival is None or span.arrival >= self.begin:
            figures = self.figures_of(span.name)
            service = now - span.begin
            figures.service.add(service)
            if span.arrival is not None:
                figures.wait.add(span.begin - span.arrival)
                figures.sojourn.add(now - span.arrival)
                if span.cause is not None:
                    self.handled.setdefault(span.name, []).append(HandledMessage(span.arrival, now, span.cause))

    def figures_of(self, name: str) -> HandlerFigures:
        """Return the figures of a handler."""
        figures = self._handlers.get(name)
        if figures is None:
            figures = self._handlers[name] = HandlerFigures(name, Histogram(), Histogram(), Histogram())
        return figures

    def row(self, ref: ActorRef[Any]) -> ActorRow | None:
        """Return the row of an actor; None: there are too many, or it is one of the runtime's own."""
        row = self.rows.get(ref)
        if row is not None:
            return row
        if len(self.rows) >= MOST_ACTORS:
            self.others[ref.uid] = None
            return None
        row = self.rows[ref] = ActorRow(ref.path, self._clock.now)
        return row

    def is_own(self, ref: ActorRef[Any]) -> bool:
        """Say whether an actor is one of the runtime's own, whose messages nobody asks for."""
        cls = ref.actor_class
        own = self._is_own.get(cls)
        if own is None:
            own = self._is_own[cls] = cls.__module__.startswith(OWN_CODE)
        return own

    # --- at the end --------------------------------------------------------------------------------------------------

    def handlers(self) -> dict[str, HandlerFigures]:
        """Return the figures of all handlers."""
        return deepcopy(self._handlers)

    def actors(self, arrivals: Callable[[ActorRef[Any]], list[float]], store: Store | None) -> dict[str, ActorFigures]:
        """Return the figures of all actors; a handler that is not at its end counts as busy until now.

        Args:
            arrivals: returns when the events came that still wait in the log for an actor.
            store: of all nodes, in which jobs wait; None: there is none.
        """
        now = self._clock.now
        seconds = now - self.begin
        figures: dict[str, ActorFigures] = {}
        for ref, row in self.rows.items():
            span = self._open.get(ref)
            busy = row.busy + (now - span.begin if span is not None and ref._state == BUSY else 0.0)
            row.queue.advance(now)
            part = busy / seconds if seconds > 0 else 0.0
            label = f"{row.path} (node {number})" if (number := node_of(ref)) else row.path
            queue, throughput = deepcopy(row.queue), deepcopy(row.throughput)  # the run may go on
            waits = [*row.waits, *((arrival, math.inf) for arrival in arrivals(ref))]
            if waits:
                queue.add(waiting(waits, self.begin, now))
            figures[label] = ActorFigures(label, row.handled, busy, part, queue, throughput)
        jobs = {path: row.figures(path, self.begin, now, store) for path, row in self._queues.items()}
        return figures | jobs


def node_of(ref: ActorRef[Any]) -> int:
    """Return the number of the node that an actor is on."""
    number: int = getattr(ref._scheduler, "number", 0)
    return number
