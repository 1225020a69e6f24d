"""ChildStep: a run that the body of another has started, as a step of that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from actorflow.durable.rows.payload import pack
from actorflow.errors import RunCancelled, RunFailed
from actorflow.store.codec import encode
from actorflow.store.error_json import read_error, write_error
from actorflow.tasks.task import declared_errors
from actorflow.workflows.body.steps import NOTHING, BodyStep, hash_of
from actorflow.workflows.rows.records import CANCELLED, RESULT, RunRecord

if TYPE_CHECKING:
    from actorflow.workflows.body.body import Body
    from actorflow.workflows.rows.records import Identity
    from actorflow.workflows.signals import ChildEnded
    from actorflow.workflows.workflow import AnyWorkflow


class ChildStep(BodyStep):
    """A child: it is started once, under an id that follows from where the step stands, and its end is mail.

    Attributes:
        name: the id of the child.
        place: where the step stands, as the row of the child has it.
        signal: that the child is started with, as it is stored.
        is_cancelled: the run was cancelled while the child was under way, and the child is to end with it.
        is_ended: its end is in the journal.
        is_there: its start is committed.
    """

    __slots__ = ("given", "is_cancelled", "is_ended", "is_there", "name", "options", "place", "signal", "workflow")

    def __init__(self, body: Body, identity: Identity, start: int, workflow: AnyWorkflow, given: bytes) -> None:
        super().__init__(body, identity, start, hash_of(given))
        branch, name, occurrence = identity
        self.workflow = workflow
        self.options = workflow.run_options
        self.given = given
        self.name = self.options.id or f"{body.run.scope}/{branch}/{name}/{occurrence}"
        self.place = json.dumps([body.run.turn, branch, name, occurrence])
        signal, limit = self.options.signal, body.node.site.payload_limit
        self.signal = None if signal is None else pack(signal, limit)
        self.is_cancelled = self.is_ended = self.is_there = False

    @property
    def holds_end(self) -> bool:
        """Whether the run does not end before the child has; or before it is there, if it is to go on by itself."""
        closing = self.options.on_parent_close
        return closing == "wait" or (closing == "abandon" and not self.is_there)

    @property
    def is_starting(self) -> bool:  # type: ignore[override]
        """Whether the commit that starts it may not be there yet."""
        return not self.is_there

    def started(self) -> None:
        """Note that the child is there: the run may wait for that."""
        self.is_there = True
        self.body.wake()

    def launch(self) -> None:
        """Start the child, if it was not; its end may have come meanwhile."""
        if not self.body.is_over and not self.body.mail.take_end(self):
            self.body.node.start_child(self)

    def cancel(self) -> bool:
        """Have the child cancelled with the run, unless it goes on by itself."""
        if self.options.on_parent_close == "abandon":
            return False
        self.is_cancelled = True
        return True

    def finish(self, ended: ChildEnded, mail: int) -> None:
        """Record the end that mail has told of."""
        self.end(ended.status, ended.output, ended.error, mail)

    def end(self, status: str, output: bytes | None, error: bytes | None, mail: int | None) -> None:
        """Record how the child has ended; the first news of that counts."""
        with self.body.lock:
            if self.is_ended or self.body.open.get(self.identity) is not self:
                return
            self.is_ended = True
        if status == "completed":
            record = self.record(RESULT, output or NOTHING, None)
        elif status == "cancelled":
            record = self.record(CANCELLED, None, write_error(RunCancelled(f"run {self.name} was cancelled")))
        else:
            record = self.record(RESULT, None, error)
        self.body.arrive(record, mail)

    def hear(self, record: RunRecord) -> None:
        """Set the future: the value, RunCancelled, or RunFailed with its cause."""
        if record.value is not None:
            self.future._settle(self.body.node.read(record.value), None)
            return
        text, cause = read_error(record.error, declared_errors())
        if record.kind == CANCELLED:
            self.future._settle(None, RunCancelled(f"run {self.name} was cancelled"))
            return
        failed = RunFailed(self.name, text)
        failed.__cause__ = cause
        self.future._settle(None, failed)


def arguments_of_run(workflow: AnyWorkflow, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """Return the arguments of a run, as they are stored.

    Raises:
        DefinitionError: the function does not take them.
        PayloadError: one cannot be stored.
    """
    workflow.check(args, kwargs)
    return encode(workflow.given(args, kwargs), f"the arguments of {workflow.name}")
