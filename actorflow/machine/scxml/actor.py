"""ScxmlActor: a document as an actor; the sessions that it invokes are actors too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from actorflow.core.messages.messages import Call
from actorflow.errors import ActorDeadError, DefinitionError
from actorflow.machine.actor import ChartActor
from actorflow.machine.actor_platform import ActorPlatform, ended
from actorflow.machine.running.interpreter import Interpreter
from actorflow.machine.running.steps.termination import terminate
from actorflow.machine.scxml.document import ScxmlChart
from actorflow.machine.scxml.invoking import Invocation
from actorflow.machine.scxml.limits import LimitExceeded
from actorflow.machine.scxml.session import new_session_id

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.machine.definition.chart import Invoke
    from actorflow.machine.running.event import Event
    from actorflow.machine.scxml.family import Family
    from actorflow.machine.scxml.session import Session


class ScxmlActor(ChartActor):
    """Runs an SCXML document: `system.spawn(ScxmlActor, load("phone.scxml"))`. Events come by name: `ref.send("ring")`.

    A restart begins a new session.

    Args:
        chart: the document.
        values: of variables at the top, in place of the document's own.
        parent: the session that invoked it.
        invokeid: the id of its `<invoke>`.
        sessionid: the session's id; else one that is new in this process.
        family: the sessions whose costs are counted together: those of the parent.
        history: how many transitions to keep.

    >>> import actorflow as af
    >>> from actorflow.machine.scxml import load
    >>> door = load("<scxml><state id='a'><transition event='go' target='b'/></state><final id='b'/></scxml>")
    >>> with af.ActorSystem("demo") as system:
    ...     ref = system.spawn(ScxmlActor, door)
    ...     ref.send("go").get()
    ...     ref.state
    'b'
    """

    model: Session

    def __init__(
        self,
        chart: ScxmlChart,
        *,
        values: dict[str, Any] | None = None,
        parent: ActorRef[Any] | None = None,
        invokeid: str | None = None,
        sessionid: str | None = None,
        family: Family | None = None,
        history: int = 32,
    ) -> None:
        session = chart.session(id=sessionid, values=values, invokeid=invokeid, family=family)
        super().__init__(chart, session, history=history)
        self._parent = None if parent is None else receiver(parent)
        self._run(chart, session)

    def _run(self, chart: ScxmlChart, session: Session) -> None:
        """Be a session's actor from here on."""
        self.model = session
        self._interpreter = Interpreter(
            chart, session, platform=_SessionPlatform(self), history=self._limit, start=False
        )
        session.attach(self._interpreter, parent=self._parent, receive=receiver(self.actor_ref))

    def _check_durable(self) -> None:
        """Refuse to be durable with documents inside: of the sessions that are invoked, nothing is kept."""
        chart = self._interpreter.chart
        invoking = next((node.name for node in chart.states.values() if node.invoke), None)
        if invoking is not None:
            msg = (
                f"{self._actor_ref.path} is durable, and its state {invoking!r} invokes a document, whose session "
                "would begin anew after a crash: leave durable out, or do without <invoke>"
            )
            raise DefinitionError(msg)

    def _renew(self, old: Interpreter) -> None:
        session = self.model
        session.close()
        assert isinstance(old.chart, ScxmlChart)
        self._run(old.chart, old.chart.session(id=session.id, values=session.given, invokeid=session.invokeid))

    def on_stop(self) -> None:
        """Run the exit blocks of a session that its parent has cancelled (6.4); any other stop runs none."""
        if self.model.cancelled and not self._interpreter.done:
            terminate(self._interpreter)
        self.model.close()

    def _deliver(self, event: Event) -> None:
        """An event of another session."""
        if self.model.cancelled:
            return
        self._interpreter.send_event(event)
        if self._interpreter.done:
            ended(self)

    def _send(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return None if self.model.cancelled else super()._send(name, args, kwargs)

    def _fire(self, fire: Callable[[], None]) -> None:
        if not self.model.cancelled:
            super()._fire(fire)

    def report(self) -> SessionReport:
        """Say how the session stands."""
        interpreter, session = self._interpreter, self.model
        pending = interpreter._pending
        return SessionReport(
            interpreter.chart.in_order(interpreter.configuration),
            interpreter.done,
            list(session.log),
            session.failure,
            not interpreter.done and session.is_waiting,
            session.sent,
            [child for _, child in pending.children.values()] if pending is not None else [],
        )


class SessionReport(NamedTuple):
    """The state of a session.

    Attributes:
        configuration: names of the active states, in document order.
        done: whether a final state at the top is active.
        log: the lines of `<log>`: [label, value].
        failure: the limit that the document exceeded.
        waits: whether a delayed send is still to come.
        sent: how many events it has sent.
        children: the sessions that it has invoked.
    """

    configuration: list[str]
    done: bool
    log: list[list[Any]]
    failure: str | None
    waits: bool
    sent: int
    children: list[ActorRef[Any]]


def receiver(ref: ActorRef[Any]) -> Callable[[Event], bool]:
    """Return a function that gives an event to a session's actor, if that is alive."""

    def receive(event: Event) -> bool:
        try:
            ref._send(Call("_deliver", (event,), {}), None)
        except ActorDeadError:
            return False
        return True

    return receive


class _SessionPlatform(ActorPlatform):
    """The surroundings of an actor, with documents as children."""

    __slots__ = ()
    owner: ScxmlActor

    def start_child(self, interpreter: Interpreter, invoke: Invoke, /) -> ActorRef[Any]:
        """Spawn the document's actor."""
        if not isinstance(invoke.child, Invocation):
            return super().start_child(interpreter, invoke)
        owner = self.owner
        session: Session = interpreter.model
        try:
            chart, values = invoke.child.open(session)
        except LimitExceeded as error:
            session.failure = session.failure or str(error)
            raise
        sessionid = new_session_id()
        child = owner.ctx.spawn(
            ScxmlActor,
            chart,
            values=values,
            parent=owner.actor_ref,
            invokeid=invoke.id,
            sessionid=sessionid,
            family=session.family,
        )
        session.invoked[child] = sessionid
        self.watch_child(child, invoke)
        return child

    def end_child(self, child: ActorRef[Any], /) -> bool:
        """Cancel a session: it exits its states, and its sends from now on are dropped (6.4.3)."""
        self.owner.model.cancel_invoked(child)
        return super().end_child(child)

    def forward(self, child: ActorRef[Any], event: Event, /) -> None:
        """Send an event on; a session gets all of it."""
        if issubclass(child.actor_class, ScxmlActor):
            receiver(child)(event)
        else:
            super().forward(child, event)
