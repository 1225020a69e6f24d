"""Context: `self.ctx`, an actor's access to its system."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

from actorflow.core.futures.future import Future
from actorflow.core.messages.execution import CURRENT, Execution
from actorflow.core.messages.handlers import handles
from actorflow.core.messages.messages import Call
from actorflow.core.messages.reply import Reply
from actorflow.core.refs.cell import ENDING
from actorflow.core.refs.cold_fields import cold_of
from actorflow.core.refs.ref import ActorRef
from actorflow.core.refs.resolve import Gone
from actorflow.core.refs.timers import Sleep, Timer, TimerEntry
from actorflow.errors import ActorDeadError, AskTimeout, DefinitionError, Stopping
from actorflow.text import text_of

if TYPE_CHECKING:
    import random

    from actorflow.core.actors.actor import Actor
    from actorflow.core.actors.child import Child
    from actorflow.core.running.scheduler import Scheduler

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A", bound="Actor")


class HasEnd(Protocol[T]):
    """An object with an end, such as a run."""

    def _end_future(self) -> Future[T]:
        """Return a future of its end."""
        ...


class Context:
    """An actor's access to its system. You get it as `self.ctx`; it belongs to one incarnation.

    Times are seconds. All methods may be called from any thread; those about "the current message" (`sender`, `stash`,
    `reply_later`) only make sense inside a handler.
    """

    __slots__ = ("_actor", "_ref")

    def __init__(self, actor: Actor) -> None:
        self._actor = actor
        self._ref = actor._actor_ref

    def __reduce__(self) -> tuple[Any, ...]:
        msg = "a context belongs to one actor: send the actor's ref, self.actor_ref, or a value from the context"
        raise TypeError(msg)

    # --- sender and time ---------------------------------------------------------------------------------------------

    @property
    def sender(self) -> ActorRef[Any] | None:
        """The sender of the current message; None if it came from outside of actors."""
        return self._handling("sender").item[3]

    @property
    def parent(self) -> ActorRef[Any] | None:
        """The parent's ref; None directly under the system."""
        return self._ref.parent

    def now(self) -> float:
        """Return seconds since the epoch on the system's clock."""
        scheduler = self._running()
        return scheduler.time_for(self._ref) if scheduler.is_virtual else scheduler.clock.time()

    @property
    def random(self) -> random.Random:
        """Random numbers; on a virtual clock a stream of this actor's own, which comes from the seed and its path."""
        scheduler = self._running()
        return scheduler.random_for(self._ref.path) if scheduler.is_virtual else scheduler.random

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger named after the actor's module; each line starts with the actor's path."""
        return PathLogger(logging.getLogger(type(self._actor).__module__), {"actor": self._ref.path})

    # --- children and watches ----------------------------------------------------------------------------------------

    @overload
    def spawn(self, child: Child[A], /) -> ActorRef[A]: ...
    @overload
    def spawn(self, child: Callable[P, A], /, *args: P.args, **kwargs: P.kwargs) -> ActorRef[A]: ...
    def spawn(self, child: Any, /, *args: Any, **kwargs: Any) -> ActorRef[Any]:
        """Start a child: `spawn(Class, ...)` or `spawn(af.child(Class, ...).options(...))`.

        The child stops before this actor stops or restarts. Returns once the child's `on_start` has ended.

        Raises:
            DefinitionError: the arguments do not fit, or a sibling has that name.
            Exception: the error of its constructor or `on_start`.
        """
        self._check_alive()
        if self._ref._state >= ENDING:
            msg = f"{self._ref.path} is stopping and takes no more children"
            raise ActorDeadError(msg)
        ref: ActorRef[Any] = self._ref._scheduler.children_of(self._ref).spawn_child(child, args, kwargs)
        return ref

    def watch(self, ref: ActorRef[Any], /) -> None:
        """Get a `Terminated(ref, reason)` message when the actor is dead; at once if it is. A restart sends none."""
        self._check_alive()
        ref._watched_by(self._ref, self._actor)

    # --- timers ------------------------------------------------------------------------------------------------------

    def after(self, delay: float, method: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Timer:
        """Have `method` of this actor called, as a message, in `delay` seconds."""
        return self._timer(delay, None, method, args, kwargs)

    def every(self, period: float, method: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Timer:
        """Have `method` of this actor called, as a message, every `period` seconds, at a fixed rate.

        Firings never pile up: one that was not handled yet stands for those that follow.
        """
        if period <= 0:
            msg = f"every({period}): give a period above 0 seconds"
            raise DefinitionError(msg)
        return self._timer(period, period, method, args, kwargs)

    def _timer(
        self, delay: float, period: float | None, method: Callable[..., Any], args: tuple[Any, ...], kwargs: Any
    ) -> Timer:
        self._check_method(method)
        if not delay >= 0:
            msg = f"a delay of {delay} seconds: it must not be negative"
            raise DefinitionError(msg)
        self._check_alive()
        return self._start_timer(delay, period, Call(method.__name__, args, kwargs))

    def _start_timer(self, delay: float, period: float | None, call: Call) -> Timer:
        timer = Timer(self._actor, period, call)
        timer.start(self._ref._scheduler.clock.monotonic() + delay)
        return timer

    def sleep(self, seconds: float, /) -> None:
        """Wait in a handler and let other actors run. In an `async def` handler, await `af.timer(seconds)` instead.

        Raises:
            Stopping: the actor is being shut down.
        """
        over, cancel = timer_future(self._ref, seconds)
        try:
            over.get()
        except BaseException:
            cancel()
            raise

    # --- the current message -----------------------------------------------------------------------------------------

    def stash(self) -> None:
        """Put the current message aside; `unstash` brings it back. An ask stays unanswered until then."""
        execution = self._handling("stash")
        item = execution.item
        cold_of(self._ref).stash.append(item)
        execution.item = (item[0], item[1], None, *item[3:])
        self._ref._count_stashed(1)

    def unstash(self) -> None:
        """Put all stashed messages back to the front of the mailbox, in their old order."""
        execution = self._handling("unstash")
        cold_of(self._ref).unstash = True
        item = execution.item
        execution.item = (item[0], item[1], *item[2:])  # a new tuple tells the scheduler to look at the mailbox

    def reply_later(self) -> Reply:
        """Take over the answer to the current message; set it from any handler or thread.

        If the actor ends before it is set, the caller gets the crash's cause or ActorDeadError.
        """
        execution = self._handling("reply_later")
        item = execution.item
        future = item[2]
        reply = Reply(future, self._ref.path)
        if future is not None:
            future._delegated = True
            cold_of(self._ref).replies[id(reply)] = reply
        execution.item = (item[0], item[1], None, *item[3:])
        return reply

    def pipe(
        self,
        future: Future[T] | HasEnd[T],
        method: Callable[[T], Any],
        /,
        *,
        on_error: Callable[[Exception], Any] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Have `method` called with the future's value, as a message, once it is there; the actor goes on meanwhile.

        A future that ends with an error crashes the actor with that error, as if a cast had raised it; with `on_error`,
        that method is called with the error instead. Of a state machine, both may be events. One of the two is called,
        once. In a durable actor, an ask to another one that the same handler has sent is answered by a row of the
        mailbox: also after the process has died, and to the incarnation that is there then. Other futures, and runs,
        are forgotten with the incarnation: pipe a run again in `on_start`, or have its last line tell the actor.

        Args:
            future: of an ask, of a pool's task, or any other of actorflow; or a run, for its end. A job has none: its
                task may tell the actor.
            method: a method of this actor, called with the value.
            on_error: a method of this actor, called with the error.
            timeout: seconds on the system's clock after which the error is an AskTimeout; a later value is dropped.

        Raises:
            DefinitionError: it is no future, or no method of this actor.
        """
        if not isinstance(future, Future) and not hasattr(type(future), "_end_future"):
            msg = (
                f"pipe({text_of(future)}, ...): give a future of actorflow, of an ask or of a pool's task, or a run; a "
                "job has none: give its task self.actor_ref, and have it tell the actor"
            )
            raise DefinitionError(msg)
        self._check_method(method)
        if on_error is not None:
            self._check_method(on_error)
        self._check_alive()
        if timeout is not None and not timeout >= 0:
            msg = f"a timeout of {timeout} seconds: it must not be negative"
            raise DefinitionError(msg)
        failed = None if on_error is None else on_error.__name__
        if not isinstance(future, Future):
            future = future._end_future()
        self._start_pipe(future, Piped(self._actor, future, method.__name__, failed), timeout)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _start_pipe(self, future: Future[Any], piped: Piped, timeout: float | None) -> None:
        if timeout is not None:
            piped.future = future = within(self._ref, future, timeout)
        future._when_done(piped)

    def _check_method(self, method: Callable[..., Any]) -> None:
        if getattr(method, "__self__", None) is not self._actor:
            msg = f"{text_of(method)} is no method of this actor: pass self.method"
            raise DefinitionError(msg)
        if not hasattr(self._actor, method.__name__):
            msg = (
                f"{type(self._actor).__name__} has no {method.__name__!r}, and methods are called by their names: "
                "begin it with one underscore, not with two; of a decorated one, have the decorator use functools.wraps"
            )
            raise DefinitionError(msg)

    def _handling(self, what: str) -> Execution:
        execution = CURRENT.get()
        if execution is None or execution.item[0] is not self._ref:
            if execution is not None and execution.is_abandoned:
                msg = f"this incarnation was abandoned; ctx.{what} is over"
                raise Stopping(msg)
            msg = f"ctx.{what} concerns the current message: use it inside a handler of this actor"
            raise DefinitionError(msg)
        return execution

    def _running(self) -> Scheduler:
        if isinstance(self._ref._home, Gone):
            name = type(self._actor).__name__
            msg = f"this {name} was made by its class and has no system: start it with system.spawn({name}, ...)"
            raise DefinitionError(msg)
        return self._ref._scheduler

    def _check_alive(self) -> None:
        ref = self._ref
        self._running().check_usable()
        if ref._actor is not self._actor and ref._actor is not None:
            msg = f"this incarnation of {ref.path} is over; a new one has taken its place"
            raise Stopping(msg)


