"""Guests: the actors of a host that live in the tree of its parent process. Layer 2. The host's side of `lodge`.

A guest has the number and the path that it has in its parent's tree. What becomes of it when its incarnation ends is
decided there; until then its mailbox is kept.
"""

from __future__ import annotations

from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any

from actorflow.core.actor import HANDLERS, Actor
from actorflow.core.burial import SILENT, bury, close_incarnation
from actorflow.core.future import Future
from actorflow.core.life import life_of
from actorflow.core.lifecycle import release, run_stop, stop_children
from actorflow.core.mailbox import BoundedRef, Mail
from actorflow.core.messages import Ended, Start, Stop
from actorflow.core.procedure import completed, start_procedure
from actorflow.core.ref import DEAD, ENDING, ActorRef
from actorflow.core.registry import REFS
from actorflow.core.system import resolve
from actorflow.core.traits import Traits
from actorflow.errors import ActorDeadError, PayloadError
from actorflow.process.host.link import Answer
from actorflow.process.host.remote import sender_of_this
from actorflow.process.host.requests import REQUESTS, Request
from actorflow.process.payload import dump_error, dumps, loads
from actorflow.supervision.restarts import SupervisedChildren

if TYPE_CHECKING:
    from actorflow.core.current import Item
    from actorflow.core.scheduler import Scheduler
    from actorflow.process.host.link import Link


class Asked:
    """Carries an ask from another process: when its handler begins, the shared page says so."""

    __slots__ = ("message", "number")

    def __init__(self, message: Any, number: int) -> None:
        self.message = message
        self.number = number

    def __repr__(self) -> str:
        return repr(self.message)


def run_asked(ref: ActorRef[Any], asked: Asked) -> Any:
    """Note that it has begun, and handle the message."""
    PAGES[0][asked.number] = 1
    message = asked.message
    handler = HANDLERS.get(message.__class__)
    return ref._actor.on_receive(message) if handler is None else handler(ref, message)  # type: ignore[union-attr]


HANDLERS[Asked] = run_asked
PAGES: list[Any] = []  # the page of the link to the parent
FIRST_UID = [0]  # where the parent's process began to count its actors


class Lodger(ActorRef[Any]):
    """What makes a ref that of a guest: its address, in all processes, is the one that it has in its parent's tree."""

    __slots__ = ()

    _parent: Guests  # pyright: ignore[reportIncompatibleVariableOverride]

    def _number(self) -> int:
        return self.uid - self._parent.first_uid

    def __reduce__(self) -> tuple[Any, ...]:
        guests = self._parent
        address = (self._scheduler.key, guests.link.name, guests.first_uid, self.uid, self.path, self.actor_class)
        return resolve, address

    # --- when it has moved out, and others in this process still send to it ------------------------------------------

    def tell(self, message: Any) -> None:
        """Send a message; to one that has left, behind what is in its mailbox yet."""
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
        own = message.__class__ is Stop and not message.final  # the incarnation's, which is over
        if not own and message.__class__ not in SILENT and message.__class__ is not Leave:
            give_back(guests.link, self, message, future, sender)
        elif isinstance(message, Mail):
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
            REFS.by_uid[self.uid] = self  # what still comes is passed on

    def is_alive(self) -> bool:
        """Say whether messages are accepted."""
        far = self._far()
        return super().is_alive() if far is None else far.is_alive()

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:
        """End the actor for good behind what is queued."""
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


class GuestRef(Lodger):
    """A guest's ref in its host."""

    __slots__ = ()


def give_back(link: Link, ref: ActorRef[Any], message: Any, future: Any, sender: ActorRef[Any] | None) -> None:
    """Return a message to the parent's process; an ask that came from there goes on under its own number."""
    if message.__class__ is Asked:
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
    elif future.__class__ is Answer and future.link is link:
        link.note(link.name, "returned", *parcel, future.number)
    else:
        link.request(link.name, "returned", *parcel, None, future=future)


class BoundedGuestRef(Lodger, BoundedRef):  # pyright: ignore[reportIncompatibleVariableOverride]
    """The same, with a bounded mailbox: what it takes out is reported, so that the senders may go on."""

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


