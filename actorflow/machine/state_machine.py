"""StateMachine: a machine as an actor, in class form; and ChartActor, one of any chart. Layer 3."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, ParamSpec, Self, Unpack

from actorflow.core.actor import HANDLERS, Actor
from actorflow.core.messages import Call, Sent
from actorflow.core.system import UNSTARTED
from actorflow.errors import DefinitionError
from actorflow.machine import macrostep, snapshot
from actorflow.machine.declare import State, chart_of, check_class
from actorflow.machine.event import Event, Record
from actorflow.machine.interpreter import Interpreter
from actorflow.machine.stats import MachineStats, stats_of
from actorflow.machine.surroundings import Surroundings, answer_of, ended, hand_over

if TYPE_CHECKING:
    from actorflow.core.ref import ActorRef
    from actorflow.core.traits import ClassKeywords
    from actorflow.machine.chart import Chart

P = ParamSpec("P")


# Not in the classes: cloudpickle would send them along, and put them anew into a class that comes back.
CHARTS: weakref.WeakKeyDictionary[type, Chart] = weakref.WeakKeyDictionary()


class ChartOfClass:
    """The chart of a machine's class, made when it is first wanted: cloudpickle fills classes after they are made."""

    def __get__(self, _instance: object, cls: type[StateMachine]) -> Chart:
        chart = CHARTS.get(cls)
        if chart is None:
            chart = CHARTS.setdefault(cls, chart_of(cls, version=cls._version))
        return chart


