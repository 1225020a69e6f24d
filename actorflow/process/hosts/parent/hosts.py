"""Hosts: all child processes with actors that a system has started from this process."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any, Final, cast

from actorflow.core.atomic import forkable_lock
from actorflow.core.clock import SystemClock
from actorflow.errors import ActorDeadError, DefinitionError
from actorflow.process.hosts.link.node import ProcessNode
from actorflow.process.hosts.parent.host_process import CLOSE_SECONDS, HostProcess
from actorflow.process.launch.launcher import Launch, Launcher, acquire

if TYPE_CHECKING:
    from actorflow.core.running.scheduler import Scheduler
    from actorflow.process.hosts.link.remote_ref import HostedBase
    from actorflow.process.options import Process

WARM: Final = "actorflow.process.hosts.child.main"  # imported by the zygote: then a host starts in 3 ms instead of 200
HURRY_SECONDS: Final = 0.2  # for a host whose actors did not end in their time
HEADSTART: Final = 0.1  # seconds, by which the grace time of hosts ends before ours

_lock = forkable_lock()


def hosts_of(scheduler: Scheduler) -> Hosts:
    """Return the hosts of a system, made at first use."""
    if scheduler.hosts is None:
        with _lock:
            if scheduler.hosts is None:
                scheduler.hosts = Hosts(scheduler)
    return cast("Hosts", scheduler.hosts)


class Hosts:
    """All hosts that a system has started from this process.

    `hosts_of` makes them at the first actor with a process of its own.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.limit: int = scheduler.send_limit
        self.node = ProcessNode.of(scheduler)
        self.numbers = itertools.count(1)
        self.named: dict[str, HostProcess] = {}
        self.all: dict[HostProcess, None] = {}
        self.lock = threading.RLock()
        self.closed = False
        self.warm = WARM  # the zygote's import for all of them
        self._launchers: dict[Any, Launcher] = {}

    def launcher(self, launch: Launch) -> Launcher:
        """Return a launcher for such processes; it is kept for the next one, which then starts in milliseconds."""
        with self.lock:
            key = launch.key()
            if key not in self._launchers:
                self._launchers[key] = acquire(launch)
            return self._launchers[key]

    def host_for(self, ref: HostedBase) -> HostProcess:
        """Return the host for an actor: the one of that name, or a new one.

        Raises:
            DefinitionError: a host of that name has other options.
        """
        options = cast("Process", ref._traits.options.host)
        if self.closed:
            msg = f"{ref.path} cannot have a process: its system has ended"
            raise ActorDeadError(msg)
        with self.lock:
            host = self.named.get(options.name) if options.name is not None else None
            if host is not None and host.lost:
                host = None
            if host is not None and host.options != options:
                msg = f"the process {options.name!r} runs with {host.options}; {ref.path} asks for {options}"
                raise DefinitionError(msg)
            if host is None:
                host = HostProcess(self, options, str(next(self.numbers)))
                host.start()  # if it raises, nothing is entered
                self.all[host] = None
                if options.name is not None and not host.lost:
                    self.named[options.name] = host
            host.guests[ref] = None
        return host

    def forget(self, host: HostProcess) -> None:
        """A host is gone, or about to go."""
        with self.lock:
            if self.named.get(host.options.name or "") is host:
                del self.named[host.options.name or ""]

    def begin_close(self, seconds: float) -> None:
        """The system is to end: hosts that are not up yet, and that nothing waits for, need not come up.

        The others drain too, by the same rule; their grace time ends a little earlier, so that we hear of it.
        """
        for host in list(self.all):
            if not host.ready._done and not any(ref._backlog or ref._returned for ref in list(host.guests)):
                host.abandon()
            elif host.link.closed is None:
                host.link.note(host.name, "drain", seconds - min(HEADSTART, seconds / 10))

    def close(self, seconds: float) -> None:
        """End all hosts; those that do not end in time, of the system's end or their own, are killed."""
        self.closed = True
        hosts = list(self.all)
        try:
            for host in hosts:
                if not host.ready._done:
                    host.abandon()
                elif host.guests:  # the time for a proper end is over
                    host.kill()
                host.close()
            start = SystemClock.monotonic()
            for host in sorted(hosts, key=lambda host: not host.ending):
                limit = HURRY_SECONDS if host.ending else min(CLOSE_SECONDS, seconds)
                host.wait_ended(start + limit - SystemClock.monotonic())
        finally:
            with self.lock:
                launchers, self._launchers = self._launchers, {}
            for launcher in launchers.values():
                launcher.release()
            self.node.close()
