"""Hosted: services in child processes. Their events go to the system's own process, whose bus delivers them to all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, cast

from actorflow.core.actors.actor import Actor
from actorflow.core.atomic import exclusively, forkable_lock
from actorflow.core.messages.execution import CURRENT
from actorflow.core.messages.messages import Terminated
from actorflow.errors import ActorflowError, DefinitionError
from actorflow.events.bus import EventBus, bus_of, check_delay
from actorflow.events.event import EventType, text_key
from actorflow.process.hosts.link.node import ProcessNode
from actorflow.process.hosts.link.requests import REQUESTS, Request
from actorflow.tasks.cause import Cause, cause_here

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future
    from actorflow.core.refs.ref import ActorRef
    from actorflow.core.running.scheduler import Scheduler

VERB: Final = "event gateway"
ROOT: Final = ""  # the name of the system's own process
MAKING: Final = forkable_lock()


class Publication(NamedTuple):
    """An event that a service in a child process publishes.

    Attributes:
        event: the event.
        key: its key.
        delay: seconds until it is delivered.
        source: path of the service.
        cause: the event that it was handling, or that the message came of.
    """

    event: Any
    key: str | None
    delay: float
    source: str
    cause: Cause | None


class ServiceUp(NamedTuple):
    """The news that an actor in a child process has spawned a service there."""

    ref: ActorRef[Any]


class EventGateway(Actor):
    """Takes the events of services in child processes, and the services that are spawned there."""

    _ends_last: ClassVar[bool] = True  # the services publish until their end

    def __init__(self, bus: EventBus) -> None:
        super().__init__()
        self.bus = bus

    def on_receive(self, message: Any) -> None:
        """Publish an event, or have a service get events until it ends."""
        if isinstance(message, Publication):
            self._publish(message)
        elif isinstance(message, ServiceUp):
            self.ctx.watch(message.ref)
            self.bus.add(message.ref)
        elif isinstance(message, Terminated):
            self.bus.drop(message.ref)

    def _publish(self, publication: Publication) -> None:
        """Publish an event; if the store does not take it, it is a dead letter, and the next one is published."""
        event = publication.event
        try:
            self.bus.publish_for(publication.source, publication.cause, event, publication.key, publication.delay)
        except ActorflowError as error:
            reason, ref = error, self._actor_ref
            ref._scheduler.post_work(lambda: ref._scheduler.events.dead_letter(ref, event, None, reason))


class HostedBus:
    """The bus as a child process has it: each event goes to the gateway. Every process below the root makes one."""

    def __init__(self, scheduler: Scheduler) -> None:
        up = ProcessNode.of(scheduler).up
        assert up is not None  # this is a child process
        self.gateway: Future[ActorRef[Any]] = up.request(ROOT, VERB)

    def add(self, ref: ActorRef[Any]) -> None:
        """Have a service that was spawned here get events."""
        self.gateway.get(timeout=0).tell(ServiceUp(ref))

    def publish(self, event: object, /, *, key: str | None = None, delay: float = 0.0) -> None:
        """Send an event to the gateway, behind the earlier ones.

        Raises:
            DefinitionError: it is no event, or an argument makes no sense.
            PayloadError: it does not pickle.
        """
        type_ = EventType.of(type(event))
        key = type_.key_of(event) if key is None else text_key(key, "key")
        check_delay(delay)
        execution = CURRENT.get()
        receiver = None if execution is None else execution.receiver
        source = "" if receiver is None else receiver.path
        self.gateway.get(timeout=0).tell(Publication(event, key, delay, source, cause_here()))


def hosted_bus(scheduler: Scheduler) -> HostedBus:
    """Return the bus of a child process, made at first use."""
    return exclusively(MAKING, lambda: _made(scheduler))


def _made(scheduler: Scheduler) -> HostedBus:
    if scheduler.bus is None:
        scheduler.bus = HostedBus(scheduler)
    return cast("HostedBus", scheduler.bus)


def gateway(request: Request) -> None:
    """Answer with the gateway of the system; made at the first request."""
    root = request.node.scheduler.root
    if root is None:
        request.fail(DefinitionError("a process without a system publishes no events"))
        return
    bus = bus_of(root)
    request.answer(exclusively(MAKING, lambda: _gateway_of(bus)))


def _gateway_of(bus: EventBus) -> ActorRef[Any]:
    if bus.gateway is None or not bus.gateway.is_alive():
        bus.gateway = bus._root.begin(EventGateway._traits, (bus,), {})[0]
    return bus.gateway


REQUESTS[VERB] = gateway
