"""Nodes of a Python expression: an allowlist of syntax, each compiled to a closure.

Nothing here is ever given to `eval`: syntax that is not in `COMPILERS` does not exist. Values are plain data, so `a.b`
reads the item "b" of a dict, never an attribute of an object.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any, Final

from actorflow.machine.scxml.code import Code, always, call, variable
from actorflow.machine.scxml.limits import (
    MAX_DEPTH,
    MAX_LENGTH,
    SIZE_OF_STEP,
    EvaluationError,
    ExpressionRefused,
    LimitExceeded,
    Scope,
    check_bits,
    spend_objects,
    spend_size,
)
from actorflow.machine.scxml.python.functions import FUNCTIONS, METHODS, items_of, text_of
from actorflow.machine.scxml.python.operations import COMPARISONS, OPERATORS, UNARY, item_of, key_of

WRITTEN_OUT: Final = (
    ast.BinOp, ast.Constant, ast.List, ast.Load, ast.Tuple, ast.UnaryOp, ast.operator, ast.unaryop,
)  # fmt: skip


CONSTANT_STEPS: Final = 20_000  # for one constant; the longest string takes 12,500
NODES_OF_STEP: Final = 8  # nodes that are gone through at the cost of one step


def compile_node(node: ast.expr, depth: int = 0) -> Code:
    """Compile one node and those below it."""
    if depth > MAX_DEPTH:
        raise ExpressionRefused(f"an expression nested more than {MAX_DEPTH} deep")
    compiler = COMPILERS.get(type(node))
    if compiler is None:
        raise ExpressionRefused(f"{short(ast.unparse(node))}: {_name(node)} is not allowed in a loaded document")
    return compiler(node, depth + 1)


def size_of(*nodes: ast.AST) -> int:
    """Count the nodes of expressions."""
    return sum(1 for node in nodes for _ in ast.walk(node))


def refuse_huge(tree: ast.expr) -> None:
    """Refuse the document for a constant that no run could work out."""
    left: list[ast.AST] = [tree]
    while left:
        node = left.pop()
        if not isinstance(node, ast.BinOp) or not all(isinstance(each, WRITTEN_OUT) for each in ast.walk(node)):
            left += ast.iter_child_nodes(node)
            continue
        try:
            compile_node(node)(Constants())
        except LimitExceeded as error:
            raise ExpressionRefused(f"{short(ast.unparse(node))}: {error}") from None
        except ExpressionRefused:
            raise
        except Exception:  # noqa: BLE001, S112 - an error of its own is error.execution when it is evaluated
            continue


class Constants:
    """A scope without variables: only a literal has a value in it."""

    def __init__(self, steps: int = CONSTANT_STEPS) -> None:
        self.data: dict[str, Any] = {}
        self.left = steps

    def system(self, name: str) -> Any:
        """There are none."""
        raise EvaluationError(f"there is no {name} here")

    def in_state(self, name: str) -> bool:
        """No state is active."""
        raise EvaluationError(f"In({name!r}) has no value here: no state is active yet")

    def spend(self, steps: int) -> None:
        """Count steps, so that a document with many constants is not slow to load."""
        self.left -= steps
        if self.left < 0:
            raise LimitExceeded("too many steps in the expression's text")


# --- leaves -----------------------------------------------------------------------------------------------------------


def _constant(node: ast.Constant, _depth: int) -> Code:
    value = node.value
    if not (value is None or isinstance(value, bool | int | float | str)):
        raise ExpressionRefused(f"a literal of type {type(value).__name__} is not allowed in a loaded document")
    if isinstance(value, int):
        check_bits(value.bit_length())
    return always(value)


def _variable(node: ast.Name, _depth: int) -> Code:
    name = check_name(node.id)
    return variable(name, f"there is no variable {name!r}")


# --- operators --------------------------------------------------------------------------------------------------------


def _binary(node: ast.BinOp, depth: int) -> Code:
    if type(node.op) not in OPERATORS:
        raise ExpressionRefused(f"{short(ast.unparse(node))}: {_name(node.op)} is not allowed in a loaded document")
    is_text = isinstance(node.left, ast.JoinedStr) or isinstance(getattr(node.left, "value", None), str)
    if isinstance(node.op, ast.Mod) and is_text:
        raise ExpressionRefused(
            f"{short(ast.unparse(node))}: formatting text with % is not allowed in a loaded document"
        )
    operate = OPERATORS[type(node.op)]
    left, right = compile_node(node.left, depth), compile_node(node.right, depth)

    def run(scope: Scope) -> Any:
        scope.spend(1)
        return operate(scope, left(scope), right(scope))

    return run


def _unary(node: ast.UnaryOp, depth: int) -> Code:
    operate, operand = UNARY[type(node.op)], compile_node(node.operand, depth)
    return lambda scope: operate(operand(scope))


def _logical(node: ast.BoolOp, depth: int) -> Code:
    parts = [compile_node(value, depth) for value in node.values]
    stops_at = isinstance(node.op, ast.Or)

    def run(scope: Scope) -> Any:
        value = None
        for part in parts:
            value = part(scope)
            if bool(value) is stops_at:
                break
        return value

    return run


def _comparison(node: ast.Compare, depth: int) -> Code:
    first = compile_node(node.left, depth)
    rest = [
        (COMPARISONS[type(op)], compile_node(right, depth))
        for op, right in zip(node.ops, node.comparators, strict=True)
    ]

    def run(scope: Scope) -> bool:
        left = first(scope)
        for compare, part in rest:
            right = part(scope)
            if not compare(scope, left, right):
                return False
            left = right
        return True

    return run


def _choice(node: ast.IfExp, depth: int) -> Code:
    test, then, otherwise = (compile_node(part, depth) for part in (node.test, node.body, node.orelse))
    return lambda scope: then(scope) if test(scope) else otherwise(scope)


# --- data -------------------------------------------------------------------------------------------------------------


def _several(node: ast.List | ast.Tuple, depth: int) -> Code:
    parts = [compile_node(element, depth) for element in node.elts]
    kind = list if isinstance(node, ast.List) else tuple

    def run(scope: Scope) -> Any:
        spend_objects(scope, len(parts))
        return kind([part(scope) for part in parts])

    return run


def _dict(node: ast.Dict, depth: int) -> Code:
    if None in node.keys:
        raise ExpressionRefused("** is not allowed in a loaded document")
    pairs = [
        (compile_node(key, depth), compile_node(value, depth))
        for key, value in zip(node.keys, node.values, strict=True)
        if key is not None
    ]

    def run(scope: Scope) -> dict[Any, Any]:
        spend_objects(scope, 2 * len(pairs))
        return {key_of(key(scope)): value(scope) for key, value in pairs}

    return run


def _attribute(node: ast.Attribute, depth: int) -> Code:
    whole, name = compile_node(node.value, depth), check_name(node.attr)
    return lambda scope: item_of(whole(scope), name)


def _subscript(node: ast.Subscript, depth: int) -> Code:
    whole = compile_node(node.value, depth)
    if isinstance(node.slice, ast.Slice):
        edges = (node.slice.lower, node.slice.upper, node.slice.step)
        bounds = [always(None) if edge is None else compile_node(edge, depth) for edge in edges]

        def cut(scope: Scope) -> Any:
            value = whole(scope)
            if not isinstance(value, str | list | tuple):
                raise EvaluationError(f"a value of type {type(value).__name__} cannot be sliced")
            spend_size(scope, len(value))
            low, high, step = (bound(scope) for bound in bounds)
            return value[low:high:step]

        return cut
    index = compile_node(node.slice, depth)
    return lambda scope: item_of(whole(scope), index(scope))


def _text(node: ast.JoinedStr, depth: int) -> Code:
    parts: list[Code] = []
    for value in node.values:
        if isinstance(value, ast.FormattedValue):
            if value.format_spec is not None or value.conversion != -1:
                raise ExpressionRefused("formats in an f-string are not allowed in a loaded document")
            parts.append(compile_node(value.value, depth))
        else:
            parts.append(compile_node(value, depth))

    def run(scope: Scope) -> str:
        pieces = [text_of(scope, part(scope)) for part in parts]
        spend_size(scope, sum(map(len, pieces)))
        return "".join(pieces)

    return run


# --- calls and loops --------------------------------------------------------------------------------------------------


def _call(node: ast.Call, depth: int) -> Code:
    if node.keywords or any(isinstance(part, ast.Starred) for part in node.args):
        raise ExpressionRefused(f"{short(ast.unparse(node))}: keywords and * are not allowed in a loaded document")
    arguments = [compile_node(part, depth) for part in node.args]
    if isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
        function = FUNCTIONS[node.func.id]
        return lambda scope: call(scope, function, arguments)
    if isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
        name, whole = node.func.attr, compile_node(node.func.value, depth)
        of_types = METHODS[name]

        def run(scope: Scope) -> Any:
            value = whole(scope)
            for kind, method in of_types:
                if isinstance(value, kind):
                    return call(scope, method, arguments, value)
            raise EvaluationError(f"a value of type {type(value).__name__} has no method {name}()")

        return run
    known = ", ".join(sorted(FUNCTIONS))
    raise ExpressionRefused(
        f"{short(ast.unparse(node))}: this call is not allowed in a loaded document; available: {known}"
    )


class _Inner:
    """The scope of a comprehension: that around it, and the variables of its loops."""

    def __init__(self, outer: Scope) -> None:
        outer.spend(len(outer.data) // SIZE_OF_STEP)
        self.data = dict(outer.data)
        self.system = outer.system
        self.in_state = outer.in_state
        self.spend = outer.spend


def _comprehension(node: ast.ListComp | ast.GeneratorExp, depth: int) -> Code:
    loops = []
    for loop in node.generators:
        names = [loop.target] if isinstance(loop.target, ast.Name) else getattr(loop.target, "elts", [loop.target])
        if loop.is_async or not all(isinstance(name, ast.Name) and not name.id.startswith("_") for name in names):
            raise ExpressionRefused(f"{short(ast.unparse(node))}: this loop is not allowed in a loaded document")
        single = isinstance(loop.target, ast.Name)
        conditions = [compile_node(test, depth) for test in loop.ifs]
        loops.append(([name.id for name in names], single, compile_node(loop.iter, depth), conditions))
    result = compile_node(node.elt, depth)
    turn_cost = 1 + size_of(node) // NODES_OF_STEP

    def turns(scope: Scope, level: int) -> Iterator[None]:
        if level == len(loops):
            yield
            return
        names, single, items, conditions = loops[level]
        for item in items_of(scope, items(scope)):
            scope.spend(turn_cost)
            values = [item] if single else items_of(scope, item)
            if len(values) != len(names):
                raise EvaluationError(f"{len(values)} values for {len(names)} names")
            scope.data.update(zip(names, values, strict=True))
            if all(test(scope) for test in conditions):
                yield from turns(scope, level + 1)

    def run(scope: Scope) -> list[Any]:
        inner: Any = _Inner(scope)
        found: list[Any] = []
        for _ in turns(inner, 0):
            found.append(result(inner))
            if len(found) > MAX_LENGTH:
                raise LimitExceeded(f"a list of more than {MAX_LENGTH:,} items")
        return found

    return run


COMPILERS: Final[dict[type, Callable[[Any, int], Code]]] = {
    ast.Constant: _constant,
    ast.Name: _variable,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _logical,
    ast.Compare: _comparison,
    ast.IfExp: _choice,
    ast.List: _several,
    ast.Tuple: _several,
    ast.Dict: _dict,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.JoinedStr: _text,
    ast.Call: _call,
    ast.ListComp: _comprehension,
    ast.GeneratorExp: _comprehension,
}


# --- names and texts --------------------------------------------------------------------------------------------------


def check_name(name: str) -> str:
    """Refuse names that mean the inner life of Python."""
    if name.startswith("__"):
        raise ExpressionRefused(f"the name {name!r} is not allowed in a loaded document")
    return name


def short(text: str) -> str:
    """Quote a source text, shortened."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _name(node: ast.AST) -> str:
    return {ast.NamedExpr: ":=", ast.Starred: "*", ast.DictComp: "a dict comprehension"}.get(
        type(node), type(node).__name__.lower()
    )
