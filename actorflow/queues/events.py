"""Events of jobs, which the listeners of a queue hear of in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class JobEvent:
    """An event of a job, which listeners of a queue get.

    Attributes:
        kind: "queued", "started", "progress", "completed", "failed", "retried", "cancelled" or "dead".
        job: id of the job.
        task: name of its task.
        time: seconds since the epoch.
        detail: of "progress", (done, total); of "retried", when it is due.
    """

    kind: str
    job: str
    task: str
    time: float
    detail: Any = None


Listener: TypeAlias = Callable[[JobEvent], Any]
