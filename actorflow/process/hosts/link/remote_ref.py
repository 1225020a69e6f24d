"""RemoteRef: refs to actors that live in another process.

Such a ref knows a node and a number. Whether the actor is alive is known there: a tell to a dead one is a dead letter,
unless its end is known here too, because somebody here was told of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.core.futures.future import Future
from actorflow.core.messages.execution import CURRENT, check_effect, late_send
from actorflow.core.messages.messages import Stop, Terminated
from actorflow.core.refs.cell import DEAD, ENDING, IDLE
from actorflow.core.refs.pykka_views import RemoteProxy
from actorflow.core.refs.ref import ActorRef
from actorflow.core.refs.termination import Notice
from actorflow.core.running.run_queue import AT_REST
from actorflow.errors import ActorDeadError, ActorflowError
from actorflow.process.hosts.link.link import HostLink
from actorflow.process.hosts.link.outbox import own
from actorflow.process.hosts.link.reader import RemoteFuture
from actorflow.process.pickling import dumps

if TYPE_CHECKING:
    from collections.abc import Collection

    from actorflow.core.actors.traits import Traits
    from actorflow.process.hosts.link.envelope import Parcel
    from actorflow.process.hosts.link.link import Relay
    from actorflow.process.hosts.link.node import ProcessNode
    from actorflow.process.hosts.parent.host_process import HostProcess

ALIVE_SECONDS = 5.0  # for the question whether an actor lives


class Elsewhere:
    """Stands for the scheduler and the parent of an actor that lives at another node."""

    __slots__ = ("_here", "first_uid", "flow", "node", "owner", "path")

    def __init__(self, here: ProcessNode, node: str, first_uid: int, path: str) -> None:
        self._here = here
        self.flow = here.flow
        self.node = node
        self.first_uid = first_uid
        self.path = path
        self.owner = None

    @property
    def key(self) -> str:
        """The system's key, the same in all of its processes."""
        return self._here.key

    @property
    def ask_timeout(self) -> float | None:
        """Return the timeout of this process's asks."""
        return self._here.scheduler.ask_timeout

    @property
    def is_virtual(self) -> bool:
        """Whether this process lives in virtual time, and so that one."""
        return self._here.scheduler.is_virtual

    def check_usable(self) -> None:
        """Raise if this process is a fork."""
        self._here.scheduler.check_usable()

    def way(self, ref: ActorRef[Any]) -> HostLink:
        """Return the link that leads there.

        Raises:
            ActorDeadError: that process is gone, or the end of the actor is known here.
        """
        self.check_usable()
        if ref.uid in self._here.ended:
            msg = f"{ref} not found: it is dead"
            raise ActorDeadError(msg)
        link = self._here.way_to(self.node)
        if link is None or link.closed is not None:
            msg = f"{ref.path} is dead: its process has ended"
            raise ActorDeadError(msg)
        return link

    def post(self, ref: ActorRef[Any], message: Any, future: Future[Any] | None) -> None:
        """Send a message of the runtime's own; never waits. One that cannot be sent is dropped, as its receiver is."""
        try:
            data, buffers = dumps(message)
            self.way(ref).forward(ref.uid, self.node, data, own(buffers), None, future)
        except ActorflowError as error:
            if future is not None:
                future._settle(None, error)

    def end_of(self, ref: ActorRef[Any]) -> Future[Any]:
        """Return a future that is set once the actor is dead: to the reason, or None."""
        future: Future[Any] = Future()
        try:
            link = self.way(ref)
        except ActorDeadError as error:
            future._settle(None, error)
        else:
            future._when_done(lambda: self.note_answer(ref, future))
            link.request(self.node, "end", ref.uid, future=future)
        return future

    def watch(self, watcher: ActorRef[Any], ref: ActorRef[Any], actor: Any) -> None:
        """Have the incarnation `actor` of the watcher told when the actor of the ref is dead."""
        ended = self.end_of(ref)

        def tell_watcher() -> None:
            reason = ended._error if ended._error is not None else ended._value
            watcher._scheduler.post(watcher, Notice(actor, Terminated(ref, reason)), None)

        ended._when_done(tell_watcher)

    def report_unread(
        self, ref: ActorRef[Any], message: Any, sender: ActorRef[Any] | None, error: BaseException
    ) -> None:
        """Publish the error of a request, which nobody has read, as a dead letter of this process."""
        self._here.scheduler.report_unread(ref, message, sender, error)

    def note_answer(self, ref: ActorRef[Any], future: Future[Any]) -> None:
        """Note the end of an actor that its own process has told of."""
        if future._error is None:
            self._here.note_end(ref.uid)


