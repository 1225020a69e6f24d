"""Options of a pool's tasks: those that `pool.options()` takes, checked."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, TypedDict

from actorflow.core.actors.traits import check_known, check_type
from actorflow.errors import DefinitionError
from actorflow.process.options import size
from actorflow.process.pool.setup import check_positive


class TaskKeywords(TypedDict, total=False):
    """The keywords of `pool.options()`, for type checkers: a misspelt one is an error there, too."""

    timeout: float | None
    memory: int | str | None
    priority: int
    retries: int


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """The options that `pool.options()` sets; `memory` is in bytes."""

    timeout: float | None = None
    memory: int | None = None
    priority: int = 0
    retries: int = 0
    watched: bool = field(init=False, repr=False)  # its worker has to be watched while it runs

    def __post_init__(self) -> None:
        object.__setattr__(self, "watched", self.timeout is not None or self.memory is not None)

    def override(self, keywords: TaskKeywords) -> TaskOptions:
        """Return options with these changed.

        Raises:
            DefinitionError: one is unknown, or its value makes no sense.
        """
        options: dict[str, Any] = dict(keywords)
        check_known(options, OPTION_NAMES)
        check_positive("timeout", options.get("timeout"), int | float)
        check_type("priority", options.get("priority", 0), int)
        check_type("retries", options.get("retries", 0), int)
        if options.get("retries", 0) < 0:
            msg = f"retries={options['retries']}: 0 or more"
            raise DefinitionError(msg)
        if options.get("memory") is not None:
            options["memory"] = size("memory", options["memory"])
        return dataclasses.replace(self, **options)


OPTION_NAMES = tuple(option.name for option in dataclasses.fields(TaskOptions) if option.init)
