"""Hosted: durable actors whose handlers run in a child process. The parent's side of `guest`.

Rows, tries, commits and timers are here, as for any durable actor. Only the handling of a message goes to the child,
and its effects come back; the actor is busy meanwhile, and no thread waits. When the process dies the message is still
a row. In the tree stands an Envoy, so the fate of the actor is its supervisor's decision as ever.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from actorflow.core.futures.future import Future
from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT
from actorflow.core.messages.handlers import handles
from actorflow.core.messages.messages import CHANGED
from actorflow.core.running import lifecycle
from actorflow.durable.future import StoredFuture
from actorflow.durable.handling import machine_timers
from actorflow.durable.handling.after_commit import StoredUnit
from actorflow.durable.handling.mailbox import Mailbox
from actorflow.durable.handling.runtime_messages import CountDeath, GuestMessage, MessageInMemory
from actorflow.durable.ref import DurableRef
from actorflow.durable.remote.envoy import DurableEnvoy
from actorflow.durable.remote.protocol import LoadRequest
from actorflow.durable.remote.round_trip import HostedUnit, RoundTrip
from actorflow.durable.rows.ledger import OwnedActor
from actorflow.durable.rows.payload import read
from actorflow.errors import StoreError
from actorflow.process.hosts.link.remote_ref import HostedBase
from actorflow.process.hosts.parent.host_process import HostProcess
from actorflow.process.hosts.parent.virtual_host import copied_arguments, own_host
from actorflow.process.pickling import dump_error

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.process.hosts.link.link import HostLink, Relay


class HostedMailbox(Mailbox):
    """A mailbox whose messages are handled in a child process."""

    unit_class: ClassVar[type[StoredUnit]] = HostedUnit
    ref: DurableHostedRef

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.latest: bytes | None = None  # the guest's state, by its last answer
        self.must_load: bool | None = None  # the guest is to take over the stored state; True: it has had that before
        self.numbers = itertools.count(1)

    def load(self, owned: OwnedActor, *, again: bool = False) -> None:
        """Take over the stored state."""
        if owned.state is not None:
            read(self.runtime, owned.state)  # here: the child could only say that it cannot start
        super().load(owned, again=again)
        self.must_load = again  # also if there is nothing: timers
        if again and self.is_machine:
            self.load_now()

    def load_now(self) -> None:
        """Have a machine take over the stored state at once: its timers are there, and no next message may come."""
        link = self.ref._link
        if link is not None:
            link.tell(self.ref, link.name, self.what_is_stored(), None)
            self.must_load = None

    def restore(self, state: bytes) -> None:
        """Have a machine be another one than it is."""
        super().restore(state)
        self.load_now()

    def put_state(self, stored: bytes, *, again: bool) -> None:  # noqa: ARG002 - it comes with the next message
        """Have the guest take over the stored state."""
        self.must_load = again

    def roll_back(self) -> None:
        """Have the guest go back to the stored state; a machine has done so itself."""
        if not self.is_machine and self.must_load is None:
            self.must_load = True

    def what_is_stored(self) -> LoadRequest | None:
        """Return the state that the guest has to take over first; None if it has it."""
        if self.must_load is None:
            return None
        value = read(self.runtime, self.stored) if self.stored is not None else None
        return LoadRequest(value, list(self.timers.values()), again=self.must_load)

    @property
    def is_reachable(self) -> bool:
        """Whether the guest is there; if not, its end is about to be heard of, and the rows stay."""
        return self.ref._link is not None

    def blame(self, blame: CountDeath) -> None:
        """Count the death of a process against the message or timer that it handled.

        Raises:
            StoreError: the death could not be counted.
        """
        if blame.entry is not None:
            self.write_soon("actors.blame", {"id": blame.entry.id})
        elif blame.timer is not None:
            self.write_soon("actors.blame_fired", {"id": blame.timer.id})
        elif blame.key is not None and self.stored is not None:
            self.save(machine_timers.blame(self.stored, blame.key))

    def crash(self, error: BaseException) -> Any:
        """Have the guest end as after a crash; its word that it has ended is the crash of the actor."""
        ref = self.ref
        link, ref._link = ref._link, None
        if link is not None:  # else its end is about to be heard of
            link.note(link.name, "durable fail", ref.uid, dump_error(error))

    def crash_soon(self, error: BaseException) -> None:
        """Do the same, for the holder of the baton."""
        self.crash(error)
        lifecycle.finished(self.ref, CHANGED)


class DurableHostedRef(DurableRef, HostedBase):
    """The ref of a durable actor in a child process, in the process with the store.

    `_link` is the way to the guest while there is one, `_guest` says whether there is, or may be, and `_epoch` counts
    incarnations.
    """

    __slots__ = ("_epoch", "_guest", "_host", "_last_link", "_link", "_round_trip")

    _box: HostedMailbox  # pyright: ignore[reportIncompatibleVariableOverride]
    _future_class: ClassVar[type[Future[Any]]] = StoredFuture  # type: ignore[assignment]
    _mailbox_class: ClassVar[type[Mailbox]] = HostedMailbox
    _backlog = _returned = ()  # nothing waits here: rows do

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._host: HostProcess | None = None
        self._link: HostLink | None = None
        self._last_link: HostLink | None = None
        self._round_trip: RoundTrip | None = None
        self._guest = False
        self._epoch = 0

    @property
    def _incarnation_class(self) -> type[Any]:
        return DurableEnvoy

    def _whereabouts(self) -> tuple[HostLink | None, str]:
        link = self._way()
        return link, "" if link is None else link.name

    def _way(self) -> HostLink | None:
        return self._link

    def _open(self, link: HostLink) -> None:
        """The guest is up."""
        if link.closed is None:
            self._link = self._last_link = link

    def _shut(self) -> None:
        """The process is gone."""
        self._link = None

    def _guest_ended(self, epoch: int) -> None:
        if epoch == self._epoch:
            self._link = None

    def _forward(
        self,
        data: bytes,
        buffers: Any,
        sender: ActorRef[Any] | None,
        asker: Relay | None,
        origin: HostLink,  # noqa: ARG002
    ) -> None:
        """Put a message of another process into the mailbox."""
        from actorflow.process.pickling import loads  # noqa: PLC0415 - few

        self._arrive(loads(data, buffers), cast("Future[Any] | None", asker), sender)

    def _close(self, cause: BaseException | None) -> None:
        super()._close(cause)
        self._link = None
        host, self._host = self._host, None
        if host is not None:
            if self._round_trip is not None and self._round_trip.is_unheard:
                host.kill()
            elif self._guest and host.link.closed is None:  # it was given up here, and lives on there
                host.link.note(host.link.name, "exit", self.uid, False, 0.0)
            self._guest = False
            host.leave(self)


class DurableVirtualHostedRef(DurableRef):
    """The ref of a durable actor in a host on a virtual clock: each incarnation gets its own copy of the arguments."""

    __slots__ = ()

    _arguments: Any = copied_arguments

    @property
    def _virtual_host(self) -> object:
        return own_host(self)


@handles(GuestMessage, silent=True)
def run_own(ref: DurableHostedRef, own: GuestMessage) -> Any:
    """Have a guest handle a message of its own process."""
    if own.epoch != ref._epoch:
        return None
    box: HostedMailbox = ref._box
    timer = own.timer if box.is_machine else None
    return box.handle(box.in_memory, MessageInMemory(partial(run_there, own), own, timer=timer))


def run_there(own: GuestMessage) -> Any:
    """Have the guest handle its message, in the current unit."""
    unit = cast("HostedUnit", CURRENT.get())
    return unit.dispatch(own)


@handles(CountDeath, silent=True)
def run_blame(ref: DurableHostedRef, blame: CountDeath) -> None:
    """Count the death of a process."""
    try:
        ref._box.blame(blame)
    except StoreError as error:
        logger.warning("%s: the death of a process could not be counted: %s", ref, error)