ActorRef._context_class = Context


class Piped:
    """Turns the end of a future into a message."""

    __slots__ = ("actor", "failed", "future", "name", "ref")

    def __init__(self, actor: Actor, future: Future[Any], name: str, failed: str | None = None) -> None:
        self.failed = failed  # the method that gets an error
        self.ref = actor._actor_ref
        self.actor = weakref.ref(actor)  # a future that is never done must not keep a dead incarnation
        self.future = future
        self.name = name

    def __call__(self) -> None:
        """Queue the message; called when the future is done."""
        self.ref._scheduler.post(self.ref, self, None)

    def __repr__(self) -> str:
        return f"<Piped to {self.name}>"


@handles(Piped)
def run_piped(ref: ActorRef[Any], piped: Piped) -> Any:
    """Run the method that a future was piped to, unless its incarnation is over."""
    actor: Actor | None = piped.actor()
    if actor is None or actor is not ref._actor:
        return None
    return ref._within(lambda: _perform_piped(actor, piped))  # type: ignore[arg-type]


def _perform_piped(actor: Actor, piped: Piped) -> Any:
    """Call the method with the value or the error of the future."""
    name = piped.name
    try:
        result = piped.future.get()
    except Exception as error:
        if piped.failed is None:
            raise
        name, result = piped.failed, error
    return actor._perform_named(name, (result,), {})


