"""Surroundings: an actor as the platform of its interpreter. Layer 3."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actorflow.core.messages import Call, Sent, Stop
from actorflow.core.timers import Timer
from actorflow.errors import ActorDeadError, TransitionRefused
from actorflow.machine.chart import Chart

if TYPE_CHECKING:
    from actorflow.core.ref import ActorRef
    from actorflow.machine.chart import Invoke
    from actorflow.machine.event import Event
    from actorflow.machine.interpreter import Interpreter
    from actorflow.machine.state_machine import Machine


class Surroundings:
    """The clock, the timers and the children of an actor, for its interpreter."""

    __slots__ = ("owner",)

    def __init__(self, owner: Machine) -> None:
        self.owner = owner

    def time(self) -> float:
        """Return the time of the system's clock."""
        return self.owner._actor_ref._scheduler.clock.time()

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
            from actorflow.machine.state_machine import ChartActor  # noqa: PLC0415 - machines have surroundings

            child: ActorRef[Any] = owner.ctx.spawn(ChartActor, invoke.child)
        else:
            child = owner.ctx.spawn(invoke.child)
        self.watch_child(child, invoke)
        return child

    def watch_child(self, child: ActorRef[Any], invoke: Invoke) -> None:
        """Have the news of a child's end come as a message."""
        owner = self.owner
        if getattr(child.actor_class, "_is_machine", False):
            child._send(Call("_report_to", (owner._actor_ref, invoke.id), {}), None)
        owner.ctx.pipe(child._scheduler.end_of(child).map(lambda _: child), owner._child_ended)

    def end_child(self, child: ActorRef[Any], /) -> None:
        """Stop a child; does not wait for it."""
        child._scheduler.post(child, Stop(final=True), None)

    def forward(self, child: ActorRef[Any], event: Event, /) -> None:
        """Send an event on to a child: a machine gets it as an event, another actor by `tell`."""
        try:
            if getattr(child.actor_class, "_is_machine", False):
                child._send(Sent(event.name, event.args, event.kwargs), None)
            else:
                child.tell(event)
        except ActorDeadError:
            pass  # the news of its end is on its way

    def refused(self, event: Event, error: Exception, /) -> None:
        """Make it a dead letter."""
        ref = self.owner._actor_ref
        ref._scheduler.events.dead_letter(ref, event, None, error)


def hand_over(machine: Machine) -> Callable[[Any, BaseException | None], None]:
    """Return what answers the current message later: its event was deferred. Without an asker, an error is a crash."""
    reply = machine.ctx.reply_later()
    ref = machine._actor_ref

    def answer(value: Any, error: BaseException | None) -> None:
        if reply.is_wanted:
            if error is None:
                reply.set(value)
            else:
                reply.fail(error)
        elif isinstance(error, TransitionRefused):
            ref._scheduler.events.dead_letter(ref, error.event, None, error)
        elif error is not None:
            ref._scheduler.post(ref, Call("_fail", (error,), {}), None)

    return answer


def ended(machine: Machine) -> None:
    """A final state at the top is reached: tell who invoked the machine, and end it if its class says so."""
    ref = machine._actor_ref
    if machine._reports_to is not None:
        (parent, invokeid), machine._reports_to = machine._reports_to, None
        if parent.is_alive():
            parent._send(Call("_child_done", (ref, invokeid, machine._interpreter.donedata), {}), None)
    if machine._stop_when_final:
        ref._scheduler.post(ref, Stop(final=True), None)
