"""Lodge: the parent's side of an actor that runs in a child process. Layer 2.

In its parent's tree such an actor is an ordinary child whose incarnation is an Envoy: its `on_start` starts the real
one in the host, its `on_stop` stops it, and what ends the real one, a crash or the death of the host, ends it. So
supervision needs no other rules for it. User messages do not pass here: they go from the sender to the host.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any

from actorflow.core.actor import HANDLERS, Actor
from actorflow.core.burial import SILENT
from actorflow.core.future import Future, patient
from actorflow.core.messages import Ended, Stop
from actorflow.core.ref import ENDING, ActorRef
from actorflow.core.traits import Traits
from actorflow.core.waits import dead_before
from actorflow.errors import ActorDeadError, HostDied, MailboxFull, PayloadError, Stopping
from actorflow.process.host.hosts import Host, hosts_of
from actorflow.process.host.link import Link, Relay
from actorflow.process.host.node import for_dead_letter
from actorflow.process.host.pickled import PickledBoundedRef, PickledRef
from actorflow.process.host.remote import Away, held, sender_of_this
from actorflow.process.host.requests import REQUESTS, Request
from actorflow.process.host.wait import RemoteFuture
from actorflow.process.payload import dumps, load_error

if TYPE_CHECKING:
    from actorflow.core.scheduler import Scheduler

OWN_SHARE = 0.9  # of the shutdown time: then the host abandons the actor itself, and need not be killed


def lodge(traits: Traits, scheduler: Scheduler) -> tuple[type[ActorRef[Any]], Traits]:
    """Return the kind of ref, and the traits, by which this process knows an actor of another."""
    if scheduler.is_virtual:
        return (PickledRef if traits.options.capacity is None else PickledBoundedRef), traits
    kind = HostedRef if traits.options.capacity is None else BoundedHostedRef
    return kind, HostedTraits(traits.actor_class, traits.options)


class HostedTraits(Traits):
    """Traits of an actor whose incarnation here is an Envoy: what its class says holds in the host."""

    __slots__ = ()

    def __init__(self, actor_class: type[Actor], options: Any) -> None:
        super().__init__(actor_class, options)
        self.pinned = self.loop = self.blocks = False
        self.has_on_start = self.has_on_stop = self.has_async_on_stop = True


class Parcel:
    """A pickled message that waits for its host: while it starts, or starts again."""

    __slots__ = ("buffers", "data", "future", "sender")

    def __init__(self, data: bytes, buffers: Any, future: Any, sender: ActorRef[Any] | None) -> None:
        self.data = data
        self.buffers = buffers
        self.future = future
        self.sender = sender


class HostedRef(Away):
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
        self._backlog: deque[Parcel] = deque()
        self._backlog_size = 0
        self._room: list[Future[None]] = []
        self._host: Host | None = None
        self._link: Link | None = None
        self._guest = False
        self._epoch = 0
        self._returned: deque[Parcel] = deque()  # was in the mailbox in the last host: it is older than the backlog
        process = self._traits.options.host
        moves = process.max_messages is not None or process.max_age is not None  # type: ignore[union-attr]
        self._sending: deque[None] | None = deque() if moves else None
        self._quiet: Future[None] | None = None

    @property
    def _incarnation_class(self) -> type[Any]:
        return Envoy

    def _whereabouts(self) -> tuple[Link | None, str]:
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
            self._wait_for_host(*dumps(message), None, sender)

    def _send(self, message: Any, future: Any) -> None:
        if self._state >= ENDING:
            raise self._dead()
        if held(self, message, future):
            return
        if self._sending is not None:
            self._send_counted(self._sending, message, future)
        elif (link := self._link) is not None:
            self._send_by(link, message, future)
        else:
            self._wait_for_host(*dumps(message), future, sender_of_this())

    def _send_by(self, link: Link, message: Any, future: Any) -> None:
        sender = sender_of_this()
        if future is None:
            link.tell(self, link.name, message, sender)
            return
        if future.__class__ is RemoteFuture:
            future.link = link
        link.ask(self, link.name, message, sender, future)

    def _send_counted(self, sending: deque[None], message: Any, future: Any) -> None:
        """Send by a way that may be shut at any time: who shuts it waits for the sends that are under way."""
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
            self._wait_for_host(*dumps(message), future, sender_of_this())

    def _forward(self, data: bytes, buffers: Any, sender: Any, asker: Relay | None) -> None:
        """Send on a message that came from another process; never waits."""
        self._hold(Parcel(data, buffers, asker, sender))

    def _wait_for_host(self, data: bytes, buffers: Any, future: Any, sender: ActorRef[Any] | None) -> None:
        """Keep a message until the host is there; above the limit of what may wait, the sender waits."""
        parcel = Parcel(data, [memoryview(bytes(buffer)) for buffer in buffers], future, sender)
        limit = hosts_of(self._scheduler).limit
        if self._backlog_size > limit and self._link is None:
            if self._traits.options.overflow == "fail":
                msg = f"{self._backlog_size} bytes wait for {self.path}, whose process is being started"
                raise MailboxFull(msg)
            room: Future[None] = patient(self)
            with self._gate:
                self._room.append(room)
                if self._link is not None or self._state >= ENDING:
                    room._settle(None, None)
            room.get()
        self._hold(parcel)

    def _hold(self, parcel: Parcel) -> None:
        with self._gate:
            link = self._link
            if link is not None:
                self._pass(link, parcel)
            elif self._state < ENDING:
                self._backlog.append(parcel)
                self._backlog_size += len(parcel.data) + sum([buffer.nbytes for buffer in parcel.buffers])
            else:
                self._refuse(parcel, None)

    def _take_back(self, parcel: Parcel) -> None:
        """Take what a host returns of the mailbox: it goes out before what has come meanwhile."""
        with self._gate:
            if self._link is None and self._state < ENDING:
                self._returned.append(parcel)
            else:
                self._hold(parcel)

    def _pass(self, link: Link, parcel: Parcel) -> None:
        """Write a message that has waited."""
        link.forward(self.uid, link.name, parcel.data, parcel.buffers, parcel.sender, parcel.future)

    def _refuse(self, parcel: Parcel, cause: BaseException | None) -> None:
        """Answer a message that nobody will handle, or make it a dead letter."""
        error = dead_before(self, cause)
        if parcel.future is not None:
            parcel.future._settle(None, error)
            return
        message = for_dead_letter(parcel.data, parcel.buffers)
        hosts_of(self._scheduler).node.dead_letter(self, message, parcel.sender, cause or error)

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:
        """End the actor for good behind what is queued; True if it was alive."""
        link = self._link
        if link is None or self._state >= ENDING:
            return super().stop(block=block, timeout=timeout)
        stopped: Future[bool] = patient(self)
        reached: Future[Any] = Future()
        HostedRef._send(self, Stop(final=True), reached)  # a full mailbox is no reason to wait

        def go_on() -> None:
            if isinstance(reached._error, HostDied):  # it went with the mailbox; a restart shall not undo it
                self._scheduler.post(self, Stop(final=True), None)

        if not reached._add_waiter(go_on):
            go_on()
        self._scheduler.end_of(self)._add_waiter(lambda: stopped._settle(value=True, error=None))
        return stopped.get(timeout=timeout) if block else stopped

    # --- the way to the host -----------------------------------------------------------------------------------------

    def _open(self, link: Link) -> None:
        """The actor is up: what has waited goes out first."""
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

    async def _shut_after_sends(self) -> None:
        """Shut the way, and wait until all that was being sent on it is: then nothing comes too late."""
        quiet = self._quiet = Future()
        self._shut()
        if not self._sending:
            quiet._settle(None, None)
        await quiet

    def _admit(self) -> None:
        rooms, self._room = self._room, []
        for room in rooms:
            room._settle(None, None)

    def _close(self, cause: BaseException | None) -> None:
        """The actor is dead: refuse what waits, and leave the host."""
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

    def _way(self) -> Link | None:
        """Return the link to the host that holds the actor, though it may not be open to messages."""
        host = self._host
        return self._link if self._link is not None or host is None or not self._guest else host.link

    def _seek(self, path: list[str], origin: ActorRef[Any], future: Future[Any]) -> None:
        from actorflow.process.host.cycles import seek  # noqa: PLC0415 - made of nodes, as refs are

        link = self._way()
        if link is not None:
            seek(link.node, link.name, self, path, origin, future)

    def _away(self, here: Any, path: list[str], origin: int, home: str, number: int) -> bool:  # noqa: ARG002
        """Send a probe on to the host; False if there is none."""
        link = self._way()
        if link is None:
            return False
        link.note(link.name, "probe", self.uid, path, origin, home, number)
        return True


class BoundedHostedRef(HostedRef):
    """The same for a bounded mailbox: senders of this process keep to its capacity, by what the host reports.

    Messages that come from other processes do not wait here; those that find the mailbox full wait in the host.
    """

    __slots__ = ("_senders", "_under_way")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._under_way = 0  # messages that were sent and not taken out of the mailbox yet
        self._senders: deque[Future[None]] = deque()

    def tell(self, message: Any) -> None:
        """Send a message; when the mailbox is full, do what its `overflow` says."""
        reserved = self._reserve()
        try:
            super().tell(message)
        except BaseException:
            self._taken(reserved)
            raise

    def _send(self, message: Any, future: Any) -> None:
        reserved = self._reserve()
        try:
            super()._send(message, future)
        except BaseException:
            self._taken(reserved)
            raise

    def _reserve(self) -> int:
        """Wait for room in the mailbox; returns how many places were taken: 1, or 0 if nobody has to wait."""
        options = self._traits.options
        if options.overflow == "drop_oldest" or self._state >= ENDING:  # the host drops, a dead one refuses
            return 0
        assert options.capacity is not None
        room: Future[None] = patient(self)
        with self._gate:
            if self._under_way < options.capacity:
                self._under_way += 1
                return 1
            if options.overflow == "fail":
                msg = f"{self.path} holds its {options.capacity} messages"
                raise MailboxFull(msg)
            self._senders.append(room)
        try:
            room.get()
        except BaseException:
            with self._gate:
                if room in self._senders:
                    self._senders.remove(room)
                else:  # it was let in: the place is another's now
                    self._taken(1)
            raise
        return 1

    def _taken(self, count: int) -> None:
        """Let waiting senders go on."""
        capacity = self._traits.options.capacity
        assert capacity is not None
        with self._gate:
            self._under_way = max(0, self._under_way - count)
            while self._senders and (self._under_way < capacity or self._state >= ENDING):
                self._under_way += 1
                self._senders.popleft()._settle(None, None)

    def _shut(self) -> None:
        super()._shut()
        self._taken(self._under_way)  # the mailbox went with the host

    def _close(self, cause: BaseException | None) -> None:
        super()._close(cause)
        self._taken(self._under_way)


class Envoy(Actor):
    """Stands in the parent's tree for an incarnation in another process."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        ref: Any = self._actor_ref
        cls = ref.actor_class
        try:
            data, buffers = dumps((cls, args, kwargs), cls.__name__)
        except PayloadError:
            for part in (*args, *kwargs.values()):  # one by one: the error is to name the argument
                dumps(part, f"an argument of {cls.__name__}")
            raise
        self.recipe = (data, [PickleBuffer(bytearray(buffer)) for buffer in buffers])

    async def on_start(self) -> None:  # type: ignore[override]
        """Have a host, and start the actor in it."""
        ref: Any = self._actor_ref
        hosts = hosts_of(ref._scheduler)
        if ref._host is not None and ref._host.lost:
            await self.hand_back(ref._host)
        if ref._host is None or ref._host.link.closed is not None:  # it may have died while the actor was started
            ref._host = hosts.host_for(ref)
            ref._guest = False
        host = ref._host
        await host.ready
        link = host.link
        ref._epoch += 1
        if ref._guest:
            await link.request(link.name, "start", ref.uid, ref._epoch)
        else:
            options = ref._traits.options.override(host=None)
            restart = ref._parent.restart_of(ref._traits)
            recipe = (*self.recipe, options, restart)
            ref._guest = True  # from here on: it is to be buried there, even if this is interrupted
            try:
                await link.request(link.name, "spawn", ref.uid, ref._epoch, ref.path, ref.parent, recipe)
            except Stopping:
                link.note(link.name, "exit", ref.uid, False, 0.0)
                raise
            except Exception:
                ref._guest = False
                raise
        ref._open(link)
        if host.lost and link.closed is None:  # the actor has crashed while it was to move out
            ref._scheduler.post(ref, Move(host), None)

    async def on_stop(self) -> None:  # type: ignore[override]
        """Stop the actor: behind what is queued, or, if a supervisor wants it, after its current handler."""
        ref: Any = self._actor_ref
        host = ref._host
        if host is None or not ref._guest or host.link.closed is not None:
            return
        link = host.link
        exit_ = ref._life.exit if ref._life is not None else None
        host.ending.add(ref)
        try:
            if exit_ is None:
                ref._guest = False
                await link.request(link.name, "stop", ref.uid)
            else:
                seconds = ref._traits.options.shutdown * OWN_SHARE
                ref._guest = exit_.restart
                ref._guest = await link.request(link.name, "exit", ref.uid, exit_.restart, seconds) and exit_.restart
            host.ending.discard(ref)
        except HostDied:
            return
        except Stopping:  # a supervisor wants it at once, while it worked off its mailbox
            link.note(link.name, "exit", ref.uid, False, 0.0)
        except GeneratorExit:  # abandoned: the host itself does not answer
            host.kill()
            raise

    async def move(self, host: Host) -> None:
        """Leave a host that is to be replaced for the next: the actor stops normally, and starts anew there."""
        ref: Any = self._actor_ref
        link = host.link
        await ref._shut_after_sends()  # messages wait here meanwhile
        if not await link.request(link.name, "move out", ref.uid):
            return  # it crashed, or was stopped: the news is in the mailbox
        self.leave(host)
        await self.on_start()

    async def hand_back(self, host: Host) -> None:
        """Leave a host that is to be replaced, with the mailbox: the actor has no incarnation there."""
        ref: Any = self._actor_ref
        link = host.link
        if link.closed is None and ref._guest:
            await ref._shut_after_sends()
            with contextlib.suppress(HostDied):
                await link.request(link.name, "hand back", ref.uid)
        self.leave(host)

    def leave(self, host: Host) -> None:
        """Have no host."""
        ref: Any = self._actor_ref
        ref._host = None
        ref._guest = False
        host.leave(ref)


