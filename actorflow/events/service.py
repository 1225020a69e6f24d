"""Service: an actor that handles events, and whose results are published."""

from __future__ import annotations

import inspect
import sys
from types import FrameType
from typing import Any, ClassVar, Unpack

from actorflow.core.actors.actor import Actor
from actorflow.core.actors.traits import ClassKeywords
from actorflow.core.actors.transitions import root_of
from actorflow.core.refs.ref import ActorRef
from actorflow.core.running.extensions import EventsExtension
from actorflow.events.bus import bus_of
from actorflow.events.envelope import Envelope, handled_envelope
from actorflow.events.handlers import NO_NAMES, HandlerTable, handlers_of, try_handlers
from actorflow.events.hosted import HostedBus, hosted_bus

DEFINERS = ("__init_subclass__", "__new__")


def join(ref: ActorRef[Any]) -> None:
    """Have a service that has started get the events of its system; a durable one has them from the log."""
    if not ref._traits.options.durable:
        bus_for(ref).add(ref)


def bus_for(ref: ActorRef[Any]) -> EventsExtension:
    """Return the bus of an actor's system; in a child process, the way to it."""
    scheduler = ref._scheduler
    if scheduler.bus is not None:
        return scheduler.bus
    return hosted_bus(scheduler) if scheduler.node else bus_of(root_of(ref))


class Service(Actor):
    """An actor that handles events: its methods under `@af.on`. The events that they return or yield are published.

    Events come as messages, one at a time, beside all others: `call`, `tell` and timers work as in any actor. A handler
    that raises is a crash: the event is a dead letter, and the supervisor restarts the service. The annotations of a
    handler say what it takes and publishes; they are checked when the class is defined.

    >>> import actorflow as af
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Placed:
    ...     order: str
    ...     total: int
    >>> @dataclass(frozen=True)
    ... class Paid:
    ...     order: str
    >>> @dataclass(frozen=True)
    ... class Refused:
    ...     order: str
    >>> class Payments(af.Service):
    ...     @af.on(Placed)
    ...     def charge(self, event: Placed) -> Paid | Refused:
    ...         return Paid(event.order) if event.total < 100 else Refused(event.order)
    >>> with af.ActorSystem("shop") as system:
    ...     payments = system.spawn(Payments)
    ...     subscription = system.subscribe(Paid, print)
    ...     system.publish(Placed("o1", 90))
    Paid(order='o1')
    """

    _is_service: ClassVar[bool] = True
    _handler_table: ClassVar[HandlerTable]
    _joins: ClassVar[staticmethod[[Any], object] | None] = staticmethod(join)

    def __init_subclass__(cls, **options: Unpack[ClassKeywords]) -> None:
        super().__init_subclass__(**options)
        try_handlers(cls, NO_NAMES)
        if "_handler_table" not in cls.__dict__:  # an annotation names a class in the function that defines this one
            try_handlers(cls, names_around(sys._getframe(1)))

    @classmethod
    def _has_on_start(cls) -> bool:
        return True

    def _run_on_start(self) -> Any:
        handlers_of(type(self)).plain.clear()  # here: a service that a parent has in a child process does not join
        bus = bus_for(self._actor_ref)
        if isinstance(bus, HostedBus) and not bus.gateway._done:
            return self._start_with(bus)
        return super()._run_on_start()

    async def _start_with(self, bus: HostedBus) -> None:
        """Run `on_start` once the way to the bus is there."""
        await bus.gateway
        started = super()._run_on_start()
        if inspect.iscoroutine(started):
            await started

    @property
    def envelope(self) -> Envelope | None:
        """The envelope of the event that is being handled, with its id, source and causes; None: there is none."""
        return handled_envelope()

    def publish(self, event: object, /, *, key: str | None = None, delay: float = 0.0) -> None:
        """Publish an event, as `system.publish` does; for timers, and for handlers of other messages."""
        bus_for(self._actor_ref).publish(event, key=key, delay=delay)


def names_around(frame: FrameType | None) -> dict[str, Any]:
    """Return the local names of the function that defines a class."""
    while frame is not None and frame.f_code.co_name in DEFINERS:
        frame = frame.f_back
    return dict(frame.f_locals) if frame is not None else {}
