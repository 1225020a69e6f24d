"""Data models: null, python, c89 and ecmascript behind one face."""

from __future__ import annotations

import ast
import json
import keyword
import re
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol, TypeAlias

from actorflow.machine.scxml.code import Code
from actorflow.machine.scxml.ecma.expressions import compile_ecma, compile_ecma_place
from actorflow.machine.scxml.ecma.operators import RESERVED
from actorflow.machine.scxml.ecma.values import UNDEFINED, text_of, truth
from actorflow.machine.scxml.limits import (
    MAX_STEPS,
    EvaluationError,
    ExpressionRefused,
    LimitExceeded,
    Scope,
    copy,
    spend_size,
)
from actorflow.machine.scxml.python.expressions import compile_place, compile_python, literal, parse_python
from actorflow.machine.scxml.python.nodes import Constants

Assign: TypeAlias = Callable[[Any, Any], None]  # scope, value

READ_ONLY: Final = ("_event", "_sessionid", "_name", "_ioprocessors", "_x")


class Datamodel(Protocol):
    """A language for the expressions of a document.

    Attributes:
        name: as the attribute `datamodel` spells it.
        missing: the value of `<data>` that has none.
    """

    name: str
    missing: Any

    def expression(self, source: str) -> Code:
        """Compile an expression."""
        ...

    def condition(self, source: str) -> Code:
        """Compile an expression whose truth counts."""
        ...

    def place(self, source: str) -> Assign:
        """Compile a location that can be assigned to."""
        ...

    def content(self, text: str) -> Any:
        """Return the value of text between tags."""
        ...

    def is_name(self, text: str) -> bool:
        """Say whether a variable can have this name."""
        ...


def late(error: EvaluationError) -> Code:
    """Keep a mistake in the syntax for when the expression is evaluated, as the recommendation allows (5.9)."""
    text = str(error)

    def run(_scope: Scope) -> Any:
        raise EvaluationError(text)

    return run


class Python:
    """Python's expressions over plain data."""

    name = "python"
    missing = None

    def expression(self, source: str) -> Code:
        """Compile an expression."""
        try:
            return compile_python(source)
        except EvaluationError as error:
            return late(error)

    def condition(self, source: str) -> Code:
        """Compile an expression whose truth counts."""
        code = self.expression(source)
        return lambda scope: bool(code(scope))

    def place(self, source: str) -> Assign:
        """Compile a location: `a`, `a.b`, `a["b"]`, `a[0]`."""
        try:
            name, keys = compile_place(source)
        except EvaluationError as error:
            return _no_place(error)
        return lambda scope, value: _put(scope, name, [key(scope) for key in keys], value)

    def content(self, text: str) -> Any:
        """Return JSON's or Python's value, else the text with its white space normalised."""
        try:
            return _json(text)
        except LimitExceeded:
            raise
        except ValueError:
            pass
        try:
            return literal(text)
        except (EvaluationError, ExpressionRefused, TypeError, ArithmeticError):
            return " ".join(text.split())

    def is_name(self, text: str) -> bool:
        """Say whether a variable can have this name."""
        return text.isidentifier() and not keyword.iskeyword(text) and not text.startswith("_")


class C89(Python):
    """C's expressions, as far as they are Python's: `&&`, `||` and `!` before a name are translated."""

    name = "c89"
    SIGNS: Final = re.compile(r"""("[^"]*"|'[^']*')|(&&)|(\|\|)|!\s*(?!=)([A-Za-z_][\w.]*(?:\([^()]*\)|\[[^][]*\])?)""")

    def expression(self, source: str) -> Code:
        """Compile an expression."""
        return super().expression(self.SIGNS.sub(_python_sign, source))


def _python_sign(match: re.Match[str]) -> str:
    text, both, either, name = match.groups()
    return text or (both and " and ") or (either and " or ") or f"(not {name})"


