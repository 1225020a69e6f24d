"""Options: the settings of one call of a task, from `task.options(...)`, where they differ from the task's."""

from __future__ import annotations

import dataclasses
import datetime as dt
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, TypedDict, Unpack

from actorflow.core.actors.traits import check_choice, check_known, check_type
from actorflow.errors import DefinitionError
from actorflow.tasks.retry import Retry
from actorflow.text import text_of

PRIORITIES: Final = 1 << 63  # below and above zero, that a database can hold
LONGEST_NAME: Final = 1000  # bytes of UTF-8: an index of PostgreSQL has 2,700 for two of them
LONGEST: Final = sys.float_info.max  # seconds
STORABLE: Final = "text that is not empty, has at most 1,000 bytes, and neither NUL nor lone surrogates"


class HasId(Protocol):
    """A job, as far as the options of another need it."""

    id: str


class CallKeywords(TypedDict, total=False):
    """Options of one call of a task by any owner, for type checkers; `CallOptions` explains them."""

    retry: Retry | None
    timeout: float | None
    priority: int
    key: str | None
    tags: Sequence[str]


class JobKeywords(CallKeywords, total=False):
    """Options of one job, for type checkers; `JobOptions` explains them, and has the same fields."""

    queue: str | None
    delay: float
    due: dt.datetime | None
    unique: str | None
    on_duplicate: Literal["existing", "reject", "replace"]
    after: Sequence[HasId]
    expires: float | None
    at_most_once: bool
    keep: float
    conn: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """The options of one call of a task that do not depend on whose call it is.

    Attributes:
        retry: in place of the task's; the errors it follows (`on`) stay those of the task.
        timeout: seconds for one attempt, in place of the task's.
        priority: the smallest goes first.
        key: the key under which the queue's `per_key` limits count it.
        tags: words to find it by.
    """

    retry: Retry | None = None
    timeout: float | None = None
    priority: int = 0
    key: str | None = None
    tags: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_type("retry", self.retry, Retry | None)
        if self.timeout is not None:
            check_seconds("timeout", self.timeout, zero=False)
        check_priority(self.priority)
        check_type("key", self.key, str | None)
        check_text("key", self.key)
        check_list("tags", self.tags, "words of one line: tags=['night']", is_word)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions(CallOptions):
    """The options that `.options()` of a task sets: those of any call of a task, and those that only a job has.

    Attributes:
        retry: in place of the task's; the errors it follows (`on`) stay those of the task.
        timeout: seconds for one attempt, in place of the task's.
        priority: the smallest goes first.
        key: the key under which the queue's `per_key` limits count it.
        tags: words to find it by.
        queue: of a step of a workflow: name of the queue of which it is a job.
        delay: seconds until it may run.
        due: the time from which on it may run, with its zone; in place of a delay.
        unique: at most one live job of the queue has it.
        on_duplicate: the effect of a second one: "existing" returns the first, "reject" is a DefinitionError, "replace"
            cancels the first if it has not begun.
        after: jobs that must be completed first; if one fails, this one is cancelled.
        expires: seconds after which it is cancelled if it has not begun.
        at_most_once: never run it twice: if its process dies, it is dead.
        keep: seconds that its result is kept.
        conn: your own connection to the store's database: the job is in it when your transaction commits.
    """

    queue: str | None = None
    delay: float = 0.0
    due: dt.datetime | None = None
    unique: str | None = None
    on_duplicate: Literal["existing", "reject", "replace"] = "existing"
    after: Sequence[HasId] = ()
    expires: float | None = None
    at_most_once: bool = False
    keep: float = 86400.0
    conn: Any = None

    def __post_init__(self) -> None:
        CallOptions.__post_init__(self)  # with slots, super() finds no class
        check_queue_name(self.queue)
        check_type("unique", self.unique, str | None)
        check_text("unique", self.unique)
        check_type("at_most_once", self.at_most_once, bool)
        check_choice("on_duplicate", self.on_duplicate, ("existing", "reject", "replace"))
        check_seconds("delay", self.delay, zero=True)
        check_due(self.due, self.delay)
        check_seconds("keep", self.keep, zero=True)
        if self.expires is not None:
            check_seconds("expires", self.expires, zero=False)
        check_list("after", self.after, "jobs: after=[job]", lambda job: hasattr(type(job), "id") or hasattr(job, "id"))

    def replace(self, **options: Unpack[JobKeywords]) -> JobOptions:
        """Return these options with some replaced; an unknown one is a DefinitionError that names the nearest."""
        check_known(options, NAMES)
        return dataclasses.replace(self, **options)


