"""Costs: the virtual time that handlers and tasks take, as a simulation declares it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.actors.actor import Actor
from actorflow.errors import DefinitionError
from actorflow.sim.world.link import is_number
from actorflow.tasks.task import AnyTask
from actorflow.text import reason_of, stable_text

if TYPE_CHECKING:
    from actorflow.sim.choices.chooser import Chooser
    from actorflow.sim.load.distributions import Cost

DRAWS: Final = 1 << 30  # a choice among so many is the seed of one draw
HOOKS: Final = frozenset({"on_start", "on_stop", "on_failure", "__init__"})


class DeclaredCost:
    """The cost of one handler, task or class.

    Attributes:
        name: of the handler, in texts and on the tape.
        is_taken: it was paid in this run.
    """

    __slots__ = ("_cost", "_draw", "_source", "is_taken", "name")

    def __init__(self, name: str, cost: Cost) -> None:
        self.name = name
        self.is_taken = False
        self._cost = cost
        self._source = f"cost {name}"
        self._draw = random.Random(0)

    def seconds(self, chooser: Chooser, cause: int | None, words: Callable[[], str]) -> float:
        """Return the virtual seconds of one message.

        Each draw has random numbers of its own, whose seed is a choice of the run: an event that is left out of it
        shifts no other's.

        Args:
            chooser: makes the choices of the run.
            cause: the client event that the message comes of, if that is known.
            words: tells the message from others, if it is not.

        Raises:
            DefinitionError: the distribution gives no seconds.
        """
        self.is_taken = True
        cost = self._cost
        if not callable(cost):
            return cost
        source = f"{self._source}{words()}" if cause is None else self._source
        self._draw.seed(chooser.choose(source, DRAWS, cause))
        try:
            seconds = cost(self._draw)
        except BaseException as error:  # a SystemExit, too: it is the run's, and no thread's
            raise DefinitionError(f"the cost of {self.name} raised {reason_of(error)}") from error
        if not is_number(seconds) or not 0 <= seconds < math.inf:
            raise DefinitionError(f"the cost of {self.name} was {stable_text(seconds)}: it is to be virtual seconds")
        return seconds


class Costs:
    """All costs of a simulation."""

    def __init__(self) -> None:
        self._by_function: dict[Any, DeclaredCost] = {}
        self._by_class: dict[type[Any], DeclaredCost] = {}
        self._by_task: dict[str, DeclaredCost] = {}
        self._known: dict[tuple[type[Any], str], DeclaredCost | None] = {}

    @property
    def all(self) -> list[DeclaredCost]:
        """Those that were declared."""
        return [*self._by_function.values(), *self._by_class.values(), *self._by_task.values()]

    def declare(self, target: object, cost: Cost) -> None:
        """Declare the cost of a handler, a task, or all messages of a class.

        Raises:
            DefinitionError: the target is none of these, or has a cost; or the cost makes no sense.
        """
        if not callable(cost) and not (is_number(cost) and 0 <= cost < math.inf):
            raise DefinitionError(
                f"cost({stable_text(target)}, {stable_text(cost)}): give virtual seconds, or a distribution"
            )
        table: dict[Any, DeclaredCost]
        key: Any = target
        if isinstance(target, AnyTask):
            table, key, name = self._by_task, target.name, target.name
        elif isinstance(target, type):
            if not issubclass(target, Actor):
                raise DefinitionError(f"cost({stable_text(target)}): the class is no actor's")
            table, name = self._by_class, short_name(target)
        elif isinstance(target, Callable) and is_method(target):  # type: ignore[arg-type]
            table, name = self._by_function, short_name(target)
            if name.rpartition(".")[2] in HOOKS:
                raise DefinitionError(f"cost({name}): a hook costs nothing; give the cost to the handlers")
        else:
            raise DefinitionError(f"cost({stable_text(target)}): give a method of an actor, an actor class, or a task")
        if key in table:
            raise DefinitionError(f"cost({name}): it has one already")
        table[key] = DeclaredCost(name, cost)
        self._known.clear()

    def of(self, cls: type[Any], name: str) -> DeclaredCost | None:
        """Return the cost of a method of an actor: its own, or that of its class; None: it costs nothing."""
        key = cls, name
        try:
            return self._known[key]
        except KeyError:
            found = self._known[key] = self._find(cls, name)
            return found

    def of_task(self, task: AnyTask) -> DeclaredCost | None:
        """Return the cost of a task; None: it costs nothing."""
        return self._by_task.get(task.name)

    def _find(self, cls: type[Any], name: str) -> DeclaredCost | None:
        function = getattr(cls, name, None)
        for declared, cost in self._by_function.items():
            if declared is function:
                return cost
        return next((self._by_class[base] for base in cls.__mro__ if base in self._by_class), None)


def is_method(target: object) -> bool:
    """Say whether a function is in a class, by its name."""
    return "." in getattr(target, "__qualname__", "").rpartition("<locals>.")[2]


def short_name(target: Any) -> str:
    """Return the name of a class or a method in texts: without the function that defines it."""
    name: str = target.__qualname__.rpartition("<locals>.")[2]
    return name
