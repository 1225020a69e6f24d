"""Interpreter: one instance of a chart. It needs no actor.

An event runs to completion: one step, then the steps that follow from it. The common step, one transition with nothing
but functions to call, is taken here in a row; everything else is in `steps`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final

from actorflow.core.log import logger
from actorflow.core.messages.messages import Record
from actorflow.errors import DefinitionError, PayloadError, TransitionRefused
from actorflow.machine.definition.chart import Chart
from actorflow.machine.running import pickling, snapshot
from actorflow.machine.running.configuration import Configuration
from actorflow.machine.running.event import Event
from actorflow.machine.running.initial import OF_CHART, Initial, names_of
from actorflow.machine.running.pending import Pending, PendingTimer, TimerKey
from actorflow.machine.running.platform import ALONE, Platform
from actorflow.machine.running.steps import failures, invocations, macrostep, microstep, selection, termination, timers

if TYPE_CHECKING:
    from actorflow.machine.state_machine import StateMachine

SAMPLE: Final = 63  # of so many events and one, one is timed: two clock readings cost 5 % of a flat transition

NEW_RECORD = tuple.__new__  # a third of the time of Record(...)


class Interpreter:
    """Runs one instance of a chart on a model, whose methods are its guards and actions.

    An event is handled to its end before the next: events that are sent meanwhile wait. After a failed guard, action or
    exit, the configuration and the history are as before the event. It is not for several threads: an actor is.

    Args:
        chart: the definition; it is shared.
        model: the first argument of guards and actions; its class has the methods that the chart names.
        platform: clock, timers and children; alone, real time, and timers fire in `advance`.
        history: how many records to keep.
        start: enter the initial state now, and run its hooks; else `start()` does.
        initial: the state to start in instead: a `State`, a name, an Enum member, several of these for regions, or the
            `state` or `configuration` of another instance. Hooks of these states do not run, as they are entered
            already; their timeouts start, their children too, and eventless transitions are taken.

    Raises:
        DefinitionError: the model's class lacks a method that the chart names, or nothing is ever in `initial`, as in
            None.

    >>> import actorflow as af
    >>> class Door(af.StateMachine):
    ...     shut, open = af.State(initial=True), af.State()
    ...
    ...     @shut.to(open)
    ...     def push(self) -> str:
    ...         return "squeak"
    ...
    ...     @open.to(shut)
    ...     def pull(self) -> None: ...
    >>> door = af.Interpreter(Door.chart, Door())
    >>> door.send("push"), door.state
    ('squeak', 'open')
    >>> door.send("push")
    Traceback (most recent call last):
    actorflow.errors.TransitionRefused: Door refuses 'push' in state 'open': legal are pull
    """

    __slots__ = (
        "__weakref__",
        "_configuration",
        "_listeners",
        "_pending",
        "_platform",
        "_program",
        "_records",
        "_running",
        "event",
        "model",
    )

    _of_local: ClassVar[Callable[[Any], Interpreter]]  # machine.local, which is made of interpreters, puts it here

    event: Event | None

    def __init__(
        self,
        chart: Chart,
        model: Any = None,
        *,
        platform: Platform = ALONE,
        history: int = 32,
        start: bool = True,
        initial: Initial = OF_CHART,
    ) -> None:
        if history.__class__ is not int or history < 0:
            msg = f"history={history!r}: how many transitions to keep, 0 or more"
            raise DefinitionError(msg)
        try:
            self._program = program = chart.program(model.__class__)
        except AttributeError:
            if isinstance(chart, Chart):
                raise
            raise failures.not_a_chart(chart) from None
        self.model = model
        self._platform = platform
        self._records: deque[Record] | int = history
        self._listeners: tuple[Callable[[Record], None], ...] = ()
        self._pending: Pending | None = None
        self._running: bool | None = False  # None: an event was interrupted, and the next one finishes it first
        self.event = None
        if platform is ALONE and program.adopts:
            model._adopt(self)
            if initial is OF_CHART and model._initial is not None:
                initial = model._initial
        if initial is not OF_CHART:
            snapshot.start_in(self, names_of(chart, initial), begins=start)
        elif start and program.begun is not None:
            self._configuration = program.begun
        else:
            self._configuration = program.nowhere
            if start:
                self.start()

    @staticmethod
    def of(machine: StateMachine, /) -> Interpreter:
        """Return the interpreter that runs a machine without an actor: one made by `Order.local(...)`, or a model.

        Raises:
            DefinitionError: an actor runs it, or nothing does.
        """
        return Interpreter._of_local(machine)

    def start(self) -> None:
        """Enter the initial state.

        Raises:
            DefinitionError: the instance has started before.
            Exception: the error of a hook or action, if nothing handles "error.execution".
        """
        if self._configuration.names:
            msg = f"{self.chart.name} has started: it is in {self.state!r}"
            raise DefinitionError(msg)
        macrostep.start(self)

    # --- events ------------------------------------------------------------------------------------------------------

    def send(self, event: str, /, *args: Any, **kwargs: Any) -> Any:
        """Handle an event, and those that follow from it; return the result of the transition's last action.

        Sent by a guard, an action or a hook of this instance, the event waits until the current event is handled.

        Raises:
            TransitionRefused: no transition of the active states fits, or guards veto those that do.
            Exception: the error of a guard, an action or a hook.
        """
        source = self._configuration
        choices = source.candidates.get(event)
        program = self._program
        program.seen += 1
        if self._running is not False or not isinstance(choices, tuple) or not program.seen & SAMPLE:
            if choices is None and self._running is False and not program.scxml and program.seen & SAMPLE:
                choices = program.prepare(source, event)  # a configuration that is new: the common step all the same
            else:
                choices = None
            if not isinstance(choices, tuple):
                return macrostep.send(self, Event(event, args, kwargs))
        model = self.model
        part = "a guard"
        try:
            self._running = True
            for choice in choices:
                guard = choice.guard
                if guard is None or guard(model, *args, **kwargs):
                    step = choice.step
                    break
            else:
                choice = step = None  # type: ignore[assignment]
            if step is not None and step.plain:
                value = None
                part = "an action"
                for action in step.actions:
                    value = action(model, *args, **kwargs)
                part = "an exit hook"
                for hook in step.exits:
                    hook(model)
                part = ""  # enter hooks and later steps say it themselves
                self._configuration = step.target
                if self._records or self._listeners:
                    self._note(source, step.target, event, (*args, kwargs) if kwargs else args)
                if step.enters:
                    microstep.enter_plainly(self, step, event)
                if self._pending is not None:
                    macrostep.settle(self, source)
                self._running = False
                return value
            self._running = False
        except BaseException as error:
            self._running = None
            macrostep.break_off(self, source, error, part, event)
            raise
        return macrostep.go_on(self, Event(event, args, kwargs), choice)

    def send_event(self, event: Event, /) -> Any:
        """Handle an event that brings more than a name and arguments; like `send` in all else."""
        self._program.seen += 1
        return macrostep.send(self, event)

    def raise_event(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        """Have an event handled before any that comes from outside: SCXML's `raise`."""
        self.enqueue(Event(event, args, kwargs, "internal"))

    def enqueue(self, event: Event, /) -> None:
        """Put an event into the internal queue; outside of a step it is handled now."""
        macrostep.raise_event(self, event)

    def may(self, event: str, /, *args: Any, **kwargs: Any) -> bool:
        """Say whether a transition would be taken: the guards are asked."""
        return bool(selection.select(self, Event(event, args, kwargs)))

    def _note(self, source: Configuration, target: Configuration, event: str | None, data: tuple[Any, ...]) -> None:
        """Record a transition, and tell the listeners; one that raises is logged."""
        record: Record = NEW_RECORD(Record, (source.state, target.state, event, data, self._platform.time()))
        records = self._records
        if isinstance(records, int):  # a deque takes 600 bytes: made when there is something to keep
            if records:
                records = self._records = deque((record,), maxlen=records)
        else:
            records.append(record)
        for listener in self._listeners:
            try:
                listener(record)
            except Exception:  # noqa: BLE001 - it changes nothing
                logger.exception("A listener of %s failed", self.chart.name)

    def refusal(self, event: str, /) -> TransitionRefused:
        """Return the error of an event that no transition takes."""
        self._program.refused += 1
        return failures.refusal(self, Event(event))

    @property
    def deferred(self) -> tuple[Event, ...]:
        """The events that wait for a change of configuration, oldest first."""
        return () if self._pending is None else tuple(self._pending.deferred)

    # --- children ----------------------------------------------------------------------------------------------------

    def invokeid_of(self, child: Any, /) -> str | None:
        """Return the id by which an active state has invoked a child; None if it is not one, or is so no more."""
        children = {} if self._pending is None else self._pending.children
        return next((invoke.id for invoke, token in children.values() if token == child), None)

    def child_ended(self, child: Any, event: Event, /) -> None:
        """Handle the news of a child's end, unless its state was left before that end."""
        invocations.child_ended(self, child, event)

    # --- its state ---------------------------------------------------------------------------------------------------

    @property
    def chart(self) -> Chart:
        """The definition that this instance runs."""
        return self._program.chart

    @property
    def state(self) -> str:
        """The name of the active state without states inside; with parallel regions all of them, joined by "+"."""
        return self._configuration.state

    @property
    def configuration(self) -> frozenset[str]:
        """The names of all active states."""
        return self._configuration.names

    def in_state(self, name: str, /) -> bool:
        """Say whether a state is active: SCXML's `In`."""
        pending = self._pending
        if pending is not None and pending.active is not None:
            return name in pending.active
        return name in self._configuration.names

    @property
    def done(self) -> bool:
        """Whether a final state at the top is active: no more transitions are taken."""
        return self._configuration.final

    @property
    def donedata(self) -> Any:
        """The data of the active final state at the top."""
        return termination.donedata(self)

    @property
    def legal(self) -> tuple[str, ...]:
        """The events that some transition of the active states waits for, in document order; guards are not asked.

        Events that the machine itself raises, such as "done.state.on", are not among them.
        """
        return selection.legal(self)

    @property
    def history(self) -> list[Record]:
        """The last transitions, oldest first: a copy."""
        return [] if isinstance(self._records, int) else list(self._records)

    def listen(self, listener: Callable[[Record], None], /) -> Callable[[], None]:
        """Call a function with each record, between exit and enter; return a function that ends that."""
        self._listeners = (*self._listeners, listener)
        here = True

        def unlisten() -> None:
            nonlocal here
            if here:
                here = False
                place = next(place for place, one in enumerate(self._listeners) if one is listener)
                self._listeners = (*self._listeners[:place], *self._listeners[place + 1 :])

        return unlisten

    # --- time --------------------------------------------------------------------------------------------------------

    def start_timer(self, name: str, seconds: float, event: str, /, *args: Any, **kwargs: Any) -> None:
        """Send an event in so many seconds, in any state. A timer of that name is replaced.

        This is gen_statem's generic timeout: neither events nor changes of state cancel it.
        """
        self.start_event_timer(name, seconds, Event(event, args, kwargs))

    def start_event_timer(self, name: str, seconds: float, event: Event, /) -> None:
        """Start a timer with an event that brings more than a name and arguments.

        Raises:
            DefinitionError: the name is no text, or the time no number, negative, or for ever.
        """
        timers.start_named(self, name, seconds, event)

    def cancel_timer(self, name: str, /) -> bool:
        """Cancel a named timer; True if there was one."""
        return timers.cancel_timer(self, name)

    @property
    def timers(self) -> dict[TimerKey, float]:
        """The due times of running timers, in seconds since the epoch: by name, or by state and place of transition."""
        return {} if self._pending is None else {key: due.due for key, due in self._pending.timers.items()}

    @property
    def due(self) -> float | None:
        """The due time of the next timer, in seconds since the epoch; None without timers."""
        return min(self.timers.values(), default=None)

    def advance(self) -> int:
        """Fire the timers that are due; return how many. An interpreter without an actor needs its owner to call this.

        Raises:
            Exception: the error of a guard, an action or a hook; the next call goes on with the other timers.
        """
        return macrostep.advance(self)

    def _fire(self, due: PendingTimer) -> None:
        """A timer is due."""
        macrostep.fire(self, due)

    # --- snapshots ---------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Return the whole state of this instance, but for its model, as a dict of builtins.

        It has the configuration, history states, timers with their deadlines, deferred events, and the history, in
        which arguments that are no builtins are text.

        Raises:
            DefinitionError: called while an event is handled.
            PayloadError: an argument of a deferred event or a timer is no builtin.
        """
        return snapshot.take(self)

    @classmethod
    def restore(
        cls, chart: Chart, snap: dict[str, Any], model: Any = None, *, platform: Platform = ALONE, history: int = 32
    ) -> Interpreter:
        """Return an instance in the state of a snapshot; no hook runs.

        Raises:
            DefinitionError: the snapshot does not fit the chart, or is of another version.
        """
        machine = cls(chart, model, platform=platform, history=history, start=False)
        snapshot.put(machine, snap)
        snapshot.go_on(machine)
        return machine

    def __getstate__(self) -> dict[str, Any]:
        if self._running:
            msg = f"{self!r} is handling an event: pickle it between two"
            raise PayloadError(msg)
        return pickling.take(self)

    def __copy__(self) -> Interpreter:
        """Return another instance in the same state, on the same model; a machine's own has a copy of the machine."""
        return pickling.copied(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        chart, model = state["chart"], state["model"]
        chart = type(model).chart if chart is None else chart
        Interpreter.__init__(self, chart, model, history=state["limit"], start=False)
        pickling.put(self, state)

    def __repr__(self) -> str:
        return f"<Interpreter of {self.chart.name} in {self.state or 'no state'}>"
