"""ServiceUnit: the unit of work of a durable service, for messages, timers and events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actorflow.durable.handling.after_commit import StoredUnit
from actorflow.durable.rows.records import Lost
from actorflow.durable.rows.state import is_machine, state_bytes
from actorflow.errors import OutcomeUnknown

if TYPE_CHECKING:
    from actorflow.events.log.member import MemberMailbox

NO_STATE: Final = b"null"


def stored_state(service: Any) -> bytes:
    """Return the state of a service as it is stored; it need not have one."""
    if not is_machine(service) and getattr(service, "state", None) is None:
        return NO_STATE
    return state_bytes(service)


class ServiceUnit(StoredUnit):
    """A unit of work of a durable service: a message in its mailbox, or a timer."""

    __slots__ = ()

    box: MemberMailbox

    def state_bytes(self) -> bytes:
        """Return the state as it is stored."""
        return stored_state(self.actor)

    def not_committed(self, error: Exception) -> None:
        """Deal with effects that are not in the store."""
        if isinstance(error, OutcomeUnknown):
            self.box.log.look_later()
        if not isinstance(error, Lost):
            super().not_committed(error)
            return
        self.drop_sends()
        if self.is_alive:
            self.box.lost(error)
            self.box.pause(None)
