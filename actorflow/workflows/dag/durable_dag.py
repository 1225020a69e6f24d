"""DurableDag: a DAG as a workflow, by whose name its runs in a store know it."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

from actorflow.errors import DefinitionError, NonDeterministic, RunCancelled
from actorflow.workflows.dag.digest import digest_of_dag
from actorflow.workflows.dag.looks import DagLooks
from actorflow.workflows.dag.past import past_of
from actorflow.workflows.dag.progress import DagProgress
from actorflow.workflows.options import PLAIN_RUN
from actorflow.workflows.workflow import WORKFLOWS, AnyWorkflow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actorflow.core.clock import Clock
    from actorflow.workflows.dag.definition import Dag
    from actorflow.workflows.rows.records import RunRecord


class DurableDag(AnyWorkflow):
    """A DAG as runs in a store have it.

    Attributes:
        dag: as it was declared.
        count: of its nodes, when this was made.
    """

    is_dag = True

    def __init__(self, dag: Dag) -> None:
        self.dag = dag
        self.count = len(dag.nodes)
        self.function = dag.__class__
        self.name = dag.name
        self.version = None
        self.is_async = False
        self.limit = None
        self.run_options = PLAIN_RUN.replace(id=dag.id, deadline=dag.deadline)

    def __repr__(self) -> str:
        return repr(self.dag)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002 - it takes none
        """Refuse: a DAG is no function.

        Raises:
            DefinitionError: always.
        """
        raise DefinitionError(f"{self.name} is a DAG, and is not called: system.start(dag)")

    @cached_property
    def hash(self) -> str:
        """The digest of the nodes."""
        return digest_of_dag(self.dag)

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Refuse arguments.

        Raises:
            DefinitionError: there are some, or the DAG has a mistake.
        """
        if args or kwargs:
            raise DefinitionError(f"{self.name} is a DAG, and takes no arguments: its nodes have theirs")
        self.dag.check()

    def given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ARG002 - it takes none
        """Return the input of a run: the digest of the DAG, as the arguments are in it."""
        return {"dag": self.hash}

    def looks(
        self, run: str, records: Sequence[RunRecord], read: Callable[[bytes], Any], clock: Clock, *, is_cancelled: bool
    ) -> DagLooks | None:
        """Return the nodes of a run as its records tell; None if they do not fit this DAG."""
        try:
            return self.replayed(run, records, read, clock, is_cancelled=is_cancelled)
        except NonDeterministic:
            return None

    def replayed(
        self, run: str, records: Sequence[RunRecord], read: Callable[[bytes], Any], clock: Clock, *, is_cancelled: bool
    ) -> DagLooks:
        """Return the nodes of a run as its records tell; no task is run.

        Raises:
            NonDeterministic: they do not fit this DAG.
        """
        progress = DagProgress(self.dag.plan(), clock, 1)
        looks = DagLooks(run, progress, clock)
        progress.hire = progress.over = lambda: None
        progress.wake = lambda _: None
        progress.cancel_step = lambda _: None
        past = past_of(self.dag, records, read, looks.offset)
        if is_cancelled and past.cancelled is None:
            past = past._replace(cancelled=RunCancelled(f"run {run} was cancelled"))
        progress.begin(past)
        return looks


def know(dag: Dag) -> DurableDag:
    """Have a DAG known by its name, so that runs of it go on here; return it as a workflow.

    The latest one of a place in the code counts: a function may make it anew.

    Raises:
        DefinitionError: another place has made one of that name, or a workflow has the name.
    """
    known = WORKFLOWS.get(dag.name)
    if known is not None and not (isinstance(known, DurableDag) and is_same(known.dag, dag)):
        kind = "two durable DAGs" if isinstance(known, DurableDag) else "a workflow and a durable DAG"
        raise DefinitionError(f"{kind} are named {dag.name!r}: runs know them by their names, so give one another")
    found = DurableDag(dag)
    # An equal one is the same definition, which runs that are parked here have tried.
    if known is None or (known.dag._specs, known.dag.workers, known.count) != (dag._specs, dag.workers, found.count):
        WORKFLOWS[dag.name] = by_name = DurableDag(dag)
        by_name.run_options = PLAIN_RUN  # an id and a deadline are of one run, and a start by name is another
    return found


def is_same(one: Dag, other: Dag) -> bool:
    """Say whether two are the same DAG, or come from the same place in the code."""
    return one._specs is other._specs or one._place == other._place


def place_of_caller() -> tuple[str, str]:
    """Return the file and the function of the code outside of this package that calls it."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("actorflow."):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_code.co_qualname
