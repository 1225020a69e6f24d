"""Restarts: the children of a parent that restarts them by OTP's rules.

Runs on the holder of the baton. Crashes are handled one after the other: while a restart is under way, later ones wait.
The model is Erlang/OTP's `supervisor` (stdlib design principles, "Supervisor Behaviour").
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from actorflow.core.actors.actor import Actor
from actorflow.core.actors.child import Child, constructed
from actorflow.core.actors.traits import check_choice
from actorflow.core.log import logger
from actorflow.core.messages.handlers import handles
from actorflow.core.messages.messages import Restarted, Start
from actorflow.core.refs.cell import DEAD, IDLE, READY
from actorflow.core.refs.cold_fields import cold_of
from actorflow.core.refs.ref import ActorRef
from actorflow.core.refs.termination import bury, close_incarnation
from actorflow.core.running.children import Children
from actorflow.core.running.lifecycle import finish_exit, release, stop_children
from actorflow.core.running.system_task import completed, pause, start_procedure
from actorflow.core.system import System
from actorflow.errors import DefinitionError, HostDied, RestartLimitReached, is_a
from actorflow.supervision.window import RestartWindow
from actorflow.text import text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.core.running.scheduler import Scheduler

Strategy: TypeAlias = Literal["one_for_one", "one_for_all", "rest_for_one"]


class SupervisedChildren(Children):
    """Children with restart kinds, a strategy and a restart intensity."""

    def __init__(self, scheduler: Scheduler, owner: ActorRef[Any] | None, path: str | None = None) -> None:
        super().__init__(scheduler, owner, path)
        self.strategy: Strategy = "one_for_one"
        cls = owner.actor_class if owner is not None else None
        rules = (1, 5.0) if cls is None else (cls._restart_intensity, cls._restart_period)
        self.window = RestartWindow(*rules)
        self.history: deque[tuple[float, str, BaseException | None]] = deque()
        self.give_up: Callable[[BaseException], None] | None = None  # ends the system; set for its own children
        self._crashed: deque[tuple[ActorRef[Any], BaseException | None]] = deque()
        self._between: set[int] = set()  # uids of children that have no incarnation and get a new one
        self._restarting = False
        self._counted_host = ""  # whose death was the last restart that counted
        self._excused: set[int] = set()  # uids of children that were restarted for it without being counted

    def configure(self, *, strategy: Strategy, intensity: int, period: float, default_restart: str) -> None:
        """Set the rules; a supervisor does, before it has children."""
        check_choice("strategy", strategy, ("one_for_one", "one_for_all", "rest_for_one"))
        self.strategy = strategy
        self.window = RestartWindow(intensity, period)
        self.default_restart = default_restart

    def spawn_child(self, cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ActorRef[Any]:
        """Start a child from a class with arguments, or from a recipe."""
        if isinstance(cls, Child):
            if args or kwargs:
                msg = f"spawn({text_of(cls)}, ...): a child has its arguments already"
                raise DefinitionError(msg)
            return self.spawn(cls.traits, cls.args, cls.kwargs)
        actor_class, args = constructed(cls, args)
        return self.spawn(actor_class._traits, args, kwargs)

    # --- the fate of a child -----------------------------------------------------------------------------------------

    def will_restart(self, ref: ActorRef[Any], error: BaseException | None) -> bool:
        """Say whether a child's restart kind asks for a new incarnation; the intensity may still forbid one."""
        restart = self.restart_of(ref._traits)
        return not self.closed and (restart == "permanent" or (restart == "transient" and error is not None))

    def child_ended(self, ref: ActorRef[Any], error: BaseException | None, *, final: bool) -> None:
        """Bury the child, or queue its restart."""
        if error is None and final:
            bury(ref, None)
            return
        if is_a(error, RestartLimitReached) and self.give_up is not None:
            bury(ref, error)
            self.give_up(error)
        elif final or not self.will_restart(ref, error):
            bury(ref, error)
        else:
            self.note(ref, error)
            self._between.add(ref.uid)
            if self.strategy == "one_for_one":  # a pause of one child is none of its siblings' business
                start_procedure(self.scheduler, self._restart(ref, error))
                return
            self._crashed.append((ref, error))
            if not self._restarting:
                self._restarting = True
                start_procedure(self.scheduler, self._work_off())

    def note(self, ref: ActorRef[Any], error: BaseException | None) -> None:
        """Keep the crashes of the last period, for the error that a supervisor ends with."""
        now = self.scheduler.clock.monotonic()
        self.history.append((now, ref.path, error))
        while self.history and (now - self.history[0][0] > self.window.period or len(self.history) > 100):
            self.history.popleft()

    def incarnation_over(self, ref: ActorRef[Any]) -> None:
        """Note that a child has no incarnation, and waits for the next; while all stop there is none to come."""
        self._between.add(ref.uid)
        if self.closed:
            self.bury_between(ref)

    async def stop_all(self, *, seconds: float | None = None, cause: BaseException | None = None) -> None:
        """Stop all children; those that wait for a restart come first, as siblings may wait for an answer of theirs."""
        self.closed = True
        if self._between:
            for ref in [ref for ref in self.members.values() if ref.uid in self._between]:
                self.bury_between(ref)
        await super().stop_all(seconds=seconds, cause=cause)

    def bury_between(self, ref: ActorRef[Any]) -> bool:
        """Bury a child that waits for its restart; False if it does not."""
        if ref.uid not in self._between:
            return False
        self._between.discard(ref.uid)
        bury(ref, None)
        return True

    async def stop_child(
        self, ref: ActorRef[Any], *, restart: bool, seconds: float | None = None, cause: BaseException | None = None
    ) -> None:
        """End one child; one that waits for its restart has nothing left to end."""
        if ref.uid not in self._between:
            await super().stop_child(ref, restart=restart, seconds=seconds, cause=cause)
        elif not restart:
            self._between.discard(ref.uid)
            bury(ref, None, cause)

    async def _work_off(self) -> None:
        """Handle crashes one after the other: the siblings that one stops must be up before the next."""
        try:
            while self._crashed:
                ref, error = self._crashed.popleft()
                if ref.uid in self._between:  # else it was restarted with a sibling, or terminated
                    await self._restart(ref, error)
        finally:
            self._restarting = False

    async def _restart(self, ref: ActorRef[Any], error: BaseException | None) -> None:
        """Restart a child, and those that its strategy restarts with it; a failed start counts as a crash."""
        while not self.closed:
            if not self._allows(ref, error):
                self._limit_reached(ref, error)
                return
            affected = self._affected(ref)
            for sibling in reversed(affected):
                if sibling._state != DEAD:
                    await self.stop_child(sibling, restart=self.restart_of(sibling._traits) != "temporary")
            await self._back_off(ref)
            failure = None if self.closed else await self._start_again(affected, error)
            if failure is None:
                return
            ref, error = failure
            self.note(ref, error)

    def _allows(self, ref: ActorRef[Any], error: BaseException | None) -> bool:
        """Say whether one more restart fits; the death of one host is one, however many children it carried."""
        host = error.host if ref._is_remote and is_a(error, HostDied) else ""
        if host and host == self._counted_host and ref.uid not in self._excused:
            self._excused.add(ref.uid)  # once each, so that nothing loops uncounted
            return True
        allowed = self.window.allows(self.scheduler.clock.monotonic())
        if allowed:
            self._counted_host = host
            self._excused = {ref.uid}
        return allowed

    def _affected(self, ref: ActorRef[Any]) -> list[ActorRef[Any]]:
        if self.strategy == "one_for_one":
            return [ref]
        members = list(self.members.values())
        return members[members.index(ref) :] if self.strategy == "rest_for_one" else members

    async def _back_off(self, ref: ActorRef[Any]) -> None:
        backoff = ref._traits.options.backoff
        if backoff is None:
            return
        now = self.scheduler.clock.monotonic()
        cold = cold_of(ref)
        count, last = cold.crashes
        # A child that lived longer than the period since its last crash starts from the first pause again.
        count = 1 if now - last > max(self.window.period, backoff.limit) else count + 1
        cold.crashes = (count, now)
        await pause(self.scheduler, backoff.delay(count, self.scheduler.random_for(f"{ref.path} backoff")))

    async def _start_again(
        self, affected: list[ActorRef[Any]], error: BaseException | None
    ) -> tuple[ActorRef[Any], BaseException] | None:
        """Start children left to right; return the one that could not start, and its error."""
        for sibling in affected:
            if sibling.uid not in self._between:
                continue
            self._between.discard(sibling.uid)
            try:
                await completed(self.scheduler.run(sibling, Start()))
            except Exception as failed:  # noqa: BLE001 - logged in failure.failed; it is a crash of the child
                await stop_children(sibling)
                close_incarnation(sibling, failed)
                failure = sibling._across(failed, self.owner)
                exit_ = sibling._cold.exit if sibling._cold is not None else None
                if exit_ is not None:
                    finish_exit(sibling, exit_, failure)
                else:
                    self.incarnation_over(sibling)
                if sibling._state == DEAD:
                    continue  # it was terminated meanwhile, or all stop
                return sibling, failure
            self._publish_restarted(sibling, error)
            release(sibling)
        return None

    def _publish_restarted(self, ref: ActorRef[Any], error: BaseException | None) -> None:
        events = self.scheduler.events
        if events.listeners:
            seen = None if error is None else ref._across(error, None)
            events.publish(Restarted(ref, self.scheduler.clock.time(), seen))

    def _limit_reached(self, ref: ActorRef[Any], error: BaseException | None) -> None:
        """Give up: the parent crashes, or the system ends."""
        limit = RestartLimitReached(self.path, tuple(self.history))
        limit.__cause__ = error
        logger.error("%s gives up after %s crashed with %s", self.path, ref.path, text_of(error))
        self._between.discard(ref.uid)
        bury(ref, error, limit)
        if self.owner is None:
            if self.give_up is not None:
                self.give_up(limit)
            return
        crash_owner(self.owner, limit)

    # --- OTP's verbs -------------------------------------------------------------------------------------------------

    async def terminate_child(self, name: str) -> None:
        """Stop a child for good, and keep its recipe."""
        ref = self.find(name)
        if ref is None:
            raise unknown_child(self, name)
        recipe = recipe_of(ref)
        await self.stop_child(ref, restart=False)
        if self.restart_of(ref._traits) != "temporary":  # as in OTP, whose temporary children leave nothing behind
            self.terminated[name] = recipe

    async def start_child(self, recipe: Child[Any]) -> ActorRef[Any]:
        """Start one more child; the supervisor's handler waits without a thread."""
        ref, started = self.begin(recipe.traits, recipe.args, recipe.kwargs)
        if started is not None:
            await started
        return ref

    async def restart_child(self, name: str) -> ActorRef[Any]:
        """Start a terminated child again; if it cannot start, its recipe is kept."""
        recipe = self.terminated.get(name)
        if recipe is None:
            if self.find(name) is not None:
                msg = f"{self.path}/{name} is running: call terminate_child first"
                raise DefinitionError(msg)
            raise unknown_child(self, name)
        del self.terminated[name]
        try:
            return await self.start_child(recipe.options(name=name))
        except BaseException:
            self.terminated[name] = recipe
            raise


