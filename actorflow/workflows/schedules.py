"""Schedules of runs: cron expressions at whose times runs are started, once, however many processes declare them.

They are schedules as queues have them, under a name that stands for the runs of a store; a run's id is made of the
schedule's name and the time, so that no time starts two.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from actorflow.core.actors.child import child
from actorflow.core.actors.traits import check_type
from actorflow.core.log import logger
from actorflow.errors import DefinitionError
from actorflow.queues.cron import MOST, Schedule, schedule_of
from actorflow.queues.ledger.schedules import RUNS
from actorflow.queues.node.upkeep import Upkeep
from actorflow.queues.schedules import Firing, Schedules
from actorflow.store.codec import check_size
from actorflow.tasks.options import PLAIN, JobOptions, check_list
from actorflow.text import text_of
from actorflow.workflows.body.child_step import arguments_of_run
from actorflow.workflows.opening import node_of
from actorflow.workflows.rows import ledger
from actorflow.workflows.rows.ledger import NewRun
from actorflow.workflows.stored_run import StoredRun
from actorflow.workflows.workflow import AnyWorkflow

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.queues.node.local_queue import LocalQueue
    from actorflow.queues.packing import Packed
    from actorflow.store.transaction import Transaction
    from actorflow.workflows.node.run_node import RunNode
    from actorflow.workflows.run import Run


@dataclass(frozen=True, slots=True)
class PackedRun:
    """A workflow with the arguments of its runs.

    Attributes:
        task: name of the workflow.
        options: of a job; runs have none of them.
    """

    workflow: AnyWorkflow = field(compare=False)
    task: str
    input: bytes
    options: JobOptions = PLAIN

    def run_at(self, schedule: str, time: float) -> NewRun:
        """Return the run for a time."""
        options = self.workflow.run_options
        when = dt.datetime.fromtimestamp(time, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return NewRun(
            f"{schedule}@{when}",
            self.task,
            self.input,
            options.version or self.workflow.version,
            self.workflow.hash,
            priority=options.priority,
            key=options.key,
            slot=self.workflow.slot_of(options.key),
            limit=self.workflow.limit,
            deadline=None if options.deadline is None else time + options.deadline,
        )


class RunFiring(Firing):
    """A schedule of runs that is due."""

    def put(self, transaction: Transaction, time: float) -> int:
        """Add the run for a time, unless it is there."""
        packed = cast("PackedRun", self.schedule.packed)
        added = ledger.add(transaction, packed.run_at(self.schedule.name, time), self.now, None)
        return 0 if added is None else added.id


class RunSchedules(Schedules):
    """Starts the runs of schedules when they are due."""

    firing = RunFiring


class RunCalendar:
    """The place where schedules are declared: of these the runs of a system, as a local queue is of others.

    Attributes:
        declared: the schedules of this process, by name.
        actor: has them fire; None until the first is declared.
    """

    name = RUNS
    durability = None

    def __init__(self, node: RunNode) -> None:
        self.store = node.store
        self.scheduler = node.scheduler
        self.clock = node.scheduler.clock
        self.now: Callable[[], float] = node.now
        self.declared: dict[str, Schedule] = {}
        self.announcer = self
        self.wake: Callable[[], None] = node.look
        self.upkeep = Upkeep(cast("LocalQueue", self))
        self.actor: ActorRef[Any] | None = None

    def tell(self, _kind: str, run: int, workflow: str) -> None:
        """Log that a run was started."""
        if run:
            logger.debug("A run of %s was started by its schedule", workflow)


class RunSchedule:
    """A schedule of runs, from `system.cron(...)`.

    Attributes:
        name: in the store; the id of its run for a time is this name, "@" and the time in UTC.
    """

    def __init__(self, node: RunNode, schedule: Schedule) -> None:
        self.name = schedule.name
        self._node = node
        self._schedule = schedule

    def __repr__(self) -> str:
        return f"<RunSchedule {self.name}>"

    def backfill(self, begin: dt.datetime, end: dt.datetime) -> list[Run[Any]]:
        """Start the runs for all times from `begin` to before `end`, those that were not started; return all of them.

        Raises:
            DefinitionError: a time has no zone.
        """
        check_type("begin", begin, dt.datetime)
        check_type("end", end, dt.datetime)
        if begin.utcoffset() is None or end.utcoffset() is None:
            msg = f"backfill({begin!r}, {end!r}): give times with a zone, such as datetime(..., tzinfo=UTC)"
            raise DefinitionError(msg)
        runs: list[Run[Any]] = []
        part: list[NewRun] = []
        packed = cast("PackedRun", self._schedule.packed)
        for time in self._schedule.times(begin.timestamp() - 1):
            if time >= end.timestamp():
                break
            if time >= begin.timestamp():
                part.append(packed.run_at(self.name, time))
            if len(part) == MOST:
                runs += self._start(part)
                part = []
        return runs + self._start(part)

    def _start(self, part: list[NewRun]) -> list[Run[Any]]:
        node = self._node

        def work(transaction: Transaction) -> None:
            for new in part:
                ledger.add(transaction, new, node.now(), None)

        if part:
            node.store.write(work)
            node.look()
        return [StoredRun(node, new.name) for new in part]


def scheduled(cron: str, given: Any) -> AnyWorkflow:
    """Return the workflow that a schedule is to start.

    Raises:
        DefinitionError: it is neither a workflow nor a durable DAG.
    """
    if hasattr(type(given), "as_workflow"):
        if given.durable:
            return cast("AnyWorkflow", given.as_workflow())
        cure = "a schedule outlives its process, and so do its runs: make it af.Dag(..., durable=True)"
    elif isinstance(given, AnyWorkflow):
        return given
    else:
        cure = "give a function with @af.workflow, or a durable af.Dag; tasks have queue.cron(...)"
    msg = f"cron({text_of(cron)}, {text_of(given)}): {cure}"
    raise DefinitionError(msg)


def declare(
    home: Any,
    cron: str,
    workflow: Any,
    args: Sequence[Any],
    tz: str,
    catch_up: Literal["skip", "latest", "all"],
    name: str | None,
) -> RunSchedule:
    """Declare a schedule of runs.

    Raises:
        DefinitionError: the expression, the zone, the workflow or the arguments make no sense.
    """
    workflow = scheduled(cron, workflow)
    if workflow.run_options.id is not None:
        msg = f"cron({text_of(cron)}, {workflow!r}): a run gets its id from its time, so options(id=) makes no sense"
        raise DefinitionError(msg)
    check_list("args", args, "the arguments", lambda _: True)
    node = node_of(home)
    given = arguments_of_run(workflow, tuple(args), {})
    check_size(given, f"the arguments of {workflow.name}", node.site.payload_limit)
    packed = PackedRun(workflow, workflow.name, given)
    schedule = schedule_of(cron, cast("Packed", packed), tz=tz, catch_up=catch_up, name=name)
    if node.calendar is None:
        node.calendar = RunCalendar(node)
    calendar: RunCalendar = node.calendar
    other = calendar.declared.get(schedule.name)
    if name is None and other is not None and other.packed != schedule.packed:
        msg = f"cron(): {schedule.name!r} is declared already, with other arguments: give each a name="
        raise DefinitionError(msg)
    actor = calendar.actor
    if actor is None or not actor.is_alive():
        recipe = child(RunSchedules, cast("LocalQueue", calendar)).options(name="run-schedules")
        actor = calendar.actor = cast("ActorRef[Any]", home.spawn(recipe))
    actor.call(RunSchedules.declare, schedule).get()
    return RunSchedule(node, schedule)
