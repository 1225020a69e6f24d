"""Guest: a durable actor in a child process, which has no store. The child's side of `hosted`.

Its mailbox is the parent's. Messages come one at a time, as a `HandleRequest`; the handler runs in a unit, as it would
there. The effects go back as the answer, the new state included, and the parent commits them. Effects outside of the
store (sends to ordinary actors, pipes) wait here until the parent says that it has.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from actorflow.core.actors.context import Context
from actorflow.core.futures.future import Future
from actorflow.core.log import logger
from actorflow.core.messages.execution import CURRENT
from actorflow.core.messages.handlers import dispatch, handles
from actorflow.core.messages.messages import Start, Stop
from actorflow.core.messages.reply import Reply
from actorflow.core.refs.failure import contained, is_contained
from actorflow.core.refs.ref import ActorRef
from actorflow.core.refs.resolve import NODES
from actorflow.core.refs.timers import Timer
from actorflow.durable.address import ELSEWHERE, DurableBase, key_of, runtime_at
from actorflow.durable.context import DurableContext, DurableReply
from actorflow.durable.handling.machine_timers import timer_of
from actorflow.durable.handling.runtime_messages import CrashNow
from actorflow.durable.handling.unit_of_work import UnitOfWork
from actorflow.durable.remote.protocol import FAILED, HandleRequest, LoadRequest
from actorflow.durable.remote.remote_ref import DurableRemoteRef
from actorflow.durable.rows.answers import TimerRows
from actorflow.durable.rows.payload import Caused
from actorflow.durable.rows.records import MailRow, TimerRow
from actorflow.durable.rows.state import is_machine, put_state
from actorflow.process.hosts.child.guest_ref import GuestRef
from actorflow.process.hosts.child.guests import STEWARDS
from actorflow.process.hosts.link.reader import RemoteFuture
from actorflow.process.hosts.link.remote_ref import Elsewhere
from actorflow.process.hosts.link.requests import REQUESTS, Request
from actorflow.process.pickling import dump_error, load_error
from actorflow.store.classes import find_imported
from actorflow.store.codec import decode, encode

if TYPE_CHECKING:
    from actorflow.core.running.scheduler import Scheduler
    from actorflow.process.hosts.child.scheduler import HostScheduler


class GuestRuntime:
    """The durable actors of a system as one of its child processes knows them."""

    START: Final = Start()

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = cast("HostScheduler", scheduler)
        self.units: dict[tuple[int, int], GuestUnit] = {}  # by guest and number; they wait for their commit
        self.asks = GuestAsks(scheduler)

    def keeps(self, ref: ActorRef[Any]) -> bool:
        """Say whether an actor's rows are in the parent's store."""
        return isinstance(ref, DurableBase)

    def ref_of(self, key: str, cls: type[Any]) -> ActorRef[Any]:
        """Return the ref of the durable actor of a name."""
        scheduler = self.scheduler
        assert scheduler.link is not None
        parent, _, name = f"/{scheduler.name}/{key}".rpartition("/")
        return DurableRemoteRef(ELSEWHERE, Elsewhere(scheduler.link.node, "", 0, parent), cls._traits, name)

    def ref_to(self, address: tuple[str, str]) -> ActorRef[Any]:
        """Return the ref behind a stored address."""
        from actorflow.core.actors.actor import Actor  # noqa: PLC0415 - the name is this module's otherwise

        kind = find_imported(address[1])
        return self.ref_of(address[0], kind if isinstance(kind, type) and issubclass(kind, Actor) else Actor)

    @property
    def reply_at(self) -> Callable[[str, int], Any]:
        """The function that makes a pickled reply again."""
        return reply_at

    def reply_to(self, number: int) -> DurableReply:
        """Return the promised answer of a message."""
        return DurableReply(self, number)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    # --- outside of handlers: the parent does it at once -------------------------------------------------------------

    def add_timer(self, box: GuestMailbox, row: TimerRow) -> None:
        """Commit a timer."""
        row.id = ask_parent(self.scheduler, "durable timer", box.ref.uid, row)
        box.timers.add(row)

    def drop_timer(self, box: GuestMailbox, id: int) -> bool:
        """Commit the end of a timer."""
        box.timers.drop(id)
        return bool(ask_parent(self.scheduler, "durable timer ends", box.ref.uid, id))


class GuestAsks:
    """The asks that handlers here have made in letters; the parent passes the answers on."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._futures: dict[int, Future[Any]] = {}
        self._numbers = itertools.count(1)

    def add(self, future: Future[Any]) -> int:
        """Note the future that waits for an answer; return its number."""
        number = next(self._numbers)
        self._futures[number] = future
        return number

    def take(self, number: int) -> Future[Any] | None:
        """Return the future that waits for an answer, and forget it."""
        return self._futures.pop(number, None)

    def get(self, number: int) -> Future[Any] | None:
        """Return the future that waits for an answer."""
        return self._futures.get(number)

    def answer_now(self, number: int, value: bytes | None, error: bytes | None) -> None:
        """Have the parent set a promised answer, outside of handlers."""
        ask_parent(self._scheduler, "durable answer", number, value, error)