class OffProcessBase(ActorRef[Any]):
    """The base of refs whose actor runs in another process."""

    __slots__ = ()

    _is_remote = True
    _is_plain = False
    _future_class = RemoteFuture

    def _actor_weakref(self) -> Any:  # type: ignore[override]
        return object.__new__(self.actor_class)

    def proxy(self) -> Any:
        """Return a pykka proxy; which attributes there are is asked where the actor is.

        Raises:
            ActorDeadError: the actor is dead.
        """
        if self._state >= ENDING:
            raise self._dead()
        return RemoteProxy(actor_ref=self)

    def _attributes(self) -> dict[Any, Any] | None:
        """Return the attributes that a proxy may reach; None if they cannot be had: those of the class must do then."""
        link, node = self._whereabouts()
        if link is None:
            return None
        future = RemoteFuture(self)
        future.link = link
        link.request(node, "introspect", self.uid, future=future)
        try:
            return future.get(timeout=ALIVE_SECONDS)  # type: ignore[no-any-return]
        except ActorflowError:
            return None

    def _whereabouts(self) -> tuple[HostLink | None, str]:
        """Return the link that leads to the actor, and its node."""
        raise NotImplementedError  # pragma: no cover - each kind knows


class HostedBase(OffProcessBase):
    """The base of refs whose actor is supervised in this process and runs in a host of its own.

    `_link` is the way to the actor while it takes messages; `_guest`: the host holds it, with or without an
    incarnation. `_epoch` counts incarnations, so that late news of an old one is dropped.
    """

    __slots__ = ()

    _host: HostProcess | None
    _link: HostLink | None
    _guest: bool
    _epoch: int
    _backlog: Collection[Parcel]  # messages that wait for the host
    _returned: Collection[Parcel]  # those that came back from the last one, which are older

    def _way(self) -> HostLink | None:
        """Return the link to the host that holds the actor."""
        raise NotImplementedError  # pragma: no cover - each kind knows

    def _open(self, link: HostLink) -> None:
        """Let messages go to the actor, which is up."""
        raise NotImplementedError  # pragma: no cover - each kind has its own

    def _shut(self) -> None:
        """Let no message go to the host, which is gone or is to be left."""
        raise NotImplementedError  # pragma: no cover - each kind has its own

    def _guest_ended(self, epoch: int) -> None:
        """Take the news that an incarnation is over, which comes behind the messages in the mailbox."""

    def _forward(
        self, data: bytes, buffers: Any, sender: ActorRef[Any] | None, asker: Relay | None, origin: HostLink
    ) -> None:
        """Send on a message that came from another process; never waits."""
        raise NotImplementedError  # pragma: no cover - each kind has its own


