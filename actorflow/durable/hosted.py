"""Hosted: durable actors whose handlers run in a child process. Layer 3. The parent's side of `guest`.

Rows, tries, commits and timers are here, as of any durable actor. Only the handling of a message goes to the child, and
what came of it comes back; the actor is busy meanwhile, and no thread waits. When the process dies the message is what
it was: a row. In the tree stands an Envoy, so what becomes of the actor then is its supervisor's as ever.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from actorflow.core import lifecycle
from actorflow.core.actor import HANDLERS
from actorflow.core.burial import SILENT
from actorflow.core.current import CURRENT
from actorflow.core.future import Future
from actorflow.core.life import must_stop
from actorflow.core.log import logger
from actorflow.core.messages import CHANGED, SUSPENDED
from actorflow.durable import timeouts
from actorflow.durable.guest import FAILED, GuestOfStore, Handle, Load
from actorflow.durable.ledger import Letter, Owned, TimerRow
from actorflow.durable.mailbox import Mailbox
from actorflow.durable.payload import read
from actorflow.durable.ref import DurableRef
from actorflow.durable.signs import Again, Blame, Own
from actorflow.durable.unit import Behalf, Unit
from actorflow.errors import ActorDeadError, HostDied, StoreError
from actorflow.process.host.envoy import Envoy, GuestEnded, Move, end_guest
from actorflow.process.host.hosts import Host, hosts_of
from actorflow.process.host.pickled import Copied
from actorflow.process.host.remote import Away
from actorflow.process.payload import dump_error, load_error

if TYPE_CHECKING:
    from actorflow.durable.signs import Mail
    from actorflow.machine.pending import TimerKey
    from actorflow.process.host.link import Link


WARM: Final = "actorflow.durable.warm"


class HostedUnit(Unit):
    """One message that is handled in a child process.

    Attributes:
        number: by which the child knows it.
        flight: while it is there.
        own: the message, if it is one of the child's.
        refused_there: a machine has refused it, and is as it was.
        follows: the child holds sends, pipes or timers until this is committed.
    """

    __slots__ = ("flight", "follows", "number", "own", "refused_there")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.number = 0
        self.flight: Flight | None = None
        self.own: Own | None = None
        self.refused_there = self.follows = False

    def is_refusal(self, error: BaseException) -> bool:  # noqa: ARG002 - the child has seen to it
        """Say whether it is the refusal of a machine."""
        return self.refused_there

    def replied(self) -> None:
        """Go on with what came of it; the holder of the baton calls this."""
        box: Any = self.box
        ref, flight = box.ref, self.flight
        assert flight is not None
        if ref._waiting is flight:
            ref._waiting = None
        if ref._flight is flight:
            ref._flight = None
        done, error = flight.future._value, flight.future._error
        if error is not None and flight.loads is not None:  # it has not come to it
            box.must_load = flight.loads
        gone = isinstance(error, (HostDied, ActorDeadError)) or (error is None and done is None)
        if error is None and done is not None:
            if done[0] == FAILED:
                error, self.refused_there = load_error(done[1]), done[2]
            else:
                fill(self, flight.link, done)
        if ref._actor is not self.actor:  # it was abandoned
            self.abandoned()
        elif gone:
            self.lost(flight, error)
        elif error is None:
            self.submit()
        elif (outcome := self.failed(error)) is not SUSPENDED:
            lifecycle.finished(ref, outcome)

    def lost(self, flight: Flight, error: BaseException | None) -> None:
        """The guest is gone, and with it what it did: the message is handled again by the next incarnation."""
        ref: Any = self.box.ref
        entry = self.effects.entry
        self.is_over = True
        self.drop_sends()
        self.box.put_back(entry)
        if isinstance(error, HostDied):
            key = self.own.timer[0] if self.own is not None and self.own.timer is not None else None
            if error.maybe_ran:
                ref._put_back(deque([(ref, Blame(entry, self.effects.timer, key), None, None)]))
        elif not must_stop(ref) and ref._link is flight.link:
            ref._link = None
            ref._scheduler.post(ref, GuestEnded(ref._epoch, error, final=False), None)
        lifecycle.finished(ref, CHANGED)

    def submit(self) -> Any:
        """Hand it to the keeper; what waits in the child is told of the commit."""
        again = self.effects.ending == "again" and not self.box.is_timer_of_machine(self.message)
        if self.follows or (self.own is not None and not again):
            self.after.append(self.tell_settled)
        return super().submit()

    def tell_settled(self) -> None:
        """Tell the child of the commit."""
        assert self.flight is not None
        own = self.own.number if self.own is not None else 0
        settled_there(self, self.flight.link, self.number, own)

    def drop_sends(self) -> None:
        """Forget what was to leave, also in the child."""
        super().drop_sends()
        if self.follows and self.flight is not None:
            self.follows = False
            link = self.flight.link
            link.note(link.name, "durable dropped", self.box.ref.uid, self.number)


def fill(unit: Unit, link: Link, done: tuple[Any, ...]) -> bool:
    """Put what came of a message into its unit; True if something waits in the child for the commit."""
    box: Any = unit.box
    effects = unit.effects
    ending, state, effects.answer, letters, answers, timers, effects.dropped_timers, flags = done
    effects.ending = ending
    effects.state = box.latest = state
    effects.answers = answers
    effects.new_timers = [TimerRow(0, due, period, 0, body) for due, period, body in timers]
    for receiver, body, number in letters:
        future = PassedOn(link, number) if number else None
        effects.letters.append(Letter(receiver, body, box.address, box.node if number else None, future))
    unit.stashed, unit.unstashes, follows = flags
    if isinstance(unit, HostedUnit):
        unit.follows = follows
    return bool(follows)


def settled_there(unit: Unit, link: Link, number: int, own: int) -> None:
    """Tell the child that a unit is committed."""
    ids = [row.id for row in unit.effects.new_timers]
    link.note(link.name, "durable settled", unit.box.ref.uid, number, ids, own)


class PassedOn(Future[Any]):
    """The answer to an ask in a letter: it goes to the child that waits for it."""

    __slots__ = ("link", "number")

    def __init__(self, link: Link, number: int) -> None:
        super().__init__()
        self.link = link
        self.number = number

    def _settle(self, value: Any, error: BaseException | None) -> bool:
        if not super()._settle(value, error):
            return False
        data = None if error is None else dump_error(error)
        try:
            self.link.note(self.link.name, "durable answered", self.number, value, data)
        except Exception as failure:  # noqa: BLE001 - the value does not pickle: the asker's
            self.link.note(self.link.name, "durable answered", self.number, None, dump_error(failure))
        return True


class Flight:
    """What an actor waits for while its message is in the child; `exit` is its word that it ends there, if it is to."""

    __slots__ = ("exit", "future", "link", "loads", "ref")

    def __init__(self, ref: HostedDurableRef, link: Link, loads: bool | None) -> None:
        self.ref = ref
        self.link = link
        self.loads = loads  # what is stored goes along
        self.future: Future[Any] = Future()
        self.exit: Future[Any] | None = None

    def interrupt(self) -> None:
        """A supervisor wants the end: it begins there after this handler, which is woken if it waits."""
        self.exit = end_guest(self.link, self.ref)

    @property
    def is_unheard(self) -> bool:
        """Say whether the process has not even answered that: once the handler is abandoned, it does not answer."""
        return self.exit is not None and not self.exit._done and not self.future._done


class HostedMailbox(Mailbox):
    """A mailbox whose messages are handled in a child process."""

    unit_class: ClassVar[type[Unit]] = HostedUnit
    ref: HostedDurableRef

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.latest: bytes | None = None  # what the guest is, or was when it last said so
        self.must_load: bool | None = None  # the guest is to be what is stored; True: it was that before
        self.numbers = itertools.count(1)

    def load(self, owned: Owned, *, again: bool = False) -> None:
        """Take over what is stored."""
        super().load(owned, again=again)
        self.must_load = again  # also if there is nothing: timers
        if again and self.is_machine:
            self.load_now()

    def load_now(self) -> None:
        """Have a machine be what is stored at once: its timers are there, and a next message may never come."""
        link = self.ref._link
        if link is not None:
            link.tell(self.ref, link.name, self.what_is_stored(), None)
            self.must_load = None

    def restore(self, state: bytes) -> None:
        """Have a machine be another one than it is."""
        super().restore(state)
        self.load_now()

    def put_state(self, stored: bytes, *, again: bool) -> None:  # noqa: ARG002 - it comes with the next message
        """Have the guest be what is stored."""
        self.must_load = again

    def roll_back(self) -> None:
        """Have the guest be what is stored; a machine has seen to that itself."""
        if not self.is_machine and self.must_load is None:
            self.must_load = True

    def state_bytes(self) -> bytes:
        """Return what the guest said that it is."""
        assert self.latest is not None
        return self.latest

    def what_is_stored(self) -> Load | None:
        """Return what the guest is to be, if it is not."""
        if self.must_load is None:
            return None
        value = read(self.registry, self.stored) if self.stored is not None else None
        return Load(value, [row for row, _ in self.timers.values()], again=self.must_load)

    def handle_next(self, mail: Mail) -> Any:
        """Handle the next row, unless the guest is gone: its end is about to be heard of, and the rows stay."""
        return super().handle_next(mail) if self.ref._link is not None else None

    def handle_due(self, row: TimerRow) -> Any:
        """Run the method of a timer."""
        return super().handle_due(row) if self.ref._link is not None else None

    def run_in_unit(self, again: Again) -> Any:
        """Run a message of the runtime's own, for the first time or once more."""
        return super().run_in_unit(again) if self.ref._link is not None else None

    def is_timer_of_machine(self, message: Any) -> bool:
        """Say whether a message is a timer of a machine."""
        return self.is_machine and message.__class__ is Own and message.timer is not None

    def timer_of(self, message: Any) -> tuple[TimerKey, int]:
        """Return by what such a timer is known, and how many processes have died on it."""
        known: tuple[TimerKey, int] = message.timer
        return known

    def run(self, message: Any) -> Any:
        """Send a message to the guest; what comes of it is dealt with when it has answered."""
        unit: Any = CURRENT.get()
        ref = self.ref
        link = ref._link or ref._last_link
        assert link is not None
        unit.number = next(self.numbers)
        unit.flight = flight = Flight(ref, link, self.must_load)
        effects = unit.effects
        handle = Handle(unit.number, message, load=self.what_is_stored(), sender=unit.sender, timer=effects.timer)
        if effects.entry is not None:
            handle.entry = effects.entry.id, effects.entry.asker is not None
        if message.__class__ is Own:
            unit.own, handle.own, handle.message = message, message.number, None
        ref._waiting = ref._flight = flight
        try:
            link.ask(ref, link.name, handle, None, flight.future)
        except BaseException:
            ref._waiting = ref._flight = None
            raise
        self.must_load = None
        if must_stop(ref):
            flight.interrupt()
        unit.outer = Behalf(ref, unit.outer)
        go_on = partial(ref._scheduler.post_work, unit.replied)
        if not flight.future._add_waiter(go_on):
            go_on()
        return SUSPENDED

    def blame(self, blame: Blame) -> None:
        """Count the death of a process against what it handled.

        Raises:
            StoreError: it could not be counted.
        """
        if blame.entry is not None:
            self.write_soon("actors.blame", {"id": blame.entry.id})
        elif blame.timer is not None:
            self.write_soon("actors.blame_fired", {"id": blame.timer.id})
        elif blame.key is not None and self.stored is not None:
            self.save(timeouts.blame(self.stored, blame.key))

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