def ask_parent(scheduler: Any, verb: str, *arguments: Any) -> Any:
    """Have the parent do something at once, and return its answer."""
    link = scheduler.link
    return link.request(link.name, verb, *arguments).get()


def reply_at(key: str, number: int) -> Any:
    """Return the promised answer behind a pickled one; nobody waits for one of a system that is not known here."""
    here = NODES.get(key)
    if here is not None and here.name and here.scheduler.durable is None:
        here.scheduler.durable = GuestRuntime(here.scheduler)
    runtime = runtime_at(key)
    return Reply(None, "") if runtime is None else runtime.reply_to(number)


class GuestMailbox:
    """Stands in for a mailbox in the guest: the messages and the state that the parent sends."""

    node = ""
    epoch = 0
    stash = ()

    def __init__(self, runtime: GuestRuntime, ref: DurableGuestRef) -> None:
        self.runtime = runtime
        self.ref = ref
        self.name = ref._key
        self.address = encode(ref)
        self.is_machine = is_machine(ref.actor_class)
        self.stored: bytes | None = None  # of a machine: the state it rolls back to
        self.timers = TimerRows()
        self.waiting: dict[int, Any] = {}  # messages of this process that the parent was told of
        self.numbers = itertools.count(1)

    def load(self, load: LoadRequest) -> None:
        """Take over the stored state."""
        self.timers = TimerRows(load.timers)
        if load.value is None:
            return
        if load.again:
            self.drop_timers()
        put_state(self.ref._actor, load.value, again=load.again)
        if self.is_machine:
            self.stored = encode(load.value)

    def roll_back(self) -> None:
        """Go back to the stored state: a machine at once, since it has timers; others get it from the parent."""
        if self.is_machine and self.stored is not None:
            self.drop_timers()
            put_state(self.ref._actor, decode(self.stored), again=True)

    def drop_timers(self) -> None:
        """Forget a machine's timers that have fired: those that are not handled are made anew from the stored state."""
        for number, message in list(self.waiting.items()):
            if type(message) is Timer:
                del self.waiting[number]


class GuestUnit(UnitOfWork):
    """A message whose effects travel to the parent."""

    __slots__ = ("number",)

    number: int
    box: GuestMailbox  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleVariableOverride]

    def submit(self) -> Any:
        """Return the effects of the message, for the parent to commit."""
        box, effects = self.box, self.effects
        self.is_over = True
        if box.is_machine:
            box.stored = effects.state
        runtime = box.runtime
        letters = []
        for letter in effects.letters:
            if letter.future is not None:
                letter.number = runtime.asks.add(letter.future)
            asker = letter.asker if letter.future is None else None
            letters.append((letter.receiver, letter.body, letter.number, asker))
        follows = bool(self.held or self.after or effects.new_timers)
        if follows:
            runtime.units[box.ref.uid, self.number] = self
        fired = effects.timer
        if fired is not None and fired.period is None:
            box.timers.drop(fired.id)
        for id_ in effects.dropped_timers:
            box.timers.drop(id_)
        rows = [(row.due, row.period, row.body) for row in effects.new_timers]
        flags = (self.stashed, self.unstashes, follows)
        answers = effects.answer, letters, effects.answers
        return effects.ending, effects.state, *answers, rows, effects.dropped_timers, flags

    def failed(self, error: BaseException) -> Any:
        """Drop all effects, and return the error: the parent decides whether it is tried again."""
        if self.is_abandoned:
            logger.info("An abandoned handler ended with %r", error)
            return self.abandoned()
        refusal = self.is_refusal(error)
        if not refusal:
            self.box.roll_back()
        self.drop_sends()
        self.is_over = True
        if isinstance(error, KeyboardInterrupt):
            self.scheduler.events.interrupted()
        elif not is_contained(error):
            error = contained(self.box.ref, error)
        return FAILED, dump_error(error), refusal

    def settled(self, ids: list[int]) -> None:
        """Let the held sends leave, as the effects are committed."""
        box = self.box
        for row, id_ in zip(self.effects.new_timers, ids, strict=True):
            row.id = id_
            box.timers.add(row)
        for act in self.after:
            act()
        if self.held:
            self.scheduler.post(STEWARDS[0], Leaving(self), None)

    def dropped(self) -> None:
        """Drop the held sends, as the commit was refused."""
        self.drop_sends()


class Leaving:
    """Makes the sends of a unit: they may wait, and so are a handler's work."""

    __slots__ = ("unit",)

    def __init__(self, unit: GuestUnit) -> None:
        self.unit = unit


