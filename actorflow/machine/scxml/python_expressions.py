"""Expressions of the python data model: an allowlist of syntax, compiled once to closures. Layer 3.

Nothing here is ever given to `eval`: what is not in the tables below does not exist. Values are plain data, so `a.b`
reads the item "b" of a dict, never an attribute of an object.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from actorflow.machine.scxml.limits import (
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_SOURCE,
    EvaluationError,
    LimitExceeded,
    Refused,
    Scope,
    check_bits,
    copy,
    equal,
    power,
    spend_size,
)
from actorflow.machine.scxml.python_functions import FUNCTIONS, METHODS, items_of, text_of

Code: TypeAlias = Callable[[Any], Any]  # scope -> value
WRITTEN_OUT: Final = (
    ast.BinOp, ast.Constant, ast.List, ast.Load, ast.Tuple, ast.UnaryOp, ast.operator, ast.unaryop,
)  # fmt: skip


def parse_python(source: str) -> ast.expr:
    """Parse an expression.

    Raises:
        EvaluationError: it is no Python expression.
        Refused: it is too long or too deep.
    """
    text = source.strip()
    if len(text) > MAX_SOURCE:
        raise Refused(f"an expression of more than {MAX_SOURCE:,} characters")
    try:
        return ast.parse(f"({text}\n)", mode="eval").body
    except (RecursionError, MemoryError):
        raise Refused(f"{_short(text)}: the expression is nested too deep") from None
    except (SyntaxError, ValueError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        if "too many nested" in reason:
            raise Refused(f"{_short(text)}: the expression is nested too deep") from None
        raise EvaluationError(f"{_short(text)} is no Python expression: {reason}") from None


def compile_python(source: str) -> Code:
    """Turn an expression into a function of the scope.

    Raises:
        Refused: it has something that is not allowed.
        EvaluationError: it is no Python expression.

    >>> from actorflow.machine.scxml.session import Session
    >>> compile_python("[n + 1 for n in range(3)]")(Session())
    [1, 2, 3]
    """
    return compile_node(parse_python(source))


def compile_node(node: ast.expr, depth: int = 0) -> Code:
    """Compile one node and those below it."""
    if depth > MAX_DEPTH:
        raise Refused(f"an expression nested more than {MAX_DEPTH} deep")
    compiler = COMPILERS.get(type(node))
    if compiler is None:
        raise Refused(f"{_short(ast.unparse(node))}: {_name(node)} is not allowed in a loaded document")
    code = compiler(node, depth + 1)
    if isinstance(node, ast.BinOp) and all(isinstance(each, WRITTEN_OUT) for each in ast.walk(node)):
        _refuse_huge(node, code)
    return code


def _refuse_huge(node: ast.expr, code: Code) -> None:
    """Refuse the document for a constant that no run could work out."""
    try:
        code(Constants())
    except LimitExceeded as error:
        raise Refused(f"{_short(ast.unparse(node))}: {error}") from None
    except Exception:  # noqa: BLE001 - an error of the expression's own is error.execution when it is evaluated
        return


class Constants:
    """A scope without variables: only what is written out has a value in it."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}

    def system(self, name: str) -> Any:
        """There are none."""
        raise EvaluationError(f"there is no {name} here")

    def in_state(self, name: str) -> bool:
        """No state is active."""
        raise EvaluationError(f"no state is active here, {name!r} neither")

    def spend(self, steps: int) -> None:
        """Spend nothing: each operation has its own limit."""


# --- leaves -----------------------------------------------------------------------------------------------------------


def _constant(node: ast.Constant, _depth: int) -> Code:
    value = node.value
    if not (value is None or isinstance(value, bool | int | float | str)):
        raise Refused(f"a {type(value).__name__} literal is not allowed in a loaded document")
    if isinstance(value, int):
        check_bits(value.bit_length())
    return lambda _scope: value


def check_name(name: str) -> str:
    """Refuse names that mean the inner life of Python."""
    if name.startswith("__"):
        raise Refused(f"the name {name!r} is not allowed in a loaded document")
    return name


def _variable(node: ast.Name, _depth: int) -> Code:
    name = check_name(node.id)
    if name.startswith("_"):
        return lambda scope: scope.system(name)

    def read(scope: Scope) -> Any:
        try:
            return scope.data[name]
        except KeyError:
            raise EvaluationError(f"there is no variable {name!r}; declare it with <data>") from None

    return read


# --- operators --------------------------------------------------------------------------------------------------------


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple) else 0


