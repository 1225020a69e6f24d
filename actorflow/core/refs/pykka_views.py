"""Views of pykka: its attributes of an actor, made of the ref when they are asked for."""

from __future__ import annotations

import contextlib
import queue
from typing import TYPE_CHECKING, Any

import pykka
from pykka._introspection import AttrInfo, introspect_attrs
from pykka.messages import ProxyGetAttr

from actorflow.core.futures.future import Future
from actorflow.core.messages.execution import CURRENT
from actorflow.errors import DefinitionError

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef


class Proxy(pykka.ActorProxy[Any]):
    """A pykka proxy that looks at the living incarnation, not at the one it was made with."""

    def __init__(self, *, actor_ref: Any, attr_path: Any = None) -> None:
        execution = CURRENT.get()
        replays = execution is not None and execution.replays
        given: Any = Unlooked(actor_ref) if replays else actor_ref
        super().__init__(actor_ref=given, attr_path=attr_path)
        self.actor_ref = actor_ref

    @property
    def _actor(self) -> Any:
        return self.actor_ref._actor_weakref()

    @_actor.setter
    def _actor(self, actor: Any) -> None:
        """Ignore the actor that pykka sets: the ref has it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return proxy_at, (self.actor_ref, self._attr_path)


class Unlooked:
    """A ref as pykka's proxy takes it in code that is replayed: that may not look whether the actor is alive."""

    __slots__ = ("_actor_weakref",)

    def __init__(self, ref: ActorRef[Any]) -> None:
        self._actor_weakref = ref._actor_weakref

    def is_alive(self) -> bool:
        """Say yes: a send to a dead actor tells of it."""
        return True


def attributes_of(actor: Any) -> dict[tuple[str, ...], tuple[bool, bool]]:
    """Return the attributes that a proxy may reach: (callable, traversable) for each path of attributes."""
    nobody: Any = object()
    return {path: tuple(about) for path, about in introspect_attrs(root=actor, proxy=nobody).items()}  # type: ignore[misc]


class RemoteProxy(Proxy):
    """A proxy of an actor in another process, which it asks for the actor's attributes.

    Between two incarnations nobody knows those that `__init__` sets: their reads wait for the next one, as messages do.
    """

    def __init__(self, *, actor_ref: Any, attr_path: Any = None) -> None:
        super().__init__(actor_ref=actor_ref, attr_path=attr_path)
        self._look()

    def _look(self) -> bool:
        """Ask for the attributes; False if nobody could be asked."""
        known = self.actor_ref._attributes()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        if known is not None:
            self._known_attrs = {path: AttrInfo(*about) for path, about in known.items()}
        return known is not None

    def __getattr__(self, name: str) -> Any:
        path = (*self._attr_path, name)
        if not name.startswith("_") and path not in self._known_attrs and not self._look():
            self._known_attrs = introspect_attrs(root=self._actor, proxy=self)  # those of the class
            if path not in self._known_attrs:
                return self.actor_ref.ask(ProxyGetAttr(attr_path=path), block=False)
        about = self._known_attrs.get(path)
        if about is not None and about.traversable and not about.callable:
            return proxy_at(self.actor_ref, path)  # pykka's would look for an incarnation in this process
        return super().__getattr__(name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RemoteProxy):
            return False
        return self.actor_ref == other.actor_ref and self._attr_path == other._attr_path

    def __hash__(self) -> int:
        return hash((self.actor_ref, self._attr_path))


def proxy_at(actor_ref: Any, attr_path: tuple[str, ...]) -> Proxy:
    """Return a proxy of an attribute, or a pickled proxy.

    The actor's attributes are looked up when the proxy is used: this may run in the thread that would read the answer.
    """
    kind = RemoteProxy if actor_ref._is_remote else Proxy
    proxy = kind.__new__(kind)
    proxy.actor_ref = actor_ref
    proxy._attr_path = attr_path
    proxy._known_attrs, proxy._actor_proxies, proxy._callable_proxies = {}, {}, {}
    return proxy


class Inbox:
    """pykka's inbox, as far as it makes sense: a place to put envelopes."""

    __slots__ = ("_ref",)

    def __init__(self, ref: ActorRef[Any]) -> None:
        self._ref = ref

    def put(self, envelope: Any, /) -> None:
        """Send the envelope's message; its `reply_to` future gets the answer."""
        reply_to = envelope.reply_to
        if reply_to is None:
            self._ref.tell(envelope.message)
            return
        future: Future[Any] = Future(self._ref)

        def forward() -> None:
            with contextlib.suppress(queue.Full):  # somebody else has set it
                if future._error is None:
                    reply_to.set(future._value)
                else:
                    reply_to.set_exception((type(future._error), future._error, future._error.__traceback__))

        future._when_done(forward)
        self._ref._send(envelope.message, future)

    def empty(self) -> bool:
        """Say whether nothing waits in the mailbox (messages on their way there do not count)."""
        return not self._ref._queue

    def get(self) -> Any:
        """Refuse: the scheduler takes messages out."""
        msg = "the scheduler takes messages out of a mailbox; override on_receive to see them"
        raise DefinitionError(msg)


class StoppedEvent:
    """pykka's `actor_stopped`, as a view of the ref."""

    __slots__ = ("_ref",)

    def __init__(self, ref: ActorRef[Any]) -> None:
        self._ref = ref

    def is_set(self) -> bool:
        """Say whether the actor is dead or runs its last hook."""
        return not self._ref.is_alive()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the actor is dead, at most `timeout` seconds; say whether it is."""
        if not self.is_set():
            future = self._ref._scheduler.end_of(self._ref)
            try:
                future.get(timeout=timeout)
            except pykka.Timeout:
                return self.is_set()
        return True

    def set(self) -> None:
        """Refuse, unless it is set already: pykka's code never calls it on our actors."""
        if not self.is_set():
            msg = "stop an actor with ref.stop()"
            raise DefinitionError(msg)
