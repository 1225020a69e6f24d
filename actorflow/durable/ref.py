"""DurableRef: the ref of a durable actor. A send returns once its row is committed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, cast

from actorflow.core.actors.context import Context
from actorflow.core.futures.future import Future
from actorflow.core.messages.execution import CURRENT
from actorflow.core.messages.messages import Stop
from actorflow.core.refs.cell import ENDING, IDLE
from actorflow.core.refs.ref import ActorRef
from actorflow.core.refs.resolve import Gone
from actorflow.durable.address import ELSEWHERE, DurableBase, key_of
from actorflow.durable.context import DurableContext
from actorflow.durable.future import StoredFuture
from actorflow.durable.handling.mailbox import Mailbox
from actorflow.errors import DefinitionError

if TYPE_CHECKING:
    from actorflow.durable.node.runtime import DurableRuntime


class DurableRef(DurableBase):
    """A ref whose messages are rows; the actor may be on this node, on another, or on none at the moment."""

    __slots__ = ("_box", "_key", "_runtime", "_was_owned")

    _future_class: ClassVar[type[Future[Any]]] = StoredFuture
    _mailbox_class: ClassVar[type[Mailbox]] = Mailbox
    _context_class: ClassVar[type[Context]] = DurableContext

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._runtime = cast("DurableRuntime", self._scheduler.durable)
        self._key = key_of(self.path)
        self._was_owned = True  # when the latest message was stored
        self._box: Mailbox = None  # type: ignore[assignment]  # of one that is elsewhere
        if self.uid != ELSEWHERE:
            self._box = self._mailbox_class(self._runtime, self, self._key)
            self._runtime.boxes[self._key] = self._box

    @classmethod
    def elsewhere(cls, runtime: DurableRuntime, key: str, actor_class: type[Any]) -> DurableRef:
        """Return a ref of an actor that this process has not spawned."""
        scheduler = runtime.scheduler
        parent, _, name = f"/{scheduler.name}/{key}".rpartition("/")
        gone = Gone(scheduler.key, 0, parent)
        ref = cls(ELSEWHERE, scheduler, gone, actor_class._traits, name)
        ref._state = IDLE
        return ref

    # --- sends -------------------------------------------------------------------------------------------------------

    def tell(self, message: Any) -> None:
        """Send a message; it is committed when this returns, or is part of the handler's commit that sends it.

        Raises:
            ActorDeadError: the actor was stopped here.
            MailboxFull: the mailbox is full and its overflow is "fail".
            PayloadError: a part of the message cannot be stored.
            StoreError: the database failed, and the message is not there.
        """
        self._send(message, None)

    def deliver(self, message: Any, id: str) -> bool:
        """Send a message from elsewhere once: see `ActorSystem.deliver`."""
        if self._state >= ENDING:
            raise self._dead()
        execution = CURRENT.get()
        if execution is not None and execution.holds:
            msg = "deliver() in a durable handler: tell() is part of its commit, and so is done once already"
            raise DefinitionError(msg)
        return self._runtime.put(self, message, None, None, id)

    def _send(self, message: Any, future: Future[Any] | None) -> None:
        execution = CURRENT.get()
        if self._state >= ENDING and not (execution is not None and execution.replays):
            raise self._dead()  # but code that is replayed does not see whether the actor is here
        sender = None
        if execution is not None:
            sender = execution.item[0]
            if sender is None:
                execution.hold(self, message, future)
                return
        if type(message) is Stop:  # no row: it ends the actor of this process
            self._scheduler.post(self, message, future)
        else:
            self._runtime.put(self, message, future, sender)

    def _arrive(self, message: Any, future: Future[Any] | None, sender: ActorRef[Any] | None) -> None:
        if type(message) is Stop:
            self._scheduler.post(self, message, future)
        else:
            self._runtime.put_later(self, message, future, sender)

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:
        """End the actor on this node; its state and unhandled messages stay for the next one to spawn it."""
        if self._box is None:
            msg = f"{self.path} was spawned by another process, and only that one can stop it"
            raise DefinitionError(msg)
        return super().stop(block=block, timeout=timeout)

    def _why_silent(self) -> str:
        if self._was_owned:
            return ""
        recipe = f"af.child({self.actor_class.__name__}).options(durable=True, name={self.name!r})"
        return (
            "no process had this durable actor when the message was stored, which the next one to spawn it handles: "
            f"system.spawn({recipe})"
        )

    # --- life --------------------------------------------------------------------------------------------------------

    def _run_on_start(self) -> Any:
        return self._runtime.ownership.start(self)

    def _within(self, run: Callable[[], Any]) -> Any:
        return self._box.within(run)

    def _close(self, cause: BaseException | None) -> None:
        if self._box is not None:
            self._box.close(cause)