def recipe_of(ref: ActorRef[Any]) -> Child[Any]:
    """Return the recipe that a child was made from."""
    args, kwargs = ref._cold.recipe if ref._cold is not None and ref._cold.recipe is not None else ((), {})
    return Child(ref.actor_class, args, kwargs, ref._traits.options)


def unknown_child(children: SupervisedChildren, name: str) -> DefinitionError:
    """Make the error for a name that no child has."""
    known = ", ".join([ref.name for ref in children] + sorted(children.terminated)) or "none"
    return DefinitionError(f"{children.path} has no such child {name!r}; it has: {known}")


class GaveUp:
    """Crashes a parent whose children crash too often, after its current handler; but not its later incarnations."""

    __slots__ = ("actor", "error")

    def __init__(self, actor: Actor | None, error: RestartLimitReached) -> None:
        self.actor = actor
        self.error = error

    def __repr__(self) -> str:
        return "<restart limit reached>"


@handles(GaveUp, silent=True)
def run_gave_up(ref: ActorRef[Any], message: GaveUp) -> None:
    """Crash."""
    if ref._actor is message.actor:
        raise message.error


def crash_owner(owner: ActorRef[Any], error: RestartLimitReached) -> None:
    """Put the crash in front of the parent's mailbox."""
    if owner._state == DEAD:
        return
    ActorRef._put_back(owner, deque([(owner, GaveUp(owner._actor, error), None, None)]))  # ahead of bounded mail too
    if owner._state == IDLE:
        owner._state = READY
        owner._scheduler.ready.append(owner)


System.children_class = SupervisedChildren
