"""RoundTrip: a message of a durable actor on its way through a child process, and back to its commit."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from actorflow.core.futures.future import Future
from actorflow.core.messages.messages import CHANGED, SUSPENDED
from actorflow.core.refs.cold_fields import must_stop
from actorflow.core.running import lifecycle
from actorflow.durable.handling.after_commit import StoredUnit
from actorflow.durable.handling.runtime_messages import CountDeath, GuestMessage
from actorflow.durable.handling.unit_of_work import Behalf
from actorflow.durable.remote.protocol import FAILED, HandleRequest
from actorflow.durable.rows.payload import Caused
from actorflow.durable.rows.records import Letter, TimerRow
from actorflow.errors import ActorDeadError, HostDied
from actorflow.process.hosts.link.news import GuestEnded
from actorflow.process.hosts.parent.envoy import end_guest
from actorflow.process.pickling import dump_error, load_error

if TYPE_CHECKING:
    from actorflow.durable.remote.hosted import DurableHostedRef, HostedMailbox
    from actorflow.process.hosts.link.link import HostLink


class HostedUnit(StoredUnit):
    """One message that is handled in a child process.

    Attributes:
        number: by which the child knows it.
        round_trip: while it is there.
        own: the message, if it is one of the child's.
        refused_there: a machine has refused it, and is as it was.
        follows: the child holds sends, pipes or timers until this is committed.
    """

    __slots__ = ("follows", "number", "own", "refused_there", "round_trip")

    box: HostedMailbox

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.number = 0
        self.round_trip: RoundTrip | None = None
        self.own: GuestMessage | None = None
        self.refused_there = self.follows = False

    def is_refusal(self, error: BaseException) -> bool:  # noqa: ARG002 - the child has seen to it
        """Say whether an error is the refusal of a machine."""
        return self.refused_there

    def dispatch(self, message: Any) -> Any:
        """Send a message to the guest; its effects are dealt with when the guest has answered."""
        box = self.box
        ref = box.ref
        link = ref._link or ref._last_link
        assert link is not None
        self.number = next(box.numbers)
        self.round_trip = round_trip = RoundTrip(ref, link, box.must_load)
        effects = self.effects
        handle = HandleRequest(self.number, message, load=box.what_is_stored(), sender=self.sender, timer=effects.timer)
        if type(caused := self.item[1]) is Caused:
            handle.cause = caused.correlation, caused.id
        if effects.entry is not None:
            handle.entry = effects.entry.id, effects.entry.asker is not None
        if type(message) is GuestMessage:
            self.own, handle.own, handle.message = message, message.number, None
        ref._waiting = ref._round_trip = round_trip
        try:
            link.ask(ref, link.name, handle, None, round_trip.future)
        except BaseException:
            ref._waiting = ref._round_trip = None
            raise
        box.must_load = None
        if must_stop(ref):
            round_trip.interrupt()
        self.outer = Behalf(ref, self.outer)
        round_trip.future._when_done(partial(ref._scheduler.post_work, self.replied))
        return SUSPENDED

    def state_bytes(self) -> bytes:
        """Return the guest's state, as its last answer said."""
        latest = self.box.latest
        assert latest is not None
        return latest

    def replied(self) -> None:
        """Go on with the outcome of the message; the holder of the baton calls this."""
        box = self.box
        ref, round_trip = box.ref, self.round_trip
        assert round_trip is not None
        if ref._waiting is round_trip:
            ref._waiting = None
        if ref._round_trip is round_trip:
            ref._round_trip = None
        done, error = round_trip.future._value, round_trip.future._error
        if error is not None and round_trip.loads is not None:  # it has not come to it
            box.must_load = round_trip.loads
        gone = isinstance(error, (HostDied, ActorDeadError)) or (error is None and done is None)
        if error is None and done is not None:
            if done[0] == FAILED:
                error, self.refused_there = load_error(done[1]), done[2]
            else:
                fill(self, round_trip.link, done)
        if ref._actor is not self.actor:  # it was abandoned
            self.abandoned()
        elif gone:
            self.lost(round_trip, error)
        elif error is None:
            self.submit()
        elif (outcome := self.failed(error)) is not SUSPENDED:
            lifecycle.finished(ref, outcome)

    def lost(self, round_trip: RoundTrip, error: BaseException | None) -> None:
        """Have the next incarnation handle the message again, as the guest is gone with all effects of it."""
        ref = self.box.ref
        entry = self.effects.entry
        self.is_over = True
        self.drop_sends()
        self.box.put_back(entry)
        if isinstance(error, HostDied):
            key = self.own.timer[0] if self.own is not None and self.own.timer is not None else None
            if error.maybe_ran:
                ref._put_back(deque([(ref, CountDeath(entry, self.effects.timer, key), None, None)]))
        elif not must_stop(ref) and ref._link is round_trip.link:
            ref._link = None
            ref._scheduler.post(ref, GuestEnded(ref._epoch, error, final=False), None)
        lifecycle.finished(ref, CHANGED)

    def submit(self) -> Any:
        """Hand the outcome to the batch; sends held in the child are told of the commit."""
        again = self.effects.ending == "again" and not self.is_machine_timer
        if self.follows or (self.own is not None and not again):
            self.after.append(self.tell_settled)
        return super().submit()

    def tell_settled(self) -> None:
        """Tell the child of the commit."""
        assert self.round_trip is not None
        own = self.own.number if self.own is not None else 0
        settled_there(self, self.round_trip.link, self.number, own)

    def drop_sends(self) -> None:
        """Forget the held sends, also in the child."""
        super().drop_sends()
        if self.follows and self.round_trip is not None:
            self.follows = False
            link = self.round_trip.link
            link.note(link.name, "durable dropped", self.box.ref.uid, self.number)


