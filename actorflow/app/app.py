"""App: the parts of a program and its main, as one value that `actorflow run` and tests can start."""

from __future__ import annotations

import dataclasses
import inspect
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack, overload

from actorflow.app.declarations import Declarations
from actorflow.app.given_store import check_durability, check_store
from actorflow.app.overtime import ABANDONED
from actorflow.app.settings import Settings
from actorflow.app.signals import Signalled, Signals
from actorflow.app.system import ActorSystem, check_name, check_scheduler
from actorflow.errors import ActorDeadError, ActorflowError, DefinitionError
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.app.virtual import VirtualSystem
    from actorflow.core.actors.child import Child
    from actorflow.core.drivers.virtual import VirtualScheduler
    from actorflow.core.running.scheduler import Scheduler
    from actorflow.queues.declared import DeclaredQueue, QueueKeywords
    from actorflow.store.store import Store
    from actorflow.store.transaction import Durability
    from actorflow.tasks.task import AnyTask
    from actorflow.workflows.workflow import AnyWorkflow

S = TypeVar("S", bound=ActorSystem)
V = TypeVar("V", bound="VirtualSystem")
M = TypeVar("M", bound="Callable[[ActorSystem, Any], int | None]")
F = TypeVar("F", bound="Callable[[Any, Any], object]")

CANCELLED = 4  # the exit code
HIGHEST = 255  # a process has no greater exit code


