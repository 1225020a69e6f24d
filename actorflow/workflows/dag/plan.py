"""Plan: a DAG as a run needs it: its nodes as numbers, and all that can be computed before the first one starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actorflow.errors import DefinitionError
from actorflow.workflows.dag.node import MISSING, Node, default_for

if TYPE_CHECKING:
    from actorflow.workflows.dag.definition import Dag
    from actorflow.workflows.dag.specs import NodeSpec

INDEX_BITS: Final = 40
INDEX: Final = (1 << INDEX_BITS) - 1  # the bits of an entry of the ready set that say which node it is
NANOSECONDS: Final = 10**9
LONGEST: Final = 1 << 63  # nanoseconds that a path may take, as far as the order of starts goes
NAMED: Final = 20  # nodes in the text of an error


@dataclass(slots=True)
class Plan:
    """The nodes of a DAG, by their number.

    Attributes:
        dag: that it was made of.
        names: of the nodes.
        specs: as they were declared.
        sources: the nodes whose results a node gets.
        followers: the nodes that come after one.
        before: the nodes that come before one.
        need: how many of them must be met.
        calls: what a worker's thread may call for a node at once; None: there is more to do.
        gets: for a node that differs from those in its arguments alone, that gets results: it makes the call of them.
        chains: by its first node, a chain of nodes each of which has the next one as its only follower, and is all that
            the next one waits for: a worker's thread may go along it by itself.
        heads: for a node of a chain, the one before it; else -1.
        entries: of nodes that are ready, the one with the smallest goes first: by its rank, and then by its number, in
            the last bits.
        first: nodes that wait for none.
        grouped: nodes that are in a group.
        cancels: some join cancels the rest.
        nested: the DAGs that are nodes.
    """

    dag: Dag
    names: list[str]
    specs: list[NodeSpec]
    sources: list[tuple[int, ...]]
    followers: list[tuple[int, ...]]
    before: list[tuple[int, ...]]
    need: list[int]
    calls: list[Callable[[], Any] | None]
    gets: dict[int, Callable[[list[Any]], Callable[[], Any]]]
    chains: dict[int, list[int]]
    heads: list[int]
    entries: list[int]
    first: list[int]
    grouped: list[int]
    cancels: bool
    nested: list[Dag]


def make_plan(dag: Dag) -> Plan:
    """Make the plan of a DAG.

    Raises:
        DefinitionError: a cycle, a name of no node, or a join that cannot be met.
    """
    nodes, specs = dag.nodes, dag._specs[: len(dag.nodes)]
    names = [node.name for node in nodes]
    sources = [tuple(dict.fromkeys(arg._index for arg in spec.args if isinstance(arg, Node))) for spec in specs]
    before = [edges_of(dag, i, sources[i]) for i in range(len(specs))]
    after: list[list[int]] = [[] for _ in specs]
    for i, sources_of in enumerate(before):
        for source in sources_of:
            after[source].append(i)
    followers = [tuple(some) for some in after]
    need = [join_of(dag, i, len(before[i])) for i in range(len(specs))]
    order = sorted_nodes(dag, before, followers)
    ranks = ranks_of(specs, followers, order)
    calls = [call_of(spec) for spec in specs]
    heads = [-1] * len(specs)
    chains = {} if any(ranks) else chains_of(specs, followers, before, heads)
    return Plan(
        dag,
        names,
        specs,
        sources,
        followers,
        before,
        need,
        calls,
        {i: partial(call_with, spec) for i, spec in enumerate(specs) if calls[i] is None and is_plain_but_gets(spec)},
        chains,
        heads,
        entries=[(rank << INDEX_BITS) | i for i, rank in enumerate(ranks)],
        first=[i for i, some in enumerate(before) if not some],
        grouped=[i for i, spec in enumerate(specs) if spec.options.group is not None],
        cancels=any(spec.options.rest == "cancel" for spec in specs),
        nested=[spec.work for spec in specs if spec.kind == "dag"],  # type: ignore[misc]
    )


def edges_of(dag: Dag, i: int, sources: tuple[int, ...]) -> tuple[int, ...]:
    """Return the nodes that come before one, each once."""
    after = dag._specs[i].options.after
    if not after:
        return sources
    found = dict.fromkeys(sources)
    for node in after:
        index = dag._by_name.get(node) if isinstance(node, str) else node._index
        if index is None:
            msg = f"{dag.name}: {dag.nodes[i].name} comes after {node!r}, and no node has that name"
            raise DefinitionError(msg)
        found[index] = None
    return tuple(found)


def join_of(dag: Dag, i: int, edges: int) -> int:
    """Return how many of the nodes before one must be met.

    Raises:
        DefinitionError: there are not so many, or an argument may be missing.
    """
    spec, name = dag._specs[i], dag.nodes[i].name
    join = spec.options.join
    if join == "all":
        return edges
    need = 1 if join == "any" else int(join)
    if not 1 <= need <= edges:
        msg = f"{dag.name}: the join of {name} can never be met: it needs {need} of the {edges} nodes before it"
        raise DefinitionError(msg)
    if need < edges and spec.kind != "gather":
        for arg in spec.args:
            if isinstance(arg, Node) and default_for(arg, spec.options.default) is MISSING:
                msg = (
                    f"{dag.name}: {name} may run without the result of {arg.name}, as its join is {join!r}: give a "
                    "default=, or have it get dag.gather([...], join=...), the list of the results that are there"
                )
                raise DefinitionError(msg)
    return need


def sorted_nodes(dag: Dag, before: list[tuple[int, ...]], followers: list[tuple[int, ...]]) -> list[int]:
    """Return the nodes so that each comes after those that it waits for.

    Raises:
        DefinitionError: some wait for each other.
    """
    left = [len(some) for some in before]
    order = [i for i, count in enumerate(left) if not count]
    for i in order:  # it grows
        for j in followers[i]:
            left[j] -= 1
            if not left[j]:
                order.append(j)
    if len(order) == len(left):
        return order
    path = cycle_among(before, left)
    names = [dag.nodes[i].name for i in path]
    on_it = set(path)
    behind = [dag.nodes[i].name for i, count in enumerate(left) if count and i not in on_it]
    text = shown([*names, names[0]], " -> ")
    beyond = f"; so nothing leads to {shown(behind, ', ')}" if behind else ""
    msg = f"{dag.name} has a cycle: {text}{beyond}"
    raise DefinitionError(msg)


def cycle_among(before: list[tuple[int, ...]], left: list[int]) -> list[int]:
    """Return the nodes of a cycle, in the order of its edges."""
    i = next(i for i, count in enumerate(left) if count)
    seen: dict[int, int] = {}
    path: list[int] = []
    while i not in seen:
        seen[i] = len(path)
        path.append(i)
        i = next(source for source in before[i] if left[source])
    cycle = path[seen[i] :][::-1]
    first = cycle.index(min(cycle))
    return cycle[first:] + cycle[:first]


def shown(names: list[str], between: str) -> str:
    """Return some names as text; of many, the first and the last ones."""
    if len(names) <= NAMED:
        return between.join(names)
    half = NAMED // 2
    return between.join([*names[:half], f"... {len(names) - 2 * half} more ...", *names[-half:]])


def ranks_of(specs: list[NodeSpec], followers: list[tuple[int, ...]], order: list[int]) -> list[int]:
    """Return the numbers that order the nodes that are ready: first the priority, then the longest remaining path."""
    remaining = [0.0] * len(specs)
    if any(spec.options.duration for spec in specs):
        for i in reversed(order):
            longest = max((remaining[j] for j in followers[i]), default=0.0)
            remaining[i] = longest + (specs[i].options.duration or 0.0)
    return [(priority_of(spec) << 64) - as_nanoseconds(seconds) for spec, seconds in zip(specs, remaining, strict=True)]


def as_nanoseconds(seconds: float) -> int:
    """Return seconds as a whole number; nothing takes longer than three centuries."""
    return int(seconds * NANOSECONDS) if seconds * NANOSECONDS < LONGEST else LONGEST


def priority_of(spec: NodeSpec) -> int:
    """Return the priority of a node: its own, or that of its task's options."""
    given = spec.options.priority
    if given is not None:
        return given
    job_options = getattr(spec.work, "job_options", None)
    return 0 if job_options is None else job_options.priority


