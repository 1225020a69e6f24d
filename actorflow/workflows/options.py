"""Options: the settings of one run, from `workflow.options(...)`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final, Literal

from actorflow.core.actors.traits import check_choice, check_known, check_type
from actorflow.tasks.options import check_priority, check_seconds, check_text


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The options that `.options()` of a workflow sets.

    Attributes:
        id: the id of the run: a second start with it is the same run, if workflow and arguments are the same.
        deadline: seconds from the start, after which the run is cancelled.
        version: of the code, in place of the workflow's.
        key: a word that groups runs, such as a tenant: `@af.workflow(limit=)` counts the runs of each.
        priority: the smallest is begun first.
        on_parent_close: of a run that a workflow has started: "cancel" cancels it when the parent ends, "abandon" lets
            it go on by itself, also if the parent is cancelled, and "wait" has the parent end after it.
        signal: a signal that the run is started with, in the same commit.
    """

    id: str | None = None
    deadline: float | None = None
    version: str | None = None
    key: str | None = None
    priority: int = 0
    on_parent_close: Literal["cancel", "abandon", "wait"] = "cancel"
    signal: object = None

    def __post_init__(self) -> None:
        for name in ("id", "version", "key"):
            check_type(name, getattr(self, name), str | None)
            check_text(name, getattr(self, name))
        check_priority(self.priority)
        check_choice("on_parent_close", self.on_parent_close, CLOSINGS)
        if self.deadline is not None:
            check_seconds("deadline", self.deadline, zero=False)

    def replace(self, **options: Any) -> RunOptions:
        """Return these options with some replaced; an unknown one is a DefinitionError that names the nearest."""
        check_known(options, RUN_NAMES)
        return dataclasses.replace(self, **options)


CLOSINGS: Final = ("cancel", "abandon", "wait")
RUN_NAMES: Final = tuple(field.name for field in dataclasses.fields(RunOptions))
PLAIN_RUN: Final = RunOptions()
