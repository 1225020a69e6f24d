"""Children: the actors under one parent, or under the system, by name.

Here every child is temporary: it ends when it crashes. `actorflow.supervision` adds restarts.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.futures.future import Future, patient
from actorflow.core.messages.messages import Crashed
from actorflow.core.messages.ref_table import REFS
from actorflow.core.refs.cell import BUSY, DEAD, IDLE, READY
from actorflow.core.refs.cold_fields import cold_of
from actorflow.core.refs.ref import ActorRef
from actorflow.core.refs.termination import bury, close_incarnation
from actorflow.core.running.lifecycle import (
    abandon,
    begin_start,
    construct,
    publish_started,
    request_exit,
    stop_children,
)
from actorflow.core.running.system_task import completed_within, start_procedure
from actorflow.errors import ActorDeadError, DefinitionError

if TYPE_CHECKING:
    from actorflow.core.actors.child import Child
    from actorflow.core.actors.traits import Traits
    from actorflow.core.running.scheduler import Scheduler

DIGITS: Final = 20  # of an actor's number; Python refuses to read thousands


class Children:
    """The children of `owner` in start order; `owner` is None for those of the system.

    The scheduler makes them at the actor's first child.
    """

    default_restart = "temporary"

    def __init__(self, scheduler: Scheduler, owner: ActorRef[Any] | None, path: str | None = None) -> None:
        self.scheduler = scheduler
        self.owner = owner
        self._path = path
        self.members: dict[str | int, ActorRef[Any]] = {}
        self.terminated: dict[str, Child[Any]] = {}  # recipes whose names are taken, though nothing runs
        self.closed = False
        self._stop_order: list[ActorRef[Any]] = []
        self._has_numbered = False  # True: some child was given a name that might be an unnamed one's

    @property
    def path(self) -> str:
        """Path of the parent."""
        return self._path if self.owner is None else self.owner.path  # type: ignore[return-value]

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Any:
        return iter(list(self.members.values()))

    def find(self, name: str) -> ActorRef[Any] | None:
        """Return the child of that name."""
        ref = self.members.get(name)
        if ref is None:
            number = name.rpartition("-")[2]
            is_number = number.isdecimal() and len(number) <= DIGITS
            ref = self.members.get(int(number) + self.scheduler.first_uid) if is_number else None
        return ref if ref is not None and ref.name == name else None

    # --- start -------------------------------------------------------------------------------------------------------

    def spawn(self, traits: Traits, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ActorRef[Any]:
        """Make an actor, start it, and wait until its `on_start` has ended; raise the error of either."""
        ref, started = self.begin(traits, args, kwargs)
        if started is not None:
            try:
                started.get()
            except BaseException:  # its own error, or a signal: a caller that gets no ref leaves no actor behind
                self.scheduler.post_work(lambda: request_exit(ref, restart=False))
                raise
        return ref

    def begin(
        self, traits: Traits, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[ActorRef[Any], Future[Any] | None]:
        """Make an actor, its constructor here, and start it; the future, if it has an `on_start`, is that one's end."""
        options = traits.options
        scheduler = self.scheduler
        kind = scheduler.kinds[options.capacity is not None]
        if options.durable or options.host is not None:
            kind, traits = scheduler.place(self, traits)
        uid = next(REFS.uids)
        while self._has_numbered and self._is_taken(traits, uid):
            uid = next(REFS.uids)
        ref: ActorRef[Any] = kind(uid, scheduler, self, traits, options.name)
        begun: list[bool] | None = [] if traits.has_on_start else None
        started = None
        try:
            construct(ref, args, kwargs)
            self.add(ref)
            if (options.restart or self.default_restart) != "temporary":
                cold_of(ref).recipe = (args, kwargs)
            REFS.by_uid[uid] = ref
            if begun is not None:
                started = self._begin_with_on_start(ref, begun)
            else:
                if ref._queue is None:
                    ref._state = IDLE
                if ref._queue is not None or scheduler.events.listeners:
                    self._announce(ref)
            if self.closed or scheduler.closed:  # they may have closed meanwhile, and not seen this child
                scheduler.check_usable()
                scheduler.post_work(partial(request_exit, ref, restart=False))  # a lambda would cost each spawn a cell
        except BaseException as error:  # the constructor may have handed out the ref
            scheduler.post_work(partial(undo_start, ref, error, begun))
            raise
        return ref, started

    def _announce(self, ref: ActorRef[Any]) -> None:
        """Open the mailbox of an actor whose constructor has handed out its ref, and tell listeners that it lives."""
        scheduler = self.scheduler
        if ref._queue is not None:
            scheduler.post_work(lambda: scheduler.open(ref))
        if scheduler.events.listeners:
            scheduler.post_work(lambda: publish_started(ref))

    def _begin_with_on_start(self, ref: ActorRef[Any], begun: list[bool]) -> Future[Any]:
        started: Future[Any] = patient(ref)

        def begin() -> None:
            begun.append(True)
            begin_start(ref, started)

        self.scheduler.post_work(begin)
        return started

    def add(self, ref: ActorRef[Any]) -> None:
        """Enter the child by its name; two of one name are a DefinitionError."""
        if self.closed or self.scheduler.closed:
            self.scheduler.check_usable()
            msg = f"{self.path} is stopping and takes no more children"
            raise ActorDeadError(msg)
        key = ref._name if ref._name is not None else ref.uid
        if self.terminated and ref.name in self.terminated:
            msg = f"{self.path}/{ref.name} is terminated; restart_child starts it again"
            raise DefinitionError(msg)
        is_numbered = ref._name is not None and ref._name[-1].isdecimal()
        if is_numbered:
            self._has_numbered = True
        if (is_numbered and self.find(ref.name) is not None) or self.members.setdefault(key, ref) is not ref:
            msg = f"{self.path} has a child named {key!r} already; names are unique among siblings"
            raise DefinitionError(msg)

    def _is_taken(self, traits: Traits, uid: int) -> bool:
        """Say whether the name that an unnamed child would have with this number was given to another."""
        return f"{traits.actor_class.__name__.lower()}-{uid - self.scheduler.first_uid}" in self.members

    def remove(self, ref: ActorRef[Any]) -> None:
        """Take a dead child out."""
        key = ref._name if ref._name is not None else ref.uid
        if self.members.get(key) is ref:
            del self.members[key]

    # --- end ---------------------------------------------------------------------------------------------------------

    def restart_of(self, traits: Traits) -> str:
        """Return the restart kind that holds for a child."""
        return traits.options.restart or self.default_restart

    def will_restart(self, ref: ActorRef[Any], error: BaseException | None) -> bool:  # noqa: ARG002 - for subclasses
        """Say whether the child lives on after this end of its incarnation."""
        return False

    def crashed(self, ref: ActorRef[Any], error: BaseException) -> None:
        """Tell the listeners that a child crashed."""
        events = self.scheduler.events
        if events.listeners:
            events.publish(Crashed(ref, self.scheduler.clock.time(), ref._across(error, None)))

    def child_ended(self, ref: ActorRef[Any], error: BaseException | None, *, final: bool) -> None:  # noqa: ARG002
        """Decide the fate of a child whose incarnation is over."""
        bury(ref, error)

    def incarnation_over(self, ref: ActorRef[Any]) -> None:
        """Note that a child has no incarnation, and waits for the next."""

    def bury_between(self, ref: ActorRef[Any]) -> bool:  # noqa: ARG002 - for subclasses
        """Bury a child that waits for its restart; False if it does not."""
        return False

    async def stop_all(self, *, seconds: float | None = None, cause: BaseException | None = None) -> None:
        """Stop all children, the youngest first, each within its shutdown time, or within `seconds`.

        At the end of the system only the grace time bounds them.
        """
        self.closed = True
        while (ref := self.youngest()) is not None:
            drain = self.scheduler.drain
            if drain is not None and seconds is None:
                await drain.end_child(self, ref)
            else:
                await self.stop_child(ref, restart=False, seconds=seconds, cause=cause)

    def youngest(self) -> ActorRef[Any] | None:
        """Return the living child that was started last.

        Asking the dict for its last item again and again is quadratic: it walks over all deleted ones each time.
        """
        order = self._stop_order
        while order and order[-1]._state == DEAD:
            order.pop()
        if not order:
            order[:] = self.members.values()
        return order[-1] if order else None

    async def stop_child(
        self, ref: ActorRef[Any], *, restart: bool, seconds: float | None = None, cause: BaseException | None = None
    ) -> None:
        """End one child; abandon it, and all below it, if it takes longer than its shutdown time."""
        done = request_exit(ref, restart=restart, cause=cause)
        if not done._done:
            limit = ref._traits.options.shutdown if seconds is None else seconds
            if not await completed_within(self.scheduler, done, limit):
                await stop_children(ref, seconds=0.0, cause=cause)
                abandon(ref)


def undo_start(ref: ActorRef[Any], error: BaseException, begun: list[bool] | None) -> None:
    """End an actor whose spawner was interrupted; `begun` is not empty if its `on_start` runs, or has run."""
    if begun or ref._state in (IDLE, BUSY, READY):
        request_exit(ref, restart=False, cause=error)
    else:
        start_procedure(ref._scheduler, _bury_unborn(ref, error))


async def _bury_unborn(ref: ActorRef[Any], error: BaseException) -> None:
    """Leave nothing of an actor whose constructor failed, which may have spawned children and begun timers."""
    await stop_children(ref, cause=error)
    close_incarnation(ref, error)
    bury(ref, error)


def system_actor(scheduler: Scheduler, traits: Traits, name: str) -> ActorRef[Any]:
    """Make an actor of the runtime's own outside of the tree, which has no constructor to run and does not end."""
    ref: ActorRef[Any] = ActorRef(0, scheduler, Children(scheduler, None, f"/{scheduler.name}"), traits, name)
    ref._actor = traits.actor_class.__new__(traits.actor_class)
    ref._actor._actor_ref = ref
    ref._state = IDLE
    return ref
