"""Flow control: back-pressure over more than one link.

A message from one host to another goes through their parent, which reads both links and never waits. So when too much
waits there for an actor whose process does not read, or is being started, the parent says "full" to the process that
such messages come from, and "room" once half is gone. There the senders wait. News are by actor and not by process, as
a restarted actor has another process. Each process knows of those it sends to, and passes the news on to those that
send by it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from actorflow.core.refs.bounded_mailbox import Place, Room
from actorflow.errors import MailboxFull
from actorflow.process.hosts.link.requests import REQUESTS, Request

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.process.hosts.link.link import HostLink


class Full:
    """One actor that is not to be sent to: the reasons, the waits for their end, and the links that were told."""

    __slots__ = ("causes", "fails", "room", "starting", "told")

    def __init__(self, *, fails: bool, starting: bool) -> None:
        self.fails = fails
        self.starting = starting
        self.causes: set[Any] = set()
        self.told: set[HostLink] = set()
        self.room = Room()


class Flow:
    """The actors that a node knows are not to be sent to, by uid.

    Each node makes one. Any thread may call its methods.
    """

    def __init__(self) -> None:
        self.full: dict[int, Full] = {}
        self._lock = threading.RLock()  # a finaliser may send while its thread is in here

    def hold(
        self, uid: int, cause: Any, origin: HostLink | None, *, fails: bool = False, starting: bool = False
    ) -> bool:
        """Note that an actor is not to be sent to, and tell the process that such a message came from.

        Args:
            uid: the actor.
            cause: the argument of the `release` to come.
            origin: the link that the message came by.
            fails: senders are to get MailboxFull.
            starting: its process is being started.

        Returns:
            Whether that cause is new.
        """
        with self._lock:
            entry = self.full.get(uid)
            if entry is None:
                entry = self.full[uid] = Full(fails=fails, starting=starting)
            is_new = cause not in entry.causes
            entry.causes.add(cause)
        if origin is not None:
            self.pass_on(uid, origin)
        return is_new

    def pass_on(self, uid: int, origin: HostLink) -> None:
        """Tell another process that sends by this one."""
        with self._lock:
            entry = self.full.get(uid)
            if entry is None or origin in entry.told:
                return
            entry.told.add(origin)
            origin.note(origin.name, "full", uid, entry.fails, entry.starting)
        origin.flush()  # at once: until it is read there, more comes

    def release(self, uid: int, cause: Any) -> None:
        """Let senders go on, unless there are other causes."""
        with self._lock:
            entry = self.full.get(uid)
            if entry is None:
                return
            entry.causes.discard(cause)
            if entry.causes:
                return
            del self.full[uid]
            for link in entry.told:
                link.note(link.name, "room", uid)
        entry.room.close()

    def release_all(self, cause: Any) -> None:
        """Let all senders go on that wait for this."""
        for uid in list(self.full):
            self.release(uid, cause)

    def wait(self, ref: ActorRef[Any]) -> None:
        """Wait until an actor may be sent to; others run meanwhile.

        Raises:
            MailboxFull: its overflow is "fail".
        """
        entry = self.full.get(ref.uid)
        if entry is None:
            return
        if entry.fails or ref._traits.options.overflow == "fail":
            msg = f"too many bytes wait for the process of {ref.path}, which does not read them"
            raise MailboxFull(msg)
        place = Place(ref) if entry.starting else place_for(ref)
        entry.room.wait(place, lambda: self._look_for_room(ref.uid, entry))

    def _look_for_room(self, uid: int, entry: Full) -> None:
        if self.full.get(uid) is not entry:  # it was released just before
            entry.room.close()


def place_for(ref: ActorRef[Any]) -> Place:
    """Return a place for a wait until a process reads. It closes no cycle: a process reads whatever its actors do."""
    place = Place(ref)
    place._delegated = True
    return place


def full(request: Request, uid: int, fails: bool, starting: bool) -> None:
    """Another process has too much for an actor."""
    request.node.flow.hold(uid, ("told by", request.link), None, fails=fails, starting=starting)


def room(request: Request, uid: int) -> None:
    """Note that an actor has room again."""
    request.node.flow.release(uid, ("told by", request.link))


REQUESTS.update(full=full, room=room)
