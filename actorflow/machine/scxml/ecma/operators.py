"""Words and operators of an ECMAScript expression: the effect of each, its precedence, and the refused ones."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from actorflow.machine.scxml.ecma.tokens import as_number
from actorflow.machine.scxml.ecma.values import (
    UNDEFINED,
    add,
    arithmetic,
    bitwise,
    compare,
    divide,
    int32,
    loose_equal,
    member,
    number_of,
    power,
    remainder,
    strict_equal,
    text_of,
    truth,
)
from actorflow.machine.scxml.limits import EvaluationError, Scope

REFUSED: Final = {
    "new": "new", "function": "a function", "class": "a class", "delete": "delete", "import": "import", "this": "this",
    "await": "await", "yield": "yield", "eval": "eval", "instanceof": "instanceof", "window": "window",
    "globalThis": "globalThis", "require": "require", "process": "process", "Function": "Function",
}  # fmt: skip
RESERVED: Final = frozenset(
    """break case catch const continue debugger default do else enum export extends false finally for if in let null
    return static super switch throw true try typeof var void while with""".split()  # noqa: SIM905 - a list of 30 lines
)
HIDDEN: Final = frozenset({"constructor", "prototype", "__proto__", "__defineGetter__", "caller", "callee"})
ASSIGNMENTS: Final = frozenset(["=", "+=", "-=", "*=", "/=", "%=", "++", "--", "=>"])


def _has_member(scope: Scope, key: Any, whole: Any) -> bool:
    if not isinstance(whole, dict | list | tuple):
        raise EvaluationError("in takes an object")
    return member(whole, key, scope) is not UNDEFINED or (isinstance(whole, dict) and text_of(scope, key) in whole)


Operation: TypeAlias = Callable[[Scope, Any, Any], Any]
BINARY: Final[dict[str, tuple[int, Operation]]] = {
    "|": (5, bitwise(operator.or_)),
    "^": (6, bitwise(operator.xor)),
    "&": (7, bitwise(operator.and_)),
    "==": (8, loose_equal),
    "!=": (8, lambda scope, left, right: not loose_equal(scope, left, right)),
    "===": (8, strict_equal),
    "!==": (8, lambda scope, left, right: not strict_equal(scope, left, right)),
    "<": (9, compare(operator.lt)),
    ">": (9, compare(operator.gt)),
    "<=": (9, compare(operator.le)),
    ">=": (9, compare(operator.ge)),
    "in": (9, _has_member),
    "<<": (10, bitwise(lambda left, right: left << (right & 31))),
    ">>": (10, bitwise(lambda left, right: left >> (right & 31))),
    ">>>": (10, lambda _scope, left, right: (int32(left) & 0xFFFFFFFF) >> (int32(right) & 31)),
    "+": (11, add),
    "-": (11, arithmetic(operator.sub)),
    "*": (12, arithmetic(operator.mul)),
    "/": (12, arithmetic(divide)),
    "%": (12, arithmetic(remainder)),
    "**": (13, arithmetic(power)),
}
TERNARY: Final = 2
LOGICAL: Final = {"??": 3, "||": 3, "&&": 4}
UNARY_POWER: Final = 14
PREFIX: Final[dict[str, Callable[[Scope, Any], Any]]] = {
    "!": lambda _scope, value: not truth(value),
    "-": lambda _scope, value: as_number(-float(number_of(value))),
    "+": lambda _scope, value: number_of(value),
    "~": lambda _scope, value: ~int32(value),
    "void": lambda _scope, _value: UNDEFINED,
}
WORDS: Final = {"true": True, "false": False, "null": None}
