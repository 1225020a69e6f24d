"""WorldLoad: the costs of handlers in one world, the cores of its hosts, and the record of its load."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.futures.future import Future
from actorflow.core.messages.execution import CURRENT, cause_of
from actorflow.core.messages.ref_table import REFS
from actorflow.core.refs.bounded_mailbox import BoundedMail
from actorflow.core.refs.cell import BUSY, READY
from actorflow.errors import DefinitionError
from actorflow.events.envelope import Envelope
from actorflow.events.log.member import MemberMailbox
from actorflow.sim.figures.job_rows import MOST_WAITING, JobRow
from actorflow.sim.figures.recording import RunRecording
from actorflow.sim.figures.tables import Figures, HostFigures
from actorflow.sim.load.costs import Costs, short_name
from actorflow.sim.load.handler_names import handler_name
from actorflow.sim.stubs import arguments, wait, wait_async
from actorflow.sim.world.cores import Cores, waits
from actorflow.sim.world.serving import NotedQueue, Serving
from actorflow.text import stable_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.core.messages.execution import Item
    from actorflow.core.refs.ref import ActorRef
    from actorflow.events.handlers import HandlerRule
    from actorflow.sim.load.costs import DeclaredCost
    from actorflow.sim.world.host import SimHost
    from actorflow.sim.world.scheduler import SimWorld
    from actorflow.tasks.execution import Attempt


WORDS: Final = 60  # characters that tell a message from others
PASSAGES: Final = 256  # messages between hosts that are kept for the diagram


class WorldLoad:
    """The load of one world. There is none until a cost, a number of cores or a record is asked for.

    Attributes:
        world: whose load it is.
        costs: of handlers and tasks.
        recording: notes the load; None: nobody asked for it.
        count: cores of a host that has no number of its own; None: as many as it needs.
    """

    def __init__(self, world: SimWorld) -> None:
        self.world = world
        self.costs = Costs()
        self.recording: RunRecording | None = None
        self.count: int | None = None
        self._cores: dict[SimHost, Cores] = {}
        self._own: set[SimHost] = set()  # whose number is their own
        self._workers: dict[tuple[SimHost, str], Cores] = {}  # of pools, by their paths

    # --- messages in memory ------------------------------------------------------------------------------------------

    def take(self, ref: Any) -> bool:
        """Have the cost of an actor's next message pass, before its handler runs; False: it costs none."""
        queue = ref._queue
        if ref._state != READY or not queue or ref._scheduler.is_killed:
            return False
        item: Item = queue[0]
        message = item[1]
        if type(message) is BoundedMail:
            message = ref._mail[0][1] if ref._mail else None
        name = handler_name(ref, message)
        recording = self.recording
        if name is None:
            if recording is not None:
                recording.handle(ref, item, "", cause_of(item))  # of a durable actor, it is known later
            return False
        cost = self.costs.of(ref.actor_class, name)
        label = f"{short_name(ref.actor_class)}.{name}"
        if cost is None:
            if recording is not None:
                recording.handle(ref, item, label, cause_of(item))
            return False
        queue.popleft()
        inner = ref._take() if type(item[1]) is BoundedMail else item
        ref._state = BUSY
        serving = Serving(self, inner, self.cores_of(ref), cost, label)
        serving.mail = item
        ref._waiting = serving
        serving.ask()
        return True

    def begin_serving(self, serving: Serving) -> float:
        """Note that a message is handled from now on, and return its cost: virtual seconds."""
        item = serving.item
        cause = cause_of(item)
        if self.recording is not None:
            self.recording.handle(item[0], serving.mail, serving.name, cause)
        return self._drawn(serving.cost, cause, lambda: told_by(item[1]))

    def _drawn(self, cost: DeclaredCost, cause: int | None, words: Callable[[], str]) -> float:
        """Return the cost of a message; an error of its distribution ends the run."""
        world = self.world
        try:
            return cost.seconds(world.chooser, cause, words)
        except DefinitionError as error:
            if world.failure is None:
                world.failure = error
            return 0.0

    # --- for durable actors and tasks: their handlers wait themselves ------------------------------------------------

    def begin(self, ref: ActorRef[Any], message: Any, rule: HandlerRule | None = None) -> None:
        """Have the cost of a message of a durable actor pass, in its handler's place."""
        name = rule.name if rule is not None else handler_name(ref, message)
        if name is None:
            return

        def begun() -> None:
            recording, label = self.recording, f"{short_name(ref.actor_class)}.{name}"
            if recording is None:
                return
            if isinstance(message, Envelope):  # of the event log
                recording.begin_event(ref, label, message.id, self._arrival(message.id, message.time))
            else:
                recording.name(ref, label)

        cost = self.costs.of(ref.actor_class, name)
        if cost is None:
            begun()
        else:
            self._wait(cost, [self.cores_of(ref)], begun, lambda: told_by(message))

    def _arrival(self, event_id: str, published: float) -> float:
        """Return when an event came into the log, or was to come: virtual seconds."""
        clock = self.world.clock
        return self.world.delayed.get(event_id, max(0.0, published - (clock.time() - clock.now)))

    def _still_waiting(self, ref: ActorRef[Any]) -> list[float]:
        """Return when the events came into the log that a durable service has not begun to handle."""
        box: Any = getattr(ref, "_box", None)
        store = self.world.store
        if self.recording is None or store is None or not isinstance(box, MemberMailbox) or not box.is_owner:
            return []
        begun = self.recording.begun.get(ref.path, ())
        return [self._arrival(row.id, row.at) for row in box.unhandled(store, MOST_WAITING) if row.id not in begun]

    def begin_task(self, attempt: Attempt[Any]) -> None:
        """Have the cost of a task pass; one of the pool takes a worker of it, too."""
        cost = self.costs.of_task(attempt.task)
        ref = running_here()
        if cost is None:
            self._note_task(attempt, ref)
        else:
            cores = self._cores_of_task(attempt, ref)
            self._wait(cost, cores, lambda: self._note_task(attempt, ref), lambda: attempt_words(attempt))

    async def begin_async_task(self, attempt: Attempt[Any]) -> None:
        """Have the cost of an `async def` task pass."""
        cost = self.costs.of_task(attempt.task)
        ref = running_here()
        if cost is None:
            self._note_task(attempt, ref)
            return
        cores = self._cores_of_task(attempt, ref)[-1]
        free: Future[None] = Future()
        use = cores.ask(lambda: free._settle(None, None))
        try:
            await free
            self._note_task(attempt, ref)
            seconds = self._drawn(cost, self.world.cause, lambda: attempt_words(attempt))
            for some in waits(self.world.clock, cores.host, seconds):
                await wait_async(some)
        finally:
            cores.leave(use)

    def _note_task(self, attempt: Attempt[Any], ref: ActorRef[Any] | None) -> None:
        if self.recording is not None and ref is not None:
            self.recording.name(ref, f"task {attempt.task.name}", JobRow.of(attempt, self.world.clock))

    def _wait(
        self, cost: DeclaredCost, several: list[Cores], begun: Callable[[], object], words: Callable[[], str]
    ) -> None:
        """Wait for a core of each of some, then for the cost to pass; outside of a handler no time passes."""
        execution = CURRENT.get()
        if execution is None or execution.is_between:
            return
        uses = []
        try:
            for cores in several:
                free: Future[None] = Future()
                uses.append((cores, cores.ask(lambda free=free: free._settle(None, None))))  # type: ignore[misc]
                if not free._done:
                    execution.block(free, None)
            begun()
            seconds = self._drawn(cost, self.world.cause, words)
            for some in waits(self.world.clock, several[-1].host, seconds):
                wait(self.world, some)
        finally:
            for cores, use in uses:
                cores.leave(use)

    # --- cores -------------------------------------------------------------------------------------------------------

    def cores_of(self, ref: ActorRef[Any]) -> Cores:
        """Return the cores of the host of an actor."""
        scheduler: Any = ref._scheduler
        return self.cores_at(scheduler.hosts_here.of(ref))

    def cores_at(self, host: SimHost) -> Cores:
        """Return the cores of a host."""
        cores = self._cores.get(host)
        if cores is None:
            cores = self._cores[host] = Cores(self.world.clock, host, self.count)
        return cores

    def _cores_of_task(self, attempt: Attempt[Any], ref: ActorRef[Any] | None) -> list[Cores]:
        found = []
        if attempt.task.cpu:
            found.append(self._workers_of(attempt))
        if ref is not None:
            found.append(self.cores_of(ref))
        return found

    def _workers_of(self, attempt: Attempt[Any]) -> Cores:
        """Return the workers of a pool: those of a node die with it."""
        pool = attempt.site.pool()
        scheduler: Any = attempt.site.scheduler
        main: SimHost = scheduler.hosts_here.main
        workers = self._workers.get((main, pool.path))
        if workers is None:
            workers = self._workers[main, pool.path] = Cores(self.world.clock, main, None)
        workers.count = pool.workers  # it may be another number by now
        return workers

    def give(self, count: int, host: SimHost | None) -> None:
        """Give a host so many cores; None: all that have no number of their own."""
        if host is not None:
            self.cores_at(host).count = count
            self._own.add(host)
            return
        self.count = count
        for other, cores in self._cores.items():
            if other not in self._own:
                cores.count = count

    # --- the record --------------------------------------------------------------------------------------------------

    def record(self, after: float) -> None:
        """Note the load from now on, and forget all notes of before a time again: of the warm-up.

        Raises:
            DefinitionError: it is noted already.
        """
        if self.recording is not None:
            raise DefinitionError("record(): the load of this run is recorded already")
        world = self.world
        self.recording = recording = RunRecording(world.clock)
        self._note_mailboxes(recording)
        if world.network.passages is None:
            world.network.passages = deque(maxlen=PASSAGES)
        if after > world.clock.now:
            world.timers.add(after, self._warm)

    def _note_mailboxes(self, recording: RunRecording) -> None:
        """Have the mailboxes that there are note each message that comes, and all others from now on."""
        schedulers = {ref._scheduler for ref in self._refs()}
        for scheduler in [self.world, *schedulers]:
            scheduler._free_queues.clear()
        for ref in self._refs():
            if ref._queue is not None:
                ref._queue = NotedQueue(recording.come, ref._queue)

    def _refs(self) -> list[Any]:
        """Return all actors of the world."""
        refs: list[Any] = list(REFS.by_uid.values())
        return [ref for ref in refs if getattr(getattr(ref, "_scheduler", None), "world", None) is self.world]

    def _warm(self) -> None:
        assert self.recording is not None
        self.recording.reset()
        for cores in [*self._cores.values(), *self._workers.values()]:
            cores.reset()

    def figures(self, diagram: str) -> Figures | None:
        """Return the figures so far; None: nobody asked for them."""
        recording = self.recording
        if recording is None:
            return None
        recording.look()
        seconds = self.world.clock.now - recording.begin
        hosts = {}
        for host, cores in self._cores.items():
            capacity = None if cores.count is None else cores.count * seconds
            part = cores.computed / capacity if capacity else None
            hosts[host.name] = HostFigures(host.name, cores.count, cores.computed, part)
        return Figures(
            recording.begin,
            recording.handlers(),
            recording.actors(self._still_waiting, self.world.store),
            hosts,
            len(recording.others),
            list(recording.spans),
            recording.left_out,
            diagram,
            {name: list(messages) for name, messages in recording.handled.items()},
        )


def running_here() -> ActorRef[Any] | None:
    """Return the actor whose handler runs here."""
    execution = CURRENT.get()
    return None if execution is None else execution.receiver


def told_by(message: Any) -> str:
    """Return the words that tell a message from others, of which no client event is known."""
    return f" of {stable_text(getattr(message, 'event', message), WORDS)}"


def attempt_words(attempt: Attempt[Any]) -> str:
    """Return the words that tell a job, or a step, from others: the number of a job depends on those before it."""
    key: str = attempt.owner.key
    return f"({arguments(*attempt.owner.arguments())})" if key.startswith("job-") else f" for {key}"
