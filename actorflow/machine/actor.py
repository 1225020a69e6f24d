"""Machine: an actor with an interpreter, whose messages are events; and ChartActor, one of any chart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from actorflow.core.actors.actor import MachineActor
from actorflow.core.futures.wait_graph import dead_before
from actorflow.core.messages.handlers import handles
from actorflow.core.messages.messages import Record, Sent
from actorflow.errors import DefinitionError
from actorflow.machine.actor_platform import ActorPlatform, Owed, ended, hand_over
from actorflow.machine.running import snapshot
from actorflow.machine.running.event import Event
from actorflow.machine.running.interpreter import Interpreter
from actorflow.machine.running.steps import failures
from actorflow.machine.running.steps.macrostep import time_out

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.machine.definition.chart import Chart


class Machine(MachineActor):
    """The base of machines of either form: an interpreter, and events instead of calls. Not for users to subclass."""

    _interpreter: Interpreter
    _stop_when_final: ClassVar[bool] = False
    _history: ClassVar[int] = 32
    _reports_to: tuple[ActorRef[Any], str] | None = None  # the machine that invoked it, and the id
    _inside: bool = False  # one of its own methods runs, of a machine without an actor
    _placed: bool = False  # it is in the state that it was given, and nothing in that has begun yet
    _owed: Sequence[Event] = ()  # deferred events of a durable machine that somebody may wait for

    # --- for users ---------------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """The name of the active state; with parallel regions all of them, joined by "+"."""
        return self._interpreter.state

    @property
    def configuration(self) -> frozenset[str]:
        """The names of all active states, those around others included."""
        return self._interpreter.configuration

    @property
    def legal(self) -> tuple[str, ...]:
        """The events that are legal now, in document order; guards are not asked."""
        return self._interpreter.legal

    @property
    def history(self) -> list[Record]:
        """The last transitions, oldest first: a copy."""
        return self._interpreter.history

    # --- messages ----------------------------------------------------------------------------------------------------

    def _perform_named(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Handle an event, if the name is one; a hook is refused, any other method is called."""
        program = self._interpreter._program
        event = program.called.get(name)
        if event is not None:
            return self._send(event, args, kwargs)
        if name in program.hooks:
            raise failures.not_for_callers(self._interpreter, name)
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
            self._fire(lambda: time_out(interpreter, state, place))

    def _after_message(self) -> None:
        """Do the steps after a message that was no event by name: the event behind it may be deferred, or the last."""
        pending = self._interpreter._pending
        if pending is not None and pending.deferred and pending.deferred[-1].answer is None:
            event = pending.deferred[-1]
            event.answer = hand_over(self, event)
        if self._interpreter.done:
            ended(self)

    def _fail(self, error: BaseException) -> None:
        """Crash: an event that had to wait failed, and nobody waits for its answer."""
        raise error

    def _give_up(self, error: BaseException | None) -> None:
        """Make dead letters of the deferred events that nobody asked for; a durable machine has them in the store."""
        pending = self._interpreter._pending
        if pending is None or self._actor_ref._traits.options.durable:
            return
        for event in (*pending.deferred, *pending.external):
            if event.answer is None or isinstance(event.answer, Owed):
                owed = event.answer or Owed(self, event)
                owed.drop(error or dead_before(self._actor_ref, None))

    def _read(self, what: str) -> Any:
        """Answer a question of a ref."""
        return getattr(self, what)

    # --- life --------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Enter the initial state, or go on where a snapshot was taken."""
        interpreter = self._interpreter
        try:
            if self._placed:
                self._placed = False
                snapshot.begin(interpreter)
            elif interpreter.configuration:
                for event in interpreter.deferred:  # of a snapshot: its sender is not known any more
                    event.answer = event.answer or Owed(self, event)
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

    def _owe_again(self) -> None:
        """Give the deferred events of a restored interpreter the answers of those that they were."""
        owed = list(self._owed)
        for event in self._interpreter.deferred:
            key = event.name, event.args, event.kwargs
            same = next((one for one in owed if (one.name, one.args, one.kwargs) == key), None)
            if same is not None:
                owed.remove(same)
            event.answer = Owed(self, event) if same is None else same.answer

    # --- listeners and invoking machines -----------------------------------------------------------------------------

    def _subscribe(self, receiver: ActorRef[Any]) -> None:
        """Tell an actor of each transition."""
        from actorflow.core.refs.cold_fields import cold_of  # noqa: PLC0415 - few machines have subscribers

        cold_of(self._actor_ref).listeners.append(receiver)
        self._tell_of_transitions(receiver)

    def _unsubscribe(self, receiver: ActorRef[Any]) -> None:
        """Tell a subscriber of no more transitions."""
        cold = self._actor_ref._cold
        if cold is not None and receiver in cold.listeners:
            cold.listeners.remove(receiver)
            self._interpreter._listeners = ()
            self._listen_again()

    def _listen_again(self) -> None:
        """Tell the subscribers of the ref of this incarnation's transitions, too."""
        cold = self._actor_ref._cold
        for receiver in cold.listeners if cold is not None else ():
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
        cause = child._cold.cause if child._cold is not None else None
        if cause is None:
            self._child_done(child, invokeid, None)
        else:
            self._hear_of_end(child, Event("error.execution", (cause,), kind="platform", invokeid=invokeid))

    def _hear_of_end(self, child: ActorRef[Any], event: Event) -> None:
        try:
            self._interpreter.child_ended(child, event)
        finally:
            self._after_message()


@handles(Sent)
def run_sent(ref: ActorRef[Any], message: Sent) -> Any:
    """Handle an event by name."""
    machine: Any = ref._actor
    return machine._send(message.name, message.args, message.kwargs)


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
        self._limit = history
        self.model = model
        self._interpreter = Interpreter(chart, model, platform=ActorPlatform(self), history=history, start=False)
        if self._actor_ref._traits.options.durable:
            self._check_durable()

    def _check_durable(self) -> None:
        """Refuse to be durable with a model that no snapshot has."""
        if self.model is not None and not hasattr(self.model, "_snapshot_data"):
            msg = (
                f"{self._actor_ref.path} is durable, and its model, a {type(self.model).__name__}, is in no snapshot: "
                "write a class of af.StateMachine, whose attributes are, or give no model"
            )
            raise DefinitionError(msg)

    def snapshot(self) -> dict[str, Any]:
        """Return the whole state of this actor as a dict of builtins: `ref.call(ChartActor.snapshot).get()`.

        Raises:
            PayloadError: an argument of a waiting event, or a variable, is no builtin.
        """
        return self._interpreter.snapshot()

    def _restore(self, snap: dict[str, Any]) -> None:
        snapshot.put(self._interpreter, snap)

    def _roll_back(self, snap: dict[str, Any]) -> None:
        """Go back to the state of a snapshot, as an event of a durable actor failed."""
        old = self._interpreter
        snapshot.cancel_timers(old)
        self._renew(old)
        self._restore(snap)
        self._listen_again()
        self._owe_again()
        snapshot.take_over(self._interpreter, old)

    def _renew(self, old: Interpreter) -> None:
        """Begin with a fresh interpreter in place of another."""
        self._interpreter = Interpreter(
            old.chart, self.model, platform=ActorPlatform(self), history=self._limit, start=False
        )

    @classmethod
    def _has_on_start(cls) -> bool:
        return True

    def _perform_named(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return getattr(self, name)(*args, **kwargs)


ActorPlatform.chart_actor = ChartActor