class GuestEnded:
    """News from a host: an incarnation is over."""

    __slots__ = ("epoch", "error", "final")

    def __init__(self, epoch: int, error: BaseException | None, *, final: bool) -> None:
        self.epoch = epoch
        self.error = error
        self.final = final

    def __repr__(self) -> str:
        return f"GuestEnded({self.error!r})"


class HostLost:
    """News: a host is gone, and its actors with it."""

    __slots__ = ("error", "host")

    def __init__(self, host: Host, error: BaseException) -> None:
        self.host = host
        self.error = error

    def __repr__(self) -> str:
        return f"HostLost({self.error!r})"


class Move:
    """News: a host has served its time."""

    __slots__ = ("host",)

    def __init__(self, host: Host) -> None:
        self.host = host

    def __repr__(self) -> str:
        return "Move()"


def run_move(ref: Any, message: Move) -> Any:
    """Move to another process, unless that has come to pass already."""
    return ref._actor.move(message.host) if ref._host is message.host and ref._guest else None


def run_guest_ended(ref: Any, message: GuestEnded) -> Ended | None:
    """End the Envoy as its actor has ended."""
    if message.epoch != ref._epoch:
        return None
    if message.final or not (message.error is None or ref._parent.will_restart(ref, message.error)):
        ref._guest = False
    return over(ref, message, message.error, final=message.final)


