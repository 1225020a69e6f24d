"""ActorSystem: where actors live."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, overload

import actorflow.supervision.restarts  # noqa: F401 - children of all systems restart by its rules
from actorflow.app.given_store import check_durability, check_store, check_time
from actorflow.app.settings import Settings
from actorflow.app.signals import draining_by_signals
from actorflow.app.stored import StoredSystem
from actorflow.app.subscribers import Subscribers
from actorflow.app.tree import Tree, draw
from actorflow.core.actors.actor import Actor
from actorflow.core.atomic import exclusively
from actorflow.core.drivers.live import LiveScheduler
from actorflow.core.futures.future import Future
from actorflow.core.messages.events import Subscription
from actorflow.core.messages.execution import check_effect
from actorflow.core.messages.messages import Call, Crashed, DeadLetter, Restarted, Started, Stopped
from actorflow.core.refs.ref import ActorRef
from actorflow.core.running.scheduler import Scheduler
from actorflow.core.running.system_task import completed_within
from actorflow.errors import DefinitionError, HostDied
from actorflow.process.hosts.link.lookup import ask_host, walk
from actorflow.process.pool.pool import ProcessPool
from actorflow.process.pool.setup import check_positive, check_setup
from actorflow.supervision.window import RestartWindow
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.actors.child import Child
    from actorflow.core.running.drain import Drain
    from actorflow.events.bus import EventBus
    from actorflow.process.options import Process
    from actorflow.process.pool.setup import Setup
    from actorflow.store.store import Store
    from actorflow.store.transaction import Durability
    from actorflow.tasks.site import TaskSite

P = ParamSpec("P")
A = TypeVar("A", bound=Actor)
E = TypeVar("E")

FIND_SECONDS = 5.0  # for the answer of a host
EVENTS = (Started, Crashed, Restarted, Stopped, DeadLetter)


class ActorSystem(StoredSystem):
    """A tree of actors with one run queue. A ``with`` block drains it at its end.

    A program may have several; each has its own threads, clock and supervision. Actors that are spawned here are
    `temporary` unless their options say otherwise: put actors that must be restarted under an `af.Supervisor`.

    >>> import actorflow as af
    >>> class Echo(af.Actor):
    ...     def on_receive(self, message):
    ...         return message
    >>> with af.ActorSystem("demo") as system:
    ...     system.spawn(Echo).ask("hello")
    'hello'
    """

    def __init__(
        self,
        name: str,
        *,
        store: str | Store = "memory:",
        durability: Durability | None = None,
        settings: Settings | None = None,
        scheduler: Scheduler | None = None,
    ) -> None:
        """Start a system.

        Args:
            name: first part of all paths.
            store: the place of queues and durable actors: "memory:", "sqlite:///file.db", "postgresql://...", which the
                system opens and closes; or a store that `open_store` has opened, for several systems.
            durability: the failure that a commit outlives: "power", or "process": kill -9 only, and much faster. None:
                "power", or as the given store was opened.
            settings: see `Settings`.
            scheduler: a virtual scheduler, for tests (`actorflow.testing` makes one).
        """
        check_name(name)
        if settings is not None and not isinstance(settings, Settings):
            msg = f"settings={settings!r}: give an af.Settings"
            raise DefinitionError(msg)
        check_store(store)
        check_durability(durability)
        check_scheduler(scheduler)
        check_time(store, name, is_virtual=scheduler is not None and scheduler.is_virtual)
        settings = settings if settings is not None else Settings()
        if scheduler is None:
            scheduler = LiveScheduler(
                name=name,
                ask_timeout=settings.ask_timeout,
                threads=settings.threads,
                move_baton=settings.move_baton,
            )
        elif settings.ask_timeout is not None:
            scheduler.ask_timeout = settings.ask_timeout
        scheduler.max_threads = min(scheduler.max_threads, settings.threads)
        scheduler.send_limit = int(settings.send_limit)
        scheduler.payload_limit = int(settings.payload_limit)
        super().__init__(name, scheduler, settings, store, durability)
        self.root.window = RestartWindow(settings.intensity, settings.period)  # type: ignore[attr-defined]
        self.root.give_up = self.fail  # type: ignore[attr-defined]
        self.grace = settings.grace
        self._subscribers = Subscribers(scheduler, self.name)
        self._pools: dict[str, ProcessPool] = {}
        self._pools_lock = scheduler.mutex()
        self._site: TaskSite | None = None  # of the steps of runs

    # --- actors ------------------------------------------------------------------------------------------------------

    @overload
    def spawn(self, child: Child[A], /) -> ActorRef[A]: ...
    @overload
    def spawn(self, cls: Callable[P, A], /, *args: P.args, **kwargs: P.kwargs) -> ActorRef[A]: ...
    def spawn(self, child: Any, /, *args: Any, **kwargs: Any) -> ActorRef[Any]:
        """Start an actor: `spawn(Class, ...)` or `spawn(af.child(Class, ...).options(...))`.

        The constructor runs in this thread. Returns once `on_start` has ended; for a supervisor, once its tree is up.

        Raises:
            DefinitionError: the arguments do not fit, the class is no actor, or the name is taken.
            Exception: the error of the constructor or `on_start`; nothing is left of the actor then.
        """
        check_effect("system.spawn()")
        spawn_child: Callable[..., ActorRef[Any]] = self.root.spawn_child  # type: ignore[attr-defined]
        return spawn_child(child, args, kwargs)

    @overload
    def find(self, path: str, /) -> ActorRef[Any] | None: ...
    @overload
    def find(self, path: str, cls: type[A], /) -> ActorRef[A] | None: ...
    def find(self, path: str, cls: type[Any] | None = None, /) -> ActorRef[Any] | None:
        """Return the living actor at a path such as "/demo/sales/order-7", or None.

        Below an actor in a host, the host is asked.

        Raises:
            DefinitionError: the actor there is of another class than `cls`.
            AskTimeout: a host did not answer within five seconds.
        """
        check_effect("system.find()")
        parts = path.split("/")
        if len(parts) < 3 or parts[0] or parts[1] != self.name:
            return None
        ref, left = walk(self.root.find(parts[2]), parts[3:])
        if ref is not None and left:
            answer = ask_host(ref, "find below", left)
            try:
                ref = answer.get(timeout=FIND_SECONDS) if answer is not None else None
            except HostDied:
                return None
        if cls is not None and ref is not None and not issubclass(ref.actor_class, cls):
            msg = f"{path} is of class {ref.actor_class.__name__}, not {cls.__name__}"
            raise DefinitionError(msg)
        return ref

    def tree(self) -> Tree:
        """Describe all actors as they stand; `print(system.tree())` draws them. Hosts get a second to answer."""
        check_effect("system.tree()")
        return Tree(name=self.name, path=f"/{self.name}", children=draw(self.root))

    @property
    def dead_letters(self) -> int:
        """The number of messages so far that no handler finished."""
        return self.scheduler.events.dead_letters

    def publish(self, event: object, /, *, key: str | None = None, delay: float = 0.0) -> None:
        """Deliver an event to all services of this system that handle it, and to its subscribers.

        Each gets it as a message, at most once; one that fails stops no other.

        Args:
            event: a dataclass or a msgspec Struct.
            key: the key of its order, in place of that of its class.
            delay: seconds until it is delivered.

        Raises:
            DefinitionError: it is no event, or an argument makes no sense.
            ActorDeadError: the system has ended.
        """
        bus = self.scheduler.bus
        (self._bus() if bus is None else bus).publish(event, key=key, delay=delay)

    def _bus(self) -> EventBus:
        from actorflow.events.bus import bus_of  # noqa: PLC0415 - most systems have no services

        return bus_of(self.root)

    @overload
    def subscribe(self, event: type[E], to: ActorRef[Any] | Callable[[E], Any], /) -> Subscription: ...
    @overload
    def subscribe(
        self, event: str | Callable[[Any], bool], to: ActorRef[Any] | Callable[[Any], Any], /
    ) -> Subscription: ...
    def subscribe(self, event: Any, to: Any, /) -> Subscription:
        """Get events, life-cycle events or dead letters: a ref by `tell`, a function is called as a message.

        Events are those that services and `publish` publish in this system: of a class and its subclasses, of names
        that fit a pattern ("orders.*", "orders.**"), or those that a predicate chooses. Each function has an actor of
        its own; an async one runs on the system's asyncio loop.

        Life-cycle events are those of all actors of this system in this process, at any depth, and `event.ref` is the
        actor concerned; compare it to hear of one actor only, or use `ctx.watch`. An actor with `host=` counts, as its
        ref lives here; children of its own, which live in its process, are heard of by their dead letters only. Other
        systems and other programs on the same store are not heard of.

        Args:
            event: a class of events, a pattern or a predicate; or af.Started, af.Crashed, af.Restarted, af.Stopped or
                af.DeadLetter; or af.RunEvent, of the runs of workflows that this process has.
            to: a ref or a function of one argument. Functions for life-cycle events run one after the other, in one
                actor of the system. An error of a function is logged.

        Raises:
            DefinitionError: events of that class are not published.
        """
        check_effect("system.subscribe()")
        if isinstance(event, type) and (event in EVENTS or is_of_runs(event)):
            return self._subscribers.subscribe(event, to)
        return self._bus().subscribe(event, to)

    async def finish_work(self, drain: Drain) -> None:
        """Have the queues take no more jobs and end their running ones, while the actors and pools are there."""
        if self.run_node is not None:
            await drain.finished(self.run_node.unload_all(), self.run_node.workers)
        claimers = [local.claimer for local in self.local_queues.values() if local.claimer is not None]
        drained: list[Future[Any]] = [Future() for _ in claimers]
        for claimer, future in zip(claimers, drained, strict=True):
            self.scheduler.post(claimer, Call("drain", (), {}), future)
        for source in list(self.memory_runs.values()):
            if not hasattr(source, "runner"):  # it has just begun: its actor is refused, or ends with the others
                continue
            claimers.append(source.runner)
            drained.append(Future())
            self.scheduler.post(source.runner, Call("drain", (), {}), drained[-1])
        await drain.finished(drained, lambda: (worker for claimer in claimers for worker in claimer._children or ()))
        tasks = [task for pool in list(self._pools.values()) for task in pool._dispatch.under_way()]
        if tasks:  # their processes may be killed soon, and then there is no time for an import
            import actorflow.process.pool.death  # noqa: F401, PLC0415 - 20 ms
        await drain.finished(tasks, lambda: ())  # so that results piped to an actor come before its end

    async def flush(self) -> None:
        """Commit the last writes of durable actors, and let subscribed functions hear of the end."""
        if self.scheduler.batch is not None:
            await completed_within(self.scheduler, self.scheduler.batch.flushed(), self._left())
        if self.scheduler.bus is not None:
            self._bus().lose_delayed()
        await self._subscribers.flush()

    # --- runs in memory -----------------------------------------------------------------------------------------------

    @property
    def step_site(self) -> TaskSite:
        """The means of this system to run steps in memory."""
        return exclusively(self._pools_lock, self._made_site)

    def _made_site(self) -> TaskSite:
        from actorflow.tasks.site import TaskSite  # noqa: PLC0415 - most systems have no runs

        if self._site is None:
            no_store: Any = None  # a step in memory opens no transaction
            limit = int(self.settings.payload_limit)
            self._site = TaskSite(self.scheduler, no_store, lambda: self.pool("cpu"), None, limit)
        return self._site

    def _end_threads(self) -> None:
        super()._end_threads()
        if self._site is not None:
            self._site.task_files.close()

    # --- processes ---------------------------------------------------------------------------------------------------

    def pool(
        self,
        name: str,
        workers: int | None = None,
        *,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        max_tasks: int | None = None,
        max_rss: int | str | None = None,
        host: Process | None = None,
    ) -> ProcessPool:
        """Return the system's pool of that name; made at the first call, by the rules of `ProcessPool`.

        Its actors are in the tree, and the end of the system drains it within its grace time. Later calls need the name
        only; any options they give must equal those that the pool was made with.

        >>> import actorflow as af
        >>> with af.ActorSystem("demo") as system:
        ...     system.pool("cpu", workers=1).submit(pow, 2, 10).result(timeout=60)
        1024

        Raises:
            DefinitionError: an argument makes no sense, or the pool was made with another.
        """
        check_positive("workers", workers)
        setup = check_setup(initializer, tuple(initargs), max_tasks, max_rss, host)
        return exclusively(self._pools_lock, lambda: self._pool(name, workers, setup))

    def _pool(self, name: str, workers: int | None, setup: Setup) -> ProcessPool:
        pool = self._pools.get(name)
        if pool is None or not pool.is_open:
            pool = self._pools[name] = ProcessPool.within(self, name, workers, setup)
        else:
            pool.check_same(workers, setup)
        return pool

    # --- life --------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Stay until SIGINT or SIGTERM comes or the system ends by itself, then drain.

        The first signal drains within `Settings.grace`; a second one ends the grace time, and raises KeyboardInterrupt.

        Raises:
            RestartLimitReached: a supervisor directly under the system gave up.
        """
        with draining_by_signals(self):
            self.wait_ended()
        if self.error is not None:
            raise self.error

    def stop(self, *, grace: float | None = None) -> None:
        """End all actors, newest first; each handles its queued messages. `grace` seconds bound the whole.

        Called in a handler it returns at once, since the handler must end first.
        """
        super().stop(grace=self.settings.grace if grace is None else grace)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self.error is not None and error is None:
            raise self.error


def is_of_runs(event: type) -> bool:
    """Say whether a class is that of the events of runs."""
    from actorflow.workflows.run import RunEvent  # noqa: PLC0415 - most systems have no runs

    return event is RunEvent


def check_scheduler(scheduler: Scheduler | None) -> None:
    """Refuse a scheduler that is none, or has a system: it ends with that.

    Raises:
        DefinitionError: it is not a new scheduler.
    """
    if scheduler is not None and not isinstance(scheduler, Scheduler):
        msg = f"scheduler={text_of(scheduler)}: give a scheduler, such as VirtualScheduler(name=...)"
        raise DefinitionError(msg)
    if scheduler is not None and scheduler.place_durable is not None:
        msg = f"scheduler={text_of(scheduler)}: it has a system already; make a scheduler for each"
        raise DefinitionError(msg)


def check_name(name: str) -> None:
    """Refuse a name that cannot begin a path."""
    if not isinstance(name, str) or not name or "/" in name:
        msg = f"a system's name is not empty and has no '/': {name!r}"
        raise DefinitionError(msg)
