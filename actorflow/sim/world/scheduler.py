"""Scheduler of a simulated world: one order of steps for all nodes, chosen and hashed."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any

from actorflow.core.drivers.parked import Parked
from actorflow.core.drivers.unwinding import LIBRARY, PACKAGE, PACKAGES
from actorflow.core.drivers.virtual import ENTRIES
from actorflow.core.drivers.virtual_waits import is_real
from actorflow.core.drivers.world import World, WorldScheduler
from actorflow.core.futures.thread_wait import DRIVERS, wait_outside
from actorflow.core.messages.execution import cause_of
from actorflow.core.messages.ref_table import REFS
from actorflow.core.refs.ref import ActorRef
from actorflow.core.running.async_handler import AsyncHandler
from actorflow.core.running.run_queue import Ahead
from actorflow.errors import DefinitionError
from actorflow.sim.choices.schedules import BITS, PICK, Priorities, Random, schedule_of
from actorflow.sim.failure import NotSimulated
from actorflow.sim.world.host import HostLoops
from actorflow.sim.world.network import Network
from actorflow.sim.world.refs import SIM_KINDS
from actorflow.sim.world.serving import NotedQueue, Serving
from actorflow.sim.world.trail import Trail

if TYPE_CHECKING:
    import random
    from collections import deque
    from collections.abc import Callable, Iterator

    from actorflow.core.drivers.virtual_loop import VirtualLoop
    from actorflow.core.drivers.virtual_threads import Given, VirtualThread
    from actorflow.core.futures.future import Future
    from actorflow.core.messages.execution import Item
    from actorflow.sim.choices.chooser import Chooser
    from actorflow.sim.world.host import NodeHosts, SimHost
    from actorflow.sim.world.network import Active
    from actorflow.sim.world.serving import LoadOfWorld
    from actorflow.sim.world.store import SimStore


class SimWorld(World):
    """Runs the steps of all nodes in an order that the chooser chooses.

    Attributes:
        chooser: makes all choices.
        network: brings messages from host to host.
        load: what handlers cost, and the record of it; None: nobody asked for either.
        store: of all nodes.
        delayed: when events that were published with a delay are delivered, by their ids.
        client_events: how many there were.
        entered: those that happened, in words, if they are noted.
        held: locks that handlers hold, and whose actors.
        is_calm: the last fault has healed, and all that is waited for is to come.
        frozen: waits of handlers whose hosts died, and where these run: they are ended after the last check.
        frozen_loops: asyncio loops of hosts that died.
        frozen_ends: end the frames of other code that was running on them.
    """

    def __init__(self, chooser: Chooser, *, step_limit: int | None, turn_seconds: float | None) -> None:
        super().__init__(seed=chooser.seed, step_limit=step_limit, turn_seconds=turn_seconds)
        self.chooser = chooser
        self.network = Network(self, chooser)
        self.load: LoadOfWorld | None = None  # pyright: ignore[reportIncompatibleVariableOverride]
        self.store: SimStore | None = None
        self.delayed: dict[str, float] = {}
        self.client_events = 0
        self.entered: list[str] | None = None
        self.is_called = False  # a client event is under way: what it sends is part of it
        self.is_looked_at = False  # by checks, which are not to send
        self._trail = Trail(chooser.taken[PICK])
        self._note_step = self._trail.steps.append
        self.frozen: dict[Any, Any] = {}
        self.frozen_loops: list[VirtualLoop] = []
        self.frozen_ends: list[Callable[[], object]] = []
        self.held: dict[Any, ActorRef[Any]] = {}
        self.late: list[Any] = []  # entries of hosts that are paused
        self.any_paused = self.is_calm = False
        self._first_uid = next(REFS.uids)
        self._schedule = schedule_of(chooser, name_of)
        if isinstance(self._schedule, Random):
            # To take an entry out of the midst of a list takes a half of the time, of a long one a third.
            self.ready = []  # type: ignore[assignment]  # no deque: nobody takes its first one

    def refuse(self, future: Future[Any], timeout: float | None) -> None:
        """Refuse a wait of a check, or of a client: nothing else would run meanwhile."""
        if is_real(future):
            wait_outside(future, timeout)
            return
        raise DefinitionError(
            "a check waits, or a function of a client that is to return at once; nothing else would run meanwhile: let "
            "a check look at actors by sim.peek(actor), and have actors wait for actors"
        )

    def check_run(self) -> None:
        """Look, between two steps, whether the run is to end with an error; what a check sends meanwhile is noted."""
        self.is_looked_at = True
        try:
            super().check_run()
        finally:
            self.is_looked_at = False

    def calm(self) -> None:
        """Have any order from now on: the last fault has healed, and a schedule that starves would prove nothing."""
        self.is_calm = True
        if isinstance(self._schedule, Priorities):
            self._schedule.is_over = True

    # --- client events -----------------------------------------------------------------------------------------------

    def is_entered(self) -> bool:
        """Say whether a message that no actor sends is a client event of its own: the test, or a check, sends it."""
        return self.is_looked_at or (threading.get_ident() == self.driver_thread and not self.is_called)

    @contextlib.contextmanager
    def one_event(self, words: Callable[[], str]) -> Iterator[bool]:
        """Have all that is sent within be one client event; False if it is left out of this run."""
        if not self.begin_event(words):
            yield False
            return
        was, self.is_called = self.is_called, True
        try:
            yield True
        finally:
            self.is_called, self.cause = was, None

    def begin_event(self, words: Callable[[], str], *, is_asked: bool = False) -> bool:
        """Number a client event; False if it is left out of this run. One whose answer is waited for is not."""
        self.client_events += 1
        if not is_asked and f"event {self.client_events}" in self.chooser.left_out:
            return False
        if self.entered is not None:
            self.entered.append(f"client event {self.client_events} at {self.clock.now:g} s: {words()}")
        self.cause = self.client_events
        return True

    def add_words(self, words: Callable[[], str]) -> None:
        """Note the sends of a client event, if such events are noted."""
        if self.entered:
            self.entered[-1] += words()

    # --- steps -------------------------------------------------------------------------------------------------------

    @property
    def digest(self) -> int:
        """The digest of all steps so far: two runs that took the same ones have the same."""
        return self._trail.digest()

    def tidy(self) -> None:
        """Collect garbage, and make the trail of the steps short."""
        super().tidy()
        self._trail.fold()

    def picker(self) -> Callable[[], Any]:
        """Return the function that chooses the next entry to run, and notes it in the trail of the steps."""
        schedule: Any = self._schedule
        if not isinstance(schedule, Random):
            return self.pick
        ready: Any = self.ready
        draw, drawn, note, first = schedule.draw, schedule.drawn.append, self._note_step, self._first_uid

        def pick() -> Any:
            """Do as `pick` of the world does, without its calls and its lookups: a tenth of a tell's time."""
            count = len(ready)
            if count == 1:
                entry = ready.pop()
            else:
                index = draw(BITS) % count
                drawn(index)
                entry = ready.pop(index)
            if entry.__class__ not in ENTRIES and (uid := entry.uid):
                note(uid - first)
            else:
                note(name_of(entry, first))
            return entry

        return pick

    def pick(self) -> Any:
        """Choose the next entry to run, and note it in the trail of the steps."""
        ready = self.ready
        index = 0 if len(ready) == 1 else self._schedule(ready)
        entry = ready[index]
        del ready[index]
        self._note_step(name_of(entry, self._first_uid))
        return entry

    def new_queue(self) -> deque[Item]:
        """Return an empty queue; one that notes what comes while the load is recorded."""
        recording = None if self.load is None else self.load.recording
        if recording is None or self._free_queues:
            return super().new_queue()
        return NotedQueue(recording.come)

    def end_sleep(self) -> bool:
        """Wake the driver if it sleeps and nothing more is due until then. Time may pass now."""
        if self.load is not None and self.load.recording is not None:
            self.load.recording.look()
        return super().end_sleep()

    def advance(self) -> bool:
        """Jump to the next timer, if there is one, and note the time in the trail of the steps."""
        has_advanced = super().advance()
        if has_advanced:
            self._note_step(hash(self.clock.now))
        return has_advanced

    def start(self, worker: VirtualThread, entry: Any) -> Any:
        """Run an entry, unless its host is paused or dead."""
        if entry in self.frozen:
            return None
        if self.any_paused and self._is_late(entry):
            self.late.append(entry)
            return None
        self.cause = None
        if self.load is not None and isinstance(entry, ActorRef) and self.load.take(entry):
            return None
        return super().start(worker, entry)

    def unpack(self, entry: Any) -> tuple[ActorRef[Any] | None, Any]:
        """Return actor and message of an entry of the run queue; the cost of a message may have passed by now."""
        if entry.__class__ is not Serving:
            return super().unpack(entry)
        item = entry.taken()
        return (None, None) if item is None else (item[0], item)

    def close(self) -> None:
        """End the world, and take its actors out of the registry: nobody has buried those of nodes that were killed."""
        super().close()
        for uid, ref in list(REFS.by_uid.items()):
            if getattr(getattr(ref, "_home", None), "world", None) is self:
                REFS.by_uid.pop(uid, None)

    def _is_late(self, entry: Any) -> bool:
        ref = ref_of(entry)
        scheduler: Any = None if ref is None else ref._scheduler
        pauses = () if scheduler is None else scheduler.hosts_here.of(ref).pauses
        for fault in pauses:
            fault.touched = True
        return bool(pauses)

    def pause(self, hosts: list[SimHost], fault: Active) -> None:
        """Have hosts run nothing."""
        for host in hosts:
            host.pause(fault, self.clock.now)
        self.any_paused = self.detours = True

    def unpause(self, hosts: list[SimHost], fault: Active) -> None:
        """Have hosts run again, with the messages that came to them meanwhile."""
        for host in hosts:
            host.unpause(fault, self.clock.now)
        late, self.late = self.late, []
        self.ready.extend(late)


