"""Topology of an app: its services, and the places in its code that publish and subscribe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

from actorflow.core.actors.child import Child
from actorflow.events.topology.call_sites import CallSites, sites_of
from actorflow.events.topology.names import is_service
from actorflow.events.topology.topology import Topology, place_of

if TYPE_CHECKING:
    from actorflow.app.app import App


def topology_of(app: App, module: str = "") -> Topology:
    """Return the topology of an app: of the services among its parts, and of those that its code starts.

    Args:
        app: the app; nothing of it is started.
        module: the name of the module that has it, whose package is read for places that publish and subscribe.

    Raises:
        DefinitionError: an annotation of a handler cannot be read.
    """
    declared = app._declared
    services = [cls for part in declared.parts for cls in classes_in(part) if is_service(cls)]
    names = {module, *(part.actor_class.__module__ for part in declared.parts)}
    names |= {one.function.__module__ for one in declared.tasks.values()}
    names |= {one.function.__module__ for one in declared.workflows.values()}
    read: dict[str, ModuleType] = {}
    sites = CallSites()
    while True:  # a service that the code starts may be of another module, whose code starts others
        names |= {service.__module__ for service in services}
        new = {name: one for name, one in modules_around(names, module) if name not in read}
        if not new:
            return Topology(services, sites)
        read |= new
        sites = sites_of(read.values())
        services += [service for service in sites.started if service not in services]


def service_topology(service: type[Any]) -> Topology:
    """Return the topology of one service alone: its handlers, and what it publishes by calls.

    Raises:
        DefinitionError: an annotation of a handler cannot be read.
    """
    own = {base.__module__ for base in service.__mro__}
    sites = sites_of(module for name, module in [*sys.modules.items()] if name in own)
    methods = {place_of(service, name) for base in service.__mro__ for name in vars(base)}
    published = {cls: [place for place in where if place in methods] for cls, where in sites.published.items()}
    return Topology([service], CallSites({cls: where for cls, where in published.items() if where}, used=sites.used))


def classes_in(part: Child[Any]) -> Iterator[type[Any]]:
    """Yield the class of a recipe, and those of the recipes among its arguments, as a supervisor has them."""
    to_do: list[Any] = [part]
    while to_do:
        given = to_do.pop(0)
        if isinstance(given, Child):
            yield given.actor_class
            to_do += [*given.args, *given.kwargs.values()]


def modules_around(names: Iterable[str], module: str) -> Iterator[tuple[str, ModuleType]]:
    """Yield modules of these names, and all that are loaded of the package of one of them."""
    package = module.rpartition(".")[0] or module
    for name, loaded in [*sys.modules.items()]:
        if isinstance(loaded, ModuleType) and (name in names or (package and name.startswith(f"{package}."))):
            yield name, loaded
