"""Outline: the steps of a saga, declared or read from the source of its code; for its picture, and for checks."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.actors.actor import Actor
from actorflow.events.topology.call_sites import called_name
from actorflow.events.topology.findings import Finding
from actorflow.events.topology.names import named
from actorflow.sagas.calls import pivot, undo
from actorflow.sagas.declared import Saga
from actorflow.tasks.task import AnyTask
from actorflow.workflows.workflow import AnyWorkflow

if TYPE_CHECKING:
    from actorflow.events.topology.flowchart import Flowchart
    from actorflow.tasks.compensation import Compensation

ASKS: Final = frozenset({"call", "ask"})  # methods of a ref
ASKED: Final = object()  # stands for a variable of a function that has the future of an ask
MOST_FUNCTIONS: Final = 1000  # that are followed: two calls of a function that has two calls of another, and so on
NO_CALL: Final = (None, dict[str, Any](), "")
BEGINS: Final = frozenset({"submit", "map", "options"})  # methods of a task that its steps begin with


@dataclass(slots=True)
class OutlinedStep:
    """A step in the code of a saga, or a part of a declared one.

    Attributes:
        name: of its function, or of the part.
        task: the task; None: it gathers the results of others, asks an actor, or is a child.
        before: the numbers of the steps that come first.
        place: the file and line of the call; empty for a declared saga.
        is_after_pivot: the saga only goes forward by then.
        is_last: nothing can fail behind it, or beside it.
        undone_by: the names of the functions and asks that `af.undo(...)` is given for it.
    """

    name: str
    task: AnyTask | None
    before: tuple[int, ...] = ()
    place: str = ""
    is_after_pivot: bool = False
    is_last: bool = False
    undone_by: list[str] = field(default_factory=list)

    @property
    def compensation(self) -> Compensation | None:
        """The task that undoes it."""
        return None if self.task is None else self.task.compensation


def outline_of(saga: AnyWorkflow) -> list[OutlinedStep]:
    """Return the steps of a saga: those of a declared one, or tasks, asks and children in its code, by its source.

    Of code whose source cannot be read there are none.
    """
    return outline_of_parts(saga) if isinstance(saga, Saga) else outline_of_code(saga)


def outline_of_parts(saga: Saga) -> list[OutlinedStep]:
    """Return the steps of a declared saga."""
    steps: list[OutlinedStep] = []
    earlier: list[set[int]] = []  # of each step all that come first
    for number, part in enumerate(saga.parts):
        before = tuple(sorted(part.before)) if saga.is_of_dag else tuple(range(max(0, number - 1), number))
        earlier.append(set(before).union(*(earlier[one] for one in before if one < number)))
        steps.append(OutlinedStep(part.name, part.task, before))
    for step, first in zip(steps, earlier, strict=True):
        step.is_last = len(first) == len(steps) - 1
    return steps


def outline_of_code(saga: AnyWorkflow) -> list[OutlinedStep]:
    """Return the steps in the code of a saga, and in the functions that it calls, in the order in which they end."""
    steps: list[OutlinedStep] = []
    has_pivoted = False
    for call, names, place in calls_of(inspect.unwrap(saga.function)):
        target = named(call.func, names)
        if target is undo:
            add_undo(steps, call, names)
        elif target is pivot:
            has_pivoted = True
            if steps:
                steps[-1].is_last = True
        elif (begun := begun_by(call, names)) is not None:
            name, task = begun
            before = (len(steps) - 1,) if steps else ()
            steps.append(OutlinedStep(name, task, before, place, has_pivoted))
    if steps:
        steps[-1].is_last = True
    return steps


def calls_of(function: Any) -> Iterator[tuple[ast.Call, dict[str, Any], str]]:
    """Yield the calls in a function and, in their places, those in the plain functions of its package that it calls.

    Each comes with the names that its function sees, and with its file and line.
    """
    package = package_of(function)
    under_way = [(function, calls_within(function))]
    left = MOST_FUNCTIONS
    while under_way:
        call, names, place = next(under_way[-1][1], NO_CALL)
        if call is None:
            under_way.pop()
            continue
        called = named(call.func, names)
        is_plain = isinstance(called, FunctionType) and package_of(called) == package
        if is_plain and left and all(called is not one for one, _ in under_way):
            left -= 1
            under_way.append((called, calls_within(called)))
        else:
            yield call, names, place


def package_of(function: Any) -> str:
    """Return the outermost package of a function."""
    return str(function.__module__).partition(".")[0]


def calls_within(function: Any) -> Iterator[tuple[ast.Call | None, dict[str, Any], str]]:
    """Yield the calls in the source of a function; without source there are none."""
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError, ValueError, RecursionError):  # no file, or a part of a line
        return
    assigned = (node for node in ast.walk(tree) if isinstance(node, ast.Assign) and is_asking(node.value))
    asked = {target.id: ASKED for node in assigned for target in node.targets if isinstance(target, ast.Name)}
    names = {**names_in(function), **asked}
    for call in calls_in_order(tree, names):
        yield call, names, f"{inspect.getsourcefile(function)}:{first + call.lineno - 1}"


def begun_by(call: ast.Call, names: dict[str, Any]) -> tuple[str, AnyTask | None] | None:
    """Return the name and the task of the step that a call begins; an ask, and a child, have no task. None: no step."""
    task = task_of(call, names)
    if task is not None:
        return task.function.__name__, task
    if called_name(call) == "call" and call.args and isinstance(call.args[0], ast.Attribute):  # ref.call(Stock.pick, 5)
        owner = named(call.args[0].value, names)
        if isinstance(owner, type) and issubclass(owner, Actor):
            return f"{owner.__name__}.{call.args[0].attr}", None
    child = named(call.func, names)
    return (child.function.__name__, None) if isinstance(child, AnyWorkflow) else None


def add_undo(steps: list[OutlinedStep], call: ast.Call, names: dict[str, Any]) -> None:
    """Note the function of an `af.undo(...)` with its step: the ask that it is given, or else the one before it."""
    of_ask = is_of_ask(call, names)
    given = call.args[1:] if of_ask else call.args
    if not given:
        return
    is_ask = len(given) > 1 and isinstance(given[0], ast.Attribute) and given[0].attr in ASKS
    name = ast.unparse(given[1] if is_ask else given[0])
    some = [step for step in steps if step.task is None] if of_ask else steps
    of_owner = (step for step in reversed(some) if step.name.partition(".")[0] == name.partition(".")[0])
    step = next(of_owner, some[-1] if some else None)
    if step is not None:
        step.undone_by.append(name)


def names_in(function: Any) -> dict[str, Any]:
    """Return the names that the code of a function sees: of its module, and of the functions around it."""
    found = dict(function.__globals__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # it is not set yet
            continue
    return found


def calls_in_order(tree: ast.AST, names: dict[str, Any]) -> Iterator[ast.Call]:
    """Yield calls in the order in which they end, so that arguments come first.

    Of those within `af.undo(...)` the ask that is undone is one, and the others are not: they are made if it is undone.
    """
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    undos = [call for call in calls if named(call.func, names) is undo]
    within = {id(inner) for call in undos for inner in ast.walk(call) if inner is not call}
    for call in undos:
        if is_of_ask(call, names):
            within -= {id(inner) for inner in ast.walk(call.args[0])}
    shown = (call for call in calls if id(call) not in within)
    yield from sorted(shown, key=lambda call: (call.end_lineno or 0, call.end_col_offset or 0))


def is_of_ask(call: ast.Call, names: dict[str, Any]) -> bool:
    """Say whether an `af.undo(...)` undoes an ask, which it has as its first argument."""
    first = call.args[0] if call.args else None
    return is_asking(first) or (first is not None and named(first, names) is ASKED)


def is_asking(expression: ast.AST | None) -> bool:
    """Say whether an expression is an ask of an actor: `ref.call(...)`."""
    return isinstance(expression, ast.Call) and called_name(expression) in ASKS


def task_of(call: ast.Call, names: dict[str, Any]) -> AnyTask | None:
    """Return the task whose step a call begins: `task(...)`, `task.submit(...)`, `task.options(...)(...)`."""
    function = call.func
    if called_name(call) in BEGINS and isinstance(function, ast.Attribute):
        function = function.value
        if called_name(call) == "options":  # the call behind it begins the step
            return None
    while isinstance(function, ast.Call) and called_name(function) == "options":
        function = function.func.value if isinstance(function.func, ast.Attribute) else function.func
    found = named(function, names)
    return found if isinstance(found, AnyTask) else None


def findings_in_saga(saga: AnyWorkflow) -> Iterator[Finding]:
    """Yield the steps of a saga that lack a compensation: their work stays, if the saga fails behind them."""
    told: set[str] = set()
    for step in outline_of(saga):
        task = step.task
        if task is None or task.name in told or task.compensation is not None or task.undo is False:
            continue
        if not (step.is_last or step.is_after_pivot or step.undone_by):
            told.add(task.name)
            cure = f"@{step.name}.compensate" if step.place else "step(action, undo)"
            text = (
                f"{step.place}{': ' if step.place else ''}step {task.name} of saga {saga.name} has no compensation, so "
                f"its work stays if the saga fails behind it: declare one, {cure}, or say that there is nothing to "
                "undo, @af.task(undo=False)"
            )
            yield Finding("uncompensated", task.name, saga.name, text)


def draw_saga(saga: AnyWorkflow, chart: Flowchart) -> None:
    """Add a saga to a flowchart: its steps in a frame, each with the task that undoes it."""
    name = saga.name if isinstance(saga, Saga) else saga.function.__name__
    frame = chart.frame(f"saga {saga.name}", f"saga {name}")
    steps = outline_of(saga)
    boxes = [chart.box(f"{frame}: {number}", step.name, "step", frame) for number, step in enumerate(steps)]
    for step, box in zip(steps, boxes, strict=True):
        for one in step.before:
            is_pivot = step.is_after_pivot and not steps[one].is_after_pivot
            chart.arrow(boxes[one], box, "pivot" if is_pivot else "")
        names = [] if step.compensation is None else [step.compensation.task.function.__name__]
        for name in [] if step.is_after_pivot else dict.fromkeys([*names, *step.undone_by]):
            undone = chart.box(f"{box} undo {name}", name, "undo", frame)
            chart.arrow(box, undone, "undone by", is_dotted=True)
