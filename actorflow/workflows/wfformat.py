"""WfFormat: recorded scientific workflows as DAGs. https://github.com/wfcommons/WfFormat, version 1.5.

The tasks of such a file take the time that was recorded; the commands that were recorded are never run.
"""

from __future__ import annotations

import difflib
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from threading import TIMEOUT_MAX
from typing import Any, NoReturn

from actorflow.core.actors.traits import check_type
from actorflow.errors import DefinitionError, Permanent
from actorflow.tasks.options import STORABLE, is_text
from actorflow.tasks.task import task
from actorflow.text import text_of
from actorflow.workflows.dag.definition import Dag
from actorflow.workflows.dag.plan import cycle_among, shown

LONGEST = 1e15  # seconds that a task may have taken


@dataclass(frozen=True, slots=True)
class WfInstance:
    """A recorded workflow.

    Attributes:
        name: of the workflow.
        tasks: ids of its tasks, in the file's order.
        types: the names of their programs.
        durations: seconds that each took.
        before: for each, the numbers of the tasks that came before it.
    """

    name: str
    tasks: tuple[str, ...]
    types: tuple[str, ...]
    durations: tuple[float, ...]
    before: tuple[tuple[int, ...], ...]


def read_instance(path: str | Path) -> WfInstance:
    """Read a file of a recorded workflow.

    Raises:
        DefinitionError: there is no such file, it is not in WfFormat, or its tasks wait for each other in a circle.
    """
    check_type("path", path, str | Path)
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DefinitionError(f"{path} is not UTF-8: {error.reason} at byte {error.start}; save it as UTF-8") from error
    except (OSError, ValueError) as error:  # a ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or error
        raise DefinitionError(f"cannot read {text_of(path, render=str)}: {why}") from error
    try:
        data = json.loads(text)
    except ValueError as error:
        raise DefinitionError(f"{path} is not JSON: {error}") from error
    except RecursionError:
        raise DefinitionError(f"{path} is nested too deep to be a workflow") from None
    try:
        return parse_instance(data)
    except DefinitionError as error:
        raise DefinitionError(f"{path}: {error}") from error


def parse_instance(data: Any) -> WfInstance:
    """Return the recorded workflow that the content of a file describes.

    >>> data = {
    ...     "name": "two",
    ...     "workflow": {
    ...         "specification": {"tasks": [{"id": "a", "children": ["b"]}, {"id": "b", "parents": ["a"]}]},
    ...         "execution": {"tasks": [{"id": "a", "runtimeInSeconds": 2}, {"id": "b", "runtimeInSeconds": 1.5}]},
    ...     },
    ... }
    >>> parse_instance(data).before
    ((), (0,))

    Raises:
        DefinitionError: a task, or its place in the file, is not as the format has it.
    """
    workflow = part(part(data, "the file", dict), "workflow", dict, "workflow")
    specified = part(part(workflow, "specification", dict, "workflow.specification"), "tasks", list, PLACE)
    executed = part(part(workflow, "execution", dict, "workflow.execution"), "tasks", list, EXECUTED)
    places: dict[str, int] = {}
    for number, entry in enumerate(specified):
        id_ = part(part(entry, f"{PLACE}[{number}]", dict), "id", str, f"{PLACE}[{number}].id")
        check_name(id_, f"{PLACE}[{number}].id")
        if id_ in places:
            refuse(f"{PLACE}[{number}]", f"a second task has the id {text_of(id_)}")
        places[id_] = number
    durations = durations_of(executed, places)
    before = edges_of(specified, places)
    given = [entry.get("name") for entry in specified]
    types = tuple(name if isinstance(name, str) else id_ for id_, name in zip(places, given, strict=True))
    name = data["name"] if isinstance(data.get("name"), str) and data["name"] else "workflow"
    check_name(name, "name")
    instance = WfInstance(name, tuple(places), types, durations, before)
    check_acyclic(instance)
    return instance


PLACE = "workflow.specification.tasks"
EXECUTED = "workflow.execution.tasks"
MISSING: Any = object()


def part(value: Any, key: str, kind: type[Any], place: str = "") -> Any:
    """Return a part of the file, or the value itself without a place, if it is of the kind."""
    found = value.get(key, MISSING) if place else value
    where = place or key
    if found is MISSING:
        refuse(where, "it is missing; WfFormat 1.5 has it")
    if not isinstance(found, kind):
        wanted = "an object" if kind is dict else "a list" if kind is list else "text"
        refuse(where, f"{text_of(found, 60)} is not {wanted}")
    return found


def check_name(value: str, place: str) -> None:
    """Refuse a text that can be no name of a node."""
    if not is_text(value):
        refuse(place, f"{text_of(value, 60)}: {STORABLE}")