class Ecmascript:
    """ECMAScript's expressions over plain data."""

    name = "ecmascript"
    missing = UNDEFINED

    def expression(self, source: str) -> Code:
        """Compile an expression."""
        try:
            return compile_ecma(source)
        except EvaluationError as error:
            return late(error)

    def condition(self, source: str) -> Code:
        """Compile an expression whose truth counts."""
        code = self.expression(source)
        return lambda scope: truth(code(scope))

    def place(self, source: str) -> Assign:
        """Compile a location: `a`, `a.b`, `a["b"]`, `a[0]`."""
        try:
            name, keys = compile_ecma_place(source)
        except EvaluationError as error:
            return _no_place(error)

        def assign(scope: Scope, value: Any) -> None:
            # A key of an object is text; an index of an array stays a number.
            _put(scope, name, [key(scope) for key in keys], value, lambda key: text_of(scope, key))

        return assign

    def content(self, text: str) -> Any:
        """Return JSON's value, else the text with its white space normalised (B.2.1)."""
        try:
            return _json(text)
        except LimitExceeded:
            raise
        except ValueError:
            return " ".join(text.split())

    def is_name(self, text: str) -> bool:
        """Say whether a variable can have this name."""
        return bool(re.fullmatch(r"[^\W\d_$][\w$]*|\$[\w$]*", text)) and text not in RESERVED


class Null:
    """No data: conditions about active states alone (B.1)."""

    name = "null"
    missing = None
    ALLOWED: Final = (ast.Call, ast.Name, ast.Constant, ast.BoolOp, ast.UnaryOp, ast.Load, ast.boolop, ast.unaryop)

    def expression(self, source: str) -> Code:
        """Refuse: there are no values."""
        raise ExpressionRefused(
            f"{source!r}: the null data model has no values; write datamodel='python' or 'ecmascript' at <scxml>"
        )

    def condition(self, source: str) -> Code:
        """Compile In('state'), with and, or, not around it."""
        words = {"true": "True", "false": "False"}
        text = words.get(source.strip(), source)
        try:
            node = parse_python(text)
        except EvaluationError as error:
            return late(error)
        names = [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]
        if not all(isinstance(each, self.ALLOWED) for each in ast.walk(node)) or set(names) - {"In"}:
            return self.expression(source)
        code = compile_python(text)
        return lambda scope: bool(code(scope))

    def place(self, source: str) -> Assign:
        """Refuse: there are no variables."""
        self.expression(source)
        raise AssertionError

    def content(self, text: str) -> Any:
        """Return the text with its white space normalised."""
        return " ".join(text.split())

    def is_name(self, text: str) -> bool:  # noqa: ARG002 - the protocol's signature
        """Say no: there are no variables."""
        return False


DATAMODELS: Final[dict[str, Datamodel]] = {model.name: model for model in (Null(), Python(), C89(), Ecmascript())}


def _json(text: str) -> Any:
    try:
        return copy(Constants(MAX_STEPS), json.loads(text))
    except RecursionError:
        raise ValueError("JSON that is nested too deep") from None


def _no_place(error: EvaluationError) -> Assign:
    code = late(error)
    return lambda scope, _value: code(scope)


def _put(scope: Scope, name: str, keys: Iterable[Any], value: Any, as_key: Callable[[Any], Any] | None = None) -> None:
    """Assign to a variable, or to a part of one."""
    if name.startswith("_"):
        raise EvaluationError(f"{name} is read-only")
    if name not in scope.data:
        raise EvaluationError(f"there is no variable {name!r} to assign to; declare it with <data>")
    path = list(keys)
    if not path:
        scope.data[name] = value
        return
    whole = scope.data[name]
    for key in path[:-1]:
        whole = _part(whole, key, as_key)
    last = path[-1]
    if isinstance(whole, dict) and isinstance(last, str | int | float | bool | None):
        spend_size(scope, len(whole) + 1)
        whole[as_key(last) if as_key else last] = value
    elif isinstance(whole, list) and isinstance(last, int) and -len(whole) <= last < len(whole):
        whole[last] = value
    elif isinstance(whole, list) and as_key is not None and last == len(whole):  # JavaScript's way to append
        spend_size(scope, len(whole) + 1)
        whole.append(value)
    else:
        raise EvaluationError(f"{name} has no place {last!r} to assign to")


def _part(whole: Any, key: Any, as_key: Callable[[Any], Any] | None) -> Any:
    if isinstance(whole, dict):
        key = as_key(key) if as_key else key
        if isinstance(key, str | int | float | bool | None) and key in whole:
            return whole[key]
    elif isinstance(whole, list) and isinstance(key, int) and -len(whole) <= key < len(whole):
        return whole[key]
    raise EvaluationError(f"there is no place {key!r} to assign to")
