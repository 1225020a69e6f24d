"""Run: the handle on a run of a workflow or a DAG, its steps, and its events."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar, get_args

from actorflow.errors import DefinitionError

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future
    from actorflow.core.messages.events import Subscription
    from actorflow.core.refs.ref import ActorRef
    from actorflow.workflows.figures.timeline import Timeline

R_co = TypeVar("R_co", covariant=True)

RunStatus: TypeAlias = Literal[
    "pending",
    "queued",
    "running",
    "compensating",
    "paused",
    "parked",
    "stuck",
    "completed",
    "failed",
    "cancelled",
    "compensated",
]
STATUSES: Final = get_args(RunStatus)[1:]  # of stored runs; those in memory may be pending, too
StepStatus: TypeAlias = Literal["pending", "ready", "running", "completed", "failed", "skipped", "cancelled"]


class FailedTry(NamedTuple):
    """A failed attempt of a step; times are seconds since the epoch."""

    started: float
    ended: float
    error: BaseException


@dataclass(slots=True, repr=False, eq=False)
class StepInfo:
    """A step of a run, as it stands. Times are seconds since the epoch.

    Attributes:
        name: of a node, unique in its run, with that of the node it is a part of before it; of a step of a workflow,
            that of the task, or "timer", or the class of a signal.
        task: name of its task; "" if it has none.
        status: "pending", "ready", "running", "completed", "failed", "skipped" or "cancelled".
        result: of a completed one.
        error: of a failed one; also if a handler has given a result in its place.
        ready: when nothing was left to wait for but a worker.
        started: when its last attempt began.
        ended: when it was over.
        attempts: how many have begun.
        tries: those of them that failed, and were followed by another.
        priority: of those that are ready, the smallest goes first.
        after: names of the steps that it waits for.
        within: name of the step that it is a part of, such as a map; "" if of none.
        cause: the step whose failure or skip skipped this one.
        branch: the line of a workflow's code that it is in: "0" is the main one; "" of a node.
        occurrence: how often the branch had come to a step of that name, with this time.
    """

    name: str
    task: str
    status: StepStatus
    result: Any = None
    error: BaseException | None = None
    ready: float | None = None
    started: float | None = None
    ended: float | None = None
    attempts: int = 0
    tries: tuple[FailedTry, ...] = ()
    priority: int = 0
    after: tuple[str, ...] = ()
    within: str = ""
    cause: StepInfo | None = None
    branch: str = ""
    occurrence: int = 1

    def __repr__(self) -> str:
        return f"<step {self.name}, {self.status}>"

    @property
    def causes(self) -> tuple[StepInfo, ...]:
        """The chain of steps that skipped this one, from the nearest to the one that failed."""
        chain: list[StepInfo] = []
        step = self.cause
        while step is not None:
            chain.append(step)
            step = step.cause
        return tuple(chain)

    @property
    def run_time(self) -> float:
        """The seconds that its attempts took."""
        last = 0.0 if self.started is None or self.ended is None else self.ended - self.started
        return last + sum(one.ended - one.started for one in self.tries)

    @property
    def queue_time(self) -> float:
        """The seconds from the moment when it was ready to the begin of its attempt."""
        return 0.0 if self.ready is None or self.started is None else max(0.0, self.started - self.ready)


@dataclass(frozen=True, slots=True)
class RunEvent:
    """An event of a run, which subscribers get, and `run.history` lists.

    Attributes:
        kind: of the run: "started", "waiting", "parked", "paused", "resumed", "completed", "failed", "cancelled"; of
            a saga, "compensated", "stuck"; of a step: "step started", "step progress", "step completed", "step failed",
            "step retried", "step skipped", "step cancelled".
        run: id of the run.
        step: name of the step; None if the event is the run's.
        time: seconds since the epoch.
        detail: the error, or of "waiting" the name of the timer or the signal, or of "step progress" (done, total).
    """

    kind: str
    run: str
    step: str | None
    time: float
    detail: Any = None


class Run(Generic[R_co]):
    """A run of a workflow or a DAG: its result, its steps, and the means to act on it.

    Attributes:
        id: the id by which `system.get_run(id)` finds it again.
    """

    __slots__ = ("__weakref__", "id")

    def __init__(self, id: str) -> None:
        self.id = id

    def __repr__(self) -> str:
        return f"<Run {self.id}>"

    # --- looks -------------------------------------------------------------------------------------------------------

    @property
    def status(self) -> RunStatus:
        """How far it is: "queued", "running", "paused", "parked", "completed", "failed" or "cancelled".

        A run in memory is "pending" until it begins. A saga may also be "compensating", "compensated" or "stuck".

        Raises:
            DefinitionError: there is no such run.
        """
        raise NotImplementedError  # pragma: no cover - each kind has its own

    @property
    def steps(self) -> list[StepInfo]:
        """The steps: of a DAG all nodes as they stand, in the order in which they were declared.

        Of a workflow those that are over, in the order in which its code has heard of them.
        """
        raise NotImplementedError  # pragma: no cover - each kind has its own

    @property
    def progress(self) -> tuple[int, int]:
        """How many steps have ended, of how many that are known so far."""
        steps = self.steps
        return sum(step.ended is not None for step in steps), len(steps)

    @property
    def history(self) -> list[RunEvent]:
        """The events so far, oldest first: a copy."""
        raise NotImplementedError  # pragma: no cover - each kind has its own

    def timeline(self) -> Timeline:
        """Return the times of the steps as they stand: `print(run.timeline())` draws them, `.svg()` is a picture."""
        raise NotImplementedError  # pragma: no cover - each kind has its own

    def subscribe(self, to: ActorRef[Any] | Callable[[RunEvent], Any], /) -> Subscription:
        """Get the events of the run from now on, each after its commit, while this process has the run.

        A ref gets them by `tell`. A function is called as a message of an actor, so an error of its is logged, and
        changes nothing. `system.subscribe(af.RunEvent, to)` is for the events of all runs.

        Raises:
            DefinitionError: the receiver is neither a ref nor a plain function.
        """
        raise NotImplementedError  # pragma: no cover - each kind has its own

    # --- its end -----------------------------------------------------------------------------------------------------

    def result(self, *, timeout: float | None = None) -> R_co:
        """Wait for the end of the run, and return its result; meanwhile other actors run. In asyncio code, `await run`.

        Args:
            timeout: seconds to wait; None: until it is over.

        Raises:
            RunFailed: a step or the code failed; that error is the cause, if its class is builtin, actorflow's, or
                declared by a task that is known here.
            RunCancelled: it was cancelled, or its system ended and it was in memory.
            CompensationFailed: it is a saga, and is stuck.
            DeadlockError: nothing of it could go on; or a task of it asks, for which it waits.
            AskTimeout: it is not over within the timeout.
            DefinitionError: there is no such run; or this is code on the asyncio loop: `await run`.
        """
        raise NotImplementedError  # pragma: no cover - each kind has its own

    def __await__(self) -> Generator[Any, Any, R_co]:
        """Return the result as `result` does, without blocking: in asyncio code and `async def` handlers."""
        raise NotImplementedError  # pragma: no cover - each kind has its own

    def _end_future(self) -> Future[R_co]:
        """Return a future of the end, for `ctx.pipe(run, self.method)`."""
        raise NotImplementedError  # pragma: no cover - each kind has its own

    # --- messages to it ----------------------------------------------------------------------------------------------

    def cancel(self) -> bool:
        """Cancel the run, whose clean-up code runs.

        In the code of a workflow `RunCancelled` is raised where it waits. Of a DAG the nodes that have not begun are
        cancelled. A task that runs sees it by `af.current().cancelled`; coroutines are cancelled at once. Two seconds
        later the process of a cpu task is killed, and a plain function that goes on is left alone, its result refused.

        Returns:
            False if it was over.
        """
        raise NotImplementedError  # pragma: no cover - each kind has its own

    def pause(self) -> bool:
        """Begin no more steps until `resume`; those that run go on to their end.

        Returns:
            False if the run is over.
        """
        raise NotImplementedError  # pragma: no cover - each kind has its own

    def resume(self) -> bool:
        """Go on after a pause.

        Returns:
            False if there was none.
        """
        raise NotImplementedError  # pragma: no cover - each kind has its own

    def signal(self, value: object, /, *, id: str | None = None, transient: bool = False) -> bool:  # noqa: ARG002 - of a workflow's
        """Send the run a signal; it is committed when this returns, and kept until its code waits for its class.

        Args:
            value: an object of the class that the code waits for; it must be storable.
            id: the sender's own: a second signal of that id within a week is dropped.
            transient: only tell the run, if it is loaded in this process, and store nothing: such as news of progress,
                of which there are many, and the next makes up for a lost one. If it is not loaded, or is unloaded
                before its code takes the signal, that is dropped, and counts as a dead letter.

        Returns:
            False if a signal of that id was sent before, or a transient one was dropped at once.

        Raises:
            DefinitionError: there is no such run, or it is over, unless it is only told; or a transient one has an id.
                Or it is of a DAG, which waits for none.
            PayloadError: a part of the value cannot be stored.
        """
        raise self.refusal("takes no signals: a workflow waits for them")

    def query(self, name: str, /, *, timeout: float = 30.0) -> Any:  # noqa: ARG002 - of a workflow's
        """Return a copy of the value of a function that the code has exposed by `af.expose(name, function)`.

        It works in any process on the store, and changes nothing of the run. The process that has the run is asked; of
        a run that nobody has, also one that is over, the records are replayed here.

        Raises:
            DefinitionError: there is no such run; its code exposes no such function, or that does more than look; or
                this is code on the asyncio loop of actorflow.
            AskTimeout: there is no answer within the timeout.
        """
        raise self.refusal("exposes nothing: the code of a workflow does")

    # --- once more ---------------------------------------------------------------------------------------------------

    def retry(self, *, from_: str | None = None) -> None:  # noqa: ARG002 - of a workflow's
        """Have the run, which has failed or was cancelled, go on from a step; the results before that are kept.

        Its deadline counts no more, and signals that it had not taken are gone. Children that failed are tried again.

        Args:
            from_: name of the step; None: the one that failed last, or the place of the cancel.

        Raises:
            DefinitionError: it is not over, has completed and no step is given, or has no such step; or is in memory.
        """
        raise self.refusal("has no records to go on from: start the DAG again")

    def skip(self, reason: str, *, step: str | None = None) -> None:  # noqa: ARG002 - of a saga's
        """Have a saga go on that is stuck as compensations have failed: they are left out, as if they had been done.

        Args:
            reason: for the records.
            step: name of the compensation; None: all that have failed.

        Raises:
            DefinitionError: it is not stuck, no compensation of it has failed, or none of that name.
        """
        raise self.refusal("undoes nothing: a saga does")

    def fork(self, *, step: str | None = None, id: str | None = None) -> Run[R_co]:  # noqa: ARG002 - of a workflow's
        """Start a run that has the results of this one before a step, and goes on from there; this one stays.

        Args:
            step: its name; None: no results are kept.
            id: of the new run.

        Raises:
            DefinitionError: there is no such run, or it has no such step, or the new id is taken; or it is in memory.
        """
        raise self.refusal("has no records to go on from: start the DAG again")

    def refusal(self, what: str) -> DefinitionError:
        """Return the error of a call that is none of a run of a DAG in memory."""
        return DefinitionError(f"run {self.id} is of a DAG in memory, and {what}")


def history_of(run: str, steps: list[StepInfo]) -> Iterator[RunEvent]:
    """Yield the events of steps, as their times tell them, in no order."""
    for step in steps:
        for one in step.tries:
            yield RunEvent("step started", run, step.name, one.started)
            yield RunEvent("step retried", run, step.name, one.ended, one.error)
        if step.started is not None:
            yield RunEvent("step started", run, step.name, step.started)
        if step.ended is not None:
            yield RunEvent(f"step {step.status}", run, step.name, step.ended, step.error)