class SimScheduler(WorldScheduler):
    """The scheduler of one simulated node.

    Attributes:
        number: of the node.
        hosts_here: its hosts.
        on_made: is called with the system, as soon as there is one.
    """

    _world: SimWorld

    @property
    def world(self) -> SimWorld:
        """The world that runs the steps of this node."""
        return self._world

    def __init__(self, world: SimWorld, hosts: NodeHosts, *, name: str, ask_timeout: float | None) -> None:
        self.number = hosts.node
        self.hosts_here = hosts
        self.on_made: Callable[[Any], object] = lambda _: None
        thread = threading.get_ident()
        drive = DRIVERS.get(thread)
        super().__init__(world, name=name, ask_timeout=ask_timeout)
        if drive is not None and thread != world.driver_thread:  # a node is started in the midst of a run
            DRIVERS[thread] = drive
        self.driver_thread = world.driver_thread
        self.kinds = SIM_KINDS
        self.note_event = world.note_event
        self.load = world.load

    def end_later(self, end: Callable[[], object]) -> None:
        """Have frozen frames of this node ended after the last check."""
        self.world.frozen_ends.append(end)

    def new_queue(self) -> deque[Item]:
        """Return an empty queue, as the world has them."""
        return self._free_queues.pop() if self._free_queues else self.world.new_queue()

    def random_for(self, path: str) -> random.Random:
        """Return the random numbers of an actor: on each node others, or all would draw the same."""
        return super().random_for(path if self.number == 0 else f"{self.number}{path}")

    def time_for(self, ref: ActorRef[Any]) -> float:
        """Return seconds since the epoch by the clock of an actor's host."""
        return self.clock.time() + self.hosts_here.of(ref).skew()

    def real_time(self, why: str) -> DefinitionError:  # noqa: ARG002 - it names the line
        """Return the error of a call of an asyncio loop that takes real time; the run fails by it."""
        frame = sys._getframe(1)
        while frame.f_back is not None and not is_callers(frame.f_code.co_filename):
            frame = frame.f_back
        what = "asyncio opens a connection, or starts a process or a thread"
        error = NotSimulated(what, frame.f_code.co_filename, frame.f_lineno)
        if self.world.failure is None:
            self.world.failure = error
        return error

    def refused_wait(self, ref: ActorRef[Any], future: Future[Any]) -> DefinitionError | None:
        """Return the error of a handler's wait for a live system or a pool; the run fails by it."""
        error = super().refused_wait(ref, future)
        if error is not None and self.world.failure is None:
            self.world.failure = error
        return error

    def loop_of(self, ref: ActorRef[Any], make: Callable[[Any], Any]) -> Any:
        """Return the asyncio loop of an actor's host: it dies with it."""
        host = self.hosts_here.of(ref)
        if host.loop is None or host.loop.loop.scheduler is not self:
            host.loop = make(self)
            self.loop_thread = self.loop_thread or HostLoops(self.hosts_here)
        return host.loop

    def run_entry(self, worker: VirtualThread, given: Given) -> None:
        """Run a handler, or a step of one, in the name of the client event that it comes of."""
        self.world.cause = cause_of(given[2])
        super().run_entry(worker, given)

    def park(self, parked: Parked, timeout: float | None) -> None:
        """Wait; the handler goes on in the name of the same client event."""
        cause = self.world.cause
        try:
            super().park(parked, timeout)
        finally:
            self.world.cause = cause

    def kill(self) -> None:
        """End as by kill -9: no handler goes on; their frames are ended after the last check."""
        from actorflow.sim.world.crash import freeze_all  # noqa: PLC0415 - it is made of schedulers

        self.is_killed = True
        freeze_all(self)
        self.end_own_threads()
        self.close()


def is_callers(file: str) -> bool:
    """Say whether a file has the code of a user: neither the runtime's nor the library's."""
    if file.startswith(LIBRARY):
        return any(map(file.__contains__, PACKAGES))
    return not file.startswith(PACKAGE)


def ref_of(entry: Any) -> ActorRef[Any] | None:
    """Return the actor of an entry of the run queue."""
    kind = entry.__class__
    if kind is Parked:
        return None if entry.item is None else entry.item[0]
    if kind is AsyncHandler:
        return entry.resume_item[0]  # type: ignore[no-any-return]
    if kind is Ahead:
        return entry.item[0]  # type: ignore[no-any-return]
    if kind is Serving:
        return entry.item[0]  # type: ignore[no-any-return]
    return entry if hasattr(entry, "uid") else None


def name_of(entry: Any, first: int = 0) -> int:
    """Return the number of the actor of an entry, counted from `first`; -1: none has it; -2: the runtime's own."""
    try:
        uid: int = entry.uid  # of a ref, as most are
    except AttributeError:
        ref = ref_of(entry)
        if ref is None:
            return -1
        uid = ref.uid
    return uid - first if uid else -2
