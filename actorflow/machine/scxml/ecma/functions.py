"""Functions and methods that an ECMAScript expression may call."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, Final

from actorflow.machine.scxml.ecma.tokens import as_number
from actorflow.machine.scxml.ecma.values import (
    UNDEFINED,
    int32,
    number_of,
    number_text,
    power,
    strict_equal,
    text_of,
    truth,
)
from actorflow.machine.scxml.limits import (
    MADE_BY_STEP,
    MAX_LENGTH,
    SIZE_OF_STEP,
    EvaluationError,
    LimitExceeded,
    Scope,
    copy,
    is_number,
    spend_comparison,
    spend_objects,
    spend_size,
)

FLOAT: Final = re.compile(r"[+-]?(?:Infinity|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)", re.ASCII)
CONSTANTS: Final[dict[str, Any]] = {
    "undefined": UNDEFINED,
    "NaN": math.nan,
    "Infinity": math.inf,
    "Math.PI": math.pi,
    "Math.E": math.e,
    "Math.SQRT2": math.sqrt(2),
    "Number.MAX_SAFE_INTEGER": 2**53 - 1,
    "Number.MIN_SAFE_INTEGER": 1 - 2**53,
    "Number.MAX_VALUE": 1.7976931348623157e308,
}


def _math(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(_scope: Scope, *values: Any) -> Any:
        numbers = [number_of(value) for value in values]
        try:
            return as_number(function(*numbers))
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf

    return run


def _round(number: float) -> float:
    if not math.isfinite(number):
        return number
    whole = math.floor(number)
    return whole + (number - whole >= 0.5)  # number + 0.5 would be rounded itself


def _whole(function: Callable[[float], int]) -> Callable[[float], float]:
    return lambda number: function(number) if math.isfinite(number) else number


def _extreme(choose: Callable[..., Any], empty: float) -> Callable[..., Any]:
    def run(*numbers: float) -> float:
        if any(isinstance(number, float) and math.isnan(number) for number in numbers):
            return math.nan
        return choose(numbers, default=empty)  # type: ignore[no-any-return]

    return run


def _parse_int(scope: Scope, value: Any = UNDEFINED, base: Any = 10) -> Any:
    text = text_of(scope, value).strip()
    radix = int32(base) or 10
    if not 2 <= radix <= 36:
        return math.nan
    sign = -1 if text[:1] == "-" else 1
    digits = text[1:] if text[:1] in {"+", "-"} else text
    if digits[:2].lower() == "0x" and radix in {10, 16}:
        digits, radix = digits[2:], 16
    length = 0
    while length < min(len(digits), 1000) and digits[length].isalnum() and _digit(digits[length]) < radix:
        length += 1
    return as_number(float(sign * int(digits[:length], radix))) if length and length < 300 else math.nan


def _digit(character: str) -> int:
    return int(character, 36) if character.isascii() else 99


def _parse_float(scope: Scope, value: Any = UNDEFINED) -> Any:
    begin = FLOAT.match(text_of(scope, value).strip()[:400])
    return number_of(begin.group()) if begin else math.nan


def _parse_json(scope: Scope, text: Any = UNDEFINED) -> Any:
    source = text_of(scope, text)
    spend_objects(scope, len(source) // 2)
    try:
        return copy(scope, json.loads(source))
    except (ValueError, RecursionError) as error:
        raise EvaluationError(f"JSON.parse: {error}") from None


def _check_json(value: Any) -> None:
    """Refuse data that would be too long a text: a string referred to twice is written twice."""
    length, left = 0, [value]
    while left:
        one = left.pop()
        length += len(one) + 2 if isinstance(one, str | list | tuple | dict) else 1
        if length > MAX_LENGTH:
            raise LimitExceeded(f"a text of more than {MAX_LENGTH:,} characters")
        if isinstance(one, dict):
            left += one
            left += one.values()
        elif isinstance(one, list | tuple):
            left += one


def _to_json(scope: Scope, value: Any = UNDEFINED) -> Any:
    if value is UNDEFINED:
        return UNDEFINED
    plain = copy(scope, value)
    _check_json(plain)
    text = _json_of(plain)
    spend_size(scope, len(text))
    return text


def _json_of(value: Any) -> str:
    """Write JSON as ECMAScript does: NaN and the infinities are null, and an object lacks its undefined members."""
    if isinstance(value, dict):
        items = value.items()
        return f"{{{','.join(f'{_quoted(key)}:{_json_of(item)}' for key, item in items if item is not UNDEFINED)}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_json_of, value))}]"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return number_text(value) if is_number(value) and math.isfinite(value) else "null"


def _quoted(text: Any) -> str:
    return json.dumps(str(text), ensure_ascii=False)


def _keys(scope: Scope, whole: Any) -> list[Any]:
    if not isinstance(whole, dict):
        raise EvaluationError("Object.keys() takes an object")
    scope.spend(len(whole) // SIZE_OF_STEP + 1)
    return list(whole)


def _values(scope: Scope, whole: Any = UNDEFINED) -> list[Any]:
    return [whole[key] for key in _keys(scope, whole)]


def _is_nan(_scope: Scope, value: Any = UNDEFINED) -> bool:
    return math.isnan(number_of(value))


def _is_integer(_scope: Scope, value: Any = UNDEFINED) -> bool:
    return is_number(value) and float(value).is_integer()


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "In": lambda scope, state=UNDEFINED: scope.in_state(text_of(scope, state)),
    "Math.abs": _math(abs),
    "Math.ceil": _math(_whole(math.ceil)),
    "Math.floor": _math(_whole(math.floor)),
    "Math.round": _math(_round),
    "Math.trunc": _math(_whole(math.trunc)),
    "Math.sign": _math(lambda number: (number > 0) - (number < 0) if not math.isnan(number) else math.nan),
    "Math.sqrt": _math(math.sqrt),
    "Math.pow": _math(power),
    "Math.log": _math(lambda number: math.log(number) if number else -math.inf),
    "Math.exp": _math(math.exp),
    "Math.sin": _math(math.sin),
    "Math.cos": _math(math.cos),
    "Math.max": _math(_extreme(max, -math.inf)),
    "Math.min": _math(_extreme(min, math.inf)),
    "Number": lambda _scope, value=0: number_of(value),
    "String": lambda scope, value="": text_of(scope, value),
    "Boolean": lambda _scope, value=False: truth(value),
    "parseInt": _parse_int,
    "parseFloat": _parse_float,
    "isNaN": _is_nan,
    "isFinite": lambda _scope, value=UNDEFINED: math.isfinite(number_of(value)),
    "Number.isInteger": _is_integer,
    "Number.isNaN": lambda _scope, value=UNDEFINED: isinstance(value, float) and math.isnan(value),
    "Array.isArray": lambda _scope, value=UNDEFINED: isinstance(value, list | tuple),
    "Object.keys": _keys,
    "Object.values": _values,
    "JSON.parse": _parse_json,
    "JSON.stringify": _to_json,
}


# --- methods ----------------------------------------------------------------------------------------------------------


def _bounds(length: int, start: Any, end: Any) -> tuple[int, int]:
    first = 0 if start is UNDEFINED else number_of(start)
    last = length if end is UNDEFINED else number_of(end)
    numbers = [
        0 if isinstance(n, float) and math.isnan(n) else int(max(-length, min(length, n))) for n in (first, last)
    ]
    low, high = (number + length if number < 0 else number for number in numbers)
    return low, high


def _slice(scope: Scope, whole: Any, start: Any = UNDEFINED, end: Any = UNDEFINED) -> Any:
    spend_size(scope, len(whole))
    low, high = _bounds(len(whole), start, end)
    return whole[low:high]


def _substring(scope: Scope, text: str, start: Any = UNDEFINED, end: Any = UNDEFINED) -> str:
    spend_size(scope, len(text))
    low, high = _bounds(len(text), *(0 if number_of(n) < 0 else n for n in (start, end)))
    return text[min(low, high) : max(low, high)]


def _index_of(scope: Scope, whole: Any, item: Any = UNDEFINED, start: Any = UNDEFINED) -> int:
    spend_size(scope, len(whole))
    first, _ = _bounds(len(whole), start, UNDEFINED)
    if isinstance(whole, str):
        part = text_of(scope, item)
        scope.spend(2 * (len(whole) + len(part)) // SIZE_OF_STEP)
        return whole.find(part, 0 if start is not UNDEFINED and number_of(start) < 0 else first)
    scope.spend(len(whole) // MADE_BY_STEP)
    places = range(first, len(whole))
    return next((index for index in places if strict_equal(scope, whole[index], item)), -1)


def _includes(scope: Scope, whole: Any, item: Any = UNDEFINED, start: Any = UNDEFINED) -> bool:
    if (
        not isinstance(whole, str) and isinstance(item, float) and math.isnan(item)
    ):  # which equals nothing, but is found
        spend_size(scope, len(whole))
        return any(isinstance(one, float) and math.isnan(one) for one in _slice(scope, whole, start))
    return _index_of(scope, whole, item, start) >= 0


def _concat(scope: Scope, whole: Any, *others: Any) -> Any:
    if isinstance(whole, str):
        parts = [whole, *(text_of(scope, other) for other in others)]
        spend_size(scope, sum(map(len, parts)))
        return "".join(parts)
    lists = [whole, *(other if isinstance(other, list | tuple) else [other] for other in others)]
    spend_size(scope, sum(map(len, lists)))
    return [item for each in lists for item in each]


def _join(scope: Scope, whole: Any, separator: Any = ",") -> str:
    glue = "," if separator is UNDEFINED else text_of(scope, separator)
    parts = ["" if item is None or item is UNDEFINED else text_of(scope, item) for item in whole]
    spend_size(scope, sum(map(len, parts)) + len(glue) * len(parts))
    return glue.join(parts)


def _split(scope: Scope, text: str, separator: Any = UNDEFINED, limit: Any = UNDEFINED) -> list[str]:
    spend_size(scope, len(text))
    most = None if limit is UNDEFINED else int32(limit) & 0xFFFFFFFF
    if separator is UNDEFINED:
        return [text][:most]
    spend_objects(scope, len(text))
    glue = text_of(scope, separator)
    return (text.split(glue) if glue else list(text))[:most]


def _replace(scope: Scope, text: str, old: Any = UNDEFINED, new: Any = UNDEFINED) -> str:
    one, other = text_of(scope, old), text_of(scope, new)
    spend_size(scope, len(text) + len(other))
    scope.spend(2 * (len(text) + len(one)) // SIZE_OF_STEP)
    return text.replace(one, other, 1)


def _char(scope: Scope, text: str, index: Any = 0) -> str:
    scope.spend(1)
    place = number_of(index)
    if math.isnan(place):
        return text[:1]
    return text[int(place)] if -1 < place < len(text) else ""


def _text(name: str) -> Callable[..., Any]:
    method = getattr(str, name)

    def run(scope: Scope, text: str) -> Any:
        spend_size(scope, len(text))
        return method(text)

    return run


def _has(name: str) -> Callable[..., Any]:
    method = getattr(str, name)

    def run(scope: Scope, text: str, part: Any = UNDEFINED) -> bool:
        given = text_of(scope, part)
        spend_comparison(scope, text, given)
        return bool(method(text, given))

    return run


def _to_fixed(_scope: Scope, number: Any, digits: Any = 0) -> str:
    places = int32(digits)
    if not 0 <= places <= 100 or abs(number) >= 1e21:
        raise EvaluationError("toFixed() takes 0 to 100 digits")
    return f"{number:.{places}f}"


def _to_string(scope: Scope, value: Any) -> str:
    return text_of(scope, value)


LIST: Final = (list, tuple)
SEVERAL: Final = (str, list, tuple)
NUMBER: Final = (int, float)
METHODS: Final[dict[str, tuple[tuple[type, ...], Callable[..., Any]]]] = {
    "charAt": ((str,), _char),
    "concat": (SEVERAL, _concat),
    "endsWith": ((str,), _has("endswith")),
    "includes": (SEVERAL, _includes),
    "indexOf": (SEVERAL, _index_of),
    "join": (LIST, _join),
    "replace": ((str,), _replace),
    "slice": (SEVERAL, _slice),
    "split": ((str,), _split),
    "startsWith": ((str,), _has("startswith")),
    "substring": ((str,), _substring),
    "toFixed": (NUMBER, _to_fixed),
    "toLowerCase": ((str,), _text("lower")),
    "toString": ((str, int, float, list, tuple), _to_string),
    "toUpperCase": ((str,), _text("upper")),
    "trim": ((str,), _text("strip")),
    "hasOwnProperty": ((dict,), lambda scope, whole, key=UNDEFINED: text_of(scope, key) in whole),
}
