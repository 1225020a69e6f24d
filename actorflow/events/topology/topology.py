"""Topology: services with their handlers, and the events between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from actorflow.core.importable import module_of
from actorflow.events.event import EventType
from actorflow.events.handlers import HandlerRule, handlers_of
from actorflow.events.topics import matches
from actorflow.events.topology.call_sites import CallSites


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

    def hearers_of(self, cls: type[Any]) -> list[str]:
        """Return the functions that subscribe to events of a class."""
        name = EventType.of(cls).name
        found: dict[str, None] = {}
        for choice, places in self.sites.heard.items():
            if matches(choice, name) if isinstance(choice, str) else issubclass(cls, choice):
                found |= dict.fromkeys(places)
        return [*found]

    def publishers_of(self, cls: type[Any]) -> list[str]:
        """Return the names of the handlers and functions that publish events of a class."""
        by_rules = [str(handler) for handler in self.handlers if cls in handler.rule.published]
        return [*dict.fromkeys([*by_rules, *self.sites.published.get(cls, ())])]


def label_of(event: EventType) -> str:
    """Return the name of an event for people: without its module, unless it was given one."""
    qualname = event.cls.__qualname__
    return qualname.rpartition("<locals>.")[2] if event.name == f"{module_of(event.cls)}.{qualname}" else event.name
