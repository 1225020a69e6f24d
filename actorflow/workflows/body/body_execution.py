"""BodyExecution: the place where the code of a run runs, and the rules of its sends, waits and calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.core.messages.execution import Execution
from actorflow.errors import DefinitionError, RunCancelled
from actorflow.store.error_json import read_error
from actorflow.tasks.options import check_seconds
from actorflow.workflows.body.branch import current_branch
from actorflow.workflows.body.gathering import BodyFuture
from actorflow.workflows.body.sends import AskFuture

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future
    from actorflow.core.refs.ref import ActorRef
    from actorflow.workflows.body.body import Body


class BodyExecution(Execution):
    """The place where the code of a body runs: its sends and its waits have rules of their own."""

    __slots__ = ("body", "outer")

    holds = True
    replays = True

    def __init__(self, body: Body, outer: Execution) -> None:
        self.body = body
        self.outer = outer
        self.item = (None, None, None, None)  # type: ignore[assignment]  # no actor: sends come to `hold`
        self.left = None
        self.scheduler = outer.scheduler

    @property
    def receiver(self) -> ActorRef[Any] | None:
        """The actor that runs the body."""
        return self.outer.receiver

    @property
    def is_abandoned(self) -> bool:
        """Whether that was abandoned."""
        return self.outer.is_abandoned

    def hold(self, ref: ActorRef[Any], message: Any, future: Future[Any] | None) -> None:
        """Make a send to a durable actor part of the journal; refuse any other, as it would leave again in a replay.

        Raises:
            DefinitionError: the actor is not durable.
        """
        self.body.check()
        self.body.sends.make(ref, message, future)

    def refuse(self, call: str) -> None:
        """Refuse a call that is no step.

        Raises:
            DefinitionError: always.
        """
        self.body.check()
        raise DefinitionError(
            f"{call} in the body of run {self.body.run.name} is no step, and a replay would do it again: have a task "
            "do it, whose call is one"
        )

    def timer(self, seconds: float) -> Future[None]:
        """Begin a timer of the body, in a branch of its own."""
        check_seconds("timer", seconds, zero=True)
        return self.body.begin_timer((current_branch() or self.body.trunk).child(), seconds)

    def wait(self, future: Future[Any], timeout: float | None) -> None:
        """Wait for a step."""
        self.body.check()
        if not isinstance(future, BodyFuture):
            raise DefinitionError(
                f"the body of run {self.body.run.name} waits for something that is no step of it, and a replay would "
                "not: have a task wait for it, as a step"
            )
        if timeout is not None and isinstance(future, AskFuture):
            future.step.limit(timeout)
        elif timeout is not None:
            raise DefinitionError(
                "get(timeout=) in the body of a workflow goes by a clock that a replay does not see: give the task a "
                "timeout, or wait for af.timer(seconds) too"
            )
        self.wait_for(future)

    def wait_for(self, future: Future[Any]) -> None:  # noqa: ARG002 - of sync bodies
        """Block the code until a step of it is over."""
        raise DefinitionError("get() in an async body would block its other branches: await the future")


class ContinuedAsNew(BaseException):
    """Ends the code of a run that begins anew; raised by `af.continue_as_new`, and to pass."""

    def __init__(self, input: bytes) -> None:
        super().__init__()
        self.input = input


def cancelled(body: Body) -> RunCancelled:
    """Return the error that ends a body whose run was cancelled."""
    why = None if body.why_cancelled is None else read_error(body.why_cancelled)[1]
    return RunCancelled(str(why) if why is not None else f"run {body.run.name} was cancelled")
