"""Expressions of the python data model: parsed, and compiled once to closures. See `nodes` for the allowlist."""

from __future__ import annotations

import ast
from typing import Any

from actorflow.machine.scxml.code import Code, always, billed
from actorflow.machine.scxml.limits import MAX_SOURCE, EvaluationError, ExpressionRefused, copy
from actorflow.machine.scxml.python.nodes import (
    NODES_OF_STEP,
    Constants,
    check_name,
    compile_node,
    refuse_huge,
    short,
    size_of,
)


def parse_python(source: str) -> ast.expr:
    """Parse an expression.

    Raises:
        EvaluationError: it is not a Python expression.
        Refused: it is too long or too deep.
    """
    text = source.strip()
    if not text:
        raise EvaluationError("there is no expression: the attribute is empty")
    if len(text) > MAX_SOURCE:
        raise ExpressionRefused(f"an expression of more than {MAX_SOURCE:,} characters")
    try:
        tree = ast.parse(f"({text}\n)", mode="eval").body
        if (tree.lineno, tree.col_offset) == (1, 0):  # it begins with the bracket that is not the text's own
            refuse_halves(text, tree)
        return tree
    except (RecursionError, MemoryError):
        raise ExpressionRefused(f"{short(text)}: the expression is nested too deep") from None
    except (SyntaxError, ValueError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        if "too many nested" in reason:
            raise ExpressionRefused(f"{short(text)}: the expression is nested too deep") from None
        raise EvaluationError(f"{short(text)} is not a Python expression: {reason}") from None


def refuse_halves(text: str, tree: ast.expr) -> None:
    """Refuse a text whose brackets close those around it, `1) + (2`, or which has nothing in it but a comment.

    Raises:
        SyntaxError: it is no expression by itself.
    """
    ast.parse(f"[{text}\n]", mode="eval")
    if isinstance(tree, ast.Tuple) and not tree.elts:
        raise SyntaxError("there is nothing in it")


def compile_python(source: str) -> Code:
    """Turn an expression into a function of the scope.

    Raises:
        Refused: it has something that is not allowed.
        EvaluationError: it is not a Python expression.

    >>> from actorflow.machine.scxml.session import Session
    >>> compile_python("[n + 1 for n in range(3)]")(Session())
    [1, 2, 3]
    """
    tree = parse_python(source)
    code = compile_node(tree)
    refuse_huge(tree)
    steps = size_of(tree) // NODES_OF_STEP
    return billed(code, steps)


def compile_place(source: str) -> tuple[str, list[Code]]:
    """Turn a location into the name of a variable and the keys that lead into it.

    Raises:
        EvaluationError: it is not a location.
    """
    keys: list[Code] = []
    node = parse_python(source)
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute):
            keys.append(always(check_name(node.attr)))
        elif isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice):
            keys.append(compile_node(node.slice))
        else:
            raise EvaluationError(f"{short(source)} is not a location")
        node = node.value
    return check_name(node.id), keys[::-1]


def literal(source: str) -> Any:
    """Evaluate a literal: no variables, no events.

    Raises:
        EvaluationError: it is no literal.
    """
    scope: Any = Constants()
    return copy(scope, compile_python(source)(scope))
