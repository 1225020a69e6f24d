"""Expressions of the ecmascript data model: an operator-precedence parser that makes closures. Layer 3.

The expression part of the language over plain data: no functions of its own, no prototypes, no assignment (that is
`<assign>`), so there is nothing to break out of.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from actorflow.machine.scxml.ecma_functions import CONSTANTS, FUNCTIONS, METHODS
from actorflow.machine.scxml.ecma_tokens import Token, as_number, tokenize
from actorflow.machine.scxml.ecma_values import (
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
    type_of,
)
from actorflow.machine.scxml.limits import MAX_DEPTH, EvaluationError, Refused, Scope

Code: TypeAlias = Callable[[Any], Any]  # scope -> value

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


def compile_ecma(source: str) -> Code:
    """Turn an expression into a function of the scope.

    Raises:
        Refused: it has something that is not allowed.
        EvaluationError: it is no ECMAScript expression.

    >>> from actorflow.machine.scxml.session import Session
    >>> compile_ecma("[1, 2].length === 2 ? 'n' + 1 / 2 : null")(Session())
    'n0.5'
    """
    return _Parser(source).whole()


def compile_ecma_place(source: str) -> tuple[str, list[Code]]:
    """Turn a location, such as `a.b[0]`, into the name of a variable and the keys that lead into it."""
    return _Parser(source).place()


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = tokenize(source)
        self.at = 0
        self.depth = 0

    # --- tokens ------------------------------------------------------------------------------------------------------

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.token
        self.at += 1
        return token

    def is_next(self, value: str) -> bool:
        return self.token.kind in {"punctuator", "name"} and self.token.value == value

    def accept(self, value: str) -> bool:
        if self.is_next(value):
            self.at += 1
            return True
        return False

    def expect(self, value: str) -> None:
        if not self.accept(value):
            raise self.wrong()

    def wrong(self) -> EvaluationError:
        found = "its end" if self.token.kind == "end" else repr(self.token.value)
        return EvaluationError(f"{self.source[:60]!r} is no ECMAScript expression: {found} is unexpected")

    def name(self) -> str:
        token = self.take()
        if token.kind != "name":
            self.at -= 1
            raise self.wrong()
        if token.value in HIDDEN or token.value.startswith("__"):
            raise Refused(f"the name {token.value!r} is not allowed in a loaded document")
        return str(token.value)

    # --- grammar -----------------------------------------------------------------------------------------------------

    def whole(self) -> Code:
        code = self.expression()
        if self.token.kind != "end":
            self.refuse_assignment()
            raise self.wrong()
        return code

    def refuse_assignment(self) -> None:
        if self.token.value in ASSIGNMENTS and self.token.kind == "punctuator":
            raise Refused(f"{self.source[:60]!r}: {self.token.value} is not allowed; use <assign>")

    def expression(self, power: int = 0) -> Code:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Refused(f"an expression nested more than {MAX_DEPTH} deep")
        left = self.postfix(self.prefix())
        chained = 0
        while True:
            following = self.infix(left, power)
            if following is left:
                break
            left = following
            chained += 1
            if self.depth + chained > 4 * MAX_DEPTH:  # a + b + c ... is as deep to run as (a + (b + (c ...
                raise Refused(f"an expression of more than {4 * MAX_DEPTH} operators in a row")
        self.depth -= 1
        return left

    def infix(self, left: Code, power: int) -> Code:
        sign = self.token.value if self.token.kind in {"punctuator", "name"} else None
        if sign == "?" and power <= TERNARY:
            self.take()
            return self.ternary(left)
        if sign in LOGICAL and LOGICAL[sign] > power:
            self.take()
            return _logical(sign, left, self.expression(LOGICAL[sign]))
        if sign not in BINARY or BINARY[sign][0] <= power:
            return left
        self.take()
        strength, operate = BINARY[sign]
        right = self.expression(strength - 1 if sign == "**" else strength)

        def run(scope: Scope) -> Any:
            scope.spend(1)
            return operate(scope, left(scope), right(scope))

        return run

    def ternary(self, test: Code) -> Code:
        then = self.expression()
        self.expect(":")
        otherwise = self.expression(TERNARY - 1)
        return lambda scope: then(scope) if truth(test(scope)) else otherwise(scope)

    def prefix(self) -> Code:
        token = self.take()
        if token.kind in {"number", "string"}:
            return lambda _scope: token.value
        if token.value in PREFIX:
            operate = PREFIX[token.value]
            operand = self.expression(UNARY_POWER)
            return lambda scope: operate(scope, operand(scope))
        if token.value == "typeof":
            return self.typeof()
        if token.kind == "name":
            self.at -= 1
            return self.word()
        if token.value == "(":
            code = self.expression()
            self.expect(")")
            return code
        if token.value == "[":
            return self.array()
        if token.value == "{":
            return self.object()
        self.at -= 1
        self.refuse_assignment()
        raise self.wrong()

    def word(self) -> Code:
        name = self.token.value
        if name in REFUSED:
            raise Refused(f"{self.source[:60]!r}: {REFUSED[name]} is not allowed in a loaded document")
        if name in RESERVED and name not in WORDS:
            raise self.wrong()
        self.name()
        if name in WORDS:
            value = WORDS[name]
            return lambda _scope: value
        if self.accept_library(name):
            name = f"{name}.{self.name()}"
        if self.is_next("(") and name in FUNCTIONS:
            function = FUNCTIONS[name]
            arguments = self.arguments()
            return lambda scope: _run(scope, function, arguments)
        if name in CONSTANTS:
            constant = CONSTANTS[name]
            return lambda _scope: constant
        if self.is_next("(") or "." in name:
            known = ", ".join(sorted(FUNCTIONS))
            raise Refused(f"{self.source[:60]!r}: {name}() is not among the calls of a loaded document: {known}")
        if name in FUNCTIONS:
            raise Refused(f"{self.source[:60]!r}: a function is no value in a loaded document")
        return _variable(name)

    def accept_library(self, name: str) -> bool:
        return name in {"Math", "Number", "Object", "JSON", "Array"} and self.accept(".")

    def typeof(self) -> Code:
        operand_at = self.at
        operand = self.expression(UNARY_POWER)
        single = self.at == operand_at + 1 and self.tokens[operand_at].kind == "name"
        name = self.tokens[operand_at].value if single else ""

        def run(scope: Scope) -> str:
            if single and not name.startswith("_") and name not in scope.data and name not in WORDS:
                return "undefined"  # typeof of what is not declared is no error
            return type_of(operand(scope))

        return run

    def array(self) -> Code:
        items: list[Code] = []
        while not self.accept("]"):
            items.append(self.expression())
            if not self.is_next("]"):
                self.expect(",")
        return lambda scope: [item(scope) for item in items]

    def object(self) -> Code:
        pairs: list[tuple[str, Code]] = []
        while not self.accept("}"):
            token = self.token
            if token.kind in {"string", "number"}:
                self.take()
                key = token.value if token.kind == "string" else str(token.value)
            else:
                key = self.name()
            if token.kind == "name" and not self.is_next(":"):
                pairs.append((key, _variable(key)))
            else:
                self.expect(":")
                pairs.append((key, self.expression()))
            if not self.is_next("}"):
                self.expect(",")
        return lambda scope: {key: value(scope) for key, value in pairs}

    def postfix(self, code: Code) -> Code:
        for _ in range(MAX_DEPTH):
            if self.accept("?."):
                code = _optional_member(code, self.name())
            elif self.accept("."):
                name = self.name()
                code = self.method(code, name) if self.is_next("(") else _member(code, _always(name))
            elif self.accept("["):
                key = self.expression()
                self.expect("]")
                code = _member(code, key)
            elif self.is_next("("):
                raise Refused(f"{self.source[:60]!r}: this call is not allowed in a loaded document")
            else:
                return code
        raise Refused(f"more than {MAX_DEPTH} members in a row")

    def method(self, whole: Code, name: str) -> Code:
        if name not in METHODS:
            known = ", ".join(sorted(METHODS))
            raise Refused(f"{self.source[:60]!r}: {name}() is not among the methods of a loaded document: {known}")
        kinds, function = METHODS[name]
        arguments = self.arguments()

        def run(scope: Scope) -> Any:
            value = whole(scope)
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise EvaluationError(f"{type_of(value)} has no {name}()")
            return _run(scope, function, arguments, value)

        return run

    def arguments(self) -> list[Code]:
        self.expect("(")
        arguments: list[Code] = []
        while not self.accept(")"):
            arguments.append(self.expression())
            if not self.is_next(")"):
                self.expect(",")
        return arguments

    def place(self) -> tuple[str, list[Code]]:
        name = self.name()
        if name in RESERVED or name in REFUSED:
            raise EvaluationError(f"{self.source[:60]!r} is no location")
        keys: list[Code] = []
        while self.token.kind != "end":
            if self.accept("."):
                keys.append(_always(self.name()))
            else:
                self.expect("[")
                keys.append(self.expression())
                self.expect("]")
        return name, keys


def _run(scope: Scope, function: Callable[..., Any], arguments: list[Code], *first: Any) -> Any:
    scope.spend(1)
    try:
        return function(scope, *first, *(argument(scope) for argument in arguments))
    except TypeError as error:
        raise EvaluationError(str(error)) from None


def _variable(name: str) -> Code:
    if name.startswith("_"):
        return lambda scope: scope.system(name)

    def read(scope: Scope) -> Any:
        try:
            return scope.data[name]
        except KeyError:
            raise EvaluationError(f"{name} is not defined; declare it with <data>") from None

    return read


def _always(value: Any) -> Code:
    return lambda _scope: value


def _member(whole: Code, key: Code) -> Code:
    return lambda scope: member(whole(scope), key(scope), scope)


def _optional_member(whole: Code, name: str) -> Code:
    def run(scope: Scope) -> Any:
        value = whole(scope)
        return UNDEFINED if value is None or value is UNDEFINED else member(value, name, scope)

    return run


def _logical(sign: str, left: Code, right: Code) -> Code:
    def run(scope: Scope) -> Any:
        value = left(scope)
        if sign == "??":
            return right(scope) if value is None or value is UNDEFINED else value
        return right(scope) if truth(value) is (sign == "&&") else value

    return run
