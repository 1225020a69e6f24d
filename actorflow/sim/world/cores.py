"""Cores: those of a host, or the workers of a pool. They are given to handlers in the order in which these ask."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from actorflow.core.clock import VirtualClock
    from actorflow.sim.world.network import Active


ROUNDING: Final = 1e-9  # seconds


class HostOfCores(Protocol):
    """Has cores; it may die, or be paused.

    Attributes:
        life: counts its deaths.
        pauses: that last now.
    """

    life: int
    pauses: list[Active]

    def paused(self, now: float, /) -> float:
        """Return the virtual seconds for which the host has been paused so far."""
        ...


def waits(clock: VirtualClock, host: HostOfCores, seconds: float) -> Iterator[float]:
    """Yield the virtual seconds to wait until a cost has passed on a host: none of it does as long as that is paused.

    Args:
        clock: of the world.
        host: that computes.
        seconds: the cost.
    """
    begin = clock.now
    before = host.paused(begin)
    yield seconds
    while paused := host.paused(now := clock.now) - before:
        left = seconds - (now - begin - paused)
        if left <= ROUNDING:
            return
        yield max([now, *(fault.end for fault in host.pauses)]) - now + left


class CoreUse:
    """The use of a core by one handler.

    Attributes:
        act: is called once it has the core.
        life: of the host: after its death the core is another one's.
        begin: virtual seconds since which it counts, without those of pauses; None: it has no core.
        is_over: it wants it no more.
    """

    __slots__ = ("act", "begin", "is_over", "life")

    def __init__(self, act: Callable[[], object], life: int) -> None:
        self.act = act
        self.life = life
        self.begin: float | None = None
        self.is_over = False


class Cores:
    """The cores of a host; the holder of the baton gives them, or the handler that has the turn.

    Attributes:
        count: how many there are; None: as many as are asked for.
        host: has them.
    """

    def __init__(self, clock: VirtualClock, host: HostOfCores, count: int | None) -> None:
        self.count = count
        self.host = host
        self._clock = clock
        self._life = self.host.life
        self._computed = 0.0
        self._uses: dict[CoreUse, None] = {}
        self._waiting: deque[CoreUse] = deque()

    def ask(self, act: Callable[[], object]) -> CoreUse:
        """Have a function called as soon as there is a core: at once, if there is one."""
        self._look()
        use = CoreUse(act, self._life)
        if self.count is None or len(self._uses) < self.count:
            self._give(use)
        else:
            self._waiting.append(use)
        return use

    def leave(self, use: CoreUse) -> None:
        """Give a core to the next one; a use that waits for a core waits no more."""
        self._look()
        if use.is_over:
            return
        use.is_over = True
        if use.begin is None or use.life != self._life:
            return
        self._computed += self._run_time - use.begin
        del self._uses[use]
        while self._waiting:
            following = self._waiting.popleft()
            if not following.is_over:
                self._give(following)
                return

    @property
    def computed(self) -> float:
        """Seconds of use so far, over all cores."""
        self._look()
        now = self._run_time
        return self._computed + sum(now - use.begin for use in self._uses if use.begin is not None)

    def reset(self) -> None:
        """Count from now on."""
        self._computed = 0.0
        for use in self._uses:
            use.begin = self._run_time

    @property
    def _run_time(self) -> float:
        """Virtual seconds for which the host has not been paused."""
        now = self._clock.now
        return now - self.host.paused(now)

    def _look(self) -> None:
        """Free all cores if the host has died: with it, all that ran on it."""
        if self.host.life != self._life:
            self._life = self.host.life
            self._uses.clear()
            self._waiting.clear()

    def _give(self, use: CoreUse) -> None:
        use.begin = self._run_time
        self._uses[use] = None
        use.act()
