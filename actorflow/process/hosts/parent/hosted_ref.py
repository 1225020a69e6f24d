"""HostedRef: the parent's side of an actor that runs in a child process.

In its parent's tree such an actor is an ordinary child whose incarnation is an Envoy: its `on_start` starts the real
one in the host, its `on_stop` stops it, and the end of the real one, by a crash or the death of the host, ends it. So
supervision needs no other rules for it. User messages do not pass here: they go from the sender to the host.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from actorflow.core.actors.actor import Actor
from actorflow.core.actors.traits import Options, Traits
from actorflow.core.atomic import at_once, exclusively
from actorflow.core.futures.future import Future, patient
from actorflow.core.futures.wait_graph import dead_before
from actorflow.core.messages.messages import Stop
from actorflow.core.refs.bounded_mailbox import Place, Room
from actorflow.core.refs.cell import ENDING
from actorflow.core.refs.ref import ActorRef
from actorflow.errors import HostDied, MailboxFull
from actorflow.process.hosts.link.envelope import Parcel
from actorflow.process.hosts.link.link import HostLink, Relay
from actorflow.process.hosts.link.node import for_dead_letter
from actorflow.process.hosts.link.reader import RemoteFuture
from actorflow.process.hosts.link.remote_ref import HostedBase, held, holds, sender_of_this
from actorflow.process.hosts.parent.envoy import Envoy
from actorflow.process.hosts.parent.host_process import HostProcess
from actorflow.process.hosts.parent.hosts import hosts_of
from actorflow.process.pickling import dumps
from actorflow.process.proxies import MANAGERS, MODULES, keep_proxies
from actorflow.text import plural

if TYPE_CHECKING:
    from actorflow.core.running.scheduler import Scheduler
    from actorflow.process.hosts.link.node import ProcessNode


def placed(traits: Traits, scheduler: Scheduler) -> tuple[type[ActorRef[Any]], Traits]:
    """Return the kind of ref, and the traits, by which this process knows an actor of another."""
    if scheduler.is_virtual:
        return scheduler.kinds[traits.options.capacity is not None], traits
    kind = HostedRef if traits.options.capacity is None else BoundedHostedRef
    return kind, HostedTraits(traits.actor_class, traits.options)


class HostedTraits(Traits):
    """Traits of an actor whose incarnation here is an Envoy; the real class's own traits hold in the host."""

    __slots__ = ()

    def __init__(self, actor_class: type[Actor], options: Options) -> None:
        super().__init__(actor_class, options)
        self.pinned = self.loop = self.blocks = False
        self.has_on_start = self.has_on_stop = self.has_async_on_stop = True


