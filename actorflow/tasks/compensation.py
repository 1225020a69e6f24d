"""Compensation: the task that undoes a step of a saga, and how it gets its arguments."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Union

from actorflow.core.backoff import Backoff
from actorflow.errors import DefinitionError
from actorflow.tasks.retry import Retry

if TYPE_CHECKING:
    from actorflow.tasks.task import AnyTask

UNDO_RETRY: Final = Retry(10, Backoff(0.2, limit=30))  # of a compensation that has no rule of its own: over a minute
UNIONS: Final = (Union, types.UnionType)


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a saga, as its compensation gets it that declares a parameter `step: af.Step`.

    Attributes:
        name: of its task.
        arguments: by the names of the task's parameters.
        key: the idempotency key under which it was run: `af.current().key`.
        result: None if it is not known what the step has done.
        results: of the steps so far, by the names of their functions; of several calls, of the last one.
        maybe: it may have acted, or not: it has raised, or its process died, and nobody knows.
    """

    name: str
    arguments: Mapping[str, Any]
    key: str
    result: Any = None
    results: Mapping[str, Any] = field(default_factory=dict)
    maybe: bool = False


@dataclass(frozen=True, slots=True)
class Compensation:
    """The task that undoes a step, and the names of its parameters that it is called with.

    Attributes:
        task: it is a step, with its own retry and timeout.
        result: gets the result of the step; None: no parameter does.
        step: gets the `Step`; None: no parameter does.
        others: get the arguments of the step that have their names.
    """

    task: AnyTask
    result: str | None
    step: str | None
    others: tuple[str, ...]

    def arguments(self, step: Step) -> dict[str, Any]:
        """Return the arguments for a step that is to be undone."""
        given = {name: step.arguments[name] for name in self.others if name in step.arguments}
        if self.result is not None:
            given[self.result] = step.result
        if self.step is not None:
            given[self.step] = step
        return given


def compensation_of(step: Any, undo: AnyTask) -> Compensation:
    """Return a task as the compensation of a step: of a task, or of a workflow that is run as a child.

    Its first parameter gets the result, one that is declared as `af.Step` (or named "step") the step; others get the
    arguments of the step that have their names, as do all with such a name behind a `step` that comes first.

    Raises:
        DefinitionError: it takes something that the step does not have, or its result has another type.
    """
    hints = hints_of(undo.function)
    parameters = list(undo.signature.parameters.values())
    for one in parameters:
        if one.kind in {one.POSITIONAL_ONLY, one.VAR_POSITIONAL, one.VAR_KEYWORD}:
            msg = f"{undo.name}{undo.signature} undoes {step.name}, and is called by names: name each of its parameters"
            raise DefinitionError(msg)
    names = [one.name for one in parameters]
    whole = next((name for name in names if hints.get(name) is Step), "step" if "step" in names else None)
    rest = [one for one in parameters if one.name != whole]
    known = step.signature.parameters
    is_for_result = bool(rest) and not (names[0] == whole and rest[0].name in known)
    by_name = rest[1:] if is_for_result else rest
    for one in by_name:
        if one.name not in known and one.default is one.empty:
            more = f"others get its arguments: {', '.join(known)}" if known else "and it takes no arguments"
            msg = (
                f"{undo.name}{undo.signature} undoes {step.name}, which has no argument {one.name!r}: the first "
                f"parameter gets the result, `step: af.Step` the step, {more}"
            )
            raise DefinitionError(msg)
    if is_for_result:
        check_type_of_result(step, undo, rest[0].name, hints)
    others = tuple(one.name for one in by_name if one.name in known)
    return Compensation(undo, rest[0].name if is_for_result else None, whole, others)


def check_type_of_result(step: Any, undo: AnyTask, name: str, hints: Mapping[str, Any]) -> None:
    """Refuse a compensation whose first parameter cannot take the result of its step, as far as hints tell."""
    given, taken = hints_of(step.function).get("return", Any), hints.get(name, Any)
    try:
        is_fit = fits(given, taken)
    except Exception:  # noqa: BLE001 - of a metaclass of the user's, by which classes are compared
        return
    if not is_fit:
        msg = (
            f"{undo.name}({name}: {text_of_hint(taken)}) undoes {step.name}, which returns {text_of_hint(given)}: its "
            "first parameter gets that result"
        )
        raise DefinitionError(msg)


def hints_of(function: Callable[..., Any]) -> Mapping[str, Any]:
    """Return the type hints of a function; none if they cannot be read, as of names that only checkers know."""
    try:
        return typing.get_type_hints(function)
    except Exception:  # noqa: BLE001 - hints are any code of the user's
        return {}


def fits(given: Any, taken: Any) -> bool:
    """Say whether a value of a type may be given where another is taken; what is not known does."""
    if taken is Any or given is Any or taken is object or given == taken:
        return True
    if typing.get_origin(given) in UNIONS:
        return all(fits(one, taken) for one in typing.get_args(given))
    if typing.get_origin(taken) in UNIONS:
        return any(fits(given, one) for one in typing.get_args(taken))
    given, taken = typing.get_origin(given) or given, typing.get_origin(taken) or taken
    if given is None or taken is None:
        return given in {None, types.NoneType} and taken in {None, types.NoneType}
    if not (inspect.isclass(given) and inspect.isclass(taken)):
        return True
    if taken in {float, complex} and given in {bool, int, float}:
        return True
    try:
        return issubclass(given, taken)
    except TypeError:  # a protocol, which only checkers can compare
        return True


def text_of_hint(hint: Any) -> str:
    """Return a type as it is written in code."""
    return hint.__name__ if inspect.isclass(hint) else str(hint)
