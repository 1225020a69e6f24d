"""Operations: Python's operators, comparisons and subscripts on plain data. Each pays for the data it makes."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any, Final

from actorflow.machine.scxml.limits import (
    SIZE_OF_STEP,
    EvaluationError,
    Scope,
    check_bits,
    equal,
    power,
    spend_comparison,
    spend_size,
)
from actorflow.machine.scxml.python.functions import items_of


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple) else 0


def _add(scope: Scope, left: Any, right: Any) -> Any:
    size = _length(left) + _length(right)
    if size:
        spend_size(scope, size)
    return _small(left + right)


def _small(value: Any) -> Any:
    """Refuse a whole number that has grown too large."""
    if isinstance(value, int):
        check_bits(value.bit_length())
    return value


def _multiply(scope: Scope, left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int):
        check_bits(left.bit_length() + right.bit_length())
    for one, times in ((left, right), (right, left)):
        if isinstance(one, str | list | tuple) and isinstance(times, int):
            spend_size(scope, len(one) * max(0, times))
    return left * right


def _shift_left(_scope: Scope, left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int) and left:
        check_bits(left.bit_length() + right)
    return left << right


def _remainder(_scope: Scope, left: Any, right: Any) -> Any:
    if not isinstance(left, int | float):
        raise EvaluationError("% takes numbers; formatting text with it is not allowed")
    return left % right


OPERATORS: Final[dict[type, Callable[[Scope, Any, Any], Any]]] = {
    ast.Add: _add,
    ast.Sub: lambda _, left, right: _small(left - right),
    ast.Mult: _multiply,
    ast.Div: lambda _, left, right: left / right,
    ast.FloorDiv: lambda _, left, right: left // right,
    ast.Mod: _remainder,
    ast.Pow: lambda _, left, right: power(left, right),
    ast.LShift: _shift_left,
    ast.RShift: lambda _, left, right: left >> right,
    ast.BitAnd: lambda _, left, right: left & right,
    ast.BitOr: lambda _, left, right: left | right,
    ast.BitXor: lambda _, left, right: left ^ right,
}
UNARY: Final[dict[type, Callable[[Any], Any]]] = {
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.inv,
}


def ordered(value: Any) -> Any:
    """Return a value that may stand at < and >: a number or a string."""
    if not isinstance(value, int | float | str):
        raise EvaluationError(f"values of type {type(value).__name__} cannot be ordered")
    return value


def _order(compare: Callable[[Any, Any], bool]) -> Callable[[Scope, Any, Any], bool]:
    def run(scope: Scope, left: Any, right: Any) -> bool:
        spend_comparison(scope, left, right)
        return compare(ordered(left), ordered(right))

    return run


def contains(scope: Scope, item: Any, whole: Any) -> bool:
    """Say whether something is in a list, a dict or a string."""
    if isinstance(whole, str):
        scope.spend(2 * (len(whole) + _length(item)) // SIZE_OF_STEP + 1)
        return item in whole
    if isinstance(whole, dict):
        return item in whole
    return any(equal(scope, item, other) for other in items_of(scope, whole))


COMPARISONS: Final[dict[type, Callable[[Scope, Any, Any], Any]]] = {
    ast.Eq: equal,
    ast.NotEq: lambda scope, left, right: not equal(scope, left, right),
    ast.Lt: _order(operator.lt),
    ast.LtE: _order(operator.le),
    ast.Gt: _order(operator.gt),
    ast.GtE: _order(operator.ge),
    ast.Is: lambda _, left, right: left is right,
    ast.IsNot: lambda _, left, right: left is not right,
    ast.In: contains,
    ast.NotIn: lambda scope, item, whole: not contains(scope, item, whole),
}


# --- items ------------------------------------------------------------------------------------------------------------


def key_of(value: Any) -> Any:
    """Return a value that may be a key."""
    if value is None or isinstance(value, str | int | float):
        return value
    raise EvaluationError(f"a value of type {type(value).__name__} cannot be a key")


def item_of(whole: Any, key: Any) -> Any:
    """Return an item of a dict, list or string."""
    try:
        if isinstance(whole, dict):
            return whole[key_of(key)]
        if isinstance(whole, list | tuple | str) and isinstance(key, int):
            return whole[key]
    except LookupError:
        raise EvaluationError(f"there is no item {key!r}") from None
    raise EvaluationError(f"a value of type {type(whole).__name__} has no item {key!r}")