class HostedRef(HostedBase):
    """The ref of an actor in a child process, in the process that supervises it.

    `_link` is the way to it while it has a host; until then messages wait in `_backlog`. `_guest`: the host holds the
    actor, with or without an incarnation. `_epoch` counts incarnations, so that late news of an old one is dropped.
    `_sending`, of an actor that may move, has an entry for each send under way, and `_quiet` is set when there is none.
    """

    __slots__ = (
        "_backlog",
        "_backlog_size",
        "_epoch",
        "_gate",
        "_guest",
        "_host",
        "_link",
        "_quiet",
        "_returned",
        "_room",
        "_sending",
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._gate = threading.RLock()  # a finaliser may send while its thread is in here
        self._backlog: deque[Parcel] = deque()  # pyright: ignore[reportIncompatibleVariableOverride]
        self._backlog_size = 0
        self._room = Room()
        self._host: HostProcess | None = None
        self._link: HostLink | None = None
        self._guest = False
        self._epoch = 0
        # Was in the mailbox in the last host: it is older than the backlog.
        self._returned: deque[Parcel] = deque()  # pyright: ignore[reportIncompatibleVariableOverride]
        process = self._traits.options.host
        moves = process.max_messages is not None or process.max_age is not None  # type: ignore[union-attr]
        self._sending: deque[None] | None = deque() if moves else None
        self._quiet: Future[None] | None = None

    @property
    def _incarnation_class(self) -> type[Any]:
        return Envoy

    def _whereabouts(self) -> tuple[HostLink | None, str]:
        link = self._link
        return link, "" if link is None else link.name

    # --- sends -------------------------------------------------------------------------------------------------------

    def tell(self, message: Any) -> None:
        """Send a message; it is pickled before this returns.

        Raises:
            PayloadError: it does not pickle.
            ActorDeadError: the actor is dead.
            MailboxFull: too much waits to be sent, and the actor's overflow is "fail".
        """
        if self._state >= ENDING:
            raise self._dead()
        if held(self, message, None):
            return
        if self._sending is not None:
            self._send_counted(self._sending, message, None)
            return
        sender = sender_of_this()
        link = self._link
        if link is not None:
            link.tell(self, link.name, message, sender)
        else:
            self._send_later(message, None)

    def _send(self, message: Any, future: Future[Any] | None) -> None:
        if self._state >= ENDING:
            raise self._dead()
        if held(self, message, future):
            return
        if self._sending is not None:
            self._send_counted(self._sending, message, future)
        elif (link := self._link) is not None:
            self._send_by(link, message, future)
        else:
            self._send_later(message, future)

    def _send_later(self, message: Any, future: Future[Any] | None) -> None:
        """Send a message by a way that is not there yet."""
        data, buffers = dumps(message)
        if future is not None and MANAGERS in MODULES:
            keep_proxies(message, data, future)
        self._wait_for_host(data, buffers, future, sender_of_this())

    def _send_by(self, link: HostLink, message: Any, future: Future[Any] | None) -> None:
        sender = sender_of_this()
        if future is None:
            link.tell(self, link.name, message, sender)
            return
        if isinstance(future, RemoteFuture):
            future.link = link
        link.ask(self, link.name, message, sender, future)

    def _send_counted(self, sending: deque[None], message: Any, future: Future[Any] | None) -> None:
        """Send by a way that may be shut at any time: the shutting thread waits for sends under way."""
        sending.append(None)  # before the link is looked up
        link = self._link
        try:
            if link is not None:
                self._send_by(link, message, future)
        finally:
            sending.pop()
            quiet = self._quiet
            if quiet is not None and not sending:
                quiet._settle(None, None)
        if link is None:
            self._send_later(message, future)

    def _forward(
        self, data: bytes, buffers: Any, sender: ActorRef[Any] | None, asker: Relay | None, origin: HostLink
    ) -> None:
        """Send on a message that came from another process; never waits."""
        self._hold(Parcel(data, buffers, asker, sender), origin)

    def _wait_for_host(
        self, data: bytes, buffers: Any, future: Future[Any] | None, sender: ActorRef[Any] | None
    ) -> None:
        """Keep a message until the host is there; above the limit of waiting bytes, the sender waits."""
        parcel = Parcel(data, [memoryview(bytes(buffer)) for buffer in buffers], future, sender)
        limit = hosts_of(self._scheduler).limit
        if self._backlog_size > limit and self._link is None:
            if self._traits.options.overflow == "fail":
                msg = f"{self._backlog_size} bytes wait for {self.path}, whose process is being started"
                raise MailboxFull(msg)
            self._room.wait(Place(self), self._look_for_room)
        self._hold(parcel)

    def _look_for_room(self) -> None:
        if self._link is not None or self._state >= ENDING:
            self._room.close()

    def _hold(self, parcel: Parcel, origin: HostLink | None = None) -> None:
        exclusively(self._gate, lambda: self._keep(parcel, origin))

    def _keep(self, parcel: Parcel, origin: HostLink | None) -> None:
        link = self._link
        if link is not None:
            self._pass(link, parcel, origin)
        elif self._state < ENDING:
            self._backlog.append(parcel)
            self._backlog_size += len(parcel.data) + sum([buffer.nbytes for buffer in parcel.buffers])
            hosts = hosts_of(self._scheduler)
            if origin is not None and self._backlog_size > hosts.limit:
                fails = self._traits.options.overflow == "fail"
                hosts.node.flow.hold(self.uid, self, origin, fails=fails, starting=True)
        else:
            self._refuse(parcel, None)

    def _take_back(self, parcel: Parcel) -> None:
        """Take back messages of the mailbox from a host: they go out before those that have come meanwhile."""
        with self._gate:
            if self._link is None and self._state < ENDING:
                self._returned.append(parcel)
            else:
                self._hold(parcel)

    def _pass(self, link: HostLink, parcel: Parcel, origin: HostLink | None = None) -> None:
        """Write a message that has waited."""
        link.forward(self.uid, link.name, parcel.data, parcel.buffers, parcel.sender, parcel.future, origin)

    def _refuse(self, parcel: Parcel, cause: BaseException | None) -> None:
        """Answer a message that nobody will handle, or make it a dead letter."""
        error = dead_before(self, cause)
        if parcel.future is not None:
            parcel.future._settle(None, error)
            return
        message = for_dead_letter(parcel.data, parcel.buffers)
        hosts_of(self._scheduler).node.dead_letter(self, message, parcel.sender, cause or error)

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:
        """End the actor for good behind its queued messages; True if it was alive."""
        link = self._link
        if link is None or self._state >= ENDING:
            return super().stop(block=block, timeout=timeout)
        stopped: Future[bool] = patient(self)
        stopped._patient = not holds()
        reached: Future[Any] = Future()
        HostedRef._send(self, Stop(final=True), reached)  # a full mailbox is no reason to wait

        def go_on() -> None:
            if isinstance(reached._error, HostDied):  # it went with the mailbox; a restart shall not undo it
                self._scheduler.post(self, Stop(final=True), None)

        reached._when_done(go_on)
        self._scheduler.end_of(self)._when_done(lambda: stopped._settle(value=True, error=None))
        return stopped.get(timeout=timeout) if block else stopped

    # --- the way to the host -----------------------------------------------------------------------------------------

    def _open(self, link: HostLink) -> None:
        """Send the waiting messages first, as the actor is up."""
        with self._gate:
            if link.closed is not None or (self._host is not None and self._host.lost):
                return  # it has died or is to be left, and the news is in the mailbox: messages wait for the next host
            for waiting in (self._returned, self._backlog):
                while waiting:
                    self._pass(link, waiting.popleft())
            self._backlog_size = 0
            self._link = link
            self._admit()

    def _shut(self) -> None:
        """The way is gone: messages wait here."""
        with self._gate:
            self._link = None

    def _guest_ended(self, epoch: int) -> None:
        """Take the news that an incarnation is over, which comes behind the messages in the mailbox."""

    async def _shut_after_sends(self) -> None:
        """Shut the way, and wait until all that was being sent on it is: then nothing comes too late."""
        quiet = self._quiet = Future()
        self._shut()
        if not self._sending:
            quiet._settle(None, None)
        await quiet

    def _admit(self) -> None:
        self._room.close()
        if self._scheduler.hosts is not None:
            hosts_of(self._scheduler).node.flow.release(self.uid, self)

    def _close(self, cause: BaseException | None) -> None:
        """Refuse the waiting messages of a dead actor, and leave the host."""
        with self._gate:
            self._link = None
            parcels = [*self._returned, *self._backlog]
            self._returned.clear()
            self._backlog.clear()
            self._admit()
        for parcel in parcels:
            self._refuse(parcel, cause)
        host, self._host = self._host, None
        if host is not None:
            host.leave(self)

    def _way(self) -> HostLink | None:
        """Return the link to the host that holds the actor, though it may not be open to messages."""
        host = self._host
        return self._link if self._link is not None or host is None or not self._guest else host.link

    def _seek(self, path: list[str], origin: ActorRef[Any], future: Future[Any]) -> None:
        from actorflow.process.hosts.link.deadlock_probe import seek  # noqa: PLC0415 - made of nodes, as refs are

        link = self._way()
        if link is not None:
            seek(link.node, link.name, self, path, origin, future)

    def _away(self, here: ProcessNode, path: list[str], origin: int, home: str, number: int) -> bool:  # noqa: ARG002
        """Send a probe on to the host; False if there is none."""
        link = self._way()
        if link is None:
            return False
        link.note(link.name, "probe", self.uid, path, origin, home, number)
        return True


class BoundedHostedRef(HostedRef):
    """A hosted ref with a bounded mailbox: senders of this process keep to its capacity, by the host's reports.

    Messages that come from other processes do not wait here; those that find the mailbox full wait in the host.
    """

    __slots__ = ("_senders", "_under_way")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._under_way = 0  # messages that were sent and not taken out of the mailbox yet
        self._senders = Room()

    def tell(self, message: Any) -> None:
        """Send a message; when the mailbox is full, follow its `overflow`."""
        self._send_in(lambda: super(BoundedHostedRef, self).tell(message))

    def _send(self, message: Any, future: Future[Any] | None) -> None:
        self._send_in(lambda: super(BoundedHostedRef, self)._send(message, future))

    def _send_in(self, send: Callable[[], None]) -> None:
        """Send a message once there is a place for it; wherever that is interrupted, the place is another's then."""
        place = Place(self)  # done once it is had
        try:
            self._reserve(place)
            send()
        except BaseException:
            try:
                exclusively(self._gate, lambda: self._return(place))
            except BaseException:  # a second signal
                exclusively(self._gate, lambda: self._return(place))
                raise
            raise

    def _reserve(self, place: Place) -> None:
        """Wait for a place in the mailbox, unless nobody has to."""
        options = self._traits.options
        if options.overflow == "drop_oldest" or self._state >= ENDING:  # the host drops, a dead one refuses
            return
        if not exclusively(self._gate, lambda: self._enter(place, options)):
            place.get()

    def _enter(self, place: Place, options: Options) -> bool:
        """Take a place, or stand in line for one: False."""
        assert options.capacity is not None
        if self._under_way < options.capacity:
            at_once(partial(setattr, self, "_under_way", self._under_way + 1), partial(setattr, place, "_done", True))
            return True
        if options.overflow == "fail":
            msg = f"{self.path} holds its {plural(options.capacity, 'message')}"
            raise MailboxFull(msg)
        self._senders.join(place)
        return False

    def _return(self, place: Place) -> None:
        """Leave the line for a place, or give it back."""
        if not self._senders.leave(place) and place._done:
            at_once(partial(setattr, place, "_done", False), partial(setattr, self, "_under_way", self._under_way - 1))
        self._let_in(0)

    def _taken(self, count: int) -> None:
        """Let waiting senders go on."""
        exclusively(self._gate, lambda: self._let_in(count))

    def _let_in(self, count: int) -> None:
        capacity = self._traits.options.capacity
        assert capacity is not None
        self._under_way = max(0, self._under_way - count)
        while self._senders and (self._under_way < capacity or self._state >= ENDING):
            self._under_way += 1
            self._senders.admit()

    def _shut(self) -> None:
        super()._shut()
        self._taken(self._under_way)  # the mailbox went with the host

    def _close(self, cause: BaseException | None) -> None:
        super()._close(cause)
        self._taken(self._under_way)
