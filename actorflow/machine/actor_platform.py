"""Actor platform: an actor as the surroundings of its interpreter."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from actorflow.core.futures.unobserved import fail
from actorflow.core.log import logger
from actorflow.core.messages.messages import Call, Sent, Stop
from actorflow.core.refs.timers import Timer
from actorflow.errors import ActorDeadError, DefinitionError, TransitionRefused
from actorflow.machine.definition.chart import Chart

if TYPE_CHECKING:
    from actorflow.core.messages.reply import Reply
    from actorflow.core.refs.ref import ActorRef
    from actorflow.machine.actor import Machine
    from actorflow.machine.definition.chart import Invoke
    from actorflow.machine.running.event import Event
    from actorflow.machine.running.interpreter import Interpreter
    from actorflow.machine.running.pending import PendingTimer


class ActorPlatform:
    """The clock, the timers and the children of an actor, for its interpreter."""

    __slots__ = ("owner",)

    chart_actor: ClassVar[type[Any]]  # of an invoked chart; machine.actor, which is made of platforms, puts it here

    def __init__(self, owner: Machine) -> None:
        self.owner = owner

    def time(self) -> float:
        """Return the time of the system's clock."""
        try:
            return self.owner._actor_ref._scheduler.clock.time()
        except AttributeError:  # there is no clock
            cls = type(self.owner).__name__
            msg = (
                f"{cls}: nothing runs this object yet, so its `__init__` has no events and no timers: make the machine "
                f"by {cls}.local(...), spawn it, or give an interpreter the event"
            )
            raise DefinitionError(msg) from None

    def add_timer(self, seconds: float, fire: Callable[[], None], /) -> Callable[[], object]:
        """Have `fire` called as a message."""
        owner = self.owner
        timer = Timer(owner, None, Call("_fire", (fire,), {}))
        timer.start(owner._actor_ref._scheduler.clock.monotonic() + seconds)
        return timer.cancel

    def start_child(self, interpreter: Interpreter, invoke: Invoke, /) -> ActorRef[Any]:  # noqa: ARG002 - of a Platform
        """Spawn a child; its end comes back as a message."""
        owner = self.owner
        if isinstance(invoke.child, Chart):
            child: ActorRef[Any] = owner.ctx.spawn(self.chart_actor, invoke.child)
        else:
            child = owner.ctx.spawn(invoke.child)
        self.watch_child(child, invoke)
        return child

    def watch_child(self, child: ActorRef[Any], invoke: Invoke) -> None:
        """Have the news of a child's end come as a message."""
        owner = self.owner
        if child._traits.is_machine:
            child._send(Call("_report_to", (owner._actor_ref, invoke.id), {}), None)
        owner.ctx.pipe(child._scheduler.end_of(child).map(lambda _: child), owner._child_ended)

    def end_child(self, child: ActorRef[Any], /) -> bool:
        """Stop a child; does not wait for it. True: it is a machine in a final state, and says so."""
        interpreter = getattr(child._actor, "_interpreter", None)
        is_done = interpreter is not None and interpreter.done
        child._scheduler.post(child, Stop(final=True), None)
        return is_done

    def forward(self, child: ActorRef[Any], event: Event, /) -> None:
        """Send an event on to a child: a machine gets it as an event, another actor by `tell`."""
        try:
            if child._traits.is_machine:
                child._send(Sent(event.name, event.args, event.kwargs), None)
            else:
                child.tell(event)
        except ActorDeadError:
            pass  # the news of its end is on its way

    def refused(self, event: Event, error: Exception, /) -> None:
        """Make the refused event a dead letter."""
        ref = self.owner._actor_ref
        ref._scheduler.events.dead_letter(ref, event, None, error)


def due_of(timer: Timer) -> PendingTimer | None:
    """Return the interpreter's timer that an actor's timer stands for; None for another, such as a delayed send's."""
    fire = timer._call.args[0]
    return fire.args[0] if isinstance(fire, partial) else None


class Owed:
    """Answers a deferred event at its end: the caller, if it has one. Without a caller, an error is a crash."""

    __slots__ = ("event", "ref", "reply", "sender")

    def __init__(
        self, machine: Machine, event: Event, sender: ActorRef[Any] | None = None, reply: Reply | None = None
    ) -> None:
        self.ref = machine._actor_ref
        self.event = event
        self.sender = sender
        self.reply = reply

    def __call__(self, value: Any, error: BaseException | None) -> None:
        """Tell of the value or the error."""
        ref, reply = self.ref, self.reply
        future = None if reply is None else reply._future
        if future is None and reply is not None and reply.is_wanted:  # a durable machine's: it is a row
            if error is None:
                reply.set(value)
            else:
                reply.fail(error)
        elif future is None:
            if isinstance(error, TransitionRefused):
                self.drop(error)
            elif error is not None:
                ref._scheduler.post(ref, Call("_fail", (error,), {}), None)
        elif error is not None:
            fail(ref, self.event, future, self.sender, error)
        else:
            future._settle(value, None)

    def drop(self, error: BaseException) -> None:
        """Make the event a dead letter, unless a caller waits for it, which gets another answer."""
        if self.reply is None or not self.reply.is_wanted:
            self.ref._scheduler.events.dead_letter(self.ref, self.event, self.sender, error)


def hand_over(machine: Machine, event: Event) -> Owed:
    """Return a function that answers the current message later, as its event was deferred."""
    context = machine.ctx
    return Owed(machine, event, context.sender, context.reply_later())


def ended(machine: Machine) -> None:
    """Tell the machine's parent that a final state at the top is reached, and end it if its class says so."""
    ref = machine._actor_ref
    if machine._reports_to is not None:
        (parent, invokeid), machine._reports_to = machine._reports_to, None
        with contextlib.suppress(ActorDeadError):  # nobody waits for it any more
            parent._send(Call("_child_done", (ref, invokeid, result_of(machine)), {}), None)
    if machine._stop_when_final:
        ref._stop_behind(Stop(final=True))


def result_of(machine: Machine) -> Any:
    """Return the data of the final state; an error there is logged, and the end goes on."""
    try:
        return machine._interpreter.donedata
    except Exception:  # noqa: BLE001 - the transition is over, and was not at fault
        logger.exception("The donedata of %s failed", machine._actor_ref.path)
        return None
