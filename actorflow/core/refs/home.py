"""Home and Lineage: the questions that a ref may ask of any scheduler and parent, also if the actor lives elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future
    from actorflow.core.refs.ref import ActorRef


class Home(Protocol):
    """The system of an actor, as every ref knows it.

    Three classes have these methods: `Scheduler`, if the actor lives in this process; `Elsewhere`, if it lives in
    another one; and `Gone`, if it is dead or was never started. Code that may get any ref reads `ref._home`; code that
    only gets refs of this process reads the same slot as `ref._scheduler`.
    """

    @property
    def key(self) -> str:
        """The key of the system, the same in all of its processes."""
        ...

    @property
    def node(self) -> str:
        """The process in the system's tree of processes."""
        ...

    @property
    def first_uid(self) -> int:
        """The uid from which the actors of that process are counted."""
        ...

    @property
    def ask_timeout(self) -> float | None:
        """The seconds that an ask without a timeout of its own may take; None: any time."""
        ...

    @property
    def is_virtual(self) -> bool:
        """Whether the actor lives in virtual time."""
        ...

    def check_usable(self) -> None:
        """Raise if sends from this process cannot arrive, as in a fork."""
        ...

    def post(self, ref: ActorRef[Any], message: Any, future: Future[Any] | None, /) -> None:
        """Send a message of the runtime's own; never waits."""
        ...

    def watch(self, watcher: ActorRef[Any], ref: ActorRef[Any], actor: Any, /) -> None:
        """Have the incarnation `actor` of the watcher told when the actor of the ref is dead."""
        ...

    def end_of(self, ref: ActorRef[Any], /) -> Future[Any]:
        """Return a future that is set once the actor is dead."""
        ...

    def report_unread(
        self, ref: ActorRef[Any], message: Any, sender: ActorRef[Any] | None, error: BaseException, /
    ) -> None:
        """Publish the error of a request, which nobody has read, as a dead letter; called by the garbage collector."""
        ...


class Lineage(Protocol):
    """The place in the tree that an actor was spawned at: `Children`, or a stand-in for a parent elsewhere."""

    @property
    def path(self) -> str:
        """The path of the parent."""
        ...

    @property
    def owner(self) -> ActorRef[Any] | None:
        """The ref of the parent; None: the actor is directly under the system, or the parent is not known here."""
        ...
