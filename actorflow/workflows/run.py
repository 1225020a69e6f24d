"""Run: the handle on a run of a DAG, its steps, and the events that runs of DAGs and workflows have."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future
    from actorflow.core.messages.events import Subscription
    from actorflow.core.refs.ref import ActorRef
    from actorflow.workflows.figures.timeline import Timeline

R_co = TypeVar("R_co", covariant=True)

RunStatus: TypeAlias = Literal["pending", "running", "paused", "parked", "completed", "failed", "cancelled"]
StepStatus: TypeAlias = Literal["pending", "ready", "running", "completed", "failed", "skipped", "cancelled"]


class FailedTry(NamedTuple):
    """A failed attempt of a step; times are seconds since the epoch."""

    started: float
    ended: float
    error: BaseException


@dataclass(slots=True, repr=False, eq=False)
class NodeInfo:
    """A step of a run, as it stands. Times are seconds since the epoch.

    Attributes:
        name: unique in its run: of a node, with that of the node it is a part of before it.
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
    cause: NodeInfo | None = None

    def __repr__(self) -> str:
        return f"<step {self.name}, {self.status}>"

    @property
    def causes(self) -> tuple[NodeInfo, ...]:
        """The chain of steps that skipped this one, from the nearest to the one that failed."""
        chain: list[NodeInfo] = []
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
        kind: of the run: "started", "waiting", "parked", "paused", "resumed", "completed", "failed", "cancelled"; of a
            step: "step started", "step progress", "step completed", "step failed", "step retried", "step skipped",
            "step cancelled".
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


class RunSource(Protocol):
    """The source of a handle: a run in memory, or one in the store, which tells how far it is and acts on requests."""

    @property
    def future(self) -> Future[Any]:
        """Set at the end, with the result or the error."""
        ...

    def status(self) -> RunStatus:
        """Return how far the run is."""
        ...

    def steps(self) -> list[NodeInfo]:
        """Return the steps so far."""
        ...

    def history(self) -> list[RunEvent]:
        """Return the events so far."""
        ...

    def done(self) -> tuple[int, int]:
        """Return how many steps have ended, of how many that are known."""
        ...

    def now(self) -> float:
        """Return seconds since the epoch, on the system's clock."""
        ...

    def cancel(self) -> None:
        """Have the run end."""
        ...

    def pause(self) -> None:
        """Have no more steps begin."""
        ...

    def resume(self) -> None:
        """Have steps begin again."""
        ...

    def subscribe(self, to: ActorRef[Any] | Callable[[RunEvent], Any]) -> Subscription:
        """Have a ref or a function get the events to come."""
        ...


class Run(Generic[R_co]):
    """A run of a workflow or a DAG: its result, its steps, and the means to end it.

    Attributes:
        id: of the run.
    """

    __slots__ = ("__weakref__", "_source", "id")

    def __init__(self, id: str, source: RunSource) -> None:
        self.id = id
        self._source = source

    def __repr__(self) -> str:
        return f"<run {self.id}, {self.status}>"

    @property
    def status(self) -> RunStatus:
        """How far it is: "pending", "running", "paused", "parked", "completed", "failed" or "cancelled"."""
        return self._source.status()

    def result(self, *, timeout: float | None = None) -> R_co:
        """Wait for the end of the run, and return its result. In asyncio code, `await run`.

        Args:
            timeout: seconds to wait; None: until it is over.

        Raises:
            RunFailed: a step failed; the cause is a StepFailed, and its cause the error of the task.
            RunCancelled: it was cancelled, or its system ended.
            DeadlockError: nothing of it could go on.
            AskTimeout: it is not over within the timeout.
        """
        return self._source.future.get(timeout=timeout)  # type: ignore[no-any-return]

    def __await__(self) -> Generator[Any, Any, R_co]:
        return self._source.future.__await__()

    @property
    def steps(self) -> list[NodeInfo]:
        """The steps as they stand, in the order in which they were declared."""
        return self._source.steps()

    @property
    def progress(self) -> tuple[int, int]:
        """How many steps have ended, of how many that are known so far; it costs far less than `steps`."""
        return self._source.done()

    @property
    def history(self) -> list[RunEvent]:
        """The events so far, oldest first: a copy."""
        return self._source.history()

    def timeline(self) -> Timeline:
        """Return the times of the steps as they stand: `print(run.timeline())` draws them, `.svg()` is a picture."""
        from actorflow.workflows.figures.timeline import Timeline  # noqa: PLC0415 - drawn by few programs

        return Timeline(self.id, self.steps, self._source.now())

    def subscribe(self, to: ActorRef[Any] | Callable[[RunEvent], Any], /) -> Subscription:
        """Get the events of the run from now on: a ref by `tell`, a function is called as a message of an actor.

        An error of a function is logged, and changes nothing for the run.
        """
        return self._source.subscribe(to)

    def cancel(self) -> None:
        """End the run: what has not begun is cancelled, and what runs sees it by `af.current().cancelled`.

        Coroutines are cancelled at once. Two seconds later the process of a cpu task is killed, and a plain function
        that goes on is left alone, its result refused. Does nothing if the run is over.
        """
        self._source.cancel()

    def pause(self) -> None:
        """Begin no more steps until `resume`; those that run go on to their end."""
        self._source.pause()

    def resume(self) -> None:
        """Go on after a pause."""
        self._source.resume()


def history_of(run: str, steps: list[NodeInfo]) -> Iterator[RunEvent]:
    """Yield the events of steps, as their times tell them, in no order."""
    for step in steps:
        for one in step.tries:
            yield RunEvent("step started", run, step.name, one.started)
            yield RunEvent("step retried", run, step.name, one.ended, one.error)
        if step.started is not None:
            yield RunEvent("step started", run, step.name, step.started)
        if step.ended is not None:
            yield RunEvent(f"step {step.status}", run, step.name, step.ended, step.error)
