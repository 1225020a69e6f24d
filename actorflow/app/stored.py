"""Stored systems: a system with a store, and all that lasts in it: queues, jobs and durable actors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, cast, overload

from actorflow.app.bounded import within
from actorflow.app.given_store import opened_one, register_heirs
from actorflow.app.settings import Settings
from actorflow.core.actors.actor import Actor
from actorflow.core.actors.traits import check_type
from actorflow.core.atomic import exclusively
from actorflow.core.clock import SystemClock
from actorflow.core.messages.execution import check_effect
from actorflow.core.refs.ref import ActorRef
from actorflow.core.system import System
from actorflow.errors import DefinitionError
from actorflow.store.store import open_store
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.actors.traits import Traits
    from actorflow.core.running.scheduler import Scheduler
    from actorflow.durable.node.dead_letters import DeadMail
    from actorflow.durable.node.runtime import DurableRuntime
    from actorflow.durable.node.stored_actors import StoredActors
    from actorflow.events.bus import EventBus
    from actorflow.events.envelope import Envelope
    from actorflow.events.log.event_log import EventLog
    from actorflow.queues.job import Job
    from actorflow.queues.limits import Limit
    from actorflow.queues.node.announcer import Waits
    from actorflow.queues.node.local_queue import LocalQueue
    from actorflow.queues.queue import Queue
    from actorflow.store.store import Store
    from actorflow.store.transaction import Durability
    from actorflow.workflows.dag.definition import Dag
    from actorflow.workflows.dag.memory_run import MemoryRun
    from actorflow.workflows.dag.node import Results
    from actorflow.workflows.node.run_node import RunNode
    from actorflow.workflows.run import Run
    from actorflow.workflows.schedules import RunSchedule
    from actorflow.workflows.stored_runs import StoredRuns
    from actorflow.workflows.workflow import AnyWorkflow, AsyncWorkflow, Workflow

A = TypeVar("A", bound=Actor)
P = ParamSpec("P")
R = TypeVar("R")

SERVER_SECONDS = 30.0  # for a server that starts at the same time as the program
CLOSE_SECONDS = 2.0  # for the last commits, though the grace time is over
LOOK_SECONDS = 0.5  # between two looks at the store for the end of a job, should no news of a commit come


class StoredSystem(System):
    """A system whose queues and durable actors are in a store, which is opened at first use."""

    def __init__(
        self, name: str, scheduler: Scheduler, settings: Settings, store: str | Store, durability: Durability | None
    ) -> None:
        self.settings = settings
        super().__init__(name, scheduler)
        self._url = store if isinstance(store, str) else None  # of a store that it opens itself
        self.tasks: frozenset[str] | None = None  # names of those that it runs; None: all that are imported
        self._durability: Durability | None = durability
        self._store: Store | None = None if isinstance(store, str) else self._share(store)
        self._store_lock = scheduler.mutex()
        self._news: ActorRef[Any] | None = None  # hears of commits of other systems on the store
        self.local_queues: dict[str, LocalQueue] = {}
        self.workflows: frozenset[str] | None = None  # names of those that it runs; None: all that are imported
        self.run_node: RunNode | None = None  # the runs of this process, made at first use
        self.memory_runs: dict[str, MemoryRun] = {}  # of DAGs, that are not over
        scheduler.place_durable = self._place_durable
        scheduler.keep_event = self._keep_event
        self._hears_of_log = False  # it looks for the first consumer of the log after each commit of others

    @property
    def store(self) -> Store:
        """The store of the system, opened at first use."""
        store = self._store
        if store is not None:
            return store
        self.scheduler.check_usable()
        waits = self._patience()  # from now on, though another thread may be the one that opens it
        return exclusively(self._store_lock, lambda: self._open_store(waits))

    def _open_store(self, waits: Callable[[], bool]) -> Store:
        if self._store is None:
            assert self._url is not None
            durability = self._durability or "power"
            patience = self.settings.store_patience
            opened = opened_one(open_store(self._url, durability=durability, waits=waits, patience=patience))
            try:
                opened.check_admits(self.name, is_virtual=self.scheduler.is_virtual)
            except DefinitionError:
                opened.close()
                raise
            if self.scheduler.is_virtual:
                self._store = self._share(opened, is_owner=True)
            else:
                opened.owner = self.name
                register_heirs(opened)
                self._store = opened
        return self._store

    def _share(self, store: Store, *, is_owner: bool = False) -> Store:
        """Return the side of a store that this system has, beside those of others."""
        from actorflow.store.system_store import SystemStore  # noqa: PLC0415 - most systems are alone

        clock, shared = self.scheduler.clock, opened_one(store)
        kind = shared.side_class or SystemStore
        side = kind(shared, self.name, clock, self._soon, self._durability, is_owner=is_owner)
        register_heirs(side)
        return side

    def _soon(self, act: Callable[[], None]) -> None:
        """Have a function called that reads the store, in an actor of its own: another thread may be in the store."""
        from actorflow.store.clerk import clerk_of, give  # noqa: PLC0415 - most systems are alone

        if self._news is None:
            self._news = clerk_of(self.scheduler, "news")
        give(self._news, act)

    def _patience(self) -> Callable[[], bool]:
        """Return a function that says whether to wait on for a server that is starting."""
        end = SystemClock.monotonic() + SERVER_SECONDS
        return lambda: not self._stopping and SystemClock.monotonic() < end

    def queue(
        self,
        name: str,
        *,
        workers: int = 0,
        concurrency: int | None = None,
        rate: str | None = None,
        per_key: Limit | None = None,
        durability: Durability | None = None,
    ) -> Queue:
        """Return the queue of that name on the system's store.

        Args:
            name: the queue's name; all processes that use it on the store share the queue.
            workers: the number of jobs to run at once in this process; 0 only enqueues.
            concurrency: jobs at once over all processes.
            rate: jobs in a time over all processes, such as "100/m".
            per_key: limits of the jobs of each key.
            durability: "power" or "process", in place of the store's.

        >>> import actorflow as af
        >>> @af.task
        ... def double(n: int) -> int:
        ...     return 2 * n
        >>> with af.ActorSystem("demo") as system:
        ...     jobs = system.queue("numbers", workers=1)
        ...     jobs.enqueue(double, 21).result(timeout=10)
        42

        Raises:
            DefinitionError: an argument makes no sense.
        """
        from actorflow.queues.opening import open_queue  # noqa: PLC0415 - most systems have no queue

        return open_queue(self, name, workers, concurrency, rate, per_key, durability)

    def get_job(self, id: str, /) -> Job[Any]:
        """Return a handle on a job by its id, from any process on the store. Its methods say whether the job exists.

        Raises:
            DefinitionError: no job has such an id: it is a number.
        """
        from actorflow.queues.job import Job, check_id  # noqa: PLC0415 - most systems have no queue

        return Job(self.store, self.waits, check_id(id))

    @overload
    def start(self, dag: Dag, /) -> Run[Results]: ...
    @overload
    def start(self, workflow: Workflow[P, R] | AsyncWorkflow[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Run[R]: ...
    @overload
    def start(self, workflow: str, /, *args: Any, **kwargs: Any) -> Run[Any]: ...
    def start(self, workflow: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Start a run of a workflow, which is in the store when this returns; or of a DAG, in this process alone.

        A process that knows the workflow runs it: this one, if it does. If that process dies, another one goes on with
        it, or the next one that starts on the store. A run of a DAG ends with its system.

        Args:
            workflow: a function with `@af.workflow`, maybe with options: `publish.options(id="paris")`; or its name; or
                an `af.Dag`.
            args: its arguments; a DAG has none.
            kwargs: its arguments by name.

        Raises:
            DefinitionError: arguments that do not fit, a mistake in the DAG, or another run has the id.
            PayloadError: an argument cannot be stored.
        """
        from actorflow.workflows.opening import start_run  # noqa: PLC0415 - most systems have no runs

        check_effect("system.start()")
        if hasattr(type(workflow), "start_in"):
            if not workflow.durable:
                return workflow.start_in(self, *args, **kwargs)
            workflow = workflow.as_workflow()
        return start_run(self, workflow, args, kwargs)

    def cron(
        self,
        cron: str,
        workflow: Workflow[..., Any] | AsyncWorkflow[..., Any] | Dag,
        /,
        *,
        args: Sequence[Any] = (),
        tz: str = "UTC",
        catch_up: Literal["skip", "latest", "all"] = "skip",
        name: str | None = None,
    ) -> RunSchedule:
        """Start a run of a workflow or a durable DAG at the times of a cron expression, once for all that declare it.

        The id of a run is the schedule's name, "@" and the time in UTC. The result has `backfill(begin, end)`, which
        starts the runs of a range that has passed.

        Args:
            cron: five fields, or six with seconds in front, as in Debian's cron: ``"0 6 * * *"``.
            workflow: maybe with options, such as `.options(deadline=3600)`.
            args: its arguments; a DAG has none.
            tz: name of the time zone.
            catch_up: the fate of times that passed while no process ran: "skip" leaves them out, "latest" starts a run
                for the last of them, "all" for each.
            name: the store's name for it, in place of workflow and expression: then these may be changed.

        Raises:
            DefinitionError: the expression, the zone, the workflow or the arguments make no sense.
        """
        from actorflow.workflows.schedules import declare  # noqa: PLC0415 - most systems have no runs

        return declare(self, cron, workflow, args, tz, catch_up, name)

    def get_run(self, id: str, /) -> Run[Any]:
        """Return a handle on a run by its id, from any process on the store. Its methods say whether the run exists.

        A DAG's run in memory is found until it is over, in the system that has started it.
        """
        from actorflow.workflows.opening import get_run  # noqa: PLC0415 - most systems have no runs

        return get_run(self, id)

    def runs(self, workflow: AnyWorkflow | str | None = None, *, status: str | None = None) -> StoredRuns:
        """Return the runs in the store, of this system and of others: to list, count and remove them.

        Args:
            workflow: only runs of this one, or of one of this name.
            status: only runs of this status: "running", "completed", "failed" and so on.

        Raises:
            DefinitionError: there is no such status.
        """
        from actorflow.workflows.stored_runs import StoredRuns  # noqa: PLC0415 - most systems have no runs

        return StoredRuns(self.store, workflow, status)

    def deliver(self, ref: ActorRef[Any], message: Any, /, *, id: str) -> bool:
        """Send a message to a durable actor, once for each `id`, however often this is called.

        It is made for sources that send at least once: a broker, a webhook, a client that tries again. The id and the
        message are one commit, which is made when this returns.

        >>> system.deliver(account, Deposit(500), id="payment-17")  # doctest: +SKIP
        True

        Args:
            ref: the ref of a durable actor, on this node or another.
            message: as `tell` takes it.
            id: the sender's own; the receiver knows it for a week.

        Returns:
            False if the actor was sent a message of that id before; then this one is dropped.

        Raises:
            DefinitionError: the actor is not durable, or this is called in the handler of one, where `tell` is enough.
            ActorDeadError, MailboxFull, PayloadError, StoreError: as of `tell`; the id is as unknown as before.
        """
        check_effect("system.deliver()")
        from actorflow.durable.ref import DurableRef  # noqa: PLC0415 - most systems have no durable actor

        check_type("id", id, str)
        if not isinstance(ref, DurableRef) or not id:
            msg = f"deliver({ref}, id={text_of(id)}): give the ref of a durable actor, and an id that is not empty"
            raise DefinitionError(msg)
        from actorflow.tasks.options import check_text  # noqa: PLC0415 - as above

        check_text("id", id)
        return ref.deliver(message, id)

    @property
    def dead_mail(self) -> DeadMail:
        """The messages of durable actors that no try could handle: list them, send them again, remove them."""
        from actorflow.durable.node.dead_letters import DeadMail  # noqa: PLC0415 - most systems have no durable actor
        from actorflow.durable.opening import runtime_of  # noqa: PLC0415 - as above

        return DeadMail(self.store, lambda: runtime_of(self.scheduler, lambda: self.store))

    @property
    def event_log(self) -> EventLog:
        """The event log of the store: its events, dead ones, and its consumers, which are the durable services."""
        from actorflow.durable.opening import runtime_of  # noqa: PLC0415 - most systems have no event log
        from actorflow.events.log.event_log import EventLog  # noqa: PLC0415 - as above

        return EventLog(self.store, lambda: runtime_of(self.scheduler, lambda: self.store))

    @property
    def stored_actors(self) -> StoredActors:
        """The durable actors in the store, of this system and of others: list them, see their mail, delete them."""
        from actorflow.durable.node.stored_actors import StoredActors  # noqa: PLC0415 - most systems have no durable actor

        return StoredActors(self.store, lambda: cast("DurableRuntime | None", self.scheduler.durable))

    def durable(self, name: str, cls: type[A], /) -> ActorRef[A]:
        """Return a ref to a durable actor by its name, also in a process that does not spawn it, or before one does.

        A message sent through it is a row of the store. The process that has the actor handles the message, or the next
        one that spawns the actor; the answer to a `call` comes back as a row.

        >>> system.durable("ann", Account).call(Account.deposit, 500).get(timeout=10)  # doctest: +SKIP
        500

        Args:
            name: the actor's path below its system, such as "ann", or "sales/ann" under a supervisor named "sales".
            cls: its class, for the types of `call`, and to find methods by.

        Raises:
            DefinitionError: the name is no such path, or the class is no actor.
        """
        from actorflow.durable.opening import ref_by_name  # noqa: PLC0415 - most systems have no durable actor

        return ref_by_name(self.scheduler, lambda: self.store, name, cls)

    @cached_property
    def waits(self) -> Waits:
        """The waits for jobs in this system."""
        from actorflow.queues.node.announcer import Waits  # noqa: PLC0415 - most systems have no queue
        from actorflow.store import codec  # noqa: PLC0415 - it needs msgspec
        from actorflow.tasks.task import KnownTasks  # noqa: PLC0415 - as above

        def read(data: bytes) -> object:
            has_refs = b'"$' in data and (b'"$actor"' in data or b'"$reply"' in data)
            return self._read_with_refs(data) if has_refs else codec.decode(data)

        scheduler, limit = self.scheduler, int(self.settings.payload_limit)
        alone = scheduler.is_virtual or self.store.is_alone  # in virtual time each commit of others tells of itself
        waits = Waits(scheduler.clock, None if alone else LOOK_SECONDS, scheduler.call_later, read, limit)
        waits.home = scheduler if scheduler.is_virtual else None
        waits.known = KnownTasks(self.tasks)
        self.store.watch(waits.look)
        return waits

    def _read_with_refs(self, data: bytes) -> object:
        """Return an argument or a result of a job that may have refs; one of a durable actor is of this system."""
        from actorflow.durable.opening import runtime_of  # noqa: PLC0415 - most jobs have no refs
        from actorflow.durable.rows.payload import read  # noqa: PLC0415 - as above

        return read(runtime_of(self.scheduler, lambda: self.store), data)

    def _keep_event(self, envelope: Envelope, delay: float) -> bool:
        """Put an event into the event log if that is in use: if the store has a durable service; and say so.

        In memory nobody but this system can have one, and that has told the bus of its log.
        """
        bus = cast("EventBus", self.scheduler.bus)
        bus.keep = None  # until there is one; first, as another process may make one just now
        if self._url == "memory:" and self.scheduler.durable is None:
            return False
        from actorflow.events.log.opening import find_log  # noqa: PLC0415 - most systems have no durable services

        if not self._hears_of_log:
            self._hears_of_log = True
            self.store.watch(self._look_for_log)
        log = find_log(self.scheduler, lambda: self.store, self.settings)
        return log is not None and log.keep(envelope, delay)

    def _look_for_log(self) -> None:
        """Have the next event look for the log, unless that is known."""
        bus = cast("EventBus | None", self.scheduler.bus)
        if bus is not None and bus.keep is None:
            bus.keep = self._keep_event

    def _place_durable(self, path: str, traits: Traits) -> tuple[type[ActorRef[Any]], Traits]:
        if traits.actor_class._is_service:
            from actorflow.events.log.opening import place_service  # noqa: PLC0415 - most durable actors are no services

            return place_service(self.scheduler, lambda: self.store, self.settings, path, traits)
        from actorflow.durable.opening import place_durable  # noqa: PLC0415 - most systems have no durable actor

        return place_durable(self.scheduler, lambda: self.store, path, traits)

    def _end_threads(self) -> None:
        super()._end_threads()
        if self._store is None:
            return
        self._store.hurry()  # the grace is over: a server that is gone is not waited for
        if self.scheduler.is_virtual or self._store.is_alone:  # nobody else can hold it
            self._close_store()
        else:
            within(max(CLOSE_SECONDS, self._left()), self._close_store, f"{self.name}: its store did not close")

    def _close_store(self) -> None:
        if self.run_node is not None:
            self.run_node.close()
        durable = cast("DurableRuntime | None", self.scheduler.durable)
        if durable is not None:
            durable.close()
        exclusively(self._store_lock, self._close_queues_and_store)

    def _close_queues_and_store(self) -> None:
        if self._store is not None:
            for local in self.local_queues.values():
                local.close()
            self._store.close()
            waits: Waits | None = self.__dict__.get("waits")
            if waits is not None:
                waits.close()
