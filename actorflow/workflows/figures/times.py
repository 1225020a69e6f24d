"""Times: where the time of a run goes, its critical path, and the load that a workflow is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from actorflow.errors import DefinitionError
from actorflow.tasks.options import check_count, check_list
from actorflow.text import text_of
from actorflow.workflows.run import StepInfo


@dataclass(frozen=True, slots=True)
class WorkflowTime:
    """The time of a run, in parts; seconds.

    Attributes:
        makespan: from the moment when the first step was ready to the end of the last.
        task_time: that all attempts of all steps took together.
        queue_time: that steps were ready and waited for a worker, together.
        critical_path: the longest chain of steps that waited for each other, by the time that they ran.
        steps: how many ran.
    """

    makespan: float
    task_time: float
    queue_time: float
    critical_path: float
    steps: int

    @property
    def coordination(self) -> float:
        """CoordinationTime: the makespan less the critical path; steps side by side do not count for it twice."""
        return max(0.0, self.makespan - self.critical_path)

    @property
    def coordination_per_step(self) -> float:
        """The coordination time, by the number of steps."""
        return self.coordination / self.steps if self.steps else 0.0

    def utilisation(self, workers: int) -> float:
        """Return the part of the time of so many workers that tasks ran in.

        Raises:
            DefinitionError: that is no number of workers.
        """
        check_count("workers", workers)
        return self.task_time / (workers * self.makespan) if self.makespan > 0 else 0.0


def workflow_time(steps: Sequence[StepInfo]) -> WorkflowTime:
    """Return where the time of a run went: WorkflowTime = task time + coordination time.

    With one step after the other, the task time is the critical path, and the sum holds to the letter.

    >>> from actorflow.workflows.run import StepInfo
    >>> steps = [
    ...     StepInfo("a", "a", "completed", ready=0.0, started=0.0, ended=1.0, attempts=1),
    ...     StepInfo("b", "b", "completed", ready=1.0, started=1.5, ended=2.5, attempts=1, after=("a",)),
    ... ]
    >>> time = workflow_time(steps)
    >>> time.makespan, time.task_time, time.coordination
    (2.5, 2.0, 0.5)

    Raises:
        DefinitionError: these are no steps.
    """
    check_list("steps", steps, "steps, such as run.steps", lambda step: isinstance(step, StepInfo))
    ran = [step for step in steps if step.started is not None and step.ended is not None]
    if not ran:
        return WorkflowTime(0.0, 0.0, 0.0, 0.0, 0)
    parents = {step.within for step in ran}
    leaves = [step for step in ran if step.name not in parents]
    first = min(begin_of(step) for step in ran)
    last = max(step.ended for step in ran if step.ended is not None)
    return WorkflowTime(
        last - first,
        sum(step.run_time for step in leaves),
        sum(step.queue_time for step in leaves),
        sum(step.run_time for step in critical_path(steps)),
        len(leaves),
    )


def begin_of(step: StepInfo) -> float:
    """Return when a step was ready; if that is not known, when it began."""
    if step.tries:
        return step.tries[0].started
    return step.ready if step.ready is not None else step.started or 0.0


def critical_path(steps: Sequence[StepInfo]) -> list[StepInfo]:
    """Return the longest chain of steps that waited for each other, by the time that they ran, the first one first.

    The parts of a step count as that step.
    """
    ran = [step for step in steps if step.started is not None and step.ended is not None and not step.within]
    ran.sort(key=lambda step: (step.started, step.ended))
    by_name = {step.name: step for step in ran}
    length: dict[str, float] = {}
    before: dict[str, StepInfo | None] = {}
    for step in ran:
        ahead = [name for name in step.after if name in length]
        longest = max(ahead, key=length.__getitem__, default=None)
        length[step.name] = step.run_time + (0.0 if longest is None else length[longest])
        before[step.name] = None if longest is None else by_name[longest]
    if not ran:
        return []
    at: StepInfo | None = max(ran, key=lambda step: (length[step.name], step.ended))
    path: list[StepInfo] = []
    while at is not None:
        path.append(at)
        at = before[at.name]
    return path[::-1]


def workflow_capacity(tasks: float, parallelism: float, resource_capacity: float) -> float:
    """Return C = TaskCount x Parallelism / ResourceCapacity: the load of runs of a workflow, 1 being all there is.

    Args:
        tasks: how many tasks a run has.
        parallelism: how many runs there are at once, or begin a second.
        resource_capacity: how many tasks the workers manage in the same time: workers / seconds a task.

    >>> workflow_capacity(tasks=12, parallelism=5, resource_capacity=16 / 0.2)
    0.75

    Raises:
        DefinitionError: a count or rate is negative or no number, or the capacity is not above 0.
    """
    given = (tasks, parallelism, resource_capacity)
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) for one in given)
    if not numbers or tasks < 0 or parallelism < 0 or resource_capacity <= 0:
        msg = f"workflow_capacity{text_of(given)}: give numbers, none negative, and a capacity above 0"
        raise DefinitionError(msg)
    return tasks * parallelism / resource_capacity
