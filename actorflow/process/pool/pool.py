"""ProcessPool: CPU-bound calls in child processes. Layer 2."""

from __future__ import annotations

import concurrent.futures
import copy
import dataclasses
import itertools
import os
import weakref
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Self, TypeVar, cast

from actorflow.core.child import child
from actorflow.core.clock import SystemClock
from actorflow.core.live import LiveScheduler
from actorflow.core.system import System
from actorflow.core.traits import check_known, check_type
from actorflow.errors import DefinitionError
from actorflow.process.launch.launcher import acquire
from actorflow.process.options import Process, size
from actorflow.process.pool.dispatch import Dispatch
from actorflow.process.pool.mapping import Mapping
from actorflow.process.pool.setup import check_positive, check_setup
from actorflow.process.pool.task import Task, TaskOptions, pack
from actorflow.process.pool.worker import FOREVER, PoolSupervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from actorflow.process.pool.future import PoolFuture

P = ParamSpec("P")
T = TypeVar("T")

_numbers: Final = itertools.count(1)
OPTION_NAMES: Final = tuple(field.name for field in dataclasses.fields(TaskOptions))


class ProcessPool(concurrent.futures.Executor):
    """Runs functions in child processes: for CPU-bound work, which Python does in one thread at a time only.

    >>> import actorflow as af
    >>> with af.ProcessPool(workers=2) as pool:
    ...     pool.submit(pow, 2, 10).result(timeout=60)
    1024
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        name: str | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        max_tasks: int | None = None,
        max_rss: int | str | None = None,
        host: Process | None = None,
    ) -> None:
        check_positive("workers", workers)
        setup = check_setup(initializer, tuple(initargs), max_tasks, max_rss, host)
        name = name or f"pool-{next(_numbers)}"
        system = System(name, LiveScheduler(name=name))
        self._open(system, "pool", workers or os.cpu_count() or 1, setup)
        self._own_system: System | None = system

    def _open(self, system: System, name: str, workers: int, setup: Any) -> None:
        self._options = TaskOptions()
        self._launcher = acquire(setup.launch)
        self._dispatch = dispatch = Dispatch(setup, self._launcher, f"/{system.name}/{name}", workers)
        traits = child(PoolSupervisor, dispatch).options(name=name, shutdown=FOREVER).traits
        self._ref = system.root.spawn(traits, (dispatch,), {})

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> PoolFuture[T]:
        """Call `fn(*args, **kwargs)` in a worker."""
        dispatch = self._dispatch
        function = dispatch.functions.find(fn)
        data, buffers = pack(args, kwargs)
        task: Task[T] = Task(function, data, buffers, self._options)
        dispatch.submit(task)
        return task

    def map(  # type: ignore[override]
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> Iterator[T]:
        """Call `fn` with each item, in chunks; results come in order."""
        check_positive("chunksize", chunksize)
        deadline = None if timeout is None else SystemClock.monotonic() + timeout
        columns = [list(iterables[0])] if len(iterables) == 1 else [list(c) for c in zip(*zip(*iterables))] 
        if not columns or not columns[0]:
            return iter(())
        mapping = Mapping(self._dispatch, self._dispatch.functions.find(fn), columns, self._options, chunksize, progress)
        mapping.feed()
        return mapping.results(deadline)

    def options(self, **options: Any) -> Self:
        """Return the pool with other options for what is submitted through it."""
        check_known(options, OPTION_NAMES)
        view = copy.copy(self)
        view._options = dataclasses.replace(self._options, **options)
        return view

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks and end the workers when all are done."""
        dispatch = self._dispatch
        dispatch.close()
        if wait:
            dispatch.ended.get()
            if self._own_system is not None:
                self._own_system.stop()
            self._launcher.release()
