"""StateMachine: a machine as an actor, in class form."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from inspect import isfunction
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, ParamSpec, Self, TypeVar, Unpack, cast

from actorflow.core.actors.actor import Actor
from actorflow.core.messages.messages import Call
from actorflow.core.refs.resolve import UNSTARTED
from actorflow.errors import DefinitionError
from actorflow.machine.actor import Machine
from actorflow.machine.actor_platform import ActorPlatform
from actorflow.machine.declare import State, chart_of, check_class
from actorflow.machine.definition.direct import action_of, event_method
from actorflow.machine.local import make_local
from actorflow.machine.running import snapshot
from actorflow.machine.running.initial import OF_CHART, Initial, names_of
from actorflow.machine.running.interpreter import Interpreter
from actorflow.machine.running.stats import MachineStats, stats_of

if TYPE_CHECKING:
    from actorflow.core.actors.traits import ClassKeywords
    from actorflow.machine.definition.chart import Chart

P = ParamSpec("P")
M = TypeVar("M")


# Not in the classes: cloudpickle would send them along, and put them anew into a class that comes back.
CHARTS: weakref.WeakKeyDictionary[type, Chart] = weakref.WeakKeyDictionary()


class ChartOfClass:
    """The chart of a machine's class, made at the first use of it: cloudpickle fills classes after they are made."""

    def __get__(self, _instance: object, cls: type[StateMachine]) -> Chart:
        chart = CHARTS.get(cls)
        if chart is None:
            chart = CHARTS.setdefault(cls, chart_of(cls, version=cls._version))
        return chart


def has_states(cls: type) -> bool:
    """Say whether a class has states: without any it is abstract."""
    return any(isinstance(value, State) for base in cls.__mro__ for value in vars(base).values())


