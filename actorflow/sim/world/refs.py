"""Refs of a simulated node: their sends and answers take the network if they go to another host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from actorflow.core.futures.future import Future
from actorflow.core.messages.execution import CURRENT
from actorflow.core.messages.messages import Call
from actorflow.core.refs.bounded_mailbox import BoundedRef
from actorflow.core.refs.cell import ENDING
from actorflow.core.refs.ref import ActorRef
from actorflow.errors import HostDied, PayloadError
from actorflow.process.hosts.parent.virtual_host import CopyingBase, copied_arguments
from actorflow.process.pickling import dump_error, dumps, load_error, loads
from actorflow.sim.world.host import SimHost
from actorflow.text import stable_text

if TYPE_CHECKING:
    from actorflow.sim.world.scheduler import SimScheduler

CURRENT_GET = CURRENT.get
LABEL: Final = 60  # characters of a message's text, in a diagram


class LateFuture(Future[Any]):
    """The answer of an actor of another host: it comes by the network."""

    __slots__ = ("_asker", "_is_sent")

    def __init__(self, target: ActorRef[Any] | None = None, asker: SimHost | None = None) -> None:
        super().__init__(target)
        self._asker = asker
        self._is_sent = False

    def _settle(self, value: Any, error: BaseException | None) -> bool:
        if self._is_sent or self._done:
            return False
        self._is_sent = True
        size = 0
        if error is None:
            try:
                data, buffers = dumps(value, "the answer")
                value, size = loads(data, buffers), len(data)
            except Exception as failure:  # noqa: BLE001 - PayloadError, or user code that failed: the asker's
                value, error = None, failure
        if error is not None:
            error = load_error(dump_error(error))
        target, asker = self._target, self._asker
        assert target is not None
        assert asker is not None
        scheduler: Any = target._scheduler
        network = scheduler.world.network
        network.send(
            scheduler.hosts_here.of(target),
            asker,
            lambda: (target.path, asker.name, "answer" if error is None else f"error {type(error).__name__}"),
            lambda: Future._settle(self, value, error),
            lambda: None,  # who asked has died
            size,
        )
        return True

    def lose(self, error: BaseException) -> None:
        """Tell the asker at once that no answer will come, as its process hears of the death of another."""
        self._is_sent = True
        Future._settle(self, None, error)


class SimBase(CopyingBase):
    """The base of refs of a simulated node."""

    __slots__ = ()

    _virtual_host: SimHost  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, *args: Any) -> None:
        super(CopyingBase, self).__init__(*args)
        scheduler: SimScheduler = self._scheduler  # type: ignore[assignment]
        self._virtual_host = scheduler.hosts_here.begin(self)  # pyright: ignore[reportIncompatibleVariableOverride]

    def _arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments as an incarnation gets them: copies, if its parent is in another process.

        They are shared if they do not pickle: an app that runs in one process may have such.
        """
        owner = self._parent.owner
        scheduler: Any = self._scheduler
        if not (args or kwargs) or (owner is not None and scheduler.hosts_here.of(owner) is self._virtual_host):
            return args, kwargs
        try:
            return copied_arguments(self, args, kwargs)
        except PayloadError:
            return args, kwargs

    def _source(self, sender: ActorRef[Any] | None) -> SimHost | None:
        """Return the host that a message of a sender comes from, if that is another one."""
        if sender is None:
            return None
        scheduler: Any = sender._scheduler
        if getattr(scheduler, "number", -1) < 0:
            return None  # a client, that may wait; or an actor outside of the simulation, in whose handler it runs
        source: SimHost = scheduler.hosts_here.of(sender)
        return None if source is self._virtual_host else source

    def _is_near(self) -> bool:
        execution = CURRENT_GET()
        sender = None if execution is None else execution.receiver
        return self._source(sender) is None

    def _future_for(self, target: ActorRef[Any]) -> Future[Any]:
        execution = CURRENT_GET()
        source = self._source(None if execution is None else execution.receiver)
        return Future(target) if source is None else LateFuture(target, source)

    _future_class: ClassVar[Any] = _future_for

    def tell(self, message: Any) -> None:
        """Send a message; a copy, by the network, if it goes to another host."""
        try:
            sender: Any = CURRENT_GET().item[0]  # type: ignore[union-attr]
            if sender._virtual_host is self._virtual_host and self._state < ENDING:
                world: Any = self._scheduler._world  # type: ignore[attr-defined]
                world.inbox.append((self, message, None, sender, world.cause))  # open, as a handler of it runs
                return
        except AttributeError:  # it is no actor, or a durable one
            pass
        self._send(message, None)

    def _send(self, message: Any, future: Future[Any] | None) -> None:
        if self._state >= ENDING:
            raise self._dead()
        execution = CURRENT_GET()
        sender = None
        if execution is not None:
            sender = execution.item[0]
            if sender is None:
                execution.hold(self, message, future)
                return
        self._post(message, future, sender)

    def _arrive(self, message: Any, future: Future[Any] | None, sender: ActorRef[Any] | None) -> None:
        """Send a message of a handler whose sends leave after its commit."""
        self._post(message, future, sender)

    def _post(self, message: Any, future: Future[Any] | None, sender: ActorRef[Any] | None) -> None:
        scheduler: SimScheduler = self._scheduler  # type: ignore[assignment]
        world = scheduler.world
        if sender is not None:
            source = self._source(sender)
            if source is not None:
                self._cross(message, future, sender, source)
                return
        elif world.is_entered():
            if not world.begin_event(lambda: f"{worded(message)} to {self.path}", is_asked=future is not None):
                return  # left out of this run
        elif world.is_called:
            world.add_words(lambda: f", {worded(message)} to {self.path}")
        self._enqueue((self, message, future, sender, world.cause))

    def _enqueue(self, item: Any) -> None:
        """Put an item into the mailbox."""
        scheduler: SimScheduler = self._scheduler  # type: ignore[assignment]
        scheduler.inbox.append(item)
        if scheduler.idle:
            scheduler.wake()

    def _cross(self, message: Any, future: Future[Any] | None, sender: ActorRef[Any], source: SimHost) -> None:
        data, buffers = dumps(message)
        copy = loads(data, buffers)
        scheduler: SimScheduler = self._scheduler  # type: ignore[assignment]
        world = scheduler.world

        def deliver() -> None:
            self._enqueue((self, copy, future, sender, world.cause))

        def lose() -> None:
            error = HostDied(self.path, signal=9, maybe_ran=False, host=self._virtual_host.name)
            if isinstance(future, LateFuture):
                future.lose(error)
            elif future is not None:
                future._settle(None, error)
            else:
                scheduler.events.dead_letter(self, copy, sender, error)

        world.network.send(
            source, self._virtual_host, lambda: (sender.path, self.path, labelled(copy)), deliver, lose, len(data)
        )


