"""Network: brings messages and answers from one simulated host to another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from actorflow.sim.world.link import STEPS, Link

if TYPE_CHECKING:
    from actorflow.sim.choices.chooser import Chooser
    from actorflow.sim.world.host import SimHost
    from actorflow.sim.world.scheduler import SimWorld

Pair: TypeAlias = "tuple[SimHost, SimHost]"


@dataclass(slots=True)
class Passage:
    """One message on its way.

    Attributes:
        sent: virtual seconds.
        arrived: virtual seconds; None: it is lost, or still under way.
        source: where it comes from.
        target: where it goes to.
        label: what it is.
        fate: "", or what happened to it: "lost", "doubled", "held".
        cause: the client event that it comes of.
    """

    sent: float
    arrived: float | None
    source: str
    target: str
    label: str
    fate: str
    cause: int | None


class Active(Protocol):
    """A fault, as long as it lasts.

    Attributes:
        amount: the factor of one that slows, the part of the messages of one that drops.
        end: virtual seconds, when it heals.
        touched: it has acted on a message.
    """

    amount: float
    end: float
    touched: bool


class Carried:
    """One message on its way, as the network has it: what to do at its arrival, and at its loss."""

    __slots__ = ("cause", "deliver", "life", "lose", "pair", "passage", "size")

    def __init__(
        self,
        pair: Pair,
        deliver: Callable[[], object],
        lose: Callable[[], object],
        cause: int | None,
        passage: Passage | None,
        size: int,
    ) -> None:
        self.pair = pair
        self.life = pair[1].life
        self.deliver = deliver
        self.lose = lose
        self.cause = cause
        self.passage = passage
        self.size = size


class Network:
    """Brings messages from host to host.

    Attributes:
        standard: the link of pairs that have none of their own.
        links: of pairs of hosts.
        touched: links that a message has taken.
        passages: all messages so far, if they are noted.
    """

    def __init__(self, world: SimWorld, chooser: Chooser) -> None:
        self.world = world
        self.chooser = chooser
        self.standard = Link()
        self.links: dict[Pair, Link] = {}
        self.touched: set[int] = set()
        self.passages: list[Passage] | deque[Passage] | None = None
        self.count = 0
        self._latest: dict[Pair, float] = {}
        self._free: dict[Pair, float] = {}  # when the last byte of the messages so far has gone
        self._cuts: dict[Pair, list[Active]] = {}
        self._drops: dict[Pair, list[Active]] = {}
        self._slow: dict[SimHost, list[Active]] = {}
        self._held: dict[Pair, list[Carried]] = {}

    def send(
        self,
        source: SimHost,
        target: SimHost,
        label: Callable[[], tuple[str, str, str]],
        deliver: Callable[[], object],
        lose: Callable[[], object],
        size: int = 0,
    ) -> None:
        """Bring a message from one host to another.

        Args:
            source: it comes from.
            target: it goes to.
            label: names sender, receiver and message, for a diagram.
            deliver: is called at its arrival.
            lose: is called if the target dies before that.
            size: of the message, in bytes.
        """
        world, pair = self.world, (source, target)
        self.count += 1
        cause = world.cause
        passage = None
        if self.passages is not None:
            passage = Passage(world.clock.now, None, *label(), "", cause)
            self.passages.append(passage)
        carried = Carried(pair, deliver, lose, cause, passage, size)
        cuts = self._cuts.get(pair)
        if cuts:
            touch(cuts)
            note_fate(carried, "held")
            self._held.setdefault(pair, []).append(carried)
            return
        self._carry(carried)

    def _carry(self, carried: Carried) -> None:
        pair, cause, chance = carried.pair, carried.cause, self.chooser.chance
        link = self.links.get(pair, self.standard)
        self.touched.add(id(link))
        name = f"{pair[0].name} -> {pair[1].name}"
        if link.hostile and chance(f"loss {name}", link.loss, cause):
            note_fate(carried, "lost")
            return
        drops = self._drops.get(pair)
        if drops:
            touch(drops)
            if chance(f"drop {name}", max(drop.amount for drop in drops), cause):
                note_fate(carried, "lost")
                return
        doubled = link.hostile and chance(f"double {name}", link.duplicate, cause)
        self._go(carried, link, name)
        if doubled:
            note_fate(carried, "doubled")
            self._go(Carried(pair, carried.deliver, carried.lose, cause, None, carried.size), link, name)

    def _go(self, carried: Carried, link: Link, name: str) -> None:
        world, pair = self.world, carried.pair
        now = world.clock.now
        delay = self._delay(carried, link, name)
        if link.bandwidth is not None:
            gone = self._free[pair] = max(now, self._free.get(pair, now)) + carried.size / link.bandwidth
            delay += gone - now
        due = now + delay
        if link.hostile and self.chooser.chance(f"reorder {name}", link.reorder, carried.cause):
            due += link.longest - link.shortest
        else:
            due = self._latest[pair] = max(due, self._latest.get(pair, 0.0))
        if due <= now:
            self._arrive(carried)
        else:
            world.timers.add(due, lambda: self._arrive(carried))

    def _delay(self, carried: Carried, link: Link, name: str) -> float:
        delay = link.shortest
        if link.longest > link.shortest:
            chosen = self.chooser.choose(f"latency {name}", STEPS, carried.cause)
            delay += (link.longest - link.shortest) * chosen / (STEPS - 1)
        for host in carried.pair:
            slow = self._slow.get(host)
            if slow:
                touch(slow)
                delay *= max(fault.amount for fault in slow)
        return delay

    def _arrive(self, carried: Carried) -> None:
        target = carried.pair[1]
        if target.life != carried.life:
            note_fate(carried, "lost")
            carried.lose()
            return
        if carried.passage is not None:
            carried.passage.arrived = self.world.clock.now
        self.world.cause = carried.cause
        carried.deliver()

    # --- faults ------------------------------------------------------------------------------------------------------

    def cut(self, pair: Pair, fault: Active) -> None:
        """Hold the messages that go this way from now on."""
        self._cuts.setdefault(pair, []).append(fault)

    def mend(self, pair: Pair, fault: Active) -> None:
        """Let the messages that were held go on, in their order."""
        self._cuts[pair].remove(fault)
        if self._cuts[pair]:
            return
        for carried in self._held.pop(pair, ()):
            if carried.life != pair[1].life:
                carried.lose()
            else:
                self._carry(carried)

    def drop(self, pair: Pair, fault: Active) -> None:
        """Lose a part of the messages that go this way from now on."""
        self._drops.setdefault(pair, []).append(fault)

    def end_drop(self, pair: Pair, fault: Active) -> None:
        """Lose nothing more."""
        self._drops[pair].remove(fault)

    def slow(self, host: SimHost, fault: Active) -> None:
        """Have messages from a host, and to it, take longer from now on."""
        self._slow.setdefault(host, []).append(fault)

    def end_slow(self, host: SimHost, fault: Active) -> None:
        """Have messages of a host take their time again."""
        self._slow[host].remove(fault)

    def forget(self, host: SimHost) -> None:
        """Lose the messages that are held to or from a host that has died."""
        for pair in [pair for pair in self._held if host in pair]:
            for carried in self._held.pop(pair):
                note_fate(carried, "lost")
                carried.lose()


def touch(faults: list[Active]) -> None:
    """Note that faults have acted on a message."""
    for fault in faults:
        fault.touched = True


def note_fate(carried: Carried, fate: str) -> None:
    """Note the fate of a message, for a diagram."""
    if carried.passage is not None:
        carried.passage.fate = fate
