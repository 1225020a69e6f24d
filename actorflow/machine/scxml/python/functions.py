"""Functions and methods that a python expression may call.

Each takes the scope first and pays for the data it goes through; none reaches a Python object's attributes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from actorflow.machine.scxml.limits import (
    MAX_LENGTH,
    SIZE_OF_STEP,
    EvaluationError,
    LimitExceeded,
    Scope,
    check_depth,
    equal,
    spend_objects,
    spend_size,
)


def items_of(scope: Scope, value: Any) -> Sequence[Any]:
    """Return the items of a list, the keys of a dict, the characters of a string."""
    if not isinstance(value, list | tuple | dict | str | range):
        raise EvaluationError(f"a value of type {type(value).__name__} has no items")
    if isinstance(value, list | tuple | range):
        spend_size(scope, len(value))
        return value
    spend_objects(scope, len(value))
    return list(value)


def text_of(scope: Scope, value: Any, depth: int = 0) -> str:
    """Write data as Python does, paying for each item."""
    if isinstance(value, str) and not depth:
        return value
    if isinstance(value, dict):
        pairs = (f"{text_of(scope, key, 1)}: {text_of(scope, item, depth + 1)}" for key, item in value.items())
        return _joined(scope, pairs, "{}", depth)
    if isinstance(value, list):
        return _joined(scope, (text_of(scope, item, depth + 1) for item in value), "[]", depth)
    if isinstance(value, tuple):
        return _joined(scope, (text_of(scope, item, depth + 1) for item in value), "()", depth)
    if value is None or isinstance(value, bool | int | float | str):
        scope.spend(1 + cost_of_text(value))
        return repr(value)
    return f"<{type(value).__name__}>"


def cost_of_text(value: Any) -> int:
    """Return the steps that writing a value takes: a long number takes some microseconds."""
    if isinstance(value, int):
        return value.bit_length() // 64
    return len(value) // SIZE_OF_STEP if isinstance(value, str) else 0


def _joined(scope: Scope, parts: Any, brackets: str, depth: int) -> str:
    check_depth(depth)
    pieces, length = [], 0
    for piece in parts:
        pieces.append(piece)
        length += len(piece) + 2
        if length > MAX_LENGTH:
            raise LimitExceeded(f"a text of more than {MAX_LENGTH:,} characters")
    spend_size(scope, length)
    return brackets[0] + ", ".join(pieces) + brackets[1]


def _in(scope: Scope, state: Any) -> bool:
    return scope.in_state(state)


def _len(_scope: Scope, value: Any) -> int:
    if not isinstance(value, list | tuple | dict | str):
        raise EvaluationError(f"a value of type {type(value).__name__} has no length")
    return len(value)


def _range(scope: Scope, *bounds: int) -> list[int]:
    numbers = range(*bounds)
    # len() of a huge range raises; its ends say the same.
    spend_objects(scope, len(numbers) if abs(numbers.start) + abs(numbers.stop) < 1 << 62 else 1 << 62)
    return list(numbers)


def _comparable(scope: Scope, values: Sequence[Any], *, sort: bool = False) -> list[Any]:
    given = items_of(scope, values[0]) if len(values) == 1 else values
    if not all(isinstance(value, int | float | str) for value in given):
        raise EvaluationError("only numbers and strings can be ordered")
    # Each is compared with others as often as the logarithm of their number.
    rounds = 1 if not sort else max(1, len(given).bit_length())
    length = sum(len(value) for value in given if isinstance(value, str))
    scope.spend(rounds * (len(given) // 4 + 2 * length // SIZE_OF_STEP + 1))
    return list(given)


def _sum(scope: Scope, values: Any, start: Any = 0) -> Any:
    numbers = [*items_of(scope, values), start]
    if not all(isinstance(number, int | float) for number in numbers):
        raise EvaluationError("sum() takes numbers")
    return sum(numbers)


def _round(_scope: Scope, number: float, digits: int | None = None) -> Any:
    if not isinstance(number, int | float) or (digits is not None and abs(digits) > 100):
        raise EvaluationError("round() takes a number and at most 100 digits")
    return round(number, digits)


def _int(scope: Scope, value: Any = 0) -> int:
    if not isinstance(value, int | float | str):
        raise EvaluationError(f"int() takes a number or a string, not {type(value).__name__}")
    if isinstance(value, str):
        scope.spend(len(value) // 8)  # reading digits takes their square, up to Python's limit of 4,300
    return int(value)


def _float(scope: Scope, value: Any = 0) -> float:
    if not isinstance(value, int | float | str):
        raise EvaluationError(f"float() takes a number or a string, not {type(value).__name__}")
    if isinstance(value, str):
        scope.spend(len(value) // 8)
    return float(value)


def _abs(_scope: Scope, number: Any) -> Any:
    if not isinstance(number, int | float):
        raise EvaluationError("abs() takes a number")
    return abs(number)


def _sqrt(_scope: Scope, number: Any) -> float:
    return math.sqrt(number)


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "In": _in,
    "abs": _abs,
    "all": lambda scope, values: all(items_of(scope, values)),
    "any": lambda scope, values: any(items_of(scope, values)),
    "bool": lambda _scope, value=False: bool(value),
    "float": _float,
    "int": _int,
    "len": _len,
    "list": lambda scope, values=(): list(items_of(scope, values)),
    "max": lambda scope, *values: max(_comparable(scope, values)),
    "min": lambda scope, *values: min(_comparable(scope, values)),
    "range": _range,
    "reversed": lambda scope, values: list(items_of(scope, values))[::-1],
    "round": _round,
    "sorted": lambda scope, values: sorted(_comparable(scope, [values], sort=True)),
    "sqrt": _sqrt,
    "str": lambda scope, value="": text_of(scope, value),
    "sum": _sum,
}


# --- methods ----------------------------------------------------------------------------------------------------------


def _replace(scope: Scope, text: str, old: str, new: str) -> str:
    scope.spend(2 * (len(text) + len(old)) // SIZE_OF_STEP + 1)
    spend_size(scope, len(text) + text.count(old) * len(new))
    return text.replace(old, new)


def _join(scope: Scope, text: str, parts: Any) -> str:
    pieces = items_of(scope, parts)
    if not all(isinstance(piece, str) for piece in pieces):
        raise EvaluationError("join() takes strings")
    spend_size(scope, sum(map(len, pieces)) + len(text) * len(pieces))
    return text.join(pieces)


def _plain(name: str, *, kind: type = str, size: int = 2) -> tuple[type, Callable[..., Any]]:
    """Make a method that costs by the size of its object; its arguments are strings and numbers."""
    method = getattr(kind, name)

    def run(scope: Scope, whole: Any, *arguments: Any) -> Any:
        if len(arguments) > size or not all(isinstance(part, str | int | None) for part in arguments):
            raise EvaluationError(f"{name}() takes up to {size} strings or numbers")
        spend_size(scope, len(whole))
        length = sum(len(part) for part in arguments if isinstance(part, str))
        if name in STRIPS:  # each character is looked up in the argument
            scope.spend(len(whole) * length // SIZE_OF_STEP**2)
        elif name == "split":
            spend_objects(scope, len(whole) // 2)
        scope.spend(2 * length // SIZE_OF_STEP)
        return method(whole, *arguments)

    return kind, run


def _index(scope: Scope, values: Any, item: Any) -> int:
    scope.spend(len(values) // SIZE_OF_STEP)
    for index, value in enumerate(values):
        if equal(scope, value, item):
            return index
    raise EvaluationError("the item is not in the list")


def _count(scope: Scope, values: Any, item: Any) -> int:
    return sum(equal(scope, value, item) for value in values)


def _listed(name: str) -> tuple[type, Callable[..., Any]]:
    def run(scope: Scope, whole: dict[Any, Any]) -> list[Any]:
        spend_objects(scope, len(whole))
        return list(getattr(whole, name)())

    return dict, run


def _get(_scope: Scope, whole: dict[Any, Any], key: Any, default: Any = None) -> Any:
    return whole.get(key, default)


Method = tuple[type | tuple[type, ...], Callable[..., Any]]
STRIPS: Final = frozenset({"lstrip", "rstrip", "strip"})
STRING_METHODS: Final = (
    "capitalize endswith find isalpha isdigit lower lstrip rstrip split startswith strip title upper"
)
METHODS: Final[dict[str, list[Method]]] = {
    **{name: [_plain(name)] for name in STRING_METHODS.split()},
    "count": [_plain("count"), ((list, tuple), _count)],
    "get": [(dict, _get)],
    "index": [_plain("index"), ((list, tuple), _index)],
    "items": [_listed("items")],
    "join": [(str, _join)],
    "keys": [_listed("keys")],
    "replace": [(str, _replace)],
    "values": [_listed("values")],
}