class App:
    """The parts of a program, which `actorflow run module:attribute` starts.

    Its parts are started in order, under the system, and are `restart="permanent"` unless their options say otherwise.
    Of tasks, its queues run those alone that were added to it.

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
        store: str | Store = "memory:",
        durability: Durability | None = None,
        system: Settings | None = None,
    ) -> None:
        """Make an app without parts.

        Args:
            name: the name of its system.
            settings: a dataclass whose fields are flags of `actorflow run`; main gets one.
            store: the place of its queues and durable actors, as in `ActorSystem`: a URL, or a store that is open.
            durability: the failure that a commit outlives: "power" (the default) or "process".
            system: the settings of its system, such as the grace time: `af.Settings(grace=30)`.

        Raises:
            DefinitionError: an argument makes no sense.
        """
        if settings is not None and not (isinstance(settings, type) and dataclasses.is_dataclass(settings)):
            raise DefinitionError(f"settings={text_of(settings)}: give a dataclass (the class, not an instance)")
        if system is not None and not isinstance(system, Settings):
            raise DefinitionError(
                f"system={text_of(system)}: give an af.Settings; the app's own settings are settings="
            )
        check_name(name)
        check_store(store)
        check_durability(durability)
        self.name = name
        self.settings = settings
        self.system_settings = system if system is not None else Settings()
        self.store = store
        self.durability: Durability | None = durability or ("power" if isinstance(store, str) else None)
        self._declared = Declarations(name)
        self._main: Callable[[ActorSystem, Any], int | None] | None = None
        self.scenario_function: Callable[[Any, Any], object] | None = None
        self.left: float | None = None  # seconds of the grace time after its last run, if something asked for its end

    def __repr__(self) -> str:
        return f"App({self.name!r})"

    @property
    def description(self) -> str:
        """The app's description in the help text: the docstring of its main."""
        return inspect.getdoc(self._main) or "" if self._main else ""

    def add(self, *declarations: type[Any] | Child[Any] | AnyTask | AnyWorkflow | DeclaredQueue) -> Self:
        """Add declarations to the app, which runs nothing that it was not given.

        - Actor classes and `af.child(...)` recipes are its parts, started in this order.
        - Tasks: workers of its queues run the jobs of these, and of no others, though they may be imported.
        - Workflows: it runs these, and no others; their steps run in its process, though their tasks were not added.
        - `af.queue(...)`: queues, with their schedules, opened when the parts are up.
        - Classes of data that jobs and messages carry: dataclasses, Structs, NamedTuples and Enums. Those of imported
          modules are found without.

        Raises:
            DefinitionError: it is none of these, or its name is taken.
        """
        for declaration in declarations:
            self._declared.add(declaration)
        return self

    def queue(self, name: str, **options: Unpack[QueueKeywords]) -> Self:
        """Add a queue: short for `add(af.queue(name, ...))`. With `workers`, it runs jobs of the tasks added.

        >>> import actorflow as af
        >>> @af.task
        ... def shrink(photo: str) -> None: ...
        >>> app = af.App("shop", store="sqlite:///shop.db").add(shrink).queue("photos", workers=4)

        Raises:
            DefinitionError: an argument makes no sense, or the app has the queue already.
        """
        from actorflow.queues.declared import queue  # noqa: PLC0415 - most apps have no queue

        return self.add(queue(name, **options))

    def main(self, function: M, /) -> M:
        """Decorate the function that is called, as ``main(system, settings)``, when the parts are up.

        Its result is the exit code, 0 if it returns nothing, and its end ends the app. An app without a main stays
        until a signal comes.

        Raises:
            DefinitionError: it is no plain function of two arguments, or the app has a main already.
        """
        if not callable(function) or is_lazy(function):
            msg = (
                f"main={text_of(function)}: give a plain function of (system, settings); async code runs in it by "
                "asyncio.run(...)"
            )
            raise DefinitionError(msg)
        if problem := refusal_of(function):
            raise DefinitionError(f"main={text_of(function)} is called as main(system, settings): {problem}")
        if self._main is not None:
            raise DefinitionError(f"{self!r} has a main already: {name_of(self._main)}")
        self._main = function
        return function

    def scenario(self, function: F, /) -> F:
        """Decorate the function that declares the clients, faults and checks of `actorflow sim`.

        It is called as ``scenario(sim, system)`` before each run, with the `actorflow.sim.Simulation` and the system,
        whose parts are up; it declares, and does not call `sim.run`.

        >>> import actorflow as af
        >>> from actorflow.sim import Simulation
        >>> app = af.App("shop")
        >>> @app.scenario
        ... def crashes(sim: Simulation, system: af.ActorSystem) -> None:
        ...     sim.chaos(rate=0.1, until=30)

        Raises:
            DefinitionError: it is no plain function of two arguments, or the app has a scenario already.
        """
        if not callable(function) or is_lazy(function):
            raise DefinitionError(f"scenario={text_of(function)}: give a plain function of (sim, system)")
        if problem := refusal_of(function):
            raise DefinitionError(f"scenario={text_of(function)} is called as scenario(sim, system): {problem}")
        if self.scenario_function is not None:
            raise DefinitionError(f"{self!r} has a scenario already: {name_of(self.scenario_function)}")
        self.scenario_function = function
        return function

    @overload
    def system(self, *, scheduler: VirtualScheduler) -> VirtualSystem: ...
    @overload
    def system(self, *, scheduler: Scheduler | None = None) -> ActorSystem: ...
    def system(self, *, scheduler: Scheduler | None = None) -> ActorSystem:
        """Start a system with all that was added, without main; end it with `stop`, or use it in a `with` statement.

        >>> import actorflow as af
        >>> from actorflow.testing import VirtualScheduler
        >>> class Clock(af.Actor):
        ...     def on_start(self) -> None:
        ...         self.ticks = 0
        ...         self.ctx.every(60, self.tick)
        ...
        ...     def tick(self) -> None:
        ...         self.ticks += 1
        >>> app = af.App("shop").add(af.child(Clock).options(name="clock"))
        >>> with app.system(scheduler=VirtualScheduler(name="shop", seed=7)) as shop:
        ...     shop.sleep(3600)
        ...     shop.find("/shop/clock", Clock).proxy().ticks.get()
        60

        Args:
            scheduler: a virtual one, for tests; None: threads and the machine's clock.

        Raises:
            DefinitionError: what was added does not fit together.
            ActorflowError: a part could not start; the error names it and its cause. Nothing is left running.
        """
        return self._with_parts(self._open(scheduler))

    def _start_within(self, kind: type[V], scheduler: VirtualScheduler, store: Store) -> V:
        """Start a system of a kind of its own on a scheduler and a store that are there: the app's is not opened."""
        self._declared.check()
        return self._with_parts(
            self._knowing(kind._on(scheduler, self.name, store, self.system_settings, self.durability))
        )

    def _knowing(self, system: S) -> S:
        """Have a system run the tasks and workflows that were added, and no others."""
        system.tasks = frozenset(self._declared.tasks)
        system.workflows = frozenset(self._declared.workflows)
        return system

    def _with_parts(self, system: S) -> S:
        """Start the parts in a system; if one cannot start, nothing is left of it."""
        try:
            self._declared.open(system)
        except BaseException:
            system.stop()
            raise
        return system

    def start(self) -> ActorSystem:
        """Start a system as `system()` does."""
        return self.system()

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
                self._declared.open(system)
            except ActorflowError:
                if not signals.came:
                    raise
            code = self._main_code(system, settings, signals)
        ended = drain_code(system)
        self.left = 0.0 if ended == ABANDONED else signals.overtime.left()
        return code or ended

    def _open(self, scheduler: Scheduler | None = None) -> ActorSystem:
        self._declared.check()
        check_scheduler(scheduler)
        if scheduler is not None and scheduler.is_virtual:
            from actorflow.app.virtual import VirtualSystem  # noqa: PLC0415 - tests only

            virtual: Any = scheduler
            system: ActorSystem = VirtualSystem._on(
                virtual, self.name, self.store, self.system_settings, self.durability
            )
        else:
            system = ActorSystem(
                self.name,
                store=self.store,
                durability=self.durability,
                settings=self.system_settings,
                scheduler=scheduler,
            )
        return self._knowing(system)

    def _main_code(self, system: ActorSystem, settings: Any, signals: Signals) -> int:
        """Call main, which a signal may end, and return its exit code."""
        if self._main is None:
            signals.overtime.left_main()
            system.ended.get()
            return 0
        try:
            try:
                signals.raises = True
                return 0 if signals.is_over() else self._call_main(self._main, system, settings)
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


def refusal_of(function: Any) -> str:
    """Say why a function cannot be called with a system and settings; nothing if it can, or does not tell."""
    try:
        inspect.signature(function).bind(None, None)
    except TypeError as error:
        return str(error)
    except ValueError:  # a builtin function without a signature
        return ""
    return ""


def name_of(function: Any) -> str:
    """Return a function's name; other things that can be called have none."""
    return str(getattr(function, "__qualname__", None) or text_of(function))


def drain_code(system: ActorSystem) -> int:
    """Return the exit code that says how a system has drained."""
    drain = system.scheduler.drain
    if drain is None or not (drain.abandoned or drain.was_cut):
        return 0
    return ABANDONED if drain.abandoned else CANCELLED
