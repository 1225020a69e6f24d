"""Guests: the actors of a host that live in the tree of its parent process. The host's side of `hosted_ref`.

The fate of a guest whose incarnation ends is decided in the parent's process; until then its mailbox is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.core.actors.actor import Actor
from actorflow.core.actors.traits import Traits
from actorflow.core.futures.future import Future
from actorflow.core.messages.handlers import handles
from actorflow.core.messages.messages import Ended, Start, Stop
from actorflow.core.messages.ref_table import REFS
from actorflow.core.refs.cell import DEAD
from actorflow.core.refs.cold_fields import cold_of
from actorflow.core.refs.ref import ActorRef
from actorflow.core.refs.termination import bury, close_incarnation
from actorflow.core.running.lifecycle import release, run_stop, stop_children
from actorflow.core.running.system_task import completed, start_procedure
from actorflow.process.hosts.child.guest_ref import BoundedGuestRef, GuestBase, GuestRef, Leave
from actorflow.process.hosts.link.requests import Request
from actorflow.process.pickling import dump_error, loads
from actorflow.supervision.restarts import SupervisedChildren

if TYPE_CHECKING:
    from actorflow.core.running.scheduler import Scheduler
    from actorflow.process.hosts.link.link import HostLink

FIRST_UID = [0]  # where the parent's process began to count its actors
STEWARDS: list[ActorRef[Steward]] = []  # the host's


class Guests(SupervisedChildren):
    """The place of one guest: it stands for its parent's children, which are in another process.

    `make_guest` makes one for each guest. The holder of the host's baton calls its methods.
    """

    def __init__(self, scheduler: Scheduler, link: HostLink, parent: ActorRef[Any] | None, path: str) -> None:
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
        """Do nothing: the parent's process tells the listeners."""

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
        """End the guest behind its queued messages; the answer is False if it ends by itself before."""
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
        """Take the guest out; the messages in its mailbox are returned, and then the request answered."""
        far = self.link.node.ref_to(self.link.name, self.first_uid, ref.uid, ref.path, ref.actor_class)
        cold = ref._cold
        if cold is not None:  # waits for it here must learn of its end
            watchers, cold.watchers = cold.watchers, {}
            for watcher, actor in watchers.items():
                cold_of(watcher).watching.pop(ref, None)
                far._watched_by(watcher, actor)
            ended, cold.ended = cold.ended, []
            for future in ended:
                self.link.request(self.link.name, "end", ref.uid, future=future)
        bury(ref, None)
        self.scheduler.post_work(lambda: request.answer(value=True))  # behind the messages of its last handlers

    def bury_between(self, ref: ActorRef[Any]) -> bool:
        """Bury a guest that waits for its restart and was stopped meanwhile; its parent is told."""
        buried = super().bury_between(ref)
        if buried:
            self._report(ref, None, final=True)
        return buried

    def _report(self, ref: ActorRef[Any], error: BaseException | None, *, final: bool) -> None:
        reason = None if error is None else dump_error(error)
        self.link.note(self.link.name, "ended", ref.uid, self.epoch, reason, final)


@handles(Leave, silent=True)
def run_leave(ref: GuestBase, _message: Leave) -> Ended | None:
    """End normally, unless nothing waits for that any more, as a crash came before; its restart begins anew."""
    if ref._parent.leaving is None:
        return None
    ref._parent.has_left = True
    return run_stop(ref, Stop(final=True))


class Steward(Actor):
    """Starts guests, since unpickling their classes and arguments runs user code, which only handlers may do."""

    def spawn(
        self, request: Request, uid: int, epoch: int, path: str, parent: ActorRef[Any] | None, recipe: tuple[Any, ...]
    ) -> None:
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
        cold_of(ref).recipe = (args, kwargs)
        begin(request, ref, epoch, first=True)


def make_guest(
    link: HostLink,
    uid: int,
    path: str,
    parent: ActorRef[Any] | None,
    traits: Traits,
    restart: str,
    kind: type[GuestBase] | None = None,
) -> GuestBase:
    """Return the ref of a guest that is to be started, of a kind that the parent may name."""
    scheduler = link.node.scheduler
    above, _, name = path.rpartition("/")
    guests = Guests(scheduler, link, parent, above)
    guests.default_restart = restart
    if kind is None:
        kind = GuestRef if traits.options.capacity is None else BoundedGuestRef
    ref = kind(uid, scheduler, guests, traits, name)
    guests.add(ref)
    REFS.by_uid[uid] = ref
    return ref


def begin(request: Request, ref: GuestBase, epoch: int, *, first: bool) -> None:
    """Start an incarnation, and answer the request when it is up."""
    scheduler = request.node.scheduler
    done: Future[None] = Future()
    request.answer_with(done)
    ref._parent.epoch = epoch
    scheduler.post_work(lambda: start_procedure(scheduler, start(ref, first=first), done))


async def start(ref: GuestBase, *, first: bool) -> None:
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