def labelled(message: Any) -> str:
    """Return the name of a message in a diagram: that of its method, or its class."""
    name = getattr(message, "name", None)
    if isinstance(name, str):
        return name
    event = getattr(message, "event", None)
    return stable_text(message if event is None else event, LABEL)


def worded(message: Any) -> str:
    """Return a message in words, with its arguments; refs are their paths."""
    if not isinstance(message, Call):
        return stable_text(message, LABEL)
    values = [(f"{name}=", value) for name, value in message.kwargs.items()]
    arguments = [("", value) for value in message.args] + values
    texts = (
        name + (value.path if isinstance(value, ActorRef) else stable_text(value, LABEL)) for name, value in arguments
    )
    return f"{message.name}({', '.join(texts)})"


class SimRef(SimBase):
    """A ref of a simulated node."""

    __slots__ = ("_virtual_host",)


class BoundedSimRef(SimBase, BoundedRef):
    """A ref with a bounded mailbox of a simulated node. Messages of other hosts do not wait in their senders."""

    __slots__ = ("_virtual_host",)

    def tell(self, message: Any) -> None:
        """Send a message."""
        self._send(message, None)

    def _post(self, message: Any, future: Future[Any] | None, sender: ActorRef[Any] | None) -> None:
        if self._source(sender) is not None:
            super()._post(message, future, sender)
            return
        item = (self, message, future, sender)
        if not self._enter(item):
            self._wait_for_room(item)

    def _enqueue(self, item: Any) -> None:
        _, message, future, sender, _ = item  # a mailbox hands on no cause
        BoundedRef._arrive(self, message, future, sender)


SIM_KINDS: Final = (SimRef, BoundedSimRef)
