"""Actor: the class that users subclass, pykka's API on a light runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, Unpack

import pykka
from pykka import messages as pykka_messages
from pykka._introspection import get_attr_directly

from actorflow.core.actors.context import Context
from actorflow.core.actors.traits import BASE_HOOKS, Options, Traits, check_intensity, check_known, check_names
from actorflow.core.futures.future import Future
from actorflow.core.messages.handlers import handles
from actorflow.core.messages.messages import Call, Stop
from actorflow.core.refs.pykka_views import Inbox, StoppedEvent
from actorflow.core.refs.ref import ActorRef
from actorflow.core.refs.resolve import unstarted

if TYPE_CHECKING:
    from pykka._actor import ActorInbox

    from actorflow.core.actors.traits import ClassKeywords
    from actorflow.core.messages.messages import Record

R = TypeVar("R")

BASE_HOOKS.update(on_start=pykka.Actor.on_start, on_stop=pykka.Actor.on_stop)


class Actor(pykka.Actor):
    """An actor: private state, and one message at a time.

    Everything in pykka's API works as there: `on_receive`, `on_start`, `on_stop`, `on_failure`, proxies, the registry.
    Beyond it, methods may be requested by `ref.call` and `ref.cast`, handlers may be `async def`, and `self.ctx` has
    children, timers, watches and the stash.

    Child options may be given as class keywords, and for the restarts of its own children `intensity` and `period`:
    ``class Db(af.Actor, blocking=True)``. `.options()` of a child overrides them.

    >>> import actorflow as af
    >>> class Counter(af.Actor):
    ...     def __init__(self, start: int = 0) -> None:
    ...         super().__init__()
    ...         self.n = start
    ...
    ...     def add(self, k: int = 1) -> int:
    ...         self.n += k
    ...         return self.n
    >>> with af.ActorSystem("demo") as system:
    ...     system.spawn(Counter, 3).call(Counter.add, 2).get(timeout=1)
    5
    """

    _child_options: ClassVar[Options] = Options()
    _traits: ClassVar[Traits]
    _constructors: ClassVar[tuple[str, ...]] = ()  # class methods that `spawn` takes instead of the class
    _ends_last: ClassVar[bool] = False  # True: at the end of the system it outlives the actors that may use it
    _works_in_drains: ClassVar[bool] = False  # True: its timers fire until its own end, though the system drains
    _is_machine: ClassVar[bool] = False
    _is_service: ClassVar[bool] = False
    _plain_handlers: ClassVar[dict[type[Any], Any]] = {}  # of a service: methods by classes of events
    _joins: ClassVar[staticmethod[[Any], object] | None] = None  # called with its ref once its `on_start` has run
    _restart_intensity: ClassVar[int] = 1
    _restart_period: ClassVar[float] = 5.0
    _default_system: ClassVar[staticmethod[[], Any]]  # of `start`; core.system, which is made of actors, puts it here
    _actor_ref: ActorRef[Any] = None  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]

    def __init_subclass__(
        cls,
        *,
        intensity: int | None = None,
        period: float | None = None,
        name: str | None = None,
        **options: Unpack[ClassKeywords],
    ) -> None:
        super().__init_subclass__()
        check_names(cls)
        if name is not None:
            check_known({"name": name}, ("a name belongs to a child: af.child(...).options(name=...)",))
        if options:
            cls._child_options = cls._child_options.override(**options)
        cls._restart_intensity = cls._restart_intensity if intensity is None else intensity
        cls._restart_period = cls._restart_period if period is None else period
        check_intensity(cls._restart_intensity, cls._restart_period)
        cls._traits = Traits(cls, cls._child_options)

    def __init__(self, *_args: Any, **kwargs: Any) -> None:
        """Create the actor; call it first in your own `__init__`, which runs in the thread that spawns."""
        if self._actor_ref is None:  # made by hand, not by start or spawn: give it the ref of an actor that never lived
            self._actor_ref = unstarted(type(self))  # pyright: ignore[reportIncompatibleVariableOverride]
        if kwargs:
            self._take_keywords(kwargs)

    def _take_keywords(self, keywords: dict[str, Any]) -> None:
        """Take the keyword arguments of `__init__`; a state machine takes `initial`, the state to start in."""

    def __str__(self) -> str:
        return str(self._actor_ref)

    def __reduce__(self) -> tuple[Any, ...]:
        msg = "an actor cannot leave its process: send its ref, self.actor_ref"
        raise TypeError(msg)

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> ActorRef[Self]:
        """Start the actor in the default system, as in pykka; `system.spawn` is the form with a supervisor.

        The default system is made at first use and stopped, `on_stop` included, when the program ends. `on_start` runs
        soon after; if it raises, that is logged and the actor is dead.
        """
        ref: ActorRef[Self] = Actor._default_system().start_actor(cls, args, kwargs)
        return ref

    @property
    def actor_ref(self) -> ActorRef[Self]:
        """The actor's own ref, to hand out instead of `self`."""
        return self._actor_ref

    @property
    def actor_urn(self) -> str:  # type: ignore[override]
        """pykka's unique name, an uuid4 URN."""
        return self._actor_ref.actor_urn

    @property
    def actor_inbox(self) -> Inbox:  # type: ignore[override]
        """pykka's view of the mailbox."""
        return Inbox(self._actor_ref)

    @property
    def actor_stopped(self) -> StoppedEvent:  # type: ignore[override]
        """pykka's event, set once the actor is dead."""
        return StoppedEvent(self._actor_ref)

    @property
    def ctx(self) -> Context:
        """The actor's access to its system: children, timers, watches, stash, clock. Safe from any thread."""
        return self._actor_ref._context_class(self)

    def stop(self) -> None:
        """End normally, behind the queued messages; under `restart="permanent"` a new incarnation follows.

        An actor that was made by its class and never started, as in unit tests, has nothing to end.
        """
        self._actor_ref._stop_behind(Stop(final=False, actor=self))

    def _perform_named(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the method that a message names; of some a state machine makes events."""
        return getattr(self, name)(*args, **kwargs)

    @classmethod
    def _has_on_start(cls) -> bool:
        """Say whether there is something to run before the first message."""
        return cls.on_start is not BASE_HOOKS["on_start"]

    def _run_on_start(self) -> Any:
        """Run `on_start`, before the first message is handled."""
        return self.on_start()

    def _listen_again(self) -> None:
        """Tell earlier subscribers of this incarnation's transitions, too; state machines have subscribers."""

    def _give_up(self, error: BaseException | None) -> None:
        """Tell of messages that the incarnation has kept and does not live to handle; a state machine defers some."""

    # --- pykka's hooks for runtimes ----------------------------------------------------------------------------------

    @staticmethod
    def _create_actor_inbox() -> ActorInbox:
        msg = "an actorflow actor has no inbox object; see ActorRef.actor_inbox"
        raise NotImplementedError(msg)

    @staticmethod
    def _create_future() -> Future[Any]:
        return Future()

    def _start_actor_loop(self) -> None:
        msg = "an actorflow actor has no loop of its own; see actorflow.core.running.scheduler"
        raise NotImplementedError(msg)


Actor._traits = Traits(Actor, Actor._child_options)


class MachineActor(Actor):
    """The base of state machines, as far as a ref knows of them."""

    _is_machine: ClassVar[bool] = True

    @property
    def state(self) -> str:
        """The name of the active state; with parallel regions all of them, joined by "+"."""
        raise NotImplementedError  # pragma: no cover - machines have it

    @property
    def configuration(self) -> frozenset[str]:
        """The names of all active states, those around others included."""
        raise NotImplementedError  # pragma: no cover

    @property
    def legal(self) -> tuple[str, ...]:
        """The events that are legal now, in document order; guards are not asked."""
        raise NotImplementedError  # pragma: no cover

    @property
    def history(self) -> list[Record]:
        """The last transitions, oldest first: a copy."""
        raise NotImplementedError  # pragma: no cover


@handles(Call)
def run_call(ref: ActorRef[Any], call: Call) -> Any:
    """Run the method that a `call` or `cast` names."""
    return ref._actor._perform_named(call.name, call.args, call.kwargs)  # type: ignore[union-attr]


@handles(pykka_messages.ProxyCall)
def run_proxy_call(ref: ActorRef[Any], message: pykka_messages.ProxyCall) -> Any:
    """Run the method that a proxy names."""
    if len(message.attr_path) == 1:
        return ref._actor._perform_named(message.attr_path[0], message.args, message.kwargs)  # type: ignore[union-attr]
    return get_attr_directly(ref._actor, message.attr_path)(*message.args, **message.kwargs)


@handles(pykka_messages.ProxyGetAttr)
def run_proxy_get(ref: ActorRef[Any], message: pykka_messages.ProxyGetAttr) -> Any:
    """Read the attribute that a proxy names."""
    return get_attr_directly(ref._actor, message.attr_path)


@handles(pykka_messages.ProxySetAttr)
def run_proxy_set(ref: ActorRef[Any], message: pykka_messages.ProxySetAttr) -> None:
    """Set the attribute that a proxy names."""
    setattr(get_attr_directly(ref._actor, message.attr_path[:-1]), message.attr_path[-1], message.value)


ProxyCall = pykka_messages.ProxyCall
ProxyGetAttr = pykka_messages.ProxyGetAttr
ProxySetAttr = pykka_messages.ProxySetAttr
