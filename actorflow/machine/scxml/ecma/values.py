"""Values: ECMAScript's operators on values that are plain data.

null is None, undefined its own value, a number an int or a float, an array a list, an object a dict.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from actorflow.machine.scxml.ecma.tokens import as_number
from actorflow.machine.scxml.limits import EvaluationError, Scope, is_number, spend_comparison, spend_size


class Undefined:
    """ECMAScript's undefined: one value, false, also after pickling."""

    _one: Undefined | None = None

    def __new__(cls) -> Undefined:  # noqa: D102, PYI034 - the one value
        if cls._one is None:
            cls._one = super().__new__(cls)
        return cls._one

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "undefined"

    def __reduce__(self) -> tuple[type[Undefined], tuple[()]]:
        return Undefined, ()


UNDEFINED: Final = Undefined()
MAX_NESTED: Final = 20  # arrays in each other that are converted: data may contain itself
MAX_INDEX: Final = 12  # characters of a key that may be an index
MAX_NUMBER: Final = 1_000  # characters of text that becomes a number; more is NaN


def truth(value: Any) -> bool:
    """Return ECMAScript's truth: false are 0, NaN, "", null, undefined, and no array or object."""
    if isinstance(value, list | dict | tuple):
        return True
    if isinstance(value, float) and math.isnan(value):
        return False
    return bool(value)


def type_of(value: Any) -> str:
    """Return the result of `typeof`."""
    if value is UNDEFINED:
        return "undefined"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "object"


def number_of(value: Any) -> int | float:
    """Convert to a number, NaN if it is none."""
    if value is None or isinstance(value, bool):
        return int(bool(value))
    if isinstance(value, int | float):
        return as_number(value)
    if isinstance(value, str):
        return _parse(value.strip()) if len(value) <= MAX_NUMBER else math.nan
    for _ in range(MAX_NESTED):
        if not isinstance(value, list | tuple) or len(value) > 1:
            return math.nan
        value = value[0] if value else None
        if value is None or value is UNDEFINED:  # in an array they are empty text
            return 0
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            return number_of(value)
    return math.nan


def _parse(text: str) -> int | float:
    if not text:
        return 0
    if "_" in text or not text.isascii() or text.lower().lstrip("+-") in {"inf", "nan", "infinity"}:
        return {"Infinity": math.inf, "+Infinity": math.inf, "-Infinity": -math.inf}.get(text, math.nan)
    try:
        if text[:2].lower() in {"0x", "0b", "0o"}:
            return as_number(float(int(text, 0)))
        return as_number(float(text))
    except (ValueError, OverflowError):
        return math.nan


