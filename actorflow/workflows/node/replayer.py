"""Replayer: the actor that replays the records of a run for a query; nothing of the run is begun, recorded or taken."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.actors.actor import Actor
from actorflow.errors import DefinitionError, Unload
from actorflow.store.error_json import write_error
from actorflow.tasks.execution import let_ctrl_c_pass
from actorflow.workflows.body.async_body import AsyncBody
from actorflow.workflows.body.exposed import answer
from actorflow.workflows.body.sync_body import SyncBody
from actorflow.workflows.node.run_actor import BranchThread
from actorflow.workflows.workflow import find_workflow

if TYPE_CHECKING:
    from actorflow.core.messages.reply import Reply
    from actorflow.workflows.body.body import Body
    from actorflow.workflows.body.lanes import Lane
    from actorflow.workflows.body.steps import TaskStep
    from actorflow.workflows.node.run_node import RunNode
    from actorflow.workflows.rows.records import ClaimedRun, RunRecord

LOOK_SECONDS: Final = 0.005  # between two looks whether the code has heard of all records


class QueriedBody(SyncBody):
    """The code of a plain function that waits once it has heard of all records."""

    def run_inline(self, step: TaskStep) -> None:  # noqa: ARG002 - no step is run
        """Wait until the code is ended."""
        while True:
            self.block(lambda: False)
            self.check()


class Replayer(Actor):
    """Replays one run, answers one query, and is stopped."""

    def __init__(self, node: RunNode, run: ClaimedRun, records: list[RunRecord]) -> None:
        super().__init__()
        workflow = find_workflow(run.workflow)
        kind: type[Body] = AsyncBody if workflow.is_async else QueriedBody
        self.body = kind(node, run, workflow, records)
        self.body.is_lost = True  # it records nothing, and is not given back
        self.body.to_replay += 1  # it never has heard of all, and so begins nothing
        self.is_ended = False

    def on_start(self) -> None:
        """Begin the code."""
        body = self.body
        body.ref = self.actor_ref
        if isinstance(body, AsyncBody):
            with contextlib.suppress(Unload):
                body.go_on()
            self.is_ended = True
        elif isinstance(body, SyncBody):
            self.ctx.spawn(ReplayThread, body, self.actor_ref).cast(ReplayThread.execute)

    def run_branch(self, lane: Lane) -> None:
        """Have a thread for a branch of plain code."""
        assert isinstance(self.body, SyncBody)
        self.ctx.spawn(BranchThread, self.body, lane).cast(BranchThread.execute)

    def query(self, name: str) -> Any:
        """Answer a query once the code has heard of all records."""
        reply = self.ctx.reply_later()
        self.answer(name, reply)

    def answer(self, name: str, reply: Reply) -> None:
        """Answer now, or look again soon."""
        body = self.body
        if body.misfits is not None:
            msg = f"run {body.run.name} cannot be replayed here for a query: {body.misfits}"
            reply.set((None, write_error(DefinitionError(msg))))
        elif self.is_ended or body.is_quiet:
            reply.set(answer(body, name))
        else:
            self.ctx.after(LOOK_SECONDS, self.answer, name, reply)

    def ended(self) -> None:
        """Note that plain code is over."""
        self.is_ended = True

    def on_stop(self) -> None:
        """End the frames of the code."""
        body = self.body
        body.unload()
        if isinstance(body, AsyncBody):
            body.close()


class ReplayThread(Actor):
    """Runs plain code that is replayed: whatever becomes of it there is recorded already, or is nobody's."""

    def __init__(self, body: SyncBody, replayer: Any) -> None:
        super().__init__()
        self.body = body
        self.replayer = replayer

    def execute(self) -> None:
        """Run the code until it is ended, or has ended by itself."""
        try:
            self.body.execute()
        except BaseException as error:  # noqa: BLE001 - the user's, whatever it is
            let_ctrl_c_pass(error)
        self.replayer.cast(Replayer.ended)
