"""ReplayedBody: the body of a run that is replayed only to see whether its code fits the records: it begins nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from actorflow.errors import NonDeterministic, Unload
from actorflow.workflows.body.async_body import AsyncBody
from actorflow.workflows.body.body import Body
from actorflow.workflows.body.job_step import JobStep
from actorflow.workflows.body.queued import EMPTY
from actorflow.workflows.body.sync_body import SyncBody
from actorflow.workflows.rows.records import step_name

if TYPE_CHECKING:
    from actorflow.workflows.body.doubts import Doubts
    from actorflow.workflows.body.lanes import Lane
    from actorflow.workflows.body.steps import BodyStep, TaskStep


class ReplayedBody(Body):
    """The body of a run whose records are there up to its end, or up to where it is.

    Attributes:
        doubts: about its code.
        is_whole: the run is over: its code may run no task that has no record.
    """

    doubts: Doubts
    is_whole: bool

    def launch(self) -> None:
        """Begin no step; the first one that has no record ends the replay."""
        if self.to_replay or self.is_over:
            return
        with self.lock:
            steps, self._unlaunched = self._unlaunched, EMPTY
        for step in steps:
            is_work = step.is_work or step.is_send or isinstance(step, JobStep)
            if (step.is_send or step.identity in self.open) and (is_work or not self.is_whole):
                self.leave_records(step)
                return

    def leave_records(self, step: BodyStep) -> None:
        """End the replay at a step that has no record; of a run that is over, the code differs there."""
        if self.is_whole:
            self.misfits = NonDeterministic("the end of the run", step_name(step.identity))
        self.is_over = True

    @property
    def holds_end(self) -> bool:
        """Whether the run cannot end yet: a step that has no record holds nothing up."""
        return False


class SyncReplayedBody(ReplayedBody, SyncBody):
    """The body of a plain function."""

    def execute(self) -> Any:
        """Run the code, and look at its calls."""
        with self.doubts.watched():
            return super().execute()

    def run_lane(self, lane: Lane) -> None:
        """Run a branch, and look at its calls."""
        with self.doubts.watched():
            super().run_lane(lane)

    def run_inline(self, step: TaskStep) -> NoReturn:
        """End the replay at a step that has no record."""
        self.leave_records(step)
        raise Unload


class AsyncReplayedBody(ReplayedBody, AsyncBody):
    """The body of an `async def` function."""

    def go_on(self) -> bool:
        """Have the code go on, and look at its calls."""
        with self.doubts.watched():
            return super().go_on()
