"""Named: objects of modules that a scenario names as `module:name`."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from actorflow.app.loading import find
from actorflow.errors import DefinitionError
from actorflow.sim.scenario.options import refused
from actorflow.tasks.task import AnyTask
from actorflow.text import plural, stable_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.sim.scenario.lines import TablePlace


def named(place: TablePlace, key: str, target: Any, *, is_task: bool = False) -> Callable[..., Any]:
    """Import a function, a task or a class.

    Args:
        place: of the table.
        key: that names it.
        target: `module:name`, also `module:Class.method`.
        is_task: a task may be named, too.

    Raises:
        DefinitionError: there is none.
    """
    module, colon, path = target.partition(":") if isinstance(target, str) else ("", "", "")
    if not colon:
        raise refused(place, key, f"{key} = {stable_text(target)}: give a function as 'module:name'")
    first, *inner = path.split(".")
    noun, wanted = ("task", "a function or a task") if is_task else ("function", "a function")

    def usable(value: Any) -> Any:
        fits = callable(value) and (is_task or not isinstance(value, AnyTask))
        return value if fits or inner else None

    try:
        found: Any = find(f"{module}:{first}", usable, noun, wanted, "shop.checks:charged_once")
    except DefinitionError as error:
        raise refused(place, key, str(error)) from error
    for name in inner:
        if not hasattr(found, name):
            raise refused(place, key, f"{module}:{first} has no {name!r}")
        found = getattr(found, name)
    return found  # type: ignore[no-any-return]


def takes(function: Callable[..., Any], most: int) -> int:
    """Return how many positional arguments, up to some, a function takes.

    Raises:
        DefinitionError: it needs more.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return 0
    for count in range(most, -1, -1):
        try:
            signature.bind(*[None] * count)
        except TypeError:
            continue
        return count
    name = getattr(function, "__qualname__", None) or stable_text(function)
    raise DefinitionError(f"{name} needs more than {plural(most, 'argument')}")
