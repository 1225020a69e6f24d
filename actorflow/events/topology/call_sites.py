"""Call sites: the events that the code of modules publishes and subscribes to by calls, read from its source."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any, Final, NamedTuple

from actorflow.events.topology.arguments import events_given
from actorflow.events.topology.names import Look, is_event, is_service, named

PUBLISHES: Final = "publish"
SUBSCRIBES: Final = "subscribe"
STARTS: Final = frozenset({"child", "spawn"})
FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class CodePlace(NamedTuple):
    """A function in the code of a module.

    Attributes:
        module: the name of the module.
        name: of the function, behind those of the classes around it; of calls outside of functions, of the module.
    """

    module: str
    name: str

    def __str__(self) -> str:
        """Return the name of the function."""
        return self.name


@dataclass(slots=True)
class CallSites:
    """The places in the code of modules that publish events, subscribe to them, or start services.

    Attributes:
        published: classes of events, each with the functions that publish it.
        heard: classes and patterns of events, each with the functions that subscribe to it.
        started: classes of services.
        used: methods, each with the names of the attributes of `self` that it uses, such as other methods.
    """

    published: dict[type[Any], list[CodePlace]] = field(default_factory=dict)
    heard: dict[type[Any] | str, list[CodePlace]] = field(default_factory=dict)
    started: list[type[Any]] = field(default_factory=list)
    used: dict[CodePlace, set[str]] = field(default_factory=dict)

    def add(self, module: ModuleType) -> None:
        """Add the places in a module; one without source has none."""
        try:
            tree = ast.parse(inspect.getsource(module))
        except (OSError, TypeError, SyntaxError, ValueError, RecursionError):  # no file, or one that is no Python
            return
        names = dict(vars(module))
        for name, node, calls in calls_by_place(tree, module.__name__.rpartition(".")[2]):
            place = CodePlace(module.__name__, name)
            look = partial(named, names=self_of(name, names))
            if "." in name:
                self.used[place] = uses_of_self(node)
            self._add_calls(place, calls, look)
            publishing = [call for call in calls if called_name(call) == PUBLISHES]
            for cls in events_given(node, publishing, look) if publishing else ():
                note(self.published, cls, place)

    def _add_calls(self, place: CodePlace, calls: list[ast.Call], look: Look) -> None:
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
                if is_service(service) and service not in self.started:
                    self.started.append(service)


def note(places: dict[Any, list[CodePlace]], key: Any, place: CodePlace) -> None:
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


def self_of(place: str, names: dict[str, Any]) -> dict[str, Any]:
    """Return the names that a place sees: those of its module, and in a method its class as `self`."""
    owner: Any = names.get(place.partition(".")[0])
    for part in place.split(".")[1:-1]:
        owner = getattr(owner, part, None) if isinstance(owner, type) else None
    return {**names, "self": owner} if "." in place and isinstance(owner, type) else names


def uses_of_self(node: ast.AST) -> set[str]:
    """Return the names of the attributes of `self` that a method uses."""
    attributes = (one for one in ast.walk(node) if isinstance(one, ast.Attribute))
    return {one.attr for one in attributes if isinstance(one.value, ast.Name) and one.value.id == "self"}


def calls_by_place(tree: ast.Module, module: str) -> Iterator[tuple[str, ast.AST, list[ast.Call]]]:
    """Yield the calls of each function of a module, nested ones with the one around them; those outside of any last."""
    outside: list[ast.Call] = []
    to_do: list[tuple[str, Iterable[ast.AST]]] = [("", tree.body)]
    while to_do:
        prefix, nodes = to_do.pop()
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                to_do.append((f"{prefix}{node.name}.", [*node.body, *node.decorator_list]))
            elif isinstance(node, FUNCTIONS):
                yield f"{prefix}{getattr(node, 'name', 'lambda')}", node, [*calls_in(node)]
            elif isinstance(node, ast.stmt) and hasattr(node, "body"):  # `if`, `with`, `try`: functions may be in it
                to_do.append((prefix, ast.iter_child_nodes(node)))
            else:
                outside += calls_in(node)
    yield module, ast.Module([ast.Expr(call) for call in outside], []), outside


def calls_in(node: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls within a node."""
    return (one for one in ast.walk(node) if isinstance(one, ast.Call))


def sites_of(modules: Iterable[ModuleType]) -> CallSites:
    """Return the places in modules that publish events, subscribe to them, or start services."""
    sites = CallSites()
    for module in modules:
        sites.add(module)
    return sites