def call_of(spec: NodeSpec) -> Callable[[], Any] | None:
    """Return the call that a worker's thread may make for a node; None if it has to wait, count, or look first."""
    task: Any = spec.work
    if not is_plain(spec) or any(isinstance(arg, Node) for arg in spec.args):
        return None
    return partial(task.function, *spec.args) if spec.args else task.function


def is_plain(spec: NodeSpec) -> bool:
    """Say whether a node is a call of a plain function, without limit or condition."""
    task: Any = spec.work
    if spec.kind != "task" or spec.options.when is not None or spec.options.group is not None:
        return False
    return not (task.cpu or task.is_async or timeout_of(task) is not None)


def is_plain_but_gets(spec: NodeSpec) -> bool:
    """Say whether a node is such a call, with the results of all nodes before it, and no default in place of one."""
    return is_plain(spec) and spec.options.join == "all" and spec.options.default is MISSING


def call_with(spec: NodeSpec, results: list[Any]) -> Callable[[], Any]:
    """Return the call of a plain node with the results that it gets."""
    task: Any = spec.work
    return partial(task.function, *[results[arg._index] if type(arg) is Node else arg for arg in spec.args])


def timeout_of(task: Any) -> float | None:
    """Return the seconds that an attempt of a node's task may take."""
    given = task.job_options.timeout
    return task.timeout if given is None else given  # type: ignore[no-any-return]


def chains_of(
    specs: list[NodeSpec], followers: list[tuple[int, ...]], before: list[tuple[int, ...]], heads: list[int]
) -> dict[int, list[int]]:
    """Return the chains of a DAG by their first nodes, and note in `heads` the node before each other one."""
    for i, after in enumerate(followers):
        if len(after) == 1 and len(before[after[0]]) == 1 and specs[after[0]].options.group is None:
            heads[after[0]] = i
    chains: dict[int, list[int]] = {}
    for i, after in enumerate(followers):
        if heads[i] < 0 and after and heads[after[0]] == i:
            chain = chains[i] = [i]
            while followers[chain[-1]] and heads[followers[chain[-1]][0]] == chain[-1]:
                chain.append(followers[chain[-1]][0])
    return chains
