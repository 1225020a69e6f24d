"""MemoryRun: a run of a DAG in this process, as the handle on it sees it, and how it begins."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from actorflow.core.actors.child import child
from actorflow.core.futures.future import Future
from actorflow.core.messages.execution import CURRENT
from actorflow.errors import ActorDeadError, DeadlockError, DefinitionError, RunCancelled, RunFailed, StepFailed
from actorflow.workflows.dag.node import MISSING, Results
from actorflow.workflows.dag.plan import priority_of
from actorflow.workflows.dag.progress import DagProgress
from actorflow.workflows.dag.runner import DagRunner
from actorflow.workflows.dag.runtime import DagRuntime
from actorflow.workflows.dag.table import SKIPPED
from actorflow.workflows.run import FailedTry, NodeInfo, Run, RunEvent, history_of

if TYPE_CHECKING:
    from actorflow.core.messages.events import Subscription
    from actorflow.core.refs.ref import ActorRef
    from actorflow.workflows.dag.definition import Dag
    from actorflow.workflows.dag.journal import Journal, NodeRecord
    from actorflow.workflows.run import RunStatus

WORKERS: Final = min(32, (os.cpu_count() or 1) + 4)  # as of the standard library's ThreadPoolExecutor
NUMBERS: Final = itertools.count(1)


class MemoryRun:
    """A run of a DAG whose results are objects of this process.

    Attributes:
        runner: its actor.
    """

    def __init__(
        self, id: str, dag: Dag, system: Any, journal: Journal | None = None, records: Sequence[NodeRecord] = ()
    ) -> None:
        scheduler = system.scheduler
        self.id = id
        self.dag = dag
        self.records = records
        self.scheduler = scheduler
        self.progress = DagProgress(dag.plan(), scheduler.clock, dag.workers or WORKERS)
        self.began = self.progress.now()
        self.ended: float | None = None
        self.runtime = DagRuntime(id, self.progress, system.step_site, scheduler, self.settle, journal)
        self._over: Future[Any] = Future()
        self._system = system
        self._offset = scheduler.clock.time() - scheduler.clock.monotonic()
        if RunEvent in scheduler.events.listeners:  # somebody listens to all runs
            self._be_heard()

    def start(self) -> None:
        """Start the actor of the run."""
        self.runner = self._system.spawn(child(DagRunner, self.runtime).options(name=f"run {self.id}"))
        self._over._target = self.runner
        self.runner.cast(DagRunner.begin, self.records)

    def settle(self) -> None:
        """Give the result, or the error, to the threads that wait."""
        progress = self.progress
        self.ended = progress.now()
        if progress.status == "completed":
            self._over._settle(Results(self.dag, progress.results), None)
        else:
            self._over._settle(None, self.error_of(progress.error))
        self._system.memory_runs.pop(self.id, None)

    def error_of(self, error: BaseException | None) -> BaseException:
        """Return the error that the run ends with: of a step that failed, a RunFailed."""
        if error is None:
            return RunCancelled(f"run {self.id} was cancelled")
        if not isinstance(error, StepFailed):
            return error
        failed = RunFailed(self.id, str(error))
        failed.__cause__ = error
        for note in getattr(error, "__notes__", ()):
            failed.add_note(note)
        return failed

    def handle(self) -> Run[Results]:
        """Return the user's handle."""
        return Run(self.id, self)

    @property
    def future(self) -> Future[Any]:
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

    # --- for the handle -----------------------------------------------------------------------------------------------

    def status(self) -> RunStatus:
        """Return how far it is."""
        return self.progress.status  # type: ignore[return-value]

    def done(self) -> tuple[int, int]:
        """Return how many steps have ended, of how many."""
        ended = self.progress.ended
        return len(ended) - ended.count(None), len(ended)

    def now(self) -> float:
        """Return seconds since the epoch."""
        return self.scheduler.clock.time()  # type: ignore[no-any-return]

    def cancel(self) -> None:
        """Have the run end."""
        if not self._over.done():
            self.runner.cast(DagRunner.cancel, RunCancelled(f"run {self.id} was cancelled"))

    def pause(self) -> None:
        """Have no more nodes begin."""
        self._ask(DagRunner.pause)

    def resume(self) -> None:
        """Go on."""
        self._ask(DagRunner.resume)

    def _ask(self, method: Callable[[DagRunner], None]) -> None:
        """Have the runner do something, if the run is not over; on the loop, without waiting until it has."""
        execution = CURRENT.get()
        with contextlib.suppress(ActorDeadError):
            if execution is not None and execution.on_loop:
                self.runner.cast(method)
            else:
                self.runner.call(method).get()

    def subscribe(self, to: ActorRef[Any] | Callable[[RunEvent], Any]) -> Subscription:
        """Have a ref or a function get the events to come."""
        subscription: Subscription = self._system._subscribers.subscribe(
            RunEvent, to, lambda event: event.run == self.id
        )
        self._be_heard()
        return subscription

    def _be_heard(self) -> None:
        """Have each end of a node be looked at, and told of."""
        self.progress.tell = self.tell
        self.progress.is_slow = True

    def tell(self, kind: str, i: int | None, detail: Any) -> None:
        """Give an event to the listeners; the lock of the progress is held, and a send never waits."""
        step = None if i is None else self.progress.names[i]
        self.scheduler.events.publish(RunEvent(kind, self.id, step, self.time(self.progress.now()), detail))

    def time(self, seconds: float) -> float:
        """Return seconds since the epoch, of seconds of the system's clock."""
        return float(seconds + self._offset)

    def steps(self) -> list[NodeInfo]:
        """Return the steps as they stand."""
        progress = self.progress
        steps = [self._step(i) for i in range(len(progress.names))]
        for i, cause in list(progress.causes.items()):
            if progress.state[i] == SKIPPED:
                steps[i].cause = steps[cause]
        return steps

    def _step(self, i: int) -> NodeInfo:
        progress, time = self.progress, self.time
        spec = progress.specs[i]
        tries = tuple(FailedTry(time(one.started), time(one.ended), one.error) for one in progress.tries.get(i, ()))
        result = progress.results[i]
        ready, started, ended = progress.readied[i], progress.begun_at(i), progress.ended[i]
        if ready is None and started is not None:  # it was gone on to at once
            ready = started
        task = getattr(spec.work, "name", "") if spec.kind != "dag" else ""
        return NodeInfo(
            progress.names[i],
            task,
            cast("Any", progress.status_of(i)),
            None if result is MISSING else result,
            progress.errors.get(i),
            None if ready is None else time(ready),
            None if started is None else time(started),
            None if ended is None else time(ended),
            progress.recorded.get(i, len(tries) + (started is not None)),
            tries,
            priority_of(spec),
            tuple(progress.names[k] for k in progress.before[i]),
            progress.names[progress.owners[i]] if i in progress.owners else "",
        )

    def history(self) -> list[RunEvent]:
        """Return the events so far."""
        events = [RunEvent("started", self.id, None, self.time(self.began)), *history_of(self.id, self.steps())]
        events.sort(key=lambda event: event.time)
        if self.ended is not None:
            events.append(RunEvent(self.status(), self.id, None, self.time(self.ended), self.progress.error))
        return events


def start_dag(
    system: Any, dag: Dag, journal: Journal | None = None, records: Sequence[NodeRecord] = ()
) -> Run[Results]:
    """Begin a run of a DAG.

    Args:
        system: where it runs.
        dag: to run.
        journal: keeps the ends of the nodes.
        records: those that it has kept of this run, in their order: the run goes on where they end.

    Raises:
        DefinitionError: the DAG has a mistake, or a run of that id is under way.
    """
    dag.check()
    id_ = dag.id or f"{dag.name}-{next(NUMBERS)}"
    source = MemoryRun(id_, dag, system, journal, records)
    if system.memory_runs.setdefault(id_, source) is not source:
        msg = f"a run with the id {id_!r} is under way already: give another, or wait for it"
        raise DefinitionError(msg)
    try:
        source.start()
    except BaseException:
        system.memory_runs.pop(id_, None)
        raise
    return Run(id_, source)
