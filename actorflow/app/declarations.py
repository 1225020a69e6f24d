"""Declarations: the parts that an App was given, its tasks, its queues with schedules, and its classes of data."""

from __future__ import annotations

from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from actorflow.core.actors.actor import Actor
from actorflow.core.actors.child import Child, child
from actorflow.errors import ActorflowError, DefinitionError, PayloadError
from actorflow.text import reason_of, text_of

if TYPE_CHECKING:
    from actorflow.app.system import ActorSystem
    from actorflow.queues.declared import DeclaredQueue
    from actorflow.tasks.task import AnyTask
    from actorflow.workflows.workflow import AnyWorkflow

SHOWN = 5  # imported tasks that an error names
KINDS = (
    "an app takes actor classes and af.child(...) recipes, functions under @af.task or @af.workflow, "
    "af.queue(...), and classes of "
    "data that its jobs and messages carry"
)


class Declarations:
    """The declarations of one App, in the order in which they were added; a bad one is refused as it is added."""

    def __init__(self, app: str) -> None:
        self.app = app
        self.parts: list[Child[Any]] = []
        self.tasks: dict[str, AnyTask] = {}
        self.queues: dict[str, DeclaredQueue] = {}
        self.workflows: dict[str, AnyWorkflow] = {}

    def add(self, given: Any) -> None:
        """Add one declaration, of whatever kind.

        Raises:
            DefinitionError: it is of no kind that an app takes, or its name is taken.
        """
        if isinstance(given, Child):
            self._add_part(given)
        elif isinstance(given, type) and issubclass(given, Actor):
            self._add_part(child(given))
        elif isinstance(given, type):
            add_class(given)
        else:
            self._add_of_queues(given)

    def _add_part(self, part: Child[Any]) -> None:
        name = part.traits.options.name
        if name is not None and any(name == other.traits.options.name for other in self.parts):
            msg = f"app {self.app!r} has two parts named {name!r}: give one of them another name, .options(name=...)"
            raise DefinitionError(msg)
        self.parts.append(part)

    def _add_of_queues(self, given: Any) -> None:
        from actorflow.queues.declared import DeclaredQueue  # noqa: PLC0415 - most apps have no queue
        from actorflow.queues.queue import Queue  # noqa: PLC0415 - as above
        from actorflow.tasks.task import AnyTask  # noqa: PLC0415 - as above
        from actorflow.workflows.workflow import AnyWorkflow  # noqa: PLC0415 - as above

        if hasattr(type(given), "as_workflow"):
            if not given.durable:
                cure = "start it, system.start(dag), or have it outlive its process, af.Dag(..., durable=True)"
                raise DefinitionError(
                    f"add({text_of(given)}): its runs are in memory, so there is nothing to add: {cure}"
                )
            given = given.as_workflow()
        if isinstance(given, AnyWorkflow):
            if given.name in self.workflows:
                raise DefinitionError(f"app {self.app!r} has workflow {given.name!r} already: add it once")
            self.workflows[given.name] = given
        elif isinstance(given, AnyTask):
            if given.name in self.tasks:
                raise DefinitionError(f"app {self.app!r} has task {given.name!r} already: add it once")
            self.tasks[given.name] = given
        elif isinstance(given, DeclaredQueue):
            if given.name in self.queues:
                raise DefinitionError(f"app {self.app!r} has queue {given.name!r} already: declare it once")
            self.queues[given.name] = given
        elif isinstance(given, Queue):
            msg = f"it is a queue of a running system: declare it, af.queue({given.name!r}, workers=...)"
            raise DefinitionError(f"add({text_of(given)}): {msg}")
        elif isinstance(given, FunctionType | MethodType):
            raise DefinitionError(
                f"add({given.__qualname__}): it is a plain function; put @af.task or @af.workflow above it"
            )
        else:
            raise DefinitionError(f"add({text_of(given)}): {KINDS}")

    def check(self) -> None:
        """Refuse queues with workers that lack tasks.

        Raises:
            DefinitionError: a queue has workers, and no task was added; or a schedule of it has a task that was not.
        """
        for queue in self.queues.values():
            if not queue.options["workers"]:
                continue
            missing = sorted({schedule.task.name for schedule in queue.schedules.values()} - set(self.tasks))
            if missing or not self.tasks:
                raise DefinitionError(
                    f"queue {queue.name!r} has workers, but app {self.app!r} runs only the tasks that it was given: "
                    f"app.add({', '.join(missing) or self._imported()})"
                )

    def _imported(self) -> str:
        from actorflow.tasks.task import TASKS  # noqa: PLC0415 - most apps have no queue

        names = [task.function.__name__ for task in TASKS.values()]
        return ", ".join([*names[:SHOWN], "..."][: len(names) or 1])

    def open(self, system: ActorSystem) -> None:
        """Start the parts, in order, open the queues, whose jobs may use the parts, and go on with runs.

        Raises:
            ActorflowError: a part could not start; the error names it and its cause.
        """
        for part in self.parts:
            self._spawn(system, part)
        for queue in self.queues.values():
            queue.open(system)
        if self.workflows:
            from actorflow.workflows.opening import node_of  # noqa: PLC0415 - most apps have no workflow

            node_of(system)

    def _spawn(self, system: ActorSystem, part: Child[Any]) -> None:
        try:
            system.spawn(part if part.traits.options.restart else part.options(restart="permanent"))
        except DefinitionError:
            raise
        except Exception as error:
            name = part.traits.options.name or part.actor_class.__name__
            text = f"{self.app}: part {name} ({part.actor_class.__name__}) cannot start: {reason_of(error)}"
            raise ActorflowError(text) from error


def add_class(kind: type) -> None:
    """Have stored values of a class read, wherever its name leads.

    Raises:
        DefinitionError: it is no class of data, or another one has its name.
    """
    from actorflow.store.classes import DECLARED, find_imported, holds_data  # noqa: PLC0415 - it needs msgspec
    from actorflow.store.codec import name_of  # noqa: PLC0415 - as above

    if not holds_data(kind):
        msg = f"add({kind.__qualname__}): it is neither an actor nor a dataclass, Struct, NamedTuple or Enum; {KINDS}"
        raise DefinitionError(msg)
    try:
        name = name_of(kind)
    except PayloadError as error:
        raise DefinitionError(f"add({kind.__qualname__}): {error}") from error
    other = find_imported(name)
    if other is not None and other is not kind:
        raise DefinitionError(f"add({kind.__qualname__}): another class is stored as {name}: rename one of them")
    DECLARED[name] = kind
