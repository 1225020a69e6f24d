"""Envoy: stands in the tree for a durable actor in a child process; starts and stops it there."""

from __future__ import annotations

import contextlib
import dataclasses
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from actorflow.core.futures.future import Future
from actorflow.core.messages.execution import CURRENT
from actorflow.durable.remote.guest import DurableGuestRef
from actorflow.durable.remote.protocol import FAILED, HandleRequest
from actorflow.durable.remote.round_trip import fill, settled_there
from actorflow.errors import HostDied
from actorflow.process.hosts.link.news import MoveOut
from actorflow.process.hosts.parent.envoy import Envoy, end_guest
from actorflow.process.hosts.parent.host_process import HostProcess
from actorflow.process.hosts.parent.hosts import hosts_of
from actorflow.process.pickling import load_error

if TYPE_CHECKING:
    from actorflow.durable.remote.hosted import DurableHostedRef, HostedMailbox
    from actorflow.durable.remote.round_trip import HostedUnit

WARM: Final = "actorflow.durable.remote.preload"


class DurableEnvoy(Envoy):
    """Stands in the tree for a durable actor in another process."""

    _actor_ref: DurableHostedRef  # pyright: ignore[reportIncompatibleVariableOverride]

    stays = False  # each incarnation is made anew, from the stored state

    async def on_start(self) -> None:  # type: ignore[override]
        """Have a host, make the actor in it, and have it run its `on_start`, which this unit will commit."""
        ref = self._actor_ref
        unit = cast("HostedUnit", CURRENT.get())
        box: HostedMailbox = ref._box
        await self.clear_host()
        if ref._host is None:
            hosts = hosts_of(ref._scheduler)
            hosts.warm = WARM
            ref._host = hosts.host_for(ref)
        host = ref._host
        await host.ready
        link = host.link
        ref._epoch += 1
        options = dataclasses.replace(ref._traits.options, host=None, capacity=None, restart="temporary")
        recipe = (*self.recipe, options, "temporary", DurableGuestRef)
        ref._guest = True  # from here on: it is to be ended there, even if this is interrupted
        number = next(box.numbers)
        done: Future[Any] = Future()
        try:
            await link.request(link.name, "spawn", ref.uid, ref._epoch, ref.path, ref.parent, recipe)
            link.ask(ref, link.name, HandleRequest(number, None, load=box.what_is_stored()), None, done)
            result = await done
            if result[0] == FAILED:
                raise load_error(result[1])
        except BaseException:
            link.note(link.name, "exit", ref.uid, False, 0.0)
            raise
        box.must_load = None
        if fill(unit, link, result):
            unit.after.append(partial(settled_there, unit, link, number, 0))
        ref._open(link)
        if host.lost and link.closed is None:
            ref._scheduler.post(ref, MoveOut(host), None)

    async def clear_host(self) -> None:
        """Leave a host that is to go, and end the guest that an earlier incarnation has left in one."""
        ref = self._actor_ref
        host = ref._host
        if host is None:
            return
        if ref._guest and host.link.closed is None:
            if ref._round_trip is not None and ref._round_trip.is_unheard:
                host.kill()
            with contextlib.suppress(HostDied):
                await end_guest(host.link, ref)
        if host.lost or host.link.closed is not None:
            self.leave(host)
        ref._guest = False

    async def on_stop(self) -> None:  # type: ignore[override]
        """Stop the actor."""
        ref = self._actor_ref
        host, ref._link = ref._host, None
        if host is not None and ref._guest and host.link.closed is None:
            load = ref._box.what_is_stored() if ref._box.stored is not None else None
            if load is not None:  # `on_stop` sees no state of a handler that was rolled back
                host.link.tell(ref, host.link.name, load, None)
        await super().on_stop()

    async def move(self, host: HostProcess) -> None:
        """Leave a host that is to be replaced for the next: the actor stops normally, and starts anew there."""
        ref = self._actor_ref
        link, ref._link = host.link, None
        await link.request(link.name, "stop", ref.uid)
        ref._guest = False
        self.leave(host)
        started = ref._runtime.ownership.start(ref)
        if started is not None:
            await started
