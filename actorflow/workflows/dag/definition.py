"""Dag: tasks and the order they run in, declared before they run."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload

from actorflow.core.actors.traits import check_type
from actorflow.errors import DefinitionError
from actorflow.tasks.options import check_count, check_list, check_seconds, check_text
from actorflow.text import text_of
from actorflow.workflows.dag.node import Node, NodeGroup, NodeKeywords, Results
from actorflow.workflows.dag.specs import NodeSpecs, add_node, check_loop, check_nested, check_task
from actorflow.workflows.run import StepInfo

if TYPE_CHECKING:
    from actorflow.tasks.task import AsyncTask, Task
    from actorflow.workflows.dag.plan import Plan
    from actorflow.workflows.run import Run
    from actorflow.workflows.workflow import AnyWorkflow

R = TypeVar("R")
T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")


class Dag:
    """A directed acyclic graph of tasks: which ones there are, and which must be completed before which.

    A node that is an argument of another one gives it its result; `after=` is order alone. `system.start(dag)` runs it,
    as often as it is called.

    Attributes:
        name: of the DAG; its runs are called after it.
        nodes: in the order in which they were added.

    >>> import actorflow as af
    >>> @af.task(name="docs.extract")
    ... def extract(day: str) -> list[int]:
    ...     return [3, 1, 2]
    >>> @af.task(name="docs.load")
    ... def load(rows: list[int]) -> int:
    ...     return len(rows)
    >>> dag = af.Dag("etl")
    >>> loaded = dag.add(load, dag.add(extract, "2026-11-01"))
    >>> with af.ActorSystem("demo") as system:
    ...     system.start(dag).result(timeout=10)[loaded]
    3
    """

    def __init__(self, name: str, *, workers: int | None = None, durable: bool = False) -> None:
        """Begin a DAG without nodes.

        Args:
            name: of the DAG.
            workers: how many nodes of a run are at work at once; None: as many as the standard library's thread pool
                has threads, 4 more than there are processors, and 32 at most.
            durable: its runs are in the store of the system, and go on after their process has died: in any process
                that has made, or added to its App, the DAG of this name.

        Raises:
            DefinitionError: the name is empty or has a "/", or there are no workers.
        """
        check_type("name", name, str)
        check_text("name", name)
        if "/" in name:
            msg = f"Dag({name!r}): the name is a part of paths, and has no '/'"
            raise DefinitionError(msg)
        if workers is not None:
            check_count("workers", workers)
        check_type("durable", durable, bool)
        self.name = name
        self.workers = workers
        self.id: str | None = None
        self.deadline: float | None = None
        self.durable = durable
        self.nodes: list[Node[Any]] = []
        self._specs = NodeSpecs()
        self._by_name: dict[str, int] = {}
        self._numbers: dict[str, int] = {}  # of the last node that was named after a task
        self._groups: dict[str, NodeGroup] = {}
        self._plans: dict[int, Plan] = {}
        self._place: tuple[str, str] | None = None  # in the code, of one that was made durable
        if durable:
            self._know()

    def __repr__(self) -> str:
        return f"<dag {self.name}, {len(self.nodes)} nodes>"

    def options(
        self,
        *,
        id: str | None = None,
        workers: int | None = None,
        durable: bool | None = None,
        deadline: float | None = None,
    ) -> Self:
        """Return the same DAG with options for a run: `system.start(dag.options(id="etl-2026-11"))`.

        Args:
            id: of the run; without it, the DAG's name and a number; of a durable one, a random id.
            workers: in place of the DAG's.
            durable: in place of the DAG's.
            deadline: seconds from the start, after which a durable run is cancelled.

        Raises:
            DefinitionError: an option makes no sense.
        """
        check_type("id", id, str | None)
        check_text("id", id)
        if workers is not None:
            check_count("workers", workers)
        if durable is not None:
            check_type("durable", durable, bool)
        if deadline is not None:
            check_seconds("deadline", deadline, zero=False)
        dag = object.__new__(type(self))
        dag.__dict__.update(self.__dict__)
        dag.id = self.id if id is None else id
        dag.workers = self.workers if workers is None else workers
        dag.durable = self.durable if durable is None else durable
        dag.deadline = self.deadline if deadline is None else deadline
        if dag.deadline is not None and not dag.durable:
            msg = f"{dag.name}.options(deadline={deadline}): only durable runs have one: options(durable=True)"
            raise DefinitionError(msg)
        if dag.durable and not self.durable:
            dag._know()
        return dag

    def _know(self) -> None:
        """Have runs in the store find this DAG by its name."""
        from actorflow.workflows.dag.durable_dag import know, place_of_caller  # noqa: PLC0415 - it is made of a Dag

        if self._place is None:
            self._place = place_of_caller()
        know(self)

    # --- nodes --------------------------------------------------------------------------------------------------------

    @overload
    def add(self, task: Task[[], R] | AsyncTask[[], R], /, **options: Unpack[NodeKeywords]) -> Node[R]: ...
    @overload
    def add(self, dag: Dag, /, **options: Unpack[NodeKeywords]) -> Node[Results]: ...
    @overload
    def add(
        self,
        task: Callable[[T1], Coroutine[Any, Any, R]],
        a1: T1 | Node[T1],
        /,
        **options: Unpack[NodeKeywords],
    ) -> Node[R]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def add(self, task: Callable[[T1], R], a1: T1 | Node[T1], /, **options: Unpack[NodeKeywords]) -> Node[R]: ...
    @overload
    def add(
        self,
        task: Callable[[T1, T2], Coroutine[Any, Any, R]],
        a1: T1 | Node[T1],
        a2: T2 | Node[T2],
        /,
        **options: Unpack[NodeKeywords],
    ) -> Node[R]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def add(
        self,
        task: Callable[[T1, T2], R],
        a1: T1 | Node[T1],
        a2: T2 | Node[T2],
        /,
        **options: Unpack[NodeKeywords],
    ) -> Node[R]: ...
    @overload
    def add(
        self,
        task: Callable[[T1, T2, T3], Coroutine[Any, Any, R]],
        a1: T1 | Node[T1],
        a2: T2 | Node[T2],
        a3: T3 | Node[T3],
        /,
        **options: Unpack[NodeKeywords],
    ) -> Node[R]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def add(
        self,
        task: Callable[[T1, T2, T3], R],
        a1: T1 | Node[T1],
        a2: T2 | Node[T2],
        a3: T3 | Node[T3],
        /,
        **options: Unpack[NodeKeywords],
    ) -> Node[R]: ...
    @overload
    def add(
        self,
        task: Callable[[T1, T2, T3, T4], Coroutine[Any, Any, R]],
        a1: T1 | Node[T1],
        a2: T2 | Node[T2],
        a3: T3 | Node[T3],
        a4: T4 | Node[T4],
        /,
        **options: Unpack[NodeKeywords],
    ) -> Node[R]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def add(
        self,
        task: Callable[[T1, T2, T3, T4], R],
        a1: T1 | Node[T1],
        a2: T2 | Node[T2],
        a3: T3 | Node[T3],
        a4: T4 | Node[T4],
        /,
        **options: Unpack[NodeKeywords],
    ) -> Node[R]: ...
    def add(self, work: Any, /, *args: Any, **options: Any) -> Node[Any]:
        """Add a node that runs a task: `dag.add(load, rows, after=[audit])`, or a whole DAG as one node.

        Args:
            work: an `@af.task`; or a DAG.
            args: of the task: values, and nodes, whose results it gets.
            options: of the node, see `NodeOptions`.

        Raises:
            DefinitionError: it is no task, its arguments do not fit, a node is of another DAG, a name is taken, or an
                option makes no sense.
        """
        if isinstance(work, Dag):
            check_nested(self, work)
            if args:
                msg = f"{self.name}.add({work!r}): a DAG takes no arguments; its order is given with after="
                raise DefinitionError(msg)
            work._specs.is_nested = True
            return add_node(self, "dag", work, (), options)
        check_task(work, "add")
        work.check(args, {})
        return add_node(self, "task", work, args, options)

    @overload
    def map(
        self,
        task: Callable[[T1], Coroutine[Any, Any, R]],
        over: Node[list[T1]] | Node[Sequence[T1]],
        /,
        *,
        limit: int | None = None,
        **options: Unpack[NodeKeywords],
    ) -> Node[list[R]]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def map(
        self,
        task: Callable[[T1], R],
        over: Node[list[T1]] | Node[Sequence[T1]],
        /,
        *,
        limit: int | None = None,
        **options: Unpack[NodeKeywords],
    ) -> Node[list[R]]: ...
    def map(self, task: Any, over: Any, /, *, limit: int | None = None, **options: Any) -> Node[Any]:
        """Add a node that runs a task for each item of a node's result; its own result is the list of theirs.

        Args:
            task: gets one item.
            over: the node whose result is a list.
            limit: how many run at once; None: as many as the run has workers.
            options: of the node, see `NodeOptions`.

        Raises:
            DefinitionError: as of `add`.
        """
        check_task(task, "map")
        task.check((None,), {})
        if limit is not None:
            check_count("limit", limit)
        if not isinstance(over, Node):
            msg = f"{self.name}.map({task.name}, {text_of(over)}): give a node; for a list that is known, add each item"
            raise DefinitionError(msg)
        return add_node(self, "map", task, (over,), options, limit=limit)

    @overload
    def loop(
        self,
        task: Callable[[T], Coroutine[Any, Any, T]],
        start: T | Node[T],
        /,
        *,
        until: Callable[[T], bool],
        limit: int,
        **options: Unpack[NodeKeywords],
    ) -> Node[T]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def loop(
        self,
        task: Callable[[T], T],
        start: T | Node[T],
        /,
        *,
        until: Callable[[T], bool],
        limit: int,
        **options: Unpack[NodeKeywords],
    ) -> Node[T]: ...
    def loop(self, task: Any, start: Any, /, *, until: Callable[[Any], bool], limit: int, **options: Any) -> Node[Any]:
        """Add a node that runs a task again and again, on its own result, until that is good.

        Args:
            task: gets the start, and then the result of the round before.
            start: a value, or a node.
            until: says of a result whether it is the last.
            limit: rounds; if none of them was the last, the node fails.
            options: of the node, see `NodeOptions`.

        Raises:
            DefinitionError: as of `add`.
        """
        check_task(task, "loop")
        task.check((None,), {})
        check_loop(f"{self.name}.loop({task.name})", limit, until)
        return add_node(self, "loop", task, (start,), options, limit=limit, until=until)

    def gather(self, nodes: Sequence[Node[T]], /, **options: Unpack[NodeKeywords]) -> Node[list[T]]:
        """Add a node whose result is the list of other nodes' results; with `join="any"`, of those that are there.

        Args:
            nodes: in the order of the list.
            options: of the node, see `NodeOptions`.

        Raises:
            DefinitionError: as of `add`.
        """
        if isinstance(nodes, str) or not isinstance(nodes, Sequence) or not all(isinstance(n, Node) for n in nodes):
            msg = f"{self.name}.gather({text_of(nodes)}): give a list of nodes"
            raise DefinitionError(msg)
        return add_node(self, "gather", None, tuple(nodes), dict(options))

    def group(self, name: str, /, *, limit: int) -> NodeGroup:
        """Make a group of nodes, of which at most `limit` run at once: `dag.add(fetch, url, group=net)`.

        Raises:
            DefinitionError: there is one of that name, or the limit is no count.
        """
        check_type("name", name, str)
        check_text("name", name)
        check_count("limit", limit)
        if name in self._groups:
            msg = f"{self.name} has a group named {name!r} already"
            raise DefinitionError(msg)
        group = self._groups[name] = NodeGroup(self, name, limit)
        return group

    # --- looks --------------------------------------------------------------------------------------------------------

    def index_of(self, node: Node[Any] | str) -> int:
        """Return the place of a node.

        Raises:
            DefinitionError: the DAG has no such node.
        """
        if isinstance(node, str):
            index = self._by_name.get(node)
            if index is None:
                msg = f"{self.name} has no node named {text_of(node)}: its nodes are {self.name}.nodes"
                raise DefinitionError(msg)
            return index
        if not isinstance(node, Node):
            msg = f"{text_of(node)} is no node: give one that {self.name}.add(...) returned, or its name"
            raise DefinitionError(msg)
        if node._dag._specs is not self._specs:
            msg = f"{node!r} is of another DAG than {self.name}"
            raise DefinitionError(msg)
        return node._index

    def mermaid(self, steps: Sequence[StepInfo] = ()) -> str:
        """Draw the DAG as a Mermaid flowchart; with the steps of a run, `dag.mermaid(run.steps)`, by their statuses.

        >>> import actorflow as af
        >>> @af.task(name="docs.extracted")
        ... def extract() -> int:
        ...     return 1
        >>> dag = af.Dag("etl")
        >>> first = dag.add(extract)
        >>> second = dag.add(extract, after=[first])
        >>> print(dag.mermaid(), end="")
        flowchart LR
            n0["extract"]
            n1["extract#45;2"]
            n0 -.-> n1

        Raises:
            DefinitionError: as of `check`.
        """
        from actorflow.workflows.figures.mermaid import flowchart  # noqa: PLC0415 - drawn by few programs

        check_list("steps", steps, "steps, such as run.steps", lambda step: isinstance(step, StepInfo))
        plan = self.plan()
        statuses = {step.name: step.status for step in steps}
        return flowchart(plan.names, plan.before, plan.sources, [statuses.get(name, "") for name in plan.names])

    def as_workflow(self) -> AnyWorkflow:
        """Return the DAG as runs in a store have it, with its options.

        Raises:
            DefinitionError: another one is known by its name.
        """
        from actorflow.workflows.dag.durable_dag import know  # noqa: PLC0415 - it is made of a Dag

        return know(self)

    def start_in(self, system: Any) -> Run[Results]:
        """Begin a run in memory: `system.start(dag)` comes here.

        Raises:
            DefinitionError: the DAG has a mistake, or a run of its `id` is under way.
        """
        from actorflow.workflows.dag.memory_run import start_dag  # noqa: PLC0415 - it is made of a Dag

        return start_dag(system, self)

    def check(self) -> None:
        """Look for mistakes that only the whole DAG shows, in nested ones too; `system.start` does so.

        Raises:
            DefinitionError: a cycle, a node that no other leads to, a name of no node, or a join that cannot be met.
        """
        seen: dict[int, Dag] = {id(self._specs): self}
        left = [self]
        while left:
            dag = left.pop()
            left += [one for one in dag.plan().nested if seen.setdefault(id(one._specs), one) is one]

    def plan(self) -> Plan:
        """Return the DAG as a run needs it; it is made once, until nodes are added.

        Raises:
            DefinitionError: as of `check`.
        """
        from actorflow.workflows.dag.plan import make_plan  # noqa: PLC0415 - it is made of a Dag

        plan = self._plans.get(len(self.nodes))
        if plan is None:
            plan = make_plan(self)
            self._plans.clear()
            self._plans[len(self.nodes)] = plan
        return plan
