"""Giving back: the commit by which a node lets others have a run, or has it wait for help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow.core.log import logger
from actorflow.errors import ActorflowError
from actorflow.workflows.rows import ledger, pausing
from actorflow.workflows.rows.records import PARKED, READY, WAITING

if TYPE_CHECKING:
    from actorflow.store.transaction import Transaction
    from actorflow.workflows.body.body import Body
    from actorflow.workflows.node.run_node import RunNode


def give_back(node: RunNode, body: Body) -> bool:
    """Let others have a run that is unloaded, and tell if it is paused, parked or stuck; False: the store failed."""
    stuck = None if body.saga is None or body.is_lost else body.saga.stuck
    is_paused = False if body.is_lost else _let_go(node, body, stuck)
    name = body.run.name
    if is_paused is None:
        return False
    if is_paused:
        logger.info("Run %s is paused", name)
        node.tell("paused", name)
    elif body.misfits is not None:
        logger.error("Run %s is parked: %s", name, body.misfits)
        node.tell("parked", name, None, str(body.misfits))
    elif stuck is not None:
        logger.error("Saga %s is stuck: %s", name, stuck)
        node.tell("stuck", name, None, stuck)
    return True


def _let_go(node: RunNode, body: Body, stuck: str | None) -> bool | None:
    """Give a run back; return whether it is paused now; None: the store has failed, and it may be this node's still."""
    state, status, wake, misfit = WAITING, "running", next_wake(body), body.misfits
    if body.saga is not None and body.saga.has_turned:
        status = "compensating"
    if misfit is not None:
        state, status = PARKED, "parked"
    elif stuck is not None:
        state, status = PARKED, "stuck"
    elif body.again_at is not None:
        wake = body.again_at
    elif body.is_unsettled:
        state = READY
    reason = stuck if misfit is None else str(misfit)
    upto = body.mail.handled
    failures = [] if stuck is None or body.saga is None else body.saga.failures

    def work(transaction: Transaction) -> bool:
        run = body.run
        if state != PARKED and body.pauses and pausing.take(transaction, run, node.id, body.pauses):
            return ledger.let_go(transaction, run, node.id, PARKED, "paused")
        tried = None if misfit is None else body.workflow.hash
        if failures:
            with body.lock:
                for n, record in enumerate(failures, body.last + 1):
                    record.n = n
            ledger.append(transaction, run, node.id, failures)
        ledger.let_go(transaction, run, node.id, state, status, wake=wake, upto=upto, reason=reason, misfit=tried)
        return False

    is_lasting = bool(body.pauses) or stuck is not None
    try:
        is_paused: bool = node.store.write(work, durability="power" if is_lasting else "process")
    except ActorflowError as error:
        if node.is_closed:
            logger.warning("Run %s could not be given back; others get it all the same: %s", body.run.name, error)
        else:
            node.report_failure(body, error)
        return None
    return is_paused


def next_wake(body: Body) -> float | None:
    """Return when the first timer of a run is due, or its deadline."""
    times = [body.node.now() + left for step in body.open.values() if (left := step.left) is not None]
    times += [] if body.has_cancel or body.run.deadline is None else [body.run.deadline]
    return min(times, default=None)
