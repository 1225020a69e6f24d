"""Nodes: what a DAG consists of, their options, and the results that a finished one gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeAlias, TypedDict, TypeVar

from actorflow.core.actors.traits import check_choice, check_type
from actorflow.errors import DefinitionError
from actorflow.tasks.options import check_priority, check_seconds, check_text
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.tasks.retry import Retry
    from actorflow.workflows.dag.definition import Dag

T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)

Join: TypeAlias = Literal["all", "any"] | int
OnFailure: TypeAlias = Literal["skip", "stop", "ignore"] | Callable[[BaseException], Any]

MISSING: Final[Any] = type("Missing", (), {"__repr__": lambda _: "nothing"})()  # no default, no result


class Node(Generic[R_co]):
    """A node of a DAG, as `Dag.add` returns it: an argument of other nodes, or one that they come after.

    Attributes:
        name: unique in its DAG: its task's, unless it was given one; the second one is called "name-2".
    """

    __slots__ = ("_dag", "_index", "name")

    def __init__(self, dag: Dag, index: int, name: str) -> None:
        self._dag = dag
        self._index = index
        self.name = name

    def __repr__(self) -> str:
        return f"<node {self.name} of {self._dag.name}>"


class NodeGroup:
    """Nodes of a DAG of which at most `limit` run at once: `dag.add(fetch, url, group=dag.group("net", limit=4))`."""

    __slots__ = ("_dag", "limit", "name")

    def __init__(self, dag: Dag, name: str, limit: int) -> None:
        self._dag = dag
        self.name = name
        self.limit = limit

    def __repr__(self) -> str:
        return f"<group {self.name} of {self._dag.name}, limit {self.limit}>"


class Results:
    """The results of a DAG's nodes: `results[node]`, or `results["name"]`. A nested DAG's are the result of its node.

    >>> import actorflow as af
    >>> @af.task(name="docs.double")
    ... def double(n: int) -> int:
    ...     return 2 * n
    >>> dag = af.Dag("numbers")
    >>> two = dag.add(double, 1)
    >>> four = dag.add(double, two)
    >>> with af.ActorSystem("demo") as system:
    ...     system.start(dag).result(timeout=10)[four]
    4
    """

    __slots__ = ("_dag", "_first", "_values")

    def __init__(self, dag: Dag, values: Sequence[Any], first: int = 0) -> None:
        self._dag = dag
        self._values = values
        self._first = first

    def __getitem__(self, node: Node[T] | str, /) -> T:
        """Return the result of a node.

        Raises:
            KeyError: it has none: it has not ended, or it failed, or was skipped or cancelled.
            DefinitionError: it is no node of this DAG.
        """
        value = self._values[self._first + self._dag.index_of(node)]
        if value is MISSING:
            name = node if isinstance(node, str) else node.name
            raise KeyError(f"node {name} of {self._dag.name} has no result")
        return value  # type: ignore[no-any-return]

    def get(self, node: Node[T] | str, default: Any = None, /) -> T | Any:
        """Return the result of a node, or the default if it has none."""
        value = self._values[self._first + self._dag.index_of(node)]
        return default if value is MISSING else value

    def __contains__(self, node: Node[Any] | str) -> bool:
        return self._values[self._first + self._dag.index_of(node)] is not MISSING

    def __iter__(self) -> Iterator[str]:
        first, values = self._first, self._values
        return (node.name for node in self._dag.nodes if values[first + node._index] is not MISSING)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<results of {self._dag.name}: {len(self)} of {len(self._dag.nodes)}>"


class NodeKeywords(TypedDict, total=False):
    """The options of a node, for type checkers; `NodeOptions` explains them."""

    name: str
    after: Sequence[Node[Any] | str]
    when: Callable[[Results], bool]
    join: Join
    rest: Literal["cancel", "let"]
    priority: int
    on_failure: OnFailure
    default: Any
    group: NodeGroup
    duration: float
    retry: Retry
    timeout: float


@dataclass(slots=True, kw_only=True)
class NodeOptions:
    """The options that `Dag.add` takes beside the arguments of the task.

    Attributes:
        name: in place of the task's.
        after: nodes that come first, or names of nodes, which may be added later.
        when: decides from the results so far whether it runs; if not, it is skipped: it is left out.
        join: how many of the nodes before it must be completed: "all", "any" (one), or a number.
        rest: the effect on the others, once a join of some has enough: "cancel" ends those that no other node waits
            for, "let" lets them run.
        priority: of the nodes that are ready, the smallest goes first.
        on_failure: the effect of its failure: "skip" skips all nodes that depend on it, "stop" also cancels all others,
            "ignore" goes on as if it had been left out, and a function of the error gives a result in its place.
        default: the argument in place of a node's result, if that was left out or is not there; a dict with a value
            for each node, or one value for all.
        group: of which some run at once.
        duration: seconds that it will take, as far as is known: the longest remaining path goes first.
        retry: in place of the task's.
        timeout: seconds that an attempt may take, in place of the task's.
    """

    name: str | None = None
    after: Sequence[Node[Any] | str] = ()
    when: Callable[[Results], bool] | None = None
    join: Join = "all"
    rest: Literal["cancel", "let"] = "let"
    priority: int | None = None
    on_failure: OnFailure = "skip"
    default: Any = MISSING
    group: NodeGroup | None = None
    duration: float | None = None
    retry: Retry | None = None
    timeout: float | None = None

    def __post_init__(self) -> None:
        if self.name is not None:
            check_type("name", self.name, str)
            check_text("name", self.name)
        if type(self.after) not in {list, tuple} and (
            isinstance(self.after, str | Node) or not isinstance(self.after, Sequence)
        ):
            msg = f"after={text_of(self.after)}: give a list of nodes, or of names: after=[node]"
            raise DefinitionError(msg)
        if self.when is not None and not callable(self.when):
            msg = f"when={text_of(self.when)}: give a function of the results: when=lambda r: r[node] > 0"
            raise DefinitionError(msg)
        self._check_ends()
        if self.priority is not None:
            check_priority(self.priority)
        if self.group is not None:
            check_type("group", self.group, NodeGroup)
        if self.duration is not None:
            check_seconds("duration", self.duration, zero=True)

    def _check_ends(self) -> None:
        join = self.join
        is_word = isinstance(join, str) and join in {"all", "any"}
        if not is_word and (isinstance(join, bool) or not isinstance(join, int)):
            msg = f"join={text_of(join)}: give 'all', 'any', or how many of the nodes before it"
            raise DefinitionError(msg)
        check_choice("rest", self.rest, ("cancel", "let"))
        if not callable(self.on_failure):
            check_choice("on_failure", self.on_failure, ("skip", "stop", "ignore"))


OPTION_NAMES: Final = tuple(field.name for field in dataclasses.fields(NodeOptions))


def default_for(node: Node[Any], default: Any) -> Any:
    """Return the value that stands for a node's result, if it is not there; MISSING if there is none."""
    if type(default) is dict and default and all(type(key) is Node for key in default):
        return default.get(node, MISSING)
    return default