class HostedDurableRef(DurableRef, Away):
    """The ref of a durable actor in a child process, in the process with the store.

    `_link` is the way to the guest while there is one, `_guest` says whether there is, or may be, and `_epoch` counts
    incarnations.
    """

    __slots__ = ("_epoch", "_flight", "_guest", "_host", "_last_link", "_link")

    _future_class: ClassVar[type[Future[Any]]] = Future  # type: ignore[assignment]
    _mailbox_class: ClassVar[type[Mailbox]] = HostedMailbox
    _backlog = _returned = ()  # nothing waits here: rows do

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._host: Host | None = None
        self._link: Link | None = None
        self._last_link: Link | None = None
        self._flight: Flight | None = None
        self._guest = False
        self._epoch = 0

    @property
    def _incarnation_class(self) -> type[Any]:
        return DurableEnvoy

    def _whereabouts(self) -> tuple[Link | None, str]:
        link = self._way()
        return link, "" if link is None else link.name

    def _way(self) -> Link | None:
        return self._link

    def _open(self, link: Link) -> None:
        """The guest is up."""
        if link.closed is None:
            self._link = self._last_link = link

    def _shut(self) -> None:
        """The process is gone."""
        self._link = None

    def _guest_ended(self, epoch: int) -> None:
        if epoch == self._epoch:
            self._link = None

    def _forward(self, data: bytes, buffers: Any, sender: Any, asker: Any, origin: Any) -> None:  # noqa: ARG002
        """Put a message of another process into the mailbox."""
        from actorflow.process.payload import loads  # noqa: PLC0415 - few

        self._arrive(loads(data, buffers), asker, sender)

    def _close(self, cause: BaseException | None) -> None:
        super()._close(cause)
        self._link = None
        host, self._host = self._host, None
        if host is not None:
            if self._flight is not None and self._flight.is_unheard:
                host.kill()
            elif self._guest and host.link.closed is None:  # it was given up here, and lives on there
                host.link.note(host.link.name, "exit", self.uid, False, 0.0)
            self._guest = False
            host.leave(self)