class RemoteRef(OffProcessBase):
    """A ref whose sends go over a link."""

    __slots__ = ()

    _home: Elsewhere  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, uid: int, elsewhere: Elsewhere, traits: Traits, name: str | None) -> None:
        super().__init__(uid, elsewhere, elsewhere, traits, name)
        self._state = IDLE

    @classmethod
    def gone(cls, here: ProcessNode, uid: int, path: str, traits: Traits) -> RemoteRef:
        """Return the ref of a dead actor, for a dead letter."""
        parent, _, name = path.rpartition("/")
        ref = cls(uid, Elsewhere(here, here.name, 0, parent), traits, name)
        ref._state = DEAD
        return ref

    def tell(self, message: Any) -> None:
        """Send a message; it is pickled before this returns.

        Raises:
            PayloadError: it does not pickle.
            ActorDeadError: its end is known here: its process is gone, or `watch`, `stop` or `is_alive` told so.
            MailboxFull: too much waits to be sent, and the actor's overflow is "fail".
        """
        if held(self, message, None):
            return
        elsewhere = self._home
        if self.uid in elsewhere.flow.full:
            elsewhere.flow.wait(self)
        elsewhere.way(self).tell(self, elsewhere.node, message, sender_of_this())

    def _send(self, message: Any, future: Future[Any] | None) -> None:
        if held(self, message, future):
            return
        elsewhere = self._home
        if self.uid in elsewhere.flow.full:
            elsewhere.flow.wait(self)
        link = elsewhere.way(self)
        if future is None:
            link.tell(self, elsewhere.node, message, sender_of_this())
            return
        if isinstance(future, RemoteFuture):
            future.link = link
        link.ask(self, elsewhere.node, message, sender_of_this(), future)

    def _arrive(self, message: Any, future: Future[Any] | None, sender: ActorRef[Any] | None) -> None:
        raise NotImplementedError  # pragma: no cover - a node sends on what is not for its own actors

    def _whereabouts(self) -> tuple[HostLink | None, str]:
        try:
            return self._home.way(self), self._home.node
        except ActorDeadError:
            return None, ""

    def is_alive(self) -> bool:
        """Ask where it lives; False if no answer comes in five seconds."""
        check_effect("ref.is_alive()")
        if self._state >= ENDING:
            return False
        future = RemoteFuture(self)
        try:
            link = self._home.way(self)
            future.link = link
            link.request(self._home.node, "alive", self.uid, future=future)
            alive = bool(future.get(timeout=ALIVE_SECONDS))
            if not alive:
                self._home._here.note_end(self.uid)
            return alive
        except ActorflowError:
            return False

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:
        """End the actor for good behind its queued messages; True if it was alive."""
        future = RemoteFuture(self)
        future._patient = not holds()
        stopped = future.map(bool)
        try:
            self._send(Stop(final=True), future)
            future._when_done(lambda: self._home.note_answer(self, future))
        except ActorDeadError:
            future._settle(value=False, error=None)
        return stopped.get(timeout=timeout) if block else stopped

    def _seek(self, path: list[str], origin: ActorRef[Any], future: Future[Any]) -> None:
        from actorflow.process.hosts.link.deadlock_probe import seek  # noqa: PLC0415 - made of nodes, as refs are

        seek(self._home._here, self._home.node, self, path, origin, future)

    def _away(self, here: ProcessNode, path: list[str], origin: int, home: str, number: int) -> bool:
        """Send a probe on to where the actor lives."""
        way = here.way_to(self._home.node)
        if way is not None and way.closed is None:
            way.note(self._home.node, "probe", self.uid, path, origin, home, number)
        return True


def holds() -> bool:
    """Say whether the handler of a durable actor runs here: it cannot wait for the answers to its own sends."""
    execution = CURRENT.get()
    return execution is not None and execution.holds


def held(ref: ActorRef[Any], message: Any, future: Future[Any] | None) -> bool:
    """Hold a send of a durable actor's handler until that is committed; False if it is none."""
    execution = CURRENT.get()
    if execution is None or not execution.holds:
        return False
    execution.hold(ref, message, future)
    return True


def sender_of_this() -> ActorRef[Any] | None:
    """Return the actor whose handler runs here."""
    execution = CURRENT.get()
    if execution is None:
        return None
    sender = execution.item[0]
    if sender is None and execution.item is not AT_REST:
        raise late_send()
    return sender
