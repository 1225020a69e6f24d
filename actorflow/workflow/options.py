"""Options: what one job differs in, from `task.options(...)`. Layer 3."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from actorflow.core.traits import check_choice, check_known, check_type
from actorflow.errors import DefinitionError
from actorflow.workflow.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Sequence


class HasId(Protocol):
    """A job, as far as the options of another need it."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """What `.options()` of a task sets.

    Attributes:
        priority: the smallest goes first.
        delay: seconds until it may run.
        retry: in place of the task's.
        timeout: seconds for one attempt, in place of the task's.
        key: what the queue's `per_key` limits count.
        unique: at most one live job of the queue has it.
        on_duplicate: what a second one does: "existing" returns the first, "reject" is a DefinitionError, "replace"
            cancels the first if it has not begun.
        after: jobs that must be completed first; if one fails, this one is cancelled.
        expires: seconds after which it is cancelled if it has not begun.
        tags: words to find it by.
        at_most_once: never run it twice: if its process dies, it is dead.
        keep: seconds that its result is kept.
        conn: your own connection to the store's database: the job is in it when your transaction commits.
    """

    priority: int = 0
    delay: float = 0.0
    retry: Retry | None = None
    timeout: float | None = None
    key: str | None = None
    unique: str | None = None
    on_duplicate: Literal["existing", "reject", "replace"] = "existing"
    after: Sequence[HasId] = ()
    expires: float | None = None
    tags: Sequence[str] = ()
    at_most_once: bool = False
    keep: float = 86400.0
    conn: Any = None

    def __post_init__(self) -> None:
        check_type("priority", self.priority, int)
        check_type("delay", self.delay, int | float)
        check_type("retry", self.retry, Retry | None)
        check_type("timeout", self.timeout, int | float | None)
        check_type("key", self.key, str | None)
        check_type("unique", self.unique, str | None)
        check_type("expires", self.expires, int | float | None)
        if isinstance(self.tags, str) or not all(map(is_tag, self.tags)):
            msg = f"tags={self.tags!r}: give a list of words, none of them empty or with a line break"
            raise DefinitionError(msg)
        check_choice("on_duplicate", self.on_duplicate, ("existing", "reject", "replace"))
        if self.delay < 0 or self.keep < 0 or any(value is not None and value <= 0 for value in self._spans()):
            msg = f"{self}: a delay is 0 or more, timeout and expires are above 0"
            raise DefinitionError(msg)

    def _spans(self) -> tuple[float | None, ...]:
        return self.timeout, self.expires

    def replace(self, **options: Any) -> JobOptions:
        """Return these options with some replaced; an unknown one is a DefinitionError that names the nearest."""
        check_known(options, NAMES)
        return dataclasses.replace(self, **options)


def is_tag(value: object) -> bool:
    """Say whether a value can be a tag: a store has them line by line."""
    return isinstance(value, str) and value != "" and "\n" not in value


NAMES = tuple(field.name for field in dataclasses.fields(JobOptions))
PLAIN = JobOptions()
