"""The main function of a host's process. The zygote imports this module before it forks the first host."""

from __future__ import annotations

import itertools
import logging
import mmap
import os
import sys
from _socket import socket
from typing import Any

from actorflow.core.messages.ref_table import REFS
from actorflow.core.refs.ref import ActorRef
from actorflow.core.running.drain import Drain
from actorflow.core.system import System
from actorflow.process.hosts.child import (
    parent_requests,  # noqa: F401 - they add requests
)
from actorflow.process.hosts.child.guest_ref import PAGES, Asked
from actorflow.process.hosts.child.guests import FIRST_UID, STEWARDS, Steward
from actorflow.process.hosts.child.scheduler import HostScheduler, ParentLink
from actorflow.process.hosts.link import (
    deadlock_probe,  # noqa: F401 - they add requests
    log_forwarding,
    lookup,  # noqa: F401 - they add requests
)
from actorflow.process.hosts.link.link import PAGE, Answer, HostLink
from actorflow.process.hosts.link.node import ProcessNode
from actorflow.process.hosts.link.requests import REQUESTS, Request
from actorflow.process.hosts.parent import (
    host_process,  # noqa: F401 - they add requests
    hosted_ref,  # noqa: F401 - they add requests
)
from actorflow.process.pickling import dump_error, dumps, repr_of
from actorflow.process.proxies import take_authkey
from actorflow.process.wire import Connection

_ = sys.modules["actorflow"].ActorSystem  # runs the package's __init__ here, in the zygote, and not in each host


class HostNode(ProcessNode):
    """The node of a host."""

    def accept(
        self, link: HostLink, ref: ActorRef[Any], message: Any, number: int | None, sender: ActorRef[Any] | None
    ) -> None:
        """Put a message into a mailbox; an ask notes its begin in the page, for the case that this process dies."""
        if number is None:
            ref._arrive(message, None, sender)
            return
        if number < PAGE and link is self.up:
            message = Asked(message, number)
        ref._arrive(message, Answer(link, number, ref), sender)

    def dead_letter(
        self, ref: ActorRef[Any], message: Any, sender: ActorRef[Any] | None, reason: BaseException | None
    ) -> None:
        """Dead letters are counted at the root."""
        assert self.up is not None
        try:
            dumps(message)
        except Exception:  # noqa: BLE001 - it came in by pickle, and changed
            message = repr_of(message)
        error = None if reason is None else dump_error(reason)
        self.up.note(self.up.name, "dead letter", ref.uid, ref.path, message, sender, error)


def main(argument: Any, fds: list[int]) -> None:
    """Serve the guests until the parent says "close", or is gone."""
    key, system_key, name, system_name, base, *scheduling, limits, levels, share, first_uid, auth = argument
    ask_timeout, threads, move_baton = scheduling
    connection = Connection(socket(fileno=fds[0]))
    connection.send([key])
    PAGES[:] = [mmap.mmap(fds[1], PAGE)]
    os.close(fds[1])
    os.register_at_fork(after_in_child=connection.close_here)
    take_authkey(auth)
    FIRST_UID[0] = first_uid
    REFS.uids = itertools.count(base)
    scheduler = HostScheduler(name=system_name, ask_timeout=ask_timeout, threads=threads, move_baton=move_baton)
    scheduler.key, scheduler.node = system_key, name
    scheduler.send_limit, scheduler.payload_limit = limits
    node = HostNode(scheduler)
    parent = name.rpartition(".")[0]
    link = ParentLink(node, parent, connection, limit=scheduler.send_limit)
    node.up = link
    log_forwarding.install(link, parent, levels)
    system = System(system_name, scheduler)
    events = scheduler.events
    events.interrupted = lambda: link.note(parent, "interrupt")
    events.dead_letter = node.dead_letter  # type: ignore[method-assign]
    STEWARDS[:] = [system.root.spawn(Steward._traits, (), {})]
    link.share = share
    link.start_writer()
    closing.append((system, link))
    scheduler.attach(link)
    system.wait_ended()
    finish(link)


closing: list[tuple[System, ParentLink]] = []


def close(_request: Request) -> None:
    """End this process: the guests are gone, or were told to go."""
    system, _ = closing[0]
    system.begin_stop(1.0)


def finish(link: HostLink) -> None:
    """Write the rest, and end. Interpreter exit would wait for threads that sit in user code."""
    for stream in (sys.stdout, sys.stderr):  # first: the next steps may take until this process is killed
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue
    logging.shutdown()
    link.flush_all()
    os._exit(0)


def drain(request: Request, seconds: float) -> None:
    """The system is to end: timers fire no more, and the ends of guests go by the grace time."""
    scheduler, (system, _) = request.node.scheduler, closing[0]

    def begin() -> None:
        if scheduler.drain is None:
            scheduler.draining = True
            scheduler.drain = Drain(scheduler, system.root, seconds)
            if scheduler.hosts is not None:
                scheduler.hosts.begin_close(seconds)

    scheduler.post_work(begin)


REQUESTS.update({"close": close, "drain": drain})