def check_queue_name(name: Any) -> None:
    """Refuse a name that no queue has.

    Raises:
        DefinitionError: it is no text that all databases can hold, or has a "/".
    """
    if name is not None and (not isinstance(name, str) or not is_text(name) or "/" in name):
        msg = f"queue name {text_of(name)}: {STORABLE}, and no '/'"
        raise DefinitionError(msg)


def check_seconds(name: str, value: Any, *, zero: bool) -> None:
    """Refuse a value that is no time in seconds; NaN, infinity, and whole numbers above all floats are none."""
    check_type(name, value, int | float)
    if not (0 <= value <= LONGEST) or (value == 0 and not zero):
        msg = f"{name}={text_of(value)}: seconds, {'0 or more' if zero else 'above 0'}"
        raise DefinitionError(msg)


def check_timeout(timeout: Any) -> None:
    """Refuse a limit of a wait that is none; a negative one, as of a moment that has passed, waits for nothing."""
    check_type("timeout", timeout, int | float | None)
    if timeout is not None and not -LONGEST <= timeout <= LONGEST:
        msg = f"timeout={text_of(timeout)}: seconds; without one, the wait has no limit"
        raise DefinitionError(msg)


def check_priority(priority: Any) -> None:
    """Refuse a priority that no database can hold."""
    check_type("priority", priority, int)
    if not -PRIORITIES <= priority < PRIORITIES:
        msg = f"priority={text_of(priority)}: a whole number of 64 bits"
        raise DefinitionError(msg)


def check_count(name: str, value: Any, *, most: int = PRIORITIES - 1) -> None:
    """Refuse a number of things that is none."""
    check_type(name, value, int)
    if not 1 <= value <= most:
        msg = f"{name}={text_of(value)}: {'1 or more' if value < 1 else f'{most} at most'}"
        raise DefinitionError(msg)


def check_due(due: Any, delay: float) -> None:
    """Refuse a time that may mean several moments."""
    check_type("due", due, dt.datetime | None)
    if due is None:
        return
    if due.utcoffset() is None:
        msg = f"due={due!r}: the time has no zone: give datetime.now(UTC) + ..., or datetime(..., tzinfo=ZoneInfo(...))"
        raise DefinitionError(msg)
    if delay:
        msg = f"due={due!r}, delay={delay!r}: give one of them"
        raise DefinitionError(msg)


def check_list(name: str, value: Any, what: str, fits: Callable[[Any], bool]) -> None:
    """Refuse a value that is no list, or has a wrong item in it; a string is a list of letters, and never meant."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence) or not all(map(fits, value)):
        msg = f"{name}={text_of(value)}: give a list of {what}"
        raise DefinitionError(msg)


def check_text(name: str, value: str | None) -> None:
    """Refuse a name, a key or an id that not all databases can hold and find again.

    Raises:
        DefinitionError: it is empty or too long, or has NUL or lone surrogates.
    """
    if value is not None and not is_text(value):
        msg = f"{name}={text_of(value)}: {STORABLE}"
        raise DefinitionError(msg)


def is_text(value: object) -> bool:
    """Say whether a value is text that all databases can hold, and have in an index."""
    if not isinstance(value, str) or not value or "\0" in value or len(value) > LONGEST_NAME:
        return False
    data = value.encode(errors="ignore")
    return len(data) <= LONGEST_NAME and data.decode() == value


def is_word(value: Any) -> bool:
    """Say whether a value can be a tag: the store has one a line."""
    return isinstance(value, str) and is_text(value) and len(value.splitlines()) == 1 and not value.endswith("\n")


def check_for_step(task: str, options: JobOptions, known: Sequence[str], cure: str) -> None:
    """Refuse options that only a job of a queue has.

    Args:
        task: name of the task that they are of.
        options: of the call.
        known: names of those that a step has.
        cure: ends the text of the error.

    Raises:
        DefinitionError: one of the others was given.
    """
    given = [
        field.name
        for field in dataclasses.fields(options)
        if field.name not in known and getattr(options, field.name) is not getattr(PLAIN, field.name)
    ]
    if given:
        names = ", ".join(f"{name}=" for name in given)
        msg = f"{task}.options({names}): only a job of a queue has that; {cure}"
        raise DefinitionError(msg)


NAMES = tuple(field.name for field in dataclasses.fields(JobOptions))
PLAIN = JobOptions()