class Guests(SupervisedChildren):
    """The place of one guest: stands for its parent's children, which are in another process."""

    def __init__(self, scheduler: Scheduler, link: Link, parent: ActorRef[Any] | None, path: str) -> None:
        super().__init__(scheduler, None, path)
        self.owner = parent
        self._parent_path = path
        self.link = link
        self.first_uid = FIRST_UID[0]
        self.epoch = 0
        self.leaving: Request | None = None  # the guest is to move out, and this waits for it
        self.has_left = False

    @property
    def path(self) -> str:
        """Path of the parent."""
        return self._parent_path

    def crashed(self, ref: ActorRef[Any], error: BaseException) -> None:
        """The parent's process tells who listens."""

    def child_ended(self, ref: ActorRef[Any], error: BaseException | None, *, final: bool) -> None:
        """Keep the mailbox if the restart kind allows for a new incarnation, and leave the rest to the parent."""
        leaving, self.leaving = self.leaving, None
        if leaving is not None and self.has_left:
            self._go(ref, leaving)
            return
        if not final and self.will_restart(ref, error):
            self._between.add(ref.uid)
        else:
            bury(ref, error)
        self._report(ref, error, final=final)
        if leaving is not None:
            leaving.answer(value=False)

    def leave(self, ref: ActorRef[Any], request: Request) -> None:
        """End the guest behind what is queued; the answer is False if it ends by itself before."""
        if ref._state == DEAD or ref.uid in self._between:
            request.answer(value=False)
            return
        self.leaving = request
        self.scheduler.post(ref, Leave(), None)

    def hand_back(self, ref: ActorRef[Any], request: Request) -> None:
        """Let a guest that waits for its restart have it in another process, and its mailbox with it."""
        if ref._state == DEAD or ref.uid not in self._between:
            request.answer(value=False)
            return
        self._between.discard(ref.uid)
        self.has_left = True
        self._go(ref, request)

    def _go(self, ref: ActorRef[Any], request: Request) -> None:
        """Take the guest out; what is in its mailbox is returned, and then the request answered."""
        far = self.link.node.ref_to(self.link.name, self.first_uid, ref.uid, ref.path, ref.actor_class)
        life = ref._life
        if life is not None:  # its end is to be known to those who wait for it here
            watchers, life.watchers = life.watchers, {}
            for watcher, actor in watchers.items():
                life_of(watcher).watching.pop(ref, None)
                far._watched_by(watcher, actor)
            ended, life.ended = life.ended, []
            for future in ended:
                self.link.request(self.link.name, "end", ref.uid, future=future)
        bury(ref, None)
        self.scheduler.post_work(lambda: request.answer(value=True))  # behind what its last handlers have sent

    def bury_between(self, ref: ActorRef[Any]) -> bool:
        """Bury a guest that waits for its restart and was stopped meanwhile; its parent is told."""
        buried = super().bury_between(ref)
        if buried:
            self._report(ref, None, final=True)
        return buried

    def _report(self, ref: ActorRef[Any], error: BaseException | None, *, final: bool) -> None:
        reason = None if error is None else dump_error(error)
        self.link.note(self.link.name, "ended", ref.uid, self.epoch, reason, final)