def text_of(scope: Scope, value: Any, depth: int = 0) -> str:
    """Convert to a string as ECMAScript does."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if is_number(value):
        return number_text(value)
    if isinstance(value, list | tuple):
        scope.spend(1)
        if depth > MAX_NESTED:
            raise EvaluationError("arrays in arrays, too deep for a string")
        parts = ["" if item is None or item is UNDEFINED else text_of(scope, item, depth + 1) for item in value]
        spend_size(scope, sum(map(len, parts)) + len(parts))
        return ",".join(parts)
    return "undefined" if value is UNDEFINED else "[object Object]"


def number_text(value: float) -> str:
    """Write a number as ECMAScript does."""
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        if value == 0 or 1e-6 <= abs(value) < 1e21:
            return format(Decimal(repr(value)).normalize() + 0, "f")  # all digits, the last ones zeros if need be
    return repr(value).replace("e-0", "e-")


def strict_equal(scope: Scope, left: Any, right: Any) -> bool:
    """Compare as `===`: same type and value; arrays and objects by identity."""
    if is_number(left) and is_number(right):
        return bool(left == right)
    if isinstance(left, str) and isinstance(right, str):
        spend_comparison(scope, left, right)
        return left == right
    return left is right


def loose_equal(scope: Scope, left: Any, right: Any) -> bool:
    """Compare as `==`: null and undefined are equal, other types are converted."""
    empty = (left is None or left is UNDEFINED, right is None or right is UNDEFINED)
    if any(empty):
        return all(empty)
    kinds = {type_of(left), type_of(right)}
    if len(kinds) == 1:
        return strict_equal(scope, left, right)
    if kinds == {"object", "string"}:
        return text_of(scope, left) == text_of(scope, right)
    return bool(number_of(left) == number_of(right))


def add(scope: Scope, left: Any, right: Any) -> Any:
    """Add numbers, or join values as text."""
    if any(isinstance(value, str | list | tuple | dict) for value in (left, right)):
        one, other = text_of(scope, left), text_of(scope, right)
        spend_size(scope, len(one) + len(other))
        return one + other
    return as_number(number_of(left) + number_of(right))


def divide(left: float, right: float) -> float:
    """Divide; by zero it is an infinity or NaN."""
    if right == 0:
        if left == 0 or math.isnan(left):
            return math.nan
        return math.copysign(math.inf, left) * math.copysign(1, right)
    return left / right


def remainder(left: float, right: float) -> float:
    """Return the remainder, which has the sign of the dividend."""
    if right == 0 or math.isinf(left):
        return math.nan
    return math.fmod(left, right)


def power(left: float, right: float) -> float:
    """Raise to a power in doubles."""
    if math.isnan(right) or (abs(left) == 1 and math.isinf(right)):
        return math.nan
    try:
        result = float(left) ** float(right)
    except (OverflowError, ZeroDivisionError):
        return math.copysign(math.inf, left) if right % 2 == 1 else math.inf
    return result if isinstance(result, float) else math.nan


def arithmetic(operate: Callable[[float, float], float]) -> Callable[[Scope, Any, Any], Any]:
    """Make an operator of numbers."""
    return lambda _scope, left, right: as_number(operate(number_of(left), number_of(right)))


def int32(value: Any) -> int:
    """Convert to a 32-bit whole number, as the bit operators do."""
    number = number_of(value)
    if isinstance(number, float) and not math.isfinite(number):
        return 0
    low = int(number) & 0xFFFFFFFF
    return low - (1 << 32) if low >= 1 << 31 else low


def bitwise(operate: Callable[[int, int], int]) -> Callable[[Scope, Any, Any], Any]:
    """Make an operator of bits."""
    return lambda _scope, left, right: int32(operate(int32(left), int32(right)))


def compare(operate: Callable[[Any, Any], bool]) -> Callable[[Scope, Any, Any], bool]:
    """Make an order: of strings if both are, arrays and objects among them, else of numbers."""

    def run(scope: Scope, left: Any, right: Any) -> bool:
        left, right = (text_of(scope, one) if isinstance(one, list | tuple | dict) else one for one in (left, right))
        if isinstance(left, str) and isinstance(right, str):
            spend_comparison(scope, left, right)
            return operate(left, right)
        return operate(number_of(left), number_of(right))

    return run


def member(whole: Any, key: Any, scope: Scope) -> Any:
    """Read `whole.key` or `whole[key]`: undefined if it is not there, an error on null and undefined."""
    if whole is None or whole is UNDEFINED:
        raise EvaluationError(f"{text_of(scope, whole)} has no {key!r}")
    if isinstance(whole, dict):
        return whole.get(text_of(scope, key), UNDEFINED)
    if isinstance(whole, list | tuple | str):
        if key == "length":
            return len(whole)
        index = index_of(key if is_number(key) else text_of(scope, key))
        if 0 <= index < len(whole):
            return whole[index]
    return UNDEFINED


def index_of(key: float | str) -> int:
    """Return the place that a key names in an array or a text; -1 if it is the name of something else, as "01" is."""
    if isinstance(key, str):
        return int(key) if len(key) < MAX_INDEX and key.isascii() and key.isdigit() and str(int(key)) == key else -1
    return int(key) if math.isfinite(key) and key == int(key) else -1
