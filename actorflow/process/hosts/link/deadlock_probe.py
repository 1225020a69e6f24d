"""Deadlock probe: the search for actors that wait for each other over several processes.

When a wait begins whose chain of waits leads out of the process, a probe follows the chain from process to process, one
hop a process (edge chasing: Chandy, Misra and Haas, "Distributed deadlock detection", 1983). If it comes to the actor
that it began at, the wait that sent it off ends with DeadlockError. Each wait sends its own probe, so the last one that
closes a cycle finds it.
"""

from __future__ import annotations

import itertools
import weakref
from typing import TYPE_CHECKING, Any

from actorflow.core.futures.wait_graph import answerer
from actorflow.errors import DeadlockError
from actorflow.process.hosts.link.requests import REQUESTS, Request

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future
    from actorflow.core.refs.ref import ActorRef
    from actorflow.process.hosts.link.node import ProcessNode

# Waits of this process that sent a probe off, by number.
_waits: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
_numbers = itertools.count(1)


class Probed:
    """A wait whose probe is under way: `future` is the one that the actor `ref` waits for."""

    __slots__ = ("__weakref__", "future", "ref")

    def __init__(self, ref: ActorRef[Any], future: Future[Any]) -> None:
        self.ref = ref
        self.future = future


def seek(
    here: ProcessNode, node: str, target: ActorRef[Any], path: list[str], origin: ActorRef[Any], future: Future[Any]
) -> None:
    """Send a probe after a wait of `origin` to where `target`, the end of its chain here, lives."""
    probed = Probed(origin, future)
    number = next(_numbers)
    _waits[number] = probed
    future._when_done(lambda: _waits.pop(number, probed))  # keeps it as long as the wait
    way = here.way_to(node)
    if way is not None and way.closed is None:
        way.note(node, "probe", target.uid, path, origin.uid, here.name, number)


def probe(request: Request, uid: int, path: list[str], origin: int, home: str, number: int) -> None:
    """Follow the chain of waits from an actor of this process."""
    here = request.node
    target = here.find(uid)
    seen: set[int] = set()
    while target is not None and target.uid not in seen:
        seen.add(target.uid)
        away = target._away(here, path, origin, home, number)
        waiting = None if away else target._waiting
        if waiting is None or waiting.future._done:
            return
        target = answerer(waiting.future)
        if target is None:
            return
        if target.uid == origin:
            report(here, home, number, path)
            return
        path = [*path, target.path]


def report(here: ProcessNode, home: str, number: int, path: list[str]) -> None:
    """Tell the process where a probe began that its chain is a cycle."""
    if home == here.name:
        closed(number, path)
        return
    way = here.way_to(home)
    if way is not None and way.closed is None:
        way.note(home, "cycle", number, path)


def closed(number: int, path: list[str]) -> None:
    """End the wait that closed a cycle, if it still goes on."""
    probed = _waits.get(number)
    if probed is not None and not probed.future._done:
        waiting = probed.ref._waiting
        if waiting is not None and waiting.future is probed.future:
            probed.future._settle(None, DeadlockError(" -> ".join([*path, probed.ref.path])))


def cycle(_request: Request, number: int, path: list[str]) -> None:
    """Act on a report."""
    closed(number, path)


REQUESTS.update(probe=probe, cycle=cycle)
