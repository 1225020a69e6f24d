"""GuestRef: the ref, in its host, of an actor that lives in the tree of the parent process.

The ref has the same number and path as in the parent's tree; once the actor has moved out, messages for it are sent
after it.
"""

from __future__ import annotations

from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any

from actorflow.core.actors.actor import Actor
from actorflow.core.futures.future import Future
from actorflow.core.messages.handlers import dispatch, handles, is_silent
from actorflow.core.messages.messages import Stop
from actorflow.core.messages.ref_table import REFS
from actorflow.core.refs.bounded_mailbox import BoundedMail, BoundedRef
from actorflow.core.refs.cell import DEAD, ENDING
from actorflow.core.refs.ref import ActorRef
from actorflow.core.refs.resolve import resolve
from actorflow.errors import PayloadError
from actorflow.process.hosts.link.link import Answer
from actorflow.process.hosts.link.remote_ref import sender_of_this
from actorflow.process.pickling import dumps

if TYPE_CHECKING:
    from actorflow.core.messages.execution import Item
    from actorflow.process.hosts.child.guests import Guests
    from actorflow.process.hosts.link.link import HostLink


class Asked:
    """Carries an ask from another process: when its handler begins, the shared page says so."""

    __slots__ = ("message", "number")

    def __init__(self, message: Any, number: int) -> None:
        self.message = message
        self.number = number

    def __repr__(self) -> str:
        return repr(self.message)


@handles(Asked)
def run_asked(ref: ActorRef[Any], asked: Asked) -> Any:
    """Note that the message has begun, and handle it."""
    PAGES[0][asked.number] = 1
    return dispatch(ref, asked.message)


PAGES: list[Any] = []  # the shared page of the link to the parent


class Leave:
    """Ends a guest that is to start anew in another process."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Leave()"


class GuestBase(ActorRef[Any]):
    """Makes a ref that of a guest: its address, in all processes, is the one that it has in its parent's tree."""

    __slots__ = ()

    _parent: Guests  # pyright: ignore[reportIncompatibleVariableOverride]

    def _number(self) -> int:
        return self.uid - self._parent.first_uid

    def __reduce__(self) -> tuple[Any, ...]:
        guests = self._parent
        address = (self._home.key, guests.link.name, guests.first_uid, self.uid, self.path, self.actor_class)
        return resolve, address

    # --- when it has moved out, and others in this process still send to it ------------------------------------------

    def tell(self, message: Any) -> None:
        """Send a message; to a guest that has left, behind the messages still in its mailbox."""
        if self._state >= ENDING and self._parent.has_left:
            self._arrive(message, None, sender_of_this())
        else:
            super().tell(message)

    def _send(self, message: Any, future: Future[Any] | None) -> None:
        if self._state >= ENDING and self._parent.has_left:
            self._arrive(message, future, sender_of_this())
        else:
            super()._send(message, future)

    def _pass_on(self, item: Item) -> bool:
        """Return a message of one that has left to the parent's process, which sends it to where the actor is now."""
        guests = self._parent
        if not guests.has_left:
            return False
        _, message, future, sender = item
        own = type(message) is Stop and not message.final  # the incarnation's, which is over
        if not own and not is_silent(message):
            give_back(guests.link, self, message, future, sender)
        elif isinstance(message, BoundedMail):
            self._close(None)
        return True

    def _far(self) -> ActorRef[Any] | None:
        """Return the ref of one that has left; None if it is here, or dead."""
        guests = self._parent
        if self._state != DEAD or not guests.has_left:
            return None
        link = guests.link
        return link.node.ref_to(link.name, guests.first_uid, self.uid, self.path, self.actor_class)

    def _close(self, cause: BaseException | None) -> None:
        super()._close(cause)
        if self._parent.has_left:
            REFS.by_uid[self.uid] = self  # later messages are passed on

    def is_alive(self) -> bool:
        """Say whether messages are accepted."""
        far = self._far()
        return super().is_alive() if far is None else far.is_alive()

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:
        """End the actor for good behind its queued messages."""
        far = self._far()
        if far is None:
            return super().stop(block=block, timeout=timeout)
        return far.stop(block=block, timeout=timeout)

    def proxy(self) -> Any:
        """Return a pykka proxy."""
        far = self._far()
        return super().proxy() if far is None else far.proxy()

    def _watched_by(self, watcher: ActorRef[Any], actor: Actor) -> None:
        far = self._far()
        if far is None:
            super()._watched_by(watcher, actor)
        else:
            far._watched_by(watcher, actor)


class GuestRef(GuestBase):
    """A guest's ref in its host."""

    __slots__ = ()


def give_back(
    link: HostLink, ref: ActorRef[Any], message: Any, future: Future[Any] | None, sender: ActorRef[Any] | None
) -> None:
    """Return a message to the parent's process; an ask that came from there goes on under its own number."""
    if type(message) is Asked:
        message = message.message
    try:
        data, buffers = dumps(message)
    except PayloadError as error:  # it came in by pickle, and changed
        if future is not None:
            future._settle(None, error)
        else:
            link.node.dead_letter(ref, message, sender, error)
        return
    parcel = (ref.uid, data, [PickleBuffer(buffer) for buffer in buffers], sender)
    if future is None:
        link.note(link.name, "returned", *parcel, None)
    elif isinstance(future, Answer) and future.link is link:
        link.note(link.name, "returned", *parcel, future.number)
    else:
        link.request(link.name, "returned", *parcel, None, future=future)


class BoundedGuestRef(GuestBase, BoundedRef):  # pyright: ignore[reportIncompatibleVariableOverride]
    """A guest's ref with a bounded mailbox: messages taken out are reported, so that the senders may go on."""

    __slots__ = ("_taken",)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._taken = 0

    def _take(self) -> Any:
        item = super()._take()
        if item is not None:
            self._taken += 1
            if not self._mail or self._taken * 2 >= (self._traits.options.capacity or 0):
                taken, self._taken = self._taken, 0
                link = self._parent.link
                link.note(link.name, "taken", self.uid, taken)
        return item
