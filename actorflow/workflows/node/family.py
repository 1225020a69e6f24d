"""Family: the statements by which runs start, end and cancel their children, and hear of their ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from actorflow.durable.rows import ledger as mailboxes
from actorflow.durable.rows.payload import pack
from actorflow.durable.rows.records import Letter
from actorflow.errors import DefinitionError
from actorflow.store.error_json import write_error
from actorflow.workflows.node.members import RunMember
from actorflow.workflows.rows import ledger
from actorflow.workflows.rows.ledger import NewRun
from actorflow.workflows.rows.pausing import end_pause
from actorflow.workflows.rows.records import OVER, OWNED, RENEWED, address_of
from actorflow.workflows.rows.sending import cancelled_at, end_before_begin
from actorflow.workflows.signals import AT_START, CancelRun, ChildEnded

if TYPE_CHECKING:
    from actorflow.store.transaction import Transaction
    from actorflow.workflows.body.child_step import ChildStep
    from actorflow.workflows.node.run_node import RunNode
    from actorflow.workflows.rows.records import ClaimedRun


def post(transaction: Transaction, node: RunNode, letter: Letter, id: str | None = None) -> None:
    """Put mail to a run that is not over, and have it heard of once that is committed."""
    runtime = node.durable
    if id is None:
        mailboxes.put(transaction, runtime, letter)
    else:
        mailboxes.put_once(transaction, runtime, letter, id)
    name = letter.receiver.partition(":")[2]
    transaction.run("runs.hear", {"name": name})

    def announce() -> None:
        if letter.is_put:
            runtime.announce(letter)
            if name not in node.bodies:
                node.look()

    transaction.after_commit(announce)


def tell_parent(
    transaction: Transaction, node: RunNode, child: Any, status: str, output: bytes | None, error: bytes | None
) -> None:
    """Tell the parent of a run that it is over, unless the parent is; `child` has a name, a parent and its step."""
    ended = ChildEnded(json.loads(child.parent_step), child.name, status, output, error)
    limit = 4 * node.site.payload_limit  # the result is of that size at most, and is packed once more
    letter = Letter(address_of(child.parent), pack(ended, limit))
    mailboxes.put_to_run(transaction, node.durable, letter)  # last: all processes lock parents in one order
    transaction.after_commit(lambda: node.durable.announce(letter) if letter.is_put else None)


def end_run(
    transaction: Transaction,
    node: RunNode,
    run: ClaimedRun,
    status: str,
    output: bytes | None,
    error: bytes | None,
    *,
    has_children: bool,
) -> None:
    """Write the end of a run, tell its parent, and cancel the children that are to end with it.

    Raises:
        RunLost: another node has the run by now.
    """
    if run.slot is not None:
        transaction.after_commit(node.look)
    if has_children:  # first: those that end lock themselves before their parent, too
        close_children(transaction, node, run.name, run.epoch)
    if status == RENEWED:
        ledger.renew(transaction, run, node.id, output)
        return
    ledger.end(transaction, run, node.id, status, output, error, node.now(), node.keep)
    if run.parent is not None:
        tell_parent(transaction, node, run, status, output, error)


def close_children(transaction: Transaction, node: RunNode, parent: str, epoch: int) -> None:
    """Cancel the children of a run that are to end with it."""
    for (name,) in transaction.all("runs.children", {"parent": parent}):
        cancel_run(transaction, node, name, f"its parent is over ({epoch})")


def cancel_run(transaction: Transaction, node: RunNode, name: str, why: str) -> None:
    """Cancel a run that is not over: at once if it has not begun, else by mail, once for each reason."""
    if not end_unbegun(transaction, node, name):
        end_pause(transaction, name, node.now())
        letter = Letter(address_of(name), pack(CancelRun(), node.site.payload_limit))
        post(transaction, node, letter, why)


def end_unbegun(transaction: Transaction, node: RunNode, name: str) -> bool:
    """Cancel a run that nobody has begun; False if it was begun, or is over."""
    values = cancelled_at(name, node.now(), node.keep)
    if not end_before_begin(transaction, values):
        return False
    transaction.after_commit(node.look)  # another may have its slot now
    row = ledger.find(transaction, name)
    if row is not None and row.parent is not None:
        child = NewRun(name, row.workflow, b"", parent=row.parent, parent_step=row.parent_step)
        tell_parent(transaction, node, child, "cancelled", None, values["error"])
    return True


class ChildMember(RunMember):
    """The start of a child, in the commit of its parent; once more, to cancel it."""

    __slots__ = ("added", "ended", "is_here", "step")

    def __init__(self, step: ChildStep) -> None:
        super().__init__(step.body)
        self.step = step
        self.added: ClaimedRun | None = None
        self.is_here = False  # this node owns the child
        self.ended: tuple[str, bytes | None, bytes | None] | None = None

    def write(self, transaction: Transaction) -> None:
        """Add the child; or look how far it is; or cancel it.

        Raises:
            RunLost: another node has the parent.
        """
        body, step, node = self.body, self.step, self.body.node
        self.added = self.ended = None
        run = body.run
        if transaction.one("runs.is_owned", {"id": run.id, "owner": node.id, "epoch": run.epoch}) is None:
            raise ledger.lost(run)
        row = ledger.find(transaction, step.name)
        if row is None and step.is_cancelled:
            self.ended = "cancelled", None, None
        elif row is None:
            owner = node.id if node.runs_here(step.workflow.name) else None
            self.added = ledger.add(transaction, self.new(), node.now(), owner)
            if step.signal is not None:
                mailboxes.put_once(transaction, node.durable, Letter(address_of(step.name), step.signal), AT_START)
        elif (row.parent, row.parent_step) != (run.name, step.place):
            taken = f"run {step.name!r} is there already, and is no child of this step: give the child another id"
            self.ended = "failed", None, write_error(DefinitionError(taken))
        elif row.state == OVER:
            self.ended = row.status, row.output, row.error
        elif step.is_cancelled:
            cancel_run(transaction, node, step.name, f"its parent was cancelled ({run.epoch})")
        self.is_here = row is not None and row.state == OWNED and row.owner == node.id

    def new(self) -> NewRun:
        """Return the child as a row."""
        step, options = self.step, self.step.options
        deadline = None if options.deadline is None else self.body.node.now() + options.deadline
        return NewRun(
            step.name,
            step.workflow.name,
            step.given,
            options.version or step.workflow.version,
            step.workflow.hash,
            parent=self.body.run.name,
            parent_step=step.place,
            on_close=options.on_parent_close,
            priority=options.priority,
            key=options.key,
            deadline=deadline,
            slot=step.workflow.slot_of(options.key),
            limit=step.workflow.limit,
            cause=self.body.run.cause,
        )

    def committed(self) -> None:
        """Have the child begin here; or record how it has ended."""
        node = self.body.node
        self.step.started()
        if self.added is not None:
            node.added(self.added)
        elif self.is_here and self.step.name not in node.bodies:
            node.doubt()  # it was added by a commit whose outcome was unknown
        if self.ended is not None:
            self.step.end(*self.ended, None)