def durations_of(executed: list[Any], places: dict[str, int]) -> tuple[float, ...]:
    """Return the seconds that each task took."""
    durations: list[float | None] = [None] * len(places)
    for number, entry in enumerate(executed):
        place = f"{EXECUTED}[{number}]"
        id_ = part(part(entry, place, dict), "id", str, f"{place}.id")
        if id_ not in places:
            refuse(place, f"no task of {PLACE} has the id {text_of(id_)}")
        seconds = entry.get("runtimeInSeconds", MISSING)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= LONGEST:
            shown = "missing" if seconds is MISSING else text_of(seconds, 60)
            refuse(f"{place}.runtimeInSeconds", f"of task {text_of(id_)} it is {shown}: give seconds, 0 or more")
        durations[places[id_]] = float(seconds)
    for id_, i in places.items():
        if durations[i] is None:
            refuse(EXECUTED, f"it has no runtimeInSeconds of task {text_of(id_)}")
    return tuple(0.0 if seconds is None else seconds for seconds in durations)


def edges_of(specified: list[Any], places: dict[str, int]) -> tuple[tuple[int, ...], ...]:
    """Return, for each task, those that come before it: its parents, and those that have it as a child."""
    before: list[dict[int, None]] = [{} for _ in places]
    for i, entry in enumerate(specified):
        for key in ("parents", "children"):
            place = f"{PLACE}[{i}].{key}"
            for number, other in enumerate(part({key: [], **entry}, key, list, place)):
                j = places.get(other) if isinstance(other, str) else None
                if j is None:
                    refuse(f"{place}[{number}]", f"of task {text_of(entry['id'])}: no task has the id {text_of(other)}")
                if key == "parents":
                    before[i][j] = None
                else:
                    before[j][i] = None
    return tuple(tuple(some) for some in before)


def check_acyclic(instance: WfInstance) -> None:
    """Refuse tasks that wait for each other in a circle."""
    left = [len(some) for some in instance.before]
    after: list[list[int]] = [[] for _ in left]
    for i, some in enumerate(instance.before):
        for j in some:
            after[j].append(i)
    order = [i for i, count in enumerate(left) if not count]
    for i in order:  # it grows
        for j in after[i]:
            left[j] -= 1
            if not left[j]:
                order.append(j)
    if len(order) < len(left):
        path = [instance.tasks[i] for i in cycle_among(list(instance.before), left)]
        refuse(PLACE, f"a cycle of tasks: {shown([*path, path[0]], ' -> ')}")


def refuse(place: str, why: str) -> NoReturn:
    """Raise the error of a file that is not in the format."""
    raise DefinitionError(f"{place}: {why}")


# --- a run of it ------------------------------------------------------------------------------------------------------


@task(name="actorflow.recorded")
def take_time(seconds: float) -> None:
    """Take as long as a recorded task did, scaled."""
    if seconds > 0:
        time.sleep(min(seconds, TIMEOUT_MAX))  # noqa: TID251 - the one thing that it is for


@task(name="actorflow.recorded_in_process", cpu=True)
def take_time_in_process(seconds: float) -> None:
    """Take as long, in a process of the pool."""
    take_time(seconds)


@task(name="actorflow.recorded_failure")
def take_time_and_fail(seconds: float) -> None:
    """Take as long, and then fail."""
    take_time(seconds)
    raise Permanent("it was to fail")


def recorded_dag(instance: WfInstance, scale: float = 1.0, *, fail: str | None = None, processes: bool = False) -> Dag:
    """Return a DAG whose tasks take the recorded time, and do nothing else; none of the recorded commands is run.

    Args:
        instance: that `read_instance` gave.
        scale: seconds for each recorded one.
        fail: id of a task that is to fail.
        processes: run the tasks in the system's process pool.

    Raises:
        DefinitionError: the scale is negative or no number, or there is no such task.
    """
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 <= scale < math.inf:
        raise DefinitionError(f"scale={text_of(scale)}: seconds for each recorded one, 0 or more")
    check_type("fail", fail, str | None)
    if fail is not None and fail not in instance.tasks:
        near = [*difflib.get_close_matches(fail, instance.tasks, n=1, cutoff=0.1), *instance.tasks]
        hint = f", such as {near[0]!r}" if near else ""
        raise DefinitionError(f"{instance.name} has no task {text_of(fail)}: give the id of one{hint}")
    dag = Dag(instance.name.replace("/", "-")[:200])
    usual = take_time_in_process if processes else take_time
    for i, id_ in enumerate(instance.tasks):
        seconds = min(instance.durations[i] * scale, LONGEST)
        work = take_time_and_fail if id_ == fail else usual
        before = [instance.tasks[j] for j in instance.before[i]]
        dag.add(work, seconds, name=id_, after=before, duration=seconds)
    return dag
