"""ActorRef: the address of an actor, and the sends.

A ref stays valid over restarts; messages carry refs, and a ref pickles. All fields that are not part of the address
belong to the scheduler: only the thread that holds the baton changes them.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, Final, Generic, Literal, ParamSpec, TypeVar, overload

import pykka
from pykka import messages as pykka_messages

from actorflow.core.futures.future import Future, patient
from actorflow.core.futures.unobserved import fail
from actorflow.core.messages.execution import CURRENT, check_effect
from actorflow.core.messages.messages import Call, Sent, Stop
from actorflow.core.refs.cell import DEAD, ENDING, Cell
from actorflow.core.refs.pykka_views import Inbox, Proxy, StoppedEvent
from actorflow.errors import ActorDeadError, DefinitionError
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.actors.actor import Actor, MachineActor
    from actorflow.core.actors.transitions import RecordSubscription
    from actorflow.core.messages.messages import Record

P = ParamSpec("P")
R = TypeVar("R")
A_co = TypeVar("A_co", bound="Actor", covariant=True)

CURRENT_GET = CURRENT.get


class ActorRef(Cell, Generic[A_co]):
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

    __slots__ = ()

    # No `__getattr__`, such as one with a better error for `ref.greet()`: of a class that has one the interpreter
    # specialises no attribute, and a tell takes 1.5 times as long (CPython 3.11).

    _actor: A_co | None

    # core.actors.transitions, which is made of refs, puts its own here.
    _subscribe: ClassVar[Callable[[ActorRef[Any], Any], RecordSubscription]]

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
        check_effect("ref.is_alive()")
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
        self._home.check_usable()
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

    # --- state machines ----------------------------------------------------------------------------------------------

    @property
    def state(self: ActorRef[MachineActor]) -> str:
        """The active state of a state machine, after all messages that this sender has sent it; waits for the answer.

        Raises:
            ActorDeadError: the machine is dead.
        """
        return self._read("state")  # type: ignore[no-any-return]

    @property
    def configuration(self: ActorRef[MachineActor]) -> frozenset[str]:
        """All active states of a state machine: the innermost, those around them, and parallel ones."""
        return self._read("configuration")  # type: ignore[no-any-return]

    @property
    def legal(self: ActorRef[MachineActor]) -> tuple[str, ...]:
        """The events that are legal in a state machine now: some rule of an active state is for them.

        Guards are not asked, since they look at an event's arguments.
        """
        return self._read("legal")  # type: ignore[no-any-return]

    @property
    def history(self: ActorRef[MachineActor]) -> list[Record]:
        """The last transitions of a state machine, oldest first: a copy."""
        return self._read("history")  # type: ignore[no-any-return]

    def _read(self, what: str) -> Any:
        if not self._traits.is_machine:
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

    def subscribe(self: ActorRef[MachineActor], to: ActorRef[Any] | Callable[[Record], Any], /) -> RecordSubscription:
        """Get each transition of this state machine: a ref by `tell`, a function is called as a message of an actor.

        The subscription outlives restarts of the machine. An error of the function is logged.
        """
        self._check_machine("subscribe")
        return ActorRef._subscribe(self, to)

    def _check_machine(self, what: str) -> None:
        if not self._traits.is_machine:
            msg = (
                f"{self.actor_class.__name__} is no state machine, and {what} is for these: use tell, ask, call or cast"
            )
            raise DefinitionError(msg)

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
            self._home.check_usable()
            future._settle(value=False, error=None)
        elif execution is not None and execution.holds:
            future._patient = False
            execution.hold(self, Stop(final=True), future)
        else:
            self._home.post(self, Stop(final=True), future)
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