def run_host_lost(ref: Any, message: HostLost) -> Ended | None:
    """Crash the Envoy: its actor's process has died."""
    if ref._host is not message.host:
        return None
    ref._host = None
    ref._guest = False
    return over(ref, message, message.error, final=False)


def over(ref: Any, message: Any, error: BaseException | None, *, final: bool) -> Ended:
    """Make the outcome of an ended incarnation; the message that ended it is no dead letter."""
    answered: Future[None] = Future()
    answered._settle(None, None)
    return Ended(error, (ref, message, answered, None), final=final, last_done=True)


HANDLERS.update({GuestEnded: run_guest_ended, HostLost: run_host_lost, Move: run_move})
SILENT.update({GuestEnded, HostLost, Move})


# --- what hosts tell their parent ------------------------------------------------------------------------------------


def ended(request: Request, uid: int, epoch: int, error: bytes | None, final: bool) -> None:
    """An actor in the host has ended, or its incarnation has."""
    ref = request.node.find(uid)
    if ref is not None:
        reason = None if error is None else load_error(error)
        ref._scheduler.post_work(lambda: tell_of_end(ref, GuestEnded(epoch, reason, final=final)))


def tell_of_end(ref: ActorRef[Any], message: GuestEnded) -> None:
    """Tell the Envoy; one that waits for its restart has nobody to restart any more."""
    if not (message.final and ref._parent.bury_between(ref)):
        ref._scheduler.post(ref, message, None)


