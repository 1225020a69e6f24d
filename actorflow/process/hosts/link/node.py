"""Node: this process in the tree of processes of one system, and the ways to the others.

The root is "", its third host "3", that one's first host "3.1". A host knows its parent and its own hosts; messages for
others go through them. Numbers of actors (`uid`) are unique in the tree, so a number found in a table here is an
actor's of this process.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from actorflow.core.actors.actor import Actor
from actorflow.core.log import logger
from actorflow.core.messages.handlers import is_silent
from actorflow.core.messages.messages import Stop
from actorflow.core.messages.ref_table import REFS
from actorflow.core.refs.ref import ActorRef
from actorflow.core.refs.resolve import NODES
from actorflow.errors import ActorDeadError
from actorflow.process.hosts.link.flow_control import Flow
from actorflow.process.hosts.link.link import Answer, HostLink, Relay, contained
from actorflow.process.hosts.link.outbox import ASK, RUNTIME, TELL
from actorflow.process.hosts.link.remote_ref import Elsewhere, HostedBase, RemoteRef
from actorflow.process.hosts.link.requests import REQUESTS, Request
from actorflow.process.pickling import loads

if TYPE_CHECKING:
    from actorflow.core.running.scheduler import Scheduler

ENDED = 10_000  # dead actors of other nodes that are known
BURIED = 1000  # dead actors whose paths are known, for dead letters: a message from another process has a number only
UNREADABLE = "a message that does not unpickle"


class ProcessNode:
    """This process among those of one system. Each process of a system that has child processes has one.

    Its first host makes it, and in a host its main function. Incoming messages are dealt with by the thread that reads.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.key = scheduler.key
        self.name = scheduler.node
        self.system = scheduler.name
        self.up: HostLink | None = None
        self.down: dict[str, HostLink] = {}
        self.flow = Flow()
        self.ended: dict[int, None] = {}  # actors of other nodes whose end is known here, oldest first
        scheduler.buried = deque(maxlen=BURIED)
        NODES[self.key] = self

    @staticmethod
    def of(scheduler: Scheduler) -> ProcessNode:
        """Return the node of a system in this process."""
        node: ProcessNode | None = NODES.get(scheduler.key)
        return ProcessNode(scheduler) if node is None else node

    def close(self) -> None:
        """Forget the system."""
        if NODES.get(self.key) is self:
            del NODES[self.key]

    # --- ways --------------------------------------------------------------------------------------------------------

    def way_to(self, node: str) -> HostLink | None:
        """Return the link that leads to a node; None if it is gone."""
        below = f"{self.name}." if self.name else ""
        if node != self.name and node.startswith(below):
            return self.down.get(node[len(below) :].split(".", 1)[0])
        return self.up

    def ref_to(self, node: str, first_uid: int, uid: int, path: str, cls: type[Any]) -> ActorRef[Any]:
        """Return a ref to an actor that lives at another node."""
        parent, _, name = path.rpartition("/")
        return RemoteRef(uid, Elsewhere(self, node, first_uid, parent), cls._traits, name)

    def find(self, uid: int) -> ActorRef[Any] | None:
        """Return the ref of that number, if its actor is known here."""
        ref = REFS.by_uid.get(uid)
        return ref if isinstance(ref, ActorRef) else None

    def find_dead(self, uid: int, path: str = "") -> ActorRef[Any]:
        """Return a ref of a dead actor, with its path if that is given, or it has not been dead for long."""
        for number, known, traits in reversed(list(self.scheduler.buried or ())):
            if number == uid:
                return RemoteRef.gone(self, uid, known, traits)
        return RemoteRef.gone(self, uid, path or f"/gone/actor-{uid}", Actor._traits)

    def note_end(self, uid: int) -> None:
        """Note that an actor of another node is dead: messages to it from here are refused."""
        self.ended[uid] = None
        if len(self.ended) > ENDED:
            self.ended.pop(next(iter(self.ended)), None)

    # --- incoming messages -------------------------------------------------------------------------------------------

    def deliver(self, link: HostLink, item: tuple[Any, ...], buffers: Any, number: int | None) -> None:
        """Put a message into its actor's mailbox, or send it on."""
        _, uid, node, data, _, sender_uid, *_ = item
        if uid == RUNTIME and node == self.name:
            verb, *arguments = loads(data, buffers)
            REQUESTS[verb](Request(self, link, number), *arguments)
            return
        ref = self.find(uid)
        sender = link.sender(sender_uid)
        if ref is None or isinstance(ref, HostedBase):
            self._send_on(link, item, buffers, number, ref, sender)
            return
        self.accept(link, ref, loads(data, buffers), number, sender)

    def undelivered(self, link: HostLink, item: tuple[Any, ...], error: BaseException) -> None:
        """Deal with an item that failed here: a message that does not unpickle goes back, or is a dead letter."""
        ref = self.find(item[1]) if item[0] <= ASK else None
        if ref is not None and ref._traits.options.capacity is not None:
            link.note(link.name, "taken", ref.uid, 1)  # else its place in the mailbox would be lost
        if item[0] == ASK:
            link.fail(item[6], contained(error, "a message does not unpickle"))
        elif item[0] == TELL and ref is not None:
            self.dead_letter(ref, UNREADABLE, link.sender(item[5]), error)
        else:
            logger.error(
                "%s failed to process %.200r from %s", self.name or "the root", item, link.name, exc_info=error
            )

    def accept(
        self, link: HostLink, ref: ActorRef[Any], message: Any, number: int | None, sender: ActorRef[Any] | None
    ) -> None:
        """Put a message into the mailbox of an actor of this process."""
        ref._arrive(message, None if number is None else Answer(link, number, ref), sender)

    def _send_on(
        self,
        link: HostLink,
        item: tuple[Any, ...],
        buffers: Any,
        number: int | None,
        ref: HostedBase | None,
        sender: ActorRef[Any] | None,
    ) -> None:
        """Send a message on to where its actor is."""
        _, uid, node, data, *_ = item
        asker = None if number is None else Relay(link, number)
        if ref is not None:
            ref._forward(data, buffers, sender, asker, link)
        else:
            way = self.way_to(node) if node != self.name else None
            if way is None or way.closed is not None:
                self._nobody(link, uid, data, buffers, number, sender)
                return
            way.forward(uid, node, data, buffers, sender, asker, link)
        if uid in self.flow.full:
            self.flow.pass_on(uid, link)

    def _nobody(
        self, link: HostLink, uid: int, data: bytes, buffers: Any, number: int | None, sender: ActorRef[Any] | None
    ) -> None:
        """Deal with a message for an actor that is dead, or was never here."""
        if uid == RUNTIME:
            if number is not None:
                link.fail(number, ActorDeadError("the process of that actor has ended"))
            return
        error = ActorDeadError(f"no actor has the number {uid} in {self.name or 'the root process'}: it is dead")
        if number is not None:
            link.fail(number, error)
            return
        message = for_dead_letter(data, buffers)
        if type(message) is not Stop and not is_silent(message):
            self.dead_letter(self.find_dead(uid), message, sender, error)

    # --- dead letters ------------------------------------------------------------------------------------------------

    def lost(self, item: tuple[Any, ...], buffers: Any, error: BaseException) -> None:
        """Report a tell that was still to be written when its process died."""
        message = for_dead_letter(item[3], buffers)
        if type(message) is not Stop and not is_silent(message):
            self.dead_letter(self.find(item[1]) or self.find_dead(item[1]), message, self.find(item[5]), error)

    def dead_letter(
        self, ref: ActorRef[Any], message: Any, sender: ActorRef[Any] | None, reason: BaseException | None
    ) -> None:
        """Report a message that nobody handles."""
        events = self.scheduler.events
        self.scheduler.post_work(lambda: events.dead_letter(ref, message, sender, reason))


def for_dead_letter(data: bytes, buffers: Any) -> Any:
    """Return a message that nobody handles, if it can be unpickled."""
    try:
        return loads(data, buffers)
    except BaseException:  # noqa: BLE001 - it is lost either way; SystemExit would end a thread that others need
        return UNREADABLE