class StateMachine(Machine):
    """A state machine as an actor: its states are attributes, its events are methods, legal in some states only.

    An event that is not legal in the state is refused with `TransitionRefused`, and the machine is as it was: the
    caller of `call` gets the error, a cast becomes a dead letter. All steps of one event are one message: no other
    comes between.

    Class keywords are the child options, and:

    - history: how many transitions to keep (32).
    - stop_when_final: end for good once a final state at the top is reached, whatever the restart kind.
    - version: of the chart, for snapshots (1); see `migrate`.

    `super().__init__(initial=row.state)` starts the machine in another state than the chart's initial one: a `State`,
    its name, an Enum member, or the `state` of another machine. Its enter hooks do not run, as it is entered already;
    its timeouts begin. A class without an `__init__` takes `initial` itself. Any other value, None
    too, is a DefinitionError.

    >>> import actorflow as af
    >>> class Order(af.StateMachine):
    ...     new, paid, shipped = af.State(initial=True), af.State(), af.State(final=True)
    ...
    ...     def __init__(self, total: int) -> None:
    ...         super().__init__()
    ...         self.total, self.received = total, 0
    ...
    ...     @new.to(paid, when=lambda self, amount: self.received + amount >= self.total)
    ...     @new.stay
    ...     def pay(self, amount: int) -> int:
    ...         self.received += amount
    ...         return self.received
    ...
    ...     @paid.to(shipped)
    ...     def ship(self, parcel: str) -> None: ...
    >>> with af.ActorSystem("demo") as system:
    ...     order = system.spawn(Order, 5)
    ...     order.call(Order.pay, 3).get(), order.state
    ...     order.call(Order.pay, 2).get(), order.state
    ...     order.call(Order.pay, 2).get()
    Traceback (most recent call last):
    actorflow.errors.TransitionRefused: Order refuses 'pay' in state 'paid': legal are ship
    """

    _initial: frozenset[str] | None = None  # the states to start in, if they are given
    chart: ClassVar[Chart] = ChartOfClass()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    _version: ClassVar[int] = 1
    _constructors = ("restore",)
    _argument_hints: ClassVar[dict[str, str]] = {
        "initial": "let its __init__ take a state, and pass it on: super().__init__(initial=initial)"
    }

    def __init_subclass__(
        cls,
        *,
        history: int | None = None,
        stop_when_final: bool | None = None,
        version: int | None = None,
        **options: Unpack[ClassKeywords],
    ) -> None:
        cls._history = cls._history if history is None else history
        cls._stop_when_final = cls._stop_when_final if stop_when_final is None else stop_when_final
        cls._version = cls._version if version is None else version
        if type(cls._history) is not int or cls._history < 0:
            msg = f"history={history!r}: how many transitions to keep, 0 or more"
            raise DefinitionError(msg)
        if type(cls._version) is not int:
            msg = f"version={version!r}: give a whole number; a snapshot has it"
            raise DefinitionError(msg)
        for name, value in list(vars(cls).items()):
            if isfunction(value) and any(action_of(found := vars(base).get(name)) is not found for base in cls.__mro__):
                setattr(cls, name, event_method(value))  # it overrides an event's method without a rule of its own
        check_class(cls)
        super().__init_subclass__(**options)
        CHARTS.pop(cls, None)  # if it was wanted by now: cloudpickle fills the class after this

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        """Make the interpreter, so that an `__init__` of the user's need not call this class's."""
        machine = super().__new__(cls)
        start = cls.chart.program(cls).start.is_quiet
        machine._interpreter = Interpreter(
            cls.chart, machine, platform=ActorPlatform(machine), history=cls._history, start=start
        )
        return machine

    if TYPE_CHECKING:

        def __init__(self, *, initial: Initial = OF_CHART) -> None:
            """Create the machine, in a given state if there is one."""

    def _take_keywords(self, keywords: dict[str, Any]) -> None:
        """Take the `initial` of `super().__init__(initial=...)`; an `__init__` here would cost each spawn 5 %."""
        if unknown := ", ".join(map(repr, keywords.keys() - {"initial"})):
            raise DefinitionError(f"{type(self).__name__}: its __init__ takes no {unknown}; there is initial=")
        self._initial = names_of(self.chart, keywords["initial"])
        self._placed = True
        snapshot.place(self._interpreter, self._initial)
        if self._actor_ref.is_alive() and not self._actor_ref._traits.has_on_start:
            self._actor_ref._scheduler.post(self._actor_ref, Call("_begin", (), {}), None)

    def _adopt(self, interpreter: Interpreter) -> None:
        """Be run by an interpreter without an actor: raised events, timers and the state are its."""
        if interpreter.chart is self.chart and (self._actor_ref is None or not self._actor_ref.is_alive()):
            self._interpreter = interpreter

    def __reduce__(self) -> tuple[Any, ...]:
        ref = self._actor_ref
        if ref is not None and ref._home.key != UNSTARTED:
            return super().__reduce__()
        return unstarted_machine, (type(self),), {**vars(self), "_actor_ref": None}

    @classmethod
    def _has_on_start(cls) -> bool:
        if super()._has_on_start():
            return True
        return has_states(cls) and not cls.chart.program(cls).start.is_quiet

    @classmethod
    def local(cls: Callable[P, M], *args: P.args, **kwargs: P.kwargs) -> M:
        """Make a machine without an actor: it takes the class's arguments, and its events are called as methods.

        Timers fire in `af.Interpreter.of(order).advance()`; `on_start` does not run, and there are no children.

        >>> import actorflow as af
        >>> class Door(af.StateMachine):
        ...     shut, open = af.State(initial=True), af.State()
        ...
        ...     @shut.to(open)
        ...     def push(self, force: int) -> str:
        ...         return "squeak" * force
        ...
        ...     @open.to(shut)
        ...     def pull(self) -> None: ...
        >>> door = Door.local()
        >>> door.push(2), door.state == Door.open, door.legal
        ('squeaksqueak', True, ('pull',))

        Raises:
            Exception: the error of an enter hook of the initial state, if nothing handles "error.execution".
        """
        made: M = make_local(cast("type[StateMachine]", cls), args, kwargs)
        return made

    # --- inside a machine --------------------------------------------------------------------------------------------

    def raise_event(self, method: Callable[Concatenate[Any, P], Any], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Have another event of this machine handled before any message: SCXML's `raise`.

        One that is not legal then is refused: a dead letter, since nobody waits for it.
        """
        self._interpreter.raise_event(self._event_of(method), *args, **kwargs)

    def start_timer(
        self, name: str, seconds: float, method: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Have an event of this machine sent in so many seconds, in any state; a name has one timer.

        Neither events nor changes of state cancel it (gen_statem's generic timeout), and it is part of a snapshot. For
        a timeout that ends with a state, write `@state.after(seconds, target)`.
        """
        self._interpreter.start_timer(name, seconds, self._event_of(method), *args, **kwargs)

    def _event_of(self, method: Any) -> str:
        """Return the event that a method is."""
        program = self._interpreter._program
        event = program.called.get(getattr(method, "__name__", ""))
        if event is None:
            known = ", ".join(sorted(program.events)) or "none"
            msg = f"{method!r} is no event of {type(self).__name__}: give one of its methods; events are {known}"
            raise DefinitionError(msg)
        return event

    def cancel_timer(self, name: str, /) -> bool:
        """Cancel a named timer; True if it was to come."""
        return self._interpreter.cancel_timer(name)

    # --- snapshots ---------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Return the whole state of this machine as a dict of builtins: `order.call(Order.snapshot).get()`.

        It has the state, history states, timers with their deadlines, deferred events, history, and the attributes
        whose names do not start with "_", under "data".

        Raises:
            PayloadError: an attribute, or an argument of a waiting event, is no builtin; the text names it.
        """
        data = {
            name: snapshot.copied(value, f"{type(self).__name__}.{name}")
            for name, value in vars(self).items()
            if not name.startswith("_")
        }
        return {**self._interpreter.snapshot(), "data": data}

    @classmethod
    def restore(cls, snap: dict[str, Any], /) -> Self:
        """Make the machine that a snapshot was taken of: `system.spawn(Order.restore, snap)`.

        No hook runs, and `__init__` does not; timers keep their deadlines. `on_restore` sets the attributes that a
        snapshot lacks.

        Raises:
            DefinitionError: the snapshot does not fit the class, or is of another version and there is no `migrate`.
        """
        machine = cls.__new__(cls)
        Actor.__init__(machine)
        machine._restore(snap)
        return machine

    def _restore(self, snap: dict[str, Any]) -> None:
        if isinstance(snap, dict) and snap.get("version") != self.chart.version:
            snap = type(self).migrate(snap)
        self._placed = False  # it goes on where the snapshot was taken, and ignores `initial`
        snapshot.put(self._interpreter, snap)
        vars(self).update(snapshot.data_of(snap))
        self.on_restore()
        ref = self._actor_ref
        if ref.is_alive() and not ref._traits.has_on_start:
            ref._scheduler.post(ref, Call("_begin", (), {}), None)  # its timers and children go on

    def _roll_back(self, snap: dict[str, Any]) -> None:
        """Go back to the state of a snapshot, as a durable machine's event failed."""
        old = self._interpreter
        snapshot.cancel_timers(old)
        self._interpreter = Interpreter(
            self.chart, self, platform=ActorPlatform(self), history=self._history, start=False
        )
        for name in [name for name in vars(self) if not name.startswith("_")]:
            delattr(self, name)
        self._restore(snap)
        self._listen_again()
        self._owe_again()
        snapshot.take_over(self._interpreter, old)

    @classmethod
    def migrate(cls, snap: dict[str, Any], /) -> dict[str, Any]:
        """Return a snapshot of this version, made of one of another; override it. As it stands, it changes nothing."""
        return snap

    def on_restore(self) -> None:
        """Set the attributes that a snapshot does not have: those that start with "_". Override it."""

    # --- figures -----------------------------------------------------------------------------------------------------

    @classmethod
    def stats(cls) -> MachineStats:
        """Return counts of this process's machines of this class, and the parts of their transition time."""
        return stats_of(cls.chart.program(cls))


def unstarted_machine(cls: type[StateMachine]) -> StateMachine:
    """Return a machine that no system runs, as it comes out of a pickle."""
    return cls.__new__(cls)
