"""Outline: the steps of a saga, declared or read from the source of its code; for its picture, and for checks."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from actorflow.events.topology.call_sites import called_name, named
from actorflow.events.topology.findings import Finding
from actorflow.sagas.calls import pivot, undo
from actorflow.sagas.declared import Saga
from actorflow.tasks.task import AnyTask

if TYPE_CHECKING:
    from actorflow.events.topology.flowchart import Flowchart
    from actorflow.tasks.compensation import Compensation
    from actorflow.workflows.workflow import AnyWorkflow

ASKS: Final = frozenset({"call", "ask"})  # methods of a ref
BEGINS: Final = frozenset({"submit", "map", "options"})  # methods of a task that its steps begin with


@dataclass(slots=True)
class OutlinedStep:
    """A call of a task in the code of a saga, or a part of a declared one.

    Attributes:
        name: of its function, or of the part.
        task: the task; None: it gathers the results of others.
        before: the numbers of the steps that come first.
        place: the file and line of the call; empty for a declared saga.
        is_after_pivot: the saga only goes forward by then.
        is_last: nothing can fail behind it, or beside it.
        has_undo: `af.undo(function)` stands behind it.
    """

    name: str
    task: AnyTask | None
    before: tuple[int, ...] = ()
    place: str = ""
    is_after_pivot: bool = False
    is_last: bool = False
    has_undo: bool = False

    @property
    def compensation(self) -> Compensation | None:
        """The task that undoes it."""
        return None if self.task is None else self.task.compensation


def outline_of(saga: AnyWorkflow) -> list[OutlinedStep]:
    """Return the steps of a saga: those of a declared one, or the calls of tasks in its code, as its source has them.

    Calls in functions that the code calls are not seen; of code whose source cannot be read there are none.
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
    """Return the calls of tasks in the code of a saga, in the order in which they end."""
    function = inspect.unwrap(saga.function)
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError, ValueError, RecursionError):  # no file, or a part of a line
        return []
    names = names_in(function)
    steps: list[OutlinedStep] = []
    has_pivoted = False
    for call in calls_in_order(tree, names):
        target = named(call.func, names)
        if target is undo and steps:
            steps[-1].has_undo |= not is_of_ask(call)
        elif target is pivot:
            has_pivoted = True
            if steps:
                steps[-1].is_last = True
        elif (task := task_of(call, names)) is not None:
            before = (len(steps) - 1,) if steps else ()
            place = f"{inspect.getsourcefile(function)}:{first + call.lineno - 1}"
            steps.append(OutlinedStep(task.function.__name__, task, before, place, has_pivoted))
    if steps:
        steps[-1].is_last = True
    return steps


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
    """Yield calls in the order in which they end, so that arguments come first; but for those within `af.undo(...)`."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    within = {
        id(inner) for call in calls if named(call.func, names) is undo for inner in ast.walk(call) if inner is not call
    }
    shown = (call for call in calls if id(call) not in within)
    yield from sorted(shown, key=lambda call: (call.end_lineno or 0, call.end_col_offset or 0))


def is_of_ask(call: ast.Call) -> bool:
    """Say whether an `af.undo(...)` undoes an ask, which it has as its first argument."""
    first = call.args[0] if call.args else None
    return isinstance(first, ast.Call) and called_name(first) in ASKS


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
        if not (step.is_last or step.is_after_pivot or step.has_undo):
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
        if step.compensation is not None and not step.is_after_pivot:
            undone = chart.box(f"{box} undo", step.compensation.task.function.__name__, "undo", frame)
            chart.arrow(box, undone, "undone by", is_dotted=True)
