"""EventBus: delivers events to services, refs and functions of one process, as messages of actors."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, overload

from actorflow.core.actors.function_actor import FunctionActor, calling
from actorflow.core.actors.traits import check_type
from actorflow.core.atomic import exclusively, forkable_lock
from actorflow.core.messages.events import Subscription
from actorflow.core.messages.execution import CURRENT, check_effect
from actorflow.core.refs.cell import ENDING
from actorflow.core.running.children import system_actor
from actorflow.core.system import default_system
from actorflow.errors import ActorDeadError, AskTimeout, DefinitionError, Stopping
from actorflow.events import delivery  # noqa: F401 - it has how an actor gets an event
from actorflow.events.envelope import Envelope, cause_of_publication
from actorflow.events.event import text_key
from actorflow.events.filters import EventFilter
from actorflow.events.receivers import CAPACITY, SECONDS, Receiver, receiver_of
from actorflow.events.routes import Route, Routes
from actorflow.events.subscriber import SlowWatch, Subscriber
from actorflow.tasks.cause import cause_of_task
from actorflow.tasks.current import CURRENT_TASK
from actorflow.text import plural, text_of

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future
    from actorflow.core.refs.ref import ActorRef
    from actorflow.core.running.children import Children
    from actorflow.core.system import System
    from actorflow.tasks.cause import Cause

E = TypeVar("E")

GRACE: Final = 30.0  # seconds for functions to handle the last events of a bus: as many as one event may take
MAKING: Final = forkable_lock()
NUMBERS: Final = itertools.count(1)  # of buses that are no system's
CURRENT_GET: Final = CURRENT.get


class EventBus:
    """Delivers events to subscribers: by their class, by a pattern of their names, or by a predicate.

    Each subscriber is an actor, or gets one: it has the events one after the other, in the order in which each
    publisher published them, and none waits for another. One that fails is logged, with its event as a dead letter, and
    gets the next; one that blocks is reported, and at most `capacity` events wait for it.

    A system has a bus, which `system.publish` and `system.subscribe` use. One that is made alone runs its subscribers
    in the default system, as `Actor.start()` does, which ends with the program.

    >>> import actorflow as af
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Paid:
    ...     order: str
    >>> with af.EventBus() as bus:
    ...     subscription = bus.subscribe(Paid, lambda event: print(event.order))
    ...     bus.publish(Paid("o1"))
    ...     bus.join()
    o1
    """

    def __init__(
        self, name: str = "bus", *, system: System | None = None, capacity: int = CAPACITY, timeout: float = SECONDS
    ) -> None:
        """Make a bus.

        Args:
            name: the source of events that no actor publishes.
            system: the system whose threads run the subscribers; None: the default one.
            capacity: events that may wait for one function; more are dead letters.
            timeout: seconds that a function may take for one event. Then an async one is cancelled; one that is not
                cannot be, and is reported.

        Raises:
            DefinitionError: an argument makes no sense.
        """
        check_type("capacity", capacity, int)
        check_type("timeout", timeout, int | float)
        if capacity < 1 or not timeout > 0:
            msg = f"capacity={capacity}, timeout={timeout}: give a number of events from 1, and seconds above 0"
            raise DefinitionError(msg)
        root = (default_system() if system is None else system).root
        self._open(root, name, f"{root.scheduler.key}.{next(NUMBERS)}", capacity, timeout)

    def _open(self, root: Children, name: str, key: str, capacity: int, seconds: float) -> None:
        self.name = name
        self.scheduler = scheduler = root.scheduler
        self._root = root
        self._ids: Iterator[str] = map(f"{key}-%d".__mod__, itertools.count(1))  # in C, as each event takes one
        self._routes = Routes()
        self._capacity = capacity
        self._watch = SlowWatch(scheduler, seconds)
        self._publisher: ActorRef[Any] = system_actor(scheduler, FunctionActor._traits, "publisher")
        self.gateway: ActorRef[Any] | None = None  # of child processes, once one asks for it
        self._delayed: dict[str, Envelope] = {}
        self._last: tuple[ActorRef[Any] | None, str] = (None, "")
        self._time = scheduler.clock.time
        self._closed = False
        self.keep: Callable[[Envelope, float], bool] | None = None  # puts events into the log of the system's store
        self.note: Callable[[Envelope, float], object] | None = None  # is told of each event: of a simulation

    @classmethod
    def within(cls, root: Children) -> Self:
        """Return the bus of a system; `root` are the actors directly under it."""
        bus = cls.__new__(cls)
        bus._open(root, root.scheduler.name, root.scheduler.key, CAPACITY, SECONDS)
        bus.keep = root.scheduler.keep_event
        bus.note = root.scheduler.note_event
        return bus

    # --- receivers ---------------------------------------------------------------------------------------------------

    def add(self, ref: ActorRef[Any]) -> None:
        """Have a service get the events that its class handles."""
        self._routes.add_service(ref)

    def drop(self, ref: ActorRef[Any]) -> None:
        """Have a service that has ended in another process get no more events."""
        self._routes.drop_service(ref)

    @overload
    def subscribe(self, wanted: type[E], to: ActorRef[Any] | Callable[[E], Any], /) -> Subscription: ...
    @overload
    def subscribe(
        self, wanted: str | Callable[[Any], bool], to: ActorRef[Any] | Callable[[Any], Any], /
    ) -> Subscription: ...
    def subscribe(self, wanted: Any, to: Any, /) -> Subscription:
        """Get events from now on: a ref by `tell`, a function is called with each, in an actor of its own.

        Args:
            wanted: the class, whose subclasses count, too; a pattern, "orders.*" or "orders.**"; or a predicate, a
                function that says whether an event is wanted. af.Envelope: all events, each in its envelope.
            to: a ref, or a function of one argument. An async one runs on the system's asyncio loop.

        Raises:
            DefinitionError: `wanted` is none of these, or `to` is no ref and no function.
        """
        check_effect("subscribe()")
        if self._closed or self.scheduler.closed:
            raise self._over()
        receiver = receiver_of(self._root, EventFilter.of(wanted), to, self._watch, self._capacity)
        self._routes.add(receiver)
        return Subscription(partial(self._unsubscribe, receiver))

    def _unsubscribe(self, receiver: Receiver) -> None:
        self._routes.remove(receiver)
        receiver.end()

    # --- events ------------------------------------------------------------------------------------------------------

    def publish(self, event: object, /, *, key: str | None = None, delay: float = 0.0) -> None:
        """Deliver an event to all services that handle it, and to all subscribers that want it.

        Each of them gets it as a message, at most once; who gets it is decided now, or when the delay is over. In a
        handler of a durable actor it is delivered once the handler's effects are committed. In a system whose store has
        durable services it is put into the event log first, for them.

        Args:
            event: a dataclass or a msgspec Struct.
            key: the key, in place of that of the event's class.
            delay: seconds until it is delivered.

        Raises:
            DefinitionError: it is no event, or an argument makes no sense.
            ActorDeadError: the bus is closed, or its system has ended.
        """
        scheduler = self.scheduler
        if self._closed or scheduler.closed:
            raise self._over()
        route = self._routes.known.get(type(event)) or self._routes.of(type(event))
        if key is not None:
            key = text_key(key, "key")
        elif route.key is not None:
            key = route.type.key_of(event)
        sender = cause = None
        source = self.name
        execution = CURRENT_GET()
        if execution is not None:
            if execution.replays:
                execution.refuse("publish()")
            sender = execution.item[0]
            source = self._path_of(execution.receiver if sender is None else sender)
            cause = cause_of_publication(execution)
        elif CURRENT_TASK.get() is not None:  # a job that runs where it is enqueued
            cause = cause_of_task()
        number = next(self._ids)
        if cause is None:
            envelope = Envelope(number, source, self._time(), key, number, None, event)
        else:
            envelope = Envelope(number, source, self._time(), key, cause.correlation, cause.id, event)
        if delay != 0.0:
            check_delay(delay)
        if self.note is not None:
            self.note(envelope, delay)
        keep = self.keep
        if keep is not None and keep(envelope, delay):
            return
        if execution is not None and sender is None:  # of a durable actor: after its commit
            execution.hold(self._publisher, calling(self._send, envelope, delay), None)
        elif delay:
            self._send_later(envelope, delay)
        else:
            self._deliver(route, envelope, sender)

    def publish_for(self, source: str, cause: Cause | None, event: object, key: str | None, delay: float) -> None:
        """Deliver an event that a service in a child process has published."""
        number = next(self._ids)
        correlation, causation = (number, None) if cause is None else (cause.correlation, cause.id)
        envelope = Envelope(number, source or self.name, self._time(), key, correlation, causation, event)
        if self.note is not None:
            self.note(envelope, delay)
        if self.keep is None or not self.keep(envelope, delay):
            self._send(envelope, delay)

    def _path_of(self, ref: ActorRef[Any] | None) -> str:
        """Return the source of an event; the path of the last publisher is kept, as it takes a while to make."""
        if ref is None:
            return self.name
        last, path = self._last
        if last is not ref:
            path = ref.path
            self._last = (ref, path)
        return path

    def _over(self) -> Exception:
        self.scheduler.check_usable()
        what = f"bus {self.name!r} is closed" if self._closed else f"system {self.scheduler.name!r} has ended"
        return ActorDeadError(f"{what}: nobody gets what is published now")

    def deliver(self, envelope: Envelope) -> None:
        """Put an event into the mailboxes of those that want it now."""
        self._deliver(self._routes.of(type(envelope.event)), envelope, None)

    def _deliver(self, route: Route, envelope: Envelope, sender: ActorRef[Any] | None) -> None:
        scheduler = self.scheduler
        for refs in route.plain:  # as `ref.tell` does, without its calls
            scheduler.inbox.extend([(ref, envelope, None, sender) for ref in refs if ref._state < ENDING])
        if scheduler.idle:
            scheduler.wake()
        for refs in route.others:
            for ref in refs:
                self._hand(ref.tell, envelope, ref)
        for receiver in route.receivers:
            self._hand(receiver.take, envelope, receiver.ref)

    def _hand(self, take: Callable[[Envelope], object], envelope: Envelope, ref: ActorRef[Any]) -> None:
        """Give an event to one receiver; its error is a dead letter, and the others get theirs."""
        try:
            take(envelope)
        except ActorDeadError:
            return
        except Stopping:  # the publisher is to end, and waits for room in a mailbox
            raise
        except Exception as error:  # noqa: BLE001 - a full mailbox, or an event that does not pickle
            self._miss(envelope, ref, error)

    def _miss(self, envelope: Envelope, ref: ActorRef[Any], error: BaseException | None) -> None:
        """Make an event a dead letter."""
        events = self.scheduler.events
        self.scheduler.post_work(lambda: events.dead_letter(ref, envelope.event, None, error))

    # --- delays ------------------------------------------------------------------------------------------------------

    def deliver_soon(self, envelope: Envelope) -> None:
        """Deliver an event in an actor of its own: in a handler of a durable actor, after its commit."""
        execution = CURRENT_GET()
        if not self._routes.of(type(envelope.event)).is_empty:
            if execution is not None and execution.item[0] is None:
                execution.hold(self._publisher, calling(self.deliver, envelope), None)
            else:
                self.scheduler.post(self._publisher, calling(self.deliver, envelope), None)

    def deliver_later(self, envelope: Envelope) -> None:
        """Deliver an event in an actor of its own: after a commit, whoever has made that."""
        if not self._routes.of(type(envelope.event)).is_empty:
            self.scheduler.post(self._publisher, calling(self.deliver, envelope), None)

    def _send(self, envelope: Envelope, delay: float) -> None:
        if delay:
            self._send_later(envelope, delay)
        else:
            self.deliver(envelope)

    def _send_later(self, envelope: Envelope, delay: float) -> None:
        self._delayed[envelope.id] = envelope
        self.scheduler.call_later(delay, partial(self._due, envelope))

    def _due(self, envelope: Envelope) -> None:
        """Deliver in an actor: a full mailbox may make its sender wait, which the holder of the baton must not."""
        if self._delayed.pop(envelope.id, None) is not None:
            self.scheduler.post(self._publisher, calling(self.deliver, envelope), None)

    # --- end ---------------------------------------------------------------------------------------------------------

    def lose_delayed(self) -> None:
        """Make the events that wait for their time dead letters: there is no time left."""
        delayed, self._delayed = self._delayed, {}
        for envelope in delayed.values():
            self._miss(envelope, self._publisher, ActorDeadError("it was to be delivered after the end"))

    def join(self, timeout: float | None = None) -> None:
        """Wait until all functions have handled the events published so far; refs and services are not waited for.

        Raises:
            AskTimeout: one of them takes longer than `timeout` seconds.
        """
        own = [receiver.ref for receiver in self._routes.receivers if receiver.is_own]
        self._wait([ref.call(Subscriber.mark) for ref in own], timeout)

    def close(self, timeout: float | None = GRACE) -> None:
        """Publish no more, and end the subscribers behind their events; delayed events become dead letters.

        Raises:
            AskTimeout: a function takes longer than `timeout` seconds for the events that it has.
        """
        self._closed = True
        self.lose_delayed()
        self._wait([end for receiver in self._routes.receivers if (end := receiver.end()) is not None], timeout)

    def _wait(self, futures: list[Future[Any]], timeout: float | None) -> None:
        clock = self.scheduler.clock
        end = None if timeout is None else clock.monotonic() + timeout
        for future in futures:
            try:
                future.get(timeout=None if end is None else max(0.0, end - clock.monotonic()))
            except AskTimeout as error:
                function = getattr(getattr(future._target, "_actor", None), "function", None)
                msg = f"{text_of(function)} has not handled its events within {plural(timeout or 0, 'second')}"
                raise AskTimeout(msg) from error
            except ActorDeadError:  # its system has ended
                continue

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        with contextlib.suppress(AskTimeout):  # the error is more to the point
            self.close(timeout=0)


def check_delay(delay: object) -> None:
    """Refuse a delay that is no number of seconds.

    Raises:
        DefinitionError: it is negative, infinite, or no number.
    """
    check_type("delay", delay, int | float)
    if not 0 <= delay < math.inf:  # type: ignore[operator]
        msg = f"delay={text_of(delay)}: give seconds, not negative"
        raise DefinitionError(msg)


def bus_of(root: Children) -> EventBus:
    """Return the bus of a system, made at first use; `root` are the actors directly under it."""
    return exclusively(MAKING, lambda: _made_bus(root))


def _made_bus(root: Children) -> EventBus:
    bus = root.scheduler.bus
    if bus is None:
        bus = root.scheduler.bus = EventBus.within(root)
    assert isinstance(bus, EventBus)
    return bus
