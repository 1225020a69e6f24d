"""At: declares what goes wrong, or what clients do, at a time of a simulated run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

from actorflow.app.app import App
from actorflow.errors import DefinitionError
from actorflow.sim.calls import refuse_async
from actorflow.sim.faults.fault import Fault
from actorflow.sim.faults.store import StoreFaults, check_lasting, check_seconds
from actorflow.sim.faults.targets import Target, found, name_of, present, two_hosts
from actorflow.sim.world.crash import crash_host, refs_below
from actorflow.sim.world.link import is_number
from actorflow.text import stable_text

if TYPE_CHECKING:
    from actorflow.sim.simulation import Simulation
    from actorflow.sim.world.host import SimHost
    from actorflow.sim.world.network import Pair
    from actorflow.sim.world.node import SimNode


class At(StoreFaults):
    """A time of a simulated run. Its methods declare faults, and return it: `sim.at(3).crash(Shop).crash(Stock)`."""

    def __init__(self, sim: Simulation, time: float) -> None:
        self._sim = sim
        self.time = time

    def crash(self, target: Target, *, down: float = 0.0) -> Self:
        """Kill the host of an actor, or a node: memory and mailboxes are lost, the store is kept.

        The supervisor of the actor restarts it by its own rules, once its process has been gone for `down` seconds; a
        node starts again.

        Args:
            target: an actor class, a path, a ref, or a node of `sim.nodes`.
            down: virtual seconds.

        Raises:
            DefinitionError: there is no such target, or it is on several hosts.
        """
        check_seconds("down", down)
        return self._add("crash", f"crash of {name_of(target)}", target, down, self._crash(target, down))

    def _crash(self, target: Target, down: float) -> Callable[[Fault], object]:
        def act(fault: Fault) -> None:
            place = present(self._sim.nodes, target)
            if place is None:
                return
            node, host = place
            fault.touched = True
            if host is not node.hosts.main:
                crash_host(node.scheduler, host, down)
                return
            life = node.kill()
            self._sim.later(down, lambda: self._sim.restart(node, life))

        return act

    def pause(self, target: Target, seconds: float) -> Self:
        """Have a host run nothing for a while, as a long garbage collection does, or SIGSTOP.

        Raises:
            DefinitionError: there is no such target, or it is on several hosts.
        """
        check_lasting("seconds", seconds)
        hosts: list[SimHost] = []

        def act(fault: Fault) -> None:
            hosts.extend(self._hosts(target))
            self._sim.world.pause(hosts, fault)

        def end(fault: Fault) -> None:
            self._sim.world.unpause(hosts, fault)

        return self._add("pause", f"pause of {name_of(target)}", target, seconds, act, end)

    def partition(self, one: Target, other: Target, *, heal: float, both: bool = True) -> Self:
        """Have no message come from one host to another; they wait, and come in their order after `heal` seconds.

        Args:
            one: a host, or a node: all of its hosts.
            other: likewise.
            heal: virtual seconds until messages pass again.
            both: both ways; False: only from `one` to `other`.

        Raises:
            DefinitionError: there is no such target, or it is on several hosts.
        """
        check_lasting("heal", heal)
        network = self._sim.world.network
        arrow = "-" if both else "->"
        text = f"partition {name_of(one)} {arrow} {name_of(other)}"
        return self._on_pairs("partition", text, (one, other), heal, 0.0, network.cut, network.mend, both=both)

    def drop(self, one: Target, other: Target, part: float = 1.0, *, heal: float, both: bool = True) -> Self:
        """Lose a part of the messages from one host to another: a network without the guarantee that sends have.

        Raises:
            DefinitionError: there is no such target, or the part is not from 0 to 1.
        """
        check_lasting("heal", heal)
        if not is_number(part) or not 0 <= part <= 1:
            raise DefinitionError(f"drop({stable_text(part)}): give a part of the messages, from 0 to 1")
        network = self._sim.world.network
        text = f"{part:.0%} of messages lost {name_of(one)} {'-' if both else '->'} {name_of(other)}"
        return self._on_pairs("drop", text, (one, other), heal, part, network.drop, network.end_drop, both=both)

    def slow(self, target: Target, factor: float, *, heal: float) -> Self:
        """Have the messages from and to a host take `factor` times as long.

        Raises:
            DefinitionError: there is no such target, or the factor is below 1.
        """
        check_lasting("heal", heal)
        if not is_number(factor) or not 1 <= factor < math.inf:
            raise DefinitionError(f"slow({stable_text(factor)}): give a factor of 1 or more")
        network = self._sim.world.network
        slowed: list[SimHost] = []

        def act(fault: Fault) -> None:
            slowed.extend(self._hosts(target))
            for host in slowed:
                network.slow(host, fault)

        def end(fault: Fault) -> None:
            for host in slowed:
                network.end_slow(host, fault)

        return self._add("slow", f"{name_of(target)} {factor:g} times slower", target, heal, act, end, factor)

    def clock_skew(self, target: Target, seconds: float, *, heal: float = 0.0) -> Self:
        """Have the clock of a host be ahead by some seconds, or behind by negative ones.

        Its actors see it: `ctx.now`, `time.time`, `datetime.now`. Timers and timeouts do not: they go by the seconds
        that have passed.

        Args:
            target: a host, or a node: all of its hosts.
            seconds: by which it is wrong.
            heal: virtual seconds until it is right again; 0: never.

        Raises:
            DefinitionError: there is no such target, or the seconds are none.
        """
        check_seconds("heal", heal)
        if not is_number(seconds) or not math.isfinite(seconds):
            raise DefinitionError(f"clock_skew({stable_text(seconds)}): give virtual seconds")
        hosts: list[SimHost] = []

        def act(fault: Fault) -> None:
            hosts.extend(self._hosts(target))
            for host in hosts:
                host.skews.append(fault)

        def end(fault: Fault) -> None:
            for host in hosts:
                host.skews.remove(fault)

        text = f"clock of {name_of(target)} {seconds:+g} s"
        return self._add("clock skew", text, target, heal, act, end, seconds)

    def deploy(self, app: App, *, nodes: Sequence[int] | None = None) -> Self:
        """Replace the app of nodes by another one: each stops by its grace time, and starts with the new code.

        Args:
            app: the new one, of the same name.
            nodes: the numbers of the nodes; None: all.

        Raises:
            DefinitionError: there is no such node, or the app has another name.
        """
        if not isinstance(app, App):
            raise DefinitionError(f"deploy({stable_text(app)}): give an af.App")
        if nodes is not None and (isinstance(nodes, str) or not isinstance(nodes, Sequence)):
            raise DefinitionError(f"deploy(nodes={stable_text(nodes)}): give the numbers of nodes in a list, or None")
        numbers = range(len(self._sim.nodes)) if nodes is None else nodes
        for number in numbers:
            if number not in range(len(self._sim.nodes)):
                raise DefinitionError(
                    f"deploy(nodes=[{stable_text(number)}]): there are nodes 0 to {len(self._sim.nodes) - 1}"
                )
            node = self._sim.nodes[number]
            if app.name != node.app.name:
                raise DefinitionError(f"deploy: the app is {app.name!r}, and that of node {number} {node.app.name!r}")
            text = f"deploy on node {number}"
            self._sim.add(Fault("deploy", text, self.time, self.time, self._deploy(node, app)))
        return self

    def _deploy(self, node: SimNode, app: App) -> Callable[[Fault], object]:
        def act(fault: Fault) -> None:
            fault.touched = True
            node.deploy(app, lambda life: self._sim.later(0.0, lambda: self._sim.restart(node, life)))

        return act

    def call(self, function: Callable[[], object], /) -> Self:
        """Call a function: a client that sends, publishes or starts something. It does not wait.

        Raises:
            DefinitionError: it cannot be called.
        """
        if not callable(function):
            raise DefinitionError(f"call({stable_text(function)}): give a function without arguments")
        refuse_async(function, "a client")
        self._sim.enter_at(self.time, function)
        return self

    # --- how ---------------------------------------------------------------------------------------------------------

    def _hosts(self, target: Target) -> list[SimHost]:
        place = present(self._sim.nodes, target)
        if place is None:
            return []
        node, host = place
        if host is not node.hosts.main:
            return [host]
        if node.system is not None:
            for ref in refs_below(node.system.root):
                node.hosts.of(ref)  # that of a durable actor is made as it is first asked for
        return node.hosts.all()

    def _on_pairs(
        self,
        kind: str,
        text: str,
        ends: tuple[Target, Target],
        heal: float,
        amount: float,
        begin: Callable[[Pair, Fault], object],
        end: Callable[[Pair, Fault], object],
        *,
        both: bool,
    ) -> Self:
        pairs: list[Pair] = []
        two_hosts(self._sim.nodes, ends, text)

        def act(fault: Fault) -> None:
            one, other = map(self._hosts, ends)
            for a in one:
                for b in other:
                    if a is not b:
                        pairs.extend([(a, b), (b, a)] if both else [(a, b)])
            for pair in pairs:
                begin(pair, fault)

        def over(fault: Fault) -> None:
            for pair in pairs:
                end(pair, fault)

        return self._add(kind, text, ends[1], heal, act, over, amount)

    def _add(
        self,
        kind: str,
        text: str,
        target: Target,
        seconds: float,
        act: Callable[[Fault], object],
        heal: Callable[[Fault], object] = lambda _: None,
        amount: float = 0.0,
    ) -> Self:
        found(self._sim.nodes, target)
        self._sim.add(Fault(kind, text, self.time, self.time + seconds, act, heal, amount))
        return self
