"""Routes: the services and subscribers that get the events of a class; worked out once for each class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actorflow.core.atomic import exclusively, forkable_lock
from actorflow.core.refs.cell import ENDING
from actorflow.events.event import EventType
from actorflow.events.handlers import handlers_of

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.events.receivers import Receiver

LEAST: Final = 64  # services of one class, before dead ones among them are looked for


class Route:
    """The receivers of one class of events.

    Attributes:
        type: the class, with its name and key.
        key: the name of the field with the key; None: there is none.
        plain: lists of services whose mailbox is the run queue; a list grows by services of its class.
        others: lists of services with another mailbox: a bounded one, or one of another process.
        receivers: the subscribers.
    """

    __slots__ = ("key", "others", "plain", "receivers", "type")

    def __init__(
        self,
        type_: EventType,
        plain: tuple[list[ActorRef[Any]], ...],
        others: tuple[list[ActorRef[Any]], ...],
        receivers: tuple[Receiver, ...],
    ) -> None:
        self.type = type_
        self.key = type_.key
        self.plain = plain
        self.others = others
        self.receivers = receivers

    @property
    def is_empty(self) -> bool:
        """Whether nobody gets them."""
        return not (self.plain or self.others or self.receivers)


class ServiceList:
    """The services of one class and one kind of mailbox."""

    __slots__ = ("limit", "refs")

    def __init__(self) -> None:
        self.refs: list[ActorRef[Any]] = []
        self.limit = LEAST


class Routes:
    """The services and subscribers of a bus. Any thread may ask for a route, and add a receiver.

    Attributes:
        known: the routes that were asked for, by class; a new dict after each change.
    """

    def __init__(self) -> None:
        self.known: dict[type[Any], Route] = {}
        self._lock = forkable_lock()
        self._services: dict[tuple[type[Any], bool], ServiceList] = {}
        self._receivers: tuple[Receiver, ...] = ()

    def of(self, cls: type[Any]) -> Route:
        """Return the route of a class of events.

        Raises:
            DefinitionError: it is neither a dataclass nor a Struct.
        """
        routes = self.known
        route = routes.get(cls)
        if route is None:  # put into the dict that was there before: a change meanwhile has replaced that
            route = routes[cls] = self._route(EventType.of(cls))
        return route

    def _route(self, type_: EventType) -> Route:
        plain: list[list[ActorRef[Any]]] = []
        others: list[list[ActorRef[Any]]] = []
        for (service, is_plain), group in list(self._services.items()):
            if handlers_of(service).rules_for(type_.cls):
                (plain if is_plain else others).append(group.refs)
        receivers = tuple(receiver for receiver in self._receivers if receiver.filter.takes(type_))
        return Route(type_, tuple(plain), tuple(others), receivers)

    def add_service(self, ref: ActorRef[Any]) -> None:
        """Have a service get the events that its class handles."""
        exclusively(self._lock, lambda: self._add_service(ref))

    def _add_service(self, ref: ActorRef[Any]) -> None:
        kind = (ref.actor_class, ref._is_plain)
        group = self._services.get(kind)
        if group is None:
            group = self._services[kind] = ServiceList()
            self.known = {}
        elif len(group.refs) >= group.limit:  # a new list: others may walk the old one
            group.refs = [other for other in group.refs if other._state < ENDING]
            group.limit = max(LEAST, 2 * len(group.refs))
            self.known = {}
        group.refs.append(ref)

    def drop_service(self, ref: ActorRef[Any]) -> None:
        """Have a service get no more events; those of this process are left out once they have ended."""

        def drop() -> None:
            group = self._services.get((ref.actor_class, ref._is_plain))
            if group is not None:
                group.refs = [other for other in group.refs if other != ref]
                self.known = {}

        exclusively(self._lock, drop)

    def services(self) -> list[ActorRef[Any]]:
        """Return the living services."""
        groups = list(self._services.values())
        return [ref for group in groups for ref in list(group.refs) if ref._state < ENDING]

    def add(self, receiver: Receiver) -> None:
        """Have a subscriber get events."""

        def add() -> None:
            self._receivers = (*self._receivers, receiver)
            self.known = {}

        exclusively(self._lock, add)

    def remove(self, receiver: Receiver) -> None:
        """Have a subscriber get no more events."""

        def remove() -> None:
            self._receivers = tuple(other for other in self._receivers if other is not receiver)
            self.known = {}

        exclusively(self._lock, remove)

    @property
    def receivers(self) -> tuple[Receiver, ...]:
        """The subscribers."""
        return self._receivers
