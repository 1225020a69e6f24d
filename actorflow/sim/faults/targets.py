"""Targets: the host that a fault names by a class, a path, a ref or a node."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, TypeAlias

from actorflow.core.refs.ref import ActorRef
from actorflow.durable.handling.mailbox import Mailbox
from actorflow.errors import DefinitionError
from actorflow.sim.world.crash import refs_below
from actorflow.sim.world.node import SimNode
from actorflow.text import stable_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from actorflow.sim.world.host import SimHost

Target: TypeAlias = "type[Any] | str | ActorRef[Any] | SimNode"


def name_of(target: Target) -> str:
    """Return the name of a target in a text."""
    if isinstance(target, type):
        return target.__name__
    if isinstance(target, SimNode):
        return f"node {target.number}"
    return target.path if isinstance(target, ActorRef) else target


def found(nodes: Sequence[SimNode], target: Target) -> tuple[SimNode, SimHost]:
    """Return the host of a target, and its node; that of a node is its main process.

    Raises:
        DefinitionError: there is none, or there are several.
    """
    if isinstance(target, SimNode):
        return target, target.hosts.main
    if not isinstance(target, type | str | ActorRef):
        raise DefinitionError(f"{stable_text(target)} is no target: give an actor class, a path, a ref or a node")
    if isinstance(target, ActorRef):
        target = present_ref(nodes, target) or target
    places = everywhere(nodes)
    fits = on_duty([(node, ref) for node, ref in places if is_meant(target, ref) or node.hosts.of(ref).name == target])
    hosts = {id(node.hosts.of(ref)): (node, node.hosts.of(ref)) for node, ref in fits}
    if len(hosts) > 1:
        among = ", ".join(sorted({host.name for _, host in hosts.values()}))
        raise DefinitionError(f"{name_of(target)} is on several hosts: name one of them by its path: {among}")
    if not hosts:
        raise absent(target, [ref for _, ref in places])
    return next(iter(hosts.values()))


def two_hosts(nodes: Sequence[SimNode], ends: tuple[Target, Target], text: str) -> tuple[SimHost, SimHost]:
    """Return the hosts of two targets, between which messages pass.

    Raises:
        DefinitionError: they are no two, there is no such target, or both are one host, which sends itself nothing.
    """
    given: object = ends
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise DefinitionError(f"{text}: give two hosts")
    one, other = (found(nodes, end)[1] for end in ends)
    if one is other and not any(isinstance(end, SimNode) for end in ends):
        raise DefinitionError(f"{text}: both are on {one.name}, and no message leaves it")
    return one, other


def everywhere(nodes: Sequence[SimNode]) -> list[tuple[SimNode, ActorRef[Any]]]:
    """Return all living actors, each with its node."""
    return [(node, ref) for node in nodes if node.system is not None for ref in refs_below(node.system.root)]


def on_duty(fits: list[tuple[SimNode, ActorRef[Any]]]) -> list[tuple[SimNode, ActorRef[Any]]]:
    """Return those of several actors that do not stand by: a durable one is on one node at a time."""
    if len(fits) < 2:
        return fits
    return [(node, ref) for node, ref in fits if not stands_by(ref)] or fits[:1]


def absent(target: Target, refs: Sequence[ActorRef[Any]]) -> DefinitionError:
    """Return the error of a target that there is not; it names the nearest one."""
    known = sorted({name for ref in refs for name in (ref.path, ref.name, ref.actor_class.__name__)})
    return DefinitionError(f"no actor of the simulation is {name_of(target)}{nearest(name_of(target), known)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of an error's text: the known name that is most like another."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


def actor_of(nodes: Sequence[SimNode], target: type[Any] | str) -> ActorRef[Any]:
    """Return the actor of a class, a name or a path.

    Raises:
        DefinitionError: there is none, or there are several.
    """
    places = everywhere(nodes)
    fits = on_duty([(node, ref) for node, ref in places if is_meant(target, ref)])
    if len(fits) > 1:
        among = ", ".join(f"{ref.path} (node {node.number})" for node, ref in fits)
        raise DefinitionError(f"{name_of(target)} is several actors: name one of them by its path: {among}")
    if not fits:
        raise absent(target, [ref for _, ref in places])
    return fits[0][1]


def present_actor(nodes: Sequence[SimNode], target: type[Any] | str) -> ActorRef[Any] | None:
    """Return the actor of a class, a name or a path; None if there is none now, as its node is down."""
    try:
        return actor_of(nodes, target)
    except DefinitionError:
        return None


def present_ref(nodes: Sequence[SimNode], ref: ActorRef[Any]) -> ActorRef[Any] | None:
    """Return the actor that a ref stands for now: after a crash or a deploy of its node, the one of its path there."""
    scheduler: Any = ref._scheduler
    if not (scheduler.is_killed or scheduler.closed):
        return ref
    system = nodes[scheduler.number].system
    return None if system is None else system.find(ref.path)


def present(nodes: Sequence[SimNode], target: Target) -> tuple[SimNode, SimHost] | None:
    """Return the host of a target that was found before; None if it is gone by now, as its node is down."""
    try:
        return found(nodes, target)
    except DefinitionError:
        return None


def stands_by(ref: ActorRef[Any]) -> bool:
    """Say whether another node has a durable actor, for which this one stands by."""
    box = getattr(ref, "_box", None)
    return isinstance(box, Mailbox) and not box.is_owner


def is_meant(target: type[Any] | str | ActorRef[Any], ref: ActorRef[Any]) -> bool:
    """Say whether a target names an actor."""
    if isinstance(target, type):
        return issubclass(ref.actor_class, target)
    if isinstance(target, str):
        return target in (ref.path, ref.name)
    return target is ref