def _add(scope: Scope, left: Any, right: Any) -> Any:
    size = _length(left) + _length(right)
    if size:
        spend_size(scope, size)
    return left + right


def _multiply(scope: Scope, left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int):
        check_bits(left.bit_length() + right.bit_length())
    for one, times in ((left, right), (right, left)):
        if isinstance(one, str | list | tuple) and isinstance(times, int):
            spend_size(scope, len(one) * max(0, times))
    return left * right


def _shift_left(_scope: Scope, left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int) and left:
        check_bits(left.bit_length() + right)
    return left << right


def _remainder(_scope: Scope, left: Any, right: Any) -> Any:
    if not isinstance(left, int | float):
        raise EvaluationError("% takes numbers; text is not formatted with it")
    return left % right


OPERATORS: Final[dict[type, Callable[[Scope, Any, Any], Any]]] = {
    ast.Add: _add,
    ast.Sub: lambda _, left, right: left - right,
    ast.Mult: _multiply,
    ast.Div: lambda _, left, right: left / right,
    ast.FloorDiv: lambda _, left, right: left // right,
    ast.Mod: _remainder,
    ast.Pow: lambda _, left, right: power(left, right),
    ast.LShift: _shift_left,
    ast.RShift: lambda _, left, right: left >> right,
    ast.BitAnd: lambda _, left, right: left & right,
    ast.BitOr: lambda _, left, right: left | right,
    ast.BitXor: lambda _, left, right: left ^ right,
}
UNARY: Final[dict[type, Callable[[Any], Any]]] = {
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.inv,
}


def ordered(value: Any) -> Any:
    """Return a value that may stand at < and >: a number or a string."""
    if not isinstance(value, int | float | str):
        raise EvaluationError(f"a {type(value).__name__} cannot be ordered")
    return value