class DurableGuestRef(DurableBase, GuestRef):
    """The ref of a durable actor in the process where its handlers run; its sends go to the parent."""

    __slots__ = ("_box", "_key", "_sent_by")

    _context_class: ClassVar[type[Context]] = DurableContext
    _future_class = RemoteFuture

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        guests, path = self._parent, self.path
        self._key = key_of(path)
        elsewhere = Elsewhere(guests.link.node, guests.link.name, guests.first_uid, guests.path)
        self._sent_by = DurableRemoteRef(self.uid, elsewhere, self.actor_class._traits, self.name)
        scheduler = self._scheduler
        if scheduler.durable is None:
            scheduler.durable = GuestRuntime(scheduler)
        runtime = cast("GuestRuntime", scheduler.durable)
        for key in [key for key in runtime.units if key[0] == self.uid]:  # of an incarnation that could not start
            del runtime.units[key]
        self._box = GuestMailbox(runtime, self)

    def _far(self) -> ActorRef[Any]:
        return self._sent_by

    def is_alive(self) -> bool:
        """Say whether messages are accepted."""
        return ActorRef.is_alive(self)

    def tell(self, message: Any) -> None:
        """Send a message; its row is committed in the parent's process, soon after this returns."""
        self._sent_by.tell(message)

    def _send(self, message: Any, future: Future[Any] | None) -> None:
        self._sent_by._send(message, future)

    def _stop_behind(self, stop: Stop) -> None:
        link = self._parent.link
        link.note(link.name, "durable stop", self.uid, self._parent.epoch, stop.final)

    def _run_on_start(self) -> Any:
        """Wait for the parent's word: the stored state comes first."""

    def _within(self, run: Callable[[], Any]) -> Any:
        """Have a message of this process wait for its turn among the rows."""
        execution = CURRENT.get()
        if isinstance(execution, GuestUnit):
            return run()
        assert execution is not None
        message = execution.item[1]
        box, link = self._box, self._parent.link
        number = next(box.numbers)
        box.waiting[number] = message
        timer = timer_of(message) if isinstance(message, Timer) else None
        link.note(link.name, "durable own", self.uid, self._parent.epoch, number, timer, repr(message))
        return None


@handles(HandleRequest, silent=True)
def run_handle(ref: DurableGuestRef, handle: HandleRequest) -> Any:
    """Handle a message in a unit."""
    box = ref._box
    if handle.load is not None:
        box.load(handle.load)
    message = handle.message
    if handle.own:
        message = box.waiting.get(handle.own, NOTHING)
    elif message is None and handle.entry is None and handle.timer is None:
        message = box.runtime.START
    entry = None
    if handle.entry is not None:
        id_, asked = handle.entry
        entry = MailRow(id_, None, "" if asked else None, 0, 0, b"")
    unit = GuestUnit(box, message, entry=entry, timer=handle.timer)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    unit.number = handle.number
    unit.sender = handle.sender
    if handle.cause is not None:
        unit.item = (None, Caused(message, *handle.cause), None, None)  # type: ignore[assignment]
    return unit.perform(partial(run_message, ref, message))


NOTHING: Final = object()  # a timer that was dropped meanwhile


def run_message(ref: DurableGuestRef, message: Any) -> Any:
    """Run the handler of a message."""
    if message is NOTHING:
        return None
    if message is ref._box.runtime.START:
        return ref._actor._run_on_start()  # type: ignore[union-attr]
    return dispatch(ref, message)


@handles(LoadRequest, silent=True)
def run_load(ref: DurableGuestRef, load: LoadRequest) -> None:
    """Take over the stored state."""
    ref._box.load(load)


@handles(Leaving)
def run_leaving(_ref: ActorRef[Any], leaving: Leaving) -> None:
    """Make the sends that a unit has held."""
    leaving.unit.send_away(leaving.unit.held)


# --- news from the parent --------------------------------------------------------------------------------------------


def runtime_in(request: Request) -> GuestRuntime:
    """Return the durable actors as this process knows them."""
    return cast("GuestRuntime", request.node.scheduler.durable)


def settled(request: Request, uid: int, number: int, ids: list[int], own: int) -> None:
    """A unit is committed; a message of this process is over."""
    unit = runtime_in(request).units.pop((uid, number), None)
    if unit is not None:
        unit.settled(ids)
    ref = request.node.find(uid)
    if own and isinstance(ref, DurableGuestRef):
        ref._box.waiting.pop(own, None)


def dropped(request: Request, uid: int, number: int) -> None:
    """A unit was refused."""
    unit = runtime_in(request).units.pop((uid, number), None)
    if unit is not None:
        unit.dropped()


def fail(request: Request, uid: int, error: bytes) -> None:
    """The actor is to end as after a crash."""
    ref = request.node.find(uid)
    if ref is not None:
        ref._scheduler.post(ref, CrashNow(load_error(error), ref._actor), None)


def answered(request: Request, number: int, value: Any, error: bytes | None) -> None:
    """An ask in a letter is answered."""
    future = runtime_in(request).asks.take(number)
    if future is not None:
        future._settle(value, None if error is None else load_error(error))


REQUESTS.update({"durable settled": settled, "durable dropped": dropped, "durable answered": answered})
REQUESTS["durable fail"] = fail