def fill(unit: StoredUnit, link: HostLink, done: tuple[Any, ...]) -> bool:
    """Put the outcome of a message into its unit; True if something waits in the child for the commit."""
    box: Any = unit.box
    effects = unit.effects
    ending, state, effects.answer, letters, answers, timers, effects.dropped_timers, flags = done
    effects.ending = ending
    effects.state = box.latest = state
    effects.answers = answers
    effects.new_timers = [TimerRow(0, due, period, 0, body) for due, period, body in timers]
    for receiver, body, number, asker in letters:
        future = PassedOn(link, number) if number else None
        effects.letters.append(Letter(receiver, body, box.address, box.node if number else asker, future))
    unit.stashed, unit.unstashes, follows = flags
    if isinstance(unit, HostedUnit):
        unit.follows = follows
    return bool(follows)


def settled_there(unit: StoredUnit, link: HostLink, number: int, own: int) -> None:
    """Tell the child that a unit is committed."""
    ids = [row.id for row in unit.effects.new_timers]
    link.note(link.name, "durable settled", unit.box.ref.uid, number, ids, own)


class PassedOn(Future[Any]):
    """The answer to an ask in a letter: it goes to the child that waits for it."""

    __slots__ = ("link", "number")

    def __init__(self, link: HostLink, number: int) -> None:
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


class RoundTrip:
    """The wait of an actor whose message is in the child; `exit` is its word that it ends there, if it is to."""

    __slots__ = ("exit", "future", "link", "loads", "ref")

    is_all = False
    deadline = None

    def __init__(self, ref: DurableHostedRef, link: HostLink, loads: bool | None) -> None:
        self.ref = ref
        self.link = link
        self.loads = loads  # the stored state goes along
        self.future: Future[Any] = Future()
        self.exit: Future[Any] | None = None

    def interrupt(self) -> None:
        """A supervisor wants the end: it begins there after this handler, which is woken if it waits."""
        self.exit = end_guest(self.link, self.ref)

    @property
    def is_unheard(self) -> bool:
        """Say whether the process has not even answered that: once the handler is abandoned, it does not answer."""
        return self.exit is not None and not self.exit._done and not self.future._done
