"""Specs: a node as it was declared, how it is added, and the checks of what is declared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from actorflow.core.actors.traits import check_known, check_type
from actorflow.errors import DefinitionError
from actorflow.tasks.options import PLAIN, check_count, check_for_step
from actorflow.tasks.task import AnyTask
from actorflow.text import text_of
from actorflow.workflows.dag.node import OPTION_NAMES, Node, NodeOptions

if TYPE_CHECKING:
    from actorflow.workflows.dag.definition import Dag

FOR_NODES: Final = ("retry", "timeout", "priority")  # the options of a task that hold for a node
ROUNDS: Final = 1_000_000  # of a loop, at most


@dataclass(slots=True)
class NodeSpec:
    """A node as it was declared.

    Attributes:
        kind: "task"; "map", of one over the items of a list; "loop", of one; "dag"; or "gather".
        work: the task, or the DAG.
        args: what the task gets: values, and nodes for their results.
        limit: of a map: how many items at once; of a loop: how many rounds.
        until: of a loop: says of a result whether it was the last round.
    """

    kind: Literal["task", "map", "loop", "dag", "gather"]
    work: AnyTask | Dag | None
    args: tuple[Any, ...]
    options: NodeOptions
    limit: int | None = None
    until: Callable[[Any], bool] | None = None


class NodeSpecs(list[NodeSpec]):
    """The nodes of a DAG as they were declared; its copies with other options share them.

    Attributes:
        is_nested: the DAG was added to another one.
    """

    is_nested = False


def check_task(work: Any, verb: str) -> None:
    """Refuse an object that is no task, and options that only a job of a queue has."""
    if not isinstance(work, AnyTask):
        cure = "decorate the function with @af.task" if callable(work) else "give a function decorated with @af.task"
        msg = f"Dag.{verb}({text_of(work)}): it is no task: {cure}"
        raise DefinitionError(msg)
    if work.job_options is not PLAIN:
        check_for_step(work.name, work.job_options, FOR_NODES, f"a node has {', '.join(FOR_NODES)}")


def check_loop(what: str, limit: Any, until: Any) -> None:
    """Refuse a loop without a limit of rounds, or without a function that says which is the last."""
    if limit is None:
        msg = f"{what}: give a limit of rounds"
        raise DefinitionError(msg)
    check_count("limit", limit, most=ROUNDS)
    if not callable(until):
        msg = f"until={text_of(until)}: give a function of the result: until=lambda n: n > 9"
        raise DefinitionError(msg)


def check_nested(dag: Dag, nested: Dag) -> None:
    """Refuse a DAG that contains the one it is added to: no other than itself, if that was never added to any."""
    if not dag._specs.is_nested and nested._specs is not dag._specs:
        return  # so chains are declared in linear time, from either end
    seen: set[int] = set()
    left: list[Any] = [nested]
    while left:
        one = left.pop()
        if one._specs is dag._specs:
            msg = f"{dag.name}.add({nested!r}): it is, or contains, the DAG that it is added to"
            raise DefinitionError(msg)
        if id(one._specs) not in seen:
            seen.add(id(one._specs))
            left += [spec.work for spec in one._specs if spec.kind == "dag"]


def add_node(
    dag: Dag,
    kind: Any,
    work: AnyTask | Dag | None,
    args: tuple[Any, ...],
    given: dict[str, Any],
    *,
    limit: int | None = None,
    until: Callable[[Any], bool] | None = None,
) -> Node[Any]:
    """Add a node to a DAG.

    Raises:
        DefinitionError: a node is of another DAG, a name is taken, or an option makes no sense.
    """
    check_known(given, OPTION_NAMES)
    options = NodeOptions(**given) if given else NO_OPTIONS
    if options.retry is not None or options.timeout is not None:
        if not isinstance(work, AnyTask):
            msg = f"{dag.name}: retry= and timeout= are of tasks: give them to those of the nested DAG, or gathered"
            raise DefinitionError(msg)
        if options.retry is not None:
            work = work.options(retry=options.retry)
        if options.timeout is not None:
            work = work.options(timeout=options.timeout)
    for arg in args:
        check_argument(dag, arg)
    for node in options.after:
        if isinstance(node, Node):
            dag.index_of(node)
        else:
            check_type("after", node, str)
    if options.group is not None and options.group._dag._specs is not dag._specs:
        msg = f"{options.group!r} is of another DAG than {dag.name}"
        raise DefinitionError(msg)
    name = name_of(dag, kind, work, options.name)
    added = Node[Any](dag, len(dag.nodes), name)
    dag._by_name[name] = added._index
    dag._specs.append(NodeSpec(kind, work, args, options, limit, until))
    dag.nodes.append(added)
    return added


def check_argument(dag: Dag, value: Any) -> None:
    """Refuse a node of another DAG, and a list of nodes."""
    if isinstance(value, Node):
        dag.index_of(value)
    elif isinstance(value, list | tuple) and any(isinstance(item, Node) for item in value):
        msg = f"{dag.name}: an argument is a list of nodes: give {dag.name}.gather([...]), a node of their results"
        raise DefinitionError(msg)


def name_of(dag: Dag, kind: str, work: Any, name: str | None) -> str:
    """Return the name of a node: its own, or that of its task or DAG, with a number if that is taken."""
    if name is not None:
        if name in dag._by_name:
            msg = f"{dag.name} has a node named {name!r} already"
            raise DefinitionError(msg)
        return name
    base: str = kind if work is None else work.function.__name__ if isinstance(work, AnyTask) else work.name
    while True:
        number = dag._numbers[base] = dag._numbers.get(base, 0) + 1
        name = base if number == 1 else f"{base}-{number}"
        if name not in dag._by_name:
            return name


NO_OPTIONS: Final = NodeOptions()
