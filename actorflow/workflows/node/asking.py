"""Asking: queries of runs, wherever a run is: loaded here, loaded elsewhere, or nowhere."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.actors.child import child
from actorflow.core.futures.future import Future
from actorflow.durable.future import StoredFuture
from actorflow.durable.rows.payload import pack, read_failure
from actorflow.durable.rows.records import Letter
from actorflow.errors import ActorDeadError, ActorflowError, AskTimeout, DefinitionError, StoreError
from actorflow.workflows.node.replayer import Replayer
from actorflow.workflows.node.run_actor import RunActor
from actorflow.workflows.rows import keeping, ledger
from actorflow.workflows.rows.records import OVER, OWNED, PARKED, ClaimedRun, address_of
from actorflow.workflows.rows.sending import RunOver, missing, put
from actorflow.workflows.signals import QueryRun
from actorflow.workflows.workflow import WORKFLOWS

if TYPE_CHECKING:
    from actorflow.store.transaction import Transaction
    from actorflow.workflows.body.exposed import Answer
    from actorflow.workflows.node.run_node import RunNode
    from actorflow.workflows.rows.records import RunRow

AGAIN_SECONDS: Final = 0.05  # until a run is asked again that is elsewhere by now
LOOK_SECONDS: Final = 1.0  # between two looks whether the run is still in the process that was asked


def ask(node: RunNode, run: str, name: str, timeout: float) -> Any:
    """Return the answer of a run to a query, as a copy.

    A run that this process has is asked. If nobody has it, its records are replayed here, and nothing is begun; a
    process that does not know its workflow, or does not have the run, asks by mail.

    Raises:
        DefinitionError: there is no such run, or it exposes nothing of that name.
        AskTimeout: there is no answer within the timeout.
    """
    clock = node.scheduler.clock
    until = clock.monotonic() + timeout
    while (left := until - clock.monotonic()) > 0:
        body = node.bodies.get(run)
        row = None if body is not None else row_of(node, run)
        try:
            if body is not None and body.ref is not None:
                answer = body.ref.call(RunActor.query, name, node.now() + left).get(timeout=left)
            elif row is not None and is_read_here(row):
                answer = replayed(node, row, name, left)
            else:
                return by_mail(node, run, name, left)
        except (ActorDeadError, _Moved):  # it was unloaded, or is over, or another process has it now
            node.scheduler.check_usable()
            with contextlib.suppress(AskTimeout):
                Future[None]().get(timeout=min(left, AGAIN_SECONDS))
            continue
        value, error = answer
        if error is not None:
            raise read_failure(error)
        return node.read(value)
    raise late(run, timeout)


def row_of(node: RunNode, run: str) -> RunRow:
    """Return the row of a run.

    Raises:
        DefinitionError: there is none; or it is parked or paused, and its workflow is not known here.
    """
    row: RunRow | None = node.store.read(lambda tx: ledger.find(tx, run))
    if row is None or row.state == keeping.REMOVED:
        raise missing(run, node.store)
    if row.state in {PARKED, OVER} and row.workflow not in WORKFLOWS:
        msg = (
            f"run {run} is {row.status}, and its workflow {row.workflow} is not known here: import its module, and "
            "its records are replayed for the query"
        )
        raise DefinitionError(msg)
    return row


def is_read_here(row: RunRow) -> bool:
    """Say whether the records of a run are replayed here for a query: nobody has it, and its code is known."""
    return row.state != OWNED and row.workflow in WORKFLOWS


def replayed(node: RunNode, row: RunRow, name: str, timeout: float) -> Answer:
    """Replay the records of a run, and have it answer."""
    records = node.store.read(lambda tx: ledger.records(tx, row.id))
    run = ClaimedRun(
        row.id,
        row.name,
        row.workflow,
        row.version,
        row.hash,
        row.parent,
        row.parent_step,
        row.priority,
        row.key,
        row.deadline,
        row.epoch,
        row.input,
        row.created,
        row.started or node.now(),
        row.turn,
        row.seed,
    )
    replayer = node.home.spawn(child(Replayer, node, run, records))
    try:
        return replayer.call(Replayer.query, name).get(timeout=timeout)  # type: ignore[no-any-return]
    finally:
        replayer.stop(block=False)


def by_mail(node: RunNode, run: str, name: str, timeout: float) -> Any:
    """Ask the process that has a run, or have one that knows its workflow load it, and wait for the answer.

    Raises:
        AskTimeout: none came.
        _Moved: the run is over, paused or parked by now.
    """
    runtime, clock = node.durable, node.scheduler.clock
    until = clock.monotonic() + timeout
    question = pack(QueryRun(name, node.now() + timeout), node.site.payload_limit)
    letter = Letter(address_of(run), question, asker=runtime.node, future=StoredFuture())
    future = letter.future
    assert future is not None
    try:
        if not node.store.write(lambda tx: put(tx, runtime, run, letter, None)):
            raise missing(run, node.store)
    except RunOver:
        raise _Moved from None
    runtime.announce(letter)
    if run not in node.bodies:
        node.look()
    try:
        while (left := until - clock.monotonic()) > 0:
            with contextlib.suppress(AskTimeout):
                return future.get(timeout=min(left, LOOK_SECONDS))
            if row_of(node, run).state in {PARKED, OVER}:
                raise _Moved
        raise late(run, timeout)
    finally:
        if runtime.asks.take(letter.number) is not None:
            with contextlib.suppress(StoreError):
                node.store.write(lambda tx: take_back(tx, letter.number))


def take_back(transaction: Transaction, number: int) -> None:
    """Take a question back for whose answer nobody waits any more."""
    transaction.run("actors.done", {"id": number})


def late(run: str, timeout: float) -> AskTimeout:
    """Return the error of a query that was not answered in time."""
    return AskTimeout(
        f"run {run} has not answered within {timeout:.4g} s: either no process that knows its workflow is at work, or "
        "its code computes for long without a step"
    )


class _Moved(ActorflowError):
    """The run is elsewhere by now."""
