"""Names: the objects that names in source stand for, without running it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias, TypeGuard

from actorflow.events.event import is_event_class
from actorflow.events.handlers import marked

Look: TypeAlias = Callable[[ast.expr], Any]  # the object that an expression names; None: that cannot be told


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


def is_service(value: object) -> TypeGuard[type[Any]]:
    """Say whether a value is a class of services, or another one that has handlers of events."""
    if not isinstance(value, type):
        return False
    return bool(marked(value)) or (getattr(value, "_is_service", False) is True and "_is_service" not in vars(value))


def is_event(value: object) -> TypeGuard[type[Any]]:
    """Say whether a value is a class of events; one that cannot be asked is none."""
    try:
        return is_event_class(value)
    except Exception:  # noqa: BLE001 - a class of a metaclass of who knows what
        return False