def contains(scope: Scope, item: Any, whole: Any) -> bool:
    """Say whether something is in a list, a dict or a string."""
    if isinstance(whole, str):
        scope.spend(len(whole) // 16 + 1)
        return item in whole
    if isinstance(whole, dict):
        return item in whole
    return any(equal(scope, item, other) for other in items_of(scope, whole))


COMPARISONS: Final[dict[type, Callable[[Scope, Any, Any], Any]]] = {
    ast.Eq: equal,
    ast.NotEq: lambda scope, left, right: not equal(scope, left, right),
    ast.Lt: lambda _, left, right: ordered(left) < ordered(right),
    ast.LtE: lambda _, left, right: ordered(left) <= ordered(right),
    ast.Gt: lambda _, left, right: ordered(left) > ordered(right),
    ast.GtE: lambda _, left, right: ordered(left) >= ordered(right),
    ast.Is: lambda _, left, right: left is right,
    ast.IsNot: lambda _, left, right: left is not right,
    ast.In: contains,
    ast.NotIn: lambda scope, item, whole: not contains(scope, item, whole),
}


def _binary(node: ast.BinOp, depth: int) -> Code:
    if type(node.op) not in OPERATORS:
        raise Refused(f"{_short(ast.unparse(node))}: {_name(node.op)} is not allowed in a loaded document")
    is_text = isinstance(node.left, ast.JoinedStr) or isinstance(getattr(node.left, "value", None), str)
    if isinstance(node.op, ast.Mod) and is_text:
        raise Refused(f"{_short(ast.unparse(node))}: text is not formatted with % in a loaded document")
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
    return lambda scope: kind(part(scope) for part in parts)


def _dict(node: ast.Dict, depth: int) -> Code:
    if None in node.keys:
        raise Refused("** is not allowed in a loaded document")
    pairs = [
        (compile_node(key, depth), compile_node(value, depth))
        for key, value in zip(node.keys, node.values, strict=True)
        if key is not None
    ]
    return lambda scope: {key_of(key(scope)): value(scope) for key, value in pairs}


def key_of(value: Any) -> Any:
    """Return what may be a key."""
    if value is None or isinstance(value, str | int | float):
        return value
    raise EvaluationError(f"a {type(value).__name__} cannot be a key")


def _attribute(node: ast.Attribute, depth: int) -> Code:
    whole, name = compile_node(node.value, depth), check_name(node.attr)
    return lambda scope: item_of(whole(scope), name)


def _subscript(node: ast.Subscript, depth: int) -> Code:
    whole = compile_node(node.value, depth)
    if isinstance(node.slice, ast.Slice):
        edges = (node.slice.lower, node.slice.upper, node.slice.step)
        bounds = [_constant(ast.Constant(None), depth) if edge is None else compile_node(edge, depth) for edge in edges]

        def cut(scope: Scope) -> Any:
            value = whole(scope)
            if not isinstance(value, str | list | tuple):
                raise EvaluationError(f"a {type(value).__name__} cannot be sliced")
            spend_size(scope, len(value))
            low, high, step = (bound(scope) for bound in bounds)
            return value[low:high:step]

        return cut
    index = compile_node(node.slice, depth)
    return lambda scope: item_of(whole(scope), index(scope))


def item_of(whole: Any, key: Any) -> Any:
    """Return an item of a dict, list or string."""
    try:
        if isinstance(whole, dict):
            return whole[key_of(key)]
        if isinstance(whole, list | tuple | str) and isinstance(key, int):
            return whole[key]
    except LookupError:
        raise EvaluationError(f"there is no item {key!r}") from None
    raise EvaluationError(f"a {type(whole).__name__} has no item {key!r}")


def _text(node: ast.JoinedStr, depth: int) -> Code:
    parts: list[Code] = []
    for value in node.values:
        if isinstance(value, ast.FormattedValue):
            if value.format_spec is not None or value.conversion != -1:
                raise Refused("formats in an f-string are not allowed in a loaded document")
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
        raise Refused(f"{_short(ast.unparse(node))}: keywords and * are not allowed in a loaded document")
    arguments = [compile_node(part, depth) for part in node.args]
    if isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
        function = FUNCTIONS[node.func.id]
        return lambda scope: _run(scope, function, arguments)
    if isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
        name, whole = node.func.attr, compile_node(node.func.value, depth)
        of_types = METHODS[name]

        def run(scope: Scope) -> Any:
            value = whole(scope)
            for kind, method in of_types:
                if isinstance(value, kind):
                    return _run(scope, method, arguments, value)
            raise EvaluationError(f"a {type(value).__name__} has no {name}()")

        return run
    known = ", ".join(sorted(FUNCTIONS))
    raise Refused(f"{_short(ast.unparse(node))}: this call is not allowed in a loaded document; there are: {known}")


def _run(scope: Scope, function: Callable[..., Any], arguments: list[Code], *first: Any) -> Any:
    scope.spend(1)
    try:
        return function(scope, *first, *(argument(scope) for argument in arguments))
    except (TypeError, AttributeError) as error:
        raise EvaluationError(str(error)) from None


class _Inner:
    """The scope of a comprehension: that around it, and the variables of its loops."""

    def __init__(self, outer: Scope) -> None:
        self.data = dict(outer.data)
        self.system = outer.system
        self.in_state = outer.in_state
        self.spend = outer.spend


def _comprehension(node: ast.ListComp | ast.GeneratorExp, depth: int) -> Code:
    loops = []
    for loop in node.generators:
        names = [loop.target] if isinstance(loop.target, ast.Name) else getattr(loop.target, "elts", [loop.target])
        if loop.is_async or not all(isinstance(name, ast.Name) and not name.id.startswith("_") for name in names):
            raise Refused(f"{_short(ast.unparse(node))}: this loop is not allowed in a loaded document")
        single = isinstance(loop.target, ast.Name)
        conditions = [compile_node(test, depth) for test in loop.ifs]
        loops.append(([name.id for name in names], single, compile_node(loop.iter, depth), conditions))
    result = compile_node(node.elt, depth)

    def turns(scope: Scope, level: int) -> Iterator[None]:
        if level == len(loops):
            yield
            return
        names, single, items, conditions = loops[level]
        for item in items_of(scope, items(scope)):
            scope.spend(1)
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


def compile_place(source: str) -> tuple[str, list[Code]]:
    """Turn a location into the name of a variable and the keys that lead into it.

    Raises:
        EvaluationError: it is no location.
    """
    keys: list[Code] = []
    node = parse_python(source)
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute):
            name = check_name(node.attr)
            keys.append(lambda _scope, name=name: name)  # type: ignore[misc]
        elif isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice):
            keys.append(compile_node(node.slice))
        else:
            raise EvaluationError(f"{_short(source)} is no location")
        node = node.value
    return check_name(node.id), keys[::-1]


def literal(source: str) -> Any:
    """Evaluate what is written out: no variables, no events.

    Raises:
        EvaluationError: it is no literal.
    """
    scope: Any = Constants()
    return copy(scope, compile_python(source)(scope))


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _name(node: ast.AST) -> str:
    return {ast.NamedExpr: ":=", ast.Starred: "*", ast.DictComp: "a dict comprehension"}.get(
        type(node), type(node).__name__.lower()
    )