class Machine(Actor):
    """What machines of either form have: an interpreter, and events instead of calls. Not for users to subclass."""

    _interpreter: Interpreter
    _stop_when_final: ClassVar[bool] = False
    _history: ClassVar[int] = 32
    _reports_to: tuple[ActorRef[Any], str] | None = None  # who invoked it, and by which id
    _is_machine: ClassVar[bool] = True
    _owed: Sequence[Event] = ()  # deferred events of a durable machine that somebody may wait for

    # --- what users read ---------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """Name of the active state; with parallel regions all of them, joined by "+"."""
        return self._interpreter.state

    @property
    def configuration(self) -> frozenset[str]:
        """Names of all active states, those around others included."""
        return self._interpreter.configuration

    @property
    def history(self) -> list[Record]:
        """The last transitions, oldest first: a copy."""
        return self._interpreter.history

    # --- messages ----------------------------------------------------------------------------------------------------

    def _perform(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Handle an event, if the name is one; a hook is refused, any other method is called."""
        program = self._interpreter._program
        if name in program.events:
            return self._send(name, args, kwargs)
        if name in program.hooks:
            raise self._interpreter.refusal(name)
        method = getattr(self, name)
        if method is None:  # `pay = None` in a subclass takes an event away
            raise self._interpreter.refusal(name)
        return method(*args, **kwargs)

    def _send(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Handle an event. One that is deferred is answered when it is handled."""
        interpreter = self._interpreter
        try:
            if not interpreter._program.has_deferred:
                return interpreter.send(name, *args, **kwargs)
            return self._send_event(Event(name, args, kwargs))
        finally:  # a failed enter leaves the new state in force
            if interpreter._configuration.final:
                ended(self)

    def _send_event(self, event: Event) -> Any:
        """Handle an event that may be deferred."""
        value = self._interpreter.send_event(event)
        if event.waits:
            event.answer = hand_over(self, event)
            if self._actor_ref._traits.options.durable:  # it may be handled, and that be rolled back
                self._owed = [one for one in self._owed if one in self._interpreter.deferred] + [event]
        return value

    def _fire(self, fire: Callable[[], None]) -> None:
        """A timer of the interpreter is due."""
        try:
            fire()
        finally:
            self._after_message()

    def _time_out(self, state: str, place: int) -> None:
        """Take a timeout that was a dead letter, unless its state was left meanwhile."""
        interpreter = self._interpreter
        if state in interpreter.configuration and snapshot.has_timeout(interpreter.chart, state, place):
            self._fire(lambda: macrostep.time_out(interpreter, state, place))

    def _after_message(self) -> None:
        """Do what follows a message that was no event by name: the event behind it may be deferred, or the last."""
        pending = self._interpreter._pending
        if pending is not None and pending.deferred and pending.deferred[-1].answer is None:
            event = pending.deferred[-1]
            event.answer = hand_over(self, event)
        if self._interpreter.done:
            ended(self)

    def _fail(self, error: BaseException) -> None:
        """Crash: an event that had to wait failed, and nobody waits for its answer."""
        raise error

    def _read(self, what: str) -> Any:
        """Answer what a ref asks."""
        return getattr(self, what)

    # --- life --------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Enter the initial state, or go on where a snapshot was taken."""
        interpreter = self._interpreter
        try:
            if interpreter.configuration:
                for event in interpreter.deferred:  # of a snapshot: who has sent it is not known any more
                    event.answer = event.answer or answer_of(self, event)
                snapshot.go_on(interpreter)
            else:
                interpreter.start()
        finally:
            if interpreter.done:
                ended(self)

    def _run_on_start(self) -> Any:
        result: Any = self.on_start()  # type: ignore[func-returns-value]  # a user's may be async
        if result is None:
            self._begin()
            return None
        return self._begin_after(result)

    async def _begin_after(self, result: Any) -> None:
        await result
        self._begin()

    # --- listeners and invoking machines -----------------------------------------------------------------------------

    def _subscribe(self, receiver: ActorRef[Any]) -> None:
        """Tell an actor of each transition."""
        from actorflow.core.life import life_of  # noqa: PLC0415 - few machines have subscribers

        life_of(self._actor_ref).listeners.append(receiver)
        self._tell_of_transitions(receiver)

    def _unsubscribe(self, receiver: ActorRef[Any]) -> None:
        """Tell it no more."""
        life = self._actor_ref._life
        if life is not None and receiver in life.listeners:
            life.listeners.remove(receiver)
            self._interpreter._listeners = ()
            self._listen_again()

    def _listen_again(self) -> None:
        """Tell those who subscribed to the ref: a new incarnation has to, too."""
        life = self._actor_ref._life
        for receiver in life.listeners if life is not None else ():
            self._tell_of_transitions(receiver)

    def _tell_of_transitions(self, receiver: ActorRef[Any]) -> None:
        def tell(record: Record) -> None:
            if receiver.is_alive():
                receiver.tell(record)

        self._interpreter.listen(tell)

    def _report_to(self, parent: ActorRef[Any], invokeid: str) -> None:
        """Tell the machine that has invoked this one of the end."""
        self._reports_to = (parent, invokeid)
        if self._interpreter.done:
            ended(self)

    def _child_done(self, child: ActorRef[Any], invokeid: str, data: Any) -> None:
        """A child that this machine has invoked is through."""
        self._hear_of_end(child, Event(f"done.invoke.{invokeid}", (data,), kind="platform", invokeid=invokeid))

    def _child_ended(self, child: ActorRef[Any]) -> None:
        """A child that this machine has invoked is dead: after a crash, "error.execution" has its cause."""
        invokeid = self._interpreter.invokeid_of(child)
        if invokeid is None:
            return
        cause = child._life.cause if child._life is not None else None
        if cause is None:
            self._child_done(child, invokeid, None)
        else:
            self._hear_of_end(child, Event("error.execution", (cause,), kind="platform", invokeid=invokeid))

    def _hear_of_end(self, child: ActorRef[Any], event: Event) -> None:
        try:
            self._interpreter.child_ended(child, event)
        finally:
            self._after_message()


def run_sent(ref: ActorRef[Any], message: Sent) -> Any:
    """Handle an event by name."""
    machine: Any = ref._actor
    return machine._send(message.name, message.args, message.kwargs)


HANDLERS[Sent] = run_sent


def has_states(cls: type) -> bool:
    """Say whether a class has states: without any it is abstract."""
    return any(isinstance(value, State) for base in cls.__mro__ for value in vars(base).values())


class StateMachine(Machine):
    """A state machine as an actor: its states are attributes, its events are methods, legal in some states only.

    An event that is not legal in the state is refused with `TransitionRefused`, and the machine is as it was: the
    caller of `call` gets the error, a cast becomes a dead letter. What happens in one event is one message: no other
    comes between.

    Class keywords are the child options, and:

    - history: how many transitions to keep (32).
    - stop_when_final: end for good once a final state at the top is reached, whatever the restart kind.
    - version: of the chart, for snapshots (1); see `migrate`.

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

    chart: ClassVar[Chart] = ChartOfClass()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    _version: ClassVar[int] = 1
    _constructors = ("restore",)

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
        check_class(cls)
        super().__init_subclass__(**options)
        CHARTS.pop(cls, None)  # if it was wanted by now: cloudpickle fills the class after this

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        """Make the interpreter, so that an `__init__` of the user's need not call this class's."""
        machine = super().__new__(cls)
        start = cls.chart.program(cls).start.is_quiet
        machine._interpreter = Interpreter(
            cls.chart, machine, platform=Surroundings(machine), history=cls._history, start=start
        )
        return machine

    def _adopt(self, interpreter: Interpreter) -> None:
        """Be run by an interpreter without an actor: raised events, timers and the state are its."""
        if interpreter.chart is self.chart and (self._actor_ref is None or not self._actor_ref.is_alive()):
            self._interpreter = interpreter

    def __reduce__(self) -> tuple[Any, ...]:
        ref = self._actor_ref
        if ref is not None and ref._scheduler.key != UNSTARTED:
            return super().__reduce__()
        return unstarted_machine, (type(self),), {**vars(self), "_actor_ref": None}

    @classmethod
    def _has_on_start(cls) -> bool:
        if super()._has_on_start():
            return True
        return has_states(cls) and not cls.chart.program(cls).start.is_quiet

    # --- inside a machine --------------------------------------------------------------------------------------------

    def raise_event(self, method: Callable[Concatenate[Any, P], Any], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Have another event of this machine handled before any message: SCXML's `raise`.

        One that is not legal then is refused: a dead letter, since nobody waits for it.
        """
        self._interpreter.raise_event(self._event_of(method), *args, **kwargs)

    def start_timer(
        self, name: str, seconds: float, method: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Have an event of this machine sent in so many seconds, whatever the state is then; a name has one timer.

        Neither events nor changes of state cancel it (gen_statem's generic timeout), and it is part of a snapshot.
        For a timeout that ends with a state, write `@state.after(seconds, target)`.
        """
        self._interpreter.start_timer(name, seconds, self._event_of(method), *args, **kwargs)

    def _event_of(self, method: Any) -> str:
        """Return the event that a method is."""
        name = getattr(method, "__name__", None)
        if name not in self._interpreter._program.events:
            known = ", ".join(sorted(self._interpreter._program.events)) or "none"
            msg = f"{method!r} is no event of {type(self).__name__}: give one of its methods; events are {known}"
            raise DefinitionError(msg)
        return str(name)

    def cancel_timer(self, name: str, /) -> bool:
        """Cancel a named timer; True if it was to come."""
        return self._interpreter.cancel_timer(name)

    # --- snapshots ---------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Return all that this machine is, as a dict of builtins: `order.call(Order.snapshot).get()`.

        State, history states, timers with their deadlines, deferred events, history, and the attributes whose names do
        not start with "_", under "data".

        Raises:
            PayloadError: an attribute, or an argument of what waits, is no builtin; the text names it.
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

        No hook runs, and `__init__` does not; timers keep their deadlines. `on_restore` sets what a snapshot lacks.

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
        snapshot.put(self._interpreter, snap)
        vars(self).update(snapshot.data_of(snap))
        self.on_restore()
        ref = self._actor_ref
        if ref.is_alive() and not ref._traits.has_on_start:
            ref._scheduler.post(ref, Call("_begin", (), {}), None)  # its timers and children go on

    def _roll_back(self, snap: dict[str, Any]) -> None:
        """Be again what a snapshot says: a durable machine's event failed."""
        old = self._interpreter
        snapshot.cancel_timers(old)
        self._interpreter = Interpreter(
            self.chart, self, platform=Surroundings(self), history=self._history, start=False
        )
        for name in [name for name in vars(self) if not name.startswith("_")]:
            delattr(self, name)
        self._restore(snap)
        self._listen_again()
        owed = list(self._owed)
        for event in self._interpreter.deferred:
            key = event.name, event.args, event.kwargs
            same = next((one for one in owed if (one.name, one.args, one.kwargs) == key), None)
            if same is not None:
                owed.remove(same)
            event.answer = answer_of(self, event) if same is None else same.answer
        snapshot.take_over(self._interpreter, old)

    @classmethod
    def migrate(cls, snap: dict[str, Any], /) -> dict[str, Any]:
        """Return a snapshot of this version, made of one of another; override it. As it stands, it changes nothing."""
        return snap

    def on_restore(self) -> None:
        """Set what a snapshot does not have: attributes that start with "_". Override it."""

    # --- figures -----------------------------------------------------------------------------------------------------

    @classmethod
    def stats(cls) -> MachineStats:
        """Return what the machines of this class did in this process: counts, and the parts of the transition time."""
        return stats_of(cls.chart.program(cls))


def unstarted_machine(cls: type[StateMachine]) -> StateMachine:
    """Return a machine that no system runs, as it comes out of a pickle."""
    return cls.__new__(cls)


class ChartActor(Machine):
    """Runs any chart as an actor: one built at run time, from a dict, or from SCXML.

    Events come by name: `ref.send("pay", 3)`.

    Args:
        chart: the definition.
        model: its guards and actions get it first. It belongs to the actor from here on.
        history: how many transitions to keep.
    """

    def __init__(self, chart: Chart, model: Any = None, *, history: int = 32) -> None:
        super().__init__()
        self.model = model
        self._interpreter = Interpreter(chart, model, platform=Surroundings(self), history=history, start=False)

    @classmethod
    def _has_on_start(cls) -> bool:
        return True

    def _perform(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return getattr(self, name)(*args, **kwargs)
