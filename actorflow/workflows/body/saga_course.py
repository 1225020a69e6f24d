"""SagaCourse: the saga whose code a body runs, as the body knows it; its only class is in the room of sagas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.workflows.body.steps import BodyStep
    from actorflow.workflows.rows.records import RunRecord


class Turned(BaseException):
    """Ends the code of a saga that has turned in an earlier life, and is to pass."""


class SagaCourse(Protocol):
    """The steps of one run of a saga that are to be undone, and how far it is.

    Attributes:
        has_turned: it undoes all of its steps.
        held: records that no commit has, as they are to be in that of the next intent.
        stuck: why it cannot go on until somebody helps; None: it can.
        failures: records of what has failed to undo something, for the commit by which it is stuck.
        is_ending: what is held goes with the end of the run.
    """

    has_turned: bool
    held: list[RunRecord]
    stuck: str | None
    failures: list[RunRecord]
    is_ending: bool

    @property
    def step_kind(self) -> Callable[..., BodyStep]:
        """The class of its steps that are tasks."""
        ...

    @property
    def is_shielded(self) -> bool:
        """Whether a cancel, or the deadline, is not heard of for now."""
        ...

    def begun(self, step: BodyStep, *, is_inline: bool = False) -> None:
        """Note that the code begins a step, and record that if a kill is to leave a trace of it."""
        ...

    def check_open(self, path: str) -> None:
        """Refuse a further step of a map whose saga, or savepoint, is undone."""
        ...

    def heard(self, step: BodyStep, record: RunRecord) -> None:
        """Note that the code hears of the end of a step."""
        ...

    def turn_again(self, record: RunRecord) -> bool:
        """Have the code end, which has turned in an earlier life, and comes there not by itself; False if it cannot."""
        ...

    def hold(self, record: RunRecord) -> None:
        """Keep a record for the commit of the next intent; a short while at most."""
        ...

    def release(self) -> None:
        """Have all that is held committed."""
        ...

    def write_held(self) -> None:
        """Commit all that is held, in this thread."""
        ...

    def take_held(self) -> list[RunRecord]:
        """Return all that is held, to be committed by the caller."""
        ...

    def turn(self, error: BaseException) -> None:
        """Have the code end, though it has caught that its run is cancelled, and undo its steps."""
        ...

    def heard_all(self) -> None:
        """Note that the code has heard of all that was recorded before."""
        ...

    def outcome(self, error: BaseException) -> tuple[str, None, bytes]:
        """Return the status of the run whose code has raised, and that error as it is stored."""
        ...