def dead_letter(
    request: Request, uid: int, path: str, message: Any, sender: ActorRef[Any] | None, error: bytes | None
) -> None:
    """A message of the host's was not handled."""
    node = request.node
    ref = node.find(uid)
    if ref is None:
        ref = node.find_dead(uid, path)
    node.dead_letter(ref, message, sender, None if error is None else load_error(error))


def taken(request: Request, uid: int, count: int) -> None:
    """A bounded mailbox in the host has room again."""
    ref: Any = request.node.find(uid)
    if ref is not None:
        ref._taken(count)


def returned(request: Request, uid: int, data: bytes, buffers: Any, sender: Any, number: int | None) -> None:
    """A message was in the mailbox of an actor that has left the host, or is sent to it there."""
    link, node = request.link, request.node
    future = Relay(link, request.number) if request.number is not None else None
    if number is not None:
        future = link._close_ask(number)
    parcel = Parcel(data, buffers, future, sender)
    ref: Any = node.find(uid)
    if ref is not None:
        ref._take_back(parcel)
    elif future is not None:
        future._settle(None, ActorDeadError(f"no actor has the number {uid} any more: it is dead"))
    else:
        node._nobody(link, uid, data, buffers, None, sender)


def interrupt(request: Request) -> None:
    """A handler in the host raised KeyboardInterrupt."""
    request.node.scheduler.post_work(request.node.scheduler.events.interrupted)


def worn_out(request: Request) -> None:
    """The host has handled its share of messages."""
    for host in list(hosts_of(request.node.scheduler).all):
        if host.link is request.link:
            host.recycle()


REQUESTS.update({"taken": taken, "ended": ended, "dead letter": dead_letter, "returned": returned})
REQUESTS.update({"interrupt": interrupt, "worn out": worn_out})
