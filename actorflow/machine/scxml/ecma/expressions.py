"""Expressions of the ecmascript data model: an operator-precedence parser that makes closures.

The expression part of the language over plain data: no functions of its own, no prototypes, no assignment (that is
`<assign>`), so there is nothing to break out of.
"""

from __future__ import annotations

from typing import Any, Final

from actorflow.machine.scxml.code import Code, always, billed, call, variable
from actorflow.machine.scxml.ecma.functions import CONSTANTS, FUNCTIONS, METHODS
from actorflow.machine.scxml.ecma.operators import (
    ASSIGNMENTS,
    BINARY,
    HIDDEN,
    LOGICAL,
    PREFIX,
    REFUSED,
    RESERVED,
    TERNARY,
    UNARY_POWER,
    WORDS,
)
from actorflow.machine.scxml.ecma.tokens import Token, tokenize
from actorflow.machine.scxml.ecma.values import UNDEFINED, member, truth, type_of
from actorflow.machine.scxml.limits import MAX_DEPTH, EvaluationError, ExpressionRefused, Scope, spend_objects

SIGNS: Final = frozenset({*PREFIX, "typeof"})
TOKENS_OF_STEP: Final = 8  # tokens whose code is gone through at the cost of one step


def compile_ecma(source: str) -> Code:
    """Turn an expression into a function of the scope.

    Raises:
        Refused: it has something that is not allowed.
        EvaluationError: it is not an ECMAScript expression.

    >>> from actorflow.machine.scxml.session import Session
    >>> compile_ecma("[1, 2].length === 2 ? 'n' + 1 / 2 : null")(Session())
    'n0.5'
    """
    parser = _ExpressionParser(source)
    code = parser.whole()
    steps = len(parser.tokens) // TOKENS_OF_STEP
    return billed(code, steps)


def compile_ecma_place(source: str) -> tuple[str, list[Code]]:
    """Turn a location, such as `a.b[0]`, into the name of a variable and the keys that lead into it."""
    return _ExpressionParser(source).place()


class _ExpressionParser:
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
        return EvaluationError(f"{self.source[:60]!r} is not an ECMAScript expression: {found} is unexpected")

    def name(self) -> str:
        token = self.take()
        if token.kind != "name":
            self.at -= 1
            raise self.wrong()
        if token.value in HIDDEN or token.value.startswith("__"):
            raise ExpressionRefused(f"the name {token.value!r} is not allowed in a loaded document")
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
            raise ExpressionRefused(f"{self.source[:60]!r}: {self.token.value} is not allowed; use <assign>")

    def expression(self, power: int = 0) -> Code:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionRefused(f"an expression nested more than {MAX_DEPTH} deep")
        first = self.token
        left = self.postfix(self.prefix())
        if first.kind != "string" and first.value in SIGNS and self.is_next("**"):
            raise EvaluationError(f"{self.source[:60]!r}: write (-a) ** b, or -(a ** b)")
        chained = 0
        while True:
            following = self.infix(left, power)
            if following is left:
                break
            left = following
            chained += 1
            if self.depth + chained > 4 * MAX_DEPTH:  # a + b + c ... is as deep to run as (a + (b + (c ...
                raise ExpressionRefused(f"an expression of more than {4 * MAX_DEPTH} operators in a row")
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
            return always(token.value)
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
            raise ExpressionRefused(f"{self.source[:60]!r}: {REFUSED[name]} is not allowed in a loaded document")
        if name in RESERVED and name not in WORDS:
            raise self.wrong()
        self.name()
        if name in WORDS:
            return always(WORDS[name])
        if self.accept_library(name):
            name = f"{name}.{self.name()}"
        if self.is_next("(") and name in FUNCTIONS:
            function = FUNCTIONS[name]
            arguments = self.arguments()
            return lambda scope: call(scope, function, arguments)
        if name in CONSTANTS:
            return always(CONSTANTS[name])
        if self.is_next("(") or "." in name:
            known = ", ".join(sorted(FUNCTIONS))
            raise ExpressionRefused(
                f"{self.source[:60]!r}: {name}() cannot be called in a loaded document; available: {known}"
            )
        if name in FUNCTIONS:
            raise ExpressionRefused(f"{self.source[:60]!r}: a function cannot be used as a value in a loaded document")
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

        def run(scope: Scope) -> list[Any]:
            spend_objects(scope, len(items))
            return [item(scope) for item in items]

        return run

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

        def run(scope: Scope) -> dict[str, Any]:
            spend_objects(scope, 2 * len(pairs))
            return {key: value(scope) for key, value in pairs}

        return run

    def postfix(self, code: Code) -> Code:
        for _ in range(MAX_DEPTH):
            if self.accept("?."):
                code = _optional_member(code, self.name())
            elif self.accept("."):
                name = self.name()
                code = self.method(code, name) if self.is_next("(") else _member(code, always(name))
            elif self.accept("["):
                key = self.expression()
                self.expect("]")
                code = _member(code, key)
            elif self.is_next("("):
                raise ExpressionRefused(f"{self.source[:60]!r}: this call is not allowed in a loaded document")
            else:
                return code
        raise ExpressionRefused(f"more than {MAX_DEPTH} members in a row")

    def method(self, whole: Code, name: str) -> Code:
        if name not in METHODS:
            known = ", ".join(sorted(METHODS))
            raise ExpressionRefused(
                f"{self.source[:60]!r}: the method {name}() cannot be called in a loaded document; available: {known}"
            )
        kinds, function = METHODS[name]
        arguments = self.arguments()

        def run(scope: Scope) -> Any:
            value = whole(scope)
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise EvaluationError(f"{type_of(value)} has no {name}()")
            return call(scope, function, arguments, value)

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
            raise EvaluationError(f"{self.source[:60]!r} is not a location")
        keys: list[Code] = []
        while self.token.kind != "end":
            if self.accept("."):
                keys.append(always(self.name()))
            else:
                self.expect("[")
                keys.append(self.expression())
                self.expect("]")
        return name, keys


def _variable(name: str) -> Code:
    return variable(name, f"{name} is not defined")


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
