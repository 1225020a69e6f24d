"""App: the parts of a program and its main, as one value that `actorflow run` and tests can start."""

from __future__ import annotations

import dataclasses
import inspect
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from actorflow.app.overtime import ABANDONED
from actorflow.app.settings import Settings
from actorflow.app.signals import Signalled, Signals
from actorflow.app.system import ActorSystem
from actorflow.core.actors.actor import Actor
from actorflow.core.actors.child import Child, child
from actorflow.errors import ActorDeadError, ActorflowError, DefinitionError
from actorflow.text import reason_of, text_of

if TYPE_CHECKING:
    from actorflow.queues.limits import Limit
    from actorflow.store.transaction import Durability

M = TypeVar("M", bound="Callable[[ActorSystem, Any], int | None]")

CANCELLED = 4  # the exit code
HIGHEST = 255  # a process has no greater exit code


class App:
    """The parts of a program, which `actorflow run module:attribute` starts.

    Its parts are started in order, under the system, and are `restart="permanent"` unless their options say otherwise.

    >>> import actorflow as af
    >>> class Greeter(af.Actor):
    ...     def greet(self, name: str) -> str:
    ...         return f"hello {name}"
    >>> app = af.App("greetings").add(af.child(Greeter).options(name="greeter"))
    >>> @app.main
    ... def main(system: af.ActorSystem, settings: None) -> int:
    ...     greeter = system.find("/greetings/greeter", Greeter)
    ...     print(greeter.call(Greeter.greet, "Ann").get())
    ...     return 0
    >>> app.run()
    hello Ann
    0
    """

    def __init__(
        self,
        name: str,
        *,
        settings: type[Any] | None = None,
        store: str = "memory:",
        durability: Durability = "power",
        system: Settings | None = None,
    ) -> None:
        """Make an app without parts.

        Args:
            name: the name of its system.
            settings: a dataclass whose fields are flags of `actorflow run`; main gets one.
            store: the place of its queues and durable actors, as in `ActorSystem`.
            durability: the failure that a commit outlives: "power" or "process".
            system: the settings of its system, such as the grace time: `af.Settings(grace=30)`.
        """
        if settings is not None and not (isinstance(settings, type) and dataclasses.is_dataclass(settings)):
            raise DefinitionError(f"settings={text_of(settings)}: give a dataclass (the class, not an instance)")
        if system is not None and not isinstance(system, Settings):
            raise DefinitionError(
                f"system={text_of(system)}: give an af.Settings; the app's own settings are settings="
            )
        self.name = name
        self.settings = settings
        self.system = system if system is not None else Settings()
        self.store = store
        self.durability: Durability = durability
        self._parts: list[Child[Any]] = []
        self._queues: list[Callable[[ActorSystem], None]] = []
        self._main: Callable[[ActorSystem, Any], int | None] | None = None
        self.left: float | None = None  # seconds of the grace time after its last run, if something asked for its end

    def __repr__(self) -> str:
        return f"App({self.name!r})"

    @property
    def description(self) -> str:
        """The app's description in the help text: the docstring of its main."""
        return inspect.getdoc(self._main) or "" if self._main else ""

    def add(self, *parts: type[Actor] | Child[Any]) -> Self:
        """Add actor classes and recipes, to be started in this order.

        Raises:
            DefinitionError: a part is neither.
        """
        for part in parts:
            if isinstance(part, Child):
                self._parts.append(part)
            elif isinstance(part, type) and issubclass(part, Actor):
                self._parts.append(child(part))
            else:
                raise DefinitionError(f"add({text_of(part)}): an app takes actor classes and af.child(...) recipes")
        return self

    def queue(
        self,
        name: str,
        *,
        workers: int = 0,
        concurrency: int | None = None,
        rate: str | None = None,
        per_key: Limit | None = None,
        durability: Durability | None = None,
    ) -> Self:
        """Have a queue opened when the parts are up, as `system.queue` does; with `workers`, the app runs its jobs.

        >>> import actorflow as af
        >>> app = af.App("shop", store="sqlite:///shop.db").queue("photos", workers=4)

        Args:
            name: the queue's name; all processes that use it on the store share the queue.
            workers: the number of jobs to run at once in this process; 0 only enqueues.
            concurrency: jobs at once over all processes.
            rate: jobs in a time over all processes, such as "100/m".
            per_key: limits of the jobs of each key.
            durability: "power" or "process", in place of the store's.
        """

        def open_queue(system: ActorSystem) -> None:
            system.queue(
                name, workers=workers, concurrency=concurrency, rate=rate, per_key=per_key, durability=durability
            )

        self._queues.append(open_queue)
        return self

    def main(self, function: M, /) -> M:
        """Decorate the function that is called, as ``main(system, settings)``, when the parts are up.

        Its result is the exit code, 0 if it returns nothing, and its end ends the app. An app without a main stays
        until a signal comes.

        Raises:
            DefinitionError: it is no plain function, or the app has a main already.
        """
        if not callable(function) or is_lazy(function):
            msg = (
                f"main={text_of(function)}: give a plain function of (system, settings); async code runs in it by "
                "asyncio.run(...)"
            )
            raise DefinitionError(msg)
        if self._main is not None:
            raise DefinitionError(f"{self!r} has a main already: {name_of(self._main)}")
        self._main = function
        return function

    def start(self) -> ActorSystem:
        """Start a system with the app's parts, without its main; end it with `stop`, or use it in a `with` statement.

        Raises:
            ActorflowError: a part could not start; the error names it and its cause. Nothing is left running.
        """
        system = self._open()
        try:
            self._start_parts(system)
        except BaseException:
            system.stop()
            raise
        return system

    def run(self, settings: Any = None) -> int:
        """Start the parts, call main, drain, and return the exit code; blocks until then.

        In the main thread the first SIGINT or SIGTERM ends main and drains, a second one ends the process at once.
        SIGHUP ends nothing.

        Returns:
            The result of main, if that is not 0; else 0 after a clean drain, 3 if handlers were abandoned that did not
            end within the grace time, and 4 if all ended, but some were cut short by the end of the grace time.

        Raises:
            DefinitionError: settings that do not fit.
            ActorflowError: a part could not start, or a supervisor gave up.
        """
        settings = self._checked(settings)
        with Signals() as signals, self._open() as system:
            signals.drain(system)
            try:
                self._start_parts(system)
            except ActorflowError:
                if not signals.came:
                    raise
            code = self._main_code(system, settings, signals)
        ended = drain_code(system)
        self.left = 0.0 if ended == ABANDONED else signals.overtime.left()
        return code or ended

    def _open(self) -> ActorSystem:
        return ActorSystem(self.name, store=self.store, durability=self.durability, settings=self.system)

    def _start_parts(self, system: ActorSystem) -> None:
        for part in self._parts:
            self._spawn(system, part)
        for open_queue in self._queues:  # whose jobs may use the parts
            open_queue(system)

    def _main_code(self, system: ActorSystem, settings: Any, signals: Signals) -> int:
        """Call main, which a signal may end, and return its exit code."""
        if self._main is None:
            signals.overtime.left_main()
            system.ended.get()
            return 0
        try:
            try:
                signals.raises = True
                return 0 if signals.came else self._call_main(self._main, system, settings)
            finally:
                signals.raises = False
        except Signalled:
            return 0
        finally:
            signals.overtime.left_main()
            left = signals.overtime.left()
            if left is not None:
                system.begin_stop(left)

    def _call_main(self, main: Callable[[ActorSystem, Any], int | None], system: ActorSystem, settings: Any) -> int:
        try:
            code = main(system, settings)
        except ActorDeadError as error:
            if system.error is None:
                raise
            raise system.error from error  # main only felt the failure of a supervisor
        if code is not None and (not isinstance(code, int) or isinstance(code, bool) or not 0 <= code <= HIGHEST):
            raise DefinitionError(f"{name_of(main)} returned {text_of(code)}; an exit code is a number from 0 to 255")
        return code or 0

    def _spawn(self, system: ActorSystem, part: Child[Any]) -> None:
        try:
            system.spawn(part if part.traits.options.restart else part.options(restart="permanent"))
        except DefinitionError:
            raise
        except Exception as error:
            name = part.traits.options.name or part.actor_class.__name__
            text = f"{self.name}: part {name} ({part.actor_class.__name__}) cannot start: {reason_of(error)}"
            raise ActorflowError(text) from error

    def _checked(self, settings: Any) -> Any:
        if self.settings is None:
            if settings is not None:
                raise DefinitionError(f"{self!r} takes no settings; name their dataclass: App(..., settings=...)")
            return None
        if settings is None:
            needed = [
                field.name
                for field in dataclasses.fields(self.settings)
                if field.init and field.default is field.default_factory is dataclasses.MISSING
            ]
            if needed:
                raise DefinitionError(f"{self!r} needs settings: {', '.join(needed)} have no default")
            return self.settings()
        if not isinstance(settings, self.settings):
            raise DefinitionError(f"settings={text_of(settings)}: {self!r} takes a {self.settings.__name__}")
        return settings


def place_of(error: BaseException) -> Literal["main", "end of main", "elsewhere"]:
    """Say whether an error came out of an app's main, or is about how it ended, or came from a part or the system."""
    frames = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    call = App._call_main.__code__
    return "elsewhere" if call not in frames else "end of main" if frames[-1] is call else "main"


def is_lazy(function: Any) -> bool:
    """Say whether a call of a function only makes something that is yet to run."""
    kinds = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    return any(is_kind(function) for is_kind in kinds)


def name_of(function: Any) -> str:
    """Return a function's name; other things that can be called have none."""
    return str(getattr(function, "__qualname__", None) or text_of(function))


def drain_code(system: ActorSystem) -> int:
    """Return the exit code that says how a system has drained."""
    drain = system.scheduler.drain
    if drain is None or not (drain.abandoned or drain.was_cut):
        return 0
    return ABANDONED if drain.abandoned else CANCELLED
