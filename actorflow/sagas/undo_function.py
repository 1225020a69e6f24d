"""UndoFunction: a function of the user's code that undoes an ask, or whatever else was done at its place."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from actorflow.core.refs.ref import ActorRef
from actorflow.errors import DefinitionError
from actorflow.store.error_json import write_error
from actorflow.tasks.compensation import Step, hints_of
from actorflow.text import text_of
from actorflow.workflows.body.steps import key_of
from actorflow.workflows.rows.records import OF_FUNCTION, UNDONE, RunRecord

if TYPE_CHECKING:
    from actorflow.sagas.course import Course, Undoable


@dataclass(frozen=True, slots=True)
class UndoFunction:
    """A function that was given to `af.undo`.

    Attributes:
        call: the function, with its arguments.
        name: of the function, by which people know it.
        takes_step: its first parameter gets the `Step` of the ask that it undoes.
    """

    call: partial[Any]
    name: str
    takes_step: bool

    def bound(self, course: Course, entry: Undoable) -> Callable[[], Any]:
        """Return the function, with the step that it undoes if it takes that."""
        if not self.takes_step:
            return self.call
        ask, read = entry.step, course.body.node.read
        step = Step(
            ask.identity[1].removeprefix("ask "),
            {},
            key_of(ask),
            None if entry.value is None else read(entry.value),
            {name: read(value) for name, value in course.results.items()},
            entry.is_maybe,
        )
        return partial(self.call.func, step, *self.call.args, **self.call.keywords)

    def failed(self, course: Course, path: str, error: BaseException) -> RunRecord:
        """Return the record of its failure, by which people may leave it out."""
        identity = (path, f"{OF_FUNCTION}{self.name}", 1)
        at = course.body.node.now()
        return RunRecord(0, identity, 0, UNDONE, None, None, write_error(error), 1, None, at)


def undo_function(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, of_ask: bool) -> UndoFunction:
    """Return a function that is to undo something, with its arguments.

    Raises:
        DefinitionError: it is no function, or does not take these arguments.
    """
    if not callable(function):
        msg = f"af.undo({text_of(function)}): give a function, and its arguments"
        raise DefinitionError(msg)
    name = name_of(function, args)
    try:
        signature = inspect.signature(function)
    except Exception:  # noqa: BLE001 - some that are written in C have none, and others are code of the user's
        return UndoFunction(partial(function, *args, **kwargs), name, False)
    takes_step = of_ask and takes_step_first(function, signature)
    given = ((None, *args) if takes_step else args, kwargs)
    try:
        signature.bind(*given[0], **given[1])
    except TypeError as error:
        cure = "; a first parameter that is declared as `step: af.Step` gets the ask" if of_ask else ""
        msg = f"af.undo: {name}{signature} is not called like that: {error}{cure}"
        raise DefinitionError(msg) from None
    return UndoFunction(partial(function, *args, **kwargs), name, takes_step)


def refused(error: DefinitionError) -> UndoFunction:
    """Return an UndoFunction in place of a refused one: it raises, so that the saga is stuck there."""

    def nothing_undoes_it() -> None:
        raise DefinitionError(str(error))

    return UndoFunction(partial(nothing_undoes_it), "af.undo", False)


def name_of(function: Any, args: tuple[Any, ...]) -> str:
    """Return how people know a function: by its own name, or, of `ref.call`, by that of the method."""
    try:
        if args and inspect.isfunction(args[0]) and isinstance(getattr(function, "__self__", None), ActorRef):
            return args[0].__qualname__
        name = getattr(function, "__name__", None) or getattr(function, "name", None)
    except Exception:  # noqa: BLE001 - of a property of the user's
        name = None
    return name if isinstance(name, str) else type(function).__name__


def takes_step_first(function: Any, signature: inspect.Signature) -> bool:
    """Say whether the first parameter of a function is declared as `af.Step`."""
    first = next(iter(signature.parameters.values()), None)
    if first is None or first.annotation is first.empty:
        return False
    given = first.annotation
    is_named = isinstance(given, str) and given in {"Step", "af.Step"}  # its module may know that name to checkers only
    return given is Step or is_named or hints_of(function).get(first.name) is Step
