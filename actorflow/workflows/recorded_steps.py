"""Recorded steps: the steps of a run of a workflow, as its records tell of them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from actorflow.errors import StepFailed
from actorflow.store.error_json import read_error
from actorflow.tasks.task import TASKS
from actorflow.workflows.figures.times import begin_of
from actorflow.workflows.rows.records import ASKED, ATTEMPT, NO_STEP, SKIPPED, step_name
from actorflow.workflows.run import FailedTry, StepInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from actorflow.workflows.rows.records import Identity, RunRecord
    from actorflow.workflows.run import StepStatus


def steps_of(records: Iterable[RunRecord]) -> Iterator[StepInfo]:
    """Yield the steps that records of a workflow tell of."""
    tries: dict[Identity, list[FailedTry]] = {}
    asked: dict[Identity, float] = {}  # when jobs were enqueued, and messages sent
    for record in records:
        began = record.at if record.began is None else record.began
        if record.kind == ASKED:
            asked[record.identity] = record.at
        elif record.kind == ATTEMPT:
            tries.setdefault(record.identity, []).append(FailedTry(began, record.at, error_in(record)))
        elif record.kind not in NO_STEP:
            branch, name, occurrence = record.identity
            yield StepInfo(
                name,
                name if record.began is not None else "",
                status_of(record),
                error=None if record.error is None else error_in(record),
                ready=asked.pop(record.identity, record.began),
                started=record.began,
                ended=record.at,
                attempts=record.attempt,
                tries=tuple(tries.pop(record.identity, ())),
                branch=branch,
                occurrence=occurrence,
            )


def status_of(record: RunRecord) -> StepStatus:
    """Return the status of a step that is over."""
    if record.kind == SKIPPED:
        return "skipped"
    return "completed" if record.error is None else "failed"


def error_in(record: RunRecord) -> BaseException:
    """Return the error of a step: a builtin one, actorflow's or one that its task declares, else a StepFailed."""
    task = TASKS.get(record.identity[1])
    text, error = read_error(record.error, () if task is None else task.raises)
    return StepFailed(record.identity[1], text) if error is None else error


def charted(steps: Sequence[StepInfo]) -> list[StepInfo]:
    """Return steps as a chart needs them: with names that differ, each after the one whose end it began upon."""
    begun = sorted((step for step in steps if step.started is not None), key=begin_of)
    ended = sorted(begun, key=lambda step: step.ended or 0.0)
    found: list[StepInfo] = []
    last, at = "", 0
    for step in begun:
        while at < len(ended) and (ended[at].ended or 0.0) <= begin_of(step) and ended[at] is not step:
            last, at = named(ended[at]), at + 1
        found.append(dataclasses.replace(step, name=named(step), after=(last,) if last else ()))
    return found


def named(step: StepInfo) -> str:
    """Return the name of a step, with its place if it is not the first in the main branch."""
    return step_name((step.branch, step.name, step.occurrence))
