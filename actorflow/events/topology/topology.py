"""Topology: services with their handlers, and the events between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from actorflow.core.importable import module_of
from actorflow.events.event import EventType
from actorflow.events.handlers import HandlerRule, handlers_of
from actorflow.events.topics import matches
from actorflow.events.topology.call_sites import CallSites, CodePlace


@dataclass(frozen=True, slots=True, eq=False)
class ServiceHandler:
    """A method of a service that handles events.

    Attributes:
        service: the class of the service.
        rule: the way into the method.
    """

    service: type[Any]
    rule: HandlerRule

    def __str__(self) -> str:
        """Return the names of its service and method, with a dot between them."""
        return f"{self.service.__name__}.{self.rule.name}"


class Topology:
    """Services, the events that go from one to the other, and those that come from outside.

    Attributes:
        services: their classes.
        handlers: all handlers of theirs.
        sites: the places outside of annotations that publish and hear.
        published: the classes of events that anything publishes, by an annotation or a call.
        events: the types of all events: those that are published, and those that are handled or heard.
        results: of each handler the classes of events that it publishes: by its annotation, and by calls in it or in
            methods that it uses.
    """

    def __init__(self, services: Iterable[type[Any]], sites: CallSites | None = None) -> None:
        """Read the annotations of services.

        Args:
            services: their classes.
            sites: the places outside of annotations that publish and hear.

        Raises:
            DefinitionError: an annotation of a handler cannot be read.
        """
        self.services = tuple(dict.fromkeys(services))
        self.sites = sites or CallSites()
        self.handlers = tuple(ServiceHandler(one, rule) for one in self.services for rule in handlers_of(one).rules)
        self._by_rule = {id(handler.rule): handler for handler in self.handlers}  # a guard may have no hash
        self._handlers_for: dict[type[Any], tuple[ServiceHandler, ...]] = {}
        by_rules = (cls for handler in self.handlers for cls in handler.rule.published)
        self.published = tuple(dict.fromkeys([*self.sites.published, *by_rules]))
        handled = (cls for handler in self.handlers for cls in handler.rule.events)
        heard = (cls for cls in self.sites.heard if isinstance(cls, type))
        self.events = tuple(EventType.of(cls) for cls in dict.fromkeys([*self.published, *handled, *heard]))
        self._labels = Counter(label_of(event) for event in self.events)
        self._titles = Counter(service.__name__ for service in self.services)
        self._places = {handler: self._places_of(handler) for handler in self.handlers}
        self.results = {handler: self._results_of(handler) for handler in self.handlers}

    # --- publishers --------------------------------------------------------------------------------------------------

    def _places_of(self, handler: ServiceHandler) -> dict[CodePlace, None]:
        """Return the places of a handler and of the methods of its service that it uses, directly or not."""
        found: dict[CodePlace, None] = {}
        to_do = [handler.rule.name]
        while to_do:
            place = place_of(handler.service, to_do.pop())
            if place is not None and place not in found:
                found[place] = None
                to_do += sorted(self.sites.used.get(place, ()), reverse=True)
        return found

    def _results_of(self, handler: ServiceHandler) -> tuple[type[Any], ...]:
        places = self._places[handler]
        by_calls = (cls for cls, where in self.sites.published.items() if not places.keys().isdisjoint(where))
        return tuple(dict.fromkeys([*handler.rule.published, *by_calls]))

    def other_publishers_of(self, cls: type[Any]) -> list[CodePlace]:
        """Return the places that publish events of a class, and that no handler comes to."""
        behind = {place for places in self._places.values() for place in places}
        return [place for place in self.sites.published.get(cls, ()) if place not in behind]

    def publishers_of(self, cls: type[Any]) -> list[str]:
        """Return the names of the handlers and functions that publish events of a class."""
        by_handlers = [str(handler) for handler in self.handlers if cls in self.results[handler]]
        return [*dict.fromkeys([*by_handlers, *map(str, self.other_publishers_of(cls))])]

    def below(self, cls: type[Any]) -> list[type[Any]]:
        """Return the classes of events below a class: one that a handler publishes may be of these, too."""
        return [event.cls for event in self.events if event.cls is not cls and issubclass(event.cls, cls)]

    # --- receivers ---------------------------------------------------------------------------------------------------

    def ways(self, service: type[Any], cls: type[Any]) -> Iterator[ServiceHandler]:
        """Yield the handlers of a service that an event of a class may run; the last one without a guard ends them."""
        for rule in handlers_of(service).rules_for(cls):
            yield self._by_rule[id(rule)]
            if rule.when is None:
                return

    def handlers_for(self, cls: type[Any]) -> tuple[ServiceHandler, ...]:
        """Return the handlers of all services that an event of a class may run; those of a service in their order."""
        found = self._handlers_for.get(cls)
        if found is None:
            found = tuple(way for service in self.services for way in self.ways(service, cls))
            self._handlers_for[cls] = found
        return found

    def is_handled(self, cls: type[Any]) -> bool:
        """Say whether a handler runs, or a subscriber hears, events of a class or of a class below it."""
        rules = any(issubclass(one, cls) for handler in self.handlers for one in handler.rule.events)
        return rules or bool(self.handlers_for(cls)) or bool(self.hearers_of(cls))

    def hearers_of(self, cls: type[Any]) -> list[CodePlace]:
        """Return the functions that subscribe to events of a class."""
        name = EventType.of(cls).name
        found: dict[CodePlace, None] = {}
        for choice, places in self.sites.heard.items():
            if matches(choice, name) if isinstance(choice, str) else issubclass(cls, choice):
                found |= dict.fromkeys(places)
        return [*found]

    # --- names -------------------------------------------------------------------------------------------------------

    def label(self, event: EventType) -> str:
        """Return the name of an event for people, with its module if another one has the same without."""
        label = label_of(event)
        return label if self._labels[label] < 2 else event.name

    def title(self, service: type[Any]) -> str:
        """Return the name of a service for people, with its module if another one has the same without."""
        name = service.__name__
        return name if self._titles[name] < 2 else f"{module_of(service)}.{name}"


def place_of(service: type[Any], method: str) -> CodePlace | None:
    """Return where a method of a service is defined: in its class, or in one above; None: it has none of that name."""
    for base in service.__mro__:
        if method in vars(base):
            return CodePlace(base.__module__, f"{base.__qualname__}.{method}")
    return None


def label_of(event: EventType) -> str:
    """Return the name of an event for people: without its module, unless it was given one."""
    qualname = event.cls.__qualname__
    return qualname.rpartition("<locals>.")[2] if event.name == f"{module_of(event.cls)}.{qualname}" else event.name