class DurableEnvoy(Envoy):
    """Stands in the tree for a durable actor in another process."""

    stays = False  # each incarnation is made anew, of what is stored

    async def on_start(self) -> None:  # type: ignore[override]
        """Have a host, make the actor in it, and have it run its `on_start`, which this unit will commit."""
        ref: Any = self._actor_ref
        unit: Any = CURRENT.get()
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
        options = ref._traits.options.override(host=None, capacity=None, restart="temporary")
        recipe = (*self.recipe, options, "temporary", GuestOfStore)
        ref._guest = True  # from here on: it is to be ended there, even if this is interrupted
        number = next(box.numbers)
        done: Future[Any] = Future()
        try:
            await link.request(link.name, "spawn", ref.uid, ref._epoch, ref.path, ref.parent, recipe)
            link.ask(ref, link.name, Handle(number, None, load=box.what_is_stored()), None, done)
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
            ref._scheduler.post(ref, Move(host), None)

    async def clear_host(self) -> None:
        """Leave a host that is to go, and end what an earlier incarnation has left in one."""
        ref: Any = self._actor_ref
        host = ref._host
        if host is None:
            return
        if ref._guest and host.link.closed is None:
            if ref._flight is not None and ref._flight.is_unheard:
                host.kill()
            with contextlib.suppress(HostDied):
                await end_guest(host.link, ref)
        if host.lost or host.link.closed is not None:
            self.leave(host)
        ref._guest = False

    async def on_stop(self) -> None:  # type: ignore[override]
        """Stop the actor."""
        ref: Any = self._actor_ref
        host, ref._link = ref._host, None
        if host is not None and ref._guest and host.link.closed is None:
            load = ref._box.what_is_stored() if ref._box.stored is not None else None
            if load is not None:  # `on_stop` sees no state of a handler that was rolled back
                host.link.tell(ref, host.link.name, load, None)
        await super().on_stop()

    async def move(self, host: Host) -> None:
        """Leave a host that is to be replaced for the next: the actor stops normally, and starts anew there."""
        ref: Any = self._actor_ref
        link, ref._link = host.link, None
        await link.request(link.name, "stop", ref.uid)
        ref._guest = False
        self.leave(host)
        started = ref._registry.start(ref)
        if started is not None:
            await started


class CopiedDurableRef(DurableRef):
    """On a virtual clock all processes are one; each incarnation gets its own copy of the arguments, as in another."""

    __slots__ = ()

    _arguments: Any = Copied._arguments


def run_own(ref: Any, own: Own) -> Any:
    """Have a guest handle a message of its own process."""
    if own.epoch != ref._epoch:
        return None
    return ref._box.within(partial(ref._box.run, own))


def run_blame(ref: Any, blame: Blame) -> None:
    """Count the death of a process."""
    try:
        ref._box.blame(blame)
    except StoreError as error:
        logger.warning("%s: the death of a process could not be counted: %s", ref, error)


HANDLERS.update({Own: run_own, Blame: run_blame})
SILENT.update((Own, Blame))