class Leave:
    """Ends a guest that is to start anew in another process."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Leave()"


def run_leave(ref: Any, _message: Leave) -> Ended | None:
    """End normally, unless nobody waits for that any more: a crash came before, and what follows begins anew."""
    if ref._parent.leaving is None:
        return None
    ref._parent.has_left = True
    return run_stop(ref, Stop(final=True))


HANDLERS[Leave] = run_leave
SILENT.add(Leave)


class Steward(Actor):
    """Starts guests: to unpickle their classes and arguments is user code, which only handlers may run."""

    def spawn(self, request: Request, uid: int, epoch: int, path: str, parent: Any, recipe: Any) -> None:
        """Make a guest and start it; the request is answered when it is up."""
        data, buffers, options, restart, kind = recipe
        try:
            actor_class, args, kwargs = loads(data, buffers)
            ref = make_guest(request.link, uid, path, parent, Traits(actor_class, options), restart, kind)
        except BaseException as error:
            request.fail(error)
            if not isinstance(error, Exception):
                raise
            return
        life_of(ref).recipe = (args, kwargs)
        begin(request, ref, epoch, first=True)


def make_guest(
    link: Link, uid: int, path: str, parent: Any, traits: Traits, restart: str, kind: Any = None
) -> ActorRef[Any]:
    """Return the ref of a guest that is to be started, of a kind that the parent may name."""
    scheduler = link.node.scheduler
    above, _, name = path.rpartition("/")
    guests = Guests(scheduler, link, parent, above)
    guests.default_restart = restart
    if kind is None:
        kind = GuestRef if traits.options.capacity is None else BoundedGuestRef
    ref: Any = kind(uid, scheduler, guests, traits, name)
    guests.add(ref)
    REFS.by_uid[uid] = ref
    return ref  # type: ignore[no-any-return]


def begin(request: Request, ref: Any, epoch: int, *, first: bool) -> None:
    """Start an incarnation, and answer the request when it is up."""
    scheduler = request.node.scheduler
    done: Future[None] = Future()
    request.answer_with(done)
    ref._parent.epoch = epoch
    scheduler.post_work(lambda: start_procedure(scheduler, start(ref, first=first), done))


async def start(ref: Any, *, first: bool) -> None:
    """Make the incarnation and run its `on_start`; one that fails leaves the mailbox as it is, but for the first."""
    ref._parent._between.discard(ref.uid)
    try:
        await completed(ref._scheduler.run(ref, Start()))
    except Exception as error:
        await stop_children(ref)
        close_incarnation(ref, error)
        if first:
            bury(ref, error)
        else:
            ref._parent._between.add(ref.uid)
        raise
    if ref._state != DEAD:
        release(ref)


# --- requests of the parent ------------------------------------------------------------------------------------------


def spawn(request: Request, *arguments: Any) -> None:
    """Start a guest."""
    STEWARDS[0].cast(Steward.spawn, request, *arguments)


STEWARDS: list[ActorRef[Steward]] = []


def found(request: Request, uid: int) -> Any:
    """Return the guest, or answer that it is dead."""
    ref = request.node.find(uid)
    if ref is None or not isinstance(ref._parent, Guests):
        request.fail(ActorDeadError(f"{request.node.name} has no guest {uid}"))
        return None
    return ref


def start_again(request: Request, uid: int, epoch: int) -> None:
    """Start the next incarnation of a guest."""
    ref = found(request, uid)
    if ref is not None:
        begin(request, ref, epoch, first=False)


def stop(request: Request, uid: int) -> None:
    """End a guest behind what is queued."""
    ref = request.node.find(uid)
    if ref is None:
        request.answer()
        return
    done: Future[Any] = Future()
    request.answer_with(done)
    request.node.scheduler.post(ref, Stop(final=True), done)


EXITS: dict[int, Future[Any]] = {}  # that are under way: a guest in its `on_stop` is not found any more


def leave(request: Request, uid: int, restart: bool, seconds: float) -> None:
    """End a guest after its current handler, as a supervisor does; the answer says whether it may be started again."""
    ref: Any = request.node.find(uid)
    if ref is None:
        ending = EXITS.get(uid)
        if ending is None or not ending._add_waiter(lambda: request.answer(value=False)):
            request.answer(value=False)
        return
    scheduler = request.node.scheduler
    done: Future[Any] = Future()
    EXITS[uid] = done

    def answer() -> None:
        if EXITS.get(uid) is done:
            del EXITS[uid]
        if done._error is not None:
            request.fail(done._error)
        else:
            request.answer(value=ref._state != DEAD)

    done._add_waiter(answer)

    def begin() -> None:
        ref._parent.leaving = None  # whoever wanted it to move out does not wait any more
        start_procedure(scheduler, ref._parent.stop_child(ref, restart=restart, seconds=seconds), done)

    scheduler.post_work(begin)


def move_out(request: Request, uid: int) -> None:
    """End a guest behind what is queued, for its parent to start it in another process."""
    ref: Any = request.node.find(uid)
    if ref is None:
        request.answer(value=False)
    else:
        request.node.scheduler.post_work(lambda: ref._parent.leave(ref, request))


def hand_back(request: Request, uid: int) -> None:
    """Take out a guest that waits for its restart, for its parent to start it in another process."""
    ref: Any = request.node.find(uid)
    if ref is None:
        request.answer(value=False)
    else:
        request.node.scheduler.post_work(lambda: ref._parent.hand_back(ref, request))


def bury_guest(request: Request, uid: int) -> None:
    """A guest that waited for its restart gets none."""
    ref = request.node.find(uid)
    if ref is not None:
        request.node.scheduler.post_work(lambda: ref._parent.bury_between(ref))


REQUESTS.update(
    {
        "spawn": spawn,
        "start": start_again,
        "stop": stop,
        "exit": leave,
        "move out": move_out,
        "hand back": hand_back,
        "bury": bury_guest,
    }
)
