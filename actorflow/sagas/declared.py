"""Saga: a saga that is declared step by step, or made of a DAG, in place of a function."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from actorflow.errors import DefinitionError
from actorflow.sagas.course import Course
from actorflow.sagas.saga import PlainSaga
from actorflow.tasks.compensation import UNDO_RETRY, compensation_of
from actorflow.tasks.options import check_text
from actorflow.tasks.task import TASKS, AnyTask, _make
from actorflow.text import text_of
from actorflow.workflows.body.branch import current_branch
from actorflow.workflows.calls import as_completed
from actorflow.workflows.dag.definition import Dag
from actorflow.workflows.dag.durable_dag import place_of_caller
from actorflow.workflows.dag.node import Node, NodeOptions

if TYPE_CHECKING:
    from actorflow.queues.limits import Limit
    from actorflow.tasks.retry import Retry
    from actorflow.workflows.body.body import Body
    from actorflow.workflows.dag.specs import NodeSpec
    from actorflow.workflows.rows.records import RunRecord

NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True, slots=True)
class Part:
    """A step of a declared saga.

    Attributes:
        name: by which the others, and the result, have its result.
        task: with its compensation; None: it gathers.
        args: of a node of a DAG: values, and nodes; None: they go by the names of its parameters.
        before: the numbers of the parts that come first.
    """

    name: str
    task: Any
    args: tuple[Any, ...] | None = None
    before: frozenset[int] = field(default_factory=frozenset)


class Saga(PlainSaga[..., dict[str, Any]]):
    """A saga that is declared step by step; its result has those of its steps, by their names.

    A parameter of an action gets the result of the earlier step that has its name, or else an argument of the saga.

    >>> import actorflow as af
    >>> def seat(name):
    ...     return f"seat of {name}"
    >>> def free(seat):
    ...     print("free", seat)
    >>> def pay(seat, price):
    ...     return {seat: price}
    >>> trip = af.Saga("docs.trip").step(seat, free).step(pay, retry=af.Retry(3))
    >>> with af.ActorSystem("demo") as system:
    ...     system.start(trip, name="ann", price=90).result(timeout=30)["pay"]
    {'seat of ann': 90}
    """

    def __init__(
        self, name: str, *, version: str | None = None, limit: Limit | None = None, deadline: float | None = None
    ) -> None:
        """Begin a saga without steps.

        Args:
            name: by which its runs know it.
            version: of the steps, for reports.
            limit: of its runs by their key, as of a workflow.
            deadline: seconds from the start of a run, after which it is undone.

        Raises:
            DefinitionError: the name is no text, or that of another saga or workflow; or an option makes no sense.
        """
        self.parts: list[Part] = []
        self.is_of_dag = False

        def run(*args: Any, **kwargs: Any) -> dict[str, Any]:
            return self._in_parallel() if self.is_of_dag else self._in_a_row(*args, **kwargs)

        run.__module__, run.__qualname__ = place_of_caller()
        super().__init__(run, name=name, version=version, limit=limit, deadline=deadline)
        self.signature = inspect.Signature()

    @property
    def hash(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The hash of the steps: another one is another definition."""
        text = repr([(part.name, part.task and part.task.name, sorted(part.before)) for part in self.parts])
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    # --- its declaration ---------------------------------------------------------------------------------------------

    def step(
        self,
        action: Callable[..., Any],
        /,
        undo: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
    ) -> Self:
        """Add a step, which comes after those before it; return the saga.

        Args:
            action: a task, or a function, plain or async.
            undo: a task or a function that undoes it, as of `@step.compensate`; None: the compensation of the task.
            name: in place of the function's.
            retry: how often the action is tried.
            timeout: seconds for one attempt of it.

        Raises:
            DefinitionError: the undo does not fit, the name is taken, or a parameter has no name.
        """
        known = name or getattr(action, "__name__", None)
        if not callable(action) or not isinstance(known, str):
            msg = f"{self.name}.step({text_of(action)}): give a function or a task"
            raise DefinitionError(msg)
        check_text("name", known)
        if any(part.name == known for part in self.parts) or known in self.signature.parameters:
            msg = f"{self.name}.step({known}): the saga has a step or an argument of that name: give it another name="
            raise DefinitionError(msg)
        task = self._task(action, known)
        task = task.options(retry=retry, timeout=timeout) if retry or timeout is not None else task.options()
        if undo is not None:
            task.compensation = compensation_of(task, self._task(undo, f"{known}.undo", retry=UNDO_RETRY))
        self._add_parameters(task)
        self.parts.append(Part(known, task))
        return self

    def _task(self, function: Callable[..., Any], name: str, **options: Any) -> AnyTask:
        if isinstance(function, AnyTask):
            return function
        full = f"{self.name}.{name}"
        TASKS.pop(full, None)  # of a saga that is declared again
        return _make(function, {"name": full, **options})

    def _add_parameters(self, task: AnyTask) -> None:
        steps = {part.name for part in self.parts}
        found = dict(self.signature.parameters)
        for one in task.signature.parameters.values():
            if one.kind not in NAMED:
                msg = f"{task.name}{task.signature}: a step of a declared saga gets its arguments by their names"
                raise DefinitionError(msg)
            if one.name not in steps and (one.name not in found or one.default is one.empty):
                found[one.name] = one.replace(kind=one.POSITIONAL_OR_KEYWORD, annotation=one.empty)
        needed = sorted(found.values(), key=lambda one: one.default is not one.empty)
        self.signature = inspect.Signature(needed)

    @classmethod
    def of(cls, dag: Dag, /) -> Saga:
        """Return a saga of the nodes of a DAG: those that do not depend on each other run, and are undone, in parallel.

        A node is undone by the compensation of its task, once all that came of it is undone. If one fails no other is
        begun. The result has those of the nodes, by their names.

        Raises:
            DefinitionError: it is no DAG, or has other nodes than tasks and gatherings, or conditions and joins.
        """
        if not isinstance(dag, Dag):
            msg = f"Saga.of({text_of(dag)}): give a Dag"
            raise DefinitionError(msg)
        saga = cls(dag.name)
        saga.is_of_dag = True
        places = {node.name: n for n, node in enumerate(dag.nodes)}
        for node, spec in zip(dag.nodes, dag._specs, strict=True):
            check_node(dag, node, spec)
            before = {one._index for one in spec.args if isinstance(one, Node)}
            before |= {places[one] if isinstance(one, str) else one._index for one in spec.options.after}
            saga.parts.append(Part(node.name, task_of(spec), spec.args, frozenset(before)))
        return saga

    # --- its runs ----------------------------------------------------------------------------------------------------

    def course_of(self, body: Body, records: list[RunRecord]) -> Course:
        """Return the steps of a run that are to be undone, of which there are none yet."""
        course = super().course_of(body, records)
        if self.is_of_dag:
            after: list[set[int]] = [set() for _ in self.parts]
            for n in reversed(range(len(self.parts))):
                for m in range(len(self.parts)):
                    if n in self.parts[m].before:
                        after[n].add(m)
            course.after = closed(after)
        return course

    def _in_a_row(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        given = self.signature.bind(*args, **kwargs).arguments
        results: dict[str, Any] = {}
        for part in self.parts:
            known = {**given, **results}
            named = {name: known[name] for name in part.task.signature.parameters if name in known}
            results[part.name] = run_task(part.task, named)
        return results

    def _in_parallel(self) -> dict[str, Any]:
        branch = current_branch()
        course: Any = None if branch is None else branch.body.saga
        results: dict[int, Any] = {}
        under_way: dict[int, Any] = {}
        while len(results) < len(self.parts):
            for n, part in enumerate(self.parts):
                if n in results or n in under_way or not part.before <= results.keys():
                    continue
                values = [results[one._index] if isinstance(one, Node) else one for one in part.args or ()]
                if part.task is None:
                    results[n] = values
                elif branch is None:
                    results[n] = run_task(part.task, {}, values)
                else:
                    under_way[n] = part.task.submit(*values)
                    course.nodes[under_way[n].step.identity] = n
            if under_way and not any(future.done() for future in under_way.values()):
                next(as_completed(list(under_way.values())))
            for n in [n for n, future in under_way.items() if future.done()]:
                results[n] = under_way.pop(n).get()
        return {part.name: results[n] for n, part in enumerate(self.parts)}


def run_task(task: Any, named: dict[str, Any], values: list[Any] | None = None) -> Any:
    """Run a task as a step of the plain code that calls this, or as the plain function."""
    if task.is_async:
        return task.submit(*values or (), **named).get()
    return task(*values or (), **named)


def closed(after: list[set[int]]) -> list[set[int]]:
    """Return for each part those that came of it, and those that came of these."""
    found: list[set[int]] = [set() for _ in after]
    left = list(range(len(after)))
    while left:  # a part behind all that come of it; there are no cycles
        rest = [n for n in left if any(m in left for m in after[n])]
        for n in left:
            if n not in rest:
                found[n] = after[n].union(*(found[m] for m in after[n]))
        if len(rest) == len(left):
            raise DefinitionError("the DAG has a cycle")
        left = rest
    return found


def task_of(spec: NodeSpec) -> AnyTask | None:
    """Return the task of a node with its options, as a step of a saga has them."""
    if not isinstance(spec.work, AnyTask):
        return None
    options = {"retry": spec.options.retry, "timeout": spec.options.timeout}
    return spec.work.options(**{name: one for name, one in options.items() if one is not None})  # type: ignore[arg-type]


def check_node(dag: Dag, node: Node[Any], spec: NodeSpec) -> None:
    """Refuse a node that has no place in a saga.

    Raises:
        DefinitionError: it is one.
    """
    plain, options = NodeOptions(), spec.options
    wrong = [word for word in ("when", "join", "on_failure", "group") if getattr(options, word) != getattr(plain, word)]
    if spec.kind not in {"task", "gather"} or wrong:
        what = ", ".join(wrong) if wrong else f"a {spec.kind}"
        msg = f"Saga.of({dag.name}): node {node.name} has {what}; a saga runs each task of its DAG once: use @af.saga"
        raise DefinitionError(msg)
