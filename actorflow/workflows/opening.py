"""Opening: the runs of a system."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from actorflow.core.actors.child import child
from actorflow.core.actors.traits import check_type
from actorflow.core.atomic import exclusively
from actorflow.core.log import logger
from actorflow.durable.opening import runtime_of
from actorflow.durable.rows.payload import pack
from actorflow.durable.rows.records import Letter
from actorflow.errors import DefinitionError
from actorflow.queues.retention import JOBS, taking_over
from actorflow.store.codec import check_size
from actorflow.tasks.cause import cause_here
from actorflow.tasks.current import watch_threads
from actorflow.tasks.options import check_text
from actorflow.text import text_of
from actorflow.workflows.body.child_step import arguments_of_run
from actorflow.workflows.node.claiming import Runs
from actorflow.workflows.node.held_runs import handler_of, start_within
from actorflow.workflows.node.pruning import RunPruner
from actorflow.workflows.node.run_node import RunNode
from actorflow.workflows.node.runners import Runners
from actorflow.workflows.rows import keeping, ledger
from actorflow.workflows.rows.ledger import NewRun
from actorflow.workflows.rows.records import address_of
from actorflow.workflows.rows.sending import RunOver
from actorflow.workflows.signals import AT_START
from actorflow.workflows.stored_run import StoredRun
from actorflow.workflows.workflow import AnyWorkflow, find_workflow

if TYPE_CHECKING:
    from actorflow.core.running.scheduler import Scheduler
    from actorflow.store.members import Inheriting
    from actorflow.store.store import Store
    from actorflow.store.transaction import Transaction
    from actorflow.workflows.rows.records import RunRow
    from actorflow.workflows.run import Run


def node_of(home: Any) -> RunNode:
    """Return the runs of a system, made at first use."""
    if home.run_node is not None:
        return cast("RunNode", home.run_node)
    home.scheduler.check_usable()
    durable = runtime_of(home.scheduler, lambda: home.store)
    home.waits  # noqa: B018 - it takes a lock
    return exclusively(home.scheduler.first_use, lambda: _make(home, durable))


def _make(home: Any, durable: Any) -> RunNode:
    if home.run_node is None:
        watch_threads()
        node = RunNode(home, durable)
        node.runners = home.spawn(child(Runners, node).options(name="steps", restart="permanent"))
        node.pruner = home.spawn(child(RunPruner, node).options(name="old-runs", restart="permanent"))
        if not home.local_queues:  # else the first of them tells of jobs of dead nodes
            home.store.members.register(JOBS, taking_over(home.store, lambda _moved, news: home.waits.announce(news)))
        home.waits.posted, home.waits.doubted = durable.announce, node.doubt_mail  # first: loaded runs are to hear
        node.runs = home.spawn(child(Runs, node).options(name="runs", restart="permanent"))
        home.store.members.register("runs", heir_of(home.store, node.look))
        home.store.watch(node.look)
        durable.hear_of_runs = node.look
        home.scheduler.at_kill.append(node.freeze)
        node.look()  # mail may have come since its first look
        home.run_node = node  # last: an interruption leaves none that hears nothing
    return cast("RunNode", home.run_node)


def heir_of(store: Store, tell: Callable[[], object] = lambda: None) -> Callable[[str], Inheriting | None]:
    """Return the function that takes over the runs of a dead node, and tells of it."""

    def inherit(node: str) -> Inheriting | None:
        if store.read(lambda tx: tx.one("runs.owned", {"owner": node})) is None:
            return None
        return partial(take_over, node)

    def take_over(node: str, transaction: Transaction) -> Callable[[], object]:
        taken = ledger.take_over(transaction, node)

        def after() -> None:
            for name, workflow in taken:
                logger.warning("Run %s of %s was in a process that died; it goes on", name, workflow)
            tell()

        return after

    return inherit


def start_run(home: Any, what: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Run[Any]:
    """Start a run of a workflow, or return the one that has its id.

    Raises:
        DefinitionError: no workflow, arguments that do not fit, or another run has the id.
        PayloadError: an argument cannot be stored.
    """
    workflow = find_workflow(what) if isinstance(what, str) else what
    if not isinstance(workflow, AnyWorkflow):
        msg = f"start({text_of(what)}): give a function with @af.workflow, or its name, or an af.Dag"
        raise DefinitionError(msg)
    given = arguments_of_run(workflow, args, kwargs)
    options = workflow.run_options
    node = node_of(home)
    check_size(given, f"the arguments of {workflow.name}", node.site.payload_limit)
    new = NewRun(
        options.id or new_id(home.scheduler),
        workflow.name,
        given,
        options.version or workflow.version,
        workflow.hash,
        priority=options.priority,
        key=options.key,
        slot=workflow.slot_of(options.key),
        limit=workflow.limit,
        deadline=None if options.deadline is None else node.now() + options.deadline,
        cause=None if (cause := cause_here()) is None else json.dumps(cause),
    )
    signal, run = options.signal, StoredRun[Any](node, new.name)
    execution = handler_of(node.store)
    if execution is not None:
        start_within(node, execution, new, partial(check_same, home, new))
        if signal is not None:
            run.signal(signal, id=AT_START)  # in the same commit
        return run
    letter = None if signal is None else Letter(address_of(new.name), pack(signal, node.site.payload_limit))
    if node.start(new, letter) is None:
        check_same(home, new)
        if signal is not None:
            with contextlib.suppress(RunOver):
                run.signal(signal, id=AT_START)
    return run


def new_id(scheduler: Scheduler) -> str:
    """Return an id for a run that was given none."""
    return uuid.UUID(int=scheduler.random_for("runs").getrandbits(128), version=4).hex


def check_same(home: Any, new: NewRun) -> None:
    """Refuse a second start of an id that is another run.

    Raises:
        DefinitionError: it is of another workflow, or of other arguments.
    """
    row = home.store.read(lambda tx: ledger.find(tx, new.name))
    if row is not None and (row.workflow != new.workflow or not is_input(row, new.input)):
        why = f"a run of {row.workflow}" if row.workflow != new.workflow else "one with other arguments"
        msg = f"run {new.name!r} is there already, and is {why}: give the new one another id"
        raise DefinitionError(msg)


def is_input(row: RunRow, given: bytes) -> bool:
    """Say whether a run was started with these arguments; of one that was removed, their digest is left."""
    return row.input == (keeping.digest_of(given) if row.state == keeping.REMOVED else given)


def get_run(home: Any, id: str) -> Run[Any]:
    """Return a handle on a run by its id: one in memory, if there is one, else one in the store."""
    check_type("id", id, str)
    check_text("id", id)
    in_memory: Run[Any] | None = home.memory_runs.get(id)
    if in_memory is not None:
        return in_memory
    return StoredRun(node_of(home), id)
