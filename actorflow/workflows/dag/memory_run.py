"""MemoryRun: a run of a DAG in this process alone, and how it begins."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.actors.child import child
from actorflow.core.futures.future import Future
from actorflow.core.messages.execution import CURRENT
from actorflow.errors import ActorDeadError, DeadlockError, DefinitionError, RunCancelled
from actorflow.tasks.cause import cause_here
from actorflow.tasks.options import check_timeout
from actorflow.workflows.dag.journal import NOTHING_PAST, PastRun
from actorflow.workflows.dag.looks import DagLooks, error_of
from actorflow.workflows.dag.node import Results
from actorflow.workflows.dag.progress import DagProgress
from actorflow.workflows.dag.runner import DagRunner
from actorflow.workflows.dag.runtime import DagRuntime
from actorflow.workflows.run import Run, RunEvent

if TYPE_CHECKING:
    from actorflow.core.messages.events import Subscription
    from actorflow.core.refs.ref import ActorRef
    from actorflow.workflows.dag.definition import Dag
    from actorflow.workflows.dag.journal import Journal
    from actorflow.workflows.figures.timeline import Timeline
    from actorflow.workflows.run import RunStatus, StepInfo

WORKERS: Final = min(32, (os.cpu_count() or 1) + 4)  # as of the standard library's ThreadPoolExecutor
NUMBERS: Final = itertools.count(1)


class MemoryRun(Run[Results]):
    """A run of a DAG whose results are objects of this process, and which ends with its system.

    Attributes:
        dag: that it is a run of.
        looks: on its nodes.
        runner: its actor.
    """

    __slots__ = ("_over", "_past", "_runtime", "_system", "dag", "ended", "looks", "runner")

    def __init__(
        self, id: str, dag: Dag, system: Any, journal: Journal | None = None, past: PastRun = NOTHING_PAST
    ) -> None:
        super().__init__(id)
        scheduler = system.scheduler
        self.dag = dag
        self._past = past
        progress = DagProgress(dag.plan(), scheduler.clock, dag.workers or WORKERS)
        self.looks = DagLooks(id, progress, scheduler.clock)
        self.ended: float | None = None
        self._runtime = DagRuntime(id, progress, system.step_site, scheduler, self.settle, journal, cause_here())
        self._over: Future[Any] = Future()
        self._system = system
        if RunEvent in scheduler.events.listeners:  # somebody listens to all runs
            self._be_heard()

    def start(self) -> None:
        """Start the actor of the run."""
        name = f"run {self.id}"
        if self._system.root.find(name) is not None:  # of a run of that id that is over: its actor may still end
            name = f"{name} ({next(NUMBERS)})"
        self.runner: ActorRef[Any] = self._system.spawn(child(DagRunner, self._runtime).options(name=name))
        self._over._target = self.runner
        self.runner.cast(DagRunner.begin, self._past)

    def settle(self) -> None:
        """Give the result, or the error, to the threads that wait."""
        progress = self.looks.progress
        self.ended = progress.now()
        self._system.memory_runs.pop(self.id, None)  # first: who has the result may start the next of that id
        if progress.status == "completed":
            self._over._settle(Results(self.dag, progress.results), None)
        else:
            self._over._settle(None, error_of(self.id, progress.error))

    @property
    def _future(self) -> Future[Any]:
        """Set at the end, with the results or the error.

        Raises:
            DeadlockError: a task of the run asks for it: the run would wait for that task, and that task for the run.
        """
        execution = CURRENT.get()
        ref = None if execution is None else execution.receiver
        while ref is not None:
            if ref is self.runner and not self._over.done():
                raise DeadlockError(f"a task of run {self.id} waits for the end of its own run")
            ref = ref.parent
        return self._over

    def result(self, *, timeout: float | None = None) -> Results:
        """Wait for the end of the run, and return its results."""
        check_timeout(timeout)
        return self._future.get(timeout=timeout)  # type: ignore[no-any-return]

    def __await__(self) -> Generator[Any, Any, Results]:
        return self._future.__await__()

    def _end_future(self) -> Future[Results]:
        """Return the future of the end: nobody blocks for it."""
        return self._over

    @property
    def status(self) -> RunStatus:
        """How far it is."""
        return self.looks.progress.status  # type: ignore[return-value]

    @property
    def steps(self) -> list[StepInfo]:
        """The nodes as they stand, in the order in which they were declared."""
        return self.looks.steps()

    @property
    def progress(self) -> tuple[int, int]:
        """How many nodes have ended, of how many that are known so far; it costs far less than `steps`."""
        return self.looks.done()

    @property
    def history(self) -> list[RunEvent]:
        """The events so far."""
        return self.looks.history(self.ended)

    def timeline(self) -> Timeline:
        """Return the times of the nodes as they stand."""
        from actorflow.workflows.figures.timeline import Timeline  # noqa: PLC0415 - drawn by few programs

        return Timeline(self.id, self.steps, self._system.scheduler.clock.time())

    def cancel(self) -> bool:
        """Have the run end."""
        if self._over.done():
            return False
        self.runner.cast(DagRunner.cancel, RunCancelled(f"run {self.id} was cancelled"))
        return True

    def pause(self) -> bool:
        """Have no more nodes begin."""
        return self._ask(DagRunner.pause)

    def resume(self) -> bool:
        """Go on."""
        was_paused = self.status == "paused"
        return self._ask(DagRunner.resume) and was_paused

    def _ask(self, method: Callable[[DagRunner], None]) -> bool:
        """Have the runner do something, if the run is not over; on the loop, without waiting until it has."""
        execution = CURRENT.get()
        if self._over.done():
            return False
        with contextlib.suppress(ActorDeadError):
            if execution is not None and execution.on_loop:
                self.runner.cast(method)
            else:
                self.runner.call(method).get()
        return True

    def subscribe(self, to: ActorRef[Any] | Callable[[RunEvent], Any], /) -> Subscription:
        """Have a ref or a function get the events to come."""
        subscription: Subscription = self._system._subscribers.subscribe(
            RunEvent, to, lambda event: event.run == self.id
        )
        self._be_heard()
        return subscription

    def _be_heard(self) -> None:
        """Have each end of a node be looked at, and told of."""
        events, looks = self._system.scheduler.events, self.looks
        looks.be_heard(events.publish)


def start_dag(system: Any, dag: Dag, journal: Journal | None = None, past: PastRun = NOTHING_PAST) -> Run[Results]:
    """Begin a run of a DAG.

    Args:
        system: where it runs.
        dag: to run.
        journal: keeps the ends of the nodes.
        past: the part of the run that is over: the run goes on where it ends.

    Raises:
        DefinitionError: the DAG has a mistake, or a run of that id is under way.
    """
    dag.check()
    id_ = dag.id or f"{dag.name}-{next(NUMBERS)}"
    run = MemoryRun(id_, dag, system, journal, past)
    known: object = system.memory_runs.setdefault(id_, run)
    if known is not run:
        msg = f"a run with the id {id_!r} is under way already: give another, or wait for it"
        raise DefinitionError(msg)
    try:
        run.start()
    except BaseException:
        system.memory_runs.pop(id_, None)
        raise
    return run
