"""Arguments: the events that calls of `publish` are given by names: parameters, loops over them, functions' results."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import typing
from collections.abc import Iterable, Iterator
from functools import partial
from types import FunctionType
from typing import Any, Final

import msgspec

from actorflow.events.topology.names import Look, is_event, named

COPIES: Final = (dataclasses.replace, msgspec.structs.replace)  # return an event of the class of their first argument


def events_given(body: ast.AST, calls: Iterable[ast.Call], look: Look) -> Iterator[type[Any]]:
    """Yield the classes of the events that calls within a function are given as their first argument.

    Args:
        body: the function, or the statement around the calls.
        calls: those of `publish`.
        look: finds the object that an expression names.
    """
    typed = typed_names(body, look)
    for call in calls:
        if call.args:
            yield from events_of(call.args[0], typed, look)


def events_of(given: ast.expr, typed: dict[str, list[type[Any]]], look: Look) -> Iterator[type[Any]]:
    """Yield the classes of the events that an expression may be, as far as annotations say."""
    to_do = [given]
    while to_do:
        one = to_do.pop()
        if isinstance(one, ast.Name):
            yield from typed.get(one.id, ())
        elif isinstance(one, ast.IfExp):
            to_do += [one.orelse, one.body]
        elif isinstance(one, ast.BoolOp):
            to_do += one.values
        elif isinstance(one, ast.NamedExpr | ast.Await):
            to_do.append(one.value)
        elif isinstance(one, ast.Call):
            function = look(one.func)
            if any(function is copy for copy in COPIES):
                to_do += one.args[:1]
            elif isinstance(function, FunctionType):
                yield from events_named(function.__annotations__.get("return"), look_in(function))


def typed_names(body: ast.AST, look: Look) -> dict[str, list[type[Any]]]:
    """Return the names of a function that annotations make events: parameters, variables, and loops over those."""
    found: dict[str, list[type[Any]]] = {}
    loops: list[tuple[ast.expr, ast.expr]] = []
    for node in ast.walk(body):
        if isinstance(node, ast.arg):
            found.setdefault(node.arg, []).extend(events_named(node.annotation, look))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.setdefault(node.target.id, []).extend(events_named(node.annotation, look))
        elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            loops.append((node.target, node.iter))
    for target, over in loops:
        if isinstance(target, ast.Name):
            names = (node.id for node in ast.walk(over) if isinstance(node, ast.Name))
            found.setdefault(target.id, []).extend(cls for name in names for cls in found.get(name, ()))
    return found


def events_named(annotation: object, look: Look) -> Iterator[type[Any]]:
    """Yield the classes of events in an annotation: an expression of the source, its text, or the object."""
    if isinstance(annotation, str):
        try:
            annotation = ast.parse(annotation, mode="eval").body
        except (SyntaxError, ValueError, RecursionError):
            return
    if not isinstance(annotation, ast.AST):
        yield from (cls for cls in (annotation, typing.get_origin(annotation)) if is_event(cls))
        for part in typing.get_args(annotation):
            yield from events_named(part, look)
        return
    for node in ast.walk(annotation):
        if isinstance(node, ast.Name | ast.Attribute):
            cls = look(node)
            if is_event(cls):
                yield cls
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from events_named(node.value, look)


def look_in(function: FunctionType) -> Look:
    """Return the function that finds the objects of names in the annotations of a function."""
    return partial(named, names=inspect.unwrap(function).__globals__)
