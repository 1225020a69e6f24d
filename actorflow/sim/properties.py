"""Properties: the conditions that a simulated run has to meet, and the times at which they are looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow.errors import DefinitionError
from actorflow.sim.checks import Always, Condition, Eventually, Sometimes, check_within, property_of, sends

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.sim.faults.fault import Fault
    from actorflow.sim.world.scheduler import SimWorld


class Properties:
    """The properties of one simulation.

    Attributes:
        world: of the simulation.
        stop_at_step: after which the debugger opens; None: it does not.
        faults: that were declared.
        has_run: it has run.
        is_cut: an error has ended the run before its time.
    """

    world: SimWorld
    stop_at_step: int | None
    _always: list[Always]
    _eventually: list[Eventually]
    _sometimes: list[Sometimes]
    faults: list[Fault]
    has_run: bool
    is_cut: bool
    _in_run: bool
    _latest: tuple[float, Callable[[], str]] = (0.0, str)  # the last client event that is to come
    _until = 0.0  # the end of the run: no client comes later
    _quiet_from = 0.0  # the end of the last fault and the last client event that are known
    _awaited: Eventually | None = None  # the one that the end of the run waits for
    _is_closing = False  # the end of the run is reached, but for what is waited for
    _is_ending = False  # nothing comes any more but what is waited for

    def always(self, check: Condition, name: str | None = None) -> None:
        """Have a property looked at after each step: a function that returns False, or asserts, ends the run.

        Raises:
            DefinitionError: it is no function.
        """
        self._always.append(Always(check, property_of(check, name)))

    def eventually(self, check: Condition, name: str | None = None, *, within: float = 60.0) -> None:
        """Have a property come to hold once nothing disturbs the app any more.

        After the last fault has healed and the last client event has come it may fail to hold for at most `within`
        virtual seconds at a time. That it held before, or ceases to hold later, is not enough. A check that raises
        does not hold.

        >>> import actorflow as af
        >>> from actorflow.sim import Simulation
        >>> class Till(af.Actor):
        ...     def __init__(self) -> None:
        ...         super().__init__()
        ...         self.open = 0
        ...
        ...     def order(self) -> None:
        ...         self.open += 1
        ...         self.ctx.after(2.0, self.close)
        ...
        ...     def close(self) -> None:
        ...         self.open -= 1
        >>> app = af.App("shop").add(af.child(Till).options(name="till"))
        >>> with Simulation() as sim:
        ...     till = sim.start(app).find("/shop/till", Till)
        ...     _ = sim.at(8).call(lambda: till.cast(Till.order))
        ...     sim.eventually(lambda: sim.peek(till).open == 0, "nothing is open", within=5)
        ...     sim.run(until=9).time
        10.0

        Args:
            check: returns False, or asserts, as long as the property does not hold.
            name: of the property; None: that of the function.
            within: virtual seconds.

        Raises:
            DefinitionError: it is no function, or the seconds are none.
        """
        self._eventually.append(Eventually(check, property_of(check, name), check_within(within)))

    def sometimes(self, check: Condition, name: str | None = None) -> None:
        """Have a property hold at some time of some run of a search: that the interesting case was tried.

        Raises:
            DefinitionError: it is no function.
        """
        self._sometimes.append(Sometimes(check, property_of(check, name)))

    @property
    def properties(self) -> int:
        """Number of the properties that were declared."""
        return len(self._always) + len(self._eventually) + len(self._sometimes)

    # --- when they are looked at -------------------------------------------------------------------------------------

    def _run_with_checks(self, until: float) -> None:
        """Let time pass, and look at the properties; a time in which one fails to hold is waited for to its end."""
        world = self.world
        is_watched = self._always or self._eventually or self._sometimes or self.stop_at_step is not None
        world.after_step = self._look if is_watched else None
        for check in self._eventually:
            check.reset()
        try:
            self._sleep_until(until)  # the world looks before its first step, too
            self._is_closing = True
            if self._eventually:
                self._sleep_until(self._quiet_from)
                world.calm()
                self._is_ending = True
                self._sleep_until(world.clock.now)  # for a look
                for check in sorted(self._eventually, key=lambda check: check.deadline):
                    self._await(check)
        finally:
            world.after_step = self._awaited = None
            self._is_closing = self._is_ending = False

    def _await(self, check: Eventually) -> None:
        """Wait for a property to come to hold, if it does not.

        Raises:
            SimulationFailure: it does not come to hold in its time.
        """
        since = check.since
        if since is not None:
            self._awaited = check
            self._sleep_until(check.deadline)
            self._awaited = None
            if check.since == since:
                raise check.fail()

    def _sleep_until(self, time: float) -> None:
        self.world.sleep(max(0.0, time - self.world.clock.now))

    def _disturb(self, time: float) -> None:
        """Have no `eventually` be waited for before a time: a fault or a client event is to come then."""
        if time > self._quiet_from and not self._is_ending:
            self._quiet_from = time
            for check in self._eventually:
                check.reset()

    def _look(self) -> None:
        """Look at all properties, after a step."""
        now = self.world.clock.now
        if self.stop_at_step is not None and self.world.steps >= self.stop_at_step:
            self.stop_at_step = None
            breakpoint()  # noqa: T100 - asked for by --sim-until-step; `self` is the simulation
        events = self.world.client_events
        for always in self._always:
            always.look(now)
        for sometimes in self._sometimes:
            sometimes.look()
        if self._eventually and now >= self._quiet_from:
            for eventually in self._eventually:
                eventually.look(now)
            if self._awaited is not None and self._awaited.since is None and self.world.driver is not None:
                self.world.driver.until = now  # it has come
        if self.world.client_events != events:
            raise sends(*self._always, *self._sometimes, *self._eventually)

    def _look_if_quiet(self) -> None:
        """Look at the properties, if a fault or a client event was the last one that is known."""
        world = self.world
        if self._eventually and world.after_step is not None and world.clock.now >= self._quiet_from:
            world.check_run()

    # --- what is to come ---------------------------------------------------------------------------------------------

    def expect(self, time: float, words: Callable[[], str]) -> None:
        """Note the time of a client event for `check_all_came`, unless one in the run itself declares it."""
        if not self._in_run and time > self._latest[0]:
            self._latest = time, words

    def check_all_came(self) -> None:
        """Refuse a run that ended before the time of a client event or a fault: both would be missed silently.

        Raises:
            DefinitionError: there is one.
        """
        end = self.world.clock.now
        (time, words) = self._latest
        late = [(time, words())] if time > end else []
        late += [(fault.begin, fault.text) for fault in self.faults if fault.begin > end and fault.is_expected]
        if late and self.has_run and not self.is_cut:
            time, text = min(late)
            raise DefinitionError(
                f"{text} at {time:g} s never came: the run ended at {end:g} s; give sim.run a later until, or it an "
                "earlier time"
            )