class PathLogger(logging.LoggerAdapter[logging.Logger]):
    """Puts the actor's path in front of each line, and as `record.actor`."""

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        """Add the path."""
        extra = self.extra or {}
        kwargs["extra"] = {**extra, **(kwargs.get("extra") or {})}
        return f"[{extra['actor']}] {msg}", kwargs


def timer_future(ref: ActorRef[Any], seconds: float) -> tuple[Future[None], Callable[[], None]]:
    """Return a future that is done in `seconds` on the clock of the ref's system, and a function to cancel it."""
    if not seconds >= 0:
        msg = f"a sleep of {seconds} seconds: it must not be negative"
        raise DefinitionError(msg)
    scheduler = ref._scheduler
    due = scheduler.clock.monotonic() + seconds
    over: Future[None] = Sleep(due)
    entries: list[TimerEntry] = []
    scheduler.post_work(lambda: entries.append(scheduler.add_timer(due, lambda: over._settle(None, None))))

    def cancel() -> None:
        for entry in entries:
            scheduler.timers.cancel(entry)

    return over, lambda: scheduler.post_work(cancel)


def within(ref: ActorRef[Any], future: Future[T], seconds: float) -> Future[T]:
    """Return a future of another one's value or error, or of AskTimeout if that takes more than some seconds.

    Whoever asks for the value gets it of the other one, so a value that is yet to be computed is computed there.
    """
    first: Future[Future[T]] = Future(future._target)
    over, cancel = timer_future(ref, seconds)

    def done() -> None:
        if first._settle(future, None):
            cancel()

    def end() -> None:
        if first._settle(None, AskTimeout(f"no answer came in {seconds:g} s")):
            future._drop_waiter(done)

    if not future._add_waiter(done):
        done()
    elif not over._add_waiter(end):
        end()
    return first.map(lambda one: one.get(timeout=seconds))


def timer(seconds: float, /) -> Future[None]:
    """Return a future that is done in `seconds`; await it in an `async def` handler, or in the body of a workflow.

    That of a workflow lasts: it is done when its time is over, also if the process has died meanwhile.

    >>> import actorflow as af
    >>> class Slow(af.Actor):
    ...     async def double(self, n: int) -> int:
    ...         await af.timer(0.01)
    ...         return 2 * n
    >>> with af.ActorSystem("demo") as system:
    ...     system.spawn(Slow).call(Slow.double, 21).get(timeout=10)
    42

    Raises:
        DefinitionError: called outside of an actor, where no system's clock is at hand.
    """
    execution = CURRENT.get()
    if execution is None:
        msg = "af.timer is for handlers: outside of actors use time.sleep or asyncio.sleep"
        raise DefinitionError(msg)
    own = execution.timer(seconds)
    if own is not None:
        return own
    ref = execution.receiver
    if ref is None:
        raise Stopping
    return timer_future(ref, seconds)[0]
