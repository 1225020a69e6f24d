"""ProcessPool: CPU-bound calls in child processes."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import os
import weakref
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Self, TypeVar, Unpack

from actorflow.core.actors.child import child
from actorflow.core.actors.traits import check_type
from actorflow.core.drivers.live import LiveScheduler
from actorflow.core.futures.future import Future
from actorflow.core.messages.execution import check_effect
from actorflow.core.system import System
from actorflow.errors import DefinitionError
from actorflow.process.launch.launcher import acquire
from actorflow.process.log_handling import records_of
from actorflow.process.pool.dispatcher import WORKER, Dispatch
from actorflow.process.pool.inplace import InPlace
from actorflow.process.pool.mapping import Mapping
from actorflow.process.pool.options import TaskKeywords, TaskOptions
from actorflow.process.pool.setup import Setup, check_positive, check_setup
from actorflow.process.pool.stats import stats_of
from actorflow.process.pool.task import PoolTask, pack
from actorflow.process.pool.workers.pool_worker import FOREVER, PoolSupervisor
from actorflow.process.proxies import MANAGERS, MODULES, keep_proxies
from actorflow.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from actorflow.core.refs.ref import ActorRef
    from actorflow.process.launch.launcher import Launcher
    from actorflow.process.options import Process
    from actorflow.process.pool.future import PoolFuture
    from actorflow.process.pool.stats import PoolStats

P = ParamSpec("P")
T = TypeVar("T")

VIRTUAL_WORKERS: Final = 4  # in virtual time, where a run is to be the same on each machine
_numbers: Final = itertools.count(1)


class ProcessPool(concurrent.futures.Executor):
    """Runs functions in child processes: for CPU-bound work, as one process runs Python code in one thread at a time.

    It is a `concurrent.futures.Executor`, so `as_completed`, `wait` and `loop.run_in_executor` take it and its futures;
    these are futures of actorflow as well. `system.pool(name)` makes one that belongs to a system; this class alone
    makes one with a system of its own.

    A worker that dies takes no other task with it: finished tasks keep their results, those that had not begun run
    elsewhere, and the task that ran gets `HostDied` with `maybe_ran`, or runs again if `retries` are left. Lambdas,
    closures and functions of a script or a shell work. Arguments are pickled at the submit; later changes do not count.

    A pool that is handed to one of its own tasks runs the tasks submitted there in place, so that tasks which wait for
    tasks cannot wait for ever. A pool that a task makes for itself is like any other.

    >>> import actorflow as af
    >>> with af.ProcessPool(workers=2) as pool:
    ...     pool.submit(pow, 2, 10).result(timeout=60)
    ...     list(pool.map(abs, [-1, 2, -3]))
    1024
    [1, 2, 3]
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        max_workers: int | None = None,
        name: str | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        max_tasks: int | None = None,
        max_rss: int | str | None = None,
        host: Process | None = None,
    ) -> None:
        """Start a pool; its processes come up within some milliseconds, and the call does not wait for them.

        Args:
            workers: how many processes; as many as there are cores if left out. In virtual time 4, so that a seed
                takes the same steps on each machine.
            max_workers: the same by the name that `ProcessPoolExecutor` has for it.
            name: first part of the paths of its actors, and the name in its errors.
            initializer: called as `initializer(*initargs)` in each process, replacements too, before its first task.
            initargs: the initializer's arguments.
            max_tasks: after about so many calls a process is replaced, between two tasks.
            max_rss: above so many bytes of memory (or "512M") a process is replaced, between two tasks.
            host: the kind of its processes: `af.Process(threads=1, nice=5)`.

        Raises:
            DefinitionError: an argument makes no sense.
            PayloadError: the initializer or its arguments do not pickle.
        """
        check_type("name", name, str | None)
        if workers is not None and max_workers is not None:
            msg = f"workers={workers!r} and max_workers={max_workers!r} are two names of one number: give one of them"
            raise DefinitionError(msg)
        check_positive("workers", workers)
        check_positive("max_workers", max_workers)
        workers = max_workers if workers is None else workers
        setup = check_setup(initializer, tuple(initargs), max_tasks, max_rss, host)
        name = name or f"pool-{next(_numbers)}"
        launcher = acquire(setup.launch, WORKER)  # before the system, for this start takes longest
        try:
            system = System(name, LiveScheduler(name=name))
        except BaseException:
            launcher.release()
            raise
        try:
            self._open(system, "workers", workers, setup, launcher)
        except BaseException:
            system.stop()
            raise
        self._dispatch.ended._when_done(lambda: system.begin_stop(system.grace))
        self._system: System | None = system
        weakref.finalize(self, self._dispatch.close)

    @classmethod
    def within(cls, system: System, name: str, workers: int | None, setup: Setup) -> Self:
        """Make a pool whose actors belong to a system; `system.pool` does."""
        pool = cls.__new__(cls)
        pool._open(system, name, workers, setup, None if system.scheduler.is_virtual else acquire(setup.launch, WORKER))
        pool._system = None
        ref = pool._ref
        pool._dispatch.ended._when_done(lambda: ref.stop(block=False))
        return pool

    def _open(self, system: System, name: str, workers: int | None, setup: Setup, launcher: Launcher | None) -> None:
        path, records = f"/{system.name}/{name}", records_of(system.scheduler)
        usual = VIRTUAL_WORKERS if system.scheduler.is_virtual else os.cpu_count() or 1
        clock = system.scheduler.clock
        self._dispatch = dispatch = Dispatch(setup, launcher, path, workers or usual, records, clock)
        self._options = TaskOptions(memory=setup.memory)
        recipe = child(PoolSupervisor, dispatch).options(name=name, shutdown=FOREVER)
        if launcher is not None:
            dispatch.ended._when_done(launcher.release)
        try:
            self._ref: ActorRef[PoolSupervisor] = system.root.spawn(recipe.traits, recipe.args, recipe.kwargs)
        except BaseException:
            dispatch.abort()
            raise

    @property
    def path(self) -> str:
        """The path of the pool's supervisor; log records of its tasks have it as `actor`."""
        return self._dispatch.path

    @property
    def workers(self) -> int:
        """How many workers it has."""
        return self._dispatch.workers

    @property
    def is_open(self) -> bool:
        """Whether the pool takes tasks."""
        return not self._dispatch.closing

    def check_same(self, workers: int | None, setup: Setup) -> None:
        """Refuse arguments that ask for another pool than this one; those left out ask for nothing."""
        here = self._dispatch
        wanted = {"workers": (workers, here.workers)}
        for field in dataclasses.fields(Setup):
            wanted[field.name] = getattr(setup, field.name), getattr(here.setup, field.name)
        for name, (asked, has) in wanted.items():
            if asked is not None and asked != has:
                hint = "; resize() changes the number" if name == "workers" else ""
                msg = f"the pool {here.path} was made with another {name}{hint}"
                raise DefinitionError(msg)

    def __repr__(self) -> str:
        state = "shut down" if self._dispatch.closing else plural(self._dispatch.workers, "worker")
        return f"<actorflow.ProcessPool {self._dispatch.path}, {state}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return InPlace, ()

    # --- tasks -------------------------------------------------------------------------------------------------------

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> PoolFuture[T]:
        """Have `fn(*args, **kwargs)` called in a worker.

        Raises:
            PayloadError: the function or an argument does not pickle.
            ActorDeadError: the pool was shut down.
            HostDied: the pool is broken, as its processes cannot start.
        """
        check_effect("pool.submit()")
        dispatch = self._dispatch
        data, buffers = pack(args, kwargs)
        task: PoolTask[T] = PoolTask(dispatch, dispatch.functions.find(fn), data, buffers, self._options)
        if MANAGERS in MODULES:
            keep_proxies((args, kwargs), data, task)
        dispatch.submit(task)
        return task

    def map(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> Iterator[T]:
        """Have `fn` called with each item, in chunks of items; give the results in order.

        All items are read now; the calls begin now. The first error ends the iteration, and items that have not begun
        are taken back; results before it are not lost. Options hold for each item, but `retries` count per chunk.

        Args:
            fn: the function, called as `map` does.
            iterables: the items; the shortest counts.
            timeout: seconds from now until the last result; then TimeoutError is raised.
            chunksize: items of a chunk; by default as many as take about a millisecond, by their cost so far.
            progress: called as `progress(done, total)` while results are waited for, by the thread that does so.
                `actorflow.cli.progress_bar()` makes one.

        Raises:
            PayloadError: the function does not pickle; an argument that does not is raised when its result is due.
            ActorDeadError: the pool was shut down.
        """
        check_effect("pool.map()")
        check_positive("chunksize", chunksize)
        dispatch = self._dispatch
        if dispatch.closing:
            raise dispatch.refusal()
        function = dispatch.functions.find(fn)
        deadline = None if timeout is None else dispatch.clock.monotonic() + timeout
        columns = [list(iterables[0])] if len(iterables) == 1 else list(map(list, zip(*zip(*iterables))))  # noqa: B905
        if not columns or not columns[0]:
            return iter(())
        mapping = Mapping(dispatch, function, columns, self._options, chunksize, progress, timeout, deadline)
        mapping.feed()
        return mapping.results()

    def options(self, **options: Unpack[TaskKeywords]) -> Self:
        """Return the same pool with other options for the tasks submitted through it; options left out stay.

        Args:
            timeout: seconds that a call may run; then its process is killed, and it gets `TaskTimeout`.
            memory: bytes (or "512M") that its process, with its children, may use while the call runs; above it is
                killed, and the call gets `MemoryLimit`. It is measured ten times a second.
            priority: smaller goes first; the usual is 0.
            retries: how often a call is run again that may have run when its process died. Never after its own error.

        >>> import actorflow as af
        >>> with af.ProcessPool(workers=1) as pool:
        ...     pool.options(timeout=60, retries=1).submit(pow, 2, 3).result()
        8

        Raises:
            DefinitionError: an option is unknown (the nearest known one is named), or its value makes no sense.
        """
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__, _whole=self)  # which must not be collected before the view
        view._options = self._options.override(options)
        return view

    # --- the pool ----------------------------------------------------------------------------------------------------

    def stats(self) -> PoolStats:
        """Return the pool's counts, its workers and its running tasks."""
        return stats_of(self._dispatch)

    def resize(self, workers: int) -> None:
        """Change the number of workers while the pool runs; surplus workers end the tasks they have.

        Raises:
            DefinitionError: the number is not above 0.
            ActorDeadError: the pool was shut down.
        """
        check_type("workers", workers, int)
        check_positive("workers", workers)
        if self._dispatch.closing:
            raise self._dispatch.refusal()
        self._dispatch.workers = workers
        self._ref.call(PoolSupervisor.resize, workers)

    def drain(self, timeout: float | None = None) -> None:
        """Wait until nothing waits or runs; the pool goes on.

        Raises:
            AskTimeout: that took longer than `timeout` seconds.
        """
        self._dispatch.check_may_wait()
        self._dispatch.drained().get(timeout=timeout)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks, and end the workers once all are done; a `with` block does so at its end.

        Args:
            wait: return only when the workers have ended.
            cancel_futures: cancel tasks that have not begun.
        """
        dispatch = self._dispatch
        if dispatch.forked:  # the pool is the parent's, and goes on there
            return
        dispatch.close()
        if cancel_futures:
            dispatch.cancels = True
            for task in dispatch.queue.waiting():
                task.cancel()
        dispatch.settle_leftovers()
        if wait:
            dispatch.check_may_wait()
            dispatch.ended.get()
            if self._system is not None:
                self._system.wait_ended()
            else:
                gone: Future[Any] = self._ref.stop(block=False)
                gone.get()
