"""Code: the compiled form of an expression in either language, a function of the scope."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from actorflow.machine.scxml.limits import EvaluationError, Scope

Code: TypeAlias = Callable[[Any], Any]  # scope -> value


def always(value: Any) -> Code:
    """Return code for a literal."""
    return lambda _scope: value


def variable(name: str, absent: str) -> Code:
    """Return code that reads a variable; `absent` says that it is not declared."""
    if name.startswith("_"):
        return lambda scope: scope.system(name)

    def read(scope: Scope) -> Any:
        try:
            return scope.data[name]
        except KeyError:
            raise EvaluationError(f"{absent}; declare it with <data>") from None

    return read


def call(scope: Scope, function: Callable[..., Any], arguments: list[Code], *first: Any) -> Any:
    """Pay for a call, and make it; arguments that do not fit are an error of the expression."""
    scope.spend(1)
    try:
        return function(scope, *first, *(argument(scope) for argument in arguments))
    except (TypeError, AttributeError) as error:
        raise EvaluationError(str(error)) from None


def billed(code: Code, steps: int) -> Code:
    """Return code that pays for the size of its expression; a short one is part of the step that evaluates it."""
    if steps < 2:
        return code

    def run(scope: Scope) -> Any:
        scope.spend(steps)
        return code(scope)

    return run
