"""Outline: the steps that the code of a saga names, read from its source; for its picture, and for checks."""

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
from actorflow.tasks.task import AnyTask

if TYPE_CHECKING:
    from actorflow.events.topology.flowchart import Flowchart
    from actorflow.tasks.compensation import Compensation
    from actorflow.workflows.workflow import AnyWorkflow

BEGINS: Final = frozenset({"submit", "map", "options"})  # methods of a task that its steps begin with


@dataclass(slots=True)
class OutlinedStep:
    """A call of a task in the code of a saga.

    Attributes:
        task: the task.
        line: of the call, in the file.
        is_after_pivot: the saga only goes forward by then.
        is_last: no step comes behind it, or the pivot does: its failure is the only one that matters to it.
        has_undo: `af.undo(...)` stands behind it.
    """

    task: AnyTask
    line: int
    is_after_pivot: bool = False
    is_last: bool = False
    has_undo: bool = False

    @property
    def compensation(self) -> Compensation | None:
        """The task that undoes it."""
        return self.task.compensation


def outline_of(saga: AnyWorkflow) -> list[OutlinedStep]:
    """Return the calls of tasks in the code of a saga, in the order of its source; none if that cannot be read.

    Calls in functions that the code calls are not seen.
    """
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
            steps[-1].has_undo = True
        elif target is pivot:
            has_pivoted = True
            if steps:
                steps[-1].is_last = True
        elif (task := task_of(call, names)) is not None:
            steps.append(OutlinedStep(task, first + call.lineno - 1, has_pivoted))
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
    """Yield the steps of a saga that lack a compensation: what they do stays, if the saga fails behind them."""
    told: set[str] = set()
    for step in outline_of(saga):
        task = step.task
        is_safe = step.is_last or step.is_after_pivot or step.has_undo or task.compensation or task.undo is False
        if not is_safe and task.name not in told:
            told.add(task.name)
            file = inspect.getsourcefile(inspect.unwrap(saga.function))
            name = task.function.__name__
            text = (
                f"{file}:{step.line}: step {task.name} of saga {saga.name} has no compensation, and what it does stays "
                f"if the saga fails behind it: declare one, @{name}.compensate, or say that there is nothing to undo, "
                "@af.task(undo=False)"
            )
            yield Finding("uncompensated", task.name, saga.name, text)


def draw_saga(saga: AnyWorkflow, chart: Flowchart) -> None:
    """Add a saga to a flowchart: its steps in a frame, each with the task that undoes it."""
    frame = chart.frame(f"saga {saga.name}", f"saga {saga.function.__name__}")
    last: str | None = None
    was_after = False
    for number, step in enumerate(outline_of(saga)):
        box = chart.box(f"{frame}: {number}", step.task.function.__name__, "step", frame)
        if last is not None:
            chart.arrow(last, box, "pivot" if step.is_after_pivot and not was_after else "")
        last, was_after = box, step.is_after_pivot
        compensation = step.compensation
        if compensation is not None and not step.is_after_pivot:
            undone = chart.box(f"{box} undo", compensation.task.function.__name__, "undo", frame)
            chart.arrow(box, undone, "undone by", is_dotted=True)
