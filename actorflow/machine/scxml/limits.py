"""Limits: the cost of a loaded document's expressions: steps, sizes, depths.

A document comes from anywhere, so nothing in it may take the process down. Each step of an expression and of a loop
costs one, making data or going through it costs by its size, and the work that one external event leads to has a
budget.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from typing import Any, Final, Protocol

from actorflow.errors import ActorflowError, DefinitionError

MAX_STEPS: Final = 200_000  # between two external events; about 0.3 s
MAX_LENGTH: Final = 200_000  # of a string or list
MAX_BITS: Final = 10_000  # of a whole number; Python writes no more than 14,285 of them
MAX_DEPTH: Final = 60  # of data in data, and of an expression
MAX_SOURCE: Final = 10_000  # characters of an expression
SIZE_OF_STEP: Final = 16  # characters or items that are copied at the cost of one step
MADE_BY_STEP: Final = 4  # objects that are made at the cost of one step
STEP_BYTES: Final = 400  # that a step makes at most: four characters of 76 bytes as a list of its own
MAX_DATA: Final = 16_000_000  # bytes of all variables, log lines and waiting events of a session and its descendants


class EvaluationError(ActorflowError, ValueError):
    """An expression has no value, or cannot be used as it is; the document gets it as error.execution.

    Attributes:
        sendid: of the `<send>` that failed, if it has one.
    """

    sendid: str | None = None


class LimitExceeded(EvaluationError):
    """An expression costs more than a loaded document may; the session remembers it as its `failure`."""


class ExpressionRefused(DefinitionError):
    """An expression has something that no data model allows: the document is not loaded."""


class Scope(Protocol):
    """The variables and the budget that an expression sees."""

    data: dict[str, Any]

    def system(self, name: str) -> Any:
        """Return a system variable: `_event`, `_sessionid`, `_name`, `_ioprocessors`, `_x`."""
        ...

    def in_state(self, name: str) -> bool:
        """Say whether a state is active."""
        ...

    def spend(self, steps: int) -> None:
        """Count steps; raise LimitExceeded when there are too many."""


def spend_size(scope: Scope, size: int) -> None:
    """Pay for data of this many characters or items before it is made."""
    if size > MAX_LENGTH:
        raise LimitExceeded(f"data of {size:,} items or characters; the limit is {MAX_LENGTH:,}")
    scope.spend(size // SIZE_OF_STEP + 1)


def spend_objects(scope: Scope, count: int) -> None:
    """Pay for this many objects before they are made."""
    if count > MAX_LENGTH:
        raise LimitExceeded(f"data of {count:,} items; the limit is {MAX_LENGTH:,}")
    scope.spend(count // MADE_BY_STEP + 1)


def spend_comparison(scope: Scope, left: Any, right: Any) -> None:
    """Pay for comparing two strings or two whole numbers, by the length that may be gone through."""
    if isinstance(left, str) and isinstance(right, str):
        scope.spend(min(len(left), len(right)) // SIZE_OF_STEP)


def weight_of(values: Iterable[Any], limit: int) -> int:
    """Return the bytes that data takes; parts that occur twice count once. Stops above the limit."""
    weight = 0
    left = list(values)
    seen: set[int] = set()
    while left and weight <= limit:
        value = left.pop()
        if id(value) in seen:
            continue
        weight += sys.getsizeof(value)
        if isinstance(value, dict):
            seen.add(id(value))
            left += value
            left += value.values()
        elif isinstance(value, list | tuple):
            seen.add(id(value))
            left += value
        elif isinstance(value, str):
            seen.add(id(value))
    return weight


def check_bits(bits: float) -> None:
    """Refuse a whole number of this many bits before it is made."""
    if bits > MAX_BITS:
        raise LimitExceeded(f"a whole number of more than {MAX_BITS:,} bits")


def equal(scope: Scope, left: Any, right: Any, depth: int = 0) -> bool:
    """Compare data by value, paying for each item: two references to the same part would double the work."""
    scope.spend(1)
    check_depth(depth)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(
            equal(scope, value, right[key], depth + 1) for key, value in left.items()
        )
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        if type(left) is not type(right) or len(left) != len(right):
            return False
        return all(equal(scope, one, other, depth + 1) for one, other in zip(left, right, strict=True))
    if isinstance(left, str) and isinstance(right, str):
        scope.spend(min(len(left), len(right)) // SIZE_OF_STEP)
    return bool(left == right)


def copy(scope: Scope, value: Any, depth: int = 0) -> Any:
    """Copy data, so that sent data does not change any more; also paid for by the item."""
    scope.spend(1)
    check_depth(depth)
    if isinstance(value, dict):
        return {key: copy(scope, item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [copy(scope, item, depth + 1) for item in value]
    if isinstance(value, tuple):
        return tuple(copy(scope, item, depth + 1) for item in value)
    return value


def check_depth(depth: int) -> None:
    """Refuse to go this deep into data."""
    if depth > MAX_DEPTH:
        raise LimitExceeded(f"data is nested more than {MAX_DEPTH} deep")


def is_number(value: Any) -> bool:
    """Say whether the value is a number; a truth value is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def power(base: float, exponent: float) -> int | float:
    """Raise a number to a power, if the result is not too large."""
    if isinstance(base, int) and isinstance(exponent, int):
        if exponent > 0:
            check_bits(base.bit_length() * exponent)
    elif base < 0 and not math.isinf(exponent) and exponent != int(exponent):
        raise EvaluationError("a negative number has no such power")
    result: int | float = base**exponent
    return result
