"""Envoy: the stand-in, in the parent's tree, of an incarnation in a host, and the news that end it."""

from __future__ import annotations

import contextlib
import dataclasses
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any, cast

from actorflow.core.actors.actor import Actor
from actorflow.core.futures.future import Future
from actorflow.core.messages.handlers import handles
from actorflow.core.messages.messages import Ended
from actorflow.core.running.drain import CLEANUP
from actorflow.errors import ActorDeadError, HostDied, PayloadError, Stopping
from actorflow.process.hosts.link.envelope import Parcel
from actorflow.process.hosts.link.link import HostLink, Relay
from actorflow.process.hosts.link.news import GuestEnded, HostLost, MoveOut
from actorflow.process.hosts.link.remote_ref import HostedBase
from actorflow.process.hosts.link.requests import REQUESTS, Request
from actorflow.process.hosts.parent.host_process import HostProcess
from actorflow.process.hosts.parent.hosts import hosts_of
from actorflow.process.pickling import dumps, load_error

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.process.hosts.link.link import Asker
    from actorflow.process.hosts.link.node import ProcessNode
    from actorflow.process.hosts.parent.hosted_ref import BoundedHostedRef, HostedRef

OWN_SHARE = 0.9  # of the shutdown time: then the host abandons the actor itself, and need not be killed


def end_guest(link: HostLink, ref: ActorRef[Any], *, restart: bool = False) -> Future[Any]:
    """Ask the process to end an incarnation, which has most of its shutdown time, or of the grace time, for that."""
    drain = ref._scheduler.drain
    seconds = ref._traits.options.shutdown if drain is None else drain.left() + CLEANUP
    return link.request(link.name, "exit", ref.uid, restart, seconds * OWN_SHARE)


class Envoy(Actor):
    """Stands in the parent's tree for an incarnation in another process."""

    _actor_ref: HostedBase  # pyright: ignore[reportIncompatibleVariableOverride]

    stays = True  # between two incarnations the actor is in the host, with its mailbox

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        ref = self._actor_ref
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
        ref = self._actor_ref
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
            options = dataclasses.replace(ref._traits.options, host=None)
            restart = ref._parent.restart_of(ref._traits)
            recipe = (*self.recipe, options, restart, None)
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
            ref._scheduler.post(ref, MoveOut(host), None)

    async def on_stop(self) -> None:  # type: ignore[override]
        """Stop the actor: behind its queued messages, or, if a supervisor wants it, after its current handler."""
        ref = self._actor_ref
        host = ref._host
        if host is None or not ref._guest or host.link.closed is not None:
            return
        link = host.link
        exit_ = ref._cold.exit if ref._cold is not None else None
        host.ending.add(ref)
        try:
            if exit_ is None:
                ref._guest = False
                await link.request(link.name, "stop", ref.uid)
            else:
                ref._guest = restart = exit_.restart and self.stays
                ref._guest = await end_guest(link, ref, restart=restart) and restart
            host.ending.discard(ref)
        except HostDied:
            return
        except Stopping:  # a supervisor wants it at once, while it worked off its mailbox
            seconds = 0.0 if ref._scheduler.drain is None else CLEANUP * OWN_SHARE
            link.note(link.name, "exit", ref.uid, False, seconds)
        except GeneratorExit:  # abandoned: the host itself does not answer
            host.kill()
            raise

    async def move(self, host: HostProcess) -> None:
        """Leave a host that is to be replaced for the next: the actor stops normally, and starts anew there."""
        ref = cast("HostedRef", self._actor_ref)
        link = host.link
        await ref._shut_after_sends()  # messages wait here meanwhile
        if not await link.request(link.name, "move out", ref.uid):
            return  # it crashed, or was stopped: the news is in the mailbox
        self.leave(host)
        await self.on_start()

    async def hand_back(self, host: HostProcess) -> None:
        """Leave a host that is to be replaced, with the mailbox: the actor has no incarnation there."""
        ref = cast("HostedRef", self._actor_ref)
        link = host.link
        if link.closed is None and ref._guest:
            await ref._shut_after_sends()
            with contextlib.suppress(HostDied):
                await link.request(link.name, "hand back", ref.uid)
        self.leave(host)

    def leave(self, host: HostProcess) -> None:
        """Have no host."""
        ref = self._actor_ref
        ref._host = None
        ref._guest = False
        host.leave(ref)


@handles(MoveOut, silent=True)
def run_move(ref: HostedBase, message: MoveOut) -> Any:
    """Move to another process, unless that has come to pass already."""
    return cast("Envoy", ref._actor).move(message.host) if ref._host is message.host and ref._guest else None


@handles(GuestEnded, silent=True)
def run_guest_ended(ref: HostedBase, message: GuestEnded) -> Ended | None:
    """End the Envoy as its actor has ended."""
    if message.epoch != ref._epoch:
        return None
    if message.final or not (message.error is None or ref._parent.will_restart(ref, message.error)):
        ref._guest = False
    ref._guest = ref._guest and cast("Envoy", ref._actor).stays
    return over(ref, message, message.error, final=message.final)


@handles(HostLost, silent=True)
def run_host_lost(ref: HostedBase, message: HostLost) -> Ended | None:
    """Crash the Envoy: its actor's process has died."""
    if ref._host is not message.host:
        return None
    ref._host = None
    ref._guest = False
    return over(ref, message, message.error, final=False)


def over(ref: HostedBase, message: Any, error: BaseException | None, *, final: bool) -> Ended:
    """Make the outcome of an ended incarnation; the message that ended it is no dead letter."""
    answered: Future[None] = Future()
    answered._settle(None, None)
    return Ended(error, (ref, message, answered, None), final=final, last_done=True)


# --- news from hosts to their parent ---------------------------------------------------------------------------------


def hosted(node: ProcessNode, uid: int) -> HostedBase | None:
    """Return the ref of an actor that this process has in a host."""
    ref = node.find(uid)
    return ref if isinstance(ref, HostedBase) else None


def ended(request: Request, uid: int, epoch: int, error: bytes | None, final: bool) -> None:
    """An actor in the host has ended, or its incarnation has."""
    ref = hosted(request.node, uid)
    if ref is not None:
        reason = None if error is None else load_error(error)
        ref._scheduler.post_work(lambda: tell_of_end(ref, GuestEnded(epoch, reason, final=final)))


def tell_of_end(ref: HostedBase, message: GuestEnded) -> None:
    """Tell the Envoy; one that waits for its restart has nobody to restart any more."""
    if not (message.final and ref._parent.bury_between(ref)):
        ref._guest_ended(message.epoch)
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
    ref = cast("BoundedHostedRef | None", request.node.find(uid))
    if ref is not None:
        ref._taken(count)


def returned(
    request: Request, uid: int, data: bytes, buffers: Any, sender: ActorRef[Any] | None, number: int | None
) -> None:
    """A message was in the mailbox of an actor that has left the host, or is sent to it there."""
    link, node = request.link, request.node
    future: Asker | None = Relay(link, request.number) if request.number is not None else None
    if number is not None:
        future = link._close_ask(number)
    parcel = Parcel(data, buffers, future, sender)
    ref = cast("HostedRef | None", node.find(uid))
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
