"""HeldRuns: starts of runs and messages to runs that are part of the commit of a durable actor's handler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT
from actorflow.workflows.rows import ledger
from actorflow.workflows.rows.sending import RunOver, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.core.messages.execution import Execution
    from actorflow.durable.rows.records import Letter
    from actorflow.store.transaction import Transaction
    from actorflow.workflows.node.run_node import RunNode
    from actorflow.workflows.rows.ledger import NewRun

LOOK_SECONDS = 1.0  # until it is looked whether a commit of unknown outcome is there


def handler_of(store: object) -> Execution | None:
    """Return the execution of a handler whose commit takes more work of this store; None if no such handler runs."""
    execution = CURRENT.get()
    return execution if execution is not None and execution.holds and execution.commits_to(store) else None


def start_within(node: RunNode, execution: Execution, new: NewRun, check: Callable[[], object]) -> None:
    """Make the start of a run part of a handler's commit; any node that knows its workflow begins it then.

    Args:
        node: the runs of this process.
        execution: of the handler.
        new: the run.
        check: refuses a run whose id is that of another.
    """
    check()

    def write(transaction: Transaction) -> None:
        ledger.add(transaction, new, node.now(), None)
        look_later(node)

    execution.also(write, node.look)


def send_within(
    node: RunNode,
    execution: Execution,
    run: str,
    letter: Letter,
    marked: str | None,
    end_unbegun: Callable[[Transaction], bool] | None,
) -> None:
    """Make a message to a run part of a handler's commit; if the run is over by then, it is dropped and logged."""

    def write(transaction: Transaction) -> None:
        try:
            put(transaction, node.durable, run, letter, marked, end_unbegun)
        except RunOver as error:
            logger.warning("A message of a handler to a run is dropped: %s", error)
        look_later(node)

    def after() -> None:
        if letter.is_put:
            node.durable.announce(letter)
        node.look()
        node.waits.ended([run])

    execution.also(write, after)


def look_later(node: RunNode) -> Any:
    """Have runs looked for in a second: nobody is told of a commit whose outcome is unknown."""
    return node.scheduler.call_later(LOOK_SECONDS, node.look)
