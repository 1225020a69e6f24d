"""Call sites: the events that the code of modules publishes and subscribes to by calls, read from its source."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, TypeAlias, TypeGuard

from actorflow.events.event import is_event_class
from actorflow.events.handlers import marked

PUBLISHES: Final = "publish"
SUBSCRIBES: Final = "subscribe"
STARTS: Final = frozenset({"child", "spawn"})
FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)

Look: TypeAlias = Callable[[ast.expr], Any]  # the object that an expression names; None: that cannot be told


@dataclass(slots=True)
class CallSites:
    """The places in the code of modules that publish events, subscribe to them, or start services.

    Attributes:
        published: classes of events, each with the functions that make one and publish.
        heard: classes and patterns of events, each with the functions that subscribe to it.
        started: classes of services.
    """

    published: dict[type[Any], list[str]] = field(default_factory=dict)
    heard: dict[type[Any] | str, list[str]] = field(default_factory=dict)
    started: list[type[Any]] = field(default_factory=list)

    def add(self, module: ModuleType) -> None:
        """Add the places in a module; one without source has none."""
        try:
            tree = ast.parse(inspect.getsource(module))
        except (OSError, TypeError, SyntaxError, ValueError, RecursionError):  # no file, or one that is no Python
            return
        names = dict(vars(module))
        for place, calls in calls_by_place(tree, module.__name__.rpartition(".")[2]):
            self._add_calls(place, calls, lambda expression: named(expression, names))

    def _add_calls(self, place: str, calls: list[ast.Call], look: Look) -> None:
        publishes = any(called_name(call) == PUBLISHES for call in calls)
        for call in calls:
            made = made_by(call, look) if publishes else None
            if made is not None:
                note(self.published, made, place)
            given = call.args[0] if call.args else None
            if given is None:
                continue
            name = called_name(call)
            if name == SUBSCRIBES:
                heard = given.value if isinstance(given, ast.Constant) else look(given)
                if isinstance(heard, str) or is_event(heard):
                    note(self.heard, heard, place)
            elif name in STARTS:
                service = look(given)
                if isinstance(service, type) and marked(service) and service not in self.started:
                    self.started.append(service)


def note(places: dict[Any, list[str]], key: Any, place: str) -> None:
    """Note a place once."""
    known = places.setdefault(key, [])
    if place not in known:
        known.append(place)


def called_name(call: ast.Call) -> str:
    """Return the last name of a function that is called: "publish" of `system.publish(...)`."""
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def made_by(call: ast.Call, look: Look) -> type[Any] | None:
    """Return the class of events of `Placed(...)`, and of `Placed.of(...)`; None: it is another call."""
    function = call.func
    for expression in (function, getattr(function, "value", None)):
        cls = None if expression is None else look(expression)
        if is_event(cls):
            return cls
    return None


def is_event(value: object) -> TypeGuard[type[Any]]:
    """Say whether a value is a class of events; one that cannot be asked is none."""
    try:
        return is_event_class(value)
    except Exception:  # noqa: BLE001 - a class of a metaclass of who knows what
        return False


def named(expression: ast.expr, names: dict[str, Any]) -> Any:
    """Return the object that a name of a module, or a dotted one, stands for; None: that cannot be told."""
    if isinstance(expression, ast.Name):
        return names.get(expression.id)
    if isinstance(expression, ast.Attribute):
        owner = named(expression.value, names)
        if isinstance(owner, ModuleType | type):
            try:
                return getattr(owner, expression.attr, None)
            except Exception:  # noqa: BLE001 - a module that imports late, and cannot
                return None
    return None


def calls_by_place(tree: ast.Module, module: str) -> Iterator[tuple[str, list[ast.Call]]]:
    """Yield the calls of each function of a module, nested ones with the one around them; those outside of any last."""
    outside: list[ast.Call] = []
    to_do: list[tuple[str, Iterable[ast.AST]]] = [("", tree.body)]
    while to_do:
        prefix, nodes = to_do.pop()
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                to_do.append((f"{prefix}{node.name}.", [*node.body, *node.decorator_list]))
            elif isinstance(node, FUNCTIONS):
                yield f"{prefix}{getattr(node, 'name', 'lambda')}", [*calls_in(node)]
            elif isinstance(node, ast.stmt) and hasattr(node, "body"):  # `if`, `with`, `try`: functions may be in it
                to_do.append((prefix, ast.iter_child_nodes(node)))
            else:
                outside += calls_in(node)
    yield module, outside


def calls_in(node: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls within a node."""
    return (one for one in ast.walk(node) if isinstance(one, ast.Call))


def sites_of(modules: Iterable[ModuleType]) -> CallSites:
    """Return the places in modules that publish events, subscribe to them, or start services."""
    sites = CallSites()
    for module in modules:
        sites.add(module)
    return sites
