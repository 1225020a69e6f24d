"""DagLooks: the nodes of a run of a DAG as its handle shows them: steps, events, and how many have ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from actorflow.errors import RunCancelled, RunFailed, StepFailed
from actorflow.workflows.dag.node import MISSING, Results
from actorflow.workflows.dag.plan import priority_of
from actorflow.workflows.dag.table import SKIPPED
from actorflow.workflows.run import FailedTry, RunEvent, StepInfo, history_of

if TYPE_CHECKING:
    from actorflow.core.clock import Clock
    from actorflow.workflows.dag.progress import DagProgress


class DagLooks:
    """The looks on one run.

    Attributes:
        progress: of the run.
        began: seconds of the system's clock.
        offset: seconds since the epoch when that clock was at 0.
    """

    __slots__ = ("_run", "began", "offset", "progress")

    def __init__(self, run: str, progress: DagProgress, clock: Clock) -> None:
        self._run = run
        self.progress = progress
        self.began = progress.now()
        self.offset = clock.time() - clock.monotonic()

    def done(self) -> tuple[int, int]:
        """Return how many steps have ended, of how many."""
        ended = self.progress.ended
        return len(ended) - ended.count(None), len(ended)

    def time(self, seconds: float) -> float:
        """Return seconds since the epoch, of seconds of the system's clock."""
        return float(seconds + self.offset)

    def be_heard(self, publish: Callable[[RunEvent], object]) -> None:
        """Have each end of a node be looked at, and told of; the lock of the run is held, and a send never waits."""

        def tell(kind: str, i: int | None, detail: Any) -> None:
            step = None if i is None else self.progress.names[i]
            publish(RunEvent(kind, self._run, step, self.time(self.progress.now()), detail))

        self.progress.tell = tell
        self.progress.is_slow = True

    def steps(self) -> list[StepInfo]:
        """Return the steps as they stand."""
        progress = self.progress
        steps = [self._step(i) for i in range(len(progress.names))]
        for i, cause in list(progress.causes.items()):
            if progress.state[i] == SKIPPED:
                steps[i].cause = steps[cause]
        return steps

    def _step(self, i: int) -> StepInfo:
        progress, time = self.progress, self.time
        spec = progress.specs[i]
        tries = tuple(FailedTry(time(one.started), time(one.ended), one.error) for one in progress.tries.get(i, ()))
        result = progress.results[i]
        ready, started, ended = progress.readied[i], progress.begun_at(i), progress.ended[i]
        if ready is None and started is not None:  # it was gone on to at once
            ready = started
        task = getattr(spec.work, "name", "") if spec.kind != "dag" else ""
        return StepInfo(
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

    def outcome(self) -> Any:
        """Return the results of a run that is over, or raise its error."""
        progress = self.progress
        if progress.status != "completed":
            raise error_of(self._run, progress.error)
        return Results(progress.plan.dag, progress.results)

    def history(self, ended: float | None) -> list[RunEvent]:
        """Return the events so far; `ended` is the end of the run, in seconds of the system's clock."""
        events = [RunEvent("started", self._run, None, self.time(self.began)), *history_of(self._run, self.steps())]
        events.sort(key=lambda event: event.time)
        if ended is not None:
            events.append(RunEvent(self.progress.status, self._run, None, self.time(ended), self.progress.error))
        return events


def error_of(run: str, error: BaseException | None) -> BaseException:
    """Return the error that a run ends with: of a step that failed, a RunFailed."""
    if error is None:
        return RunCancelled(f"run {run} was cancelled")
    if not isinstance(error, StepFailed):
        return error
    failed = RunFailed(run, str(error))
    failed.__cause__ = error
    for note in getattr(error, "__notes__", ()):
        failed.add_note(note)
    return failed
