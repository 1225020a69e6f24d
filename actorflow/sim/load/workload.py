"""Workload: how a simulation declares its load: costs, cores and clients; and asks for figures of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, overload

from actorflow.errors import DefinitionError
from actorflow.sim.calls import refuse_async
from actorflow.sim.choices.chooser import stream_of
from actorflow.sim.faults.targets import Target, found
from actorflow.sim.load.clients import Clients
from actorflow.sim.load.world_load import WorldLoad
from actorflow.sim.world.link import is_number
from actorflow.text import stable_text

if TYPE_CHECKING:
    from actorflow.core.actors.actor import Actor
    from actorflow.sim.choices.chooser import Chooser
    from actorflow.sim.load.distributions import Cost
    from actorflow.sim.world.node import SimNode
    from actorflow.sim.world.scheduler import SimWorld
    from actorflow.tasks.task import AnyTask

MOST_REQUESTS: Final = 1_000_000  # of one call of `clients`: more than a run may have steps


@dataclass(eq=False)
class ClientGroup:
    """The requests of one call of `clients`.

    Attributes:
        times: of those that are to come, with their numbers.
        act: is called with the number of each.
        words: for the call.
        following: when the next one comes, virtual seconds; None: it was the last.
        has_come: one of them.
    """

    times: Iterator[tuple[int, float]]
    act: Callable[[int], object]
    words: str
    following: float | None = None
    has_come: bool = False


class Workload:
    """The load of one simulation.

    Attributes:
        world: of the simulation.
        nodes: its nodes.
        chooser: makes its choices.
        world_load: what was declared; None: nothing yet.
        groups: of clients.
    """

    world: SimWorld
    nodes: list[SimNode]
    chooser: Chooser
    world_load: WorldLoad | None = None
    groups: list[ClientGroup]
    _until: float
    _is_closing: bool

    @overload
    def cost(self, target: AnyTask | type[Actor], cost: Cost, /) -> None: ...
    @overload
    def cost(self, target: Callable[..., Any], cost: Cost, /) -> None: ...
    def cost(self, target: Any, cost: Cost, /) -> None:
        """Have a handler or a task take virtual time: its actor and a core of its host are busy for so long.

        The handler runs at the end of that time, so its sends go out then, and those who wait for it wait as long as in
        production. Queues build up.

        >>> import actorflow as af
        >>> from actorflow.sim import Simulation
        >>> class Till(af.Actor):
        ...     def charge(self) -> float:
        ...         return self.ctx.now() - 1_600_000_000
        >>> app = af.App("shop").add(af.child(Till).options(name="till"))
        >>> with Simulation() as sim:
        ...     till = sim.start(app).find("/shop/till", Till)
        ...     sim.cost(Till.charge, 0.5)
        ...     [future.get() for future in [till.call(Till.charge) for _ in range(3)]]
        [0.5, 1.0, 1.5]

        Args:
            target: a method of an actor, which a message, an event or a timer runs; an actor class, for all of its
                messages whose methods have no cost of their own; or a task. A cpu task takes a worker of its pool, too.
            cost: virtual seconds, or a distribution: a function of a `random.Random`, such as `exponential(0.02)`,
                `lognormal(0.02, 0.2)`, or a `Histogram` that was recorded.

        Raises:
            DefinitionError: an argument makes no sense, or the target has a cost already.
        """
        self._load.costs.declare(target, cost)

    def cores(self, count: int, target: Target | None = None) -> None:
        """Have hosts have so many cores: of the handlers that cost time, so many run at once, and others wait.

        Args:
            count: how many.
            target: an actor, or a node, whose host is meant; None: all hosts that have no number of their own. Without
                any, a host has as many as it needs.

        Raises:
            DefinitionError: an argument makes no sense.
        """
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise DefinitionError(f"cores({stable_text(count)}): give a whole number, 1 or more")
        self._load.give(count, None if target is None else found(self.nodes, target)[1])

    def record(self, *, after: float = 0.0) -> None:
        """Have the figures of the load recorded, as `report.figures`: waits, queues, utilisation, who was busy when.

        A run is about half as fast meanwhile. Call it before the messages come that are to be counted.

        Args:
            after: virtual seconds; earlier ones are the warm-up, and do not count.

        Raises:
            DefinitionError: it is no time to come, or the run is recorded already.
        """
        if not is_number(after) or not 0 <= after < math.inf:
            raise DefinitionError(f"record(after={stable_text(after)}): give virtual seconds, 0 or more")
        self._load.record(after)

    def clients(self, clients: Clients, act: Callable[[int], object], /) -> None:
        """Have requests come from outside.

        Args:
            clients: when they come.
            act: is called with the number of each, from 0: it sends, publishes or starts something, and does not wait.

        Raises:
            DefinitionError: it is no Clients, or no function. A run in which a million requests come ends with it.
        """
        if not isinstance(clients, Clients):
            raise DefinitionError(f"clients({stable_text(clients)}): give Clients(rate=...)")
        if not callable(act):
            raise DefinitionError(f"clients(..., {stable_text(act)}): give a function of a number")
        refuse_async(act, "a client")
        draw = stream_of(self.chooser.seed, f"clients {len(self.groups) + 1}")
        now = self.world.clock.now
        times = (time for time in clients.times(draw) if time >= now)
        name = getattr(act, "__name__", "<lambda>")
        group = ClientGroup(enumerate(times), act, "call" if name == "<lambda>" else f"call of {name}")
        self.groups.append(group)
        self.expect(clients.earliest, lambda: f"the first client ({group.words})")
        self._await_next(group)
        if group.following is None and (clients.until < now or clients.shape in {"steady", "trace"}):
            raise DefinitionError(f"clients({stable_text(clients)}): none of them comes; it is {now:g} s")

    def _await_next(self, group: ClientGroup) -> None:
        """Have the next request come: one timer at a time, however many there are."""
        number, time = next(group.times, (0, None))
        group.following = time
        if time is None:
            return
        if number >= MOST_REQUESTS:
            many = f"clients: more than {MOST_REQUESTS:,} requests come by {time:g} s of virtual time"
            self._fail(DefinitionError(f"{many}: give a lower rate, a count or an until"))
            return
        if time <= self._until:
            self._disturb(time)

        def come() -> None:
            self._await_next(group)
            if time <= self._until or not self._is_closing:  # else it would disturb what is waited for
                group.has_come = True
                self.enter(lambda: group.act(number), lambda: f"{group.words} {number}")
                self._look_if_quiet()

        self.world.timers.add(time, come)

    def _fail(self, error: BaseException) -> None:
        """End the run with an error."""
        raise NotImplementedError  # pragma: no cover - the simulation has it

    def enter(self, function: Callable[[], object], words: Callable[[], str]) -> None:
        """Call a function of a client now."""
        raise NotImplementedError  # pragma: no cover - the simulation has it

    def expect(self, time: float, words: Callable[[], str]) -> None:
        """Note the time of a client event for the end of the run."""
        raise NotImplementedError  # pragma: no cover - the simulation has it

    def _disturb(self, time: float) -> None:
        """Have no property be waited for before a time."""
        raise NotImplementedError  # pragma: no cover - the simulation has it

    def _look_if_quiet(self) -> None:
        """Look at the properties, if a client event was the last one that is known."""
        raise NotImplementedError  # pragma: no cover - the simulation has it

    @property
    def _load(self) -> WorldLoad:
        """The load of the world, from now on."""
        if self.world_load is None:
            world = self.world
            world.load = self.world_load = WorldLoad(world)
            world.detours = True
            for node in self.nodes:
                if node.system is not None:
                    node.scheduler.load = world.load
        return self.world_load
