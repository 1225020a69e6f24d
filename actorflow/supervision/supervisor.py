"""Supervisor: an actor that only starts, watches and restarts its children."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, cast

from actorflow.core.actors.actor import Actor
from actorflow.core.actors.child import Child
from actorflow.core.actors.traits import ClassKeywords, check_choice, check_intensity
from actorflow.core.futures.future import Future, patient
from actorflow.core.refs.cell import CHANGING
from actorflow.core.running.system_task import start_procedure
from actorflow.errors import DefinitionError
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.supervision.restarts import Strategy, SupervisedChildren

A = TypeVar("A", bound=Actor)


@dataclass(frozen=True, slots=True)
class ChildState:
    """One row of `which_children`: `ref` is None for a child that was terminated and can be restarted by name."""

    name: str
    ref: ActorRef[Any] | None
    actor_class: type[Actor]
    restart: str
    status: Literal["running", "restarting", "terminated"]


class Supervisor(Actor):
    """Starts its children left to right, restarts them by its strategy, and stops them right to left.

    The rules are those of Erlang/OTP's `supervisor`. Children are `permanent` unless their options say otherwise. More
    than `intensity` restarts in `period` seconds, and it gives up: it stops its children and ends with
    RestartLimitReached, which is a crash to its own parent; directly under the system it ends the system.

    >>> import actorflow as af
    >>> class Worker(af.Actor):
    ...     def work(self, n: int) -> float:
    ...         return 1 / n
    >>> with af.ActorSystem("demo") as system:
    ...     top = system.spawn(af.child(af.Supervisor, af.child(Worker).options(name="w")).options(name="top"))
    ...     worker = system.find("/demo/top/w", Worker)
    ...     worker.cast(Worker.work, 0)  # crashes, and is restarted
    ...     worker.call(Worker.work, 4).get(timeout=1)  # the ref stays valid
    0.25
    """

    def __init_subclass__(
        cls, *, intensity: int | None = None, period: float | None = None, **options: Unpack[ClassKeywords]
    ) -> None:
        super().__init_subclass__(intensity=intensity, period=period, **options)
        if not inspect.iscoroutinefunction(cls.on_start):
            msg = f"{cls.__name__}.on_start: make it `async def`, and await super().on_start(), which starts children"
            raise DefinitionError(msg)

    def __init__(
        self,
        *children: Child[Any],
        strategy: Strategy = "one_for_one",
        intensity: int | None = None,
        period: float | None = None,
    ) -> None:
        """Describe a supervisor; its children are started by `on_start`.

        Args:
            children: recipes made by `af.child`, in start order.
            strategy: the children restarted with a crashed one: "one_for_one" none, "one_for_all" all,
                "rest_for_one" those that were started after it.
            intensity: restarts within `period` that are still fine; 1, or the class's keyword.
            period: seconds; 5, or the class's keyword.

        Raises:
            DefinitionError: a child is no recipe, or the rules make no sense.
        """
        super().__init__()
        for recipe in children:
            if not isinstance(recipe, Child):
                msg = f"a supervisor's children are made by af.child(Class, ...), not {text_of(recipe)}"
                raise DefinitionError(msg)
        check_choice("strategy", strategy, ("one_for_one", "one_for_all", "rest_for_one"))
        intensity = self._restart_intensity if intensity is None else intensity
        period = self._restart_period if period is None else period
        check_intensity(intensity, period)
        self._recipes = children
        self._rules = (strategy, intensity, period)

    async def on_start(self) -> None:  # type: ignore[override]
        """Start the children, left to right; if one cannot start, the supervisor cannot either."""
        strategy, intensity, period = self._rules
        members = self._members
        members.configure(strategy=strategy, intensity=intensity, period=period, default_restart="permanent")
        for recipe in self._recipes:
            try:
                await members.start_child(recipe)
            except Exception as error:
                name = recipe.traits.options.name or recipe.actor_class.__name__.lower()
                error.add_note(f"while {self.actor_ref.path} started its child {name!r}, {recipe!r}")
                raise

    @property
    def _members(self) -> SupervisedChildren:
        return cast("SupervisedChildren", self._actor_ref._scheduler.children_of(self._actor_ref))

    async def start_child(self, child: Child[A], /) -> ActorRef[A]:
        """Start one more child, at the right end; gone after the supervisor's own restart, as in OTP."""
        if not isinstance(child, Child):
            msg = f"start_child takes af.child(Class, ...), not {text_of(child)}"
            raise DefinitionError(msg)
        return await self._members.start_child(child)

    async def terminate_child(self, name: str, /) -> None:
        """Stop a child for good, within its shutdown time; `restart_child` can start it again.

        Raises:
            DefinitionError: no child has that name.
        """
        scheduler = self._actor_ref._scheduler
        target = self._members.find(name)
        done: Future[None] = Future() if target is None else patient(target)
        procedure = self._members.terminate_child(name)
        scheduler.post_work(lambda: start_procedure(scheduler, procedure, done))
        await done

    async def restart_child(self, name: str, /) -> ActorRef[Any]:
        """Start a terminated child again; it is a new actor, with a new ref.

        Raises:
            DefinitionError: no terminated child has that name.
        """
        return await self._members.restart_child(name)

    def which_children(self) -> list[ChildState]:
        """List the children in start order, then the terminated ones."""
        members = self._members
        rows = [
            ChildState(
                ref.name,
                ref,
                ref.actor_class,
                members.restart_of(ref._traits),
                "restarting" if ref._state == CHANGING and ref._actor is None else "running",
            )
            for ref in members
        ]
        for name, recipe in members.terminated.items():
            rows.append(ChildState(name, None, recipe.actor_class, members.restart_of(recipe.traits), "terminated"))
        return rows
