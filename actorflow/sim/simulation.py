"""Simulation: one run of an app in virtual time, under a hostile network and seeded schedules."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from actorflow.app.app import App
from actorflow.core.refs.cell import DEAD
from actorflow.core.refs.ref import ActorRef
from actorflow.errors import ActorflowError, DefinitionError
from actorflow.sim.calls import act_once, called
from actorflow.sim.choices.chooser import Chooser
from actorflow.sim.failure import SimulationFailure
from actorflow.sim.faults.at import At
from actorflow.sim.faults.chaos import Kind, add_chaos
from actorflow.sim.faults.targets import Target, actor_of, present_actor, present_ref, two_hosts
from actorflow.sim.figures.publications import Publications
from actorflow.sim.limits import STEP_LIMIT, TURN_SECONDS, check_limits
from actorflow.sim.load.workload import Workload
from actorflow.sim.patches import patched
from actorflow.sim.properties import Properties
from actorflow.sim.report import Report, report_of
from actorflow.sim.stubs import Stubs
from actorflow.sim.world.crash import unfreeze
from actorflow.sim.world.link import Link, is_number
from actorflow.sim.world.nesting import refuse_within_another
from actorflow.sim.world.node import SimNode
from actorflow.sim.world.operator import Operator
from actorflow.sim.world.scheduler import SimWorld
from actorflow.sim.world.store import SimStore, is_of_store
from actorflow.text import stable_text

if TYPE_CHECKING:
    from actorflow.app.virtual import VirtualSystem
    from actorflow.sim.choices.tape import Tape
    from actorflow.sim.faults.fault import Fault


class Simulation(Stubs, Properties, Workload):
    """One run of an app in virtual time. The seed, or a tape, makes all choices: the same one gives the same run.

    Tests get it from `@simulate`; a script makes it, and closes it.

    >>> import actorflow as af
    >>> class Counter(af.Actor):
    ...     def __init__(self) -> None:
    ...         super().__init__()
    ...         self.n = 0
    ...
    ...     def add(self) -> None:
    ...         self.n += 1
    >>> app = af.App("demo").add(af.child(Counter).options(name="counter"))
    >>> with Simulation(seed=7) as sim:
    ...     demo = sim.start(app)
    ...     counter = demo.find("/demo/counter", Counter)
    ...     sim.always(lambda: sim.peek(counter).n <= 3, "at most three")
    ...     for _ in range(3):
    ...         counter.cast(Counter.add)
    ...     report = sim.run(until=10)
    ...     sim.peek(counter).n, report.time
    (3, 10.0)

    Attributes:
        nodes: those that were started.
        store: theirs; None before that.
        world: runs their steps.
        is_blind: no check is called.
        is_cut: an error has ended the run before its time.
        stop_at_step: after which the debugger opens; None: it does not.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        tape: Tape | None = None,
        step_limit: int = STEP_LIMIT,
        turn_seconds: float | None = TURN_SECONDS,
    ) -> None:
        """Make a world without nodes.

        Args:
            seed: chooses the order of steps, latencies and faults; 0 is the live order.
            tape: the choices of an earlier run, to run it again.
            step_limit: the steps that the run may take; one that takes more is stuck.
            turn_seconds: seconds of real time that a handler may keep its turn; None: any.

        Raises:
            DefinitionError: an argument makes no sense, or a handler of another simulation makes it.
        """
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise DefinitionError(f"seed={stable_text(seed)}: give a number, 0 or more")
        check_limits(step_limit, turn_seconds)
        refuse_within_another()
        self.chooser = Chooser(seed, tape)
        self.world = SimWorld(self.chooser, step_limit=step_limit, turn_seconds=turn_seconds)
        self._publications = Publications(self.world.clock)
        self.world.note_event, self.world.delayed = self._publications.note, self._publications.delayed
        self.nodes: list[SimNode] = []
        self.faults: list[Fault] = []
        self.is_over = self.is_blind = False
        self.has_run = self.is_cut = self._in_run = False
        self.stop_at_step: int | None = None
        self.store: SimStore | None = None
        self._operator: Operator | None = None
        self._peeked: set[type[Any] | str] = set()
        self._stubs, self.groups = [], []
        self._always, self._eventually, self._sometimes = [], [], []
        try:
            patched.enter()
        except BaseException:  # else the world would have the waits of this thread for ever
            self.world.close()
            raise

    # --- what runs ---------------------------------------------------------------------------------------------------

    def start(self, app: App, *, nodes: int = 1, hosts: Literal["each", "one"] = "each") -> VirtualSystem:
        """Start an app on some nodes of one world, which share one store; the app's own store is not opened.

        Args:
            app: the production app.
            nodes: how many systems of it run.
            hosts: "each": every actor directly under the system has a host of its own, so that links, crashes and
                partitions act on it; "one": all are in one process.

        Returns:
            The system of the first node.

        Raises:
            DefinitionError: an argument makes no sense, an app was started already, or the simulation is closed.
            ActorflowError: a part could not start.
        """
        if not isinstance(app, App):
            raise DefinitionError(f"start({stable_text(app)}): give an af.App")
        if isinstance(nodes, bool) or not isinstance(nodes, int) or not 1 <= nodes <= 100:
            raise DefinitionError(f"nodes={stable_text(nodes)}: give a number from 1 to 100")
        if hosts not in {"each", "one"}:
            raise DefinitionError(f"hosts={stable_text(hosts)}: give 'each' or 'one'")
        self._check_open()
        if self.nodes:
            raise DefinitionError(f"start({app!r}): {self.nodes[0].app!r} was started already; give it more parts")
        self.store = self.world.store = SimStore(self.world)
        self.nodes = [SimNode(self.world, app, self.store, i, each=hosts == "each") for i in range(nodes)]
        systems = [node.start() for node in self.nodes]
        return systems[0]

    def network(self, link: Link, *, between: tuple[Target, Target] | None = None) -> None:
        """Have messages from one host to another take a link.

        Args:
            link: it.
            between: two hosts, both ways; None: all that have no link of their own.

        Raises:
            DefinitionError: an argument makes no sense.
        """
        if not isinstance(link, Link):
            raise DefinitionError(f"network({stable_text(link)}): give a Link")
        network = self.world.network
        if between is None:
            network.standard = link
            return
        one, other = two_hosts(self.nodes, between, f"network(between={stable_text(between)})")
        network.links[one, other] = network.links[other, one] = link

    def at(self, time: float) -> At:
        """Return a time of the run, to declare faults and clients' events at.

        Args:
            time: virtual seconds since the start.

        Raises:
            DefinitionError: it is no time to come, or the simulation is closed.
        """
        self._check_open()
        if not is_number(time) or not self.world.clock.now <= time < math.inf:
            raise DefinitionError(f"at({stable_text(time)}): give virtual seconds, {self.world.clock.now:g} or more")
        return At(self, time)

    def chaos(
        self,
        *,
        rate: float,
        until: float,
        kinds: Sequence[Kind] | None = None,
        targets: Sequence[Target] | None = None,
    ) -> None:
        """Have things go wrong at random: the seed draws which kinds of faults are on, then the faults.

        Each of them can be left out of the run, so that a failure is shrunk to those that it takes.

        Args:
            rate: faults a virtual second, on average.
            until: when the last one may begin.
            kinds: methods of `at`, by their names. None: "crash", "pause", "partition", "slow" and "clock_skew", and if
                the app stores something "busy" and "slow_commits". Only if they are named: "drop", which breaks the
                guarantee that messages have, and "disk_full", "commit_unknown" and "lost_commits", by which calls of
                clients fail.
            targets: on which they act; None: the hosts of the actors directly under the system; of several nodes,
                these.

        Raises:
            DefinitionError: an argument makes no sense.
        """
        self._check_open()
        if not is_number(rate) or not 0 < rate < math.inf:
            raise DefinitionError(f"chaos(rate={stable_text(rate)}): give faults a second, more than 0")
        if not is_number(until) or not self.world.clock.now < until < math.inf:
            raise DefinitionError(f"chaos(until={stable_text(until)}): it is {self.world.clock.now:g} s already")
        add_chaos(self, rate, until, kinds, targets)

    def peek(self, actor: ActorRef[Any] | type[Any] | str) -> Any:
        """Return the present incarnation of an actor, to look at: no message is sent.

        It is there from its `__init__` on, so while `on_start` runs it may lack what that makes. None says that there
        is none now: the actor has crashed, and starts again later; or its node is down (`sim.nodes[0].is_up` tells); or
        it is dead for good, and then `ref.is_alive()` is False. A ref goes on with the actor of its path if its node
        has started again.

        Args:
            actor: its ref, or its class, its name or its path.

        Raises:
            DefinitionError: it is no ref of this simulation, or no actor has been of that class or name so far.
        """
        if isinstance(actor, str | type):
            if actor in self._peeked:
                ref = present_actor(self.nodes, actor)
                return None if ref is None else ref._actor
            ref = actor_of(self.nodes, actor)
            self._peeked.add(actor)
            return ref._actor
        if not isinstance(actor, ActorRef) or getattr(actor._scheduler, "world", None) is not self.world:
            raise DefinitionError(
                f"peek({stable_text(actor)}): give a ref of this simulation, or a class, a name or a path"
            )
        ref = present_ref(self.nodes, actor)
        return None if ref is None or ref._state == DEAD else ref._actor

    @property
    def met(self) -> dict[str, bool]:
        """Whether each `sometimes` of this run has held, and each link, fault and client has had a part in it."""
        touched = {f"sometimes {check.name!r}": check.met for check in self._sometimes}
        network = self.world.network
        for link in {id(link): link for link in [network.standard, *network.links.values()]}.values():
            if link != Link():
                touched[f"{link} carried a message"] = id(link) in network.touched
        for fault in self.faults:
            case = f"{fault.case or fault} touched something"
            touched[case] = touched.get(case, False) or fault.touched
        for group in self.groups:
            case = f"a client ({group.words}) came"
            touched[case] = touched.get(case, False) or group.has_come
        if self.world_load is not None:
            touched |= {f"cost of {cost.name} was paid": cost.is_taken for cost in self.world_load.costs.all}
        return touched | {f"stub of {stub.name} was called": stub.is_called for stub in self._stubs}

    # --- the run -----------------------------------------------------------------------------------------------------

    def run(self, *, until: float) -> Report:
        """Let the app run.

        Args:
            until: virtual seconds since the start; it runs longer if a property is still to come to hold.

        Returns:
            Figures of the run.

        Raises:
            SimulationFailure: a property does not hold.
            DefinitionError: the time is over, or the simulation is closed.
            StuckError: it takes too many steps, or a handler keeps its turn.
        """
        world = self.world
        self._check_open()
        if not is_number(until) or not world.clock.now <= until < math.inf:
            raise DefinitionError(f"run(until={stable_text(until)}): give virtual seconds; it is {world.clock.now:g} s")
        self.has_run = True
        self._until = max(self._until, until)
        self._in_run = True
        for group in self.groups:
            if group.following is not None and group.following <= until:
                self._disturb(group.following)
        try:
            if self.is_blind:
                self._sleep_until(until)
            else:
                self._run_with_checks(until)
        except BaseException:
            self.is_cut = True
            raise
        finally:
            self._in_run = False
        return self._report()

    def _report(self) -> Report:
        return report_of(self.world, self.faults, self.chooser.left_out, self._publications, self.world_load)

    # --- for `At` ----------------------------------------------------------------------------------------------------

    def add(self, fault: Fault) -> None:
        """Have a fault happen, unless it is left out of this run."""
        fault.name = f"fault {len(self.faults)}"
        fault.is_expected = not self._in_run
        self.faults.append(fault)
        if fault.name in self.chooser.left_out:
            fault.touched = True
            fault.end = fault.begin
            self._disturb(fault.begin)
            return
        timers = self.world.timers
        timers.add(fault.begin, lambda: self._disturbed(fault.act, fault))
        if fault.end > fault.begin:
            timers.add(fault.end, lambda: self._disturbed(fault.heal, fault))
        self._disturb(fault.end)

    def _disturbed(self, act: Callable[[Fault], object], fault: Fault) -> None:
        self._guarded(lambda: act(fault))
        self._look_if_quiet()

    def enter_at(self, time: float, function: Callable[[], object]) -> None:
        """Call a function of a client at a time: all that it does is one client event."""

        def words() -> str:
            return called(function)

        def enter() -> None:
            self.enter(function, words)
            self._look_if_quiet()

        self.expect(time, words)
        if not self._in_run or time <= self._until:  # of clients without end, each makes the next one come
            self._disturb(time)
        self.world.timers.add(time, enter)

    def enter(self, function: Callable[[], object], words: Callable[[], str]) -> None:
        """Call a function of a client now."""
        act = partial(act_once, function)
        with self.world.one_event(words) as is_in:
            if not is_in:
                return
            if self.store is not None and self.store.has_waits:
                self.operate(act)  # where it can wait
            else:
                self._guarded(act)

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Call a function in some virtual seconds."""
        self.world.timers.add(self.world.clock.now + seconds, lambda: self._guarded(act))

    def operate(self, act: Callable[[], object]) -> None:
        """Call a function that may wait: the start of a node."""
        if self._operator is None:
            self._operator = Operator(self.world)
        self._operator.call(act, self._fail)

    def restart(self, node: SimNode, life: int) -> None:
        """Start a node again, unless it has died since; while its store fails, once a second, as a service is."""

        def start() -> None:
            try:
                node.start_again(life)
            except ActorflowError as error:
                if life != node.life:  # it was killed as it started
                    return
                if not is_of_store(error):
                    raise
                self.later(1.0, lambda: self.restart(node, life))

        self.operate(start)

    def _guarded(self, act: Callable[[], object]) -> None:
        """Call a function of a fault or a client; its error ends the run."""
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - the one who waits for the run gets it, also a pytest.fail()
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self.world.failure is None:
            self.world.failure = error

    # --- the end -----------------------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self.is_over:
            raise DefinitionError("the simulation is closed, and nothing runs in it any more: make a new one")

    def close(self) -> None:
        """End the run: nothing of it is left, no thread and no frame."""
        if self.is_over:
            return
        self.is_over = True
        world = self.world
        world.after_step = world.failure = None
        world.timers.clear()
        try:
            for node in self.nodes:
                node.kill()
            if self._operator is not None:
                self._operator.system._kill()
            with contextlib.suppress(ActorflowError):
                unfreeze(world)
        finally:
            try:
                world.close()
                self.remove_stubs()
                if self.store is not None:
                    self.store.close()
            finally:
                patched.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if isinstance(error, SimulationFailure) and error.seed is None:
            error.seed = self.chooser.seed
        if error is None:
            self.check_all_came()
