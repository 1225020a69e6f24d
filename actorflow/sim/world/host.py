"""Host: a simulated process, in which actors run that die with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from actorflow.core.drivers.virtual_loop import LoopHome, VirtualLoop
    from actorflow.core.refs.ref import ActorRef
    from actorflow.sim.world.network import Active

OWN_CODE: Final = "actorflow."  # actors of the runtime's own are in the process of their node


class SimHost:
    """A simulated process.

    Attributes:
        name: the path of the actor that has it to itself, or that of its node.
        node: the number of its node.
        life: counts its deaths: a message that was under way to it belongs to one life.
        down_until: when the last of its crashes is over.
        pauses: faults for which it runs nothing.
        skews: faults by which its clock is wrong; the amounts are seconds.
        loop: has its handlers with `loop=True`; None: there were none so far.
    """

    def __init__(self, name: str, node: int) -> None:
        self.name = name
        self.node = node
        self.life = 0
        self.down_until = 0.0
        self.pauses: list[Active] = []
        self._paused = self._paused_since = 0.0
        self.skews: list[Active] = []
        self.loop: LoopHome | None = None

    def pause(self, fault: Active, now: float) -> None:
        """Have nothing run on the host until the fault is over."""
        if not self.pauses:
            self._paused_since = now
        self.pauses.append(fault)

    def unpause(self, fault: Active, now: float) -> None:
        """Have the host run again, unless another pause lasts longer."""
        self.pauses.remove(fault)
        if not self.pauses:
            self._paused += now - self._paused_since

    def paused(self, now: float) -> float:
        """Return the virtual seconds for which the host has been paused so far."""
        return self._paused + (now - self._paused_since if self.pauses else 0.0)

    def skew(self) -> float:
        """Return the seconds by which its clock is ahead."""
        if not self.skews:
            return 0.0
        for fault in self.skews:
            fault.touched = True
        return sum(fault.amount for fault in self.skews)

    def __repr__(self) -> str:
        return f"<host {self.name}>"


class NodeHosts:
    """The hosts of one node.

    Attributes:
        main: the process of the node itself, which has all actors that have no host of their own.
        each: every actor of the user's that is directly under the system has one.
    """

    def __init__(self, name: str, node: int, *, each: bool) -> None:
        self.node = node
        self.each = each
        self.main = SimHost(self._label(name), node)
        self._named: dict[object, SimHost] = {}
        self._of_others: dict[int, SimHost] = {}

    def begin(self, ref: ActorRef[Any]) -> SimHost:
        """Return the host that an actor begins in."""
        owner = ref._parent.owner
        process = ref._traits.options.host
        if process is not None:
            return self._host(getattr(process, "name", None) or ref.path)
        if owner is not None:
            return self.of(owner)
        if self.each and not ref.actor_class.__module__.startswith(OWN_CODE):
            return self._host(ref.path)
        return self.main

    def of(self, ref: ActorRef[Any]) -> SimHost:
        """Return the host of an actor of this node, of whatever kind its ref is."""
        found = getattr(ref, "_virtual_host", None)
        if type(found) is SimHost:
            return found
        host = self._of_others.get(ref.uid)
        if host is None:
            host = self._of_others[ref.uid] = self.begin(ref)
        return host

    def all(self) -> list[SimHost]:
        """Return those that there are so far."""
        return [self.main, *self._named.values()]

    def _host(self, name: str) -> SimHost:
        host = self._named.get(name)
        if host is None:
            host = self._named[name] = SimHost(self._label(name), self.node)
        return host

    def _label(self, name: str) -> str:
        return name if self.node == 0 else f"{name} (node {self.node})"


class HostLoops:
    """The asyncio loops of the hosts of a node."""

    def __init__(self, hosts: NodeHosts) -> None:
        self._hosts = hosts

    @property
    def loops(self) -> list[VirtualLoop]:
        """Those that are open."""
        return [loop for host in self._hosts.all() if host.loop is not None for loop in host.loop.loops]

    def close(self) -> None:
        """Cancel the running tasks, and end the loops."""
        for loop in self.loops:
            loop.end()
