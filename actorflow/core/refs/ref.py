"""ActorRef: the address of an actor, and the sends.

A ref stays valid over restarts; messages carry refs, and a ref pickles. All fields that are not part of the address
belong to the scheduler: only the thread that holds the baton changes them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, Final, Generic, Literal, ParamSpec, TypeVar, overload

import pykka
from pykka import messages as pykka_messages

from actorflow.core.futures.future import Future, patient
from actorflow.core.futures.unobserved import fail
from actorflow.core.messages.execution import CURRENT
from actorflow.core.messages.messages import Call, Sent, Stop
from actorflow.core.refs.address import Address
from actorflow.core.refs.pykka_views import Inbox, Proxy, StoppedEvent
from actorflow.errors import ActorDeadError, DefinitionError
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.actors.actor import Actor
    from actorflow.core.actors.context import Context
    from actorflow.core.actors.traits import Traits
    from actorflow.core.actors.transitions import RecordSubscription
    from actorflow.core.messages.execution import Item
    from actorflow.core.refs.cold_fields import ColdFields
    from actorflow.core.running.children import Children
    from actorflow.core.running.run_queue import Waiting
    from actorflow.core.running.scheduler import Scheduler
    from actorflow.machine.event import Record
    from actorflow.machine.state_machine import StateMachine

P = ParamSpec("P")
R = TypeVar("R")
A_co = TypeVar("A_co", bound="Actor", covariant=True)

# States of a ref, in this order: from ENDING on, sends are refused.
IDLE: Final = 0  # may run a message straight from the inbox
BUSY: Final = 1  # a handler runs or is suspended
READY: Final = 2  # has queued messages and a place in the ready queue
CHANGING: Final = 3  # starts, stops or restarts; messages are queued
ENDING: Final = 4  # runs its last hook
DEAD: Final = 5

CURRENT_GET = CURRENT.get


class ActorRef(Address, Generic[A_co]):
    """The address of an actor: it sends messages, can be passed around, and pickles. It stays valid over restarts.

    You get refs from `system.spawn`, `ctx.spawn`, `system.find` and `self.actor_ref`.

    Messages from one sender to one receiver arrive in the order they were sent. `tell` and `cast` are delivered at most
    once; every `ask` and `call` is answered, if only with `ActorDeadError`.

    >>> import actorflow as af
    >>> class Greeter(af.Actor):
    ...     def greet(self, name: str) -> str:
    ...         return f"hello {name}"
    >>> with af.ActorSystem("demo") as system:
    ...     greeter = system.spawn(Greeter)
    ...     greeter.call(Greeter.greet, "Ann").get(timeout=10)
    ...     greeter == system.find(greeter.path)
    'hello Ann'
    True
    """

    __slots__ = ("_actor", "_children", "_cold", "_queue", "_state", "_waiting")

    # No `__getattr__`, such as one with a better error for `ref.greet()`: of a class that has one the interpreter
    # specialises no attribute, and a tell takes 1.5 times as long (CPython 3.11).

    _is_remote: ClassVar[bool] = False  # True: its handlers run in another process
    _is_plain: ClassVar[bool] = True  # False: sends do more than put messages into the inbox
    _future_class: ClassVar[type[Future[Any]]] = Future
    _context_class: ClassVar[type[Context]]

    _actor: A_co | None
    _children: Children | None
    _cold: ColdFields | None  # fields that few actors need: watchers, stash, timers, a pending exit
    _queue: deque[Item] | None
    _state: int
    _waiting: Waiting | None

    def __init__(self, uid: int, scheduler: Scheduler, parent: Children, traits: Traits, name: str | None) -> None:
        self.uid = uid
        self._scheduler = scheduler
        self._parent = parent
        self._traits = traits
        self._name = name
        self._state = CHANGING
        self._actor = self._children = self._cold = self._queue = self._waiting = None

    # --- pykka's views ------------------------------------------------------------------------------------------------

    @property
    def actor_inbox(self) -> Inbox:  # type: ignore[override]
        """pykka's view of the mailbox, for code that puts envelopes into it."""
        return Inbox(self)

    @property
    def actor_stopped(self) -> StoppedEvent:  # type: ignore[override]
        """pykka's event, set once the actor is dead."""
        return StoppedEvent(self)

    def _actor_weakref(self) -> A_co | None:  # type: ignore[override]
        """Return the incarnation; pykka's proxies look it up by this name.

        Between two incarnations they get a bare instance of the class: it has the methods, and they need no more.
        """
        if self._actor is None and self._state < ENDING:
            return object.__new__(self.actor_class)  # type: ignore[no-any-return]
        return self._actor

    def is_alive(self) -> bool:
        """Say whether messages are accepted. The actor may be dead a moment later."""
        return self._state < ENDING

    # --- sends -------------------------------------------------------------------------------------------------------

    def tell(self, message: Any) -> None:
        """Send a message and do not wait. Safe from any thread, finaliser or signal handler.

        Raises:
            ActorDeadError: the actor is dead.
            MailboxFull: the mailbox is full and its overflow is "fail".
            DeadlockError: the mailbox is full, blocks, and waiting for room would close a cycle.
        """
        if self._state >= ENDING:
            raise self._dead()
        execution = CURRENT_GET()
        sender = None
        if execution is not None:
            sender = execution.item[0]
            if sender is None:
                execution.hold(self, message, None)
                return
        scheduler = self._scheduler
        scheduler.inbox.append((self, message, None, sender))
        if scheduler.idle:
            scheduler.wake()

    def _send(self, message: Any, future: Future[Any] | None) -> None:
        """Post a message that wants an answer, or a cast; like `tell` in all else.

        The same lines as in `tell`: to call this from there would add 60 ns to the 280 of the hottest path.
        """
        if self._state >= ENDING:
            raise self._dead()
        execution = CURRENT_GET()
        sender = None
        if execution is not None:
            sender = execution.item[0]
            if sender is None:
                execution.hold(self, message, future)
                return
        scheduler = self._scheduler
        scheduler.inbox.append((self, message, future, sender))
        if scheduler.idle:
            scheduler.wake()

    def _dead(self) -> ActorDeadError:
        self._scheduler.check_usable()
        cause = self._cold.cause if self._cold is not None else None
        why = "" if cause is None else f": it crashed with {text_of(cause)}"
        error = ActorDeadError(f"{self} not found{why}")
        error.__cause__ = cause
        return error

    @overload  # type: ignore[override]
    def ask(self, message: Any, *, block: Literal[False], timeout: float | None = None) -> Future[Any]: ...
    @overload
    def ask(self, message: Any, *, block: Literal[True] = True, timeout: float | None = None) -> Any: ...
    @overload
    def ask(self, message: Any, *, block: bool, timeout: float | None = None) -> Any: ...
    def ask(self, message: Any, *, block: bool = True, timeout: float | None = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Send a message and wait for the answer, at most `timeout` seconds; with block=False return a Future.

        Raises:
            AskTimeout: no answer came in time.
            ActorDeadError: the actor is dead, or died before it handled the message.
            Exception: the error that the handler raised.
        """
        future = self._future_class(self)
        try:
            self._send(message, future)
        except ActorDeadError as error:
            fail(self, message, future, None, error)
        return future.get(timeout=timeout) if block else future

    @overload
    def call(
        self, method: Callable[Concatenate[A_co, P], Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[R]: ...
    @overload
    def call(self, method: Callable[Concatenate[A_co, P], R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]: ...
    def call(self, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Request a method by name, typed: `ref.call(Counter.add, 2)`. An override in a subclass is respected.

        Errors, that of a dead actor included, are raised by the future's `get`.

        Raises:
            DefinitionError: the actor's class has no such method.
        """
        future = self._future_class(self)
        try:
            self._send(Call(self._method_name(method), args, kwargs), future)
        except ActorDeadError as error:
            fail(self, Call(self._method_name(method), args, kwargs), future, None, error)
        return future

    def cast(self, method: Callable[Concatenate[A_co, P], Any], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Request a method and want no answer; if it raises, the actor crashes and its supervisor sees it.

        Raises:
            ActorDeadError: the actor is dead.
            DefinitionError: the actor's class has no such method.
            MailboxFull: the mailbox is full and its overflow is "fail".
        """
        self._send(Call(self._method_name(method), args, kwargs), None)

    @property
    def _incarnation_class(self) -> type[Any]:
        """The class of the object that runs the messages here; for an actor of another process, of its stand-in."""
        return self._traits.actor_class

    # --- state machines ----------------------------------------------------------------------------------------------

    @property
    def state(self: ActorRef[StateMachine]) -> str:
        """The active state of a state machine, after all messages that this sender has sent it; waits for the answer.

        Raises:
            ActorDeadError: the machine is dead.
        """
        return self._read("state")  # type: ignore[no-any-return]

    @property
    def configuration(self: ActorRef[StateMachine]) -> frozenset[str]:
        """All active states of a state machine: the innermost, those around them, and parallel ones."""
        return self._read("configuration")  # type: ignore[no-any-return]

    @property
    def legal(self: ActorRef[StateMachine]) -> tuple[str, ...]:
        """The events that are legal in a state machine now: some rule of an active state is for them.

        Guards are not asked, since they look at an event's arguments.
        """
        return self._read("legal")  # type: ignore[no-any-return]

    @property
    def history(self: ActorRef[StateMachine]) -> list[Record]:
        """The last transitions of a state machine, oldest first: a copy."""
        return self._read("history")  # type: ignore[no-any-return]

    def _read(self, what: str) -> Any:
        if not hasattr(self.actor_class, "_is_machine"):
            msg = f"{self.actor_class.__name__} is no state machine: its ref has no {what!r}"
            raise AttributeError(msg)
        future = self._future_class(self)
        self._send(Call("_read", (what,), {}), future)
        return future.get()

    def send(self, event: str, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Send a state machine an event by name; like `call` in all else.

        Raises:
            DefinitionError: the actor is no state machine.
        """
        self._check_machine("send")
        future = self._future_class(self)
        try:
            self._send(Sent(event, args, kwargs), future)
        except ActorDeadError as error:
            fail(self, Sent(event, args, kwargs), future, None, error)
        return future

    def subscribe(self: ActorRef[StateMachine], to: ActorRef[Any] | Callable[[Record], Any], /) -> RecordSubscription:
        """Get each transition of this state machine: a ref by `tell`, a function is called as a message of an actor.

        The subscription outlives restarts of the machine. An error of the function is logged.
        """
        self._check_machine("subscribe")
        from actorflow.core.actors.transitions import subscribe  # noqa: PLC0415 - it is an actor, made of refs

        return subscribe(self, to)

    def _check_machine(self, what: str) -> None:
        if not hasattr(self.actor_class, "_is_machine"):
            msg = (
                f"{self.actor_class.__name__} is no state machine, and {what} is for these: use tell, ask, call or cast"
            )
            raise DefinitionError(msg)

    def _run_on_start(self) -> Any:
        """Run `on_start` of an incarnation, before its first message."""
        return self._actor._run_on_start() if self._traits.has_on_start else None  # type: ignore[union-attr]

    def _within(self, run: Callable[[], Any]) -> Any:
        """Run a message of the runtime's own that ends in user code; a durable actor commits the effects of it."""
        return run()

    def _stop_behind(self, stop: Stop) -> None:
        """Queue a stop that the actor asks for itself, behind the messages in its mailbox."""
        self._scheduler.post(self, stop, None)

    def _arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments that an incarnation gets: these, or copies if it counts as one of another process."""
        return args, kwargs

    def _seek(self, path: list[str], origin: ActorRef[Any], future: Future[Any]) -> None:
        """Look for a cycle of waits where the actor runs, if that is not here."""

    def _away(self, here: Any, path: list[str], origin: int, home: str, number: int) -> bool:  # noqa: ARG002
        """Send the search for a cycle on to where the actor runs; False if that is here."""
        return False

    def _watched_by(self, watcher: ActorRef[Any], actor: Actor) -> None:
        """Send Terminated to the incarnation `actor` of the watcher at the end."""
        from actorflow.core.refs.termination import watch  # noqa: PLC0415 - the life cycle is made of actors

        self._scheduler.post_work(lambda: watch(watcher, self, actor))

    def _close(self, cause: BaseException | None) -> None:
        """Release the resources of a dead actor; a bounded mailbox has waiting senders."""

    def _arrive(self, message: Any, future: Future[Any] | None, sender: ActorRef[Any] | None) -> None:
        """Put a message that came from another process into the mailbox; never waits."""
        scheduler = self._scheduler
        scheduler.inbox.append((self, message, future, sender))
        if scheduler.idle:
            scheduler.wake()

    def _pass_on(self, item: Item) -> bool:  # noqa: ARG002
        """Send a message on to where the actor lives now; False if it is dead."""
        return False

    def _count_stashed(self, change: int) -> None:
        """Count stashed messages; a bounded mailbox does."""

    def _put_back(self, items: deque[Item]) -> None:
        """Put stashed messages back to the front of the mailbox; the holder of the baton calls it."""
        if self._queue is None:
            self._queue = self._scheduler.new_queue()
        self._queue.extendleft(reversed(items))

    def _method_name(self, method: Callable[..., Any]) -> str:
        # By name: an actor of another class may stand in for the one that is meant, in tests say.
        name: str | None = getattr(method, "__name__", None)
        if name is None or not hasattr(self._traits.actor_class, name):
            msg = f"{text_of(method)} is no method of {self.actor_class.__name__}: call and cast take Class.method"
            raise DefinitionError(msg)
        return name

    @overload  # type: ignore[override]
    def stop(self, *, block: Literal[True] = True, timeout: float | None = None) -> bool: ...
    @overload
    def stop(self, *, block: Literal[False], timeout: float | None = None) -> Future[bool]: ...
    @overload
    def stop(self, *, block: bool, timeout: float | None = None) -> bool | Future[bool]: ...
    def stop(self, *, block: bool = True, timeout: float | None = None) -> bool | Future[bool]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """End the actor for good behind its queued messages, its children first; True if it was alive.

        A supervised actor is not restarted afterwards either. With block=False a Future of that result is returned.

        Raises:
            AskTimeout: the actor did not end in `timeout` seconds; it still will, once its handler returns.
        """
        future: Future[bool] = patient(self)
        execution = CURRENT_GET()
        if self._state == DEAD:
            self._scheduler.check_usable()
            future._settle(value=False, error=None)
        elif execution is not None and execution.holds:
            future._patient = False
            execution.hold(self, Stop(final=True), future)
        else:
            self._scheduler.post(self, Stop(final=True), future)
        return future.get(timeout=timeout) if block else future

    def proxy(self) -> pykka.ActorProxy[Any]:
        """Return a pykka proxy: its methods are calls that return futures. It survives restarts.

        Raises:
            ActorDeadError: the actor is dead.
        """
        if self._state >= ENDING:
            raise self._dead()
        return Proxy(actor_ref=self)


ACTOR_STOP: Final = pykka_messages._ActorStop
